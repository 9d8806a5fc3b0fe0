"""Attacks on genomes as the workflow runs them: who is attacked, what they find, and what is told of it."""

import json
import stat

import numpy as np
import pandas as pd
import pytest

from pseudocohort.cohort.maps import GeneticMap
from pseudocohort.disclosure import genome_attacks, genomes, hmm, kin, matching, packed, panels, roc
from pseudocohort.disclosure import genome_evidence as evidence
from pseudocohort.disclosure.evidence import needed_for_auc
from pseudocohort.errors import InputError
from pseudocohort.genome.descent import descent
from pseudocohort.genome.mosaic import Mosaic
from pseudocohort.genotypes import Genotypes, GenotypeWriter
from pseudocohort.measures.arrays import save_arrays
from pseudocohort.measures.catalogue import judged, note_of
from pseudocohort.measures.line import save_lines

SITES, FOUNDERS, HALF = 1500, 120, 60
MAP = GeneticMap("1", np.array([1, 30_000_000]), np.array([0.0, 30.0]))


def copied(ancestors: np.ndarray, number: int, length: float, rng) -> np.ndarray:
    """Haplotypes (sites, number) that copy one ancestor after the other, `length` sites each on average."""
    jump = rng.random((len(ancestors), number)) < 1 / length
    jump[0] = True
    start = np.maximum.accumulate(np.where(jump, np.arange(len(ancestors))[:, None], 0), axis=0)
    source = np.take_along_axis(rng.integers(ancestors.shape[1], size=jump.shape), start, axis=0)
    return np.take_along_axis(ancestors, source, axis=1).astype(np.int8)


def write(prefix, alleles: np.ndarray, lead: str) -> pd.DataFrame:
    """A .pgen triple of alleles (sites, 2 people); returns its sites. Sites that do not vary are left out."""
    kept = np.flatnonzero(alleles.any(axis=1))
    sites = pd.DataFrame({"chrom": "1", "pos": 20_000 * (kept + 1), "id": ".", "ref": "A", "alt": "C"})
    number = alleles.shape[1] // 2
    with GenotypeWriter(prefix, np.array([f"{lead}{i}" for i in range(number)]), np.zeros(number), len(kept)) as file:
        file.append(alleles[kept], sites)
    return sites


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Real people (founders, then halves A and B), and pseudo people who copy founders (leaking) or nobody (fair)."""
    folder, rng = tmp_path_factory.mktemp("cohort"), np.random.default_rng(5)
    frequency = rng.beta(0.4, 1.2, size=SITES)
    ancestors = (rng.random((SITES, 60)) < frequency[:, None]).astype(np.int8)
    real = copied(ancestors, 2 * (FOUNDERS + 2 * HALF), 40, rng)
    part = np.repeat(["train", "A", "B"], [FOUNDERS, HALF, HALF])
    people = pd.DataFrame({"person": [f"R{i}" for i in range(len(part))], "part": part, "stratum": "one"})
    people["family"] = [f"{p}{i // 2}" for i, p in enumerate(part)]
    write(folder / "real", real, "R")
    write(folder / "leaking", copied(real[:, : 2 * FOUNDERS], 300, 200, rng), "P")
    write(folder / "fair", copied(ancestors, 300, 40, rng), "P")
    return folder, people, real


def panel_of(people: pd.DataFrame, targets: int = 100, kin_of=()) -> panels.Panel:
    related = people.index.isin(kin_of)
    return panels.draw_panel(people, np.arange(FOUNDERS), related, targets, 1)


@pytest.fixture(scope="module")
def attacked(cohort):
    """The arrays of the attacks on the leaking and on the fair cohort."""
    folder, people, _ = cohort
    panel, found = panel_of(people), {}
    for name in ("leaking", "fair"):
        read = panels.read_panels(folder / "real", folder / name, MAP, "1", panel, np.arange(FOUNDERS), 1)
        found[name] = genome_attacks.attack_chromosome(read)
    return panel, found


def told(attacked, people: pd.DataFrame, name: str, change=lambda arrays: arrays):
    panel, found = attacked
    return evidence.genome_evidence([change(found[name])], panel, people["family"].to_numpy(dtype=str))


def test_panels_against_the_arrays_they_were_read_from(cohort):
    folder, people, real = cohort
    panel = panel_of(people)
    read = panels.read_panels(folder / "real", folder / "leaking", MAP, "1", panel, np.arange(FOUNDERS), 1)
    rows = np.flatnonzero(real.any(axis=1))
    unpack = {k: np.concatenate(list(p.blocks())) for k, p in read._asdict().items() if hasattr(p, "blocks")}
    for name in ("members", "nonmembers", "reference"):
        columns = np.stack([2 * getattr(panel, name), 2 * getattr(panel, name) + 1], axis=1).ravel()
        np.testing.assert_array_equal(unpack[name], real[rows][:, columns])
    assert (unpack["pseudo"].any(axis=1) == np.isin(rows, rows[unpack["pseudo"].any(axis=1)])).all()
    assert 0 < read.shared < len(rows)  # copies of founders lack alleles of the holdout
    assert (unpack["pseudo"][:, ::2].sum(axis=1) > 0).sum() <= read.shared
    born = unpack["relatives"]
    for child in range(panel.relatives):
        for side, parents in enumerate((unpack["members"], unpack["nonmembers"])):
            first, second = parents[:, 2 * child], parents[:, 2 * child + 1]
            gamete = born[:, 2 * child + side]
            assert ((gamete == first) | (gamete == second)).all()
            differ = np.flatnonzero(first != second)
            turns = np.count_nonzero(np.diff((gamete == first)[differ].astype(int)))
            assert turns <= 5  # of .3 Morgans
    changed = np.flatnonzero((unpack["leaky"] != unpack["pseudo"]).any(axis=0))
    planted = np.flatnonzero(panel.planted)
    sources = unpack["nonmembers"][:, np.stack([2 * planted, 2 * planted + 1], axis=1).ravel()]
    nearest = [(unpack["leaky"][:, [h]] != sources).mean(axis=0).min() for h in changed]
    assert len(changed) == 2 * len(planted)
    assert 0 < np.mean(nearest) < 0.003
    assert max(nearest) < 0.01


def test_batches_of_people_and_blocks_of_sites_find_the_same(cohort, attacked, monkeypatch, tmp_path):
    """Bit for bit: of twelve people and eight sites at once, and of all in memory; the leak and copies, too."""
    folder, _, _ = cohort
    panel, found = attacked
    monkeypatch.setattr(packed, "BATCH", 3)
    monkeypatch.setattr(packed, "ALLELES_AT_ONCE", 1)
    monkeypatch.setattr(hmm, "AT_ONCE", 100)
    monkeypatch.setattr(matching, "AT_ONCE", 50)
    read = panels.read_panels(folder / "real", folder / "leaking", MAP, "1", panel, np.arange(FOUNDERS), 1, tmp_path)
    inside = {k: packed.in_memory(p) for k, p in read._asdict().items() if isinstance(p, packed.Packed)}
    assert sum(1 for _ in read.pseudo.batches()) == 13
    assert sum(1 for _ in inside["pseudo"].batches()) == 1
    batched = genome_attacks.attack_chromosome(read)
    monkeypatch.undo()
    whole = genome_attacks.attack_chromosome(read._replace(**inside))
    assert set(batched) == set(whole) == set(found["leaking"])
    for name, values in batched.items():
        assert np.array_equal(values, whole[name]), name
        assert np.array_equal(values, found["leaking"][name]), name


def test_copies_of_founders_who_are_not_attacked_are_copies(cohort, tmp_path):
    folder, people, real = cohort
    panel = panel_of(people)
    spared = np.setdiff1d(np.arange(FOUNDERS), panel.members)[:6]
    fair = copied(real[:, 2 * FOUNDERS :], 300, 40, np.random.default_rng(15))
    fair[:, 60:72] = real[:, np.stack([2 * spared, 2 * spared + 1], axis=1).ravel()]
    fair[np.flatnonzero(real.any(axis=1))[30], 60] ^= 1  # a letter wrong: no copy of the chromosome, but near
    write(tmp_path / "copies", fair, "P")
    read = panels.read_panels(folder / "real", tmp_path / "copies", MAP, "1", panel, np.arange(FOUNDERS), 1)
    found = genome_attacks.copies(read)
    assert found["whole chromosome"] == pytest.approx([11 / 300, 0])
    assert found["near"] == pytest.approx([6 / 150, 0])
    members = genome_attacks.copies(read._replace(founders=read.members))
    assert members["whole chromosome"][0] == members["near"][0] == 0


def test_all_pseudo_people_are_compared(cohort):
    folder, people, _ = cohort
    read = panels.read_panels(folder / "real", folder / "fair", MAP, "1", panel_of(people), np.arange(FOUNDERS), 1)
    with Genotypes(folder / "fair") as made:
        assert read.pseudo.number == read.leaky.number == 2 * made.n_people


def test_children_cross_over_as_often_as_the_map_says():
    cm = np.linspace(0, 100, 500)
    children = panels._Children(400, cm, np.random.default_rng(1))
    parents = np.tile(np.array([0, 1], dtype=np.int8), (500, 400))
    born = np.concatenate([children.block(parents[k : k + 64], parents[k : k + 64], k) for k in range(0, 500, 64)])
    turns = np.abs(np.diff(born, axis=0)).sum(axis=0)
    assert abs(turns.mean() - 1) < 0.15  # 1 Morgan, 800 gametes: standard error .035
    assert abs(born.mean() - 0.5) < 0.04


def test_a_leak_is_found_and_no_leak_is_not(cohort, attacked):
    _, people, _ = cohort
    for name, leaks in (("leaking", True), ("fair", False)):
        lines, controls, _ = told(attacked, people, name)
        aucs = {m["subject"]: m for m in lines if m["key"] == "genome_membership"}
        assert set(aucs) == {*evidence.ATTACKS, evidence.ALL} == set(controls)
        relatives = {m["subject"]: m for m in lines if m["key"] == "relative_membership"}
        if leaks:
            assert aucs["haplotype matching"]["value"] > 0.9
            assert aucs[evidence.ALL]["interval"][0] > 0.8
            assert 0.5 < relatives["haplotype matching"]["value"] < aucs["haplotype matching"]["value"]
        else:
            assert all(abs(line["z"]) < 3.3 for line in aucs.values())
            assert judged([aucs[evidence.ALL]])[0]["verdict"] in ("within", "unclear")
        for kind in ("planted", "null"):
            assert all(controls[a][kind]["passed"] for a in ("haplotype matching", "copying model", evidence.ALL))


def test_the_nearest_neighbour_is_sought_in_both_panels(attacked):
    """Copies bring members nearer to the pseudo cohort alone; what the reference tells is taken out of the score."""
    panel, found = attacked
    m, n = len(panel.members), len(panel.nonmembers)
    made, known = (found["leaking"][f"found/{name} nearest"] for name in ("pseudo", "reference"))
    assert roc.auc_with_error(made[:m], made[m : m + n])[0] > 0.7
    assert abs(roc.judged_scores(known[:m], known[m : m + n]).z) < 3.3
    score = genomes.scores({"pseudo nearest": made, "reference nearest": known})["nearest"]
    assert abs(np.corrcoef(made, known)[0, 1]) > 0.1
    assert abs(np.corrcoef(score, known)[0, 1]) < 1e-6


def test_an_attack_whose_control_fails_is_no_evidence(cohort, attacked):
    _, people, _ = cohort
    panel, _ = attacked
    m, n = len(panel.members), len(panel.nonmembers)

    def without_leak(arrays):
        """The planted leak was not planted: the attacks cannot find it."""
        same = {k.replace("found/", "planted/"): v[m : m + n] for k, v in arrays.items() if k.startswith("found/")}
        return arrays | same

    lines, controls, _ = told(attacked, people, "leaking", without_leak)
    assert not any(control["planted"]["passed"] for control in controls.values())
    found = judged([line for line in lines if line["key"].endswith("membership")])
    assert {line["verdict"] for line in found} == {"not measurable"}
    assert {line["reason"] for line in found} <= {"control failed", "too few non-members"}

    def unequal(arrays):
        """One half of the non-members looks like members: the null finds what is not there."""
        rows = m + np.flatnonzero(panel.planted)
        raised = {k: v.copy() for k, v in arrays.items()}
        for name in raised:
            if name.startswith("found/pseudo") and "nearest" not in name:
                raised[name][rows] += 5 * (np.abs(raised[name]).max() + 1)
        return raised

    _, controls, _ = told(attacked, people, "leaking", unequal)
    assert not controls["haplotype matching"]["null"]["passed"]
    assert controls["allele frequencies"]["null"]["passed"]


def test_attacks_of_one_score_are_known_to_have_no_fitted_weights(attacked):
    _, found = attacked
    names = genomes.scores({k.removeprefix("found/"): v for k, v in found["fair"].items() if k.startswith("found/")})
    alone = {name for name, starts in evidence.ATTACKS.items() if sum(n.startswith(starts) for n in names) == 1}
    assert alone == set(evidence.PLAIN)


def test_few_people_are_not_judged_and_the_line_says_how_many_are_needed(cohort):
    folder, people, _ = cohort
    few = people[(people["part"] == "train") | (people.index % 3 == 0)].index
    small = people.assign(part=people["part"].where(people.index.isin(few), "not used"))
    panel = panel_of(small)
    assert len(panel.nonmembers) == 20
    read = panels.read_panels(folder / "real", folder / "leaking", MAP, "1", panel, np.arange(FOUNDERS), 1)
    lines, _, _ = evidence.genome_evidence([genome_attacks.attack_chromosome(read)], panel, people["family"].to_numpy())
    line = next(m for m in lines if m["key"] == "genome_membership" and m["subject"] == evidence.ALL)
    assert judged([line])[0]["verdict"] == "not measurable"
    assert line["reason"] == "too few people"
    needed = needed_for_auc(len(panel.members))
    assert f"20 non-members; {needed} give" in note_of(line | {"reason": None}, "en")


@pytest.mark.parametrize("members", [20, 200, 1000])
def test_needed_non_members_give_the_wanted_interval(members):
    needed, rng = needed_for_auc(members), np.random.default_rng(2)
    reach = []
    for n in (needed, needed // 2):
        m = max(members, n)
        aucs = [np.searchsorted(np.sort(rng.random(n)), rng.random(m)).mean() / n for _ in range(3000)]
        reach.append(1.96 * np.std(aucs))
    assert reach[0] == pytest.approx(0.05, rel=0.06)
    assert reach[1] > 0.06


def test_kinship_against_pairs_one_by_one():
    rng = np.random.default_rng(3)
    x = rng.binomial(2, rng.uniform(0.1, 0.9, (700, 1)), (700, 9)).astype(np.int8)
    found = kin.kinship(x, np.arange(4), np.arange(4, 9))
    for i in range(4):
        for j in range(5):
            a, b = x[:, i].astype(int), x[:, 4 + j].astype(int)
            expected = 0.5 - ((a - b) ** 2).sum() / (4 * min((a == 1).sum(), (b == 1).sum()))
            assert found[i, j] == pytest.approx(expected, abs=1e-5)


def test_kin_of_founders_in_the_holdout_are_left_out_and_counted():
    rng = np.random.default_rng(4)
    haplotypes = rng.random((3000, 2 * 80)) < rng.uniform(0.1, 0.9, (3000, 1))
    dosages = (haplotypes[:, ::2].astype(np.int8) + haplotypes[:, 1::2]).astype(np.int8)
    for holdout, founder in ((60, 0), (70, 1)):  # a founder's child, and another's
        dosages[:, holdout] = haplotypes[:, 2 * founder].astype(np.int8) + haplotypes[:, 2 * holdout]
    found = kin.kin_of_founders(dosages, np.arange(60, 80), np.arange(60))
    assert np.flatnonzero(found).tolist() == [0, 10]
    people = pd.DataFrame({"part": np.repeat(["train", "A", "B"], [60, 10, 10]), "stratum": "s", "family": range(80)})
    related = np.zeros(80, dtype=bool)
    related[60:] = found
    panel = panels.draw_panel(people, np.arange(60), related, 40, 1)
    assert panel.nonmembers.tolist() == list(range(61, 70))
    assert panel.reference.tolist() == list(range(71, 80))
    assert len(panel.members) == 40
    assert panel.members.max() < 60


def test_copies_draw_adversarial_accuracy_down(attacked):
    """Letter by letter: nobody copied is nearer to another founder. Of no copies: as near as the holdout."""
    _, found = attacked
    for kind, copied in (("leaking", True), ("fair", False)):
        for half in ("own founders", "own pseudo"):
            value, floor = found[kind][f"copies/{half}"]
            assert (value < floor - 0.2) == copied


@pytest.mark.parametrize(("number", "value"), [(0, 0), (1, None), (4, None), (5, 5)])
def test_fewer_than_five_kin_are_not_counted_out(attacked, number, value):
    _, found = attacked
    chromosome = found["leaking"] | {"carried": np.ones((2, 7), dtype=np.int64)}
    told = {"founders": 10, "length_cm": 30, "effective": 5.0, "lost": 0.1, "lost_everywhere": 0.0, "mean_cm": 3.0,
            "covering_cm": 5.0, "quantile_50": 2.0, "quantile_99": 9.0}  # fmt: skip
    lines = {m["key"]: m for m in evidence.exposure_lines([chromosome], [told], number)}
    assert lines["kin_moved"]["value"] == value
    assert lines["few_families"]["value"] == pytest.approx(4 / 7)


def test_the_halves_part_no_family_and_are_even():
    rng = np.random.default_rng(6)
    people = pd.DataFrame({"family": rng.integers(60, size=200), "stratum": "a"})
    people["stratum"] = np.where(people["family"] < 25, "a", "b")
    half = panels.even_half(people, rng)
    assert people.assign(half=half).groupby("family")["half"].nunique().max() == 1
    for stratum in "ab":
        assert abs(half[people["stratum"] == stratum].mean() - 0.5) < 0.1
    other = panels.even_half(people, np.random.default_rng(9))
    assert 0.3 < (half == other).mean() < 0.7


def test_alleles_by_carrying_families_against_a_loop(cohort):
    folder, people, real = cohort
    rows = np.flatnonzero(real.any(axis=1))
    released = np.flatnonzero(np.arange(len(rows)) % 3 > 0)
    family = people["family"].to_numpy()[:FOUNDERS]
    found, rare = genome_attacks.carrying_families(folder / "real", released, np.arange(FOUNDERS), family)
    expected, below = np.zeros((2, len(genome_attacks.FAMILIES)), dtype=int)
    for site in rows[released]:
        alleles = real[site, : 2 * FOUNDERS]
        minor = alleles if alleles.sum() <= FOUNDERS else 1 - alleles
        number = len({family[i // 2] for i in np.flatnonzero(minor)})
        if number:
            place = max(k for k, low in enumerate(genome_attacks.FAMILIES) if number >= low)
            expected[place] += 1
            below[place] += minor.mean() < 0.01
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(rare, below)
    assert found[:4].sum() > 20


def test_what_is_told_is_no_single_persons(cohort, attacked, tmp_path):
    _, people, _ = cohort
    panel, found = attacked
    lines, controls, arrays = told(attacked, people, "leaking")
    for name, values in arrays.items():
        if name.startswith("roc/"):
            assert values[0].min() >= 5 / len(panel.nonmembers) - 1e-12
        else:
            assert values.shape[1] <= len(panel.nonmembers if "holdout" in name else panel.members) // 5
    save_lines(tmp_path / "genomes.json", lines, controls=controls)
    text = (tmp_path / "genomes.json").read_text()
    assert not any(f'"{person}"' in text for person in people["person"])
    longest = np.sort(found["leaking"]["found/pseudo longest"][: len(panel.members)])
    top = next(m for m in lines if m["key"] == "longest_match" and "longest" in m["subject"])
    assert top["value"] == pytest.approx(longest[-5:].mean())
    numbers = [m["value"] for m in json.loads(text)["metrics"]]
    assert longest[-1] not in numbers


def test_what_is_found_of_single_people_is_for_the_owner_alone(attacked, tmp_path):
    panel, found = attacked
    genome_attacks.save_panel(tmp_path / "panel.npz", panel, 3)
    save_arrays(tmp_path / "chr1.npz", found["fair"], mode=0o600)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}
    again, moved = genome_attacks.load_panel(tmp_path / "panel.npz")
    assert moved == 3
    for one, other in zip(panel, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_files_without_a_common_site_are_refused(cohort, tmp_path):
    folder, people, _ = cohort
    sites = pd.DataFrame({"chrom": "1", "pos": [7, 9], "id": ".", "ref": "G", "alt": "T"})
    with GenotypeWriter(tmp_path / "other", np.array(["P1", "P2"]), np.zeros(2), 2) as file:
        file.append(np.ones((2, 4), dtype=np.int8), sites)
    panel = panel_of(people)
    with pytest.raises(InputError, match=r"real\.pvar and .*other\.pvar share no site"):
        panels.read_panels(folder / "real", tmp_path / "other", MAP, "1", panel, np.arange(FOUNDERS), 1)


def test_a_panel_without_non_members_is_refused(cohort):
    folder, people, _ = cohort
    panel = panel_of(people, kin_of=range(FOUNDERS, FOUNDERS + HALF))
    with pytest.raises(InputError, match="the attacks on genomes have no non-members") as error:
        panels.read_panels(folder / "real", folder / "fair", MAP, "1", panel, np.arange(FOUNDERS), 1)
    assert "config key holdout" in str(error.value)


def test_descent_against_a_loop():
    rng = np.random.default_rng(8)
    starts = [np.sort(np.append(0, rng.integers(1, 2**32, size=rng.integers(0, 6)))) for _ in range(400)]
    founder = [rng.integers(30, size=len(s)) for s in starts]
    offset = np.append(0, np.cumsum([len(s) for s in starts]))
    mosaic = Mosaic(offset, np.concatenate(starts).astype(np.uint32), np.concatenate(founder).astype(np.int32))
    told = descent(mosaic, 20, 50.0, places=40)
    effective, lost = [], []
    for x in np.arange(40) * 2**32 / 40:
        at = [f[np.searchsorted(s, x, side="right") - 1] for s, f in zip(starts, founder, strict=True)]
        share = np.bincount(at, minlength=40) / 400
        effective.append(1 / (share**2).sum())
        lost.append((share == 0).mean())
    assert told["effective"] == pytest.approx(np.mean(effective))
    assert told["lost"] == pytest.approx(np.mean(lost))
    assert told["lost_everywhere"] == pytest.approx(10 / 40)
    size = np.concatenate([np.diff(np.append(s, 2**32)) for s in starts]) * 50 / 2**32
    assert told["mean_cm"] == pytest.approx(size.mean())
    assert told["covering_cm"] == pytest.approx((size**2).sum() / size.sum())
    assert told["quantile_99"] == pytest.approx(np.quantile(size, 0.99))


def test_a_short_mosaic_tells_no_quantiles():
    mosaic = Mosaic(np.arange(5), np.zeros(4, np.uint32), np.array([0, 0, 3, -1], np.int32))
    told = descent(mosaic, 2, 0.0)
    assert (told["quantile_99"], told["covering_cm"]) == (None, None)
    assert told["effective"] == pytest.approx(9 / 5)
    assert told["lost"] == 0.5
