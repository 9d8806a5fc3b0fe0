"""Joint hits, clumping and candidates, against regression by statsmodels and brute force."""

import logging
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from pseudocohort.genetics.traits import Traits
from pseudocohort.genotypes import GenotypeWriter
from pseudocohort.weights import hits
from pseudocohort.weights.hits import find_candidates, independent_sites, select_jointly

SETTINGS = {
    "hit_p": 5e-8,
    "lead_p": 1e-3,
    "lead_r2": 0.6,
    "most_leads": 300,
    "minimum_allele_frequency": 0.01,
    "block_sites": 64,
}


def linked(rng, n, m, run=20):
    """Dosages (m, n) int8 in runs of linked sites."""
    alleles, latent = np.empty((m, 2 * n), dtype=np.int8), None
    for s in range(m):
        fresh = rng.normal(size=2 * n)
        latent = fresh if s % run == 0 else 0.85 * latent + np.sqrt(1 - 0.85**2) * fresh
        alleles[s] = latent < rng.uniform(-1.2, 0)
    return alleles


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """1,500 people with 60 sites on each of two chromosomes; dosages (120, n), covariates, prefixes."""
    folder, rng = tmp_path_factory.mktemp("hits"), np.random.default_rng(10)
    alleles, prefixes = linked(rng, 1500, 120), []
    for chrom in range(2):
        prefixes.append(folder / f"chr{chrom + 1}")
        part = alleles[60 * chrom : 60 * chrom + 60]
        sites = pd.DataFrame({"chrom": str(chrom + 1), "pos": 100 * np.arange(60) + 1, "ref": "A", "alt": "T"})
        sites.insert(2, "id", [f"{chrom}_{i}" for i in range(60)])
        with GenotypeWriter(prefixes[-1], np.arange(1500).astype(str), np.ones(1500, dtype=int), 60) as writer:
            writer.append(part, sites)
    return alleles[:, ::2] + alleles[:, 1::2], rng.normal(size=(1500, 1)), prefixes


def test_forward_selection_takes_causal_sites_and_not_their_proxies(cohort):
    dosage, covariates, _ = cohort
    rng, n = np.random.default_rng(11), 1500
    design = np.column_stack([np.ones(n), covariates])
    causal = [3, 9, 50]
    y = 0.5 * covariates[:, 0] + dosage[causal].T @ [0.6, 0.4, -0.5] + rng.normal(size=n)
    y[::50] = np.nan
    g = dosage[:60].astype(float)
    chosen, beta = select_jointly(y, design, g, 7.3)
    assert sorted(chosen) == causal
    seen = ~np.isnan(y)
    joint = sm.OLS(y[seen], np.column_stack([g[chosen][:, seen].T, design[seen]])).fit()
    np.testing.assert_allclose(beta, joint.params[:3], rtol=1e-8)
    copies = np.vstack([g, g[causal]])
    assert len(select_jointly(y, design, copies, 7.3)[0]) == 3  # a copy adds nothing
    assert select_jointly(rng.normal(size=n), design, g, 7.3)[0] == []
    assert select_jointly(y, design, np.empty((0, n)), 7.3)[0] == []


def test_clumping_is_the_greedy_algorithm(cohort):
    dosage, *_ = cohort
    seen = np.arange(1500) % 7 > 0
    r2 = np.corrcoef(dosage[:, seen]) ** 2
    for first, most in (([], 300), ([7, 70], 300), ([], 5)):
        kept = list(first)
        for row in range(120):
            if row not in kept and len(kept) < most + len(first) and (r2[row, kept] < 0.3).all():
                kept.append(row)
        found = independent_sites(dosage, seen, np.array(first, dtype=int), 0.3, most)
        assert found.tolist() == kept
    assert len(independent_sites(dosage[:0], seen, np.empty(0, dtype=int), 0.3, 5)) == 0


def test_candidates_are_joint_hits_and_leads_of_every_trait(cohort):
    dosage, covariates, prefixes = cohort
    rng = np.random.default_rng(12)
    noise = rng.normal(size=(1500, 3))
    strong = dosage[[3, 9]].T @ [0.6, 0.4] + noise[:, 0]
    weak = dosage[100] * 0.17 + noise[:, 1]
    case = (dosage[30] * 0.7 + noise[:, 2] > 1.4).astype(float)
    values = np.column_stack([strong, weak, case, rng.normal(size=1500)])
    values[::9, 1] = np.nan
    traits = Traits(("a", "b", "c", "d"), ("linear", "linear", "logistic", "linear"), values, covariates)
    design = np.column_stack([np.ones(1500), covariates])
    found = find_candidates(prefixes, None, traits, values, design, SETTINGS)
    assert found[0].sites["id"][found[0].joint].tolist() == ["0_3", "0_9"]
    assert found[1].sites["id"].iloc[0] in {f"1_{i}" for i in range(38, 43)}
    assert found[2].sites["id"].iloc[0] in {f"0_{i}" for i in range(28, 33)}
    assert not found[1].joint.any()
    for candidates, y in zip(found, values.T, strict=True):
        chrom, row = candidates.sites["chrom"].astype(int).to_numpy(), candidates.sites.index.to_numpy()
        np.testing.assert_array_equal(candidates.dosage, dosage[60 * (chrom - 1) + row])
        r2 = np.corrcoef(candidates.dosage[:, ~np.isnan(y)]) ** 2 if len(row) > 1 else np.eye(len(row))
        joint = np.outer(candidates.joint, candidates.joint)
        assert (r2[~joint & ~np.eye(len(row), dtype=bool)] < 0.6).all()
        assert (candidates.log10p > 3).all()
    one = sm.OLS(values[:, 0], np.column_stack([dosage[3], design])).fit()
    place = found[0].sites["id"].tolist().index("0_3")
    assert found[0].marginal[place] == pytest.approx(one.params[0], rel=1e-4)
    leads = find_candidates(
        prefixes, None, traits, values, design, {**SETTINGS, "lead_p": 5e-8, "lead_r2": 0.1}, joint=False
    )
    assert leads[0].sites["id"].iloc[0] == "0_3"
    assert not leads[0].joint.any()
    assert len(leads[3].sites) == 0


def region(folder, n, proxies, rng):
    """Dosages of a locus of `proxies` sites, r2 about .9 with the first, and behind them an unlinked one."""
    lead = rng.random(2 * n) < 0.4
    alleles = [lead] + [np.where(rng.random(2 * n) < 0.05, rng.random(2 * n) < 0.4, lead) for _ in range(proxies - 1)]
    alleles = np.array([*alleles, rng.random(2 * n) < 0.3], dtype=np.int8)
    pos, names = 1_000_000 + 100 * np.arange(proxies + 1), [f"s{i}" for i in range(proxies + 1)]
    sites = pd.DataFrame({"chrom": "1", "pos": pos, "id": names, "ref": "A", "alt": "T"})
    with GenotypeWriter(folder / "chr1", np.arange(n).astype(str), np.ones(n, dtype=int), proxies + 1) as writer:
        writer.append(alleles, sites)
    return alleles[:, ::2] + alleles[:, 1::2]


def test_a_second_hit_is_found_beside_eighty_sites_in_ld_with_the_lead(tmp_path, monkeypatch):
    rng, n = np.random.default_rng(20), 4000
    dosage = region(tmp_path, n, 81, rng)
    y = 0.4 * dosage[0] + 0.2 * dosage[81] + rng.normal(size=n)
    traits = Traits(("a",), ("linear",), y[:, None], np.empty((n, 0)))
    values, one = y[:, None], np.ones((n, 1))
    found = find_candidates([tmp_path / "chr1"], None, traits, values, one, SETTINGS)[0]
    assert found.sites["id"][found.joint].tolist() == ["s0", "s81"]
    order = np.argsort(-(np.corrcoef(np.vstack([y, dosage]))[0, 1:] ** 2)).tolist()
    assert order.index(81) >= 50  # far down the list of the window, and no weak one
    assert 12 < found.log10p[1] < 16
    monkeypatch.setattr(hits, "HELD_BYTES", 0)  # read anew for every hit, seven sites at a time
    monkeypatch.setattr(hits, "CELLS", 7 * n)
    again = find_candidates([tmp_path / "chr1"], None, traits, values, one, SETTINGS)[0]
    pd.testing.assert_frame_equal(again.sites, found.sites)
    np.testing.assert_array_equal(again.dosage, found.dosage)


def test_a_large_locus_needs_little_memory(tmp_path, monkeypatch):
    """With 1,500 sites of 4,000 people (6 MB of int8, 48 MB of float64) and slices in proportion."""
    rng, n = np.random.default_rng(21), 4000
    dosage = region(tmp_path, n, 1500, rng)
    y = 1.0 * dosage[0] + 0.4 * dosage[1500] + rng.normal(size=n)
    traits = Traits(("a",), ("linear",), y[:, None], np.empty((n, 0)))
    monkeypatch.setattr(hits, "HELD_BYTES", 1 << 18)
    monkeypatch.setattr(hits, "CELLS", 1 << 16)
    small = {**SETTINGS, "most_leads": 5, "block_sites": 16}
    tables = hits._sites_of_small_p(tmp_path / "chr1", None, traits, small, True)
    monkeypatch.setattr(hits, "_sites_of_small_p", lambda *_: tables)  # association has its own limits
    tracemalloc.start()
    found = find_candidates([tmp_path / "chr1"], None, traits, y[:, None], np.ones((n, 1)), small)[0]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(tables[0]) == 1501
    assert found.sites["id"][found.joint].tolist() == ["s0", "s1500"]
    assert peak < 4 << 20


def test_only_the_weakest_leads_are_left_out_and_the_log_tells(cohort, caplog):
    dosage, covariates, prefixes = cohort
    rng = np.random.default_rng(22)
    y = dosage[[3, 70]].T @ [0.6, 0.6] + dosage[[25, 45, 105]].T @ [0.22, 0.22, 0.22] + rng.normal(size=1500)
    values = np.column_stack([y, rng.normal(size=1500)])
    traits = Traits(("a", "b"), ("linear", "linear"), values, covariates)
    design = np.column_stack([np.ones(1500), covariates])
    with caplog.at_level(logging.INFO, logger="pseudocohort"):
        every = find_candidates(prefixes, None, traits, values, design, SETTINGS)[0]
    assert "leads" not in caplog.text
    with caplog.at_level(logging.INFO, logger="pseudocohort"):
        two = find_candidates(prefixes, None, traits, values, design, {**SETTINGS, "most_leads": 2})[0]
    assert "candidates: 1 of 2 traits have more than 2 leads, the weakest left out" in caplog.text
    assert {"0_3", "1_10"} <= set(every.sites["id"][every.joint])
    assert (~every.joint).sum() > 2
    assert (np.diff(every.log10p[~every.joint]) <= 0).all()
    k = every.joint.sum() + 2
    pd.testing.assert_frame_equal(two.sites, every.sites.iloc[:k])
    np.testing.assert_array_equal(two.dosage, every.dosage[:k])
    none = find_candidates(prefixes, None, traits, values, design, {**SETTINGS, "most_leads": 0})[0]
    pd.testing.assert_frame_equal(none.sites, every.sites[every.joint])


def test_loci_part_where_a_gap_is_wide():
    pos = [900_000, 100, 250_100, 500_101, 1_150_000]
    parts = [locus["pos"].tolist() for locus in hits.loci(pd.DataFrame({"pos": pos}))]
    assert parts == [[100, 250_100], [500_101], [900_000, 1_150_000]]
    assert list(hits.loci(pd.DataFrame({"pos": np.empty(0, dtype=int)}))) == []


def test_no_site_is_tried_without_degrees_of_freedom(cohort):
    dosage, *_ = cohort
    rng = np.random.default_rng(23)
    y = np.where(np.arange(1500) < 24, dosage[3] + 0.01 * rng.normal(size=1500), np.nan)
    design = np.column_stack([np.ones(1500), rng.normal(size=(1500, 22))])
    for q in (23, 22):  # 24 people: no degree of freedom, and one
        assert select_jointly(y, design[:, :q], dosage[:60], 7.3)[0] == []
    assert select_jointly(y, design[:, :1], dosage[:60], 7.3)[0] == [3]
    assert select_jointly(np.full(1500, np.nan), design, dosage[:60], 7.3)[0] == []
