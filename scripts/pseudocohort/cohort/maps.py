"""Genetic maps of chromosomes: the usual formats in, one piecewise-linear map out."""

import csv
import gzip
import io
import itertools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pseudocohort.cohort.builds import plain_name
from pseudocohort.errors import InputError
from pseudocohort.files import atomic

_ROLES = {
    "pos": ("pos", "position", "position(bp)", "bp", "base_pair", "physical_position"),
    "chrom": ("chr", "chrom", "chromosome"),
    "cm": ("cm", "map(cm)", "genetic_map(cm)"),
    "male": ("male_cm",),
    "female": ("female_cm",),
}
_PLINK = ["chrom", "id", "cm", "pos"]
_FITTED = "## fitted to the sites of the cohort\n"  # first line of our own maps, which may be of a cold region alone
_RATES = (0.05, 50.0)  # mean cM/Mb of a map: 1 to 2.1 in people, see resources/README.md
_RATED_BP = 1_000_000  # shorter maps may be of a hotspot or of a cold region
_LONGEST = 5000.0  # cM; in people 340 at most
_FORMATS = (
    "columns `pos chr cM`, `Chromosome Position(bp) Rate(cM/Mb) Map(cM)` (HapMap), `position "
    "COMBINED_rate(cM/Mb) Genetic_Map(cM)` (SHAPEIT), `chr pos male_cM female_cM` (ped-sim), or four columns "
    "without a header: chr id cM bp (PLINK)"
)


@dataclass(frozen=True, eq=False)
class GeneticMap:
    """Piecewise-linear genetic map of one chromosome.

    chrom: name without prefix.  pos: int64 (points,), strictly increasing, bp.  cm: float64 (points,), not
    decreasing, centimorgan; averaged over the sexes where the source tells them apart, on X the female map, which
    is averaged with the male one in the pseudo-autosomal regions (once `cover` knows these).
    male_cm, female_cm: float64 (points,) or None where the source does not tell.
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


def read_map(paths: str | Path | Sequence[str | Path], chrom: str) -> GeneticMap:
    """Read the map of one chromosome; the format follows from the columns, plain or gzipped.

    paths: a file, or several that each hold a part of X.
    A file may hold several chromosomes, named with or without chr; a file without a chromosome column is taken to be
    of `chrom`. X may come in parts (X_par1, X, X_par2 as files or as names in a file), each with cM of its own: they
    follow each other, without recombination in between (but for what `coverage.both_sexes` puts there). Points that
    repeat the one before are left out.
    Raises InputError for: missing or empty file, unknown columns, a value that is no number, a map without the
    chromosome, fewer than two points, positions not increasing, cM decreasing (the last four with the line), parts
    that overlap or of which only some tell the sexes apart, and what is not in cM (`check_units`; maps that
    `write_map` wrote were looked at before they were cut).
    """
    chrom = plain_name(chrom)
    parts, paths = [], [paths] if isinstance(paths, (str, Path)) else paths
    for path in paths:
        table = _read_columns(Path(path))
        parts += [_read_part(rows, chrom, path) for rows in _parts(table, chrom, path)]
    where = ", ".join(map(str, paths))
    joined = _joined(sorted(parts, key=lambda part: part.pos[0]), where)
    if not _is_fitted(paths[0]):
        check_units(joined, where)
    return joined


def check_units(genetic_map: GeneticMap, where: str, rated: bool = True) -> None:
    """Raise InputError for a map that cannot be in cM: Morgans would leave the founders' haplotypes nearly whole.

    Of a map of 1 Mb or more that is the mean rate, below 0.05 or above 50 cM/Mb (if `rated`); of any map a length of
    5,000 cM or more in one of the sexes. Not of Y and MT, which have no map.
    """
    if genetic_map.chrom in ("Y", "MT"):
        return
    rate = 1e6 * genetic_map.mean_rate
    rated = rated and genetic_map.pos[-1] - genetic_map.pos[0] >= _RATED_BP
    maps = (genetic_map.cm, genetic_map.male_cm, genetic_map.female_cm)
    longest = max(float(cm[-1] - cm[0]) for cm in maps if cm is not None)
    if (rated and not _RATES[0] <= rate <= _RATES[1]) or longest >= _LONGEST:
        raise InputError(
            f"the genetic map of chromosome {genetic_map.chrom} has {rate:.3g} cM/Mb in the mean, {longest:.6g} cM in "
            "all: is it in cM?",
            where=where,
            expected=f"about 1 cM/Mb, as people have; {_RATES[0]:g} to {_RATES[1]:g}, and less than {_LONGEST:g} cM",
            remedy="give genetic positions in cM, not in Morgans (100 cM) or bp, with the columns named after what "
            "they hold: Map(cM) is not Rate(cM/Mb)",
        )


def _is_fitted(path: str | Path) -> bool:
    with open(path, "rb") as file:
        return file.read(len(_FITTED)) == _FITTED.encode()


def _parts(table: pd.DataFrame, chrom: str, path: str | Path) -> list[pd.DataFrame]:
    """The rows of the chromosome, apart by the name that they give it."""
    if "chrom" not in table:
        return [table]
    names = {name: plain_name(name) for name in table["chrom"].unique()}
    if chrom not in names.values():
        raise InputError(
            f"the genetic map has no chromosome {chrom}",
            where=str(path),
            expected=f"one of those in the file: {', '.join(dict.fromkeys(names.values()))}",
            remedy="give the map of this chromosome in input.maps",
        )
    return [table[table["chrom"] == name] for name, plain in names.items() if plain == chrom]


def _read_part(table: pd.DataFrame, chrom: str, path: str | Path) -> GeneticMap:
    """The map in the rows of one file that give the chromosome one name."""
    pos = _numbers(table, "pos", path)
    if not (pos == np.floor(pos)).all():
        row = int(np.flatnonzero(pos != np.floor(pos))[0])
        raise InputError(
            "a position is no whole number",
            where=f"{path}, line {table.index[row]}",
            expected="positions in bp",
            remedy=f"give a map with {_FORMATS}",
        )
    maps = _centimorgans(table, chrom, path)
    line = table.index.to_numpy()
    keeps = [_check_order(pos, cm, line, path) for cm in maps if cm is not None]
    if keeps[0].sum() < 2:
        raise InputError(
            f"the genetic map has only {keeps[0].sum()} point(s) of chromosome {chrom}",
            where=str(path),
            expected="two points or more",
            remedy="give the map of this chromosome",
        )
    return GeneticMap(chrom, pos[keeps[0]].astype(np.int64), *(None if cm is None else cm[keeps[0]] for cm in maps))


def _joined(parts: list[GeneticMap], where: str) -> GeneticMap:
    """One map of the parts, which are sorted; each goes on where the one before ended."""
    if len(parts) == 1:
        return parts[0]
    if any(before.pos[-1] >= after.pos[0] for before, after in itertools.pairwise(parts)):
        raise InputError(
            f"the parts of the genetic map of chromosome {parts[0].chrom} overlap",
            where=where,
            expected="PAR1, the rest of X and PAR2, each with positions of its own",
            remedy="cut the parts at the bounds of the pseudo-autosomal regions",
        )
    columns = {}
    for name in ("cm", "male_cm", "female_cm"):
        values = [getattr(part, name) for part in parts]
        told = [value is not None for value in values]
        if any(told) and not all(told):
            raise InputError(
                f"only some parts of the genetic map of chromosome {parts[0].chrom} have {name}",
                where=where,
                expected="maps of the same kind for PAR1, the rest of X and PAR2",
                remedy="give all parts with the same columns",
            )
        columns[name] = _cumulated(values) if all(told) else None
    return GeneticMap(parts[0].chrom, np.concatenate([part.pos for part in parts]), **columns)


def _cumulated(values: list[np.ndarray]) -> np.ndarray:
    """Maps one after the other, each from where the one before ended; the first as it is."""
    joined = values[0]
    for value in values[1:]:
        joined = np.concatenate([joined, joined[-1] + value - value[0]])
    return joined


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
    """Map used, male map and female map, the last two None where they are not told.

    NA for males is no map; on X it may stand where they do not cross over.
    """
    female = _numbers(table, "female", path) if "female" in table else None
    male, na = None, np.zeros(len(table), dtype=bool)
    if "male" in table and female is not None:
        na = table["male"].isin(["NA", "na", "."]).to_numpy()
        if chrom == "X" and not na.all():
            told = _numbers(table.assign(male=table["male"].mask(na, "0")), "male", path)
            step = np.where(na[1:] | na[:-1], 0.0, np.diff(told))
            male = told if not na.any() else np.concatenate([[0.0], np.cumsum(step)])
        elif not na.all():
            male = _numbers(table, "male", path)
    if "cm" in table:
        return _numbers(table, "cm", path), male, female
    return female if male is None or chrom == "X" else (male + female) / 2, male, female


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
    """Write columns pos, cM, and male_cM and female_cM where known, with all digits: `read_map` reads them exactly."""
    columns = {"pos": genetic_map.pos, "cM": genetic_map.cm}
    columns |= {"male_cM": genetic_map.male_cm, "female_cM": genetic_map.female_cm}
    columns = {name: values.tolist() for name, values in columns.items() if values is not None}
    with atomic(path) as part, open(part, "w", encoding="utf-8") as file:
        file.write(_FITTED + "\t".join(columns) + "\n")
        file.writelines("\t".join(map(repr, row)) + "\n" for row in zip(*columns.values(), strict=True))
