"""Association against plink2, statsmodels and scipy; the written files."""

import logging
import subprocess
from decimal import Decimal, localcontext

import numpy as np
import pandas as pd
import pysam
import pytest
import statsmodels.api as sm
from scipy import stats

from pseudocohort.genetics import association
from pseudocohort.genetics.association import associate, lambda_gc, minus_log10_p, read_association, write_association
from pseudocohort.genetics.traits import Traits, inverse_normal
from pseudocohort.genotypes import Genotypes, GenotypeWriter

N = 500


def simulate(path, chrom, seed, sex, sites=150):
    """A .pgen with linked sites of all frequencies, males homozygous on X -> prefix, ALT dosages (sites, N)."""
    rng = np.random.default_rng(seed)
    alleles = np.empty((sites, 2 * N), dtype=np.int8)
    for s in range(sites):
        fresh = rng.random(2 * N) < rng.beta(0.5, 0.5)
        alleles[s] = fresh if s % 5 == 0 else np.where(rng.random(2 * N) < 0.2, fresh, alleles[s - 1])
    alleles[7] = 0
    if chrom == "X":
        alleles[:, 1::2][:, sex == 1] = alleles[:, 0::2][:, sex == 1]
    table = pd.DataFrame(
        {
            "chrom": chrom,
            "pos": 1000 + 10 * np.arange(sites),
            "ref": "A",
            "alt": "G",
            "id": [f"{chrom}:{s}" for s in range(sites)],
        }
    )
    with GenotypeWriter(path / f"chr{chrom}", np.array([f"p{i}" for i in range(N)]), sex, sites) as writer:
        writer.append(alleles, table)
    return path / f"chr{chrom}", alleles[:, 0::2] + alleles[:, 1::2]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Two chromosomes, five traits (complete, missing at random, women only, two binary), covariates with sex."""
    path = tmp_path_factory.mktemp("association")
    rng = np.random.default_rng(5)
    sex = rng.choice([1, 2], N)
    (auto, g), (x, gx) = simulate(path, "21", 1, sex), simulate(path, "X", 2, sex)
    covariates = np.column_stack([rng.normal(size=N), np.where(sex == 1, -1.0, 1.0)])
    shift = 0.4 * covariates[:, 0] + 0.3 * covariates[:, 1]
    common = [s for s in range(150) if 0.2 < g[s].mean() / 2 < 0.8][:3]
    signal = g[common].T @ [0.5, -0.4, 0.3] + 0.2 * gx[np.argmin(np.abs(gx.mean(axis=1) - 1))]
    values = shift[:, None] + signal[:, None] + rng.normal(size=(N, 5))
    values[:, :3] = np.apply_along_axis(inverse_normal, 0, values[:, :3])
    values[:, 3] = values[:, 3] > np.quantile(values[:, 3], 0.7)
    values[:, 4] = values[:, 4] > np.quantile(values[:, 4], 0.93)
    values[rng.random(N) < 0.05, 1] = np.nan
    values[sex == 1, 2] = np.nan
    values[rng.random(N) < 0.1, 4] = np.nan
    traits = Traits(("full", "holes", "women", "ill", "rare"), ("linear",) * 3 + ("logistic",) * 2, values, covariates)
    return [auto, x], np.vstack([g, gx]), traits


def collect(blocks):
    blocks = list(blocks)
    return pd.concat([b.sites for b in blocks]), *(
        np.concatenate([getattr(b, f) for b in blocks]) for f in ("beta", "se", "log10p", "af")
    )


def test_linear_agrees_with_plink2(cohort, tmp_path):
    prefixes, _, traits = cohort
    person = Genotypes(prefixes[0]).people["person"]
    names = list(traits.names[:2])
    pd.DataFrame(traits.values[:, :2], columns=names).assign(IID=person)[["IID", *names]].to_csv(
        tmp_path / "y.txt", sep="\t", index=False, na_rep="NA"
    )
    sites, beta, se, log10p, af = collect(associate(prefixes, None, traits, 5, block_sites=64))
    for prefix in prefixes:
        # plink2 adds sex to the covariates of X by itself
        columns = {"IID": person, "c0": traits.covariates[:, 0], "c1": traits.covariates[:, 1]}
        pd.DataFrame(columns).drop(columns=["c1"] if "X" in prefix.name else []).to_csv(
            tmp_path / "c.txt", sep="\t", index=False
        )
        subprocess.run(
            [
                "plink2",
                "--pfile",
                prefix,
                "--pheno",
                tmp_path / "y.txt",
                "--covar",
                tmp_path / "c.txt",
                "--glm",
                "hide-covar",
                "omit-ref",
                "cols=+a1freq,+beta",
                "--mac",
                "5",
                "--out",
                tmp_path / prefix.name,
            ],
            check=True,
            capture_output=True,
        )
        for k, name in enumerate(names):
            theirs = pd.read_csv(tmp_path / f"{prefix.name}.{name}.glm.linear", sep="\t").set_index("ID")
            here = (sites["chrom"] == prefix.name[3:]).to_numpy()
            theirs = theirs.loc[sites["id"][here]]
            assert (theirs["A1"] == "G").all()
            assert here.sum() > 100
            assert (np.abs(beta[here, k] - theirs["BETA"]) / theirs["SE"] < 1e-3).all()
            np.testing.assert_allclose(se[here, k], theirs["SE"], rtol=1e-4)
            np.testing.assert_allclose(log10p[here, k], -np.log10(theirs["P"]), rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(af[here, k], theirs["A1_FREQ"], atol=1e-6)


def test_every_missing_pattern_agrees_with_ols_of_those_who_have_the_trait(cohort):
    prefixes, dosage, traits = cohort
    sites, beta, se, log10p, af = collect(associate(prefixes, None, traits))
    row = {name: i for i, name in enumerate([f"{c}:{s}" for c in ("21", "X") for s in range(150)])}
    assert "21:7" not in set(sites["id"])  # monomorphic
    for i in range(0, len(sites), 7):
        g = dosage[row[sites["id"].iloc[i]]].astype(float)
        for k in range(3):
            seen = ~np.isnan(traits.values[:, k])
            constant = k == 2  # among women sex is constant
            design = np.column_stack([g, np.ones(N), traits.covariates[:, : 1 if constant else 2]])[seen]
            if np.linalg.matrix_rank(design) < design.shape[1]:
                assert np.isnan(beta[i, k])
                continue
            fit = sm.OLS(traits.values[seen, k], design).fit()
            assert abs(beta[i, k] - fit.params[0]) / fit.bse[0] < 1e-4
            assert se[i, k] == pytest.approx(fit.bse[0], rel=1e-5)
            assert log10p[i, k] == pytest.approx(-np.log10(fit.pvalues[0]), rel=1e-4, abs=1e-5)
            assert af[i, k] == pytest.approx(g[seen].mean() / 2)


def test_logistic_agrees_with_the_score_test_of_statsmodels(cohort):
    prefixes, dosage, traits = cohort
    sites, beta, se, log10p, _ = collect(associate(prefixes, None, traits, 20))
    row = {name: i for i, name in enumerate([f"{c}:{s}" for c in ("21", "X") for s in range(150)])}
    for k in (3, 4):
        seen = ~np.isnan(traits.values[:, k])
        exog = np.column_stack([np.ones(N), traits.covariates])[seen]
        null = sm.GLM(traits.values[seen, k], exog, family=sm.families.Binomial()).fit(tol=1e-12)
        for i in range(0, len(sites), 11):
            g = dosage[row[sites["id"].iloc[i]]][seen].astype(float)
            chi2, p = null.score_test(exog_extra=g[:, None])[:2]
            assert (beta[i, k] / se[i, k]) ** 2 == pytest.approx(np.squeeze(chi2), rel=1e-4, abs=1e-6)
            assert log10p[i, k] == pytest.approx(-np.log10(np.squeeze(p)), rel=1e-4, abs=1e-5)
            assert np.sign(beta[i, k]) == np.sign(g @ null.resid_response)


def test_a_trait_has_no_estimate_where_its_own_people_carry_too_few_minor_alleles(cohort):
    """A binary trait that age or sex nearly decides once gave p = 1e-13 at a site with ten minor alleles."""
    prefixes, _, traits = cohort
    _, beta, _, _, af = collect(associate(prefixes, None, traits, 20))
    everywhere = collect(associate(prefixes, None, traits, 1))
    seen = (~np.isnan(traits.values)).sum(axis=0)
    count = np.minimum(everywhere[4], 1 - everywhere[4]) * 2 * seen
    few = count[count[:, 0] > 19.5] < 19.5  # the first trait is complete, so its count is the site's
    assert few[:, 2].any()
    assert np.isnan(beta[few]).all()
    assert np.isnan(af[few]).all()  # a frequency would count single carriers
    tested = ~np.isnan(beta[:, 4])
    cases = np.nanmean(traits.values[:, 4])
    carried = np.minimum(af, 1 - af)[:, 4] * 2 * seen[4]
    assert (carried[tested] * cases * (1 - cases)).min() > 2
    assert (~tested & (carried >= 20)).any()


def test_one_newton_step_is_near_the_odds_ratio_for_a_small_effect(cohort):
    prefixes, dosage, traits = cohort
    sites, beta, se, log10p, _ = collect(associate(prefixes[:1], None, traits, 200))
    i = int(np.argmin(np.abs(log10p[:, 3] - 1.3)))
    g = dosage[int(sites["id"].iloc[i].split(":")[1])]
    fit = sm.Logit(traits.values[:, 3], np.column_stack([g, np.ones(N), traits.covariates])).fit(disp=0)
    assert abs(beta[i, 3] - fit.params[0]) < 0.1 * fit.bse[0]
    assert se[i, 3] == pytest.approx(fit.bse[0], rel=0.05)


def test_blocks_and_subsets_of_people_change_nothing_else(cohort):
    prefixes, _, traits = cohort
    rows = np.flatnonzero(np.arange(N) % 3)
    part = traits._replace(values=traits.values[rows], covariates=traits.covariates[rows])
    one, other = (collect(associate(prefixes, rows, part, 5, size)) for size in (4096, 32))
    assert one[0]["id"].tolist() == other[0]["id"].tolist()
    for a, b in zip(one[1:], other[1:], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    with Genotypes(prefixes[0], rows) as genotypes:
        counts = genotypes.dosages(0, 150).sum(axis=1)
    kept = np.minimum(counts, 2 * len(rows) - counts) >= 5
    assert (one[0]["chrom"] == "21").sum() == kept.sum()


def test_traits_of_one_kind_or_none(cohort, tmp_path):
    prefixes, _, traits = cohort
    whole = collect(associate(prefixes, None, traits, 5))
    for columns in ([3, 4], [0, 2], [1]):
        some = traits._replace(
            names=tuple(traits.names[k] for k in columns),
            values=traits.values[:, columns],
            kind=tuple(traits.kind[k] for k in columns),
        )
        part = collect(associate(prefixes, None, some, 5))
        for a, b in zip(part[1:], whole[1:], strict=True):
            np.testing.assert_allclose(a, b[:, columns], rtol=1e-4, atol=1e-5)
    none = traits._replace(names=(), kind=(), values=np.empty((N, 0)))
    assert write_association(tmp_path / "none", associate(prefixes, None, none, 5), ()) == len(whole[0])


def test_rows_must_fit_the_traits(cohort):
    prefixes, _, traits = cohort
    with pytest.raises(ValueError, match="people_rows must increase"):
        next(associate(prefixes, np.arange(N)[::-1], traits))
    with pytest.raises(ValueError, match="one row a person"):
        next(associate(prefixes, np.arange(9), traits))


def test_p_values_agree_with_scipy_and_beyond_it_with_exact_arithmetic():
    t = np.concatenate([[0, 1e-6], np.linspace(0.01, 36, 400)])
    for df in (3, 27, 99, 100, 350, 5000, 1e6):
        expected = -(stats.t.logsf(t, df) + np.log(2)) / np.log(10)
        finite = np.isfinite(expected) & (expected < 300)
        assert finite.sum() > 200
        np.testing.assert_allclose(minus_log10_p(t, df)[finite], expected[finite], rtol=1e-7, atol=1e-9)
    normal = -(stats.norm.logsf(t) + np.log(2)) / np.log(10)
    np.testing.assert_allclose(minus_log10_p(t, np.inf), normal, rtol=1e-12, atol=1e-12)
    assert np.isnan(minus_log10_p(np.nan, 50)).all()
    assert np.isnan(minus_log10_p(np.nan, 5000)).all()


@pytest.mark.parametrize(("t", "df"), [(90, 1500), (25, 1500), (300, 1500), (10**9, 80), (60, 10000), (2000, 120)])
def test_p_values_far_beyond_the_smallest_float(t, df):
    with localcontext() as context:
        context.prec = 2500
        # even df: P(|T| > t) = 1 - t/sqrt(df + t^2) * sum_k c_k x^k, c_k = prod_{i<=k} (2i-1)/(2i)
        x = Decimal(df) / (df + t * t)
        term = total = Decimal(1)
        for k in range(1, df // 2):
            term *= x * (2 * k - 1) / (2 * k)
            total += term
        p = 1 - (1 - x).sqrt() * total
        expected = -p.adjusted() - np.log10(float(p.scaleb(-p.adjusted())))
    assert 50 < expected < 2000
    assert float(minus_log10_p(t, df)) == pytest.approx(expected, rel=1e-8)


def test_lambda_gc_of_null_and_inflated_tests():
    z = stats.norm.ppf((np.arange(20001) + 0.5) / 20001)
    log10p = -np.log10(2 * stats.norm.sf(np.abs(z)))
    assert lambda_gc(np.append(log10p, np.nan)) == pytest.approx(1, abs=1e-3)
    assert lambda_gc(-np.log10(2 * stats.norm.sf(np.abs(1.2 * z)))) == pytest.approx(1.44, abs=2e-3)
    assert np.isnan(lambda_gc(np.array([np.nan])))


def test_files_are_indexed_and_come_back(cohort, tmp_path, caplog):
    prefixes, _, traits = cohort
    sites, beta, _, log10p, af = collect(associate(prefixes, None, traits, 1))
    with caplog.at_level(logging.INFO, "pseudocohort"):
        written = write_association(tmp_path / "real", associate(prefixes, None, traits, 1, 64), traits.names)
    assert written == len(sites)
    assert "chr21, 150 sites, 5 traits" in caplog.text
    assert sorted(p.name for p in (tmp_path / "real").iterdir()) == sorted(
        f"{n}.tsv.gz{e}" for n in traits.names for e in ("", ".tbi")
    )
    for k, name in enumerate(traits.names):
        table = read_association(tmp_path / "real" / f"{name}.tsv.gz")
        assert table.columns.tolist() == association.COLUMNS
        assert table["id"].tolist() == sites["id"].tolist()
        assert (table["effect_allele"] == table["alt"]).all()
        assert (table["n"] == np.isfinite(traits.values[:, k]).sum()).all()
        np.testing.assert_allclose(table["beta"], beta[:, k], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(table["log10p"], log10p[:, k], rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(table["af"], af[:, k], rtol=1e-5)
        assert table["beta"].isna().any() == np.isnan(beta[:, k]).any()
    with pysam.TabixFile(str(tmp_path / "real" / "full.tsv.gz")) as file:
        rows = [line.split("\t") for line in file.fetch("X", 1000, 1200)]
    assert len(rows) > 10
    assert all(r[0] == "X" and 1000 < int(r[1]) <= 1200 for r in rows)


def test_numbers_are_written_with_six_digits():
    texts = association._texts(np.array([0.123456789, -1234567.8, 1.5e-17, 0.0, np.nan, 412.25, 1e-9 / 3]))
    assert texts.to_pylist()[4] == "NA"
    np.testing.assert_allclose(
        [float(x) for x in texts.to_pylist() if x != "NA"],
        [0.123457, -1234570, 1.5e-17, 0, 412.25, 3.33333e-10],
        rtol=1e-15,
    )
    assert max(map(len, texts.to_pylist())) <= 12
