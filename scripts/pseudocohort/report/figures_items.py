"""Figures of items, scores and the network, from the aggregates of evaluation.items."""

from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pseudocohort.report import style
from pseudocohort.report.figures_findings import findings, label, labels, score_item_heatmap
from pseudocohort.report.words import t

MOST_TRAITS = {"distribution": 12, "deciles": 40}
COLUMNS, PANEL, HEADING = 5, 2.0, 0.5  # of the figure of distributions: panels a row, inches a row and a heading
MOST_NAMES = 110  # rows of a heat map whose names can still be read
SEARCHED = {"hidden": "hidden units", "depth": "depth", "latent": "latent size", "learning_rate": "learning rate"}
SETS = (("real", style.REAL, "-"), ("pseudo", style.PSEUDO, "-"), ("baseline", style.BASELINE, "--"))
HELD = ("holdout", style.HOLDOUT, "-")


def draw_items(arrays: dict[str, np.ndarray], model: str | Path | None, folder: str | Path) -> list[str]:
    """Write the figures of the items as SVG into `folder`; returns their names.

    model: directory of the trained model, or None. If they are there, learning_curve.tsv (epoch, train_loss,
    validation_loss, kl, and trial, round, chosen of a search) and search.tsv (a row a trial) are drawn.
    """
    for name, file in (("curve", "learning_curve.tsv"), ("search", "search.tsv")):
        if model is not None and (Path(model) / file).exists():
            arrays = arrays | {name: pd.read_csv(Path(model) / file, sep="\t")}
    figures = {
        "marginals": marginals,
        "correlation_heatmaps": heatmaps,
        "correlation_pairs": pairs,
        "score_distribution": score_distributions,
        "score_deciles": deciles,
        "score_item_heatmap": score_item_heatmap,
        "findings": findings,
        "learning_curve": learning,
        "search": search,
    }
    for name, draw in figures.items():
        style.drawn(draw, arrays, Path(folder) / f"{name}.svg")
    return list(figures)


def marginals(arrays: dict) -> Figure | None:
    """The shown items' distributions, founders, pseudo, baseline, holdout: a block of panels with a heading a group."""
    shown = np.atleast_1d(arrays.get("marginal/shown", np.array([], dtype=int)))
    if not len(shown):
        return None
    groups = np.array(style.texts(arrays, "items/groups"))
    blocks = {str(g): shown[groups[shown] == g] for g in dict.fromkeys(groups[shown])}
    told = {}
    for group, items in blocks.items():
        number = int((groups == group).sum())
        some = t("{shown} of {all} items, those farthest from the real ones")
        told[group] = (some if len(items) < number else t("items: {all}")).format(shown=len(items), all=number)
    sets = (*SETS[: len(arrays["items/missing"])], HELD)
    handles = [Patch(facecolor=style.REAL, alpha=0.45), *[Line2D([], [], color=c, ls=s) for _, c, s in sets[1:]]]
    fig = _blocks(blocks, told, lambda axis, j: _panel(axis, arrays, int(j)))
    fig.legend(handles, [t(style.LABELS[name]) for name, _, _ in sets], loc="lower center", ncols=4)
    return fig


def _blocks(blocks: dict, told: dict[str, str], draw: Callable) -> Figure:
    """A block of panels with a heading for each group: group -> what draw(axis, one) draws. told: beside it."""
    rows = sum(-(-len(ones) // COLUMNS) for ones in blocks.values())
    height = HEADING * len(blocks) + PANEL * rows + 0.5
    fig = plt.figure(figsize=(11.5, height), layout="none")  # placed by hand: automatic layout takes minutes
    top = height
    for group, ones in blocks.items():
        fig.text(0.02, (top - 0.2) / height, t(group), fontsize=11, weight="bold", va="center")
        fig.text(0.98, (top - 0.2) / height, told[group], fontsize=8, va="center", ha="right", color="#5b616b")
        fig.add_artist(Line2D([0.02, 0.98], [(top - 0.34) / height] * 2, color="#5b616b", lw=0.8))
        top -= HEADING
        for k, one in enumerate(ones):
            row, column = divmod(k, COLUMNS)
            place = (0.035 + 0.193 * column, (top - PANEL * (row + 1) + 0.65) / height, 0.16, (PANEL - 1.05) / height)
            draw(fig.add_axes(place), one)
        top -= PANEL * -(-len(ones) // COLUMNS)
    return fig


def _panel(axis, arrays: dict, j: int) -> None:
    """One item's distribution, with its missing rates under the title."""
    name, unit = (str(np.atleast_1d(arrays[key])[j]) for key in ("items/names", "items/units"))
    if f"marginal/{j}/edges" in arrays:
        parts = (arrays[f"marginal/{j}/{key}"] for key in ("edges", "density", "holdout"))
        _numeric(axis, *parts, unit)
        if str(np.atleast_1d(arrays["items/types"])[j]) == "date":
            axis.xaxis.set_major_formatter(lambda day, _: str(np.datetime64(round(day), "D")))
            axis.locator_params(axis="x", nbins=2)
    else:
        names = style.texts(arrays, f"marginal/{j}/categories")
        _discrete(axis, names, arrays[f"marginal/{j}/shares"], arrays[f"marginal/{j}/holdout"])
    real, pseudo = (f"{rate:.0f}" if np.isfinite(rate) else "–" for rate in 100 * arrays["items/missing"][:2, j])
    axis.set_title(f"{style.shortened(labels(arrays)[name], 24)}\n", fontsize=8.5)
    missing = t("missing: real {real} %, pseudo {pseudo} %").format(real=real, pseudo=pseudo)
    axis.text(0, 1.03, missing, transform=axis.transAxes, fontsize=6.5,
              color="#5b616b")  # fmt: skip
    axis.tick_params(labelsize=7)


def _numeric(axis, edges: np.ndarray, density: np.ndarray, held: np.ndarray, unit: str) -> None:
    axis.stairs(density[0], edges, fill=True, color=style.REAL, alpha=0.35)
    if np.isfinite(held).all():
        axis.stairs(held, edges, color=HELD[1], lw=0.8)
    if len(density) > 2:
        axis.stairs(density[2], edges, color=style.BASELINE, ls="--", lw=1.0)
    axis.stairs(density[1], edges, color=style.PSEUDO, lw=1.3)
    axis.set_yticks([])
    axis.locator_params(axis="x", nbins=4)
    axis.grid(visible=False)
    axis.set_xlabel(style.shortened(t(unit), 22) if unit != "-" else "", fontsize=7, labelpad=1)


def _discrete(axis, names: list[str], shares: np.ndarray, held: np.ndarray) -> None:
    """Bars as the legend has them: filled, the baseline a dashed outline, the holdout a line across."""
    place = np.arange(len(names))
    for k, (name, colour, line) in enumerate(SETS[: len(shares)]):
        shift = 0.27 * (k - (len(shares) - 1) / 2)
        look = {"color": colour, "alpha": 0.6 if k == 0 else 0.95}
        if name == "baseline":
            look = {"facecolor": "none", "edgecolor": colour, "ls": line, "lw": 1.0}
        axis.bar(place + shift, 100 * shares[k], 0.26, **look)
    seen = np.isfinite(held)
    axis.hlines(100 * held[seen], place[seen] - 0.4, place[seen] + 0.4, color=HELD[1], lw=1.2, zorder=4)
    wide = max(map(len, names)) * len(names) > 18
    axis.set_xticks(place, [style.shortened(n, 15) for n in names], rotation=30 if wide else 0, fontsize=6.5,
                    ha="right" if wide else "center", rotation_mode="anchor" if wide else "default")  # fmt: skip
    axis.locator_params(axis="y", nbins=3)
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:g} %")
    axis.grid(axis="x", visible=False)


def heatmaps(arrays: dict) -> Figure | None:
    """Correlation matrices of the items by group, clustered within each as the real one, and pseudo - real."""
    order = np.atleast_1d(arrays["correlation/order"])
    if len(order) < 2:
        return None
    known, codes = labels(arrays), style.texts(arrays, "correlation/names")
    names = [style.shortened(label(known, codes[o]), 24) for o in order]
    tables = [arrays[f"correlation/{k}"][np.ix_(order, order)] for k in ("train", "pseudo")]
    panels = [("Real (founders)", tables[0], 1.0), ("Pseudo", tables[1], 1.0)]
    if "correlation/baseline" in arrays:
        panels.append(("Baseline", arrays["correlation/baseline"][np.ix_(order, order)], 1.0))
    panels.append(("Pseudo − real", tables[1] - tables[0], 0.3))
    side = float(np.clip(0.1 * len(order), 4.2, 8))
    fig, axes = plt.subplots(2, 2, figsize=(2 * side + 1, 2 * side), sharex=True, sharey=True)
    for axis in axes.ravel()[len(panels) :]:
        axis.axis("off")
    for axis, (title, matrix, top) in zip(axes.ravel(), panels, strict=False):
        image = axis.imshow(np.ma.masked_invalid(matrix), cmap="RdBu_r", vmin=-top, vmax=top, interpolation="nearest")
        image.set_rasterized(True)
        axis.set_facecolor("#e6e8ec")
        axis.set_title(t(title))
        axis.grid(visible=False)
        axis.tick_params(length=0)
        fig.colorbar(image, ax=axis, shrink=0.7, label=t("correlation") if top == 1 else t("difference"))
    _group_borders(axes, np.atleast_1d(arrays["correlation/group_sizes"]))
    _name_rows(axes, names, style.texts(arrays, "correlation/groups"), arrays["correlation/group_sizes"], side)
    return fig


def _group_borders(axes: np.ndarray, sizes: np.ndarray) -> None:
    for edge in np.cumsum(sizes)[:-1] - 0.5:
        for axis in axes.ravel():
            axis.axhline(edge, color="#1c2230", lw=0.6)
            axis.axvline(edge, color="#1c2230", lw=0.6)


def _name_rows(axes: np.ndarray, names: list[str], groups: list[str], sizes: np.ndarray, side: float) -> None:
    """Names of the items while they can be read, and of their groups; else of the groups alone."""
    sizes = np.atleast_1d(sizes)
    middle = np.cumsum(sizes) - (sizes + 1) / 2
    if len(names) > MOST_NAMES:
        places, texts, size = middle, [style.shortened(t(g), 28) for g in groups], 8.0
    else:
        places, texts, size = range(len(names)), names, float(np.clip(52 * side / len(names), 2.5, 7.5))
        for axis in axes[0]:
            above = axis.secondary_xaxis("top")
            above.set_xticks(middle, [style.shortened(t(g), 18) for g in groups], fontsize=7, rotation=30, ha="left")
            above.tick_params(length=0)
            above.spines["top"].set_visible(False)
    for row in (0, 1):
        for axis in axes[row]:
            axis.set_yticks(places, texts, fontsize=size)
            if row:
                axis.set_xticks(places, texts, fontsize=size, rotation=90)


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
        if f"correlation/{key}" not in arrays:
            axis.axis("off")
            continue
        other = arrays[f"correlation/{key}"][upper]
        seen = np.isfinite(real) & np.isfinite(other)
        if not seen.any():
            continue
        style.identity(axis, -1, 1)
        axis.scatter(real[seen], other[seen], s=8, color=colour, alpha=0.5, lw=0, rasterized=True)
        gap = np.sqrt(np.mean((real[seen] - other[seen]) ** 2))
        told = t("RMS difference {gap}").format(gap=f"{gap:.3f}")
        axis.text(0.03, 0.97, told, va="top", transform=axis.transAxes, fontsize=8)
        axis.set(title=t(title), xlabel=t("correlation, founders"))
    limit = min(1.02, 1.1 * float(np.nanmax(np.abs(real))) if np.isfinite(real).any() else 1.0)
    axes[0].set(ylabel=t("correlation in the other table"), xlim=(-limit, limit), ylim=(-limit, limit))
    return fig


def score_distributions(arrays: dict) -> Figure | None:
    """Scores of founders, pseudo people and holdout, in founders' standard deviations."""
    count = min(int(arrays.get("score/count", 0)), MOST_TRAITS["distribution"])
    if not count:
        return None
    fig, axes = style.grid(count, 4, 2.5, 1.9)
    for k, axis in enumerate(axes):
        edges, density = arrays[f"score/{k}/edges"], arrays[f"score/{k}/density"]
        axis.stairs(density[0], edges, fill=True, color=style.REAL, alpha=0.35)
        axis.stairs(density[2], edges, color=style.HOLDOUT, lw=1.0, ls="--")
        axis.stairs(density[1], edges, color=style.PSEUDO, lw=1.3)
        name = str(arrays[f"score/{k}/text"][0])
        axis.set_title(style.shortened(labels(arrays)[name], 30), fontsize=8.5)
        axis.set_yticks([])
        axis.tick_params(labelsize=7)
    fig.supxlabel(t("score (standard deviations of the founders' scores)"), fontsize=8.5)
    handles = [Patch(facecolor=style.REAL, alpha=0.45), Line2D([], [], color=style.PSEUDO),
               Line2D([], [], color=style.HOLDOUT, ls="--")]  # fmt: skip
    style.legend_above(fig, handles, [t(style.LABELS[k]) for k in ("real", "pseudo", "holdout")])
    return fig


def deciles(arrays: dict) -> Figure | None:
    """Mean of the item by decile of its own score: a block of panels a group, strongest links first."""
    count = int(arrays.get("score/count", 0))
    shown = range(min(count, MOST_TRAITS["deciles"]))
    if not count:
        return None
    place = {k: str(arrays[f"score/{k}/text"][3]) for k in range(count)}
    order = [g for g in dict.fromkeys(style.texts(arrays, "items/groups")) if g in {place[k] for k in shown}]
    blocks = {group: [k for k in shown if place[k] == group] for group in order}
    told = {}
    for group, ones in blocks.items():
        number = sum(own == group for own in place.values())
        some = t("{shown} of {all} items, those with the strongest links")
        told[group] = (some if len(ones) < number else t("items: {all}")).format(shown=len(ones), all=number)
    fig = _blocks(blocks, told, lambda axis, k: _deciles(axis, arrays, k))
    colours = (style.REAL, style.PSEUDO, style.HOLDOUT)
    handles = [Line2D([], [], color=c, marker=m, ms=4) for c, m in zip(colours, "osx", strict=True)]
    fig.legend(handles, [t(style.LABELS[k]) for k in ("real", "pseudo", "holdout")], loc="lower center", ncols=3)
    return fig


def _deciles(axis, arrays: dict, k: int) -> None:
    """One item by deciles of its score, with 95 % intervals."""
    name, unit, kind, _ = (str(text) for text in arrays[f"score/{k}/text"])
    means = arrays[f"score/{k}/deciles"] * (100 if kind == "binary" else 1)
    sides = zip(means, (style.REAL, style.PSEUDO, style.HOLDOUT), (-0.12, 0.12, 0.0), "osx", strict=True)
    for (mean, error), colour, shift, mark in sides:
        back = {"lw": 0.8, "alpha": 0.6, "zorder": 1} if colour == style.HOLDOUT else {"lw": 1.2, "zorder": 3}
        axis.errorbar(np.arange(1, 11) + shift, mean, 1.96 * error, color=colour, fmt=f"{mark}-", ms=3, elinewidth=0.8,
                      **back)  # fmt: skip
    what = {"binary": t("% yes"), "ordinal": t("level")}.get(kind, "" if unit == "-" else t(unit))
    axis.set_title(style.shortened(labels(arrays)[name], 26) + "\n", fontsize=8.5)
    axis.text(0, 1.03, style.shortened(what, 30), transform=axis.transAxes, fontsize=7, color="#5b616b")
    axis.set_xticks([1, 4, 7, 10])
    axis.set_xlabel(t("decile of its own score"), fontsize=7, labelpad=1)
    axis.tick_params(labelsize=7)


def learning(arrays: dict) -> Figure | None:
    """Loss by epoch of the chosen training, the other trials of the search behind it, and the divergence of z."""
    curve = arrays.get("curve")
    if curve is None or curve.empty:
        return None
    chosen = curve[curve["chosen"] == 1] if "chosen" in curve else curve
    fig, axes = plt.subplots(1, 2, figsize=(8.4, 3.4))
    lines = [] if "chosen" not in curve else list(curve[curve["chosen"] != 1].groupby(["trial", "round"]))
    for k, (_, other) in enumerate(lines):
        told = t("other trials, families left out") if k == 0 else None
        axes[0].plot(other["epoch"], other["validation_loss"], color=style.BASELINE, lw=0.6, alpha=0.7, label=told)
    if chosen["train_loss"].notna().any():  # private training tells no loss of the people it is trained on
        axes[0].plot(chosen["epoch"], chosen["train_loss"], color=style.REAL, label=t("families trained on"))
    axes[0].plot(chosen["epoch"], chosen["validation_loss"], color=style.HOLDOUT, ls="--", label=t("families left out"))
    axes[0].set(title=t("Loss"), xlabel=t("epoch"), ylabel=t("loss (nats a person)"))
    _focus(axes[0], np.concatenate([chosen[c].dropna() for c in ("train_loss", "validation_loss")]))
    axes[0].legend(fontsize=7.5)
    if chosen["kl"].notna().any():
        axes[1].plot(chosen["epoch"], chosen["kl"], color=style.PSEUDO)
    else:
        told = t("not told: trained with differential privacy")
        axes[1].text(0.5, 0.5, told, ha="center", transform=axes[1].transAxes)
    axes[1].set(title=t("Information in the latent variable"), xlabel=t("epoch"))
    axes[1].set_ylabel(t("KL divergence (nats a person)"))
    return fig


def _focus(axis, losses: np.ndarray) -> None:
    """Limits of the axis that keep the end of the chosen curve readable, whatever the others did."""
    if len(losses):
        low, high = losses.min(), np.quantile(losses, 0.98)
        room = max(high - low, 1e-3)
        axis.set_ylim(low - 0.1 * room, high + 0.3 * room)


def search(arrays: dict) -> Figure | None:
    """Validation loss of every trial of the search against each setting, the chosen one marked."""
    table = arrays.get("search")
    if table is None or len(table) < 2:
        return None
    table = table[np.isfinite(table["validation_loss"])]
    shown = [key for key in SEARCHED if key in table]
    rounds = table["rounds"] if "rounds" in table else table["validation_loss"] * 0 + 1
    last = rounds == rounds.max()
    chosen = table["chosen"] == 1 if "chosen" in table else table["validation_loss"] == table["validation_loss"].min()
    fig, axes = plt.subplots(1, len(shown), figsize=(2.5 * len(shown) + 0.6, 2.9), sharey=True, squeeze=False)
    for axis, key in zip(axes[0], shown, strict=True):
        groups = ((last & ~chosen, "o", style.REAL, t("trained to the end")),
                  (~last & ~chosen, "x", style.BASELINE, t("stopped after a first round")),
                  (chosen, "*", style.PSEUDO, t("chosen")))  # fmt: skip
        for rows, mark, colour, told in groups:
            if rows.any():
                axis.scatter(table.loc[rows, key], table.loc[rows, "validation_loss"], marker=mark, color=colour,
                             s=110 if mark == "*" else 26, label=told, zorder=3 if mark == "*" else 2)  # fmt: skip
        values = np.unique(table[key])
        if key != "depth" and len(values) > 1 and values.min() > 0:
            axis.set_xscale("log")
        ticks = values if len(values) <= 6 else np.geomspace(values.min(), values.max(), 3) if values.min() > 0 else []
        if len(ticks):
            axis.set_xticks(ticks, [f"{v:.3g}" for v in ticks])
            axis.minorticks_off()
        axis.set(xlabel=t(SEARCHED[key]))
    axes[0, 0].set_ylabel(t("loss of families left out\n(nats a person)"))
    style.legend_above(fig, *axes[0, 0].get_legend_handles_labels())
    return fig
