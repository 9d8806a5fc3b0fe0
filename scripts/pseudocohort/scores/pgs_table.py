"""The text tables of scoring files: header lines, then columns of codes and numbers, read as a stream."""

import gzip
import re
from pathlib import Path

import pandas as pd

from pseudocohort.errors import InputError

DOSAGE = ["dosage_0_weight", "dosage_1_weight", "dosage_2_weight"]
COMPLEX = ["is_haplotype", "is_diplotype", "is_interaction"]
NUMBERS = ["effect_weight", *DOSAGE, "allelefrequency_effect"]
POSITIONS = ["chr_position", "hm_pos"]
TEXTS = ["chr_name", "hm_chr", "effect_allele", "other_allele", "hm_source", "hm_inferOtherAllele"]
TEXTS += ["effect_type", "is_dominant", "is_recessive", "weight_type", *COMPLEX]
EMPTY = ["", "NA", "NR", "nan", "NaN", "None", "."]
REMEDY = "give a file of the PGS Catalog, raw or harmonised"


def bad(path, what: str, expected: str, remedy: str = REMEDY, line: int | None = None) -> InputError:
    """The error to raise for a scoring file; what: what is wrong with it, from the verb on."""
    where = str(path) if line is None else f"{path}, line {line}"
    return InputError(f"{path} {what}", where=where, expected=expected, remedy=remedy)


def _damaged(path, error) -> InputError:
    return bad(path, f"cannot be read: {error}", "a whole text file, plain or gzipped", "download the file again")


def read_head(path: str | Path) -> tuple[dict[str, str], list[str], int]:
    """Header dict, names of the columns, number of lines up to and with these."""
    header, number = {}, 0
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else open(path, "rb") as file:
            for line in file:
                number += 1
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                if text and (not text.startswith("#") or "\teffect_allele" in text):
                    return header, text.lstrip("#").split("\t"), number
                key, equals, value = text.lstrip("#").partition("=")
                header |= {key: value} if equals else {}
    except FileNotFoundError as error:
        raise InputError(
            f"there is no scoring file {path}",
            where=str(path),
            expected="a readable file",
            remedy="correct the path under scoring_files",
        ) from error
    except UnicodeDecodeError as error:
        raise bad(path, f"is not UTF-8 text in line {number}", "a text file, plain or gzipped") from error
    except (OSError, EOFError) as error:
        raise _damaged(path, error) from error
    if header:
        raise bad(path, "ends after its header", "a line of column names, then rows", "download the file again")
    raise bad(path, "holds no effects", "a line of column names, then rows", "give a complete file")


def read_columns(path: str | Path, columns: list[str], start: int, wanted: list[str], as_text: bool = False):
    """The wanted columns as an Arrow table: numbers float64 or int64, missing ones null, texts dictionaries.

    as_text: numbers are texts, too; so is everything read where some number is none.
    """
    import pyarrow as pa
    import pyarrow.csv as csv

    text = pa.dictionary(pa.int32(), pa.string())
    types = dict.fromkeys(wanted, text)
    if not as_text:
        types |= {c: pa.float64() for c in wanted if c in NUMBERS} | {c: pa.int64() for c in wanted if c in POSITIONS}
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    try:
        with pa.input_stream(str(path), compression="gzip" if packed else None) as stream:
            table = csv.read_csv(
                stream,
                csv.ReadOptions(use_threads=False, skip_rows=start, column_names=columns),
                csv.ParseOptions(delimiter="\t", quote_char=False),
                csv.ConvertOptions(column_types=types, include_columns=wanted, null_values=EMPTY),
            )
    except pa.ArrowInvalid as error:
        if "conversion error to double" in str(error) or "conversion error to int64" in str(error):
            return read_columns(path, columns, start, wanted, as_text=True)
        if "Empty CSV file" in str(error):
            return pa.table({c: pa.array([], text) for c in wanted})
        raise _malformed(path, str(error)) from error
    except OSError as error:
        raise _damaged(path, error) from error
    return table.unify_dictionaries()  # so that equal columns are equal wherever their chunks end


def as_frame(table) -> pd.DataFrame:
    """An Arrow table of read_columns in pandas: numbers float64 or int64 (-1 missing), texts categorical."""
    columns = {}
    for name in table.column_names:
        whole = str(table[name].type) == "int64"
        columns[name] = table[name].fill_null(-1).to_numpy() if whole else table[name].to_pandas()
    return pd.DataFrame(columns, copy=False)


def _malformed(path, text: str) -> InputError:
    """The error for what Arrow says of a table; never the row itself."""
    if "invalid UTF8" in text:
        return bad(path, "is not UTF-8 text", "a text file, plain or gzipped")
    if found := re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", text):
        line, expected, got = map(int, found.groups())
        remedy = "download the file again, or correct the line"
        return bad(path, f"has a line of {got} columns", f"{expected} columns, separated by tabs", remedy, line)
    return bad(path, "cannot be read as a table", "columns separated by tabs", "download the file again")
