"""Figures of the associations, from the aggregates of evaluation.associations."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.stats import beta as beta_law

from pseudocohort.files import atomic_directory
from pseudocohort.report import style
from pseudocohort.report.words import t

TOP = 3
QQ_TRAITS = 6
MOST_TRAITS = 60
NAMED, NAMED_IN_PANEL = 12, 6  # hits, at most, with their names
GENOME_WIDE = -np.log10(5e-8)
SHADES = {"real": (style.REAL, "#7f92bd"), "synthetic": (style.PSEUDO, "#efb27d")}


def draw_associations(
    arrays: dict[str, np.ndarray],
    folder: str | Path,
    by_trait: str | Path,
    heritability: dict | None = None,
    labels: dict[str, str] | None = None,
    normalised: bool = True,
) -> list[str]:
    """Write the figures of the associations as SVG into `folder`, and a Manhattan plot of each of the strongest
    traits into the directory `by_trait` (as 00-NAME.svg, 01-NAME.svg, ...); returns the names.

    heritability: `cohorts` of heritability.json, or None for a figure without data.  labels: what people read for a
    trait, its name where it has none.  normalised: values were rank-based inverse normal scores, so that effects are
    in SD."""
    named = _labelled(arrays, labels or {})
    figures = {"manhattan": manhattan, "qq": qq, "lambda_gc": inflation}
    for name, draw in figures.items():
        style.drawn(draw, named, Path(folder) / f"{name}.svg")
    style.drawn(lambda a: effects(a, normalised), named, Path(folder) / "beta_beta.svg")
    style.drawn(lambda h: forest(h, labels), heritability or {}, Path(folder) / "heritability.svg")
    with atomic_directory(by_trait) as part:
        for i, trait in enumerate(style.texts(arrays, "points/names")):
            style.drawn(lambda a, i=i: _miami(a, [i]), named, part / f"{i:02d}-{trait}.svg")
    return [*figures, "beta_beta", "heritability"]


def _labelled(arrays: dict[str, np.ndarray], labels: dict[str, str]) -> dict[str, np.ndarray]:
    """The arrays with labels for names; traits of one label keep their names beside it, so that they stay two."""
    twice = {label for label in labels.values() if list(labels.values()).count(label) > 1}
    shown = {name: f"{label} ({name})" if label in twice else label for name, label in labels.items()}
    keys = [key for key in ("points/names", "traits/names", "hits/trait") if key in arrays]
    return arrays | {key: np.array([shown.get(n, n) for n in style.texts(arrays, key)] or ["-"]) for key in keys}


def manhattan(arrays: dict) -> Figure | None:
    """Mirrored Manhattan plots of the traits with the strongest real signals."""
    traits = len(style.texts(arrays, "points/names"))
    return _miami(arrays, range(min(TOP, traits))) if traits else None


def _miami(arrays: dict, traits) -> Figure:
    names = style.texts(arrays, "points/names")
    fig, axes = style.grid(len(traits), 1, 9.0, 2.6, sharex=True)
    start, ends = _chromosome_starts(arrays, traits)
    for axis, i in zip(axes, traits, strict=True):
        top = GENOME_WIDE
        for cohort, sign in (("real", 1), ("synthetic", -1)):
            chrom, pos, log10p = (arrays[f"points/{i}/{cohort}/{k}"] for k in ("chrom", "pos", "log10p"))
            shade = np.array([list(start).index(c) % 2 for c in chrom.tolist()], dtype=int)
            place = pos + np.array([start[c] for c in chrom.tolist()]) if len(chrom) else pos
            axis.scatter(place / 1e6, sign * log10p, s=4, c=np.array(SHADES[cohort])[shade], lw=0, rasterized=True)
            top = max(top, float(log10p.max(initial=0)))
        for sign in (1, -1):
            axis.axhline(sign * GENOME_WIDE, color="#5b616b", lw=0.8, ls="--")
        axis.axhline(0, color="#5b616b", lw=0.8)
        _name_hits(axis, arrays, names[i], start, top)
        axis.set(title=names[i], ylabel=t("−log₁₀ p"), ylim=(-1.22 * top, 1.22 * top))
        axis.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
        axis.grid(axis="x", visible=False)
        for y, side, text, colour in (
            (1.0, "bottom", t("real (founders)"), style.REAL),
            (0.01, "bottom", t("pseudo"), style.PSEUDO),
        ):
            axis.text(1.0, y, text, color=colour, transform=axis.transAxes, ha="right", va=side, fontsize=8)
    many = len(start) > 14
    ticks = [(s + ends[c] / 2) / 1e6 for c, s in start.items()]
    axes[-1].set_xticks(
        ticks, ["X" if c == 23 else "" if many and c > 10 and c % 2 else str(c) for c in start], fontsize=7.5
    )
    axes[-1].set_xlabel(t("chromosome (position by base pairs; dashed: p = 5e-8)"))
    return fig


def _name_hits(axis, arrays: dict, trait: str, start: dict[int, float], top: float) -> None:
    """Rings at the founders' hits on both sides, and the places of the strongest that are not too near to another."""
    mine = np.flatnonzero(np.array(style.texts(arrays, "hits/trait")) == trait)
    if not len(mine):
        return
    mine = mine[np.argsort(-arrays["hits/log10p"][mine], kind="stable")]
    x = np.array([start[int(c)] for c in arrays["hits/number"][mine]]) + arrays["hits/pos"][mine]
    places, low, high = style.texts(arrays, "hits/place"), *axis.get_xlim()
    for sign, key in ((1, "hits/log10p"), (-1, "hits/log10p_synthetic")):
        axis.plot(x / 1e6, sign * arrays[key][mine], "o", ms=6, mfc="none", mec="#222222", mew=0.7)
    named: list[float] = []
    for k, place in zip(mine, x / 1e6, strict=True):
        if len(named) < NAMED_IN_PANEL and all(abs(place - other) > 0.1 * (high - low) for other in named):
            named.append(place)
            axis.annotate(
                places[k], (place, arrays["hits/log10p"][k]), (0, 5), textcoords="offset points", ha="center",
                fontsize=7, color="#222222",
            )  # fmt: skip


def _chromosome_starts(arrays: dict, traits) -> tuple[dict[int, float], dict[int, float]]:
    """Start and length in bp of every chromosome on a common axis, with gaps."""
    length: dict[int, float] = {}
    lowest: dict[int, float] = {}
    for i in traits:
        for cohort in SHADES:
            chrom, pos = arrays[f"points/{i}/{cohort}/chrom"], arrays[f"points/{i}/{cohort}/pos"]
            for c in np.unique(chrom).tolist():
                length[c] = max(length.get(c, 0), float(pos[chrom == c].max()))
                lowest[c] = min(lowest.get(c, np.inf), float(pos[chrom == c].min()))
    spans = {c: length[c] - lowest[c] for c in sorted(length)}
    gap, total, starts = 0.015 * sum(spans.values()), 0.0, {}
    for c, span in spans.items():
        starts[c] = total - lowest[c]
        total += span + gap
    return starts, {c: lowest[c] * 2 + spans[c] for c in spans}


def qq(arrays: dict) -> Figure | None:
    """Quantiles of -log10 p against those expected of uniform p, with a 95 % band."""
    names = style.texts(arrays, "points/names")[:QQ_TRAITS]
    if not names:
        return None
    fig, axes = style.grid(len(names), 3, 2.9, 2.7)
    for i, axis in enumerate(axes):
        top = 1.0
        for cohort, colour in (("real", style.REAL), ("synthetic", style.PSEUDO)):
            rank, n = arrays[f"points/{i}/{cohort}/qq_rank"], int(arrays[f"points/{i}/{cohort}/sites"])
            if not n:
                continue
            expected = -np.log10((rank - 0.5) / n)
            if cohort == "real":
                low, high = (-np.log10(beta_law.ppf(q, rank, n - rank + 1)) for q in (0.975, 0.025))
                axis.fill_between(expected, low, high, color="#d5d9e0", lw=0)
            axis.plot(
                expected, arrays[f"points/{i}/{cohort}/qq"], "o", ms=2.5, color=colour, alpha=0.8, rasterized=True
            )
            top = max(top, float(expected.max()))
        style.identity(axis, 0, top)
        axis.set_title(style.shortened(names[i], 28), fontsize=8.5)
        axis.tick_params(labelsize=7.5)
    fig.supxlabel(t("−log₁₀ p expected without any effect"), fontsize=9)
    fig.supylabel(t("−log₁₀ p observed"), fontsize=9)
    handles = [Line2D([], [], ls="", marker="o", color=c) for c in (style.REAL, style.PSEUDO)]
    handles.append(Line2D([], [], color="#d5d9e0", lw=6))
    style.legend_above(fig, handles, [t("real (founders)"), t("pseudo"), t("95 % without any effect")])
    return fig


def effects(arrays: dict, normalised: bool = True) -> Figure | None:
    """Effects at real hits: pseudo, and the holdout as the noise floor, against the founders; the strongest by name.

    normalised: effects are in SD, but for binary traits."""
    if not len(arrays.get("hits/beta", ())):
        return None
    x, se = arrays["hits/beta"], arrays["hits/se"]
    fig, axes = plt.subplots(1, 2, figsize=(9.6, 4.8), sharex=True, sharey=True)
    limit = float(min(1.2 * np.abs(x).max(), 4 * np.median(np.abs(x))))
    cohorts = (
        ("synthetic", t("Pseudo people"), style.PSEUDO),
        ("holdout", t("Real holdout (noise floor)"), style.HOLDOUT),
    )
    unit = t("SD per allele; log odds if binary") if normalised else t("own unit per allele; log odds if binary")
    for axis, (cohort, title, colour) in zip(axes, cohorts, strict=True):
        y, error = arrays[f"hits/beta_{cohort}"], arrays[f"hits/se_{cohort}"]
        seen = np.isfinite(y)
        style.identity(axis, -limit, limit)
        axis.axhline(0, color="#c3c7ce", lw=0.8)
        axis.errorbar(x[seen], y[seen], 1.96 * error[seen], 1.96 * se[seen], fmt="o", ms=4, color=colour, ecolor=colour,
                      elinewidth=0.6, alpha=0.7)  # fmt: skip
        outside = int((np.maximum(np.abs(x), np.abs(y))[seen] > limit).sum())
        text = t("{n} hits").format(n=int(seen.sum()))
        text += t(", {n} outside the frame").format(n=outside) if outside else ""
        axis.text(0.03, 0.97, text, transform=axis.transAxes, va="top")
        axis.set(title=title, xlabel=t("effect among the founders ({unit}; 95 % interval)").format(unit=unit))
        axis.set(xlim=(-limit, limit), ylim=(-limit, limit))
    axes[0].set(ylabel=t("effect in the other cohort ({unit})").format(unit=unit))
    _name_effects(axes[0], arrays, limit)
    return fig


def _name_effects(axis, arrays: dict, limit: float) -> None:
    """Trait and place of the strongest hits, above the line on the left and below it on the right, none over another.

    The labels stand in two columns, in the order of their points, with a thin line to each."""
    x, y = arrays["hits/beta"], arrays["hits/beta_synthetic"]
    order = np.argsort(-arrays["hits/log10p"], kind="stable")
    inside = (np.abs(x) < limit) & (np.abs(y) < limit)  # NaN is not inside
    order = order[inside[order]][:NAMED]
    traits, places = style.texts(arrays, "hits/trait"), style.texts(arrays, "hits/place")
    for left in (True, False):
        mine = order[(y[order] > 0) == left]
        mine = mine[np.argsort(-y[mine])]
        rows = np.linspace(0.88, 0.55, len(mine)) if left else np.linspace(0.42, 0.04, len(mine))
        for k, row in zip(mine, rows, strict=True):
            axis.annotate(
                f"{style.shortened(traits[k], 26)} {places[k]}", (x[k], y[k]), (0.02 if left else 0.98, row),
                textcoords="axes fraction", ha="left" if left else "right", va="center", fontsize=6.5, color="#222222",
                arrowprops={"arrowstyle": "-", "lw": 0.4, "color": "#8a8f98", "shrinkA": 1, "shrinkB": 2},
            )  # fmt: skip


def forest(cohorts: dict, labels: dict[str, str] | None = None) -> Figure | None:
    """Heritability of every trait with 95 % intervals: founders, pseudo people, holdout.

    cohorts: of heritability.json; traits in the order of the founders' heritability, at most MOST_TRAITS.
    labels: what people read for a trait."""
    real = {name: x for name, x in cohorts.get("real", {}).get("traits", {}).items() if x["h2"] is not None}
    if not real:
        return None
    names = sorted(real, key=lambda name: real[name]["h2"])[-MOST_TRAITS:]
    fig, axis = plt.subplots(figsize=(7.6, 1.4 + 0.24 * len(names)))
    axis.axvline(0, color="#5b616b", lw=0.8)
    kinds = (
        ("real", t("real (founders)"), style.REAL, "o", 0.22),
        ("synthetic", t("pseudo"), style.PSEUDO, "s", 0.0),
        ("holdout", t("real holdout (noise floor)"), style.HOLDOUT, "^", -0.22),
    )
    ends = [0.0, 1.0]
    for cohort, label, colour, mark, shift in kinds:
        found = [cohorts.get(cohort, {}).get("traits", {}).get(name, {}) for name in names]
        h2, se = (np.array([f.get(k) if f.get(k) is not None else np.nan for f in found]) for k in ("h2", "h2_se"))
        reach = 1.96 * np.nan_to_num(se)
        axis.errorbar(h2, np.arange(len(names)) + shift, xerr=reach, fmt=mark, ms=3.5, color=colour, elinewidth=0.8,
                      label=label)  # fmt: skip
        if cohort != "holdout":
            ends += [float(np.nanmin(h2 - reach, initial=0)), float(np.nanmax(h2 + reach, initial=0))]
    axis.set_yticks(np.arange(len(names)), [style.shortened((labels or {}).get(name, name), 30) for name in names],
                    fontsize=7.5)  # fmt: skip
    axis.set(
        title=t("Heritability by trait"), ylim=(-0.7, len(names) - 0.3),
        xlim=(max(min(ends), -0.5), min(max(ends), 1.5)),
        xlabel=t("heritability h² (share of variance, Haseman-Elston; 95 % interval)"),
    )  # fmt: skip
    style.legend_below(fig, *axis.get_legend_handles_labels())
    return fig


def inflation(arrays: dict) -> Figure | None:
    """Lambda GC of every trait, pseudo scaled to the founders' number of people."""
    names, table = style.texts(arrays, "traits/names")[:MOST_TRAITS], arrays["traits/table"][:MOST_TRAITS]
    if not names:
        return None
    order = np.argsort(table[:, 0])
    place = np.arange(len(names))
    fig, axis = plt.subplots(figsize=(7.2, 1.4 + 0.19 * len(names)))
    axis.axvline(1, color="#5b616b", lw=0.8)
    axis.hlines(place, table[order, 0], table[order, 3], color="#c3c7ce", lw=1.2, zorder=1)
    for column, label, colour, mark in (
        (0, t("real (founders)"), style.REAL, "o"),
        (3, t("pseudo, scaled"), style.PSEUDO, "s"),
    ):
        axis.plot(table[order, column], place, mark, color=colour, ms=5, ls="", label=label)
    axis.set_yticks(place, [style.shortened(names[o], 30) for o in order], fontsize=7.5)
    axis.set(
        title=t("Genomic control λ by trait"),
        xlabel=t("λ (median χ² over its expectation)"),
        ylim=(-0.7, len(names) - 0.3),
    )
    style.legend_below(fig, *axis.get_legend_handles_labels())
    return fig
