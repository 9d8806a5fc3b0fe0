"""Genetic maps: the usual formats in, one piecewise-linear map a chromosome out."""

import csv
import gzip
import io
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from pseudocohort.cohort.builds import plain_name
from pseudocohort.errors import InputError
from pseudocohort.files import atomic

# Largest part of the sites' span that a map may leave uncovered: 15 % is what the short arms of 21 and 22 need
# (GRCh38 has sites 5 Mb before the first point of the HapMap and deCODE maps); 100 kb serves short regions.
UNCOVERED_SHARE = 0.15
UNCOVERED_BP = 100_000

_ROLES = {
    "pos": ("pos", "position", "position(bp)", "bp", "base_pair", "physical_position"),
    "chrom": ("chr", "chrom", "chromosome"),
    "cm": ("cm", "map(cm)", "genetic_map(cm)"),
    "male": ("male_cm",),
    "female": ("female_cm",),
}
_PLINK = ["chrom", "id", "cm", "pos"]
_FORMATS = (
    "columns `pos chr cM`, `Chromosome Position(bp) Rate(cM/Mb) Map(cM)` (HapMap), `position "
    "COMBINED_rate(cM/Mb) Genetic_Map(cM)` (SHAPEIT), `chr pos male_cM female_cM` (ped-sim), or four columns "
    "without a header: chr id cM bp (PLINK)"
)


@dataclass(frozen=True, eq=False)
class GeneticMap:
    """Piecewise-linear genetic map of one chromosome.

    chrom: name without prefix.  pos: int64 (points,), strictly increasing, bp.  cm: float64 (points,), not
    decreasing, centimorgan; averaged over the sexes where the source tells them apart, on X the female map.
    male_cm, female_cm: float64 (points,) or None where the source does not tell (males on X: None).
    """

    chrom: str
    pos: np.ndarray
    cm: np.ndarray
    male_cm: np.ndarray | None = None
    female_cm: np.ndarray | None = None

    @property
    def length_cm(self) -> float:
        """Genetic length between the first and the last point, cM."""
        return float(self.cm[-1] - self.cm[0])

    @property
    def mean_rate(self) -> float:
        """Mean rate between the first and the last point, cM per bp."""
        return self.length_cm / float(self.pos[-1] - self.pos[0])

    def cm_at(self, bp: np.ndarray) -> np.ndarray:
        """Genetic position, float64 cM, of physical positions; at the mean rate outside the points."""
        bp = np.asarray(bp, dtype=np.float64)
        return _beyond(np.interp(bp, self.pos, self.cm), bp, self.pos, self.mean_rate)

    def bp_at(self, cm: np.ndarray) -> np.ndarray:
        """Physical position, float64 bp, of genetic positions: the inverse of `cm_at`.

        Where the map stands still, the last position with that cM; outside the points at the mean rate (a map
        without any recombination gives its end points there).
        """
        cm = np.asarray(cm, dtype=np.float64)
        inverse = 1 / self.mean_rate if self.mean_rate > 0 else 0.0
        return _beyond(np.interp(cm, self.cm, self.pos), cm, self.cm, inverse)


def _beyond(inside: np.ndarray, x: np.ndarray, points: np.ndarray, slope: float) -> np.ndarray:
    return inside + slope * (np.minimum(x - points[0], 0) + np.maximum(x - points[-1], 0))


def read_map(path: str | Path, chrom: str) -> GeneticMap:
    """Read the map of one chromosome; the format follows from the columns, plain or gzipped.

    The file may hold several chromosomes, named with or without chr; a file without a chromosome column is taken
    to be of `chrom`. Points that repeat the one before are left out.
    Raises InputError for: missing or empty file, unknown columns, a value that is no number, a map without the
    chromosome, fewer than two points, positions not increasing, cM decreasing (the last four with the line).
    """
    chrom = plain_name(chrom)
    table = _read_columns(Path(path))
    if "chrom" in table:
        names = {name: plain_name(name) for name in table["chrom"].unique()}
        if chrom not in names.values():
            raise InputError(
                f"the genetic map has no chromosome {chrom}",
                where=str(path),
                expected=f"one of those in the file: {', '.join(dict.fromkeys(names.values()))}",
                remedy="give the map of this chromosome in input.maps",
            )
        table = table[table["chrom"].isin([name for name, plain in names.items() if plain == chrom])]
    pos = _numbers(table, "pos", path)
    if not (pos == np.floor(pos)).all():
        row = int(np.flatnonzero(pos != np.floor(pos))[0])
        raise InputError(
            "a position is no whole number",
            where=f"{path}, line {table.index[row]}",
            expected="positions in bp",
            remedy=f"give a map with {_FORMATS}",
        )
    cm, male, female = _centimorgans(table, chrom, path)
    keep = _check_order(pos, cm, table.index.to_numpy(), path)
    if keep.sum() < 2:
        raise InputError(
            f"the genetic map has only {keep.sum()} point(s) of chromosome {chrom}",
            where=str(path),
            expected="two points or more",
            remedy="give the map of this chromosome",
        )
    return GeneticMap(
        chrom,
        pos[keep].astype(np.int64),
        cm[keep],
        None if male is None else male[keep],
        None if female is None else female[keep],
    )


def _read_columns(path: Path) -> pd.DataFrame:
    """Text columns by role (pos, chrom, cm, male, female); the index is the line number in the file."""
    text = _text(path)
    start, line = next(
        ((i, line) for i, line in enumerate(io.StringIO(text)) if line.strip() and not line.startswith("##")), (0, "")
    )
    if not line:
        raise InputError(
            "the genetic map is empty",
            where=str(path),
            expected=_FORMATS,
            remedy="give a map that is not empty; was the copy complete?",
        )
    names = [field.lower() for field in line.split()]
    if names[0] == "#" and len(names) > 1:
        names = names[1:]
    names[0] = names[0].lstrip("#")
    roles = {role: names.index(name) for role, known in _ROLES.items() for name in known if name in names}
    if "pos" in roles and ("cm" in roles or "female" in roles):
        first, width = start + 1, len(names)
    elif len(names) == 4 and _is_number(names[2]) and _is_number(names[3]):
        roles, first, width = {role: i for i, role in enumerate(_PLINK) if role != "id"}, start, 4
    else:
        raise InputError(
            "the columns are not those of a genetic map",
            where=f"{path}, line {start + 1}",
            expected=_FORMATS,
            remedy="convert the map to one of these forms",
        )
    try:
        table = pd.read_csv(
            io.StringIO(text),
            sep=r"\s+",
            header=None,
            names=range(width + 1),
            skiprows=first,
            dtype=str,
            keep_default_na=False,
            na_values=[""],
            skip_blank_lines=False,
            quoting=csv.QUOTE_NONE,
        )
    except pd.errors.EmptyDataError:
        table = pd.DataFrame(columns=range(width + 1), dtype=str)
    except pd.errors.ParserError as error:
        raise InputError(
            f"a line has more than {width} columns",
            where=str(path),
            expected=f"{width} columns on every line",
            remedy="correct the line, or the separator of the columns",
        ) from error
    table.index += first + 1
    table = table[table.notna().any(axis=1)]
    wrong = table[width - 1].isna() | table[width].notna()
    if wrong.any():
        number = table.index[wrong][0]
        raise InputError(
            f"{table.loc[number].notna().sum()} columns instead of {width}",
            where=f"{path}, line {number}",
            expected=f"{width} columns on every line",
            remedy="correct the line; was the copy complete?",
        )
    return table[list(roles.values())].set_axis(list(roles), axis=1)


def _text(path: Path) -> str:
    if not path.is_file():
        raise InputError("the genetic map does not exist", where=str(path), remedy="correct input.maps")
    raw = path.read_bytes()
    try:
        return (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(
            "the genetic map cannot be read: truncated or no text",
            where=str(path),
            remedy="copy or download the file again",
        ) from error


def _is_number(text: str) -> bool:
    try:
        return np.isfinite(float(text))
    except ValueError:
        return False


def _numbers(table: pd.DataFrame, column: str, path: str | Path) -> np.ndarray:
    values = pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=np.float64)
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise InputError(
            f"`{table[column].iloc[row]}` is no number",
            where=f"{path}, line {table.index[row]}, {column}",
            expected="a number",
            remedy="correct the line",
        )
    return values


def _centimorgans(
    table: pd.DataFrame, chrom: str, path: str | Path
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Map used, male map and female map; a male column of NA (ped-sim's X) is no map."""
    if "female" not in table:
        return _numbers(table, "cm", path), None, None
    female = _numbers(table, "female", path)
    if "male" not in table or chrom == "X" or table["male"].isin(["NA", "na", "."]).all():
        return female, None, female
    male = _numbers(table, "male", path)
    return (male + female) / 2, male, female


def _check_order(pos: np.ndarray, cm: np.ndarray, line: np.ndarray, path: str | Path) -> np.ndarray:
    """Mask of the points to keep: all but exact repetitions. Raises where the map goes back."""
    step, rise = np.diff(pos), np.diff(cm)
    bad = np.flatnonzero((step < 0) | ((step == 0) & (rise != 0)))
    if bad.size:
        i = int(bad[0])
        what = (
            "the positions of the genetic map are not sorted"
            if step[i] < 0
            else f"position {int(pos[i])} stands twice in the genetic map with different cM"
        )
        raise InputError(
            what,
            where=f"{path}, line {line[i + 1]}",
            expected="positions that increase",
            remedy="sort the map by position and remove what is doubled",
        )
    if (rise < 0).any():
        i = int(np.flatnonzero(rise < 0)[0])
        raise InputError(
            f"the genetic map decreases from {cm[i]:g} to {cm[i + 1]:g} cM",
            where=f"{path}, line {line[i + 1]}",
            expected="cM that never decrease",
            remedy="give a map whose cM column is cumulative (Map(cM), not Rate)",
        )
    return np.concatenate([[True], step > 0])[: len(pos)]


def write_map(path: str | Path, genetic_map: GeneticMap) -> None:
    """Write columns pos and cM, with all digits; `read_map` reads them back exactly."""
    with atomic(path) as part, open(part, "w", encoding="utf-8") as file:
        file.write("pos\tcM\n")
        file.writelines(
            f"{pos}\t{cm!r}\n" for pos, cm in zip(genetic_map.pos.tolist(), genetic_map.cm.tolist(), strict=True)
        )


def cover(genetic_map: GeneticMap, first_site: int, last_site: int, chrom_length: int) -> tuple[GeneticMap, dict]:
    """Cut or extend a map so that it runs from the first to the last site, starting at 0 cM.

    Parts of the sites' span that the map leaves uncovered are given its mean rate, if together they are at most
    15 % of the span or 100 kb; the report says how much that was. A single site gets a span of 1 bp.
    Returns the map and its report: points, length_cm, extrapolated_bp, extrapolated_cm.
    Raises InputError for a map without recombination, one that does not cover the sites, or one that runs beyond
    the chromosome (`chrom_length`, bp).
    """
    where = f"genetic map of chromosome {genetic_map.chrom}"
    if genetic_map.pos[-1] > chrom_length or genetic_map.pos[0] < 0:
        raise InputError(
            f"the map ends at {genetic_map.pos[-1]}, beyond the end of the chromosome: do the builds disagree?",
            where=where,
            expected=f"positions up to {chrom_length}",
            remedy="give the map of the build named in `build`",
        )
    if genetic_map.length_cm == 0:
        raise InputError(
            "the genetic map has no recombination: all its cM are equal",
            where=where,
            expected="genetic positions in cM",
            remedy="give a map with its cM filled in",
        )
    if first_site == last_site:
        first_site, last_site = (first_site, last_site + 1) if last_site < chrom_length else (first_site - 1, last_site)
    low, high = int(genetic_map.pos[0]), int(genetic_map.pos[-1])
    uncovered = _uncovered(first_site, last_site, low, high)
    span = last_site - first_site
    if uncovered > max(UNCOVERED_SHARE * span, UNCOVERED_BP) or uncovered >= span > 1:
        raise InputError(
            f"the map does not cover the sites: it runs from {low} to {high}, the sites from {first_site} to "
            f"{last_site}",
            where=where,
            expected=f"at most {UNCOVERED_SHARE:.0%} of the sites' span or {UNCOVERED_BP // 1000} kb outside the map, "
            "which get its mean rate",
            remedy="give a map of the whole chromosome, of the same build",
        )
    inside = (genetic_map.pos > first_site) & (genetic_map.pos < last_site)
    pos = np.concatenate([[first_site], genetic_map.pos[inside], [last_site]]).astype(np.int64)
    cm = genetic_map.cm_at(pos)
    sexes = {
        name: None if getattr(genetic_map, name) is None else _rebased(genetic_map, name, pos)
        for name in ("male_cm", "female_cm")
    }
    covered = GeneticMap(genetic_map.chrom, pos, cm - cm[0], **sexes)
    report = {
        "points": len(pos),
        "length_cm": covered.length_cm,
        "extrapolated_bp": uncovered,
        "extrapolated_cm": uncovered * genetic_map.mean_rate,
    }
    return covered, report


def _uncovered(first: int, last: int, low: int, high: int) -> int:
    """bp of [first, last] outside [low, high]."""
    return (last - first) - max(0, min(last, high) - max(first, low))


def _rebased(genetic_map: GeneticMap, name: str, pos: np.ndarray) -> np.ndarray:
    cm = replace(genetic_map, cm=getattr(genetic_map, name)).cm_at(pos)
    return cm - cm[0]
