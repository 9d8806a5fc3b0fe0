"""Association against plink2, statsmodels and scipy."""

import subprocess
import sys
from decimal import Decimal, localcontext
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from pseudocohort.errors import InputError
from pseudocohort.genetics import association
from pseudocohort.genetics.association import associate, make_design
from pseudocohort.genetics.sums import DeviceSums, HostSums
from pseudocohort.genetics.tails import lambda_gc, minus_log10_p, normal_deviate
from pseudocohort.genetics.traits import Traits, inverse_normal
from pseudocohort.genotypes import Genotypes, GenotypeWriter

N = 500
SCRIPTS = Path(association.__file__).parents[2]


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
    """beta = U/V and se = V^-1/2 where the score is within two standard deviations; beyond, beta is the maximum
    likelihood estimate of g less its covariate part, with the null's linear predictor as offset."""
    prefixes, dosage, traits = cohort
    sites, beta, se, log10p, _ = collect(associate(prefixes, None, traits, 20))
    row = {name: i for i, name in enumerate([f"{c}:{s}" for c in ("21", "X") for s in range(150)])}
    for k in (3, 4):
        seen = ~np.isnan(traits.values[:, k])
        exog = np.column_stack([np.ones(N), traits.covariates])[seen]
        family = sm.families.Binomial()
        null = sm.GLM(traits.values[seen, k], exog, family=family).fit(tol=1e-12)
        root, plain, errors = np.sqrt(null.mu * (1 - null.mu)), 0, []
        for i in range(0, len(sites), 11):
            g = dosage[row[sites["id"].iloc[i]]][seen].astype(float)
            chi2, p = map(np.squeeze, null.score_test(exog_extra=g[:, None])[:2])
            if chi2 > 4:
                part = np.linalg.lstsq(root[:, None] * exog, root * g, rcond=None)[0]
                model = sm.GLM(traits.values[seen, k], g - exog @ part, family=family, offset=exog @ null.params)
                estimate = model.fit().params[0]
                errors.append(abs(beta[i, k] / estimate - 1))
            elif chi2 < 4:
                plain += 1
                assert beta[i, k] == pytest.approx(chi2 / (g @ null.resid_response), rel=1e-4, abs=1e-6)
                assert (beta[i, k] / se[i, k]) ** 2 == pytest.approx(chi2, rel=1e-4, abs=1e-6)
                assert log10p[i, k] == pytest.approx(-np.log10(p), rel=1e-4, abs=1e-5)
        assert plain > 10
        assert 0 < np.max(errors) < 0.005


def test_a_trait_has_no_estimate_where_its_own_people_carry_too_few_minor_alleles(cohort):
    prefixes, _, traits = cohort
    _, beta, _, _, af = collect(associate(prefixes, None, traits, 20))
    everywhere = collect(associate(prefixes, None, traits, 1))
    seen = (~np.isnan(traits.values)).sum(axis=0)
    count = np.minimum(everywhere[4], 1 - everywhere[4]) * 2 * seen
    few = count[count[:, 0] > 19.5] < 19.5  # the first trait is complete, so its count is the site's
    assert few[:, 2].any()
    assert np.isnan(beta[few]).all()
    assert np.isnan(af[few]).all()  # a frequency would count single carriers


def test_a_binary_trait_has_no_estimate_where_the_covariates_leave_no_doubt_about_the_carriers(cohort):
    """Age decides all but a few people: at sites that these do not carry nothing is left to test."""
    prefixes, dosage, traits = cohort
    age = traits.covariates[:, 0]
    ill = (age > 1).astype(float)
    near = np.argsort(np.abs(age - 1))[:12]
    ill[near] = np.arange(12) % 2
    one = traits._replace(names=("ill",), kind=("logistic",), values=ill[:, None])
    sites, beta, *_ = collect(associate(prefixes[:1], None, one, 1))
    design = make_design(one)
    w = design.mu[0] * (1 - design.mu[0])
    g = dosage[[int(name.split(":")[1]) for name in sites["id"]]].astype(float)
    left = sm.WLS(g.T, np.column_stack([np.ones(N), traits.covariates]), weights=w).fit().resid
    information = (left**2 * w[:, None]).sum(axis=0)
    small = information < association.MINIMUM_INFORMATION
    assert small.sum() > 5
    assert np.isnan(beta[small, 0]).all()
    varies = information > 1e-3 * (g**2 @ w)
    assert np.isfinite(beta[~small & varies, 0]).all()


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


def test_traits_of_one_kind_or_none(cohort):
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
    sites, beta, _, log10p, _ = collect(associate(prefixes, None, none, 5))
    assert len(sites) == len(whole[0])
    assert beta.shape == log10p.shape == (len(sites), 0)


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
    assert lambda_gc(np.append(z**2, np.nan)) == pytest.approx(1, abs=1e-3)
    assert lambda_gc((1.2 * z) ** 2) == pytest.approx(1.44, abs=2e-3)
    assert lambda_gc(np.array([stats.chi2.ppf(0.5, 1)])) == pytest.approx(1, rel=1e-12)
    assert np.isnan(lambda_gc(np.array([np.nan])))


def test_no_result_where_calls_are_missing(cohort, caplog):
    """A site with missing calls is left out and counted, never taken for a dosage."""
    prefixes, _, traits = cohort

    class Holed(Genotypes):
        def counts(self, start, stop):
            counts = super().counts(start, stop)
            counts[3, 3] = 1
            return counts

    whole = collect(associate(prefixes[:1], None, traits, 5))[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(association, "Genotypes", Holed)
        sites = collect(associate(prefixes[:1], None, traits, 5))[0]
    assert set(whole["id"]) - set(sites["id"]) == {"21:3"} & set(whole["id"])
    assert "1 sites with missing calls are not tested" in caplog.text


@pytest.mark.parametrize("width", [200, 64])
def test_the_sums_on_a_device_are_those_on_the_host(cohort, width):
    """JAX's own CPU back end stands for the device; float32 sums of 500 people differ in the last digits only."""
    _, dosage, traits = cohort
    tables = make_design(traits).tables
    h = np.ascontiguousarray(dosage[:width].T)
    # a block narrower than the width is padded, and nothing of the padding comes back
    for block in (h, h[:, : width // 3]):
        ours, theirs = HostSums(tables, width)(block), DeviceSums(tables, width)(block)
        for a, b in zip(ours, theirs, strict=True):
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)
        assert np.abs(ours.parts).max() > 1


def test_the_sums_are_exact_sums_over_people(cohort):
    _, dosage, traits = cohort
    design = make_design(traits)
    h = dosage[:40].T
    sums = HostSums(design.tables, 64)(np.ascontiguousarray(h))
    np.testing.assert_allclose(sums.product, design.tables.columns.astype(float) @ h, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(sums.weighted, design.tables.weights.astype(float) @ h**2, rtol=1e-5)
    for k, p in enumerate(design.pattern):
        seen = ~np.isnan(traits.values[:, k])
        alleles = design.base[p] * h.sum(axis=0) + design.sign[p] * sums.parts[p, -2]
        squares = design.base[p] * (h**2).sum(axis=0) + design.sign[p] * sums.parts[p, -1]
        assert (alleles == h[seen].sum(axis=0)).all()
        assert (squares == (h[seen] ** 2).sum(axis=0)).all()
    assert len(design.base) == 4  # two complete traits share a pattern


def test_the_device_changes_nothing(cohort, monkeypatch):
    prefixes, _, traits = cohort
    host = collect(associate(prefixes, None, traits, 5))
    monkeypatch.setattr(association, "_on_host", lambda device: device == "cpu")
    device = collect(associate(prefixes, None, traits, 5, block_sites=100, device="gpu"))
    assert host[0]["id"].tolist() == device[0]["id"].tolist()
    for a, b in zip(host[1:], device[1:], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_an_unknown_device_is_told(cohort):
    prefixes, _, traits = cohort
    with pytest.raises(InputError, match="device 'tpu' is not known"):
        next(associate(prefixes, None, traits, device="tpu"))


def test_the_engine_starts_without_jax_and_arrow_files():
    code = "import sys, pseudocohort.genetics.association; print('jax' in sys.modules, 'pysam' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=SCRIPTS)
    assert told.stdout.split() == ["False", "False"]


def test_rare_alleles_keep_their_digits_in_float32():
    """Sums of float32 products at 20 minor alleles among many, and at a site whose REF is rare."""
    rng = np.random.default_rng(3)
    n = 20_000
    covariates = np.column_stack([rng.normal(size=n), rng.choice([-1.0, 1.0], n)])
    y = rng.normal(size=(n, 1)) + 3 * covariates[:, :1]
    y[rng.random(n) < 0.01] = np.nan
    design = make_design(Traits(("y",), ("linear",), y, covariates))
    g = np.zeros((n, 2))
    g[rng.choice(n, 20, replace=False), 0] = 1
    g[:, 1] = 2 - g[rng.permutation(n), 0]
    counts = np.array([[(c == v).sum() for v in (0, 1, 2)] + [0] for c in g.T])
    shift = np.array([0, 2], dtype=np.int8)
    h = (g - shift).astype(np.int8)
    got = association._regress(design, HostSums(design.tables, 2)(h), counts, shift, 1, h)
    seen = ~np.isnan(y[:, 0])
    for i in range(2):
        fit = sm.OLS(y[seen, 0], np.column_stack([g[:, i], np.ones(n), covariates])[seen]).fit()
        assert abs(got.beta[0, i] - fit.params[0]) / fit.bse[0] < 1e-5
        assert got.se[0, i] == pytest.approx(fit.bse[0], rel=1e-6)


def test_deviates_of_log_p_are_the_inverse_of_the_tail():
    z = np.array([0.5, 2.0, 8.0, 40.0, 300.0])
    log_p = -minus_log10_p(z, np.inf) * np.log(10)
    assert log_p[-1] < -40000
    np.testing.assert_allclose(normal_deviate(log_p), z, rtol=1e-9)
    assert normal_deviate(np.array([0.3])) == 0


def test_a_trait_that_the_covariates_explain_has_no_results(cohort):
    prefixes, _, traits = cohort
    values = np.column_stack([traits.values[:, 0], 3 - 2 * traits.covariates[:, 1]])
    values[::7, 1] = np.nan
    two = traits._replace(names=("full", "sex"), kind=("linear",) * 2, values=values)
    for block in associate(prefixes, None, two, 20):
        assert np.isnan(block.se[:, 1]).all()
        assert np.isfinite(block.se[:, 0]).any()
