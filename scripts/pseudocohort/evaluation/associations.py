"""Association results of the pseudo cohort against the real ones, trait by trait.

Real hits are found in the founders (train); pseudo and holdout are then asked for the same sites. The holdout
is the noise floor: effects at hits shrink there too (winner's curse), but it is smaller than the pseudo cohort,
so distances are in units of standard errors, and statistics are scaled to the founders' number where stated.
"""

import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import chi2

from pseudocohort import counter
from pseudocohort.evaluation.metrics import metric
from pseudocohort.genetics.results import read_association, traits_in

log = logging.getLogger("pseudocohort")
GENOME_WIDE = -np.log10(5e-8)
SUGGESTIVE = 5.0  # used instead where fewer than FEW hits reach genome-wide significance
FEW = 5
WINDOW = 500_000  # bp; hits nearer than this are one
SIGNAL = 4.0  # -log10 p; a pseudo hit with no real p below this nearby is a false one
KEY = ["chrom", "pos", "ref", "alt"]
COHORTS = ("real", "holdout", "synthetic")
MEDIAN = chi2.ppf(0.5, 1)
POINTS = 2.0  # -log10 p above which every site is drawn
PICTURES = 12  # traits with a Manhattan plot of their own
QQ_POINTS = 300


class Inflation(NamedTuple):
    """Lambda GC and mean chi-square of real and of another cohort on the same sites."""

    real_lambda: float
    real_mean: float
    other_lambda: float
    other_mean: float


class Trait(NamedTuple):
    """Summary of one trait. n, lambda_gc: by cohort; shared: Inflation by other cohort on the sites tested in both
    it and real; hits: leads in real (DataFrame with beta, se,
    beta_holdout, ... at the same sites); hits_suggestive: the same at p < 1e-5; pseudo_hits, false_hits (pseudo,
    holdout): counts at 5e-8, pseudo scaled to the founders' number; peak: largest -log10 p in real."""

    name: str
    n: dict[str, float]
    lambda_gc: dict[str, float]
    shared: dict[str, Inflation]
    hits: pd.DataFrame
    hits_suggestive: pd.DataFrame
    pseudo_hits: int
    holdout_hits: int
    false_hits: int
    false_holdout: int
    peak: float


def evaluate_associations(directories: dict[str, str | Path], seed: int) -> tuple[list[dict], dict[str, np.ndarray]]:
    """All metrics of the associations, and aggregates for the figures.

    directories: of `write_association` for real, holdout and synthetic. Traits missing in real or synthetic are left
    out and counted; a trait missing in the holdout has no floor.
    """
    names = {c: set(traits_in(d)) for c, d in directories.items()}
    shared = sorted(names["real"] & names["synthetic"])
    rng = counter.generator(seed, "evaluate associations")
    traits, arrays, points = [], {}, {}
    for i, name in enumerate(shared):
        tables = {c: read_association(directories[c], name) if name in names[c] else None for c in COHORTS}
        traits.append(summarise(name, tables))
        points[name] = _points(tables, rng)
        _keep_strongest(points, traits)
        log.info("trait %d of %d compared", i + 1, len(shared))
    order = sorted(range(len(traits)), key=lambda i: -traits[i].peak)
    arrays |= _trait_arrays([traits[i] for i in order])
    drawn = [traits[i].name for i in order if traits[i].name in points]
    arrays["points/names"] = drawn or ["-"]
    for i, name in enumerate(drawn):
        arrays |= {f"points/{i}/{k}": v for k, v in points[name].items()}
    suggestive = use_suggestive(traits)
    arrays["threshold"] = np.array(SUGGESTIVE if suggestive else GENOME_WIDE)
    arrays |= {f"hits/{k}": v for k, v in _hit_arrays(traits, suggestive).items()}
    unmatched = len(names["real"] ^ names["synthetic"])
    return association_metrics(traits, rng, unmatched), arrays


def chi_square(table: pd.DataFrame) -> np.ndarray:
    """(beta / se)^2, one degree of freedom."""
    return (table["beta"].to_numpy() / table["se"].to_numpy()) ** 2


def lambda_gc(statistics: np.ndarray) -> float:
    """Genomic control: median of the chi-square statistics over its expectation 0.4549 (Devlin and Roeder 1999)."""
    return float(np.median(statistics) / MEDIAN) if len(statistics) else np.nan


def clump(table: pd.DataFrame, threshold: float, window: int = WINDOW) -> pd.DataFrame:
    """Lead sites: the strongest with -log10 p >= threshold, then the next one more than `window` bp from all leads.

    table: chrom, pos, log10p, ...  Returns its rows, strongest first.
    """
    candidates = table[table["log10p"] >= threshold].sort_values(
        ["log10p", "chrom", "pos"], ascending=[False, True, True]
    )
    leads: list[int] = []
    taken: dict[str, list[int]] = {}
    for row in candidates.itertuples():
        near = taken.setdefault(row.chrom, [])
        if all(abs(row.pos - p) > window for p in near):
            near.append(row.pos)
            leads.append(row.Index)
    return table.loc[leads]


def false_leads(leads: pd.DataFrame, real: pd.DataFrame, signal: float = SIGNAL, window: int = WINDOW) -> int:
    """Leads with no site of -log10 p >= signal within `window` bp in the real results."""
    strong = real[real["log10p"] >= signal]
    count = 0
    for row in leads.itertuples():
        near = strong.loc[strong["chrom"] == row.chrom, "pos"].to_numpy()
        count += not (np.abs(near - row.pos) <= window).any()
    return count


def summarise(name: str, tables: dict[str, pd.DataFrame | None]) -> Trait:
    """Summary of one trait from its results in real, holdout (may be None) and synthetic."""
    present = {c: t for c, t in tables.items() if t is not None}
    statistics = {c: chi_square(t) for c, t in present.items()}
    n = {c: float(t["n"].median()) if len(t) else np.nan for c, t in present.items()}
    real, pseudo, held = tables["real"], tables["synthetic"], tables["holdout"]
    ratio = min(n["real"] / n["synthetic"], 1.0) if n["synthetic"] else 1.0
    scaled = pseudo.assign(log10p=_scaled_log10p(statistics["synthetic"] * ratio, pseudo["log10p"].to_numpy(), ratio))
    made = clump(scaled, GENOME_WIDE)
    others = clump(held, GENOME_WIDE) if held is not None else None
    return Trait(
        name,
        n,
        {c: lambda_gc(s) for c, s in statistics.items()},
        {c: _shared_inflation(real, t) for c, t in present.items() if c != "real"},
        _beside(clump(real, GENOME_WIDE), tables),
        _beside(clump(real, SUGGESTIVE), tables),
        len(made),
        len(others) if others is not None else 0,
        false_leads(made, real),
        false_leads(others, real) if others is not None else 0,
        float(real["log10p"].max()) if len(real) else 0.0,
    )


def association_metrics(traits: list[Trait], rng: np.random.Generator, unmatched: int) -> list[dict]:
    """Metrics over all traits."""
    group = "association"
    if not traits:
        return [metric(group, "traits with association results in both cohorts", 0)]
    lines = _inflation_metrics(traits)
    suggestive = use_suggestive(traits)
    hits = _stacked(traits, suggestive)
    limit = "1e-5" if suggestive else "5e-8"
    real_hits = sum(len(t.hits) for t in traits)
    lines.append(
        metric(
            group,
            "hits (p < 5e-8, 500 kb apart) in the pseudo cohort, scaled to the founders' number",
            sum(t.pseudo_hits for t in traits),
            floor=real_hits,
            ratio=sum(t.pseudo_hits for t in traits) / real_hits if real_hits else None,
            goal="within 15 % or 2 sampling errors of the founders' hits",
            within=bool(
                abs(sum(t.pseudo_hits for t in traits) - real_hits)
                <= max(0.15 * real_hits, 2 * np.sqrt(2 * max(real_hits, 1)))
            ),
            headline=True,
            note=f"floor: hits among the founders; {len(traits)} traits",
        )
    )
    lines.append(
        metric(
            group,
            "false hits a trait (no real p < 1e-4 within 500 kb)",
            np.mean([t.false_hits for t in traits]),
            floor=np.mean([t.false_holdout for t in traits]),
            goal="≤ floor + 0.3",
            within=bool(np.mean([t.false_hits for t in traits]) <= np.mean([t.false_holdout for t in traits]) + 0.3),
        )
    )
    lines.append(
        metric(
            group,
            "traits with association results in both cohorts",
            len(traits),
            note=f"{unmatched} traits have them in one cohort only",
        )
    )
    return lines[:2] + _effect_metrics(hits, limit, rng) + lines[2:]


def _inflation_metrics(traits: list[Trait]) -> list[dict]:
    lines = []
    for k, name in enumerate(("lambda GC", "mean chi-square")):
        ratios = {
            c: np.array([_rescaled(t.shared[c][2 + k], t, c) / t.shared[c][k] for t in traits if c in t.shared])
            for c in ("synthetic", "holdout")
        }
        value, floor = (float(np.nanmean(r)) if np.isfinite(r).any() else np.nan for r in ratios.values())
        error = float(np.nanstd(ratios["synthetic"]) / np.sqrt(len(traits)))
        low, high = value - 1.96 * error, value + 1.96 * error
        lines.append(
            metric(
                "association", f"{name}, pseudo over real (mean of traits)", value, floor=floor,
                interval=(low, high) if error else None, goal="0.95 to 1.05, or 1 in the interval",
                within=bool(0.95 <= value <= 1.05 or low <= 1 <= high) if np.isfinite(floor) else None, headline=k == 0,
                note="same sites; excess over 1 scaled to the founders' number of people; floor: holdout over founders",
            )
        )  # fmt: skip
    return lines


def _effect_metrics(hits: pd.DataFrame, limit: str, rng: np.random.Generator) -> list[dict]:
    """Effects at real hits: slope, correlation, and error against the holdout's."""
    both = hits[np.isfinite(hits["beta_synthetic"])]
    found = metric(
        "association", f"real hits (p < {limit}) whose site is tested in the pseudo cohort", len(both), floor=len(hits),
        note="floor: all real hits; the others lost their minor allele",
    )  # fmt: skip
    if len(both) < 2:
        return [found]
    made, held = (_agreement(hits, cohort, rng) for cohort in ("synthetic", "holdout"))
    z = (made.slope - held.slope) / np.hypot(made.error_of_slope, held.error_of_slope)
    ratio = made.error / held.error if held.error else np.nan
    replicated = np.mean(
        (np.sign(both["beta"]) == np.sign(both["beta_synthetic"])) & (both["log10p_synthetic"] >= -np.log10(0.05))
    )
    return [
        metric(
            "association", f"slope of pseudo on real effects at real hits (p < {limit})", made.slope, floor=held.slope,
            z=z, interval=made.interval, goal="within 0.07 of the floor, or |z| ≤ 2 from it",
            within=bool(abs(made.slope - held.slope) <= 0.07 or abs(z) <= 2),
            headline=True, note=f"{len(both)} hits; weighted by standard errors; floor: holdout (winner's curse)",
        ),
        metric("association", "correlation of effects at real hits", made.r, floor=held.r),
        metric(
            "association", "error of effects at real hits (RMS, in standard errors)", made.error, floor=held.error,
            ratio=ratio, goal="R ≤ 1.4", within=bool(ratio <= 1.4) if np.isfinite(ratio) else None,
        ),
        metric("association", "share of real hits with the same sign and p < 0.05 in the pseudo cohort", replicated),
        found,
    ]  # fmt: skip


class _Agreement(NamedTuple):
    slope: float
    interval: tuple[float, float]
    error_of_slope: float
    error: float
    r: float


def _agreement(hits: pd.DataFrame, cohort: str, rng: np.random.Generator) -> _Agreement:
    """Slope, error in standard errors and correlation of a cohort's effects at the hits it has tested."""
    seen = hits[np.isfinite(hits[f"beta_{cohort}"])]
    if len(seen) < 2:
        return _Agreement(np.nan, (np.nan, np.nan), np.nan, np.nan, np.nan)
    x, y, se = seen["beta"], seen[f"beta_{cohort}"], np.hypot(seen["se"], seen[f"se_{cohort}"])
    slope, interval = weighted_slope(x, y, se, rng)
    r = float(np.corrcoef(x, y)[0, 1]) if len(seen) > 2 and x.std() > 0 and y.std() > 0 else np.nan
    return _Agreement(slope, interval, float(np.ptp(interval)) / 3.92, float(np.sqrt(np.mean(((x - y) / se) ** 2))), r)


def weighted_slope(
    x: pd.Series, y: pd.Series, se: pd.Series, rng: np.random.Generator
) -> tuple[float, tuple[float, float]]:
    """Slope through the origin of y on x, weights 1 / se^2, and its bootstrap interval over hits.

    se: of y - x, so that hits that either cohort measures badly weigh little.
    """
    x, y, weight = (np.asarray(v, dtype=float) for v in (x, y, 1 / np.asarray(se, dtype=float) ** 2))
    slope = float((weight * x * y).sum() / (weight * x * x).sum())
    drawn = rng.integers(len(x), size=(500, len(x)))
    draws = (weight * x * y)[drawn].sum(axis=1) / (weight * x * x)[drawn].sum(axis=1)
    return slope, tuple(np.quantile(draws, [0.025, 0.975]).tolist())


def use_suggestive(traits: list[Trait]) -> bool:
    """Whether too few hits are genome-wide significant to compare effects."""
    return sum(len(t.hits) for t in traits) < FEW


def _rescaled(value: float, trait: Trait, cohort: str) -> float:
    """Excess of a mean or median chi-square over 1, which grows with n, scaled to the founders' number."""
    return 1 + (value - 1) * trait.n["real"] / trait.n[cohort]


def _shared_inflation(real: pd.DataFrame, other: pd.DataFrame) -> Inflation:
    pairs = real[[*KEY, "beta", "se"]].merge(other[[*KEY, "beta", "se"]], on=KEY, suffixes=("", "_other"))
    if pairs.empty:
        return Inflation(np.nan, np.nan, np.nan, np.nan)
    statistics = [chi_square(pairs), chi_square(pairs[["beta_other", "se_other"]].set_axis(["beta", "se"], axis=1))]
    return Inflation(*(float(f(x)) for x in statistics for f in (lambda_gc, np.mean)))


def _scaled_log10p(statistic: np.ndarray, log10p: np.ndarray, ratio: float) -> np.ndarray:
    """-log10 p of scaled statistics; where p is too small for floats, -log10 p itself scaled."""
    if ratio == 1:
        return log10p
    with np.errstate(divide="ignore"):
        scaled = -chi2.logsf(statistic, 1) / np.log(10)
    return np.where(np.isfinite(scaled), scaled, log10p * ratio)


def _beside(leads: pd.DataFrame, tables: dict[str, pd.DataFrame | None]) -> pd.DataFrame:
    """Leads with beta, se and log10p of holdout and synthetic at the same site and alleles, NaN where not tested."""
    merged = leads
    for cohort in ("holdout", "synthetic"):
        columns = {c: f"{c}_{cohort}" for c in ("beta", "se", "log10p")}
        if tables[cohort] is None:
            merged = merged.assign(**dict.fromkeys(columns.values(), np.nan))
        else:
            other = tables[cohort][tables[cohort]["pos"].isin(leads["pos"])]
            merged = merged.merge(other[[*KEY, *columns]].rename(columns=columns), on=KEY, how="left")
    return merged


def _stacked(traits: list[Trait], suggestive: bool) -> pd.DataFrame:
    tables = [(t.hits_suggestive if suggestive else t.hits).assign(trait=t.name) for t in traits]
    filled = [t for t in tables if len(t)]
    return pd.concat(filled, ignore_index=True) if filled else tables[0]


def _hit_arrays(traits: list[Trait], suggestive: bool) -> dict[str, np.ndarray]:
    if not traits:
        return {}
    hits = _stacked(traits, suggestive)
    numbers = [f"{c}{s}" for c in ("beta", "se") for s in ("", "_holdout", "_synthetic")]
    return {c: hits[c].to_numpy(dtype=float) for c in [*numbers, "log10p"]} | {
        "trait": hits["trait"].tolist() or ["-"],
        "place": [f"{c}:{p}" for c, p in zip(hits["chrom"], hits["pos"], strict=True)] or ["-"],
    }


def _trait_arrays(traits: list[Trait]) -> dict[str, np.ndarray]:
    rows = [
        [
            t.lambda_gc.get("real", np.nan),
            t.lambda_gc.get("holdout", np.nan),
            t.lambda_gc.get("synthetic", np.nan),
            _rescaled(t.shared["synthetic"].other_lambda, t, "synthetic"),
            _rescaled(t.shared["holdout"].other_lambda, t, "holdout") if "holdout" in t.n else np.nan,
            t.n["real"],
            t.n.get("holdout", np.nan),
            t.n["synthetic"],
            len(t.hits),
            t.pseudo_hits,
            t.false_hits,
        ]
        for t in traits
    ]
    return {
        "traits/names": [t.name for t in traits] or ["-"],
        "traits/table": np.array(rows).reshape(-1, 11),
        "traits/columns": [
            "lambda real",
            "lambda holdout",
            "lambda pseudo",
            "lambda pseudo scaled",
            "lambda holdout scaled",
            "n real",
            "n holdout",
            "n pseudo",
            "hits real",
            "hits pseudo",
            "false hits",
        ],
    }


def _points(tables: dict[str, pd.DataFrame | None], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Sites for Manhattan and QQ plots: all with -log10 p above 2, and a fifth of the others (at most 3,000)."""
    arrays: dict[str, np.ndarray] = {}
    for cohort in ("real", "synthetic"):
        table = tables[cohort]
        values = table["log10p"].to_numpy()
        low = np.flatnonzero(values < POINTS)
        kept = np.sort(
            np.concatenate([np.flatnonzero(values >= POINTS), rng.permutation(low)[: min(len(low) // 5, 3000)]])
        )
        chrom = table["chrom"].to_numpy(dtype=str)[kept]
        arrays |= {
            f"{cohort}/chrom": np.array([_chromosome_number(c) for c in chrom], dtype=np.int8),
            f"{cohort}/pos": table["pos"].to_numpy()[kept],
            f"{cohort}/log10p": values[kept].astype(np.float32),
        }
        ranked = np.sort(values)[::-1]
        rank = (
            np.unique(np.geomspace(1, max(len(ranked), 1), QQ_POINTS).astype(int)) if len(ranked) else np.array([], int)
        )
        arrays |= {
            f"{cohort}/qq_rank": rank,
            f"{cohort}/qq": ranked[rank - 1].astype(np.float32),
            f"{cohort}/sites": np.array(len(ranked)),
        }
    return arrays


def _keep_strongest(points: dict, traits: list[Trait]) -> None:
    """Hold the points of no more traits than are drawn."""
    if len(points) > PICTURES:
        weakest = min((t for t in traits if t.name in points), key=lambda t: t.peak)
        del points[weakest.name]


def _chromosome_number(chrom: str) -> int:
    return int(chrom) if chrom.isdigit() else 23
