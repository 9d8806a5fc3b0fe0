"""Excel workbooks as rows of text cells."""

import datetime
import logging
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

from pseudocohort.errors import InputError

log = logging.getLogger("pseudocohort")

WORKBOOK = re.compile(r"(.+\.xls[xm])(?:#(.*))?", re.I | re.S)
_MIDNIGHT = datetime.time()


def split_sheet(path: str | Path) -> tuple[Path, str]:
    """The file and the sheet of `file.xlsx#Sheet`; the sheet is "" where none is named."""
    found = WORKBOOK.fullmatch(str(path))
    return (Path(found[1]), found[2] or "") if found else (Path(path), "")


def other_sheets(path: str | Path) -> str:
    """ "; its sheets are A and B ..." for the message that a workbook lacks a column; "" for any other file."""
    book, sheet = split_sheet(path)
    if not WORKBOOK.fullmatch(book.name) or not book.is_file():
        return ""
    import openpyxl

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            opened = openpyxl.load_workbook(book, read_only=True, keep_links=False)
        except (zipfile.BadZipFile, KeyError, ValueError, OSError):
            return ""
    try:
        names = [page.title for page in opened.worksheets]
    finally:
        opened.close()
    read = sheet or names[0] if names else ""
    others = [name for name in names if name != read]
    if not others:
        return ""
    return f", or name another sheet than {read}, as in {book.name}#{others[0]} (it has {', '.join(names)})"


def rows_of_sheet(path: Path, sheet: str = "") -> Iterator[tuple[int, list[str]]]:
    """(row number, stripped text cells) of every row with content, all of one width.

    sheet: its name, "" for the first.  Whole numbers are written without a point, others with the 15 digits that
    Excel keeps, days as 2019-04-01; cells with an error such as #N/A are empty and are counted in the log.
    InputError: no workbook, no such sheet, formulas whose results are not in the file.
    """
    import openpyxl  # only a workbook needs it

    if not path.is_file():
        raise InputError(f"file not found: {path.name}", where=path, remedy="correct the path in the configuration")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about styles, charts and the like, which are not read
        try:
            book = openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False)
        except (zipfile.BadZipFile, KeyError, ValueError, OSError):
            raise InputError(
                f"{path.name} cannot be read as an Excel workbook",
                where=path,
                expected="an .xlsx file without a password",
                remedy="save it again as .xlsx without a password, or give the table as CSV in UTF-8",
            ) from None
        try:
            name = _sheet(book, sheet, path)
            rows = [list(row) for row in _cells(book[name])]
            _refuse_formulas_without_result(path, name, rows)
        finally:
            book.close()
    width = max((len(row) for row in rows), default=0)
    errors = sum(cell.data_type == "e" for row in rows for cell in row)
    if errors:
        log.warning("%s: %d cells with an error such as #N/A are taken as missing", path.name, errors)
    for number, row in enumerate(rows, 1):
        cells = [_text(cell) for cell in row] + [""] * (width - len(row))
        if any(cells):
            yield number, cells


def _sheet(book, sheet: str, path: Path) -> str:
    names = [page.title for page in book.worksheets]
    if not names or (sheet and sheet not in names):
        raise InputError(
            f"{path.name} has no sheet {sheet!r}" if sheet else f"{path.name} has no sheet of cells",
            where=path,
            expected="one of the sheets " + ", ".join(names) if names else "a sheet with a header line and rows",
            remedy="correct the name after #, or leave out # and the name for the first sheet",
        )
    return sheet or names[0]


def _cells(page) -> Iterator:
    page.reset_dimensions()  # what programs write there is not always true
    return page.iter_rows()


def _refuse_formulas_without_result(path: Path, name: str, rows: list[list]) -> None:
    """A program other than Excel may save formulas without what they come to; such cells would look empty."""
    import openpyxl

    with zipfile.ZipFile(path) as archive:
        pages = [member for member in archive.namelist() if member.startswith("xl/worksheets/")]
        if not any(b"<f>" in (text := archive.read(member)) or b"<f " in text for member in pages):
            return
    book = openpyxl.load_workbook(path, read_only=True, keep_links=False)
    try:
        pairs = zip(_cells(book[name]), rows, strict=True)
        empty = [sum(f.data_type == "f" and v.value is None for f, v in zip(*pair, strict=True)) for pair in pairs]
    finally:
        book.close()
    if any(empty):
        first = next(i for i, count in enumerate(empty, 1) if count)
        raise InputError(
            f"{path.name} has {sum(empty)} formulas whose results are not in the file",
            where=f"{path}, sheet {name}, first in row {first}",
            expected="values, or formulas that Excel has computed",
            remedy="open and save the workbook with Excel or LibreOffice, or paste the values in place of the formulas",
        )


def _text(cell) -> str:
    value = cell.value
    if value is None or cell.data_type == "e":
        return ""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.15g}"
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ") if value.time() != _MIDNIGHT else value.date().isoformat()
    return str(value).strip()
