"""Figures of items, scores and the network, from the aggregates of evaluation.items."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pseudocohort.report import style

MOST_ITEMS = 72
MOST_TRAITS = 12
SETS = (("real", style.REAL, "-"), ("pseudo", style.PSEUDO, "-"), ("baseline", style.BASELINE, "--"))


def draw_items(arrays: dict[str, np.ndarray], learning_curve: str | Path | None, folder: str | Path) -> list[str]:
    """Write the figures of the items as SVG into `folder`; returns their names.

    learning_curve: table (.tsv) with the columns epoch, train_loss, validation_loss, kl, or None.
    """
    if learning_curve is not None and Path(learning_curve).exists():
        arrays = arrays | {"curve": pd.read_csv(learning_curve, sep="\t")}
    figures = {
        "marginals": marginals,
        "correlation_heatmaps": heatmaps,
        "correlation_pairs": pairs,
        "score_distribution": score_distributions,
        "score_deciles": deciles,
        "learning_curve": learning,
    }
    for name, draw in figures.items():
        style.drawn(draw, arrays, Path(folder) / f"{name}.svg")
    return list(figures)


def marginals(arrays: dict) -> Figure | None:
    """Every item's distribution, real over pseudo over baseline."""
    labels, units = style.texts(arrays, "items/labels"), np.atleast_1d(arrays["items/units"])
    shown = [j for j in range(len(labels)) if f"marginal/{j}/edges" in arrays or f"marginal/{j}/shares" in arrays]
    if not shown:
        return None
    fig, axes = style.grid(len(shown[:MOST_ITEMS]), 5, 2.3, 1.85)
    for axis, j in zip(axes, shown, strict=False):
        if f"marginal/{j}/edges" in arrays:
            _numeric(axis, arrays[f"marginal/{j}/edges"], arrays[f"marginal/{j}/density"], str(units[j]))
        else:
            _discrete(axis, style.texts(arrays, f"marginal/{j}/categories"), arrays[f"marginal/{j}/shares"])
        real, pseudo = 100 * arrays["items/missing"][:2, j]
        axis.set_title(f"{style.shortened(labels[j], 24)}\n", fontsize=8.5)
        axis.text(0, 1.02, f"missing: real {real:.0f} %, pseudo {pseudo:.0f} %", transform=axis.transAxes, fontsize=6.5,
                  color="#5b616b")  # fmt: skip
        axis.tick_params(labelsize=7)
    handles = [Patch(facecolor=style.REAL, alpha=0.45), *[Line2D([], [], color=c, ls=s) for _, c, s in SETS[1:]]]
    style.legend_below(fig, handles, [style.LABELS[name] for name, _, _ in SETS])
    return fig


def _numeric(axis, edges: np.ndarray, density: np.ndarray, unit: str) -> None:
    axis.stairs(density[0], edges, fill=True, color=style.REAL, alpha=0.35)
    axis.stairs(density[2], edges, color=style.BASELINE, ls="--", lw=1.0)
    axis.stairs(density[1], edges, color=style.PSEUDO, lw=1.3)
    axis.set_yticks([])
    axis.locator_params(axis="x", nbins=4)
    axis.grid(visible=False)
    axis.set_xlabel(style.shortened(unit, 22) if unit != "-" else "", fontsize=7, labelpad=1)


def _discrete(axis, names: list[str], shares: np.ndarray) -> None:
    place = np.arange(len(names))
    for k, (_, colour, _) in enumerate(SETS):
        axis.bar(place + 0.27 * (k - 1), 100 * shares[k], 0.26, color=colour, alpha=0.6 if k == 0 else 0.95)
    wide = max(map(len, names)) * len(names) > 18
    axis.set_xticks(place, [style.shortened(n, 15) for n in names], rotation=30 if wide else 0, fontsize=6.5,
                    ha="right" if wide else "center", rotation_mode="anchor" if wide else "default")  # fmt: skip
    axis.locator_params(axis="y", nbins=3)
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:g} %")
    axis.grid(axis="x", visible=False)


def heatmaps(arrays: dict) -> Figure | None:
    """Correlation matrices of the items in the clustered order of the real one, and the difference pseudo - real."""
    order = arrays["correlation/order"]
    if len(order) < 2:
        return None
    names = [style.shortened(style.texts(arrays, "correlation/names")[o], 24) for o in order]
    real, pseudo, naive = (arrays[f"correlation/{k}"][np.ix_(order, order)] for k in ("train", "pseudo", "baseline"))
    panels = (("Real (founders)", real, 1.0), ("Pseudo", pseudo, 1.0), ("Baseline", naive, 1.0),
              ("Pseudo − real", pseudo - real, 0.3))  # fmt: skip
    side = float(np.clip(0.1 * len(order), 4.2, 8))
    fig, axes = plt.subplots(2, 2, figsize=(2 * side + 1, 2 * side), sharex=True, sharey=True)
    for axis, (title, matrix, top) in zip(axes.ravel(), panels, strict=True):
        image = axis.imshow(np.ma.masked_invalid(matrix), cmap="RdBu_r", vmin=-top, vmax=top, interpolation="nearest")
        image.set_rasterized(True)
        axis.set_facecolor("#e6e8ec")
        axis.set_title(title)
        axis.grid(visible=False)
        axis.tick_params(length=0)
        fig.colorbar(image, ax=axis, shrink=0.7, label="correlation" if top == 1 else "difference")
    size = float(np.clip(52 * side / len(order), 2.5, 7.5))
    for row, axis in ((r, a) for r in (0, 1) for a in axes[r]):
        axis.set_yticks(range(len(names)), names, fontsize=size)
        if row:
            axis.set_xticks(range(len(names)), names, fontsize=size, rotation=90)
    return fig


def pairs(arrays: dict) -> Figure | None:
    """Every pair of items: correlation among founders against the same in pseudo, baseline and holdout."""
    names = style.texts(arrays, "correlation/names")
    if len(names) < 2:
        return None
    upper = np.triu_indices(len(names), 1)
    real = arrays["correlation/train"][upper]
    fig, axes = plt.subplots(1, 3, figsize=(10, 3.7), sharex=True, sharey=True)
    tables = (("pseudo", "Pseudo", style.PSEUDO), ("baseline", "Baseline", style.BASELINE),
              ("holdout", "Real holdout (noise floor)", style.HOLDOUT))  # fmt: skip
    for axis, (key, title, colour) in zip(axes, tables, strict=True):
        other = arrays[f"correlation/{key}"][upper]
        seen = np.isfinite(real) & np.isfinite(other)
        if not seen.any():
            continue
        style.identity(axis, -1, 1)
        axis.scatter(real[seen], other[seen], s=8, color=colour, alpha=0.5, lw=0, rasterized=True)
        strong = seen & (np.abs(real) > 0.1)
        slope = (real[strong] @ other[strong]) / (real[strong] @ real[strong]) if strong.any() else np.nan
        gap = np.sqrt(np.mean((real[seen] - other[seen]) ** 2))
        axis.text(0.03, 0.97, f"RMS difference {gap:.3f}\nslope (|ρ| > 0.1) {slope:.2f}", va="top",
                  transform=axis.transAxes, fontsize=8)  # fmt: skip
        axis.set(title=title, xlabel="correlation, founders")
    limit = min(1.02, 1.1 * float(np.nanmax(np.abs(real))) if np.isfinite(real).any() else 1.0)
    axes[0].set(ylabel="correlation in the other table", xlim=(-limit, limit), ylim=(-limit, limit))
    return fig


def score_distributions(arrays: dict) -> Figure | None:
    """Scores of founders, pseudo people and holdout, in founders' standard deviations."""
    count = min(int(arrays.get("score/count", 0)), MOST_TRAITS)
    if not count:
        return None
    fig, axes = style.grid(count, 4, 2.5, 1.9)
    for t, axis in enumerate(axes):
        edges, density = arrays[f"score/{t}/edges"], arrays[f"score/{t}/density"]
        axis.stairs(density[0], edges, fill=True, color=style.REAL, alpha=0.35)
        axis.stairs(density[2], edges, color=style.HOLDOUT, lw=1.0, ls="--")
        axis.stairs(density[1], edges, color=style.PSEUDO, lw=1.3)
        axis.set_title(style.shortened(style.texts(arrays, f"score/{t}/text")[1], 30), fontsize=8.5)
        axis.set_yticks([])
        axis.tick_params(labelsize=7)
    fig.supxlabel("score (standard deviations of the founders' scores)", fontsize=8.5)
    handles = [Patch(facecolor=style.REAL, alpha=0.45), Line2D([], [], color=style.PSEUDO),
               Line2D([], [], color=style.HOLDOUT, ls="--")]  # fmt: skip
    style.legend_above(fig, handles, [style.LABELS[k] for k in ("real", "pseudo", "holdout")])
    return fig


def deciles(arrays: dict) -> Figure | None:
    """Mean of the item by decile of its own score."""
    count = min(int(arrays.get("score/count", 0)), MOST_TRAITS)
    if not count:
        return None
    fig, axes = style.grid(count, 4, 2.5, 2.0)
    place, colours = np.arange(1, 11), (style.REAL, style.PSEUDO, style.HOLDOUT)
    for t, axis in enumerate(axes):
        _, label, unit, kind = style.texts(arrays, f"score/{t}/text")
        means = arrays[f"score/{t}/deciles"] * (100 if kind == "binary" else 1)
        for (mean, error), colour, shift, mark in zip(means, colours, (-0.12, 0.12, 0.0), "osx", strict=True):
            back = {"lw": 0.8, "alpha": 0.6, "zorder": 1} if colour == style.HOLDOUT else {"lw": 1.2, "zorder": 3}
            axis.errorbar(place + shift, mean, 1.96 * error, color=colour, fmt=f"{mark}-", ms=3, elinewidth=0.8, **back)
        what = {"binary": "% yes", "ordinal": "level"}.get(kind, "" if unit == "-" else unit)
        axis.set_title(f"{style.shortened(label, 22)} ({what})" if what else style.shortened(label, 30), fontsize=8.5)
        axis.set_xticks([1, 4, 7, 10])
        axis.tick_params(labelsize=7)
    fig.supxlabel("decile of the item's own score (cut at the founders' deciles)", fontsize=8.5)
    handles = [Line2D([], [], color=c, marker=m, ms=4) for c, m in zip(colours, "osx", strict=True)]
    style.legend_above(fig, handles, [style.LABELS[k] for k in ("real", "pseudo", "holdout")])
    return fig


def learning(arrays: dict) -> Figure | None:
    """Loss by epoch, and the Kullback-Leibler part of it."""
    curve = arrays.get("curve")
    if curve is None or curve.empty:
        return None
    fig, axes = plt.subplots(1, 2, figsize=(8.4, 3.2))
    axes[0].plot(curve["epoch"], curve["train_loss"], color=style.REAL, label="families trained on")
    axes[0].plot(curve["epoch"], curve["validation_loss"], color=style.HOLDOUT, ls="--", label="families left out")
    axes[0].set(title="Loss", xlabel="epoch", ylabel="loss (nats a person)")
    axes[0].legend()
    axes[1].plot(curve["epoch"], curve["kl"], color=style.PSEUDO)
    axes[1].set(title="Information in the latent variable", xlabel="epoch", ylabel="KL divergence (nats a person)")
    return fig
