"""Figures of the attacks on genomes and of what is exposed, from the aggregates of disclosure.genome_evidence."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pseudocohort.report import style
from pseudocohort.report.words import t

ALL = "all combined"
FEW = 5  # families
SIDES = (("founders", "Founders"), ("relatives", "Children of founders"))


def draw_disclosure(arrays: dict[str, np.ndarray], folder: str | Path) -> list[str]:
    """Write attacks, longest_segments and rare_alleles as SVG into `folder`; returns the names."""
    figures = {"attacks": attacks, "longest_segments": longest_segments, "rare_alleles": rare_alleles}
    for name, draw in figures.items():
        style.drawn(draw, arrays, Path(folder) / f"{name}.svg")
    return list(figures)


def attacks(arrays: dict) -> Figure | None:
    """ROC curves of every attack on founders and on their children, false positives on a logarithmic axis."""
    names = [key.split("/", 2)[2] for key in arrays if key.startswith("roc/founders/")]
    if not names:
        return None
    fig, axes = plt.subplots(1, 2, figsize=(9.4, 4.4), sharey=True)
    for axis, (side, title) in zip(axes, SIDES, strict=True):
        for k, name in enumerate(names):
            look = {"color": "#111111", "lw": 2.4, "zorder": 3} if name == ALL else {"color": style.STRATA[k % 6]}
            line = "-" if k < 6 or name == ALL else "--"
            axis.plot(*arrays[f"roc/{side}/{name}"], ls=line, label=t(name), **({"lw": 1.3} | look))
        _chance(axis, arrays[f"roc/{side}/{names[0]}"][0])
        axis.set(title=t(title), xlabel=t("false positives: non-members taken for participants"), ylim=(-0.02, 1.02))
    axes[0].set_ylabel(t("true positives: recognised"))
    style.legend_below(fig, *axes[0].get_legend_handles_labels())
    return fig


def _chance(axis: Axes, rates: np.ndarray) -> None:
    """The line of an attack that tells nothing, and the axis in per cent."""
    line = np.geomspace(rates[0], 1, 100)
    axis.plot(line, line, color="#5b616b", lw=0.9, ls=":", label=t("chance"))
    axis.set_xscale("log")
    ticks = [x for x in (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1) if x >= 0.999 * rates[0]]
    axis.set_xticks(ticks, [f"{100 * x:g} %" for x in ticks])
    axis.minorticks_off()
    axis.set_yticks(np.linspace(0, 1, 6), [f"{100 * y:.0f} %" for y in np.linspace(0, 1, 6)])


def longest_segments(arrays: dict) -> Figure | None:
    """The longest segment that people share with a pseudo person, by rank."""
    if "longest/founders" not in arrays or not arrays["longest/founders"].size:
        return None
    fig, axis = plt.subplots(figsize=(8.6, 3.9))
    sides = (("founders", "real (founders)", style.REAL), ("holdout", "real holdout (noise floor)", style.HOLDOUT))
    for name, label, colour in sides:
        share, length = arrays[f"longest/{name}"]
        axis.plot(100 * share, length, color=colour, marker="o", ms=4, lw=1.5, label=t(label))
    axis.set(xlabel=t("people ranked by their longest segment (%; means of groups)"), xlim=(0, 100),
             ylabel=t("longest segment shared with a pseudo person (cM)"))  # fmt: skip
    axis.set_ylim(bottom=0)
    axis.legend()
    return fig


def rare_alleles(arrays: dict) -> Figure | None:
    """Released alleles by the number of founders' families that carry them."""
    if "families/all" not in arrays or not arrays["families/all"].sum():
        return None
    fig, axis = plt.subplots(figsize=(8.6, 3.6))
    low, counts = arrays["families/classes"], arrays["families/all"]
    share = 100 * counts / counts.sum()
    colours = [style.PSEUDO if k < FEW else style.BASELINE for k in low]
    bars = axis.bar(np.arange(len(low)), share, 0.7, color=colours)
    axis.bar_label(bars, [f"{x:.1f} %" for x in share], fontsize=8, color="#5b616b")
    ends = [*(low[1:] - 1), None]
    names = [f"≥ {a}" if b is None else f"{a}" if a == b else f"{a}–{b}" for a, b in zip(low, ends, strict=True)]
    axis.set_xticks(np.arange(len(low)), names)
    axis.grid(axis="x", visible=False)
    axis.set(xlabel=t("families of founders that carry the allele (orange: fewer than five)"),
             ylabel=t("share of released alleles (%)"))  # fmt: skip
    return fig
