"""What must not be in a file that leaves: ids of real people, and traces of the machine.

Files are read as text, compressed ones and the pictures in pages unpacked. An id is a run of letters and digits, or
several such runs joined by other marks (JP-7_X, FAM1:ID2, `a b`); it is found wherever it does not begin or end in the
midst of a run, in time linear in the file's size: runs are looked up in a set, and texts of the form of joined ids
(a pattern a form, not one an id) where all but chance has been excluded. What it cannot see: an id in other letters
(lower case for upper), inside a longer run of letters, digits or Japanese, or in pixels.

Ids that are short numbers, or of one or two characters, are words of every table and text; these are looked for where
ids stand: in columns of ids, behind keys of people, and among the samples of a VCF. Those of five digits or more are
also found wherever they are all that stands between marks: "7654321", <td>7654321</td>, <ID=7654321>.
"""

import base64
import binascii
import csv
import getpass
import gzip
import html
import json
import os
import re
import socket
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

CHUNK = 2**22
BINARY = (".pgen", ".tbi", ".csi", ".png")
ID_COLUMNS = {
    "person", "iid", "sample", "sample_id", "sid", "father", "pat", "mother", "mat", "family", "fid", "family_id",
    "eid", "subject_id", "patient_id", "participant_id",
}  # fmt: skip
ALSO_IDS = {"participant", "subject", "id"}  # ids in a table, but of anything elsewhere
CHROMOSOME = {"chrom", "chromosome", "chr"}  # a first column that holds no ids, but numbers that may be ids
_NUMBER = re.compile(r"[-+]?\d{1,9}(\.\d+)?")
_RUNS = re.compile(rb"[0-9A-Za-z]+|[\x80-\xff]+|[^0-9A-Za-z\x80-\xff]+")
# What is all that stands between marks, and what stands behind a key of people; both in linear time.
_MARK = rb"&#3[49];|&#x2[27];|&quot;"
_BETWEEN = re.compile(
    rb"""(?:(?<!length)[="'>]|%s)\s*([^\s"'<>=&,;A-Za-z]{5,24})(?=\s*(?:["'<>,]|%s))""" % (_MARK, _MARK)
)
_KEYS = *sorted(key.encode() for key in ID_COLUMNS - {"sample", "family", "pat", "mat"}), b"sample=<id"
_KEYED = re.compile(
    rb"""(?<![0-9A-Za-z_])(?:%s)["']?\s*[:=][\s\["']*([^\s\["'<>,;}\]]+)""" % b"|".join(_KEYS),
    re.IGNORECASE,
)
_WHOLE = re.compile(rb"(\d)\.0+$")  # 1234567.0, as a table with gaps tells a number
_PICTURE = re.compile(rb";base64,([A-Za-z0-9+/]+=*)")
# Texts cut into runs by bytes.translate and split, several times as fast as a regular expression.
_ASCII = bytes(c if c < 128 and chr(c).isalnum() else 32 for c in range(256))
_OTHER = bytes(c if c >= 128 else 32 for c in range(256))
# Four bytes of a VCF, 0|0, 0|1, 1|0 or 1|1 and a tab, as a little-endian number without the bits of the two alleles.
_CALL, _ALLELES = 0x09307C30, 0x00010001


class Machine(NamedTuple):
    """What tells of the machine and its user: folders (absolute), names of user and host."""

    folders: tuple[str, ...]
    user: str
    host: str


def this_machine(directory: str | Path | None = None, inputs: Iterable[str | Path] = ()) -> Machine:
    """The working directory, the user's home, the folders of input files, the user's and the host's name."""
    folders = {str(Path(directory or os.getcwd()).resolve()), str(Path.home())}
    for path in map(Path, inputs):  # as they are written, and where links lead; relative ones may be words of any text
        folders |= {str(folder) for folder in (path.parent, path.resolve().parent) if folder.is_absolute()}
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        user = ""
    # `/data` may be a part of any path in a text; with what follows it is told as one of this machine
    folders = {folder if folder.count("/") > 1 else folder + "/" for folder in folders if len(folder) > 1}
    return Machine(tuple(sorted(folders)), user, socket.gethostname())


class Words(NamedTuple):
    """What is looked for. runs: ids of one run.  joined: by pattern, ids of its form and one run of each of them.
    plain: short numbers and the like, looked for where ids stand alone.  long: those of five digits or more."""

    runs: frozenset[bytes]
    joined: dict[bytes, tuple[frozenset[bytes], frozenset[bytes]]]
    plain: frozenset[bytes]
    long: frozenset[bytes]


def words_of(ids: Iterable[str]) -> Words:
    """Ids of real people as `Words`, and as pages and JSON write them."""
    ids = set(ids)
    plain = {word for word in ids if _is_plain(word)}
    escaped = [(word, html.escape(word), _as_jinja(word), json.dumps(word)[1:-1]) for word in ids - plain]
    sought = {word.encode(): _RUNS.findall(word.encode()) for forms in escaped for word in forms}
    carried = Counter(run for runs in sought.values() for run in runs if _is_run(run))
    forms: dict[bytes, tuple[set[bytes], set[bytes]]] = {}
    for word, runs in sought.items():
        if len(runs) > 1 or word.isdigit() or not _is_run(word):
            ids_of_form, keys = forms.setdefault(_form(runs), (set(), set()))
            ids_of_form.add(word)
            keys.add(min(filter(_is_run, runs), key=carried.__getitem__))
    joined = {form: (frozenset(words), frozenset(keys)) for form, (words, keys) in forms.items()}
    single = frozenset(sought).difference(*(words for words, _ in joined.values()))
    long = frozenset(word.encode() for word in plain if sum(c.isdigit() for c in word) >= 5)
    return Words(single, joined, frozenset(word.encode() for word in plain), long)


def _as_jinja(word: str) -> str:
    return html.escape(word).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")


def _is_plain(word: str) -> bool:
    """Would the id be found by chance in any table or text?"""
    digits, letters = sum(c.isdigit() for c in word), any(c.isalpha() for c in word)
    return bool(len(word) <= 2 or _NUMBER.fullmatch(word) or (not letters and digits <= 5))


def _is_run(run: bytes) -> bool:
    return run[:1].isalnum() or run[0] >= 128


def _form(runs: list[bytes]) -> bytes:
    """The pattern of all ids of the same form: where one may begin, and what it would be."""
    kinds = [rb"[0-9A-Za-z]+" if r[:1].isalnum() else rb"[\x80-\xff]+" if _is_run(r) else re.escape(r) for r in runs]
    begin = rb"(?<!%s)" % kinds[0].rstrip(b"+") if _is_run(runs[0]) else b""
    if len(runs) == 1 and runs[0].isdigit():  # a long number is no id where it is the decimals of another
        begin, kinds = rb"(?<![0-9A-Za-z])(?<!\d\.)", [rb"\d+(?![0-9A-Za-z]|\.\d)"]
    return begin + rb"(?=(" + b"".join(kinds) + rb"))"


def traces(path: str | Path, words: Words, machine: Machine) -> list[str]:
    """What a file holds that must not leave: texts such as "an id of a real person", each once, the id never named."""
    path = Path(path)
    if path.suffix in BINARY:
        return _of_machine(path.read_bytes(), machine) if path.suffix == ".png" else []
    if path.suffix == ".parquet":
        return _in_parquet(path, words, machine)
    found: dict[str, None] = {}
    table = Table((0, 1, 2, 3), None) if path.name.endswith((".fam", ".fam.gz")) else None  # it has no header
    for text in _chunks(path):
        lines = text.splitlines() if words.plain and (table is None or table.columns) else []
        if table is None and (
            head := next((line for line in lines if line.strip() and not line.startswith(b"##")), None)
        ):
            table = _table(head, is_csv=path.name.endswith((".csv", ".csv.gz")))
            cells = head.split(b"\t")
            if b"FORMAT" in cells[8:9] and not words.plain.isdisjoint(cells[9:]):
                found["an id of a real person among the samples"] = None
        if table and table.columns and not words.plain.isdisjoint(_cells(lines, table)):
            found["an id of a real person in a column of ids"] = None
        for part in (text, *pictures(text)):
            if _holds_id(part, words):
                found["an id of a real person"] = None
            found |= dict.fromkeys(_of_machine(part, machine))
    return list(found)


def _chunks(path: Path) -> Iterator[bytes]:
    """A text, unpacked, in pieces of whole lines; of a VCF's records only what is not plainly genotypes."""
    opened = gzip.open if path.suffix == ".gz" else open
    kept = _without_calls if path.name.endswith((".vcf", ".vcf.gz")) else None
    with opened(path, "rb") as file:
        while lines := file.readlines(CHUNK):
            yield b"".join(map(kept, lines) if kept else lines)


def _without_calls(line: bytes) -> bytes:
    """A line of a VCF; a record, whose calls are all 0|0, 0|1, 1|0 or 1|1 and nothing else, without them."""
    fields = line.split(b"\t", 9)
    if line.startswith(b"#") or len(fields) < 10 or len(fields[9]) % 4 or not fields[9].endswith(b"\n"):
        return line
    calls = np.frombuffer(fields[9][:-1] + b"\t", dtype="<u4")
    if (calls & ~np.uint32(_ALLELES) != _CALL).any():
        return line
    return b"\t".join(fields[:9]) + b"\n"


def pictures(text: bytes) -> Iterator[bytes]:
    """Files that are part of a page as base64, such as its SVG figures."""
    for found in _PICTURE.findall(text):
        try:
            yield base64.b64decode(found)
        except binascii.Error:
            continue  # of a length that base64 has not: the text is looked through as it stands


class Table(NamedTuple):
    """columns: places of those that hold ids, ascending.  mark: between cells, None for blanks."""

    columns: tuple[int, ...]
    mark: bytes | None


def _table(header: bytes, is_csv: bool) -> Table:
    """How a text is read as a table; without columns where its first line is no header."""
    if b"\t" in header:
        return Table(_id_columns(header.split(b"\t")), b"\t")
    for mark in (b",", b";"):
        cells = header.split(mark)
        if len(cells) > 1 and (is_csv or any(_name(cell) in ID_COLUMNS | ALSO_IDS for cell in cells)):
            return Table(_id_columns(cells), mark)
    cells = header.split()
    return Table(_id_columns(cells) if cells and _name(cells[0]) in ID_COLUMNS else (), None)


def _name(cell: bytes) -> str:
    return cell.strip(b" \t\r\n\"'\xef\xbb\xbf").lstrip(b"#").lower().decode(errors="replace")


def _id_columns(header: list[bytes]) -> tuple[int, ...]:
    """Places of the columns that hold ids by their name, and of the first, whose name may be anything."""
    names = list(map(_name, header))
    of_ids = ID_COLUMNS if CHROMOSOME & set(names) else ID_COLUMNS | ALSO_IDS  # `id` is a variant's beside `chrom`
    found = [place for place, name in enumerate(names) if name in of_ids]
    first = [0] if len(names) > 1 and names[0] not in CHROMOSOME | of_ids else []
    return tuple(first + found)


def _cells(lines: list[bytes], table: Table) -> Iterator[bytes]:
    """The cells of some columns of a table's lines, and of 17.0 also the 17."""
    for line in lines:
        rows = [line.split(table.mark, table.columns[-1] + 1)]
        if table.mark in (b",", b";") and b'"' in line:  # which may have the mark within a cell
            with suppress(csv.Error):
                told = csv.reader([line.decode(errors="surrogateescape")], delimiter=table.mark.decode())
                rows += [[cell.encode(errors="surrogateescape") for cell in row] for row in told]
        for cells in rows:
            for place in table.columns:
                if place < len(cells):
                    yield from _forms_of(cells[place].strip().strip(b"\"'"))


def _forms_of(cell: bytes) -> Iterator[bytes]:
    yield cell
    if cell.endswith(b"0") and (found := _WHOLE.search(cell)):
        yield cell[: found.end(1)]


def _holds_id(text: bytes, words: Words) -> bool:
    if words.long and not words.long.isdisjoint(f for found in _BETWEEN.findall(text) for f in _forms_of(found)):
        return True
    small = text.lower() if words.plain else b""
    keyed = _KEYED.findall(text) if any(key in small for key in _KEYS) else []  # much faster than the pattern
    if not words.plain.isdisjoint(f for found in keyed for f in _forms_of(found)):
        return True
    runs = {*text.translate(_ASCII).split(), *text.translate(_OTHER).split()}
    if not words.runs.isdisjoint(runs):
        return True
    forms = [(form, ids) for form, (ids, keys) in words.joined.items() if not keys.isdisjoint(runs)]
    return any(not ids.isdisjoint(re.findall(form, text)) for form, ids in forms)


def _in_parquet(path: Path, words: Words, machine: Machine) -> list[str]:
    """Columns of text, columns of ids, names of columns and metadata."""
    found: dict[str, None] = {}
    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        head = "\n".join([*schema.names, *(f"{k!r} {v!r}" for k, v in (schema.metadata or {}).items())]).encode()
        if _holds_id(head, words):
            found["an id of a real person in its metadata"] = None
        found |= dict.fromkeys(_of_machine(head, machine))
        of_ids = {schema.names[place] for place in _id_columns([name.encode() for name in schema.names])}
        looked = [f.name for f in schema if not _is_number(f.type) or f.name in of_ids]
        for batch in file.iter_batches(columns=looked) if looked else ():
            for field, column in zip(batch.schema, batch.columns, strict=True):
                if (name := field.name) not in looked:
                    continue
                values = set(_texts(column))
                whole = {form for value in values for form in _forms_of(value)}
                text = b"\n".join(values)
                sought = words.plain if name in of_ids else words.long
                if _holds_id(text, words) or not sought.isdisjoint(whole):
                    found[f"an id of a real person in column {name}"] = None
                found |= dict.fromkeys(_of_machine(text, machine))
    return list(found)


def _is_number(kind: pa.DataType) -> bool:
    """Is a column plainly one of numbers, of truth values, of days or times, or of nothing?"""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    is_kind = pa.types
    return (
        is_kind.is_integer(kind)
        or is_kind.is_floating(kind)
        or is_kind.is_decimal(kind)
        or is_kind.is_boolean(kind)
        or is_kind.is_temporal(kind)
        or is_kind.is_null(kind)
    )


def _texts(column: pa.Array) -> Iterator[bytes]:
    """Every value as text, whatever its kind; those within lists, structures and mappings too."""
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary
    with suppress(pa.ArrowNotImplementedError):  # of nested kinds: then all values are looked at, doubled ones too
        column = column.unique()
    waiting = column.to_pylist()
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list | tuple):
            waiting += value
        elif value is not None:
            yield value if isinstance(value, bytes) else str(value).encode()


def _of_machine(text: bytes, machine: Machine) -> list[str]:
    """Folders, user and host, as a word or a part of a path."""
    found = ["a folder of this machine"] if any(folder.encode() in text for folder in machine.folders) else []
    for what, name in (("user", machine.user), ("host", machine.host)):
        if not name or name.encode() not in text:  # much faster than the patterns
            continue
        word = re.escape(name.encode())
        # A name such as `root` or `data` is a word of any text; it tells of a machine in a path or an address only.
        address = rb"%s@" % word if what == "user" else rb"@%s(?![\w-])" % word
        pattern = rb"(?:home/|Users/|\\)%s(?![\w-])|(?<![\w-])%s" % (word, address)
        if len(name) >= 6 and not name.isalpha():
            pattern += rb"|(?<![\w-])%s(?![\w-])" % word
        if re.search(pattern, text):
            found.append(f"the name of the {what}")
    return found
