"""Principal components of genomes: the axes of structure, as covariates of association and effect weights.

X (n, m) holds the dosages of n unrelated people at m common autosomal sites in low linkage disequilibrium, centred
and divided by sqrt(2p(1-p)) (Patterson, Price and Reich 2006). Components are U sqrt(L) of XX'/m = U L U'. Up to
DENSE people XX' is made and decomposed. For more, block Krylov iteration with Rayleigh-Ritz (Musco and Musco 2015;
the start is that of Halko, Martinsson and Tropp 2011) reads the sites once a pass and keeps a few vectors a person.

No two relatives make the axes; the others are projected (projection.py). Long stretches of linkage disequilibrium, as
of inversions, gather loadings; they are found by that, left out, and the axes made again (after Prive et al. 2020),
which needs no list of regions of one build.
"""

import logging
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.linalg import eigh

from pseudocohort import counter
from pseudocohort.cohort.kinship import unrelated as without_kin
from pseudocohort.genetics.cohorts import rows_of
from pseudocohort.genetics.ld import prune
from pseudocohort.genetics.projection import Axes, blocks_of, place, project
from pseudocohort.genotypes import Genotypes, read_psam

log = logging.getLogger("pseudocohort")

COMMON = 0.05  # minor alleles at least this frequent, as is usual for axes of structure
R2, WINDOW = 0.2, 1_000_000  # pairs of sites within so many base pairs have at most this r^2
MOST_SITES = 100_000  # more add nothing to the leading axes
LD_PEOPLE = 1_000  # pairs of sites are compared in so many people at most
FEWEST_SITES = 100  # with fewer, axes would be single loci
PEOPLE_PER_COMPONENT = 10
DENSE = 2_000  # people up to whom the whole matrix is decomposed
BLOCK = 25_000_000  # dosages in memory at once
EXTRA = 10  # vectors beside the wanted ones
PASSES = 3, 8  # at least, at most
TOLERANCE = 1e-3  # residual of an eigenvector over its eigenvalue
STRETCH = 50  # neighbouring sites whose mean squared loading ...
GATHERED = 5.0  # ... over so many times the average tells of linkage disequilibrium
ROUNDS = 3


class Components(NamedTuple):
    """scores: (n, k) float64, of variance eigenvalue/people among those who made the axes.  eigenvalues: (k,) of XX'/m.
    edge: the largest eigenvalue expected without structure (Marchenko and Pastur 1967, with the number of
    independent sites taken from the other eigenvalues).  sites: number used.  people: number who made the axes."""

    scores: np.ndarray
    eigenvalues: np.ndarray
    edge: float = float("nan")
    sites: int = 0
    people: int = 0


def principal_components(
    prefixes: list,
    people_rows: np.ndarray | None,
    number: int,
    seed: int,
    unrelated: np.ndarray | None = None,
    family: np.ndarray | None = None,
    block_sites: int | None = None,
    dense_up_to: int = DENSE,
) -> Components:
    """The leading components of the people `people_rows`, in their order.

    prefixes: .pgen triples, one a chromosome, the same people in each; X, Y and MT are passed over.
    people_rows: increasing rows of the .psam, or None for all.  number: components wanted, k.
    unrelated: bool (n,), who makes the axes; None for everybody.  family: labels (n,), within which the kin of the
    others are sought among those; None where they are strangers.  seed: of the start of the iteration.
    There are fewer components, down to none, with a line in the log, where there are fewer than 10 unrelated people
    a component or fewer than 100 sites. The sign of each is such that the score farthest from 0 among those who
    made it is positive. Memory, whatever the number of sites: a block of them (block_sites; None for 100 MB of
    float32), and 20 (number + 10) float64 a person or, up to dense_up_to people, their square.
    """
    rows = np.arange(len(read_psam(f"{prefixes[0]}.psam"))) if people_rows is None else np.asarray(people_rows)
    made = np.ones(len(rows), dtype=bool) if unrelated is None else np.asarray(unrelated, dtype=bool)
    k = min(number, int(made.sum()) // PEOPLE_PER_COMPONENT)
    if k < number:
        log.warning("components: %d instead of %d, as %d people are unrelated", k, number, made.sum())
    block_sites = block_sites or min(max(BLOCK // max(len(rows), 1), 16), 1024)
    sites = _choose_sites(prefixes, rows[made], seed) if k else {}
    if k and _size(sites) < FEWEST_SITES:
        log.warning("components: none, as %d common sites in low LD are too few", _size(sites))
        k = 0
    if k == 0:
        return Components(np.empty((len(rows), 0)), np.empty(0), people=int(made.sum()))
    for turn in range(ROUNDS + 1):
        axes = _axes(sites, rows[made], k, seed, block_sites, dense_up_to)
        loadings, others = project(sites, rows, made, family, axes, block_sites)
        gathered = _gathered(sites, loadings)
        if turn == ROUNDS or not gathered.any() or (~gathered).sum() < FEWEST_SITES:
            break
        log.info("components: %d sites left out where loadings gather", gathered.sum())
        sites = _without(sites, gathered)
    scores = np.empty((len(rows), k))
    scores[made] = axes.vectors * np.sqrt(axes.values)
    scores[~made] = place(others, axes)
    log.info(
        "components: %d of %d people, %d sites, eigenvalues %s, edge of noise %.2f",
        made.sum(),
        len(rows),
        _size(sites),
        " ".join(f"{v:.2f}" for v in axes.values),
        axes.edge,
    )
    return Components(scores, axes.values, axes.edge, _size(sites), int(made.sum()))


def components_table(
    cohort: str, people: pd.DataFrame, prefixes: list, number: int, seed: int
) -> tuple[pd.DataFrame, dict]:
    """Components of all people of the genotype files: person, PC1..PCk, and counts and eigenvalues of each part.

    cohort: `real`, whose founders and holdout are two cohorts, each with axes of its own, or `synthetic`.
    people: the people table, whose rows are those of the .psam of the real cohort. Where a part has fewer components
    than another, the rest are missing. With number 0 there is only the column person.
    """
    person = read_psam(f"{prefixes[0]}.psam")["person"]
    scores, report = np.full((len(person), number), np.nan), {}
    for part in ("real", "holdout") if cohort == "real" else ("synthetic",):
        rows, kinless = rows_of(part, people), None
        if part == "real":
            kinless = people["unrelated"].to_numpy()[rows]
        elif part == "holdout":
            kinless = without_kin(people.iloc[rows], people["person"].iloc[rows])
        if not number or (rows is not None and not len(rows)):
            continue
        family = None if rows is None else people["family"].to_numpy()[rows]
        log.info("components: %s", part)
        found = principal_components(prefixes, rows, number, seed, kinless, family)
        scores[slice(None) if rows is None else rows, : found.scores.shape[1]] = found.scores
        report[part] = {
            "people": len(found.scores),
            "unrelated": found.people,
            "sites": found.sites,
            "eigenvalues": [round(float(v), 4) for v in found.eigenvalues],
            "edge": round(found.edge, 4) if len(found.eigenvalues) else None,
        }
    table = pd.DataFrame(scores, columns=[f"PC{j + 1}" for j in range(number)])
    table = table.loc[:, table.notna().any()]
    table.insert(0, "person", person.to_numpy())
    return table, report


def _choose_sites(prefixes: list, people: np.ndarray, seed: int) -> dict:
    """Rows of the .pvar to use, by prefix: autosomal, common, pruned, thinned evenly to MOST_SITES."""
    some = np.sort(people[counter.order(counter.key(seed, "people for LD"), len(people))[:LD_PEOPLE]])
    chosen = {}
    for prefix in prefixes:
        with Genotypes(prefix) as genotypes:
            autosomal = genotypes.n_sites and genotypes.sites["chrom"].iloc[0] not in ("X", "Y", "MT")
        if autosomal:
            chosen[prefix] = np.asarray(prune(prefix, some, COMMON, R2, WINDOW))
    kept = np.zeros(_size(chosen), dtype=bool)
    kept[np.linspace(0, len(kept) - 1, min(len(kept), MOST_SITES)).astype(int)] = True
    return _without(chosen, ~kept)


def _size(sites: dict) -> int:
    return sum(map(len, sites.values()))


def _without(sites: dict, dropped: np.ndarray) -> dict:
    """The sites without those that `dropped` (m,) bool tells."""
    bounds = np.cumsum([0, *map(len, sites.values())])
    return {p: rows[~dropped[a:b]] for (p, rows), a, b in zip(sites.items(), bounds[:-1], bounds[1:], strict=True)}


def _axes(sites: dict, people: np.ndarray, k: int, seed: int, size: int, dense_up_to: int) -> Axes:
    n, m = len(people), _size(sites)
    if n <= dense_up_to:
        kernel = np.zeros((n, n))
        for _, g in blocks_of(sites, people, size):
            mean = g.mean(axis=1, dtype=float)[:, None]
            x = ((g - mean) / np.sqrt(mean * (1 - mean / 2))).astype(np.float32)
            kernel += x.T @ x
        return _dense(kernel / m, k)
    return _krylov(lambda b: _multiply(sites, people, b, size) / m, n, k, seed)


def _multiply(sites: dict, people: np.ndarray, b: np.ndarray, size: int) -> np.ndarray:
    """XX'b (n, c) for b (n, c) in one pass, from dosages that are neither centred nor scaled in memory."""
    total, shift = np.zeros(b.shape), np.zeros(b.shape[1])
    columns = np.column_stack([np.ones(len(b)), b]).astype(np.float32)
    sums = columns[:, 1:].sum(axis=0, dtype=float)
    for _, g in blocks_of(sites, people, size):
        product = (g @ columns).astype(float)
        mean = product[:, :1] / len(b)
        across = (product[:, 1:] - mean * sums) / (mean * (1 - mean / 2))
        total += g.T @ across.astype(np.float32)
        shift += (mean * across).sum(axis=0)
    total -= shift
    return total - total.mean(axis=0)


def _dense(kernel: np.ndarray, k: int) -> Axes:
    n = len(kernel)
    values, vectors = eigh(kernel, subset_by_index=[n - k, n - 1], check_finite=False)
    edge = _edge(n - 1 - k, np.trace(kernel) - values.sum(), (kernel**2).sum() - (values**2).sum())
    return Axes(_signed(vectors[:, ::-1]), values[::-1], edge)


def _krylov(multiply: Callable, n: int, k: int, seed: int) -> Axes:
    """Leading eigenvectors of `multiply`, v (n, c) -> K v, for K symmetric with K1 = 0.

    Stops where those above the edge of noise have converged; those below have no direction to converge to.
    """
    start = _normals(seed, n, k + EXTRA)
    start -= start.mean(axis=0)
    image = multiply(start)
    block, triangle = np.linalg.qr(start)
    basis, images = block, np.linalg.solve(triangle.T, image.T).T
    for passes in range(2, PASSES[1] + 2):
        h = basis.T @ images
        values, turn = np.linalg.eigh((h + h.T) / 2)
        values, turn = values[: -k - 1 : -1], turn[:, : -k - 1 : -1]
        vectors, residual = basis @ turn, images @ turn
        residual = np.linalg.norm(residual - vectors * values, axis=0) / values
        rest = image - vectors @ (values[:, None] * (vectors.T @ start))  # K, less these, on the random start
        edge = _edge(n - 1 - k, (start * rest).sum() / start.shape[1], (rest**2).sum() / start.shape[1])
        converged = not (residual[values > edge] > TOLERANCE).any()
        if (converged and passes > PASSES[0]) or passes > PASSES[1] or basis.shape[1] + len(block.T) > n - 1:
            break
        block = images[:, -start.shape[1] :]
        for _ in range(2):  # twice is enough for orthogonality (Kahan)
            block = np.linalg.qr(block - basis @ (basis.T @ block))[0]
        basis, images = np.hstack([basis, block]), np.hstack([images, multiply(block)])
    log.info("components: %d passes, residuals %s", passes - 1, " ".join(f"{r:.0e}" for r in residual))
    return Axes(_signed(vectors), values, edge)


def _edge(n: int, trace: float, squares: float) -> float:
    """Largest eigenvalue of noise: mean (1 + sqrt(y))^2, where y = mean of squares / squared mean - 1 is their number
    n over that of independent sites.  trace, squares: sum and sum of squares of the n eigenvalues."""
    mean = trace / n
    return float(mean * (1 + np.sqrt(max(squares / n / mean**2 - 1, 0))) ** 2)


def _normals(seed: int, n: int, c: int) -> np.ndarray:
    """Standard normals (n, c) numbered by row and column."""
    return counter.normals(counter.key(seed, "components"), np.arange(n)[:, None], np.arange(c))


def _signed(vectors: np.ndarray) -> np.ndarray:
    farthest = np.abs(vectors).argmax(axis=0)
    return vectors * np.where(vectors[farthest, np.arange(vectors.shape[1])] < 0, -1.0, 1.0)


def _gathered(sites: dict, loadings: np.ndarray) -> np.ndarray:
    """Sites (m,) bool of stretches within a chromosome that hold far more than their share of a component."""
    out, done = np.zeros(len(loadings), dtype=bool), 0
    share = loadings**2 / (loadings**2).mean(axis=0)
    for rows in sites.values():
        mine = share[done : done + len(rows)]
        if len(mine) >= STRETCH:
            total = np.cumsum(np.vstack([np.zeros(mine.shape[1]), mine]), axis=0)
            begins = np.flatnonzero(((total[STRETCH:] - total[:-STRETCH]) / STRETCH > GATHERED).any(axis=1))
            for begin in begins:
                out[done + begin : done + begin + STRETCH] = True
        done += len(rows)
    return out
