"""The configuration: checked against the schema, filled with defaults, with errors that name the nearest key."""

import difflib
import math
import re
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from pseudocohort.cohort.excel import split_sheet
from pseudocohort.errors import InputError
from pseudocohort.measures.catalogue import check_goals

_POWER_OF_TEN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)[eE][+-]?\d+")
WHOLE = ("Y", "MT")  # pass whole from one parent: no genetic map, no scores, no association
DRAFT = "results/dictionary_draft.tsv"  # output of the rule draft_dictionary
SCHEMA = Path(__file__).parents[2] / "workflow" / "schemas" / "config.schema.yaml"
PRESETS = Path(__file__).with_name("config.presets.yaml")  # of the key protection
PROTECTIONS = ("minimum_allele_count", "switch_cm", "k_anonymous", "founder_share")


def load_schema() -> dict:
    """The JSON schema of the configuration."""
    return yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))


def resolve(config: dict[str, Any]) -> dict[str, Any]:
    """Check a configuration and return it with every default filled in.

    Raises InputError for the first unknown key (naming the nearest valid one), missing key or bad value.
    """
    schema, config = load_schema(), _numbers(config)
    errors = sorted(jsonschema.Draft202012Validator(schema).iter_errors(config), key=lambda e: list(map(str, e.path)))
    if errors:
        raise _input_error(errors[0])
    resolved = _with_defaults(config, schema)
    if not set(resolved["chromosomes"]) - set(WHOLE):
        raise InputError(
            "the chromosomes are only Y and MT",
            where="config key chromosomes",
            expected="at least one of 1 to 22 and X: scores and association use these",
            remedy="add a chromosome",
        )
    resolved["scoring_files"] = {
        item: [files] if isinstance(files, str) else files for item, files in resolved["scoring_files"].items()
    }
    _check_migration(resolved["migration"])
    _check_privacy(resolved)
    resolved["protection"] = _protection(config.get("protection", {}), resolved["protection"])
    check_goals(resolved["goals"])
    if resolved["weights"] == "pgs" and not resolved["scoring_files"]:
        raise InputError(
            "weights: pgs, but no scoring file is given",
            where="config key scoring_files",
            expected="at least one item and its file, as in {height: PGS001229.txt.gz}",
            remedy="add the files, or set weights: draw",
        )
    return resolved


def _numbers(value: Any, place: str = "") -> Any:
    """The configuration with 2e-8, which YAML 1.1 takes for text, as a number; InputError for .nan and .inf."""
    if isinstance(value, dict):
        return {key: _numbers(part, f"{place}.{key}" if place else str(key)) for key, part in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(
            f"{value} is no number to compute with",
            where=f"config key {place}",
            expected="a number; config/README.md says which",
            remedy="correct the value",
        )
    if isinstance(value, str) and _POWER_OF_TEN.fullmatch(value):
        return int(float(value)) if float(value).is_integer() else float(value)
    return value


def _check_migration(migration: float | dict) -> None:
    """Raise InputError unless the shares of every child's stratum leave it something of its own."""
    for stratum, sources in migration.items() if isinstance(migration, dict) else ():
        if stratum in sources or sum(sources.values()) > 1:
            raise InputError(
                f"stratum {stratum} is among its own sources"
                if stratum in sources
                else f"the shares of stratum {stratum} sum to {sum(sources.values()):g}",
                where=f"config key migration.{stratum}",
                expected="shares of parents from other strata that sum to 1 at most; the rest are its own",
                remedy="correct the row",
            )


def _check_privacy(config: dict) -> None:
    """Raise InputError where dp goes with a model or a search that has no differential privacy."""
    if config["dp"] is None:
        return
    trials = config["network"]["search"]
    if config["model"] != "cvae" or trials != 1:
        private = config["model"] == "cvae"
        raise InputError(
            f"dp is set, but network.search is {trials}"
            if private
            else f"dp is set, but the model is {config['model']}",
            where="config key dp",
            expected="network.search: 1, for every trial costs privacy" if private else "model: cvae",
            remedy="set network.search: 1, or dp: null" if private else "set model: cvae, or dp: null",
        )


def _protection(given: dict, filled: dict) -> dict:
    """Every protection, None where it is off: as given, null included, else as the preset has it, else off.

    filled: what is given, with its defaults. Raises InputError for k_anonymous with both or neither of share and k.
    """
    preset = load_presets()[filled["preset"]]
    chosen = {key: filled.get(key) if key in given else preset.get(key) for key in PROTECTIONS}
    windows = chosen["k_anonymous"]
    if windows is not None and ("share" in windows) == ("k" in windows):
        raise InputError(
            f"k_anonymous has {'both' if 'k' in windows else 'neither'} of share and k",
            where="config key protection.k_anonymous",
            expected="the least number of families that carry a window's haplotype: one of the two",
            remedy="write {share: 0.02} or {k: 20}",
        )
    return {"preset": filled["preset"], **chosen}


def protections(config: dict) -> dict:
    """Of a resolved configuration, the protections between the mosaic and its transmission that are on."""
    settings = {key: config["protection"][key] for key in PROTECTIONS if key != "founder_share"}
    return {key: value for key, value in settings.items() if value is not None}


def load_presets() -> dict[str, dict]:
    """What the presets of the key `protection` set, by name."""
    return yaml.safe_load(PRESETS.read_text(encoding="utf-8"))


def _with_defaults(config: dict, schema: dict) -> dict:
    filled = dict(config)
    for key, part in schema.get("properties", {}).items():
        if key not in filled and "default" in part:
            filled[key] = part["default"]
        if isinstance(filled.get(key), dict) and "properties" in part and key != "sample_columns":
            filled[key] = _with_defaults(filled[key], part)
    return filled


def _input_error(error: jsonschema.ValidationError) -> InputError:
    place = ".".join(map(str, error.absolute_path))
    if error.validator == "additionalProperties":
        valid = list(error.schema.get("properties", {}))
        unknown = next(key for key in error.instance if key not in valid)
        near = difflib.get_close_matches(str(unknown), valid, n=1, cutoff=0.4)
        name = f"{place}.{unknown}" if place else unknown
        return InputError(
            f"unknown configuration key `{name}`",
            where=f"config key {name}",
            expected="one of " + ", ".join(valid),
            remedy=f"did you mean `{near[0]}`?" if near else "remove it; config/README.md lists every key",
        )
    return InputError(
        f"bad configuration: {error.message}",
        where=f"config key {place}" if place else "the configuration's top level",
        expected=error.schema.get("description") or _describe(error.absolute_path),
        remedy="config/README.md lists every key with its type and default",
    )


def _describe(place) -> str:
    """The description of the innermost key on the way to a value."""
    schema, found = load_schema(), "see config/README.md"
    for step in place:
        schema = schema.get("properties", {}).get(step, {})
        found = schema.get("description", found)
    return found


def check_files(config: dict) -> None:
    """Raise InputError for the first input file that does not exist and is not made by the workflow itself.

    Nor may the dictionary be the draft's own output, which a changed table would draft anew over the user's edits.
    """
    dictionary = config["input"].get("dictionary")
    if dictionary and split_sheet(dictionary)[0].resolve() == Path(DRAFT).resolve():
        raise InputError(
            "the dictionary is the draft itself, which is written anew when the phenotype table changes",
            where="config key input.dictionary",
            expected="a file that no rule writes",
            remedy=f"copy it and name the copy: cp {DRAFT} config/dictionary.tsv, "
            "then input.dictionary: config/dictionary.tsv",
        )
    for key, pattern in input_paths(config):
        chromosomes = [c for c in config["chromosomes"] if key != "input.maps" or c not in WHOLE]
        for chrom in chromosomes if "{chrom}" in pattern else [""]:
            path = pattern.replace("{chrom}", chrom)
            if not path.startswith(("results/demo/", "results/planted/")) and not split_sheet(path)[0].exists():
                raise InputError(
                    f"input file not found: {path}",
                    where=f"config key {key}",
                    expected="a path that is absolute or relative to the working directory",
                    remedy="correct the path; `{chrom}` stands for a chromosome of the key `chromosomes`",
                )


def map_files(config: dict, chrom: str) -> list[str]:
    """Files of the genetic map of a chromosome: none of Y and MT; for X those of its PARs, where they lie beside."""
    pattern = config["input"]["maps"]
    paths = [] if chrom in WHOLE else [pattern.replace("{chrom}", chrom)]
    if chrom == "X" and "{chrom}" in pattern:
        for number in "12":
            names = [pattern.replace("{chrom}", name + number) for name in ("X_par", "X_PAR", "PAR")]
            paths += [path for path in names if Path(path).exists()][:1]
    return paths


def input_paths(config: dict) -> list[tuple[str, str]]:
    """Pairs (config key, path pattern) of all given input files but the dictionary, which may be drafted first."""
    paths = [
        (f"input.{key}", config["input"][key])
        for key in ("genotypes", "samples", "phenotypes", "maps", "withdrawn")
        if config["input"].get(key)
    ]
    paths += [(f"scoring_files.{item}", path) for item, files in config["scoring_files"].items() for path in files]
    planted = config["planted"]
    paths += [("planted.table", planted["table"])] if "table" in planted else []
    return paths + [(f"planted.effects.{i}.score", e["score"]) for i, e in planted["effects"].items() if "score" in e]


def key_table() -> str:
    """The Markdown table of all keys in config/README.md, made from the schema."""
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    return "\n".join(rows + _rows(load_schema(), "")) + "\n"


def _rows(schema: dict, prefix: str) -> list[str]:
    rows = []
    for key, part in schema["properties"].items():
        kinds = part.get("type") or part.get("enum") or [choice["type"] for choice in part["anyOf"]]
        kind = " or ".join(kinds) if isinstance(kinds, list) else kinds
        required = key in schema.get("required", [])
        default = (
            "required"
            if required
            else f"`{yaml.safe_dump(part['default'], default_flow_style=True).split(chr(10))[0]}`"
            if "default" in part
            else ""
        )
        rows.append(f"| `{prefix}{key}` | {kind} | {default} | {part.get('description', '')} |")
        if "properties" in part:
            rows += _rows(part, f"{prefix}{key}.")
        elif isinstance(part.get("additionalProperties"), dict) and "properties" in part["additionalProperties"]:
            each = part["additionalProperties"]
            rows += _rows(each, f"{prefix}{key}.{each.get('title', 'ITEM')}.")
    return rows
