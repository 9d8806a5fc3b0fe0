"""Attacks on genomes: each finds a planted leak and nothing among independent people."""

import numpy as np
import pytest
from scipy.stats import norm

from pseudocohort.disclosure import combined, frequencies, genomes, learned, packed, rare_alleles, roc

SITES, PEOPLE, ANCESTORS = 2500, 150, 60
CM = np.cumsum(np.random.default_rng(0).exponential(6 / SITES, SITES))


def draw(rng, ancestors, people, changes=4.0, private=0.0015):
    """Mosaics of ancestors with `changes` a cM, and a few letters of their own: int8 (sites, 2 people)."""
    number = 2 * people
    change = rng.random((SITES, number)) < -np.expm1(-changes * np.diff(CM, prepend=0))[:, None]
    change[0] = True
    drawn = rng.integers(ancestors.shape[1], size=(SITES, number))
    latest = np.maximum.accumulate(np.where(change, np.arange(SITES)[:, None], 0), axis=0)
    copied = np.take_along_axis(drawn, latest, axis=0)
    alleles = np.take_along_axis(ancestors, copied, axis=1)
    return (alleles ^ (rng.random((SITES, number)) < private)).astype(np.int8)


@pytest.fixture(scope="module")
def cohort():
    """members, non-members, reference and independent people of one population."""
    rng = np.random.default_rng(1)
    frequency = rng.beta(0.3, 1.2, (SITES, 1))
    frequency[::2] = 0  # rare alleles alone
    ancestors = (rng.random((SITES, ANCESTORS)) < frequency).astype(np.int8)
    return [draw(rng, ancestors, PEOPLE) for _ in range(4)]


def leaking(members, independent, share, noise, seed=3):
    """Independent haplotypes, some rows replaced by members' (every member has one if share is .5), noise on top."""
    rng = np.random.default_rng(seed)
    made = independent.copy()
    rows = rng.permutation(2 * PEOPLE)[: round(2 * share * PEOPLE)]
    made[:, rows] = members[:, rows]
    return made ^ (rng.random(made.shape) < noise).astype(np.int8)


@pytest.fixture(scope="module")
def planted(cohort):
    members, nonmembers, reference, independent = cohort
    return genomes.attack_scores(members, nonmembers, leaking(members, independent, 0.5, 0.0002), reference, CM)


@pytest.fixture(scope="module")
def null(cohort):
    members, nonmembers, reference, independent = cohort
    return genomes.attack_scores(members, nonmembers, independent, reference, CM)


ATTACKS = {
    "match longest": 0.75,
    "match sum>0.5": 0.75,
    "match sum>2": 0.75,
    "match mean log": 0.75,
    "match covered>1": 0.75,
    "match log over": 0.75,
    "match excess": 0.75,
    "match stitched longest": 0.75,
    "match stitched sum>2": 0.75,
    "hmm": 0.75,
    "hmm difference": 0.75,
    "windows 0.1": 0.7,
    "windows 0.5": 0.75,
    "frequencies": 0.65,
    "rare alleles": 0.6,
    "nearest": 0.7,
    "learned": 0.75,
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_planted_leak_is_found(planted, attack):
    judged = roc.judged_scores(*planted[attack])
    assert judged.auc > ATTACKS[attack]
    assert judged.interval[0] > 0.5


def test_the_null_is_not_found(null):
    """Of all attacks together a false alarm has a chance of 1 %: z beyond Bonferroni's bound."""
    assert set(ATTACKS) <= set(null)
    bound = norm.isf(0.01 / 2 / len(null))
    assert max(abs(roc.judged_scores(*pair).z) for pair in null.values()) < bound
    assert all(np.ptp(np.concatenate(null[name])) > 0 for name in ATTACKS if "sum>2" not in name)


def test_all_attacks_together_find_the_leak_and_not_the_null(planted, null):
    assert roc.judged_scores(*combined.combine(planted)).auc > 0.85
    assert roc.judged_scores(*combined.combine(null)).interval[0] < 0.5 + 0.03


def test_noise_cuts_exact_matches_but_hardly_stitched_ones_or_copying(cohort):
    members, nonmembers, reference, independent = cohort
    made = leaking(members, independent, 0.5, 0.004)
    found = genomes.attack_scores(members, nonmembers, made, reference, CM, attacks=("match", "hmm"))
    auc = {name: roc.auc_with_error(*pair)[0] for name, pair in found.items()}
    assert auc["match stitched sum>2"] > auc["match sum>2"] + 0.05
    assert auc["hmm"] > auc["match sum>2"] + 0.1


def test_relatives_stand_between_members_and_others(cohort):
    members, nonmembers, reference, independent = cohort
    rng = np.random.default_rng(5)
    children = nonmembers[:, rng.permutation(2 * PEOPLE)].copy()
    for child in range(PEOPLE):
        side = (rng.integers(2) + np.cumsum(rng.random(SITES) < np.diff(CM, prepend=0) / 100)) % 2
        children[:, 2 * child] = members[np.arange(SITES), 2 * child + side]
    made = leaking(members, independent, 1.0, 0.001)
    found = genomes.attack_scores(
        members, nonmembers, made, reference, CM, children, attacks=("match", "nearest", "learned")
    )
    for name in ("match covered>1", "match mean log", "nearest", "learned"):
        own, others, relatives = found[name]
        assert np.mean(own) > np.mean(relatives) > np.mean(others)
        assert roc.judged_scores(relatives, others).interval[0] > 0.5


def test_a_reference_panel_of_another_size_serves(cohort):
    members, nonmembers, reference, independent = cohort
    made = leaking(members, independent, 0.5, 0.001)
    found = genomes.attack_scores(members, nonmembers, made, reference[:, :120], CM)
    assert roc.judged_scores(*found["match covered>1"]).auc > 0.7
    null = genomes.attack_scores(members, nonmembers, independent, reference[:, :120], CM)
    assert max(abs(roc.judged_scores(*pair).z) for pair in null.values()) < norm.isf(0.01 / 2 / len(null))


def test_chromosomes_add_up(cohort):
    """Two chromosomes know more than one; what is called longest is the longest of all."""
    members, nonmembers, reference, independent = cohort
    made = leaking(members, independent, 0.1, 0.0)
    targets = packed.join(packed.pack(members), packed.pack(nonmembers))
    halves = []
    for at in (slice(0, SITES // 2), slice(SITES // 2, SITES)):
        parts = (packed.select(targets, np.arange(SITES)[at]), packed.pack(made[at]), packed.pack(reference[at]))
        halves.append(genomes.statistics(*parts, CM[at]))
    total = genomes.add(halves)
    assert total["pseudo sum>0.5"] == pytest.approx(halves[0]["pseudo sum>0.5"] + halves[1]["pseudo sum>0.5"])
    assert total["pseudo longest"].tolist() == np.maximum(*(h["pseudo longest"] for h in halves)).tolist()
    whole = genomes.statistics(targets, packed.pack(made), packed.pack(reference), CM, attacks=("alleles", "nearest"))
    assert total["frequencies"] == pytest.approx(whole["frequencies"], abs=1e-3)
    found = genomes.scores(total)
    assert set(found) == set(genomes.scores(halves[0]))
    auc = roc.auc_with_error(found["hmm"][:PEOPLE], found["hmm"][PEOPLE:])[0]
    assert auc > roc.auc_with_error(*np.split(genomes.scores(halves[0])["hmm"], 2))[0] - 0.03


def test_sites_that_pseudo_people_do_not_carry_are_not_compared(cohort):
    """A site that was not released must break no match."""
    members, nonmembers, reference, independent = cohort
    made = independent.copy()
    made[::3] = 0
    some = np.any(made, axis=1)
    groups = (members, nonmembers, made, reference)
    attacks = ("match", "windows", "hmm", "nearest")
    whole = genomes.attack_scores(*groups, CM, attacks=attacks)
    part = genomes.attack_scores(*(g[some] for g in groups), CM[some], attacks=attacks)
    assert set(whole) == set(part) != set()
    for name in whole:
        assert np.array_equal(whole[name], part[name])


def test_frequency_ratio_is_the_likelihood_ratio(cohort):
    members, _, reference, independent = cohort
    a, b = independent.sum(axis=1), reference.sum(axis=1)
    p, q = (a + 0.5) / (2 * PEOPLE + 1), (b + 0.5) / (2 * PEOPLE + 1)
    x = members[:, :2].T.astype(float)
    by_hand = (x * np.log(p / q) + (1 - x) * np.log((1 - p) / (1 - q))).sum()
    sums = genomes.allele_sums(*map(packed.pack, (members, independent, reference)))
    assert sums["frequencies"][0] == pytest.approx(by_hand, abs=1e-3)
    weights, constant = frequencies.likelihood_ratio(p, q)
    assert x[0] @ weights + x[1] @ weights + 2 * constant == pytest.approx(by_hand)


def test_rare_alleles_are_counted_whichever_letter_is_the_rare_one():
    pseudo, reference = np.array([1, 0, 199, 100, 200, 2]), np.array([0, 1, 200, 100, 199, 3])
    weights, constants = rare_alleles.sharing_weights(pseudo, reference, (200, 200))
    carrier = np.array([1, 1, 0, 1, 0, 0])
    shared = carrier @ weights + constants
    # Shared with pseudo: site 0 (none of the reference's) and the zero of site 2; with the reference: sites 1 and 4.
    assert shared == pytest.approx([-2 * np.log(0.5 / 201)] * 2)
    swapped, other = rare_alleles.sharing_weights(200 - pseudo, 200 - reference, (200, 200))
    assert (1 - carrier) @ swapped + other == pytest.approx(shared)


def test_the_reference_is_taken_off_without_knowing_members():
    rng = np.random.default_rng(7)
    known = rng.normal(size=500)
    made = 3 + 0.7 * known + rng.normal(size=500)
    left = genomes.without_reference(made, known)
    assert np.corrcoef(left, known)[0, 1] == pytest.approx(0, abs=1e-12)
    assert left == pytest.approx(made - np.polyfit(known, made, 1)[0] * (known - known.mean()))
    assert genomes.without_reference(made, np.ones(500)).tolist() == made.tolist()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda g: g.update(cm=CM[::-1]), "the genetic map must ascend"),
        (lambda g: g.update(cm=CM[:-1]), r"differ in sites: \[2499, 2500\]"),
        (lambda g: g.update(pseudo=g["pseudo"][:, :-1]), "two haplotypes each"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(cohort, change, text):
    given = dict(zip(("members", "nonmembers", "pseudo", "reference"), cohort, strict=True)) | {"cm": CM}
    change(given)
    with pytest.raises(ValueError, match=text):
        genomes.attack_scores(**given)


def test_cells_count_windows_and_alleles_by_carriers():
    rng = np.random.default_rng(8)
    base = (rng.random((200, 5)) < 0.5).astype(np.int8)
    own, made, known = (base[:, rng.integers(5, size=n)] ^ (rng.random((200, n)) < 0.02) for n in (6, 40, 24))
    cm = np.sort(rng.uniform(0, 1, 200))
    found = learned.window_cells(*map(packed.pack, (own, made, known)), cm, 0.1)
    expected = np.zeros((3, learned.CLASSES**2))
    number = np.floor(cm / 0.1)
    for w in set(number):
        at = number == w
        for h in range(6):
            p, q = (sum((panel[at, k] == own[at, h]).all() for k in range(panel.shape[1])) for panel in (made, known))
            expected[h // 2, learned.CLASSES * int(p).bit_length() + int(q).bit_length()] += 1
    assert np.array_equal(found, expected)
    assert (expected.sum(axis=0) > 0).sum() > 5
    carried = learned.allele_cells(*map(packed.pack, (own, made, known)))
    a, b = made.sum(axis=1), known.sum(axis=1)
    flip = a + b > 32
    a, b, x = np.where(flip, 40 - a, a), np.where(flip, 24 - b, b), np.where(flip[:, None], 1 - own, own)
    expected = np.zeros((3, learned.CLASSES**2))
    for site in range(200):
        cell = learned.CLASSES * int(a[site]).bit_length() + int(b[site]).bit_length()
        expected[:, cell] += x[site].reshape(3, 2).sum(axis=1)
    assert carried == pytest.approx(expected, abs=1e-4)


def test_what_is_learned_finds_a_threshold_that_single_scores_miss(cohort):
    """Pseudo people carry what members carry, unless fewer than three do: presence at a low count tells, and a sum of
    log frequencies hardly."""
    members, nonmembers, reference, _ = cohort
    made = np.zeros_like(members)
    rng = np.random.default_rng(9)
    number = np.floor(CM / 0.1)
    for w in np.unique(number):
        at = np.flatnonzero(number == w)
        kinds, count = np.unique(members[at], axis=1, return_counts=True)
        some = np.flatnonzero(count >= 3)
        made[at] = kinds[:, rng.choice(some, 2 * PEOPLE, p=count[some] / count[some].sum())] if len(some) else 0
    found = genomes.attack_scores(members, nonmembers, made, reference, CM)
    assert roc.judged_scores(*found["learned"]).interval[0] > 0.55
    assert roc.auc_with_error(*found["match longest"])[0] < roc.auc_with_error(*found["learned"])[0] - 0.05
