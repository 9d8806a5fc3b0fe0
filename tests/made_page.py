"""A made-up run for the report page: a line of every measure, a figure of every name, small reports."""

import json
from pathlib import Path

import yaml

from pseudocohort.cohort.dictionary import Dictionary, Item, write_dictionary
from pseudocohort.measures.catalogue import catalogue, goal_of
from pseudocohort.measures.line import measure, save_evidence, save_lines
from pseudocohort.report import pictures, words
from pseudocohort.report.page import write_page
from pseudocohort.report.summary import write_summary

CAPTIONS = Path(__file__).parents[1] / "workflow" / "report"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 300 100"><text x="9" y="50">{}</text></svg>'
TRAITS = ("height", "glucose", "diabetes")
DICTIONARY = Dictionary((
    Item(name="age", role="age", type="continuous", group="other", label="Age", label_ja="年齢"),
    Item(name="height", type="continuous", group="physiology", label="Height", label_ja="身長", trait=True),
    Item(name="glucose", type="continuous", group="blood chemistry", label="Glucose", label_ja="血糖", trait=True),
    Item(name="diabetes", type="binary", group="disease", label="Diabetes", label_ja="糖尿病", trait=True,
         categories=("0", "1")),
))  # fmt: skip


def line_of(key: str, verdict: str, subject: str | None = None) -> dict:
    """A line of a measure that gets this verdict, as far as its goal lets it."""
    criterion = goal_of(key) or {"of": "value", "at_least": None, "at_most": 1.0}
    of, low, high = criterion["of"], criterion["at_least"], criterion["at_most"]
    inside = low + 0.01 if high is None else high - 0.01 if low is None else (low + high) / 2
    outside = low - 1 if high is None else high + 1
    found = inside if verdict == "within" else outside
    reach = None if verdict in ("within", "beyond") else sorted([inside, outside + (outside - inside)])
    numbers = {"value": found, "floor": 0.0} if of == "gap" else {"value": 1.0, "floor": 1.0} | {of: found}
    reason = "too few people" if verdict == "not measurable" else None
    return measure(key, interval=reach, subject=subject, reason=reason, **numbers)


def lines(verdicts: dict[str, str] | None = None) -> list[dict]:
    """A line of every measure, within its goal but where `verdicts` says otherwise; two of those with a subject."""
    found = []
    for key, entry in catalogue().items():
        for subject in ("physiology", "disease") if "{subject}" in entry["en"] else (None,):
            found.append(line_of(key, (verdicts or {}).get(key, "within"), subject))
    return found


def some_lines() -> list[dict]:
    """Lines with every verdict among them."""
    used = {key: entry for key, entry in catalogue().items() if entry["group"] != "disclosure"}
    keys = [key for key in used if goal_of(key) and goal_of(key)["of"] != "z"]
    return lines({keys[0]: "beyond", keys[1]: "unclear", keys[2]: "not measurable", keys[-1]: "unclear"})


def write_run(folder: Path, found: list[dict] | None = None, **config) -> dict[str, Path]:
    """All files that the page is made from; the arguments of `write_page`."""
    folder.mkdir(parents=True, exist_ok=True)
    save_lines(folder / "measures.json", some_lines() if found is None else found)
    write_summary(folder / "summary.json", {"measures": folder / "measures.json"}, {})
    write_dictionary(folder / "dictionary.tsv", DICTIONARY)
    _write_figures(folder / "figures")
    for name, content in {"import_report": IMPORTED, "weights": WEIGHTS, "models": MODELS}.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model" / "search.tsv").write_text(SEARCH)
    (folder / "associations.tsv").write_text(ASSOCIATIONS)
    benchmarks = folder / "benchmarks" / "import_chromosome"
    benchmarks.mkdir(parents=True, exist_ok=True)
    head = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
    (benchmarks / "chr21.tsv").write_text(head + "5.5\t0:00:05\t260.5\t1\t1\t1\t0\t0\t80\t4.25\n")
    (benchmarks / "chr22.tsv").write_text(head + "1.5\t0:00:01\t300.5\t1\t1\t1\t0\t0\t80\t1.75\n")
    (benchmarks.parent / "weights.tsv").write_text(head + "0.1\t0:00:00\tNA\tNA\tNA\tNA\tNA\tNA\tNA\tNA\n")
    given = {"chromosomes": ["21", "22"], "seed": 987654321, "people": 300, "generations": 5, "goals": {}} | config
    (folder / "run_config.yaml").write_text(yaml.safe_dump({"config": given, "versions": {"numpy": "2.4"}}))
    paths = {name: folder / f"{name}.json" for name in ("summary", "import_report", "weights", "models")}
    others = {"associations": "associations.tsv", "dictionary": "dictionary.tsv", "run_config": "run_config.yaml"}
    paths |= {key: folder / name for key, name in (others | {k: k for k in ("figures", "model", "benchmarks")}).items()}
    return paths | {"captions": CAPTIONS, "evidence": folder / "disclosure"}


def write_attacks(folder: Path) -> None:
    """Results of two attacks on the run, the second with a control that failed."""
    (folder / "disclosure").mkdir(exist_ok=True)
    lines = [
        measure("copies", 0.7, floor=0.5),
        measure("genome_membership", 0.83, subject="haplotype matching", interval=(0.8, 0.86)),
        measure("genome_true_positives_1", 0.31, subject="haplotype matching", interval=(0.2, 0.4)),
        measure("relative_membership", 0.66, subject="haplotype matching", interval=(0.6, 0.7)),
        measure("genome_membership", 0.55, subject="rare alleles", interval=(0.5, 0.6), reason="control failed"),
    ]
    good = {"planted": {"auc": 0.97, "passed": True}, "null": {"auc": 0.51, "passed": True}}
    bad = good | {"planted": {"auc": 0.49, "passed": False}}
    controls = {"haplotype matching": good, "rare alleles": bad}
    save_evidence(folder / "disclosure" / "genomes.json", {"metrics": lines, "controls": controls})


def _write_figures(folder: Path) -> None:
    (folder / "manhattan").mkdir(parents=True, exist_ok=True)
    for name in pictures.listed():
        (folder / f"{name}.svg").write_text(SVG.format(name))
    for i, trait in enumerate(TRAITS):
        (folder / "manhattan" / f"{i:02d}-{trait}.svg").write_text(SVG.format(trait))


IMPORTED = {
    "people": {"people": 400, "sex": {"male": 200, "female": 200}, "parts": {"train": 320, "A": 40, "B": 40},
               "parents_outside_the_cohort": 3},
    "items": {"rows": 400, "constant": [], "missing_by_reason": {"glucose": {"refused": 20}}},
    "chromosomes": [{"chromosome": "21", "sites_read": 410, "sites_kept": 400, "dropped": {"monomorphic": 10}}],
}  # fmt: skip
WEIGHTS = {
    "traits": [{"trait": "height", "method": "draw", "scale": "SD of the rank score", "n": 320, "hits": 2, "h2": 0.31,
                "h2_se": 0.05, "note": "the cases tell little of heritability and next to nothing of single sites"}],
    "left_out": [{"trait": "crp", "reason": "all values are equal"}],
    "scoring_files": [{"trait": "height", "score": "PGS000001", "positions": "harmonised", "build": "GRCh38",
                       "rows": 1000, "matched": 700, "overlap": 0.7, "overlap_of_variance": 0.74,
                       "warnings": ["The file states no ancestry."]}],
}  # fmt: skip
GOALS = {
    "c2st": measure("c2st", 0.543, interval=(0.5, 0.6)),
    "correlation": measure("correlation", 0.1, ratio=1.074, interval=(1.0, 1.2)),
}
MODELS = {
    "chosen": "cvae", "calibrated": {"cvae": True, "cart": True}, "private": {"cvae": False, "cart": False},
    "models": {"cvae": GOALS, "cart": GOALS}, "as_good": ["cart"],
    "note": "Sequential CART (cart) falls short of the network (cvae): classifier 0.979 for 0.535, partial R 2 for 1.",
}  # fmt: skip
SEARCH = (
    "trial\thidden\tdepth\tlatent\tlearning_rate\tbest_epoch\tchosen\n"
    "0\t32\t1\t4\t0.01\t2\t0\n"
    "1\t128\t2\t4\t0.004\t0\t1\n"
)
ASSOCIATIONS = (
    "trait\tn_real [people]\tn_synthetic [people]\tlambda_gc_real [ratio]\thits_synthetic [count]\tmore [ratio]\n"
    "height\t300\t290\t1.25\t9\t1\n"
    "glucose\t280\t290\t1.031\t10\t1\n"
    "diabetes\t310\t290\tNA\t100\t1\n"
)
PRIVACY = {
    "epsilon": 3.0, "delta": 1e-6, "clip": 1.0, "noise_multiplier": 2.61, "sampling_rate": 0.064,
    "expected_batch": 256.0, "steps": 1000, "people": 4000, "unit": "The unit is one person.",
    "accountant": "Accounted by PLD.", "valid": True, "covers": ["The network's weights."],
    "does_not_cover": ["The pseudo genotypes, which carry real haplotypes."], "warnings": [],
}  # fmt: skip


def write_pages(folder: Path) -> tuple[Path, dict]:
    """Folder of a made-up run with en.html and ja.html, and the arguments of write_page."""
    paths = write_run(folder)
    for language in words.LANGUAGES:
        write_page(folder / f"{language}.html", **paths, language=language)
    return folder, paths
