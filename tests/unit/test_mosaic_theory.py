"""The mosaic against theory: segments, drift, linkage disequilibrium, kinship, and msprime's fixed pedigree."""

import msprime
import numpy as np
import pytest
from scipy import stats

from pseudocohort.genome.mosaic import founder_at, trace_mosaic
from pseudocohort.genome.pedigree import Founders, make_pedigree
from pseudocohort.genome.recombination import make_recombination
from reproduction import line, random_pedigree, sexed_map

EVERYTHING = {"interference": 4.3, "escape": 0.1, "gene_conversion": 3e-8, "tract_length": 2000}


def test_segment_lengths_are_exponential():
    """First segments after G generations: exponential with rate G per Morgan, cut off at the chromosome's end."""
    generations, length = 8, 1.0
    mosaic = trace_mosaic(random_pedigree(6000, 3000, generations), line(length), "1", 5, device="cpu")
    several = np.flatnonzero(np.diff(mosaic.offset) > 1)
    first = mosaic.start[mosaic.offset[several] + 1] / 2**32 * length
    whole = 1 - len(several) / 6000
    assert abs(whole - np.exp(-generations * length)) < 2e-3  # expected 3e-4 of 6,000; false alarm < 1e-6
    law = stats.truncexpon(b=generations * length, scale=1 / generations)
    assert stats.kstest(first[::4], law.cdf).pvalue > 1e-4  # thinned, for relatives share crossovers
    assert abs(np.diff(mosaic.offset).mean() - 1 - generations * length) < 0.15  # 4 SE; merged pairs below 1 %


def test_founder_shares_follow_the_pedigree():
    pedigree, chromosomes = random_pedigree(12, 10, 4), 250
    expected = np.eye(12)
    for father, mother in zip(pedigree.father, pedigree.mother, strict=True):
        expected = (expected[father] + expected[mother]) / 2
    share = np.array(
        [_shares(trace_mosaic(pedigree, line(0.5), str(c), 1, device="cpu"), 12) for c in range(chromosomes)]
    )
    z = (share.mean(axis=0) - expected.mean(axis=0)) / (share.std(axis=0) / np.sqrt(chromosomes) + 1e-12)
    assert np.abs(z).max() < 4.5  # 12 founders, false alarm 1e-4
    assert share.std(axis=0).max() > 0.01


def _shares(mosaic, founders):
    length = np.append(mosaic.start[1:], 0).astype(np.uint32) - mosaic.start
    length = np.where(length == 0, 2.0**32, length)  # whole chromosomes
    return np.bincount(mosaic.founder // 2, weights=length, minlength=founders) / length.sum()


def _fixed_pedigree(pedigree, sequence_length):
    builder = msprime.PedigreeBuilder()
    rows = [builder.add_individual(time=pedigree.generations) for _ in pedigree.sex[0]]
    founders = np.array(rows)
    for g, (father, mother) in enumerate(zip(pedigree.father, pedigree.mother, strict=True), 1):
        rows = [
            builder.add_individual(
                time=pedigree.generations - g, parents=[rows[f], rows[m]], is_sample=g == pedigree.generations
            )
            for f, m in zip(father, mother, strict=True)
        ]
    return builder.finalise(sequence_length=sequence_length), founders, np.array(rows)


def test_agrees_with_msprimes_fixed_pedigree():
    """Segments a haplotype, and the share of a person's genome where both haplotypes are of one founder haplotype."""
    pedigree, replicates, length = random_pedigree(14, 12, 6), 120, 1.0
    tables, founders, children = _fixed_pedigree(pedigree, 100.0)
    theirs = np.array(
        [
            _msprime_numbers(ts, founders, children)
            for ts in msprime.sim_ancestry(
                initial_state=tables,
                model="fixed_pedigree",
                recombination_rate=length / 100,
                discrete_genome=False,
                num_replicates=replicates,
                random_seed=3,
            )
        ]
    )
    ours = np.array(
        [_our_numbers(trace_mosaic(pedigree, line(length), str(c), 1, device="cpu")) for c in range(replicates)]
    )
    z = (ours.mean(axis=0) - theirs.mean(axis=0)) / np.sqrt((ours.var(axis=0) + theirs.var(axis=0)) / replicates)
    assert np.abs(z).max() < 4.5  # two statistics, false alarm 2e-5
    assert ours.mean(axis=0)[1] > 0.02
    assert stats.ks_2samp(ours[:, 0], theirs[:, 0]).pvalue > 1e-4


def _msprime_numbers(ts, founders, children):
    """Mean segments a haplotype and mean autozygosity of the last generation of a msprime tree sequence."""
    founder_of = np.full(ts.num_nodes, -1)
    for i, individual in enumerate(founders):
        founder_of[ts.individual(individual).nodes] = [2 * i, 2 * i + 1]
    haplotypes = np.array([ts.individual(i).nodes for i in children])
    segments, autozygous, before = np.zeros(haplotypes.shape), 0.0, None
    for tree in ts.trees():
        now = np.empty(haplotypes.shape, dtype=int)
        for place, node in np.ndenumerate(haplotypes):
            while founder_of[node] < 0:
                node = tree.parent(node)
            now[place] = founder_of[node]
        segments += 1 if before is None else now != before
        autozygous += (now[:, 0] == now[:, 1]).mean() * tree.span / ts.sequence_length
        before = now
    return segments.mean(), autozygous


def _our_numbers(mosaic):
    starts = np.unique(mosaic.start)
    spans = np.diff(np.append(starts.astype(np.int64), 2**32)) / 2**32
    pairs = founder_at(mosaic, starts).reshape(len(starts), -1, 2)
    return np.diff(mosaic.offset).mean(), ((pairs[..., 0] == pairs[..., 1]).mean(axis=1) * spans).sum()


@pytest.fixture(scope="module")
def loci():
    """Founder haplotypes after 10 generations of random mating at constant N = 200: (replicate, locus, haplotype).

    Loci come in pairs 5 cM apart, every 50 cM on 8 chromosomes of 12 Morgans; 14 pedigrees.
    """
    first = (np.arange(24) + 0.5) / 24
    x = (np.sort(np.concatenate([first, first + 0.05 / 12])) * 2**32).astype(np.uint32)
    replicates = []
    for s in range(14):
        pedigree = random_pedigree(200, 200, 10, seed=s)
        replicates.append(
            np.concatenate(
                [founder_at(trace_mosaic(pedigree, line(12.0), str(c), s, device="cpu"), x) for c in range(8)]
            )
        )
    return np.array(replicates)


def test_drift_variance(loci):
    """Var(p') = p(1-p)(1-(1-1/2N)^G); equal numbers of each sex, so Ne = N (+ 1/2)."""
    rng = np.random.default_rng(1)
    before, after = [], []
    for replicate in loci:
        allele = rng.random((len(replicate), 400)) < 0.3
        before.append(allele.mean(axis=1))
        after.append(np.take_along_axis(allele, replicate, axis=1).mean(axis=1))
    before, after = np.array(before), np.array(after)
    expected = (before * (1 - before)).mean() * (1 - (1 - 1 / 400) ** 10)
    # 2,688 pairs of loci in 14 pedigrees: SE of a variance about 3 %, so 12 % is 4 SE
    assert abs(((after - before) ** 2).mean() / expected - 1) < 0.12


def test_linkage_disequilibrium_decays(loci):
    """D' = D (1-c)^G (1-1/2N)^G with Haldane's c = (1 - exp(-2d)) / 2."""
    rng = np.random.default_rng(2)
    decay = []
    for replicate in loci:
        allele = rng.random((192, 400)) < 0.5  # the same at both loci of a pair, so D = p(1-p)
        a = np.take_along_axis(allele, replicate[0::2], axis=1)
        b = np.take_along_axis(allele, replicate[1::2], axis=1)
        d = (a & b).mean(axis=1) - a.mean(axis=1) * b.mean(axis=1)
        decay.append((d / (allele.mean(axis=1) * (1 - allele.mean(axis=1)))).mean())
    c = (1 - np.exp(-0.1)) / 2
    expected = ((1 - c) * (1 - 1 / 400)) ** 10
    assert abs(np.mean(decay) / expected - 1) < 0.03  # SE by the spread of replicates about 0.6 %


def test_singletons_survive_as_theory_says(loci):
    """A founder haplotype's lineage is a branching process with Poisson(1) offspring: about 2 / (G + 2)."""
    alive = np.mean([[len(np.unique(locus)) / 400 for locus in replicate[::2]] for replicate in loci])
    q = 0.0
    for _ in range(10):
        q = np.exp(q - 1)
    assert abs(alive - (1 - q)) < 0.01
    assert abs(alive - 2 / 12) < 0.015


def test_balanced_mating_keeps_more_founder_haplotypes():
    x, founders, alive = (
        np.arange(100, dtype=np.uint32) << np.uint32(25),
        Founders.strangers(np.arange(200) % 2 + 1),
        {},
    )
    for mating in ("random", "balanced"):
        pedigree = make_pedigree(founders, 200, 10, mating, 1)
        mosaic = trace_mosaic(pedigree, line(10.0), "1", 1, device="cpu")
        alive[mating] = np.mean([len(np.unique(locus)) for locus in founder_at(mosaic, x)])
    assert alive["balanced"] > 1.4 * alive["random"]


def expected_kinship(pedigree):
    """Kinship of the last generation by the usual recursion, among founders that are all unrelated."""
    kinship = np.eye(len(pedigree.sex[0])) / 2
    for father, mother in zip(pedigree.father, pedigree.mother, strict=True):
        half = (kinship[father] + kinship[mother]) / 2  # of a child with the parents' generation
        following = (half[:, father] + half[:, mother]) / 2
        np.fill_diagonal(following, (1 + kinship[father, mother]) / 2)
        kinship = following
    return kinship


@pytest.mark.parametrize("models", [{}, EVERYTHING])
def test_kinship_and_inbreeding_follow_the_pedigree(models):
    """Haplotypes identical by descent at many loci, against the pedigree's kinship; false alarm 1e-4.

    60 chromosomes are independent; 325 coefficients, and 25 of inbreeding, each by its mean and spread over these.
    """
    pedigree, chromosomes, n = random_pedigree(16, 25, 5), 60, 25
    recombination = make_recombination(sexed_map(6.0, 8.0), "1", **models)
    x = ((np.arange(24) + 0.5) / 24 * 2**32).astype(np.uint32)
    found = np.empty((chromosomes, n, n))
    for c in range(chromosomes):
        founder = founder_at(trace_mosaic(pedigree, recombination, str(c), 1, device="cpu"), x)
        same = founder[:, :, None] == founder[:, None, :]
        found[c] = same.reshape(len(x), n, 2, n, 2).mean(axis=(0, 2, 4))
    expected = expected_kinship(pedigree)
    assert (np.diag(expected) > 0.55).any()  # some are inbred
    z = (found.mean(axis=0) - expected) / (found.std(axis=0, ddof=1) / np.sqrt(chromosomes))
    assert np.abs(z[np.triu_indices(n)]).max() < 5.5  # t with 59 degrees of freedom, 325 times
    assert abs((found.mean(axis=0) - expected).mean()) < 0.003
