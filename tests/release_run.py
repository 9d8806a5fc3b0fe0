"""A finished run as far as the gate looks at it, and the questions put to it."""

import json
from pathlib import Path

import pandas as pd

from pseudocohort.cohort.digests import file_sums, people_facts
from pseudocohort.measures.line import measure, save_evidence, save_lines
from pseudocohort.release import bundle, gate, scan
from pseudocohort.release.audit import write_audit
from pseudocohort.release.contents import released_files

RELEASE = {
    "title": "A course", "level": "strong", "genotypes_level": "strong", "purpose": "teaching",
    "population": "two regions", "terms": "no onward",
    "contact": "desk@biobank.example", "responsible": "head of data", "expires": "2999-12-31",
}  # fmt: skip

CONFIG = {"goals": {}, "release": RELEASE, "seed_is_known": False, "paths": []}

FACTS = {
    "release": RELEASE, "version": "0.1.0", "made": "2026-01-02", "people": 1200, "strata": ["a", "b"],
    "chromosomes": ["22"], "build": "GRCh38", "items": ["bmi"], "founders": 1000, "holdout": 200, "generations": 10,
    "mating": "balanced", "dp": None,
    "changed_goals": ["auc: ≤ 0.7 (written: ≤ 0.6)"], "level": "strong", "protection": "none",
    "disclosure": {"within": 1, "judged": 1},
    "by_language": {
        lang: {"model": "a network", "uses": [{"name": "GWAS", "word": "good"}], "checks": ["all there"]}
        for lang in ("en", "ja")
    },
}  # fmt: skip

CONTROLS = {"haplotypes": {"planted": {"passed": True}, "null": {"passed": True}}}


def cohort(first: str = "JP-00017-X") -> pd.DataFrame:
    ids = [first, *(f"JP-{i:05d}-Q" for i in range(30)), "4711", "12345"]
    return pd.DataFrame({"person": ids, "part": "train"})


def write_evidence(root: Path, people: pd.DataFrame, auc: float = 0.55, controls: dict = CONTROLS) -> None:
    facts, digests = people_facts(people), {}
    for name in gate.EVIDENCE[1:]:
        disclosed = name.startswith("disclosure/")
        if disclosed:
            save_lines(root / name, attacked(name, auc), people=facts, controls=controls, files=files_of(root))
        else:
            save_lines(root / name, [measure("utility", 7.0)], people=facts)
        digests[name] = json.loads((root / name).read_text())["digest"]
    save_evidence(root / gate.SUMMARY, {"metrics": [], "parts": digests, "people": facts})
    audit(root, people)


def attacked(name: str, auc: float, reach: float = 0.005, **more) -> list[dict]:
    """Lines of a file of disclosure; reach: half the width of their intervals."""
    part = Path(name).stem
    ends = (auc - reach, auc + reach)
    lines = [measure(key, auc, subject="haplotypes", interval=ends, **more) for key in gate.REQUIRED[part]]
    return lines + [measure(key, 0.0) for key in (gate.COPIED if part == "genomes" else ())]


def files_of(root: Path) -> dict[str, str]:
    names = ("genotypes/chr22.pgen", "phenotypes.parquet")
    return file_sums([root / "synthetic" / name for name in names], root)


def audit(root: Path, people: pd.DataFrame) -> None:
    write_audit(root / "audit.json", root, people, 0)


def asked(root: Path, people=None, withdrawn=frozenset(), named=frozenset(), **changes) -> dict:
    files = released_files(root, ["22"], gate.EVIDENCE)
    return gate.ask(root, files, cohort() if people is None else people, set(withdrawn), set(named), CONFIG | changes)


def short(answer: dict) -> dict[str, list[str]]:
    return {c["check"]: c["short"] for c in answer["checks"] if not c["passed"]}


def released(results: Path, folder: Path) -> int:
    files = released_files(results, ["22"], gate.EVIDENCE)
    save_evidence(results / "gate.json", asked(results))
    bundle.require_open(results / "gate.json", "results/gate.html")
    ids = cohort()["person"].tolist()
    return bundle.build(folder, results / "gate.json", files, FACTS, scan.words_of(ids), scan.this_machine())
