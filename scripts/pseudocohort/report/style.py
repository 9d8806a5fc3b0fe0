"""The look that all figures share: colours with one meaning each, small SVG files, the same bytes every time."""

import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager

from pseudocohort.files import atomic
from pseudocohort.report import EMPTY, words
from pseudocohort.report.words import t

REAL, PSEUDO, BASELINE, HOLDOUT = "#1f3b73", "#d95f02", "#8a8f98", "#12908e"
LABELS = {"real": "real (founders)", "pseudo": "pseudo", "baseline": "baseline (independent items)",
          "holdout": "real holdout (noise floor)"}  # fmt: skip
# The font whose metrics make the layout of Japanese figures, and those that the reader's browser draws them with.
JAPANESE = "IPAexGothic"
BROWSERS = "'Noto Sans CJK JP', 'Noto Sans JP', 'Hiragino Sans', 'Yu Gothic', Meiryo, sans-serif"
# Okabe and Ito's colours for strata, told apart with any kind of colour vision.
STRATA = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#000000", "#b8a800")
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*")
SETTINGS = {
    "font.size": 9, "axes.titlesize": 10, "axes.titleweight": "bold", "axes.titlelocation": "left",
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#e6e8ec",
    "grid.linewidth": 0.6, "axes.axisbelow": True, "axes.edgecolor": "#5b616b", "legend.frameon": False,
    "figure.dpi": 120, "savefig.dpi": 120, "svg.fonttype": "none", "svg.hashsalt": "pseudocohort",
    "figure.constrained_layout.use": True, "text.parse_math": False, "axes.unicode_minus": True,
}  # fmt: skip


def save(fig: Figure, path: str | Path, title: str = "") -> None:
    """Write an SVG without date; clouds of points are marked `rasterized` by the figures themselves."""
    with atomic(path) as part, warnings.catch_warnings():
        # Text stays text in the SVG, so a glyph that matplotlib's own font lacks is drawn by the reader's.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        fig.savefig(part, format="svg", metadata={"Date": None, "Creator": None, "Title": title})
        if words.current() == "ja":
            text = part.read_text(encoding="utf-8")
            part.write_text(text.replace(f"'{JAPANESE}', 'DejaVu Sans'", BROWSERS), encoding="utf-8")
    plt.close(fig)


def drawn(draw: Callable[[dict], Figure | None], arrays: dict, path: str | Path) -> None:
    """Draw a figure in the house's style, or say in its place that there is nothing to draw."""
    with plt.rc_context(SETTINGS | fonts()):
        fig = draw(arrays)
        save(fig if fig is not None else nothing(), path, EMPTY if fig is None else "")


def fonts() -> dict[str, list[str]]:
    """Settings of the font: matplotlib's own, behind a Japanese one where words are Japanese."""
    return {"font.family": [_japanese(), "DejaVu Sans"]} if words.current() == "ja" else {}


@cache
def _japanese() -> str:
    """The font of the package matplotlib-fontja, which would change matplotlib's settings if it were imported."""
    package = Path(importlib.util.find_spec("matplotlib_fontja").origin).parent
    fontManager.addfont(package / "fonts" / "ipaexg.ttf")
    fontManager.ttflist.append(replace(fontManager.ttflist[-1], weight=700))  # headings: it has no bold of its own
    return JAPANESE


def nothing(text: str | None = None) -> Figure:
    """A figure that says why it is empty."""
    text = t("This run has no data for this figure.") if text is None else text
    fig, axes = plt.subplots(figsize=(6, 1.2))
    axes.axis("off")
    axes.text(0.5, 0.5, text, ha="center", va="center", color="#5b616b", fontsize=11)
    return fig


def grid(n: int, columns: int, width: float, height: float, **more) -> tuple[Figure, list[Axes]]:
    """A figure of n panels in rows of `columns`, each width x height inches; the panels left over are hidden."""
    columns = min(columns, n)
    rows = -(-n // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(max(width * columns, 4.2), height * rows), squeeze=False, **more)
    flat = list(axes.ravel())
    for axis in flat[n:]:
        axis.axis("off")
    return fig, flat[:n]


def shades(colour: str) -> LinearSegmentedColormap:
    """From nearly white to a colour."""
    return LinearSegmentedColormap.from_list(colour, ["#f4f5f7", colour, "#111111"])


def legend_above(fig: Figure, handles: list, labels: list[str]) -> None:
    """One legend for all panels, over them: for figures with a common label under the panels."""
    fig.legend(handles, labels, loc="outside upper center", ncols=min(len(labels), 4))


def legend_below(fig: Figure, handles: list, labels: list[str]) -> None:
    """One legend for all panels, under them."""
    fig.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 4))


def shortened(text: str, length: int = 26) -> str:
    """Text of at most `length` characters."""
    return text if len(text) <= length else text[: length - 1] + "…"


def identity(axis: Axes, low: float, high: float) -> None:
    """The line where both axes are equal."""
    axis.plot([low, high], [low, high], color="#5b616b", lw=0.8, ls="--", zorder=1)


def texts(arrays: dict, key: str) -> list[str]:
    """An array of texts as a list; the placeholder `-` of an empty one is left out."""
    found = [str(t) for t in np.atleast_1d(arrays[key])] if key in arrays else []
    return [] if found == ["-"] else found
