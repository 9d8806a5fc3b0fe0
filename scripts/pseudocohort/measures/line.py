"""One form for every number that evaluation and disclosure find. Names, goals and verdicts are the catalogue's."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pseudocohort.files import atomic

FEWEST_IN_HALF = 40  # people; of fewer, chance alone decides every verdict
TOO_FEW = "too few people"


def measure(
    key: str,
    value: float | None,
    *,
    subject: str | None = None,
    floor: float | None = None,
    ratio: float | None = None,
    z: float | None = None,
    interval: tuple[float, float] | None = None,
    baseline: float | None = None,
    people: int | None = None,
    reason: str | None = None,
    **details: float | str,
) -> dict:
    """One line of results/evaluation/*.json; every key is always there, None where it has no meaning.

    key: of the catalogue.  subject: what of several things of this kind is measured (a group of items, a category).
    floor: the same between real people.  ratio: value / floor, or to theory where the catalogue says so.  z: value
    less floor (or theory) in standard errors.  interval: 95 %, of the ratio where the goal is one of the ratio, else
    of the value.  baseline: the naive method's value, or ratio where the goal is one of the ratio.  people: in a half
    of the holdout; of fewer than FEWEST_IN_HALF nothing is judged.  reason: why there is no number, or none to judge
    (a key of the catalogue's reasons).  details: what the catalogue's note tells: numbers, and names of items.
    Numbers that are not finite become None.
    """
    if people is not None and people < FEWEST_IN_HALF and reason is None:
        reason = TOO_FEW
    ends = None if interval is None else [_number(x) for x in interval]
    return {
        "key": key,
        "subject": subject,
        "value": _number(value),
        "floor": _number(floor),
        "ratio": _number(ratio),
        "z": _number(z),
        "interval": None if ends is None or None in ends else ends,
        "baseline": _number(baseline),
        "reason": reason,
        "details": {k: v if isinstance(v, str) else _number(v) for k, v in details.items()},
    }


def save_lines(path: str | Path, lines: list[dict], **more) -> None:
    """Write {"metrics": lines, **more, "digest"} as JSON."""
    save_evidence(path, {"metrics": lines} | more)


def save_evidence(path: str | Path, content: dict) -> None:
    """Write a dictionary and the SHA-256 digest of it as JSON: a file edited by hand does not fit its digest."""
    content = content | {"digest": content_digest(content)}
    with atomic(path) as part:
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        part.write_text(text + "\n", encoding="utf-8")


def content_digest(content: dict) -> str:
    """SHA-256 of a dictionary without its `digest`, whatever the order of its keys."""
    plain = {key: value for key, value in content.items() if key != "digest"}
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def load_lines(paths: list[str | Path]) -> list[dict]:
    """Lines of several files, in order."""
    return [line for path in paths for line in json.loads(Path(path).read_text(encoding="utf-8"))["metrics"]]


def by_key(lines: list[dict]) -> Mapping[str, dict]:
    """Lines without a subject by their key."""
    return {line["key"]: line for line in lines if line["subject"] is None}


def _number(value) -> float | int | None:
    """A plain number: whole ones stay whole; None for what is not finite."""
    if value is None or not np.isfinite(value):
        return None
    return int(value) if isinstance(value, (int, np.integer)) else float(value)
