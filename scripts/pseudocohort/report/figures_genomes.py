"""Figures of the genomes, from the aggregates of evaluation.genomes."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pseudocohort.report import style
from pseudocohort.report.words import t

GROUPS = (("train", "real (founders)", style.REAL), ("holdout", "real holdout (noise floor)", style.HOLDOUT),
          ("pseudo", "pseudo", style.PSEUDO))  # fmt: skip


def draw_genomes(arrays: dict[str, np.ndarray], folder: str | Path) -> list[str]:
    """Write every figure of FIGURES as SVG into `folder`; returns the names."""
    for name, draw in FIGURES.items():
        style.drawn(draw, arrays, Path(folder) / f"{name}.svg")
    return list(FIGURES)


def frequencies(arrays: dict) -> Figure | None:
    """Allele frequencies, pseudo and holdout against founders, as numbers of sites on a grid."""
    if "frequency/pseudo" not in arrays or not arrays["frequency/pseudo"].sum():
        return None
    grids = [arrays["frequency/pseudo"], arrays["frequency/holdout"]]
    fig, axes = plt.subplots(1, 2, figsize=(8.6, 4.1), sharex=True, sharey=True)
    top = max(g.max() for g in grids)
    cells = np.linspace(0, 1, len(grids[0]) + 1)
    groups = (
        (t("Allele frequency: pseudo people"), style.PSEUDO),
        (t("Allele frequency: real holdout"), style.HOLDOUT),
    )
    for axis, counts, (name, colour) in zip(axes, grids, groups, strict=True):
        mesh = axis.pcolormesh(cells, cells, np.ma.masked_less(counts.T, 1), norm=LogNorm(1, max(top, 2)),
                               cmap=style.shades(colour), rasterized=True)  # fmt: skip
        style.identity(axis, 0, 1)
        axis.set(title=name, xlabel=t("ALT allele frequency, founders"), aspect="equal",
                 xlim=(0, 1), ylim=(0, 1))  # fmt: skip
        bar = fig.colorbar(mesh, ax=axis, label=t("sites"), fraction=0.05, format=lambda value, _: f"{value:,.0f}")
        bar.ax.minorticks_off()
    axes[0].set_ylabel(t("ALT allele frequency"))
    return fig


def spectrum(arrays: dict) -> Figure | None:
    """Folded site frequency spectrum in classes of doubling width, and theory; founders' rare alleles kept."""
    if "spectrum/train" not in arrays or not arrays["spectrum/train"].sum():
        return None
    low, high = arrays["spectrum/edges"][:-1].astype(int), arrays["spectrum/edges"][1:].astype(int) - 1
    fig, (axis, kept) = plt.subplots(1, 2, figsize=(9.6, 3.8), width_ratios=(2.2, 1))
    for k, (name, label, colour) in enumerate(GROUPS):
        axis.bar(np.arange(len(low)) + 0.27 * (k - 1), arrays[f"spectrum/{name}"], 0.26, color=colour, label=t(label))
    axis.plot(np.arange(len(low)) + 0.27, arrays["spectrum/theory"], ls="", marker="D", ms=5, mfc="white", mec="black",
              label=t("theory for pseudo people (this pedigree)"))  # fmt: skip
    axis.set_xticks(np.arange(len(low)), _classes(low, high), rotation=30 if len(low) > 7 else 0)
    copies = t("copies of the rarer allele among {n} haplotypes").format(n=int(arrays["spectrum/haplotypes"]))
    axis.set(title=t("Site frequency spectrum"), ylabel=t("sites"), xlabel=copies)
    axis.grid(axis="x", visible=False)
    axis.legend()
    _kept(kept, arrays)
    return fig


def _kept(axis, arrays: dict) -> None:
    """Shares of the founders' rare alleles that pseudo people still carry, by class, beside theory."""
    if "kept/classes" not in arrays:
        axis.axis("off")
        return
    places = np.arange(len(arrays["kept/classes"]))
    axis.bar(places, 100 * arrays["kept/value"], 0.6, color=style.PSEUDO, label=t("pseudo"))
    axis.plot(places, 100 * arrays["kept/theory"], ls="", marker="D", ms=6, mfc="white", mec="black",
              label=t("theory (this pedigree)"))  # fmt: skip
    axis.set_xticks(places, _classes(*arrays["kept/classes"].T))
    axis.set(title=t("Founders' rare alleles kept"), ylabel=t("sites kept (%)"), xlabel=t("copies among all founders"))
    axis.set_ylim(0, 135)
    axis.set_yticks(range(0, 101, 25))
    axis.grid(axis="x", visible=False)
    axis.legend(loc="upper left")


def _classes(low: np.ndarray, high: np.ndarray) -> list[str]:
    return [str(a) if a == b else f"{a}–{b}" for a, b in zip(low, high, strict=True)]


def linkage(arrays: dict) -> Figure | None:
    """Mean r^2 by genetic distance, with 95 % bands, beside theory and unlinked genomes."""
    if "linkage/r2" not in arrays or not np.isfinite(arrays["linkage/r2"]).any():
        return None
    edges = arrays["linkage/edges"]
    middle = np.sqrt(np.maximum(edges[:-1], edges[1] / 3) * edges[1:])
    fig, axes = plt.subplots(1, 2, figsize=(9.0, 4.1), sharex=True)
    groups = [*GROUPS, ("unlinked", "baseline (unlinked genomes)", style.BASELINE)]
    for axis in axes:
        for mean, band, (_, label, colour) in zip(
            arrays["linkage/r2"], arrays["linkage/intervals"], groups, strict=True
        ):
            axis.fill_between(middle, band[:, 0], band[:, 1], color=colour, alpha=0.15, lw=0)
            axis.plot(middle, mean, "o-", color=colour, ms=4, lw=1.6, label=t(label))
        axis.plot(middle, arrays["linkage/theory"], color="black", lw=1.1, ls="--",
                  label=t("theory (recombination and drift)"))  # fmt: skip
        axis.axhline(float(arrays["linkage/chance"]), color="#5b616b", lw=0.8, ls=":",
                     label=t("unlinked sites (1 / haplotypes)"))  # fmt: skip
        axis.set_xscale("log")
        axis.set_xlabel(t("distance of two sites (cM)"))
    axes[1].set_yscale("log")
    axes[1].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ticks = [x for x in (0.01, 0.1, 1, 10) if middle[0] / 2 < x < middle[-1] * 2]
    axes[0].set_xticks(ticks, [f"{x:g}" for x in ticks])
    for axis in axes:
        axis.minorticks_off()
    axes[0].set(title=t("Decay of linkage disequilibrium"), ylabel=t("mean r²"))
    axes[0].set_ylim(bottom=0)
    axes[1].set(title=t("The same on a logarithmic scale"))
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


def region(arrays: dict) -> Figure | None:
    """r^2 of every pair of a region's common sites: founders, pseudo people, and what the two differ by."""
    if "region/train" not in arrays:
        return None
    real, made = (arrays[f"region/{k}"].astype(float) for k in ("train", "pseudo"))
    cm, n = arrays["region/cm"], len(arrays["region/cm"])
    fig, axes = plt.subplots(1, 3, figsize=(10.6, 3.4), sharex=True, sharey=True)
    titles = (t("real (founders)"), t("pseudo"), t("pseudo less real"))
    ticks = np.unique(np.linspace(0, n - 1, 4).round().astype(int))
    for axis, matrix, title in zip(axes, (real, made, made - real), titles, strict=True):
        signed = matrix is not real and matrix is not made
        colours = "PuOr_r" if signed else style.shades(style.REAL)
        image = axis.imshow(matrix, vmin=-0.5 if signed else 0, vmax=0.5 if signed else 1, origin="lower",
                            cmap=colours, interpolation="nearest", rasterized=True)  # fmt: skip
        axis.set_title(title)
        axis.set_xticks(ticks, [f"{cm[i]:.2f}" for i in ticks])
        axis.set_yticks(ticks, [f"{cm[i]:.2f}" for i in ticks])
        axis.grid(visible=False)
        fig.colorbar(image, ax=axis, shrink=0.75, label=t("difference of r²") if signed else "r²")
    place = t("position of {n} common sites, chromosome {chromosome} (cM)")
    fig.supxlabel(place.format(n=n, chromosome=str(arrays["region/chrom"])), fontsize=9)
    axes[0].set_ylabel(t("position (cM)"))
    return fig


def haplotypes(arrays: dict) -> Figure | None:
    """Haplotype heterozygosity of every window: founders against holdout, pseudo people and unlinked genomes."""
    if "haplotypes/diversity" not in arrays:
        return None
    train, *others = arrays["haplotypes/diversity"].astype(float).T
    fig, axes = plt.subplots(1, 3, figsize=(9.6, 3.6), sharex=True, sharey=True)
    names = (("real holdout", style.HOLDOUT), ("pseudo", style.PSEUDO), ("unlinked genomes", style.BASELINE))
    low = min(train.min(), *(o.min() for o in others)) - 0.02
    for axis, values, (name, colour) in zip(axes, others, names, strict=True):
        axis.scatter(train, values, s=7, color=colour, alpha=0.4, lw=0, rasterized=True)
        style.identity(axis, low, 1)
        axis.set(title=t(name), xlim=(low, 1.01), ylim=(low, 1.01), aspect="equal")
    axes[0].set_ylabel(t("haplotype heterozygosity"))
    axes[1].set_xlabel(t("haplotype heterozygosity of the founders, windows of 8 common sites"))
    return fig


def confusion(arrays: dict) -> Figure | None:
    """Of every stratum's people, the shares that are nearest to the centre of each stratum."""
    if "confusion/holdout" not in arrays:
        return None
    names = [style.shortened(n, 14) for n in style.texts(arrays, "confusion/strata")]
    side = 2.2 + 0.45 * len(names)
    fig, axes = plt.subplots(1, 2, figsize=(2 * side + 0.8, side), sharey=True)
    groups = (("holdout", t("real holdout"), style.HOLDOUT), ("pseudo", t("pseudo"), style.PSEUDO))
    for axis, (key, title, colour) in zip(axes, groups, strict=True):
        shares = arrays[f"confusion/{key}"]
        image = axis.imshow(shares, vmin=0, vmax=1, cmap=style.shades(colour))
        dark = image.to_rgba(np.nan_to_num(shares))[..., :3] ** 2.2 @ (0.2126, 0.7152, 0.0722) < 0.18  # luminance
        for i, j in np.ndindex(shares.shape if len(names) <= 12 else (0, 0)):
            text = "–" if np.isnan(shares[i, j]) else f"{100 * shares[i, j]:.0f} %"
            axis.text(j, i, text, ha="center", va="center", color="white" if dark[i, j] else "black")
        axis.set_xticks(range(len(names)), names, rotation=30 if len(names) > 3 else 0)
        axis.set_yticks(range(len(names)), names)
        axis.set(title=title, xlabel=t("nearest stratum"))
        axis.grid(visible=False)
    axes[0].set_ylabel(t("own stratum"))
    return fig


def structure(arrays: dict) -> Figure | None:
    """Principal components: real people as density by stratum, pseudo people as points; on common axes, and each on
    axes of their own."""
    if "structure/pseudo" not in arrays:
        return None
    rows = [kind for kind in ("structure", "own") if f"{kind}/pseudo" in arrays]
    fig, axes = plt.subplots(len(rows), 2, figsize=(9.0, 4.1 * len(rows) + 0.3), squeeze=False)
    drawn = style.texts(arrays, "structure/strata")
    names = drawn + sorted(set(style.texts(arrays, "structure/pseudo_strata")) - set(drawn))
    for pair, kind in zip(axes, rows, strict=True):
        _places(pair, {k.partition("/")[2]: v for k, v in arrays.items() if k.startswith(f"{kind}/")}, names)
    axes[0, 0].set_title(t("Real people (density)"))
    axes[0, 1].set_title(t("Pseudo people (points) on real density"))
    if len(rows) > 1:
        axes[1, 0].set_title(t("Real people, axes of their own"))
        axes[1, 1].set_title(t("Pseudo people, axes of their own"))
    if len(names) <= 12:
        handles = [Line2D([], [], ls="", marker=style.MARKERS[i % 8], color=_colour(i)) for i in range(len(names))]
        style.legend_below(fig, handles, [style.shortened(n) for n in names])
    return fig


def _places(axes, arrays: dict, names: list[str]) -> None:
    """Two panels: density of the real people, points of the pseudo people, on it where the axes are the same."""
    points, of = arrays["pseudo"], np.array(style.texts(arrays, "pseudo_strata"))
    bounds, share = arrays["bounds"], np.atleast_2d(arrays["share"])
    _contours(axes[0], arrays, names, bounds, 0.35)
    if len(share) == 1:
        _contours(axes[1], arrays, names, bounds, 0.0)
    for i, name in enumerate(names):
        axes[1].scatter(*points[of == name].T, s=7, color=_colour(i), marker=style.MARKERS[i % 8], alpha=0.6, lw=0,
                        rasterized=True)  # fmt: skip
    for axis, variance in zip(axes, (share[0], share[-1]), strict=True):
        labels = [t("PC{k} ({share:.1f} % of variance)").format(k=k + 1, share=100 * variance[k]) for k in range(2)]
        axis.set(xlabel=labels[0], ylabel=labels[1], xlim=bounds[0], ylim=bounds[1])


def _contours(axis, arrays: dict, names: list[str], bounds: np.ndarray, alpha: float) -> None:
    """Contours of the smoothed density of each stratum's real people, and their filling on the first panel."""
    for place, name in enumerate(style.texts(arrays, "strata")):
        density = arrays.get(f"density/{place}", np.zeros(1))
        if not density.any():
            continue
        i = names.index(name)
        centres = [np.linspace(*b, len(density) + 1)[:-1] + np.ptp(b) / len(density) / 2 for b in bounds]
        levels = density.max() * np.array([0.02, 0.2, 0.4, 0.7])
        if alpha:
            axis.contourf(*centres, density.T, levels=[*levels, density.max() * 1.01], colors=[_colour(i)],
                          alpha=alpha / 2)  # fmt: skip
        axis.contour(*centres, density.T, levels=levels, colors=[_colour(i)], linewidths=0.9)


def _colour(i: int) -> str:
    return style.STRATA[i % len(style.STRATA)]


FIGURES = {
    "af_scatter": frequencies,
    "sfs": spectrum,
    "ld_decay": linkage,
    "ld_matrix": region,
    "haplotype_diversity": haplotypes,
    "pca": structure,
    "strata": confusion,
}
