"""Figures of the associations, from the aggregates of evaluation.associations."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.stats import beta as beta_law

from pseudocohort.files import atomic_directory
from pseudocohort.report import style

TOP = 3
QQ_TRAITS = 6
MOST_TRAITS = 60
GENOME_WIDE = -np.log10(5e-8)
SHADES = {"real": (style.REAL, "#7f92bd"), "synthetic": (style.PSEUDO, "#efb27d")}


def draw_associations(arrays: dict[str, np.ndarray], folder: str | Path, by_trait: str | Path) -> list[str]:
    """Write the figures of the associations as SVG into `folder`, and a Manhattan plot of each of the strongest
    traits into the directory `by_trait` (as 00-NAME.svg, 01-NAME.svg, ...); returns the names."""
    figures = {"manhattan": manhattan, "qq": qq, "beta_beta": effects, "lambda_gc": inflation}
    for name, draw in figures.items():
        style.drawn(draw, arrays, Path(folder) / f"{name}.svg")
    with atomic_directory(by_trait) as part:
        for i, trait in enumerate(style.texts(arrays, "points/names")):
            style.drawn(lambda a, i=i: _miami(a, [i]), arrays, part / f"{i:02d}-{trait}.svg")
    return list(figures)


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
        axis.set(title=names[i], ylabel="−log₁₀ p", ylim=(-1.08 * top, 1.08 * top))
        axis.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
        axis.grid(axis="x", visible=False)
        axis.text(
            1.0, 0.98, "real (founders)", color=style.REAL, transform=axis.transAxes, ha="right", va="top", fontsize=8
        )
        axis.text(
            1.0, 0.02, "pseudo", color=style.PSEUDO, transform=axis.transAxes, ha="right", va="bottom", fontsize=8
        )
    many = len(start) > 14
    ticks = [(s + ends[c] / 2) / 1e6 for c, s in start.items()]
    axes[-1].set_xticks(
        ticks, ["X" if c == 23 else "" if many and c > 10 and c % 2 else str(c) for c in start], fontsize=7.5
    )
    axes[-1].set_xlabel("chromosome (position by base pairs; dashed: p = 5e-8)")
    return fig


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
    fig.supxlabel("−log₁₀ p expected without any effect", fontsize=9)
    fig.supylabel("−log₁₀ p observed", fontsize=9)
    handles = [Line2D([], [], ls="", marker="o", color=c) for c in (style.REAL, style.PSEUDO)]
    handles.append(Line2D([], [], color="#d5d9e0", lw=6))
    style.legend_above(fig, handles, ["real (founders)", "pseudo", "95 % without any effect"])
    return fig


def effects(arrays: dict) -> Figure | None:
    """Effects at real hits: pseudo, and the holdout as the noise floor, against the founders."""
    if not len(arrays.get("hits/beta", ())):
        return None
    x, se = arrays["hits/beta"], arrays["hits/se"]
    fig, axes = plt.subplots(1, 2, figsize=(8.6, 4.0), sharex=True, sharey=True)
    limit = float(min(1.15 * np.abs(x).max(), 4 * np.median(np.abs(x))))
    cohorts = (("synthetic", "Pseudo people", style.PSEUDO), ("holdout", "Real holdout (noise floor)", style.HOLDOUT))
    for axis, (cohort, title, colour) in zip(axes, cohorts, strict=True):
        y, error = arrays[f"hits/beta_{cohort}"], arrays[f"hits/se_{cohort}"]
        seen = np.isfinite(y)
        style.identity(axis, -limit, limit)
        axis.axhline(0, color="#c3c7ce", lw=0.8)
        axis.errorbar(x[seen], y[seen], 1.96 * error[seen], 1.96 * se[seen], fmt="o", ms=4, color=colour, ecolor=colour,
                      elinewidth=0.7, alpha=0.75)  # fmt: skip
        outside = int((np.maximum(np.abs(x), np.abs(y))[seen] > limit).sum())
        text = f"{int(seen.sum())} hits" + (f", {outside} outside the frame" if outside else "")
        axis.text(0.03, 0.97, text, transform=axis.transAxes, va="top")
        axis.set(title=title, xlabel="effect among the founders (95 % interval)")
    axes[0].set(ylabel="effect in the other cohort", xlim=(-limit, limit), ylim=(-limit, limit))
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
        (0, "real (founders)", style.REAL, "o"),
        (3, "pseudo, scaled", style.PSEUDO, "s"),
    ):
        axis.plot(table[order, column], place, mark, color=colour, ms=5, ls="", label=label)
    axis.set_yticks(place, [style.shortened(names[o], 30) for o in order], fontsize=7.5)
    axis.set(
        title="Genomic control λ by trait", xlabel="λ (median χ² over its expectation)", ylim=(-0.7, len(names) - 0.3)
    )
    style.legend_below(fig, *axis.get_legend_handles_labels())
    return fig
