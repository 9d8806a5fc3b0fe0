"""Principal components against numpy and scikit-allel; structure, noise, long LD, relatives, parts of the cohort."""

import logging
from pathlib import Path

import allel
import numpy as np
import pandas as pd
import pytest

from pseudocohort.genetics import components
from pseudocohort.genetics.components import components_table, principal_components
from pseudocohort.genetics.ld import prune
from pseudocohort.genotypes import Genotypes, GenotypeWriter

PATHS = {"dense": 10_000, "iterated": 0}  # dense_up_to


def frequencies(rng, sites: int, fst: float, strata: int = 2) -> np.ndarray:
    """Frequencies (strata, sites) under the model of Balding and Nichols (1995)."""
    p = rng.uniform(0.1, 0.9, sites)
    return (
        p * np.ones((strata, 1))
        if fst == 0
        else rng.beta(p * (1 - fst) / fst, (1 - p) * (1 - fst) / fst, (strata, sites))
    )


def draw(rng, p: np.ndarray, stratum: np.ndarray) -> np.ndarray:
    """Alleles (sites, 2 people) of people whose frequencies are those of their stratum."""
    return (rng.random((2 * len(stratum), p.shape[1])) < p[np.repeat(stratum, 2)]).T.astype(np.int8)


def write(folder: Path, haplotypes: np.ndarray, chromosomes: tuple = ("1", "2"), every: int = 50_000) -> list[Path]:
    """The sites dealt out to chromosomes, as .pgen triples."""
    prefixes = []
    person = np.array([f"p{i}" for i in range(haplotypes.shape[1] // 2)])
    for chrom, part in zip(chromosomes, np.array_split(haplotypes, len(chromosomes)), strict=True):
        pos = 1_000_000 + every * np.arange(len(part))
        sites = pd.DataFrame({"chrom": chrom, "pos": pos, "id": ".", "ref": "A", "alt": "C"})
        with GenotypeWriter(folder / f"chr{chrom}", person, np.full(len(person), 2), len(sites)) as writer:
            writer.append(part, sites)
        prefixes.append(folder / f"chr{chrom}")
    return prefixes


def standardised(prefixes: list, rows: np.ndarray | None = None) -> np.ndarray:
    """Dosages (m, n) of the pruned sites less their mean, over sqrt(2pq)."""
    blocks = []
    for prefix in prefixes:
        with Genotypes(prefix, rows) as genotypes:
            kept = prune(prefix, rows, components.COMMON, components.R2, components.WINDOW)
            blocks.append(genotypes.dosages(0, genotypes.n_sites)[kept].astype(float))
    x = np.concatenate(blocks)
    mean = x.mean(axis=1, keepdims=True)
    return (x - mean) / np.sqrt(mean * (1 - mean / 2))


@pytest.fixture(scope="module")
def strata(tmp_path_factory):
    """300 people of three strata, 1,600 sites on two chromosomes and 300 on X; (prefixes, stratum)."""
    rng = np.random.default_rng(1)
    stratum = rng.choice(3, 300, p=[0.5, 0.3, 0.2])
    p = frequencies(rng, 1900, 0.03, 3)
    folder = tmp_path_factory.mktemp("strata")
    autosomes = write(folder, draw(rng, p[:, :1600], stratum))
    x = write(folder, draw(rng, frequencies(rng, 300, 0.3, 3), rng.permutation(stratum)), ("X",))
    return [*autosomes, *x], stratum


@pytest.mark.parametrize("dense_up_to", PATHS.values(), ids=PATHS)
def test_components_are_those_of_a_singular_value_decomposition(strata, dense_up_to):
    prefixes, _ = strata
    found = principal_components(prefixes, None, 2, 7, dense_up_to=dense_up_to)
    x = standardised(prefixes[:2])  # X is passed over
    _, size, turn = np.linalg.svd(x, full_matrices=False)
    expected = turn[:2].T * size[:2] / np.sqrt(len(x))
    expected *= np.sign(np.take_along_axis(expected, np.abs(expected).argmax(axis=0)[None], axis=0))
    np.testing.assert_allclose(found.eigenvalues, size[:2] ** 2 / len(x), rtol=1e-5)
    np.testing.assert_allclose(found.scores, expected, atol=2e-3 * np.abs(expected).max())
    assert found.sites == len(x)
    assert found.people == 300
    trace, squares = (size[2:] ** 2 / len(x)).sum(), (size[2:] ** 4 / len(x) ** 2).sum()
    y = squares / 297 / (trace / 297) ** 2 - 1
    assert found.edge == pytest.approx(trace / 297 * (1 + np.sqrt(y)) ** 2, rel=0.02)
    assert (found.eigenvalues > 1.2 * found.edge).all()


def test_components_are_those_of_scikit_allel(strata):
    prefixes, _ = strata
    dosages = []
    for prefix in prefixes[:2]:
        with Genotypes(prefix) as genotypes:
            dosages.append(genotypes.dosages(0, genotypes.n_sites)[prune(prefix, None, 0.05, 0.2, 1_000_000)])
    theirs, _ = allel.pca(np.concatenate(dosages), n_components=2, scaler="patterson")
    ours = principal_components(prefixes, None, 2, 7).scores
    for k in range(2):
        assert abs(np.corrcoef(theirs[:, k], ours[:, k])[0, 1]) > 1 - 1e-8


@pytest.mark.parametrize("dense_up_to", PATHS.values(), ids=PATHS)
def test_strata_lie_apart(strata, dense_up_to):
    prefixes, stratum = strata
    scores = principal_components(prefixes, None, 4, 7, dense_up_to=dense_up_to).scores
    assert scores.shape == (300, 4)
    design = np.eye(3)[stratum]
    explained = 1 - ((scores - design @ np.linalg.lstsq(design, scores, rcond=None)[0]) ** 2).sum(0) / (scores**2).sum(
        0
    )
    assert (explained[:2] > 0.9).all()
    assert (explained[2:] < 0.05).all()


@pytest.mark.parametrize("dense_up_to", PATHS.values(), ids=PATHS)
def test_neither_blocks_nor_the_order_of_reading_matter(strata, dense_up_to):
    prefixes, _ = strata
    rows = np.arange(20, 280)
    one, other = (
        principal_components(prefixes, rows, 3, 7, block_sites=size, dense_up_to=dense_up_to) for size in (17, 900)
    )
    again = principal_components(prefixes, rows, 3, 7, block_sites=17, dense_up_to=dense_up_to)
    np.testing.assert_array_equal(one.scores, again.scores)
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-4 * np.abs(one.scores).max())
    assert (one.scores[np.abs(one.scores).argmax(axis=0), range(3)] > 0).all()


@pytest.mark.parametrize("dense_up_to", PATHS.values(), ids=PATHS)
def test_without_structure_eigenvalues_end_at_the_edge(tmp_path, dense_up_to):
    rng = np.random.default_rng(2)
    prefixes = write(tmp_path, draw(rng, frequencies(rng, 3000, 0), np.zeros(400, dtype=int)))
    found = principal_components(prefixes, None, 3, 7, dense_up_to=dense_up_to)
    assert found.edge == pytest.approx((1 + np.sqrt(399 / found.sites)) ** 2, rel=0.05)
    # Tracy and Widom (1996), centred and scaled as by Johnstone (2001): 1 in 10,000 lie outside -5 to 4.5.
    roots = np.sqrt(found.sites - 1), np.sqrt(399)
    scale = sum(roots) * sum(1 / r for r in roots) ** (1 / 3) / found.sites
    deviate = (found.eigenvalues[0] - sum(roots) ** 2 / found.sites) / scale
    assert deviate < 4.5
    assert deviate > (-5 if dense_up_to else -15)  # the iteration ends before it finds the last of the noise


def long_stretch(rng, people: int) -> tuple[np.ndarray, np.ndarray]:
    """Alleles of 2,000 sites without structure, but 120 neighbours follow an inversion; and its dosage (people,)."""
    haplotypes = draw(rng, frequencies(rng, 2000, 0), np.zeros(people, dtype=int))
    inverted = rng.random(2 * people) < 0.4
    p = np.clip(0.5 + np.where(inverted, 0.2, -0.2) * np.ones((120, 1)), 0, 1)
    haplotypes[300:420] = rng.random(p.shape) < p
    return haplotypes, inverted.reshape(-1, 2).sum(axis=1)


def test_no_component_is_one_long_stretch_of_linkage(tmp_path):
    haplotypes, inversion = long_stretch(np.random.default_rng(3), 400)
    prefixes = write(tmp_path, haplotypes)
    _, _, turn = np.linalg.svd(standardised(prefixes), full_matrices=False)
    assert abs(np.corrcoef(turn[0], inversion)[0, 1]) > 0.9  # pruning alone lets it pass
    found = principal_components(prefixes, None, 4, 7)
    assert max(abs(np.corrcoef(found.scores[:, k], inversion)[0, 1]) for k in range(4)) < 0.3
    assert 100 < len(standardised(prefixes)) - found.sites < 300


def newcomers(rng, kind: str, haplotypes: np.ndarray, p: np.ndarray, stratum: np.ndarray) -> tuple:
    """80 people of a stratum and kinship to those of `haplotypes`: their alleles (sites, 160), strata, families."""
    theirs = rng.choice(2, 80)
    strange = draw(rng, p, theirs)
    parents = [rng.permutation(np.flatnonzero(stratum == s)) for s in theirs]
    family = np.arange(len(stratum) + 80)
    for child, (one, two) in enumerate(parent[:2] for parent in parents):
        columns, family[len(stratum) + child] = 2 * child + np.arange(2), family[one]
        turn = rng.integers(0, 2, (len(p.T), 2))
        mine, other = (haplotypes[:, [2 * parent, 2 * parent + 1]] for parent in (one, two))
        if kind == "sibs":  # each haplotype is shared along half of the genome
            strange[:, columns] = np.where(turn == 0, mine, strange[:, columns])
        elif kind != "strangers":
            strange[:, columns[0]] = np.take_along_axis(mine, turn[:, :1], axis=1)[:, 0]
        if kind == "children of two":
            strange[:, columns[1]] = np.take_along_axis(other, turn[:, 1:], axis=1)[:, 0]
            family[family == family[two]] = family[one]
    return strange, theirs, family


@pytest.mark.parametrize(
    ("kind", "short"), [("strangers", 0.9), ("sibs", 0.95), ("children of one", 0.95), ("children of two", None)]
)
def test_projected_people_lie_where_their_stratum_does(tmp_path, kind, short):
    """Distance of the strata among the projected over that among those who made the axes: 1, sd about 0.015."""
    rng = np.random.default_rng(4)
    stratum = rng.permutation(np.repeat([0, 1], [150, 100]))
    p = frequencies(rng, 3000, 0.02)
    haplotypes = draw(rng, p, stratum)
    others, theirs, family = newcomers(rng, kind, haplotypes, p, stratum)
    prefixes = write(tmp_path, np.hstack([haplotypes, others]), every=1_100_000)
    made, strata = np.arange(330) < 250, np.concatenate([stratum, theirs])

    def ratio(score):
        apart = [score[who & (strata == 1)].mean() - score[who & (strata == 0)].mean() for who in (~made, made)]
        return apart[0] / apart[1]

    found = principal_components(prefixes, None, 2, 7, unrelated=made, family=family)
    plain = score_by_projection(prefixes, made)
    np.testing.assert_allclose(np.abs(found.scores[made, 0]), np.abs(plain[made]) / np.sqrt(found.sites), atol=1e-4)
    assert found.people == 250
    assert ratio(found.scores[:, 0]) == pytest.approx(1, abs=0.06)
    if short:
        assert ratio(plain) < short
    else:
        assert ratio(plain) == pytest.approx(1, abs=0.06)
        strange = principal_components(prefixes, None, 2, 7, unrelated=made)
        assert ratio(strange.scores[:, 0]) > 1.1  # what is right for strangers is too much for children


def score_by_projection(prefixes: list, made: np.ndarray) -> np.ndarray:
    """First component of those who made the axes, and others by loadings alone."""
    blocks = []
    for prefix in prefixes:
        with Genotypes(prefix) as genotypes:
            kept = prune(prefix, np.flatnonzero(made), 0.05, 0.2, 1_000_000)
            blocks.append(genotypes.dosages(0, genotypes.n_sites)[kept].astype(float))
    x = np.concatenate(blocks)
    mean = x[:, made].mean(axis=1, keepdims=True)
    x = (x - mean) / np.sqrt(mean * (1 - mean / 2))
    left, _, _ = np.linalg.svd(x[:, made], full_matrices=False)
    return left[:, 0] @ x


def test_what_cannot_be_estimated_is_said_and_left_out(strata, tmp_path, caplog):
    prefixes, _ = strata
    with caplog.at_level(logging.INFO, "pseudocohort"):
        few = principal_components(prefixes, np.arange(39), 4, 7)
        assert few.scores.shape == (39, 3)
        assert "3 instead of 4, as 39 people are unrelated" in caplog.text
        assert principal_components(prefixes, np.arange(9), 4, 7).scores.shape == (9, 0)
        assert principal_components(prefixes[2:], None, 4, 7).scores.shape == (300, 0)  # X alone
        assert "none, as 0 common sites" in caplog.text
        constant = write(tmp_path, np.ones((200, 100), dtype=np.int8))
        assert principal_components(constant, None, 4, 7).scores.shape == (50, 0)
    caplog.clear()
    found = principal_components(prefixes, np.arange(200), 4, 7)
    assert found.scores.shape == (200, 4)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


@pytest.fixture
def cohort(strata):
    """People table of the 300: founders and holdout in turn of 5, some sibs without parents in the table."""
    n = 300
    person = [f"p{i}" for i in range(n)]
    family = np.where(np.arange(n) < 20, np.arange(n) // 2, np.arange(n)).astype(str)
    part = np.where(np.isin(np.arange(n) // 2 % 5, [1]), "A", "train")
    table = pd.DataFrame({"person": person, "family": family, "father": "", "mother": "", "part": part})
    first = ~table["family"].duplicated()
    return table.assign(unrelated=first & (table["part"] == "train"))


def test_founders_and_holdout_have_axes_of_their_own(strata, cohort, tmp_path):
    prefixes, _ = strata
    table, report = components_table("real", cohort, prefixes, 4, 7)
    assert list(table.columns) == ["person", "PC1", "PC2", "PC3", "PC4"]
    assert table["person"].tolist() == cohort["person"].tolist()
    assert table.notna().all(axis=None)
    train = (cohort["part"] == "train").to_numpy()
    assert report["real"]["people"] == train.sum() == 240
    assert report["real"]["unrelated"] == cohort["unrelated"].sum() < 240
    assert report["holdout"]["people"] == 60
    assert report["holdout"]["unrelated"] < 60
    assert len(report["holdout"]["eigenvalues"]) == 4
    with Genotypes(prefixes[0]) as one, Genotypes(prefixes[1]) as two:
        haplotypes = np.vstack([g.haplotypes(0, g.n_sites) for g in (one, two)])
    changed = haplotypes.copy()
    changed[:, np.repeat(~train, 2)] = haplotypes[:, np.repeat(~train, 2)][:, ::-1]  # other people in the holdout
    again, _ = components_table("real", cohort, write(tmp_path, changed), 4, 7)
    founders = table.set_index("person")[train]
    pd.testing.assert_frame_equal(again.set_index("person")[train], founders)
    assert not np.allclose(again.set_index("person")[~train], table.set_index("person")[~train])


def test_pseudo_people_none_wanted_and_fewer_in_the_holdout(strata, cohort):
    prefixes, _ = strata
    table, report = components_table("synthetic", cohort, prefixes, 2, 7)
    assert table.shape == (300, 3)
    assert set(report) == {"synthetic"}
    assert report["synthetic"]["unrelated"] == 300
    assert len(report["synthetic"]["eigenvalues"]) == 2
    none, report = components_table("real", cohort, prefixes, 0, 7)
    assert list(none.columns) == ["person"]
    assert report == {}
    small = cohort.assign(part=np.where(np.arange(300) < 279, "train", "B"))
    table, _ = components_table("real", small, prefixes, 4, 7)
    assert table["PC2"].notna().all()
    assert table["PC3"].isna().sum() == 21
