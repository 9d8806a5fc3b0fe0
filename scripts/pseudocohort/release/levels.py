"""What leaves at which level: the items that the files of a release hold or name, against the level of the release.

An item's level is the dictionary's; without one it counts as of the last of LEVELS, and the gate stays shut. What has
no row in a dictionary (genotypes, scores, sex and stratum) has the configuration's `release.genotypes_level`.

A name or label counts where it is a whole cell, value or title, and as words within a longer text. Of words that the
workflow's own texts use, whatever the items are, only the first can be told from those. What this cannot see: an item
in other words, in pixels, or in the cells of a table of people.
"""

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import yaml

from pseudocohort.cohort.dictionary import LEVELS, RESERVED, Dictionary, Item, read_dictionary, some_of, without_level
from pseudocohort.errors import InputError
from pseudocohort.release.scan import pictures

KEYED = ("traits", "scoring_files")  # mappings whose keys are items
SECRET = "inference of "  # what stands before an item in the name of an attack
UNREADABLE = (OSError, EOFError, ValueError, TypeError, KeyError, RuntimeError, zlib.error, yaml.YAMLError, InputError)
WORDING = (
    "report",
    "measures",
    "evaluation",
    "disclosure",
)  # folders of the package whose texts are the workflow's own
ATTRIBUTES = ("alt", "title", "aria-label", "id", "name", "value", "content")  # of a page's elements, and data-*


class Texts(NamedTuple):
    """Texts of a file, in its order. cells: which may be an item's name or label.  more: which may but contain one."""

    cells: list[str]
    more: list[str]


def above_level(dictionary: Dictionary, files: dict[str, Path], release: dict) -> Iterator[str]:
    """What keeps the gate shut, one text each.

    dictionary: that of the real cohort, where items that were left out are ignored rows.  files: path in the release ->
    file, all there.  release: the configuration's `release`, with level and genotypes_level.
    """
    level = release["level"]
    if lacking := without_level(dictionary):
        yield f"no level is given to {len(lacking)} rows of the dictionary, so they count as {LEVELS[-1]}: " + some_of(
            lacking
        )
    if LEVELS.index(release["genotypes_level"]) > LEVELS.index(level):
        yield f"genotypes, with scores, sex and stratum, are {release['genotypes_level']}, the release is {level}"
    wanted = [row for row in dictionary.rows if row.level_given or row.role != "ignore"]
    above = [(row, _words_for(row)) for row in wanted if row.is_above(level)]
    every = {word for row in dictionary.rows for word in _words_for(row)}
    found: list[list[str]] = [[] for _ in above]
    for name, path in files.items() if above else ():
        try:
            texts = texts_of(path, name)
        except UNREADABLE as error:
            yield f"{name} cannot be read ({type(error).__name__}), so that nobody knows which items it names"
            continue
        cells, whole = {_one_line(cell) for cell in texts.cells}, _one_line("\n".join((*texts.cells, *texts.more)))
        for (_, words), names in zip(above, found, strict=True):
            if not words.isdisjoint(cells) or any(_stands(word, whole, every) for word in words):
                names.append(name)
    for (row, _), names in zip(above, found, strict=True):
        if names:
            yield f"item {row.name} is {row.level}: {some_of(names)}"


def _words_for(row: Item) -> set[str]:
    """What an item is called: its name, and its labels."""
    own = {row.name} - set(RESERVED)  # a column `sex` of the phenotype table is not the pseudo cohort's
    return ({"age"} if row.role == "age" else own) | {_one_line(row.label), _one_line(row.label_ja)} - {""}


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _stands(word: str, text: str, every: set[str]) -> bool:
    """Does a name or label stand in a text in its own right, and not as a part of another of `every` item's?"""
    if word not in text or word in RESERVED or re.search(_bounded(word), _wording(), re.IGNORECASE):
        return False
    longer = sorted((other for other in {*every, word} if word in other), key=len, reverse=True)
    return any(found.group() == word for found in re.finditer("|".join(map(_bounded, longer)), text))


def _bounded(word: str) -> str:
    """The pattern of a word that is no part of another; Japanese has no marks between words."""
    begin = r"(?<![0-9A-Za-z])" if word[0].isascii() and word[0].isalnum() else ""
    return begin + re.escape(word) + (r"(?![0-9A-Za-z])" if word[-1].isascii() and word[-1].isalnum() else "")


@cache
def _wording() -> str:
    """The workflow's own texts, which name no item of anybody's dictionary."""
    package = Path(__file__).parents[1]
    paths = [path for folder in WORDING for path in sorted((package / folder).glob("*"))]
    return _one_line("\n".join(p.read_text(encoding="utf-8") for p in paths if p.suffix in (".py", ".yaml", ".j2")))


def texts_of(path: str | Path, name: str) -> Texts:
    """Texts of a file of a release that can name items; name: the file's path in the release.

    One of UNREADABLE is raised where the file is not what its name says.
    """
    kind = Path(name).name
    if name.startswith(("genotypes/", "vcf/")):
        return Texts([], [])
    called = [kind.split(".tsv.gz")[0]] if ".tsv.gz" in kind else []
    if kind.endswith(".tbi"):
        return Texts(called, [])
    if kind.endswith(".parquet"):
        columns = pq.read_schema(path).names
        return Texts([column.split(":", 1)[-1] for column in columns], columns)  # `beta:TRAIT` in associations
    if kind == "dictionary.tsv":
        rows = read_dictionary(path).rows
        rules = [n for row in rows for _, names in row.rules for n in names]
        gates = [gate for row in rows for gate, _ in row.asked_if]
        return Texts([text for row in rows for text in (row.name, row.label, row.label_ja)] + rules + gates, [])
    if kind.endswith(".tsv.gz"):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            return Texts(called + file.readline().rstrip("\n").split("\t"), [])
    text = Path(path).read_text(encoding="utf-8")
    if kind.endswith(".tsv"):
        lines = text.splitlines()
        return Texts(
            [line.split("\t", 1)[0] for line in lines] + [c for line in lines[:1] for c in line.split("\t")], []
        )
    if kind.endswith(".html"):
        return Texts(_of_page(text), [])
    content = json.loads(text) if kind.endswith(".json") else yaml.safe_load(text)
    values, keys = list(_values(content)), list(_keys(content)) if kind.endswith(".json") else []
    attacked = [key.removeprefix(SECRET) for key in keys if key.startswith(SECRET)]
    return Texts(called + [value.removeprefix(SECRET) for value in values] + attacked, keys)


class _Page(HTMLParser):
    """Texts, comments and telling attributes of a page or an SVG; a page's style is none."""

    def __init__(self):
        super().__init__()
        self.found: list[str] = []
        self.inside = ""

    def handle_starttag(self, tag, attrs):
        self.inside = tag
        self.found += [v for k, v in attrs if v and (k in ATTRIBUTES or k.startswith("data-"))]

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside != "style":
            self.found.append(data)

    def handle_comment(self, data):
        self.found.append(data)


def _of_page(text: str) -> list[str]:
    """Texts of a page and of the SVG figures in it, characters as people read them."""
    drawn = [figure.decode("utf-8") for figure in pictures(text.encode()) if b"\0" not in figure]  # not pixels, fonts
    found = []
    for part in (text, *drawn):
        page = _Page()
        page.feed(part)
        page.close()
        found += page.found
    return found


def _values(content) -> Iterable[str]:
    """Texts among the values of JSON or YAML, and the keys of KEYED."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict):
        for key, value in content.items():
            yield from _values(value)
            if key in KEYED and isinstance(value, dict):
                yield from map(str, value)
    elif isinstance(content, list):
        for value in content:
            yield from _values(value)


def _keys(content) -> Iterable[str]:
    """All keys of JSON."""
    if isinstance(content, dict):
        yield from content
    for value in content.values() if isinstance(content, dict) else content if isinstance(content, list) else ():
        yield from _keys(value)
