"""The built-in demo cohort: genomes that obey Mendel, items that obey the dictionary, a truth that adds up."""

import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import allel
import cyvcf2
import msprime
import numpy as np
import pandas as pd
import pytest

from pseudocohort.cohort.dates import days_of
from pseudocohort.cohort.demo_design import DEMO_ITEMS, FACTORS
from pseudocohort.cohort.demo_genomes import drop_genes, japanese_demography, make_demo_chromosome, make_demo_map
from pseudocohort.cohort.demo_items import make_demo_items
from pseudocohort.cohort.demo_people import (
    generations,
    make_ages,
    make_demo_people,
    parent_rows,
    read_demo_people,
    write_demo_people,
)
from pseudocohort.cohort.dictionary import read_dictionary, structurally_missing
from pseudocohort.errors import InputError

SETTINGS = {"people": 300, "megabases": 2.0, "sites": 1200}
SEED = 11
CHROMOSOMES = ("20", "X")


def make_demo(folder: Path, settings: dict, seed: int) -> SimpleNamespace:
    people = make_demo_people(settings, seed)
    vcf = {c: folder / f"chr{c}.vcf.gz" for c in CHROMOSOMES}
    for c in CHROMOSOMES:
        make_demo_chromosome(people, c, settings, seed, vcf[c], folder / f"chr{c}.map.gz")
    make_demo_items(people, list(vcf.values()), settings, seed, folder)
    return SimpleNamespace(people=people, vcf=vcf, folder=folder)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return make_demo(tmp_path_factory.mktemp("demo"), SETTINGS, SEED)


def read_haplotypes(path: Path) -> tuple[list[tuple], np.ndarray]:
    """Sites (chrom, pos, ref, alts) and alleles (sites, people, 2), -2 as the second of a haploid call."""
    records = [((r.CHROM, r.POS, r.REF, tuple(r.ALT)), r.genotype.array()) for r in cyvcf2.VCF(str(path))]
    calls = np.array([call for _, call in records])
    diploid = calls[:, :, 1] >= 0
    assert (calls[:, :, 0] >= 0).all()
    assert calls[:, :, 2][diploid].all(), "every diploid call is phased"
    return [site for site, _ in records], calls[:, :, :2]


@pytest.fixture(scope="module")
def haplotypes(demo):
    return {c: read_haplotypes(path) for c, path in demo.vcf.items()}


@pytest.fixture(scope="module")
def phenotypes(demo):
    table = pd.read_csv(demo.folder / "phenotypes.tsv", sep="\t", dtype=str, keep_default_na=False)
    return table.set_index("person").loc[demo.people["person"]]


def test_people_are_families_among_singles():
    people = make_demo_people({"people": 2000}, 1)
    assert len(people) == people["person"].nunique() == 2000
    assert people["person"].tolist() == [f"DEMO{i + 1:04d}" for i in range(2000)]
    assert 0.58 < (people["family"] == "").mean() < 0.62
    members = people[people["family"] != ""]
    assert (members.groupby("family")["stratum"].nunique() == 1).all()
    assert (people["stratum"] == "coast").sum() == 1200
    row = people.set_index("person")
    for column, sex in (("father", "male"), ("mother", "female")):
        named = people[people[column] != ""]
        assert (row.loc[named[column], "sex"] == sex).all()
        assert (row.loc[named[column], "family"].to_numpy() == named["family"].to_numpy()).all()
    assert ((people["father"] == "") == (people["mother"] == "")).all()
    above, _ = generations(*parent_rows(people))
    assert people.loc[above == 2, "family"].nunique() > 60
    # Ids tell no family: neighbours in the sheet are relatives no oftener than by chance (about 0.03 %).
    family = people["family"].to_numpy()
    assert ((family[1:] == family[:-1]) & (family[1:] != "")).sum() < 8


@pytest.mark.parametrize("size", [60, 2000])
def test_parents_are_older_than_their_children(size):
    people = make_demo_people({"people": size}, 2)
    age = pd.Series(make_ages(people, 2), index=people["person"])
    assert age.between(20, 90).all()
    for column in ("father", "mother"):
        child = people[people[column] != ""]
        gap = age.loc[child[column]].to_numpy() - age.loc[child["person"]].to_numpy()
        assert (gap >= 20).all()
        assert (gap <= 45).all()


def test_sample_sheet_survives_writing(tmp_path):
    people = make_demo_people({"people": 80}, 3)
    write_demo_people(tmp_path / "samples.tsv", people)
    pd.testing.assert_frame_equal(read_demo_people(tmp_path / "samples.tsv"), people, check_dtype=False)


def test_autosomes_obey_mendel_with_phase(demo, haplotypes):
    _, alleles = haplotypes["20"]
    assert (alleles >= 0).all()
    father, mother = parent_rows(demo.people)
    assert (father >= 0).sum() > 40
    for child in np.flatnonzero(father >= 0):
        for copy, parent in ((0, father[child]), (1, mother[child])):
            assert (alleles[:, child, copy, None] == alleles[:, parent]).any(axis=1).all()
    # Phase: a gamete changes between its parent's two haplotypes at crossovers only, 2.6 cM a gamete.
    # Expected about 2 to 3 changes in all (mean 0.026 x gametes); more than 15 has probability < 1e-5.
    changes = 0
    for child in np.flatnonzero(father >= 0):
        for copy, parent in ((0, father[child]), (1, mother[child])):
            informative = alleles[:, parent, 0] != alleles[:, parent, 1]
            source = alleles[informative, child, copy] == alleles[informative, parent, 1]
            changes += (np.diff(source.astype(int)) != 0).sum()
    assert changes <= 15


def test_x_goes_by_sex(demo, haplotypes):
    _, alleles = haplotypes["X"]
    male = (demo.people["sex"] == "male").to_numpy()
    assert (alleles[:, male, 1] == -2).all()
    assert (alleles[:, ~male, 1] >= 0).all()
    father, mother = parent_rows(demo.people)
    sons, daughters = np.flatnonzero((father >= 0) & male), np.flatnonzero((father >= 0) & ~male)
    assert min(len(sons), len(daughters)) > 10
    for child in sons:
        assert (alleles[:, child, 0, None] == alleles[:, mother[child]]).any(axis=1).all()
    for child in daughters:
        assert (alleles[:, child, 0] == alleles[:, father[child], 0]).all()
        assert (alleles[:, child, 1, None] == alleles[:, mother[child]]).any(axis=1).all()


@pytest.mark.parametrize(("chrom", "line", "sites"), [("Y", "father", 60), ("MT", "mother", 40)])
def test_y_and_mt_pass_whole_in_one_line(tmp_path, demo, chrom, line, sites):
    make_demo_chromosome(demo.people, chrom, SETTINGS, SEED, tmp_path / "a.vcf.gz", tmp_path / "a.map.gz")
    calls = np.array([r.genotype.array()[:, :-1] for r in cyvcf2.VCF(str(tmp_path / "a.vcf.gz"))])
    assert calls.shape[2] == 1, "every call is haploid"
    # Mutations are Poisson(60) or Poisson(40), but for the few joined to multi-allelic sites: 5 sd.
    assert abs(len(calls) - sites) < 5 * np.sqrt(sites)
    male = (demo.people["sex"] == "male").to_numpy()
    there = male if chrom == "Y" else np.ones(len(male), dtype=bool)
    assert (calls[:, ~there] == -1).all()
    assert ((calls[:, there] >= 0) & (calls[:, there] <= 2)).all()
    assert (calls[:, there] > 0).any(axis=(1, 2)).all()
    father, mother = parent_rows(demo.people)
    parent = father if line == "father" else mother
    children = np.flatnonzero((parent >= 0) & there)
    assert len(children) > 10
    assert np.array_equal(calls[:, children], calls[:, parent[children]])
    haplotypes = {bytes(h) for h in calls[:, there, 0].T.astype(np.uint8)}
    assert len(haplotypes) > 5
    # No crossovers: the four-gamete test finds no pair of biallelic sites with all four.
    biallelic = calls[calls.max(axis=(1, 2)) == 1][:, there, 0]
    for i, one in enumerate(biallelic):
        for other in biallelic[:i]:
            assert len(set(zip(one.tolist(), other.tolist(), strict=True))) < 4


def test_gene_drop_makes_crossovers_where_the_map_says():
    # One couple, wholly heterozygous parents (haplotypes all 0 and all 1), 400 children, 150 cM: crossovers a gamete
    # are Poisson(1.5), so 1.5 +- 4 sd of the mean over 800 gametes; positions uniform in cM.
    children = 400
    people = pd.DataFrame(
        {
            "person": [f"P{i}" for i in range(children + 2)],
            "sex": ["male", "female"] * (children // 2 + 1),
            "father": ["", ""] + ["P0"] * children,
            "mother": ["", ""] + ["P1"] * children,
        }
    )
    cm = np.concatenate([np.linspace(0, 30, 2000), np.linspace(30.1, 150, 2000)])
    founders = np.tile(np.array([[0], [1]], dtype=np.uint8), (2, len(cm)))
    gametes = drop_genes(people, "20", founders, cm, 5)[4:]
    change = np.diff(gametes.astype(int), axis=1) != 0
    count = change.sum(axis=1)
    assert abs(count.mean() - 1.5) < 4 * np.sqrt(1.5 / len(count))
    assert abs(change[:, :1999].sum() / change.sum() - 0.2) < 4 * np.sqrt(0.16 / change.sum())
    assert abs(gametes[:, 0].mean() - 0.5) < 4 * 0.5 / np.sqrt(len(gametes))
    fathers_x = drop_genes(people, "X", founders, cm, 5)[4:][0::2]
    assert (np.diff(fathers_x[1::2].astype(int), axis=1) == 0).all(), "a father's X does not recombine"


def test_spectrum_is_that_of_sequencing(haplotypes):
    sites, alleles = haplotypes["20"]
    assert abs(len(sites) - SETTINGS["sites"]) < 5 * np.sqrt(SETTINGS["sites"])
    count = (alleles > 0).sum(axis=(1, 2))
    total = alleles.shape[1] * 2
    minor = np.minimum(count, total - count)
    assert (minor > 0).all()
    assert (minor <= 0.02 * total).mean() > 0.5
    assert (minor == 1).mean() > 0.15
    assert (minor > 0.05 * total).sum() > 100
    positions = np.array([pos for _, pos, _, _ in sites])
    assert (np.diff(positions) > 0).all()
    assert positions[0] > 31_000_000
    assert positions[-1] <= 33_000_000
    for _, _, ref, alts in sites:
        assert set(ref + "".join(alts)) <= set("ACGT")
        assert len({ref, *alts}) == 1 + len(alts)
    indels = sum(len(ref) != len(alts[0]) for _, _, ref, alts in sites)
    several = [i for i, (_, _, _, alts) in enumerate(sites) if len(alts) > 1]
    assert 3 <= indels <= 30
    assert len(several) >= 2
    assert all(set(np.unique(alleles[i])) == {0, 1, 2} for i in several)
    snv = [(ref, alts[0]) for _, _, ref, alts in sites if len(alts) == 1 and len(ref) == len(alts[0]) == 1]
    transitions = sum({ref, alt} in ({"A", "G"}, {"C", "T"}) for ref, alt in snv) / len(snv)
    assert abs(transitions - 2 / 3) < 5 * np.sqrt(2 / 9 / len(snv))


def test_strata_differ_as_the_demography_says(demo, haplotypes):
    # Hudson's Fst from coalescence times, 1 - within / between, without the noise of mutations.
    trees = msprime.sim_ancestry(
        {"coast": 60, "inland": 60},
        demography=japanese_demography(),
        random_seed=1,
        sequence_length=10_000_000,
        recombination_rate=1.3e-8,
    )
    strata = [trees.samples(population=p.id) for p in trees.populations() if p.metadata["name"] in ("coast", "inland")]
    within = trees.diversity(strata, mode="branch").mean()
    assert 0.0012 < 1 - within / trees.divergence(strata, mode="branch") < 0.0030
    _, alleles = haplotypes["20"]
    people = demo.people
    counts = {
        s: ((alleles > 0)[:, (people["stratum"] == s) & (people["father"] == "")]).sum(axis=(1, 2))
        for s in ("coast", "inland")
    }
    size = {s: 2 * ((people["stratum"] == s) & (people["father"] == "")).sum() for s in counts}
    numerator, denominator = allel.hudson_fst(*[np.c_[size[s] - counts[s], counts[s]] for s in counts])
    # Two megabases hold few independent genealogies, hence the wide band.
    assert -0.001 < numerator.sum() / denominator.sum() < 0.012


def test_map_has_hotspots(demo):
    table = pd.read_csv(demo.folder / "chr20.map.gz", sep="\t", dtype={"chr": str})
    assert list(table.columns) == ["pos", "chr", "cM"]
    assert (table["chr"] == "20").all()
    assert table["pos"].iloc[[0, -1]].tolist() == [31_000_001, 33_000_000]
    assert (np.diff(table["pos"]) > 0).all()
    assert (np.diff(table["cM"]) > 0).all()
    assert table["cM"].iloc[-1] == pytest.approx(2.6)
    genetic_map = make_demo_map("21", 20_000_000, 20_000_000, 4)
    width, step = np.diff(genetic_map.pos), np.diff(genetic_map.cm)
    hot = width <= 3001
    assert 80 < hot.sum() / 20 * 5 < 90  # one in 60 kb
    assert width[hot].sum() / width.sum() < 0.05
    assert step[hot].sum() / step.sum() == pytest.approx(0.8, abs=0.02)
    assert genetic_map.cm[-1] == pytest.approx(26)


@pytest.mark.skipif(shutil.which("bcftools") is None, reason="bcftools is not installed")
def test_bcftools_reads_the_vcf(demo, haplotypes):
    def run(*words) -> str:
        return subprocess.run(["bcftools", *map(str, words)], capture_output=True, text=True, check=True).stdout

    contig_length = {"20": "64444167", "X": "156040895"}
    for chrom, path in demo.vcf.items():
        sites = haplotypes[chrom][0]
        assert run("index", "-s", path).split() == [f"chr{chrom}", contig_length[chrom], str(len(sites))]
        assert len(run("view", "-H", path).splitlines()) == len(sites)
        assert run("query", "-l", path).split() == demo.people["person"].tolist()
        middle = sites[len(sites) // 2][1]
        fetched = run("query", "-f", "%ID\n", "-r", f"chr{chrom}:{middle}-{middle}", path).split()
        assert f"{chrom}:{middle}:" in fetched[-1]


def test_phenotypes_obey_the_dictionary(demo, phenotypes):
    dictionary = read_dictionary(demo.folder / "dictionary.tsv")
    assert list(phenotypes.columns) == ["age", *dictionary.names]
    assert len(dictionary.names) == 37
    assert {item.type for item in dictionary.items} == {"continuous", "count", "binary", "ordinal", "nominal", "date"}
    sex = np.where(demo.people["sex"] == "male", 1, 2)
    empty = {i.name: ["", *(c for c, reason in i.missing_codes if reason != "below limit")] for i in dictionary.items}
    missing = np.column_stack([phenotypes[name].isin(codes) for name, codes in empty.items()])
    coded = {
        i.name: phenotypes[i.name].where(~phenotypes[i.name].isin(empty[i.name]), None)
        for i in dictionary.items
        if i.categories
    }
    for i in dictionary.items:
        for code, _ in i.missing_codes:
            assert (phenotypes[i.name] == code).sum() > 5
    structural = structurally_missing(dictionary, coded, sex)
    assert structural[:, [i for i, d in enumerate(dictionary.items) if d.asked_if]].any(axis=0).all()
    assert not (structural & ~missing).any()
    for j, item in enumerate(dictionary.items):
        assert item.label
        assert item.label_ja
        values = phenotypes[item.name][~missing[:, j]]
        if item.categories:
            assert set(values) == set(item.categories)
        elif item.type == "date":
            assert days_of(values.astype("str")).between(item.minimum, item.maximum).all()
        else:
            values = values.mask(values == "ND", "0.02")
            number = values.astype(float)
            assert number.between(item.minimum, item.maximum).all()
            assert (values.str.partition(".")[2].str.len() == item.decimals).all()
        asked = ~structural[:, j]
        rate = missing[asked, j].mean()
        block = {"metabolome": 0.30, "questionnaire": 0.03}.get(item.group, 0.0)
        # Block, item and (for cigarettes) the unanswered question before it; 5 sd of a proportion of some 100 people.
        assert abs(rate - block - DEMO_ITEMS[j].missing) < 5 * np.sqrt(0.2 / asked.sum())


def test_values_hang_together(demo, phenotypes):
    number = phenotypes.apply(pd.to_numeric, errors="coerce")
    sbp, dbp = number["systolic_blood_pressure"], number["diastolic_blood_pressure"]
    assert not (sbp <= dbp).any()
    crp = pd.to_numeric(phenotypes["c_reactive_protein"].replace("ND", "0.02")).dropna()
    assert 0.15 < (crp == 0.02).mean() < 0.45
    assert crp.min() == 0.02
    assert crp.skew() > 1
    for numeric, disease in (
        ("systolic_blood_pressure", "hypertension"),
        ("fasting_glucose", "diabetes"),
        ("uric_acid", "gout"),
    ):
        by = number[numeric].groupby(phenotypes[disease]).mean()
        assert by["yes"] > by["no"] + number[numeric].std()
    assert number[["valine", "leucine", "isoleucine"]].corr("spearman").to_numpy().min() > 0.6
    measured = number[[d.name for d in DEMO_ITEMS if d.item.group == "metabolome"]].notna().sum(axis=1)
    assert ((measured == 0) | (measured >= 9)).all()
    asked = phenotypes["menopause"] != ""
    assert (phenotypes.loc[asked & (number["age"] < 35), "menopause"] == "no").all()
    assert (phenotypes.loc[asked & (number["age"] > 70), "menopause"] == "yes").all()
    children = demo.people[demo.people["mother"] != ""].groupby("mother").size()
    pregnancies = number["pregnancies"].loc[children.index]
    assert not (pregnancies < children).any()


def test_truth_adds_up(demo, haplotypes):
    effects = pd.read_csv(demo.folder / "truth/effects.tsv", sep="\t", dtype={"chrom": str})
    values = pd.read_parquet(demo.folder / "truth/genetic_values.parquet").set_index("person")
    truth = pd.read_csv(demo.folder / "truth/heritability.tsv", sep="\t").set_index("item")
    assert values.index.tolist() == demo.people["person"].tolist()
    np.testing.assert_allclose(values.var(ddof=0).loc[truth.index], truth["h2"], atol=1e-7)
    assert truth["h2"].min() == 0
    assert truth["h2"].max() == 0.6
    assert ((truth[list(FACTORS)] ** 2).sum(axis=1) <= 1).all()
    dosage = {}
    for chrom, (sites, alleles) in haplotypes.items():
        haploid = alleles[:, :, 1] < 0
        total = np.where(haploid, 2 * alleles[:, :, 0], alleles.sum(axis=2))
        dosage |= {(chrom, pos, ref, alts): d for (_, pos, ref, alts), d in zip(sites, total, strict=True)}
    genetic = {item: np.zeros(len(values)) for item in values}
    for row in effects.itertuples():
        assert row.effect_allele == row.alt
        carried = dosage[row.chrom, row.pos, row.ref, (row.alt,)]
        genetic[row.item] += row.effect * carried
    for item, value in genetic.items():
        np.testing.assert_allclose(value - value.mean(), values[item], atol=1e-6)
    assert (truth["locus"] > 0).sum() == 4
    for item in truth.index[truth["locus"] > 0]:
        own = effects[effects["item"] == item]
        share = [r.effect**2 * dosage[r.chrom, r.pos, r.ref, (r.alt,)].var() for r in own.itertuples()]
        assert np.abs(np.array(share) - truth.loc[item, "locus"]).min() < 1e-8
    assert set(effects.loc[effects["chrom"] == "X", "item"]) == {"height", "uric_acid"}
    correlation = values.loc[:, truth["h2"] > 0].corr()
    assert correlation.loc["valine", "leucine"] > 0.5
    assert correlation.loc["systolic_blood_pressure", "hypertension"] > 0.5


def test_withdrawals_reach_families(demo):
    ids = (demo.folder / "withdrawn.txt").read_text().split()
    assert len(set(ids)) == 5
    people = demo.people.set_index("person").loc[ids]
    assert (people["family"] != "").sum() == 2
    assert demo.people["father"].isin(ids).any() or demo.people["mother"].isin(ids).any()


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    settings = {"people": 60, "megabases": 0.4, "sites": 300}
    first, again = make_demo(tmp_path / "a", settings, 3), make_demo(tmp_path / "b", settings, 3)
    other = make_demo(tmp_path / "c", settings, 4)
    files = sorted(path.relative_to(first.folder) for path in first.folder.rglob("*") if path.is_file())
    assert len(files) == 12
    for file in files:
        assert (first.folder / file).read_bytes() == (again.folder / file).read_bytes(), file
        if file.name not in ("dictionary.tsv", "heritability.tsv"):
            assert (first.folder / file).read_bytes() != (other.folder / file).read_bytes(), file
    table = pd.read_csv(first.folder / "phenotypes.tsv", sep="\t")
    assert table.notna().any().all(), "in the smallest cohort, too, every item has values"


def test_bad_settings_are_named(tmp_path):
    with pytest.raises(InputError, match="a demo cohort of 20 people is too small"):
        make_demo_people({"people": 20}, 1)
    people = make_demo_people({"people": 60}, 1)
    paths = (tmp_path / "a.vcf.gz", tmp_path / "a.map.gz")
    with pytest.raises(InputError, match="30 Mb from 20 Mb on pass the end of chromosome 21"):
        make_demo_chromosome(people, "21", {"megabases": 30}, 1, *paths)
    with pytest.raises(InputError, match="the demo has no chromosome Z"):
        make_demo_chromosome(people, "Z", {}, 1, *paths)
    settings = {"people": 60, "megabases": 0.4, "sites": 300}
    make_demo_chromosome(people, "22", settings, 1, *paths)
    with pytest.raises(InputError, match=r"a\.vcf\.gz holds other people than the sample sheet"):
        make_demo_items(people.iloc[::-1], paths[:1], settings, 1, tmp_path / "items")
    make_demo_chromosome(people, "22", settings | {"sites": 12}, 1, *paths)
    with pytest.raises(InputError, match="sites can bear effects"):
        make_demo_items(people, paths[:1], settings | {"sites": 12}, 1, tmp_path / "items")
    assert not (tmp_path / "items").exists()
