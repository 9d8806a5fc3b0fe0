"""What the papers of a release tell: numbers and names from the run's own results."""

import datetime
import json
from pathlib import Path

import pandas as pd
import yaml

import pseudocohort
from pseudocohort.cohort.dictionary import read_dictionary
from pseudocohort.measures.catalogue import judged
from pseudocohort.release.documents import check_texts
from pseudocohort.release.gate import DISCLOSED, JUDGED
from pseudocohort.report.uses import uses_in_words

MODELS = {
    "cvae": {"en": "a conditional variational autoencoder", "ja": "条件付き変分オートエンコーダー"},
    "cart": {"en": "sequential regression trees", "ja": "逐次回帰木"},
    "marginal": {"en": "the distribution of each item by itself", "ja": "各項目の周辺分布"},
}


def gather(results: str | Path, gate: dict, goals: dict, release: dict, people: pd.DataFrame) -> dict:
    """Facts for `documents.papers`: nothing of a single person. goals, release: the configuration's.

    people: the real people's table; pseudo people, items and texts are read from `results`.
    """
    results = Path(results)
    config = yaml.safe_load((results / "run_config.yaml").read_text(encoding="utf-8"))["config"]
    pseudo = pd.read_parquet(results / "synthetic/people.parquet")
    dictionary = read_dictionary(results / "real/dictionary.tsv")
    items = [i for i in dictionary.items if i.name in set(_columns(results / "synthetic/phenotypes.parquet"))]
    summary = json.loads((results / "evaluation/summary.json").read_text(encoding="utf-8"))
    lines = [x for n in ("genomes", "items") for x in _metrics(results / f"evaluation/{n}.json")]
    lines += [x for n in DISCLOSED for x in _metrics(results / f"disclosure/{n}.json")]
    verdicts = [x["verdict"] for x in judged(lines, goals) if x["group"] in JUDGED and x["verdict"] != "stated"]
    founders = int((people["part"] == "train").sum())
    strata = sorted({str(s) for s in pseudo["stratum"]} - {""})
    common = {
        "release": {k: str(release.get(k) or "") for k in (*gate["release"],)},
        "version": pseudocohort.__version__,
        "made": datetime.date.today().isoformat(),
        "people": len(pseudo),
        "strata": strata if len(strata) > 1 else [],
        "chromosomes": [c for c in config["chromosomes"] if c.isdigit()],
        "build": config["build"],
        "items": [i.name for i in items],
        "founders": founders,
        "holdout": len(people) - founders,
        "generations": config["generations"],
        "mating": config["mating"],
        "dp": (config.get("dp") or {}).get("epsilon"),
        "level": release["level"],
        "changed_goals": gate.get("changed_goals", []),
        "protection": protection_in_words(config.get("protection", {})),
        "disclosure": {"within": verdicts.count("within"), "judged": len(verdicts)},
    }
    common["by_language"] = {
        language: {
            "model": MODELS[config["model"]][language],
            "uses": uses_in_words(summary, language),
            "checks": [check_texts()[c["check"]][language] for c in gate["checks"] if c["passed"]],
        }
        for language in ("en", "ja")
    }
    return common


def protection_in_words(protection: dict) -> str:
    """The configuration's `protection` as `key value, ...`."""
    flat = []
    for key, value in protection.items():
        if isinstance(value, dict):
            value = " ".join(f"{k} {v}" for k, v in value.items() if v is not None)
        if value not in (None, "", False):
            flat.append(f"{key} {value}".replace("_", " "))
    return ", ".join(flat) or "none"


def _columns(path: Path) -> list[str]:
    import pyarrow.parquet as pq

    return pq.read_schema(path).names


def _metrics(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["metrics"]
