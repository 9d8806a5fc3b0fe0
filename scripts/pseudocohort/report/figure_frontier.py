"""Figure of the frontier: the best known attack against what protection costs in realism."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pseudocohort.report import style
from pseudocohort.report.words import t

PANELS = (("ld", "LD of common sites", "RMS difference of r ÷ noise floor"),
          ("ld_low", "LD of sites of 1 to 5 %", "RMS difference of r ÷ noise floor"),
          ("frequency", "Allele frequency", "RMS difference ÷ noise floor"),
          ("slope", "Effects at markers of 1 % and more", "slope, pseudo on real"))  # fmt: skip
LABELS = {"mendelian": "reproduction alone, by generations", "founder share": "half of the founders",
          "rare sites dropped": "sites of fewer than 5 families dropped",
          "windows of 1 %": "and windows that 1 % of families carry", "windows of 2 %": "and windows that 2 % carry",
          "protected": "preset protected", "this run": "this run",
          "null": "others' genomes (null control)"}  # fmt: skip
GOAL = 0.6


def frontier(content: dict) -> Figure | None:
    """content: frontier.json. A panel a measure of realism; the higher a point, the more the attacks find."""
    points = content["points"]
    if not points:
        return None
    fig, axes = plt.subplots(2, 2, figsize=(9.4, 7.6), sharey=True)
    kinds = [kind for kind in LABELS if any(p["kind"] == kind for p in points)]
    for axis, (key, title, label) in zip(axes.ravel(), PANELS, strict=True):
        for kind in kinds:
            _draw(axis, key, kind, [p for p in points if p["kind"] == kind and p["utility"][key] is not None])
        axis.axvline(1, color="#5b616b", lw=0.8, ls="--", zorder=1)
        axis.axhline(0.5, color="#5b616b", lw=0.8, ls=":", zorder=1)
        axis.axhline(GOAL, color="#5b616b", lw=0.8, ls="--", zorder=1)
        axis.set(title=t(title), xlabel=t(label), ylim=(0.42, 1.02))
        low, high = axis.get_xlim()
        axis.set_xlim(min(low, 0.9), max(high, 1.1))  # no differences where there are none
    for axis in axes[:, 0]:
        axis.set_ylabel(t("membership, all attacks: AUC"))
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=3)
    return fig


def _draw(axis: Axes, key: str, kind: str, points: list[dict]) -> None:
    """Points of one kind with their intervals; small and hollow: the best single attack."""
    number = list(LABELS).index(kind)
    colour, marker = style.STRATA[number], style.MARKERS[number]
    x = np.array([p["utility"][key] for p in points])
    y = np.array([p["combined"]["auc"] for p in points])
    ends = np.array([p["combined"]["interval"] for p in points]).reshape(-1, 2).T
    reach = np.abs(ends - y) if len(x) else None
    line = "-" if kind == "mendelian" else ""
    axis.errorbar(x, y, reach, fmt=marker, ls=line, color=colour, ms=6, lw=1, capsize=2, label=t(LABELS[kind]))
    axis.plot(x, [p["best"]["auc"] for p in points], marker, mfc="none", mec=colour, ms=4, mew=0.8)
    for p, a, b in zip(points, x, y, strict=True):
        if kind == "mendelian":
            axis.annotate(str(p["generations"]), (a, b), (4, 4), textcoords="offset points", color=colour, fontsize=8)
