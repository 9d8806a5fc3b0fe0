"""The table of traits: what associations, heritability and scores found of each, side by side."""

from pathlib import Path

import numpy as np
import pandas as pd

from pseudocohort.evaluation.associations import COHORTS
from pseudocohort.evaluation.real_cells import whole_tens
from pseudocohort.files import atomic

# What a column holds and in what unit, in the file's order; {} is the cohort.
BY_COHORT = (
    ("n_{}", "people"),
    ("lambda_gc_{}", "ratio"),
    ("mean_chi_square_{}", "chi-square"),
    ("hits_{}", "count"),
    ("h2_{}", "share of variance"),
    ("h2_se_{}", "share of variance"),
    ("h2_liability_{}", "share of variance"),
    ("ldsc_h2_{}", "share of variance"),
    ("ldsc_intercept_{}", "chi-square"),
)
OTHERS = (
    *[("hits_real_all", "count"), ("hits_synthetic_all", "count"), ("false_hits_synthetic", "count")],
    *[("prs_people", "people")],
    *[("prs_r2_synthetic", "share of variance"), ("prs_r2_real", "share of variance")],
    *[("prs_sites_synthetic", "count"), ("prs_sites_real", "count")],
)
# Numbers of real people by item; those of matched people are the holdout's.
REAL_PEOPLE = ("n_real", "n_holdout", "n_matched", "prs_people")
HERITABILITY = {"h2": "h2", "h2_se": "h2_se", "liability": "h2_liability"}


def trait_table(associations: list[dict], heritability: dict[str, dict], scores: list[dict]) -> pd.DataFrame:
    """A row a trait in the order of `associations`; columns `NAME [unit]`, of those that some trait has.

    Numbers of real people are told in whole tens: differences of few between items would tell of these few.
    associations, scores: rows of `per_trait`.  heritability: `cohorts` of heritability.json.
    """
    rows = {row["trait"]: dict(row) for row in associations}
    for row in scores:
        if row["trait"] in rows:
            rows[row["trait"]] |= row
    for cohort, estimates in heritability.items():
        for trait, found in estimates["traits"].items():
            regression = found.get("ld_score_regression", {})
            more = {f"{new}_{cohort}": found[old] for old, new in HERITABILITY.items()}
            more |= {f"ldsc_{key}_{cohort}": regression.get(key) for key in ("h2", "intercept")}
            if trait in rows:
                rows[trait] |= more
    table = pd.DataFrame(list(rows.values()) or {"trait": []})
    for name in [c for c in table if c in REAL_PEOPLE]:
        people = whole_tens(pd.to_numeric(table[name]).to_numpy(dtype=float))
        table[name] = np.where(people > 0, people, np.nan)
    columns = [(name.format(cohort), unit) for name, unit in BY_COHORT for cohort in COHORTS] + list(OTHERS)
    known = {name: f"{name} [{unit}]" for name, unit in columns if name in table and table[name].notna().any()}
    return table[["trait", *known]].rename(columns=known)


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Tab-separated, numbers of six digits, NA where there is none."""
    with atomic(path) as part:
        table.to_csv(part, sep="\t", index=False, na_rep="NA", float_format="%.6g")
