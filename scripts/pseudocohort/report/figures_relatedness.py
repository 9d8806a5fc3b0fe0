"""Figures of kinship and runs of homozygosity, from the aggregates of evaluation.relatedness."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pseudocohort.report import style
from pseudocohort.report.words import t

GROUPS = (("pseudo", "pseudo", style.PSEUDO), ("theory", "theory (the pedigree, genes dropped anew)", "#111111"),
          ("holdout", "real holdout (noise floor)", style.HOLDOUT),
          ("unlinked", "unlinked genomes (baseline)", style.BASELINE))  # fmt: skip
STYLES = {"pseudo": "-", "theory": "--", "holdout": "-", "unlinked": ":"}
LOWEST = 3e-7  # share of pairs that is still drawn
DEGREES = ("third degree", "second degree", "first degree", "twins")


def draw_relatedness(arrays: dict[str, np.ndarray], folder: str | Path) -> list[str]:
    """Write kinship and homozygosity as SVG into `folder`; returns the names."""
    figures = {"kinship": kinship, "homozygosity": homozygosity}
    for name, draw in figures.items():
        style.drawn(draw, arrays, Path(folder) / f"{name}.svg")
    return list(figures)


def kinship(arrays: dict) -> Figure | None:
    """Distributions of kinship and identity by state, pairs by degree, and kinship by the pedigree."""
    if "kinship/edges" not in arrays:
        return None
    fig, axes = plt.subplots(2, 2, figsize=(9.4, 7.0))
    for axis, kind in ((axes[0, 0], "kinship"), (axes[0, 1], "ibs")):
        for name, label, colour in GROUPS:
            _outline(axis, arrays[f"{kind}/edges"], arrays[f"{kind}/{name}"], t(label), colour, STYLES[name])
        _logarithmic(axis, LOWEST)
        axis.set_ylabel(t("share of pairs"))
    for threshold in arrays["degree/thresholds"]:
        axes[0, 0].axvline(threshold, color="#5b616b", lw=0.7, ls=":", zorder=1)
    axes[0, 0].set(title=t("Kinship of pairs"), xlabel=t("kinship (KING-robust); dotted: bounds of degrees"))
    axes[0, 1].set(title=t("Identity by state of pairs"), xlabel=t("share of alleles alike"))
    _degrees(axes[1, 0], arrays)
    _paths(axes[1, 1], arrays)
    style.legend_below(fig, *axes[0, 0].get_legend_handles_labels())
    return fig


def _outline(axis: Axes, edges: np.ndarray, share: np.ndarray, label: str, colour: str, line: str) -> None:
    """A histogram as a stepped line, without the cells of nobody."""
    axis.stairs(np.maximum(share, LOWEST / 10), edges, color=colour, ls=line, lw=1.5, label=label, baseline=None)


def _logarithmic(axis: Axes, bottom: float | None = None) -> None:
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.minorticks_off()
    if bottom is not None:
        axis.set_ylim(bottom=bottom)


def _degrees(axis: Axes, arrays: dict) -> None:
    places = np.arange(len(DEGREES))
    for k, (name, label, colour) in enumerate(GROUPS):
        axis.bar(places + 0.2 * (k - 1.5), arrays[f"degree/{name}"], 0.19, color=colour, label=t(label))
    names = [
        f"{t(d).replace(' ', chr(10))}\n> {x:.3g}" for d, x in zip(DEGREES, arrays["degree/thresholds"], strict=True)
    ]
    axis.set_xticks(places, names)
    _logarithmic(axis)
    axis.grid(axis="x", visible=False)
    axis.set(title=t("Relatives"), ylabel=t("pairs in 10,000"), xlabel=t("as near as this or nearer"))


def _paths(axis: Axes, arrays: dict) -> None:
    x = arrays["path/kinship"]
    for name, label, colour in GROUPS[:2]:
        mean, spread = arrays[f"path/{name}"].T
        shift, marker = (0.0006, "s") if name == "theory" else (-0.0006, "o")
        axis.errorbar(x + shift, mean, spread, fmt=marker, color=colour, ms=5, lw=1.2, capsize=3, label=t(label))
    seen = np.flatnonzero(np.isfinite(x) & np.isfinite(arrays["path/theory"][:, 0]))
    if len(seen):
        start, base, top = x[seen[0]], arrays["path/theory"][seen[0], 0], x[seen[-1]] * 1.2
        axis.plot([start, top], [base, base + top - start], color="#5b616b", lw=0.9, ls="--", label=t("slope 1"))
        axis.annotate(t("slope 1"), (top, base + top - start), ha="right", va="bottom", color="#5b616b")
    axis.set(title=t("Kinship by the pedigree"), xlabel=t("kinship by the paths of the pedigree"),
             ylabel=t("measured kinship, mean ± SD"))  # fmt: skip


def homozygosity(arrays: dict) -> Figure | None:
    """Share of the genome in runs of homozygosity, and the lengths of the runs."""
    if "froh/edges" not in arrays:
        return None
    fig, (left, right) = plt.subplots(1, 2, figsize=(9.4, 3.9))
    for name, label, colour in GROUPS:
        _outline(left, 100 * arrays["froh/edges"], arrays[f"froh/{name}"], t(label), colour, STYLES[name])
    _logarithmic(left, 2e-4)
    left.set(title=t("Runs of homozygosity by person"), xlabel=t("genome in runs of homozygosity (%)"),
             ylabel=t("share of people"))  # fmt: skip
    classes = style.texts(arrays, "roh/classes")
    seen = [group for group in GROUPS if np.nansum(arrays[f"roh/{group[0]}"]) > 0]  # bars stay centred on their ticks
    for k, (name, label, colour) in enumerate(seen):
        places = np.arange(len(classes)) + 0.2 * (k - (len(seen) - 1) / 2)
        right.bar(places, arrays[f"roh/{name}"], 0.19, color=colour, label=t(label))
    right.set_xticks(np.arange(len(classes)), classes)
    right.grid(axis="x", visible=False)
    right.set(title=t("By length of the run"), xlabel=t("length of the run"), ylabel=t("Mb per person"))
    style.legend_below(fig, *left.get_legend_handles_labels())
    return fig
