"""What must not be in a file that leaves: ids of real people, planted markers, and traces of the machine.

Files are read as text (compressed ones unpacked) and cut into words; a word that is an id of a real person is found
in time linear in the file's size. Ids that are short plain numbers are words of every table of numbers; these are
looked for where ids stand: in columns of text, in the first column of .psam and tables, and in VCF headers.
"""

import getpass
import gzip
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

CHUNK = 2**22
_WORD = re.compile(rb"[^\s\x00-\x1f\",;:=|<>(){}\[\]'/\\]+")
_NUMBER = re.compile(r"[-+]?\d{1,9}(\.\d+)?")
BINARY = (".pgen", ".tbi", ".csi", ".png")


class Machine(NamedTuple):
    """What tells of the machine and its user: folders (absolute), names of user and host."""

    folders: tuple[str, ...]
    user: str
    host: str


def this_machine(directory: str | Path | None = None) -> Machine:
    """The working directory, the user's home, the user's and the host's name."""
    folders = {str(Path(directory or os.getcwd()).resolve()), str(Path.home())}
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        user = ""
    return Machine(tuple(sorted(f for f in folders if len(f) > 1)), user, socket.gethostname())


class Words(NamedTuple):
    """ids: words of letters, or long numbers, that are looked for everywhere; plain: short numbers, looked for in
    columns of ids alone."""

    ids: frozenset[bytes]
    plain: frozenset[bytes]


def words_of(ids: list[str], markers: list[str] = ()) -> Words:
    """Ids of real people, and marker values planted by a test, as `Words`."""
    plain = {i for i in ids if _NUMBER.fullmatch(i)}
    return Words(
        frozenset(w.encode() for w in {*ids, *markers} - plain),
        frozenset(w.encode() for w in plain),
    )


def traces(path: str | Path, words: Words, machine: Machine) -> list[str]:
    """What a file holds that must not leave: texts such as "an id of a real person", each once, the id never named."""
    path = Path(path)
    if path.suffix in BINARY:
        return _of_machine(path.read_bytes(), machine) if path.suffix == ".png" else []
    if path.suffix == ".parquet":
        return _in_parquet(path, words, machine)
    found: dict[str, None] = {}
    for text in _chunks(path):
        if not words.ids.isdisjoint(_parts(text)):
            found["an id of a real person"] = None
        if words.plain and not words.plain.isdisjoint(_first_columns(text)):
            found["an id of a real person in the first column"] = None
        if words.plain and text.startswith(b"##") and not words.plain.isdisjoint(_vcf_people(text)):
            found["an id of a real person in the header"] = None
        found |= dict.fromkeys(_of_machine(text, machine))
    return list(found)


def _chunks(path: Path) -> Iterator[bytes]:
    """Pieces of whole lines of a file, unpacked; a line longer than CHUNK is cut at a blank."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rb") as file:
        rest = b""
        while piece := file.read(CHUNK):
            text = rest + piece
            cut = max(text.rfind(b"\n"), text.rfind(b"\t"), text.rfind(b" ")) + 1
            yield text[:cut]
            rest = text[cut:]
        if rest:
            yield rest


def _parts(text: bytes) -> Iterator[bytes]:
    """Words, and the pieces of words that a dash, a dot or an underscore joins, singly and in runs from the start."""
    for word in set(_WORD.findall(text)):
        yield word
        yield word.strip(b".-_!?*`#")
        for mark in (b"_", b"-", b"."):
            pieces = word.split(mark)
            if 1 < len(pieces) <= 8:
                yield from pieces
                yield from (mark.join(pieces[:k]) for k in range(2, len(pieces)))
                yield from (mark.join(pieces[-k:]) for k in range(2, len(pieces)))


def _first_columns(text: bytes) -> Iterator[bytes]:
    return (line.split(b"\t", 1)[0].strip() for line in text.splitlines() if b"\t" in line)


def _vcf_people(text: bytes) -> Iterator[bytes]:
    for line in text.splitlines():
        if line.startswith(b"#CHROM"):
            yield from line.split(b"\t")[9:]


def _in_parquet(path: Path, words: Words, machine: Machine) -> list[str]:
    """Columns of text, names of columns and metadata."""
    found: dict[str, None] = {}
    everything = words.ids | words.plain
    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        head = "\n".join([*schema.names, *(f"{k!r} {v!r}" for k, v in (schema.metadata or {}).items())]).encode()
        if not words.ids.isdisjoint(_parts(head)):
            found["an id of a real person in its metadata"] = None
        found |= dict.fromkeys(_of_machine(head, machine))
        named = [f.name for f in schema if _is_text(f.type)]
        for batch in file.iter_batches(columns=named) if named else ():
            for name in named:
                column = batch.column(name)
                column = column.dictionary if isinstance(column, pa.DictionaryArray) else column
                values = {str(v).encode() for v in column.unique().to_pylist() if v is not None}
                if not everything.isdisjoint(values):
                    found[f"an id of a real person in column {name}"] = None
                found |= dict.fromkeys(_of_machine(b"\n".join(values), machine))
    return list(found)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind)


def _of_machine(text: bytes, machine: Machine) -> list[str]:
    """Folders, user and host, as a word or a part of a path."""
    found = ["a folder of this machine"] if any(folder.encode() in text for folder in machine.folders) else []
    for what, name in (("user", machine.user), ("host", machine.host)):
        word = re.escape(name.encode())
        # A name such as `root` or `data` is a word of any text; it tells of a machine in a path or an address only.
        address = rb"%s@" % word if what == "user" else rb"@%s(?![\w-])" % word
        pattern = rb"(?:home/|Users/|\\)%s(?![\w-])|(?<![\w-])%s" % (word, address)
        if len(name) >= 6 and not name.isalpha():
            pattern += rb"|(?<![\w-])%s(?![\w-])" % word
        if name and re.search(pattern, text):
            found.append(f"the name of the {what}")
    return found
