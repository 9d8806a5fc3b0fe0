"""Scoring files as weights: matched on a small cohort, combined, under learnt weights, and what is said of them."""

import gzip
import json
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from pseudocohort.errors import InputError
from pseudocohort.genetics.traits import Traits
from pseudocohort.genotypes import GenotypeWriter
from pseudocohort.scores.given_scores import add_given, combine, load_given, training_scores, weights_alone
from pseudocohort.scores.pgs_catalog import TraitWeights, write_scoring_file
from pseudocohort.scores.scoring import score, score_weights

DATA = Path(__file__).parents[3] / "shared" / "data"
N, M = 400, 150
TRAIN = np.arange(0, N, 2)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Two chromosomes of 150 sites, 400 people: prefixes, sites, dosage (sites, people)."""
    path, rng = tmp_path_factory.mktemp("given"), np.random.default_rng(8)
    tables, dosages = [], []
    for chrom in ("3", "X"):
        alleles = (rng.random((M, 2 * N)) < rng.uniform(0.05, 0.95, M)[:, None]).astype(np.int8)
        ref = rng.choice(list("ACGT"), M)
        # transitions, and transversions that are their own complement at every fifth site
        alt = np.array([{"A": "G", "G": "A", "C": "T", "T": "C"}[r] for r in ref])
        alt[::5] = [{"A": "T", "T": "A", "C": "G", "G": "C"}[r] for r in ref[::5]]
        ids = [f"{chrom}:{k}" for k in range(M)]
        sites = pd.DataFrame({"chrom": chrom, "pos": 1000 + 10 * np.arange(M), "id": ids, "ref": ref, "alt": alt})
        with GenotypeWriter(path / f"chr{chrom}", np.array([f"p{k}" for k in range(N)]), np.full(N, 2), M) as writer:
            writer.append(alleles, sites)
        tables.append(sites)
        dosages.append(alleles[:, ::2] + alleles[:, 1::2])
    return [path / "chr3", path / "chrX"], pd.concat(tables, ignore_index=True), np.vstack(dosages).astype(float)


def turned(allele):
    return allele.translate(str.maketrans("ACGT", "TGCA"))


def file_of(path, sites, weights, frequency=None, swap=(), flip=(), columns=(), build="GRCh38", **header):
    """Write a scoring file of ALT weights, some for REF (swap), some on the other strand (flip)."""
    lines = [f"#{key}={value}" for key, value in {"genome_build": build, **header}.items()]
    extra = ["allelefrequency_effect"] if frequency is not None else []
    names = ["chr_name", "chr_position", "effect_allele", "other_allele", "effect_weight", *extra]
    lines.append("\t".join([*names, *(name for name, _ in columns)]))
    for k, site in enumerate(sites.to_dict("records")):
        effect, other = (site["ref"], site["alt"]) if k in swap else (site["alt"], site["ref"])
        effect, other = (turned(effect), turned(other)) if k in flip else (effect, other)
        cells = [site["chrom"], site["pos"], effect, other, weights[k]]
        cells += [frequency[k]] if frequency is not None else []
        lines.append("\t".join(map(str, [*cells, *(values[k] for _, values in columns)])))
    path.write_text("\n".join(lines) + "\n")
    return path


def plain(sites):
    """Rows of sites that are not A/T or C/G."""
    return np.flatnonzero([turned(r) != a for r, a in zip(sites["ref"], sites["alt"], strict=True)])


def traits_of(values, names=("bmi",), covariates=None):
    covariates = np.empty((len(values), 0)) if covariates is None else covariates
    return Traits(names, ("linear",) * len(names), values.reshape(len(values), -1), covariates)


def test_the_report_of_a_match(cohort, tmp_path):
    prefixes, sites, dosage = cohort
    rng, f = np.random.default_rng(1), dosage[:, TRAIN].mean(axis=1) / 2
    weights = rng.normal(size=2 * M)
    used = plain(sites)
    away = sites.iloc[:40].assign(chrom="7")
    table = pd.concat([sites.iloc[used], away], ignore_index=True)
    swap, flip = set(range(0, 20)), set(range(10, 40))
    frequency = np.append(f[used], f[:40])
    frequency[:20] = 1 - frequency[:20]
    path = file_of(
        tmp_path / "a.txt", table, np.append(weights[used], np.ones(40)), frequency, swap, flip,
        pgs_id="PGS000042", license="CC BY", citation="A B (2020)", weight_type="beta", other="x",
    )  # fmt: skip
    given = load_given({"bmi": path}, prefixes, TRAIN, "GRCh38", 0.5)
    (entry,) = json.loads(json.dumps(given.report))
    assert (entry["trait"], entry["file"], entry["score"]) == ("bmi", "a.txt", "PGS000042")
    assert (entry["rows"], entry["matched"], entry["build"]) == (len(table), len(used), "GRCh38")
    assert entry["overlap"] == pytest.approx(len(used) / len(table))
    assert entry["reasons"] == {
        "not in the cohort": 40,
        "matched ref/alt": len(used) - 40,
        "matched alt/ref": 10,
        "matched ref/alt, other strand": 20,
        "matched alt/ref, other strand": 10,
    }
    of_matched = (weights[used] ** 2 * 2 * f[used] * (1 - f[used])).sum()
    of_absent = (2 * f[:40] * (1 - f[:40])).sum()
    assert entry["overlap_of_variance"] == pytest.approx(of_matched / (of_matched + of_absent), rel=1e-5)
    on_3 = int((used < M).sum())
    assert entry["chromosomes"] == {"3": [on_3, on_3], "7": [40, 0], "X": [len(used) - on_3] * 2}
    assert entry["header"] == {
        "genome_build": "GRCh38",
        "pgs_id": "PGS000042",
        "license": "CC BY",
        "citation": "A B (2020)",
        "weight_type": "beta",
    }
    assert entry["frequencies"]["sites"] == len(used)
    assert entry["frequencies"]["correlation"] == pytest.approx(1)
    assert entry["frequencies"]["different"] == 0
    (sentence,) = entry["warnings"]
    assert sentence.startswith(f"30 of {len(used)} effects are on the other strand")
    found = score_weights(prefixes, None, given.weights["bmi"])[:, 0]
    # effects given for REF count copies of REF
    expected = weights[used[20:]] @ dosage[used[20:]] + weights[used[:20]] @ (2 - dosage[used[:20]])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_ambiguous_sites_by_frequency(cohort, tmp_path):
    prefixes, sites, dosage = cohort
    f = dosage[:, TRAIN].mean(axis=1) / 2
    rows = np.setdiff1d(np.arange(2 * M), plain(sites))
    flip = set(range(0, len(rows), 2))
    path = file_of(tmp_path / "a.txt", sites.iloc[rows], np.ones(len(rows)), f[rows].round(4), flip=flip)
    given = load_given({"bmi": path}, prefixes, TRAIN, "GRCh38", 0.1)
    clear = np.abs(f[rows] - 0.5) > 0.1
    assert given.report[0]["reasons"] == {
        "strand told by frequency (A/T or C/G)": int(clear.sum()),
        "strand not known (A/T or C/G)": int((~clear).sum()),
    }
    found = score_weights(prefixes, None, given.weights["bmi"])[:, 0]
    np.testing.assert_allclose(found, dosage[rows[clear]].sum(axis=0), atol=1e-5)


def warnings_for(cohort, path, build="GRCh38"):
    return load_given({"bmi": path}, cohort[0], TRAIN, build, 0.05).report[0]["warnings"]


def test_doubts_about_frequencies(cohort, tmp_path):
    _, sites, dosage = cohort
    used, rng = plain(sites), np.random.default_rng(2)
    f, w = dosage[:, TRAIN].mean(axis=1)[used] / 2, rng.normal(size=len(used))
    assert warnings_for(cohort, file_of(tmp_path / "a", sites.iloc[used], w, f)) == []
    (said,) = warnings_for(cohort, file_of(tmp_path / "a", sites.iloc[used], w, 1 - f))
    assert said.startswith("allele frequencies run against the cohort's (correlation -1.00)")
    half = np.where(np.arange(len(f)) < 15, 1 - f, f)
    far = int((np.abs(1 - 2 * f[:15]) > 0.2).sum())
    assert far > 5
    said = warnings_for(cohort, file_of(tmp_path / "a", sites.iloc[used], w, half))
    assert said == [
        f"{far} of {len(f)} allele frequencies are one minus the cohort's: effect alleles are swapped there"
    ]
    other = np.clip(f + rng.choice([-0.3, 0.3], len(f)), 0, 1)
    said = warnings_for(cohort, file_of(tmp_path / "a", sites.iloc[used], w, other))
    assert any("another ancestry" in sentence for sentence in said)
    (said,) = warnings_for(cohort, file_of(tmp_path / "a", sites.iloc[used], w, pgs_id="PGS000007"))
    assert said.endswith("see https://www.pgscatalog.org/score/PGS000007/")
    assert warnings_for(cohort, file_of(tmp_path / "a", sites.iloc[used], w, ancestry_gwas="EAS")) == []


def test_doubts_about_weights_and_builds(cohort, tmp_path, caplog):
    prefixes, sites, dosage = cohort
    used, rng = plain(sites), np.random.default_rng(2)
    f, w, sites = dosage[:, TRAIN].mean(axis=1)[used] / 2, rng.normal(size=len(used)), sites.iloc[used]

    def said(weights, table=sites, **more):
        (sentence,) = warnings_for(cohort, file_of(tmp_path / "a", table, weights, f, **more))
        return sentence

    assert said(np.abs(w)).startswith("no weight is negative")
    assert said(0 * w) == "all weights are 0"
    assert said(np.exp(w / 10)).startswith("the weights look like odds or hazard ratios")
    assert said(w, weight_type="OR").startswith("the weights look like odds")
    assert said(w, build="NR") == "the file does not state its build; its positions are taken to be on GRCh38"
    kinds = ["beta", "log(HR)"] * len(w)
    assert said(w, columns=[("weight_type", kinds)]) == "the weights are of several kinds: beta, log(HR)"
    beyond = sites.assign(pos=np.where(np.arange(len(w)) < 3, 300_000_000, sites["pos"]))
    assert said(w, beyond).startswith("3 positions are beyond the ends of the chromosomes of GRCh38")
    spoilt = np.arange(len(w)) % 3 > 0
    wrong = sites.assign(alt=np.where(spoilt, "CAC", sites["alt"]))
    assert f"at {spoilt.sum()} of {len(w)} positions the alleles are not" in said(np.where(spoilt, 0.01, w), wrong)
    twice = load_given(
        {
            "bmi": [
                file_of(tmp_path / "a", sites, w, f, weight_type="beta"),
                file_of(tmp_path / "b", sites, w, f, weight_type="log(OR)"),
            ]
        },
        prefixes, TRAIN, "GRCh38",
    )  # fmt: skip
    for entry in twice.report:
        assert entry["warnings"] == ["the scoring files of bmi have weights of different kinds: ['beta', 'log(OR)']"]
    assert "scoring file a: the scoring files of bmi have weights" in caplog.text


def test_the_other_build_is_suspected(cohort, tmp_path):
    prefixes, sites, _ = cohort
    sites = sites.iloc[plain(sites)]
    harmonised = [("hm_source", ["ENSEMBL"] * len(sites)), ("hm_chr", sites["chrom"].tolist())]
    harmonised.append(("hm_pos", (sites["pos"] + 3).tolist()))
    path = file_of(tmp_path / "a", sites, np.ones(len(sites)), columns=harmonised, build="GRCh37", HmPOS_build="GRCh38")
    with pytest.raises(InputError, match=rf"{len(sites)} effects fit by its GRCh37 positions, 0 by those on GRCh38"):
        load_given({"bmi": path}, prefixes, TRAIN, "GRCh38", 0.0)
    with pytest.raises(InputError, match=r"only 0 of 3 effects of b(.|\n)*at least one"):
        load_given(
            {"bmi": file_of(tmp_path / "b", sites.head(3).assign(pos=7), np.ones(3))}, prefixes, TRAIN, "GRCh38", 0.0
        )


def test_combined_weights_are_the_sum(cohort):
    prefixes, sites, _ = cohort
    rng = np.random.default_rng(4)
    first = TraitWeights(sites.iloc[:200], rng.normal(size=200))
    on_ref = rng.normal(size=100)[:, None] * [2.0, 1, 0]
    second = TraitWeights(sites.iloc[150:250], on_ref)
    both = combine([first, second], [2.0, -3.0])
    assert both.values.shape == (250,)
    assert both.sites["id"].tolist() == sites["id"][:250].tolist()
    parts = score_weights(prefixes, None, [first, second, both])
    difference = parts[:, 2] - (2 * parts[:, 0] - 3 * parts[:, 1])
    np.testing.assert_allclose(difference, difference[0], atol=1e-4)
    assert parts[:, 2].std() > 1
    dominant = TraitWeights(sites.iloc[240:260], rng.normal(size=20)[:, None] * [0, 1, 1])
    three = combine([first, second, dominant], [2.0, -3.0, 0.5])
    parts = score_weights(prefixes, None, [both, dominant, three])
    np.testing.assert_allclose(parts[:, 2], parts[:, 0] + 0.5 * parts[:, 1], atol=1e-4)
    assert combine([first], [2.0]).values.tolist() == (2 * first.values).tolist()


@pytest.fixture
def three_files(cohort, tmp_path):
    """Scoring files a, b and c of unlike scales, and their weights by site (3, sites)."""
    _, sites, _ = cohort
    used, rng = plain(sites), np.random.default_rng(6)
    weights = np.zeros((3, 2 * M))
    weights[:, used] = rng.normal(size=(3, len(used))) * np.array([[1.0], [0.01], [30.0]])
    paths = [tmp_path / f"{name}.txt" for name in "abc"]
    return [file_of(path, sites.iloc[used], w[used]) for path, w in zip(paths, weights, strict=True)], weights


def test_several_scores_are_combined_by_least_squares(cohort, three_files, tmp_path):
    prefixes, _, dosage = cohort
    files, w = three_files
    rng = np.random.default_rng(7)
    truth = (w @ dosage)[:, TRAIN].T
    covariates = rng.normal(size=(len(TRAIN), 2)) + 0.02 * truth[:, :1]
    y = truth @ [0.2, -9.0, 0.0] + covariates @ [1.0, -2.0] + rng.normal(size=len(TRAIN))
    y[::7] = np.nan
    given = load_given({"bmi": files, "wbc": files[:1]}, prefixes, TRAIN, "GRCh38")
    scores = training_scores(given, prefixes, TRAIN)
    np.testing.assert_allclose(scores["bmi"], truth, atol=1e-4)
    np.testing.assert_allclose(scores["wbc"], truth[:, :1], atol=1e-4)
    weights, report = weights_alone(given, prefixes, TRAIN, traits_of(y, ("bmi",), covariates))
    seen = np.isfinite(y)
    fit = sm.OLS(y[seen], sm.add_constant(np.column_stack([truth, covariates])[seen])).fit()
    report = json.loads(json.dumps(report))
    assert [entry["combined"] for entry in report] == ["least squares", "as given"]
    np.testing.assert_allclose(report[0]["given_coefficients"], fit.params[1:4], rtol=1e-4)
    assert (report[0]["n"], report[0]["score"]) == (seen.sum(), "a + b + c")
    reduced = sm.OLS(y[seen], sm.add_constant(covariates[seen])).fit()
    assert report[0]["training_r2"] == pytest.approx(1 - fit.ssr / reduced.ssr, rel=1e-4)
    assert (report[1]["given_coefficients"], report[1]["training_r2"]) == ([1.0], None)
    mine = score_weights(prefixes, None, [weights["bmi"], weights["wbc"]])
    centred = mine - mine.mean(axis=0)
    expected = np.column_stack([fit.params[1:4] @ w @ dosage, w[0] @ dosage])
    np.testing.assert_allclose(centred, expected - expected.mean(axis=0), atol=2e-4)
    assert any("falls as bmi rises" in s for s in given.report[1]["warnings"])
    assert not any("falls as" in s for s in given.report[0]["warnings"])


def test_scores_that_cannot_be_told_apart_get_equal_weights(cohort, three_files):
    prefixes, _, dosage = cohort
    files, w = three_files
    y = np.random.default_rng(1).normal(size=len(TRAIN))
    sd = (w @ dosage)[:, TRAIN].std(axis=1)
    given = load_given({"bmi": [files[0], files[1], files[0]]}, prefixes, TRAIN, "GRCh38")
    _, (entry,) = weights_alone(given, prefixes, TRAIN, traits_of(y))
    assert entry["combined"].endswith("they cannot be told apart")
    np.testing.assert_allclose(entry["given_coefficients"], 1 / sd[[0, 1, 0]] / 3, rtol=1e-4)
    given = load_given({"bmi": files}, prefixes, TRAIN, "GRCh38")
    y[55:] = np.nan
    _, (entry,) = weights_alone(given, prefixes, TRAIN, traits_of(y))
    assert entry["combined"].endswith("too few people for 3 coefficients")
    np.testing.assert_allclose(entry["given_coefficients"], 1 / sd / 3, rtol=1e-4)


def test_a_score_nobody_differs_in_has_no_part(cohort, three_files, tmp_path):
    prefixes, sites, _ = cohort
    files, _ = three_files
    flat = tmp_path / "flat.txt"
    file_of(flat, sites.iloc[plain(sites)[:5]], np.zeros(5))
    y = np.random.default_rng(1).normal(size=len(TRAIN))
    given = load_given({"bmi": [files[0], flat]}, prefixes, TRAIN, "GRCh38")
    _, (entry,) = weights_alone(given, prefixes, TRAIN, traits_of(y))
    assert entry["given_coefficients"][1] == 0
    assert entry["given_coefficients"][0] != 0


def test_given_scores_join_learnt_weights(cohort, three_files, tmp_path):
    prefixes, sites, _ = cohort
    files, _ = three_files
    given = load_given({"bmi": files[:2]}, prefixes, TRAIN, "GRCh38")
    learnt = {
        "bmi": TraitWeights(sites, np.random.default_rng(3).normal(size=len(sites))),
        "wbc": TraitWeights(sites.head(3), np.ones(3)),
    }
    report = [{"trait": "bmi", "given_coefficients": np.array([0.5, 20.0])}, {"trait": "wbc"}]
    whole = add_given(learnt, report, given)
    assert whole["wbc"] is learnt["wbc"]
    write_scoring_file(tmp_path / "w.txt.gz", whole["bmi"].sites, whole["bmi"].values, "bmi")
    assert "effect_weight" in gzip.decompress((tmp_path / "w.txt.gz").read_bytes()).decode()
    mine = score(prefixes, None, {"bmi": tmp_path / "w.txt.gz"})["bmi"].to_numpy()
    parts = score_weights(prefixes, None, [learnt["bmi"], *given.weights["bmi"]])
    difference = mine - parts @ [1.0, 0.5, 20.0]
    np.testing.assert_allclose(difference, difference[0], atol=1e-4)


@pytest.mark.skipif(not DATA.exists(), reason="the real cohort and scoring files are not beside this checkout")
def test_height_in_1000_genomes(tmp_path):
    """986 of the cohort's sites are PGS001229's; 66 of them are A/T or C/G, and the file has no frequencies."""
    folder, whole = DATA / "1kg_pgs_b38", tmp_path / "all"
    vcf, people = folder / "tiny1000G.vcf.gz", folder / "samples.psam"
    commands = [["--vcf", vcf, "--psam", people, "--sort-vars", "--make-pgen", "--out", whole]]
    prefixes = {chrom: tmp_path / f"chr{chrom}" for chrom in [*map(str, range(1, 23)), "X"]}
    for chrom, prefix in prefixes.items():
        commands.append(["--pfile", whole, "--chr", chrom, "--make-pgen", "pvar-cols=", "--out", prefix])
    for command in commands:
        subprocess.run(["plink2", *map(str, command)], check=True, capture_output=True)
    prefixes = [*prefixes.values()]
    path = DATA / "pgs_scores" / "PGS001229_hmPOS_GRCh38.txt.gz"
    given = load_given({"height": path}, prefixes, np.arange(0, 3202, 2), "GRCh38", 0.0)
    (entry,) = given.report
    assert (entry["score"], entry["rows"], entry["matched"]) == ("PGS001229", 51209, 920)
    assert entry["reasons"]["strand not known (A/T or C/G)"] == 66
    assert entry["reasons"]["matched ref/alt"] == 912
    assert any("does not state its build" in sentence for sentence in entry["warnings"])
    assert score_weights(prefixes, None, given.weights["height"])[:, 0].std() > 0
