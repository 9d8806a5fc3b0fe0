"""Figures of the findings: effects of scores on items, and of items on each other, from evaluation.findings."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.cluster.hierarchy import leaves_list, linkage

from pseudocohort.report import style
from pseudocohort.report.words import current, t

KINDS = (("score", "Scores and items"), ("item", "Items and items"))
LOST = "#7a1d1d"
SHOWN, NAMED = 60, 90  # rows and columns of the heat maps; of more, only those with the strongest effects; named ones


def labels(arrays: dict) -> dict[str, str]:
    """Name of an item -> its label in the current language."""
    key = "items/labels_ja" if current() == "ja" and "items/labels_ja" in arrays else "items/labels"
    return dict(zip(style.texts(arrays, "items/names"), style.texts(arrays, key), strict=True))


def label(names: dict[str, str], column: str) -> str:
    """Label of a column of the correlations or findings: an item, or `item = category`."""
    item, mark, category = column.partition(" = ")
    return names.get(item, item) + mark + category


def findings(arrays: dict) -> Figure | None:
    """Effects in pseudo people and in the holdout against the founders': what founders find, found again or not."""
    kinds = [(kind, title) for kind, title in KINDS if len(arrays.get(f"findings/{kind}/row", []))]
    if not kinds:
        return None
    fig, axes = plt.subplots(len(kinds), 2, figsize=(8.6, 3.9 * len(kinds)), squeeze=False)
    sides = (("pseudo", "pseudo people", style.PSEUDO), ("holdout", "real holdout (noise floor)", style.HOLDOUT))
    for row, (kind, title) in zip(axes, kinds, strict=True):
        at = {key.rsplit("/", 1)[1]: value for key, value in arrays.items() if key.startswith(f"findings/{kind}/")}
        reach = 1.05 * np.nanmax(np.abs(np.concatenate([at["beta_real"], at["beta_pseudo"]])))
        for axis, (name, side, colour) in zip(row, sides, strict=True):
            _effects(axis, at, name, colour)
            axis.set(title=f"{t(title)}: {t(side)}", xlim=(-reach, reach), ylim=(-reach, reach))
            axis.set_xlabel(t("effect in founders (SD per SD)"))
            axis.set_ylabel(t("effect (SD per SD)"))
    kinds = (("o", style.PSEUDO), ("o", style.HOLDOUT), ("x", LOST), (".", style.BASELINE))
    marks = [Line2D([], [], marker=mark, ls="", color=colour, ms=5) for mark, colour in kinds]
    texts = ("founders' finding, found again by pseudo people", "founders' finding, found again in the holdout",
             "founders' finding, not found again", "no finding of the founders")  # fmt: skip
    fig.legend(marks, [t(text) for text in texts], loc="outside lower center", ncols=2)
    return fig


def _effects(axis, at: dict, name: str, colour: str) -> None:
    """One cloud of effects with the shares that are found again."""
    x, y, p = at["beta_real"], at[f"beta_{name}"], at[f"p_{name}"]
    found, seen = at["found_real"] == 2, np.isfinite(y)
    again = (p < 0.05) & (np.sign(x) == np.sign(y))
    style.identity(axis, -2, 2)
    axis.axhline(0, color="#5b616b", lw=0.6)
    axis.axvline(0, color="#5b616b", lw=0.6)
    for use, mark, shade, size, front in ((~found, "o", style.BASELINE, 5, 2), (found & again, "o", colour, 16, 4),
                                          (found & ~again & seen, "x", LOST, 22, 3)):  # fmt: skip
        more = {"lw": 0, "alpha": 0.4 if shade == style.BASELINE else 0.85} if mark == "o" else {"lw": 1.0}
        axis.scatter(x[use], y[use], s=size, marker=mark, color=shade, zorder=front, rasterized=True, **more)
    people, number = f"{int(at[f'n_{name}'].max()):,}", int((found & seen).sum())
    people = people if name == "pseudo" else f"≥ {people}"  # told in whole tens
    told = t("{found} of {all} found again, in {people} people")
    told = told.format(found=int((found & again).sum()), all=number, people=people)
    axis.text(0.03, 0.97, told, transform=axis.transAxes, va="top", fontsize=8)


def score_item_heatmap(arrays: dict) -> Figure | None:
    """Effects of scores on items: founders, pseudo people, difference, in one order clustered by the founders'."""
    if len(arrays.get("findings/score/row", [])) < 4:
        return None
    at = {key.rsplit("/", 1)[1]: value for key, value in arrays.items() if key.startswith("findings/score/")}
    shape = len(at["x"]), len(at["y"])
    real, pseudo, sure, own = (np.full(shape, np.nan) for _ in range(4))
    for table, key in ((real, "beta_real"), (pseudo, "beta_pseudo"), (sure, "found_real"), (own, "found_pseudo")):
        table[at["row"], at["column"]] = at[key]
    rows, columns = _order(real), _order(real.T)
    pick, names = np.ix_(rows, columns), labels(arrays)
    panels = (("Real (founders)", real, sure == 2), ("Pseudo", pseudo, own == 1),
              ("Pseudo − real", pseudo - real, None))  # fmt: skip
    top = float(np.nanquantile(np.abs(real), 0.99))
    fig, axes = plt.subplots(1, 3, figsize=(13.5, 1.6 + 0.13 * len(rows)), sharey=True)
    for axis, (title, table, dots) in zip(axes, panels, strict=True):
        image = axis.imshow(np.ma.masked_invalid(table[pick]), cmap="RdBu_r", vmin=-top, vmax=top, aspect="auto",
                            interpolation="nearest")  # fmt: skip
        image.set_rasterized(True)
        axis.set_facecolor("#e6e8ec")
        if dots is not None:
            axis.plot(*np.nonzero(dots[pick])[::-1], ".", color="black", ms=2.2)
        axis.set(title=t(title), xlabel=t("item"))
        axis.grid(visible=False)
        axis.tick_params(length=0)
        _name(axis.set_xticks, [label(names, str(at["y"][c])) for c in columns], rotation=90)
    _name(axes[0].set_yticks, [label(names, str(at["x"][r])) for r in rows])
    axes[0].set_ylabel(t("polygenic score"))
    fig.colorbar(image, ax=axes, shrink=0.8, label=t("effect of the score (SD per SD)"), pad=0.01)
    return fig


def _order(table: np.ndarray) -> np.ndarray:
    """Rows in the order of average-linkage clusters of their effects; of too many the strongest."""
    filled = np.nan_to_num(table)
    strength = np.abs(filled).max(axis=1)
    rows = np.sort(np.argsort(-strength, kind="stable")[:SHOWN])
    rows = rows[np.isfinite(table[rows]).any(axis=1)]
    if len(rows) < 3:
        return rows
    return rows[leaves_list(linkage(filled[rows], "average", optimal_ordering=True))]


def _name(ticks, names: list[str], **more) -> None:
    size = float(np.clip(260 / max(len(names), 1), 4.5, 7.5))
    shown = [style.shortened(n, 24) for n in names] if len(names) <= NAMED else [""] * len(names)
    ticks(range(len(names)), shown, fontsize=size, **more)
