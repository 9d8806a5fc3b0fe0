"""What leaves at which level: the items that the files of a release hold or name, against the level of the release.

An item's level is the dictionary's; without one it counts as of the last of LEVELS, and the gate stays shut. What has
no row in a dictionary (genotypes, scores, sex and stratum) has the configuration's `release.genotypes_level`.
"""

import gzip
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import yaml

from pseudocohort.cohort.dictionary import LEVELS, RESERVED, Dictionary, read_dictionary, some_of, without_level

KEYED = ("traits", "scoring_files")  # mappings whose keys are items
SECRET = "inference of "  # what stands before an item in the name of an attack


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
    above = [row for row in wanted if row.is_above(level)]
    named = {name: items_named(path, name) for name, path in files.items()} if above else {}
    for row in above:
        own = {row.name} - set(RESERVED)  # a column `sex` of the phenotype table is not the pseudo cohort's
        told = ({"age"} if row.role == "age" else own) | {row.label, row.label_ja} - {""}
        if found := [name for name, words in named.items() if told & words]:
            yield f"item {row.name} is {row.level}: {some_of(found)}"


def items_named(path: str | Path, name: str) -> set[str]:
    """Words of a file of a release that can be names or labels of items; name: the file's path in the release."""
    kind = Path(name).name
    if name.startswith(("genotypes/", "vcf/")) or kind.endswith(".tbi"):
        return set()
    if kind.endswith(".parquet"):
        return {column.split(":", 1)[-1] for column in pq.read_schema(path).names}  # `beta:TRAIT` in associations
    if kind == "dictionary.tsv":
        return {row.name for row in read_dictionary(path).rows}
    if kind.endswith(".tsv.gz"):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            return {kind.removesuffix(".tsv.gz"), *file.readline().rstrip("\n").split("\t")}
    text = Path(path).read_text(encoding="utf-8")
    if kind.endswith(".tsv"):
        return {line.split("\t", 1)[0] for line in text.splitlines()}
    if kind.endswith(".html"):
        return {part.strip() for part in re.findall(r">([^<>]+)<", text)}
    try:
        content = json.loads(text) if kind.endswith(".json") else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError):  # the check of the evidence tells
        return set()
    return {word.removeprefix(SECRET) for word in _words(content)}


def _words(content) -> Iterable[str]:
    """Texts among the values of JSON or YAML, and the keys of KEYED."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict):
        for key, value in content.items():
            yield from _words(value)
            if key in KEYED and isinstance(value, dict):
                yield from value
    elif isinstance(content, list):
        for value in content:
            yield from _words(value)
