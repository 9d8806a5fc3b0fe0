"""Scoring files of the PGS Catalog: reading (raw or harmonised) and writing.

Format: https://www.pgscatalog.org/downloads/ (scoring files 2.0, harmonised files HmPOS). An effect that is not
additive is three numbers, the contribution of 0, 1 and 2 copies of the effect allele, so that additive, dominant,
recessive and dosage-specific effects are one thing: additive (0, w, 2w), dominant (0, w, w), recessive (0, 0, w).
Files of millions of rows are read as a stream into codes and numbers; no row is ever a Python object.
"""

import gzip
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from pseudocohort.cohort.builds import plain_name
from pseudocohort.errors import InputError
from pseudocohort.files import atomic
from pseudocohort.scores.pgs_table import (
    COMPLEX,
    DOSAGE,
    EMPTY,
    NUMBERS,
    POSITIONS,
    REMEDY,
    TEXTS,
    as_frame,
    bad,
    read_columns,
    read_head,
)

REASONS = (
    "haplotype, diplotype or interaction",
    "alleles that are not bases",
    "no position on this build",
    "effect type that is not known",
)
TYPES = ("additive", "dominant", "recessive", "nonadditive", "non-additive")
COMPRESSION = 1  # level 6 takes five times as long for a tenth less


class TraitWeights(NamedTuple):
    """Weights of one trait: sites (k rows; chrom pos id ref alt) and values, (k,) per ALT allele or (k, 3)
    contributions of 0, 1, 2 ALT alleles."""

    sites: pd.DataFrame
    values: np.ndarray


class Score(NamedTuple):
    """A scoring file.

    name: its id.  header: its `#key=value` lines.  build: of the positions, GRCh37, GRCh38 or "" unknown.
    positions: `harmonised` or `author's`.
    table: a row an effect: chrom (no prefix), pos (int64), effect, other ("" unknown); texts are categorical.
    weights: (rows,) per effect allele where all effects are additive, else (rows, 3), see `values`.
    frequency: (rows,) of the effect allele, NaN unknown, or None.  weight_types: those that the file states.
    rows: effects in the file.  refused: {reason: how many of them are not in table}.
    """

    name: str
    header: dict[str, str]
    build: str
    positions: str
    table: pd.DataFrame
    weights: np.ndarray
    frequency: np.ndarray | None
    weight_types: tuple[str, ...]
    rows: int
    refused: dict[str, int]

    @property
    def values(self) -> np.ndarray:
        """(rows, 3) contributions of 0, 1, 2 effect alleles."""
        return contributions(self.weights)


def contributions(weights: np.ndarray) -> np.ndarray:
    """(k, 3) contributions of 0, 1, 2 alleles; weights: (k,) per allele, or already these."""
    weights = np.asarray(weights, dtype=float)
    return weights[:, None] * [0.0, 1.0, 2.0] if weights.ndim == 1 else weights


def standard_build(text: str) -> str:
    """GRCh37 or GRCh38 by any of their names, "" where none is stated, else the text itself."""
    for build, names in (("GRCh37", r"(grch|ncbi|build ?|b|^)37|hg19"), ("GRCh38", r"(grch|hg|ncbi|build ?|b|^)38")):
        if re.search(names, text.lower()):
            return build
    return "" if text.strip().lower() in ("", "nr", "na", "none", "unknown") else text.strip()


def standard_chrom(names: pd.Series) -> pd.Series:
    """Chromosome names without `chr` prefix, X for 23 and for its pseudo-autosomal regions."""
    names = names.astype(str)
    return names.map({name: plain_name(name) for name in names.unique()})


def read_scoring_file(path: str | Path, build: str | None = None) -> Score:
    """Read a scoring file, gz or plain, with or without header lines.

    build: GRCh37 or GRCh38, the cohort's; then the harmonised positions are taken if they are of this
    build, else the author's if those are, else InputError. None: harmonised positions if there are any.
    Haplotype, diplotype and interaction effects, alleles that are not bases, and rows that harmonisation
    could not place are left out and counted in `refused`.
    Raises InputError for a file that is no table or is damaged, for a missing column, and for a weight that is no
    finite number.
    """
    return _score(_open(path, build))


def read_scoring_files(paths: Iterable[str | Path]) -> Iterator[Score]:
    """As read_scoring_file, one after the other; files of the same effects with other weights share one table."""
    last = score = None
    for path in paths:
        this = _open(path, None)
        weights = None if score is None else _other_weights(last, this, score)
        if weights is None:
            score = _score(this)
        else:
            score = score._replace(name=_name_of(path, this.header), header=this.header, weights=weights)
        last = this
        yield score


class _Opened(NamedTuple):
    """A file read, but not understood: columns of chromosome and position, their build, and an Arrow table."""

    path: str | Path
    header: dict[str, str]
    start: int
    chrom: str
    pos: str
    build: str
    table: object


def _open(path, build) -> _Opened:
    header, columns, start = read_head(path)
    _check_columns(path, columns)
    chrom, pos, used = _positions(path, columns, header, build)
    wanted = [c for c in columns if c in {chrom, pos, *NUMBERS, *TEXTS} and (c[:3] != "hm_" or pos == "hm_pos")]
    return _Opened(path, header, start, chrom, pos, used, read_columns(path, columns, start, wanted))


def _score(opened: _Opened) -> Score:
    path, header, start, chrom, pos, used, table = opened
    raw = as_frame(table)
    if len(raw) == 0 and not header:
        raise bad(path, "holds no effects", "a line of column names, then rows", "give a complete file")
    why = _reasons(raw, chrom, pos)
    kept = why == 0
    weights = _weights(path, raw, kept, start)
    frequency = None
    if "allelefrequency_effect" in raw:
        frequency = _numbers(raw, "allelefrequency_effect")[0][kept]
        frequency[~((frequency >= 0) & (frequency <= 1))] = np.nan
    types = raw["weight_type"].unique().tolist() if "weight_type" in raw else []
    return Score(
        _name_of(path, header),
        header,
        used,
        "harmonised" if pos == "hm_pos" else "author's",
        _table(raw, chrom, pos, kept),
        weights[kept],
        frequency if frequency is not None and np.isfinite(frequency).any() else None,
        tuple(sorted({header.get("weight_type", ""), *types} - {*EMPTY})),
        len(raw),
        {text: int((why == k).sum()) for k, text in enumerate(REASONS, 1) if (why == k).any()},
    )


def _name_of(path, header: dict[str, str]) -> str:
    found = re.search(r"O?PGS\d{6}", Path(path).name)
    return header.get("pgs_id") or header.get("omicspred_id") or (found or [Path(path).name.split(".")[0]])[0]


def _other_weights(last: _Opened, this: _Opened, score: Score) -> np.ndarray | None:
    """The weights (rows,) of a file that is else the last one, whose score is given; None if it is another."""
    columns = [c for c in this.table.column_names if c != "effect_weight"]
    plain = {this.chrom, this.pos, "effect_allele", "other_allele"} == set(columns) and not score.refused
    if not plain or last[3:6] != this[3:6] or this.header.get("weight_type") != last.header.get("weight_type"):
        return None
    if last.table.column_names != this.table.column_names or not last.table.select(columns).equals(
        this.table.select(columns)
    ):
        return None
    weights = this.table["effect_weight"].to_numpy()
    return weights if weights.dtype == np.float64 and np.isfinite(weights).all() else None


def _check_columns(path, columns: list[str]) -> None:
    """Raise unless the columns are told apart and tell alleles and weights."""
    present = f"PGS Catalog columns; there are {', '.join(columns[:12])}"
    if len(columns) == 1 and re.search("[,; ]", columns[0]):
        raise bad(path, "is not separated by tabs", "columns separated by tabs", "write it with tabs, or " + REMEDY)
    twice = [c for c in columns if columns.count(c) > 1 and c in (*NUMBERS, *POSITIONS, *TEXTS)]
    if twice:
        raise bad(path, f"has column {twice[0]} more than once", "one column of each name")
    if "effect_allele" not in columns:
        raise bad(path, "has no column effect_allele", present)
    if "effect_weight" not in columns and not set(DOSAGE) <= set(columns):
        raise bad(path, "has no weights", f"a column effect_weight, or the columns {', '.join(DOSAGE)}")


def _positions(path, columns, header, build) -> tuple[str, str, str]:
    """Columns of chromosome and position of the wanted build, and that build."""
    author = standard_build(header.get("genome_build", ""))
    harmonised = standard_build(header.get("HmPOS_build", ""))
    has_author, has_hm = {"chr_name", "chr_position"} <= set(columns), {"hm_chr", "hm_pos"} <= set(columns)
    if not has_author and not has_hm:
        remedy = "download the harmonised file (HmPOS) of this score from the PGS Catalog"
        raise bad(path, "has no positions", "chr_name and chr_position, or hm_chr and hm_pos", remedy)
    if has_hm and (build is None or harmonised in ("", build)):
        return "hm_chr", "hm_pos", harmonised
    if has_author and (build is None or author == build or (not author and not has_hm)):
        return "chr_name", "chr_position", author
    found = " and ".join(sorted({b for b, has in ((author, has_author), (harmonised, has_hm)) if has and b}))
    raise bad(
        path,
        f"has positions on {found or 'an unstated build'}, the cohort's are on {build}",
        f"#genome_build or #HmPOS_build = {build}",
        f"download the file harmonised to {build}, or correct `build` in the config",
    )


def _each(column: pd.Series, function) -> np.ndarray:
    """function(text) of every row, computed once a category."""
    return np.array([function(text) for text in column.cat.categories] or [function("")])[column.cat.codes]


def _recoded(column: pd.Series, function) -> pd.Categorical:
    """function(text) of every row as a categorical column."""
    codes, texts = pd.factorize(np.array([function(text) for text in column.cat.categories], dtype=object))
    return pd.Categorical.from_codes(codes[column.cat.codes] if len(codes) else [], texts)


def _true(column: pd.Series) -> np.ndarray:
    return _each(column, lambda text: text.lower() == "true")


def _reasons(raw: pd.DataFrame, chrom: str, pos: str) -> np.ndarray:
    """Why a row is refused, (rows,): 0 it is not, else 1 + the place in REASONS."""
    lost = (_position(raw[pos]) <= 0) | _each(raw[chrom], lambda text: text in EMPTY)
    if "hm_source" in raw:
        lost |= _each(raw["hm_source"], lambda text: text.lower() == "unknown")
    why = np.where(lost, 3, 0).astype(np.int8)
    if "effect_type" in raw:
        why[~_each(raw["effect_type"], lambda text: text in EMPTY or text.lower() in TYPES)] = 4
    why[~_each(raw["effect_allele"], lambda text: bool(re.fullmatch("[ACGTacgt]+", text)))] = 2
    if "other_allele" in raw:
        why[~_each(raw["other_allele"], lambda text: text in EMPTY or bool(re.fullmatch("[ACGTacgt]+", text)))] = 2
    for flag in COMPLEX:
        if flag in raw:
            why[_true(raw[flag])] = 1
    return why


def _position(column: pd.Series) -> np.ndarray:
    """int64 (rows,); 0 or less where there is none."""
    if column.dtype == np.int64:
        return column.to_numpy()
    return _each(column, lambda text: int(float(text)) if re.fullmatch(r"\d{1,12}(\.0*)?", text) else -1)


def _table(raw: pd.DataFrame, chrom: str, pos: str, kept: np.ndarray) -> pd.DataFrame:
    """The kept rows: chrom, pos, effect, other."""
    raw = raw if kept.all() else raw[kept]

    def allele(text):
        return "" if text in EMPTY else text.upper()

    other = pd.Categorical.from_codes(np.zeros(len(raw), dtype=np.int8), [""])
    if "other_allele" in raw:
        other = _recoded(raw["other_allele"], allele)
    if "hm_inferOtherAllele" in raw and (np.asarray(other) == "").any():
        inferred = _recoded(raw["hm_inferOtherAllele"], lambda text: text if re.fullmatch("[ACGT]+", text) else "")
        other = pd.Categorical(np.where(np.asarray(other) == "", np.asarray(inferred), np.asarray(other)))
    columns = {
        "chrom": _recoded(raw[chrom], plain_name),
        "pos": _position(raw[pos]),
        "effect": _recoded(raw["effect_allele"], allele),
        "other": other,
    }
    return pd.DataFrame(columns, copy=False)


def _numbers(raw: pd.DataFrame, column: str) -> tuple[np.ndarray, np.ndarray]:
    """A column as float64, NaN where empty or where there is no such column, and which texts are no finite number."""
    if column not in raw:
        return np.full(len(raw), np.nan), np.zeros(len(raw), dtype=bool)
    values = raw[column]
    if values.dtype == np.float64:
        return values.to_numpy().copy(), np.isinf(values.to_numpy())
    texts = values.cat.categories
    numbers = pd.to_numeric(texts.to_series().replace(EMPTY, ""), errors="coerce").to_numpy(dtype=float)
    wrong = ~np.isfinite(numbers) & ~texts.isin(EMPTY)
    return (numbers[values.cat.codes], wrong[values.cat.codes]) if len(texts) else (np.zeros(0), np.zeros(0, bool))


def _weights(path, raw: pd.DataFrame, kept: np.ndarray, start: int) -> np.ndarray:
    """(rows,) where every kept effect is additive, else (rows, 3); every kept row must have its weights."""
    columns = {}
    for name in ("effect_weight", *(DOSAGE if set(DOSAGE) <= set(raw) else ())):
        columns[name], wrong = _numbers(raw, name)
        _refuse_rows(path, wrong, start, f"values of column {name} are no numbers", "a finite decimal number")
    weight = columns.pop("effect_weight")
    once, twice = np.ones(len(raw)), np.full(len(raw), 2.0)
    for name, of_one in (("dominant", 1.0), ("recessive", 0.0)):
        chosen = np.zeros(len(raw), dtype=bool)
        if "effect_type" in raw:
            chosen |= _each(raw["effect_type"], lambda text, name=name: text.lower() == name)
        if f"is_{name}" in raw:
            chosen |= _true(raw[f"is_{name}"])
        once[chosen], twice[chosen] = of_one, 1.0
    missing = np.isnan(weight)
    by_dosage = missing & np.isfinite([*columns.values()]).all(axis=0) if columns else np.zeros(len(raw), dtype=bool)
    _refuse_rows(path, missing & ~by_dosage & kept, start, "effects have no weight", "a weight in every row")
    if not by_dosage.any() and (twice == 2).all():
        return weight
    values = np.column_stack([np.zeros(len(raw)), once * weight, twice * weight])
    if by_dosage.any():
        values[by_dosage] = np.column_stack([*columns.values()])[by_dosage]
    return values


def _refuse_rows(path, wrong: np.ndarray, start: int, what: str, expected: str) -> None:
    """Raise when any row is wrong, with its line (where no line of the file is empty)."""
    if wrong.any():
        raise InputError(
            f"{wrong.sum()} {what}",
            where=f"{path}, line {start + 1 + wrong.argmax()}",
            expected=expected,
            remedy="correct or remove these rows",
        )


def write_scoring_file(
    path: str | Path,
    sites: pd.DataFrame,
    weights: np.ndarray,
    trait: str,
    build: str = "",
    meta: dict[str, str] | None = None,
) -> int:
    """Write effects in PGS Catalog format 2.0, gzipped, without time stamp; returns their number.

    sites: (k rows) chrom pos id ref alt.  weights: (k,) per ALT allele, or (k, 3) contributions of 0, 1, 2
    ALT alleles; nine digits are kept. Zero effects are not written. An additive effect that is zero for two ALT
    alleles is written for REF; when an effect is not additive, all are written as dosage weights.
    """
    import pyarrow as pa
    import pyarrow.csv as csv

    weights = np.asarray(weights, dtype=float)
    kept = weights != 0 if weights.ndim == 1 else (weights != 0).any(axis=1)
    sites, weights = (sites, weights) if kept.all() else (sites[kept], weights[kept])
    columns = _columns(sites, weights)
    head = {
        "format_version": "2.0",
        "pgs_name": trait,
        "trait_reported": trait,
        "genome_build": build or "NR",
        "variants_number": str(len(sites)),
        **(meta or {}),
    }
    text = "###PGS CATALOG SCORING FILE - see https://www.pgscatalog.org/downloads/#dl_ftp_scoring\n"
    text += "".join(f"#{key}={value}\n" for key, value in head.items()) + "\t".join(columns) + "\n"
    table = pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})
    table = table.combine_chunks()  # at an empty chunk write_csv writes its buffer as it is: old rows, foreign memory
    options = csv.WriteOptions(include_header=False, batch_size=2**16, delimiter="\t", quoting_style="none")
    with atomic(path) as part, open(part, "wb") as raw, gzip.GzipFile("", "wb", COMPRESSION, raw, mtime=0) as file:
        file.write(text.encode())
        csv.write_csv(table, file, options)
    return len(sites)


def _columns(sites: pd.DataFrame, weights: np.ndarray) -> dict:
    """Columns of a scoring file by name; all effects additive, or all as dosage weights."""
    on_ref = np.zeros(len(sites), dtype=bool)
    if weights.ndim == 2:
        on_ref = (weights[:, 2] == 0) & (weights[:, 0] != 0)
        weights = np.where(on_ref[:, None], weights[:, ::-1], weights)
        if ((weights[:, 0] == 0) & np.isclose(weights[:, 2], 2 * weights[:, 1], rtol=1e-12, atol=0)).all():
            weights = weights[:, 1]
    ref, alt = sites["ref"], sites["alt"]
    effect, other = (alt, ref) if not on_ref.any() else (alt.where(~on_ref, ref), ref.where(~on_ref, alt))
    return {
        "rsID": sites["id"],
        "chr_name": sites["chrom"],
        "chr_position": sites["pos"],
        "effect_allele": effect,
        "other_allele": other,
        **dict(zip(["effect_weight"] if weights.ndim == 1 else DOSAGE, np.atleast_2d(_nine(weights.T)), strict=True)),
    }


def _nine(values: np.ndarray) -> np.ndarray:
    """The nearest numbers of nine significant digits, whose shortest text is no longer than these."""
    size = np.abs(values, where=values != 0, out=np.ones_like(values))
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        unit = 10.0 ** (8 - np.floor(np.log10(size)))
        rounded = np.round(values * unit) / unit
    return np.where(np.isfinite(rounded), rounded, values)
