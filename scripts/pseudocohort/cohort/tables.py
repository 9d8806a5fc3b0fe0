"""Reading tables as people save them: CSV, TSV, Excel or Parquet, every cell as text, every row with its place.

Cells stay text until a dictionary says what they are, so that the id 00123 keeps its zeros and an error
can name the line of the file. Errors name lines, columns and counts, never what a cell holds.
"""

import csv
import difflib
import gzip
import io
import itertools
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from pseudocohort.cohort.excel import WORKBOOK, other_sheets, rows_of_sheet, split_sheet
from pseudocohort.errors import InputError

MISSING = ("", "na", "nan", "n/a", "null", ".")  # compared without case
_SPACED = (".psam", ".fam", ".panel", ".txt")  # suffixes whose columns may stand apart by spaces only
_CHUNK = 20_000  # rows held as Python strings at a time
csv.field_size_limit(10_000_000)


def read_table(path: str | Path, *, names: list[str] | None = None, delimiter: str | None = None) -> pd.DataFrame:
    """A table with all cells as text, stripped; an empty cell is "".

    path: CSV, TSV (or .psam, .panel, .txt, plain or .gz; comma, tab, semicolon or spaces, found from the
    header and the suffix) in UTF-8 with or without byte order mark and with any line ends; .parquet; or .xlsx, of
    which the first sheet is read, or the one named as in `file.xlsx#Sheet`.
    names: the columns of a file that has no header.  delimiter: when it is known.
    Returns a DataFrame whose index, named `line`, holds the line of the file where each row begins
    (of Parquet, the row, from 1). Lines without content are skipped.
    InputError: missing, empty or not UTF-8; a column without name or twice; a row of another length.
    """
    path, sheet = split_sheet(path)
    if path.suffix == ".parquet":
        return _checked(_read_parquet(path), path)
    if WORKBOOK.fullmatch(path.name):
        rows = rows_of_sheet(path, sheet)
    else:
        text = read_text(path)
        rows = _rows(text, delimiter or _delimiter(text.partition("\n")[0], path), path) if text.strip() else iter(())
    first = next(rows, None)
    if first is None:
        raise InputError(
            f"{path.name} is empty" + (f" in its sheet {sheet}" if sheet else ""),
            where=path,
            expected="a header line and rows",
            remedy="give the file with its content; was the copy complete?",
        )
    if names:
        header, rows = names, itertools.chain([first], rows)
    else:
        header = [cell.lstrip("#") if i == 0 else cell for i, cell in enumerate(first[1])]
    while header and not header[-1]:  # the 1000 Genomes panel ends its header with tabs
        header = header[:-1]
    return _checked(_frame(rows, header, path), path)


def read_text(path: str | Path) -> str:
    """The text of a UTF-8 file, gzipped or plain, without byte order mark, lines ended by \\n."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"file not found: {path.name}", where=path, remedy="correct the path in the configuration")
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error):
            raise InputError(
                f"{path.name} is a truncated or damaged gzip file", where=path, remedy="copy it again"
            ) from None
    wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        text = data.decode("utf-8-sig")
        bad = data.find(b"\0")  # UTF-16 without mark, or no text at all
    except UnicodeDecodeError as error:
        bad = error.start
    if bad >= 0:
        line = data.count(b"\n", 0, bad) + 1
        raise InputError(
            f"{path.name} is not UTF-8 text",
            where=f"{path}, line {line}",
            expected="text in UTF-8",
            remedy="save it as UTF-8, for example: iconv -f "
            + ("UTF-16" if wide else "CP932")
            + f" -t UTF-8 {path.name}",
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")


def as_text(table: pd.DataFrame) -> pd.DataFrame:
    """The same table with every cell as text: missing "", whole floats 1.0, booleans False, True, days 2019-04-01."""
    columns = {}
    for name in table.columns:
        column = table[name]
        text = column.astype(object) if column.dtype == bool else column
        if column.dtype.kind == "M" and (column.dropna() == column.dropna().dt.normalize()).all():
            text = column.dt.strftime("%Y-%m-%d")
        columns[str(name)] = text.astype("str").where(column.notna(), "").str.strip()
    return pd.DataFrame(columns, index=table.index)


def blank(cells: pd.Series) -> np.ndarray:
    """True where a text cell says missing: empty, NA, NaN, N/A, null or a dot, in any case."""
    return cells.str.lower().isin(MISSING).to_numpy(dtype=bool)


def canonical(cells: pd.Series) -> pd.Series:
    """Category codes in one spelling: 1.0 and 1. become 1; other text stays."""
    return cells.str.replace(r"^([+-]?\d+)\.0*$", r"\1", regex=True)


def lines(table: pd.DataFrame, rows) -> str:
    """The places of rows (mask or positions) as "line 5", "lines 5, 9 and 12" or "lines 5, 9, 12 and 40 more"."""
    return enumerate_lines(table.index.to_numpy()[np.asarray(rows)])


def enumerate_lines(numbers: Iterable[int], unit: str = "line") -> str:
    """Numbers told shortly: the first three, and how many more."""
    numbers = [int(n) for n in numbers]
    if len(numbers) == 1:
        return f"{unit} {numbers[0]}"
    head, rest = numbers[:3], len(numbers) - 3
    tail = f" and {rest} more" if rest > 0 else ""
    listed = ", ".join(map(str, head)) if tail else ", ".join(map(str, head[:-1])) + f" and {head[-1]}"
    return f"{unit}s {listed}{tail}"


def nearest(name: str, known: Iterable[str]) -> str:
    """The nearest of the known names in any case, or ""."""
    folded = {k.casefold(): k for k in known}
    found = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else ""


def require_columns(table: pd.DataFrame, wanted: Iterable[str], path: str | Path, key: str = "") -> None:
    """InputError for the first wanted column that the table lacks, naming the nearest that it has.

    Other column names are not listed: in a file without header they would be a person's values.
    """
    for name in wanted:
        if name not in table.columns:
            close = nearest(name, table.columns)
            raise InputError(
                f"{Path(path).name} has no column {name!r}" + (f"; the nearest is {close!r}" if close else ""),
                where=path,
                expected=f"a header line with the column {name}",
                remedy="correct the header" + (f" or the configuration ({key})" if key else "") + other_sheets(path),
            )


def _read_parquet(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise InputError(f"file not found: {path.name}", where=path, remedy="correct the path in the configuration")
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:  # pyarrow's errors derive from these
        raise InputError(
            f"{path.name} cannot be read as Parquet ({type(error).__name__})",
            where=path,
            remedy="write it again, or give the table as CSV or TSV",
        ) from None
    if any(name is not None for name in table.index.names):
        table = table.reset_index()
    table.index = pd.RangeIndex(1, len(table) + 1, name="line")
    return as_text(table)


def _delimiter(header: str, path: Path) -> str:
    """The delimiter that the suffix promises if the header has it, else the commonest in the header."""
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    bare = "".join(header.split('"')[::2])  # what stands outside quotes
    promised = "," if suffix == ".csv" else "\t"
    if promised in bare:
        return promised
    best = max("\t,;", key=bare.count)
    if best in bare:
        return best
    return " " if suffix in _SPACED and " " in bare.strip() else promised


def _rows(text: str, delimiter: str, path: Path):
    """(first line, stripped cells) of every row with content."""
    if delimiter == " ":
        yield from ((n, line.split()) for n, line in enumerate(text.split("\n"), 1) if line.strip())
        return
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    start = 1
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield start, cells
            start = reader.line_num + 1
    except csv.Error:
        raise InputError(
            f"{path.name} has a quotation mark that does not fit",
            where=f"{path}, line {start}",
            expected='quoted cells closed by ", and "" for a mark inside them',
            remedy="remove the quotation mark, or double it inside a quoted cell",
        ) from None


def _frame(rows, header: list[str], path: Path) -> pd.DataFrame:
    width, place, cells, parts, wrong = len(header), [], [], [], []

    def flush():
        columns = zip(*cells, strict=True) if cells else [()] * width
        data = {i: pd.array(list(c), dtype="str") for i, c in enumerate(columns)}
        parts.append(pd.DataFrame(data, index=pd.Index(place, dtype="int64", name="line")))

    for line, row in rows:
        if len(row) != width:
            if len(row) < width or any(row[width:]):
                wrong.append(line)
                continue
            row = row[:width]
        place.append(line)
        cells.append(row)
        if len(cells) == _CHUNK:
            flush()
            place, cells = [], []
    if wrong:
        raise InputError(
            f"{len(wrong)} rows of {path.name} do not have as many cells as the header",
            where=f"{path}, {enumerate_lines(wrong)}",
            expected=f"{width} cells a row",
            remedy="look for a delimiter inside a cell that is not quoted, or a broken line",
        )
    flush()
    return pd.concat(parts).set_axis(header, axis=1) if len(parts) > 1 else parts[0].set_axis(header, axis=1)


def _checked(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    unnamed = [i + 1 for i, name in enumerate(table.columns) if not name]
    if unnamed:
        raise InputError(
            f"{path.name} has a column without a name",
            where=f"{path}, {enumerate_lines(unnamed, 'column')}",
            expected="a header line that names all",
            remedy="name it, or write the table without row names",
        )
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        at = [i + 1 for i, name in enumerate(table.columns) if name == twice[0]]
        raise InputError(
            f"{path.name} has a column name more than once",
            where=f"{path}, {enumerate_lines(at, 'column')}",
            expected="every column once",
            remedy="rename or delete the columns that stand twice",
        )
    return table
