"""Figures of the genomes, from the aggregates of evaluation.genomes."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pseudocohort.report import style

GROUPS = (("train", "real (founders)", style.REAL), ("holdout", "real holdout (noise floor)", style.HOLDOUT),
          ("pseudo", "pseudo", style.PSEUDO))  # fmt: skip


def draw_genomes(arrays: dict[str, np.ndarray], folder: str | Path) -> list[str]:
    """Write af_scatter, sfs, ld_decay and pca as SVG into `folder`; returns the names."""
    figures = {"af_scatter": frequencies, "sfs": spectrum, "ld_decay": linkage, "pca": structure}
    for name, draw in figures.items():
        style.drawn(draw, arrays, Path(folder) / f"{name}.svg")
    return list(figures)


def frequencies(arrays: dict) -> Figure | None:
    """Allele frequencies, pseudo and holdout against founders, as numbers of sites on a grid."""
    grids = [arrays["frequency/pseudo"], arrays["frequency/holdout"]]
    if not grids[0].sum():
        return None
    fig, axes = plt.subplots(1, 2, figsize=(8.6, 4.1), sharex=True, sharey=True)
    top = max(g.max() for g in grids)
    cells = np.linspace(0, 1, len(grids[0]) + 1)
    groups = (("pseudo people", style.PSEUDO), ("real holdout", style.HOLDOUT))
    for axis, counts, (name, colour) in zip(axes, grids, groups, strict=True):
        mesh = axis.pcolormesh(cells, cells, np.ma.masked_less(counts.T, 1), norm=LogNorm(1, max(top, 2)),
                               cmap=style.shades(colour), rasterized=True)  # fmt: skip
        style.identity(axis, 0, 1)
        axis.set(title=f"Allele frequency: {name}", xlabel="ALT allele frequency, founders", aspect="equal",
                 xlim=(0, 1), ylim=(0, 1))  # fmt: skip
        bar = fig.colorbar(mesh, ax=axis, label="sites", fraction=0.05, format=lambda value, _: f"{value:,.0f}")
        bar.ax.minorticks_off()
    axes[0].set_ylabel("ALT allele frequency")
    return fig


def spectrum(arrays: dict) -> Figure | None:
    """Folded site frequency spectrum in classes of doubling width."""
    counts = {name: arrays[f"spectrum/{name}"] for name, _, _ in GROUPS}
    if not counts["train"].sum():
        return None
    low, high = arrays["spectrum/edges"][:-1].astype(int), arrays["spectrum/edges"][1:].astype(int) - 1
    fig, axis = plt.subplots(figsize=(9.0, 3.6))
    for k, (name, label, colour) in enumerate(GROUPS):
        axis.bar(np.arange(len(low)) + 0.27 * (k - 1), counts[name], 0.26, color=colour, label=label)
    names = [str(a) if a == b else f"{a}–{b}" for a, b in zip(low, high, strict=True)]
    axis.set_xticks(np.arange(len(low)), names, rotation=30 if len(low) > 7 else 0)
    axis.set(title="Site frequency spectrum", ylabel="sites",
             xlabel=f"copies of the rarer allele among {int(arrays['spectrum/haplotypes'])} haplotypes")  # fmt: skip
    axis.grid(axis="x", visible=False)
    axis.legend()
    return fig


def linkage(arrays: dict) -> Figure | None:
    """Mean r^2 by genetic distance, with 95 % bands."""
    if "linkage/r2" not in arrays or not np.isfinite(arrays["linkage/r2"]).any():
        return None
    edges = arrays["linkage/edges"]
    middle = np.sqrt(np.maximum(edges[:-1], edges[1] / 3) * edges[1:])
    chance = float(arrays["linkage/chance"])
    fig, axes = plt.subplots(1, 2, figsize=(9.0, 3.8), sharex=True)
    for axis in axes:
        for mean, band, (_, label, colour) in zip(
            arrays["linkage/r2"], arrays["linkage/intervals"], GROUPS, strict=True
        ):
            axis.fill_between(middle, band[:, 0], band[:, 1], color=colour, alpha=0.15, lw=0)
            axis.plot(middle, mean, "o-", color=colour, ms=4, lw=1.6, label=label)
        axis.axhline(chance, color="#5b616b", lw=0.8, ls=":", label="unlinked sites (1 / haplotypes)")
        axis.set_xscale("log")
        axis.set_xlabel("distance of two sites (cM)")
    axes[1].set_yscale("log")
    axes[1].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ticks = [t for t in (0.01, 0.1, 1, 10) if middle[0] / 2 < t < middle[-1] * 2]
    axes[0].set_xticks(ticks, [f"{t:g}" for t in ticks])
    for axis in axes:
        axis.minorticks_off()
    axes[0].set(title="Decay of linkage disequilibrium", ylabel="mean r²")
    axes[0].set_ylim(bottom=0)
    axes[1].set(title="The same on a logarithmic scale")
    style.legend_below(fig, *axes[0].get_legend_handles_labels())
    return fig


def structure(arrays: dict) -> Figure | None:
    """Principal components: real people as density by stratum, pseudo people as points."""
    if "structure/pseudo" not in arrays:
        return None
    points, of = arrays["structure/pseudo"], np.array(style.texts(arrays, "structure/pseudo_strata"))
    drawn = style.texts(arrays, "structure/strata")
    names = drawn + sorted(set(of) - set(drawn))
    bounds, share = arrays["structure/bounds"], arrays["structure/share"]
    fig, axes = plt.subplots(1, 2, figsize=(9.0, 4.4), sharex=True, sharey=True)
    for axis, alpha in ((axes[0], 0.35), (axes[1], 0.0)):
        _contours(axis, arrays, drawn, bounds, alpha)
    for i, name in enumerate(names):
        rows = of == name
        axes[1].scatter(*points[rows].T, s=7, color=_colour(i), marker=style.MARKERS[i % 8], alpha=0.6, lw=0,
                        rasterized=True)  # fmt: skip
    labels = [f"PC{k + 1} ({100 * share[k]:.1f} % of variance)" for k in range(2)]
    axes[0].set(title="Real people (density)", xlabel=labels[0], ylabel=labels[1], xlim=bounds[0], ylim=bounds[1])
    axes[1].set(title="Pseudo people (points) on real density", xlabel=labels[0])
    if len(names) <= 12:
        handles = [Line2D([], [], ls="", marker=style.MARKERS[i % 8], color=_colour(i)) for i in range(len(names))]
        style.legend_below(fig, handles, [style.shortened(n) for n in names])
    return fig


def _contours(axis, arrays: dict, names: list[str], bounds: np.ndarray, alpha: float) -> None:
    """Contours of the smoothed density of each stratum's real people, and their filling on the first panel."""
    for i in range(len(names)):
        density = arrays[f"structure/density/{i}"]
        if not density.any():
            continue
        centres = [np.linspace(*b, len(density) + 1)[:-1] + np.ptp(b) / len(density) / 2 for b in bounds]
        levels = density.max() * np.array([0.02, 0.2, 0.4, 0.7])
        if alpha:
            axis.contourf(*centres, density.T, levels=[*levels, density.max() * 1.01], colors=[_colour(i)],
                          alpha=alpha / 2)  # fmt: skip
        axis.contour(*centres, density.T, levels=levels, colors=[_colour(i)], linewidths=0.9)


def _colour(i: int) -> str:
    return style.STRATA[i % len(style.STRATA)]
