"""The tables of replication.py."""

import numpy as np
from replication_statistics import LEAST_HITS, Summary

COLUMNS = ("h2 (HE)", "lambda GC", "mean chi2", "hits", "slope at own hits", "p < .05", "p < 5e-8", "false hits")
ROWS = {
    "train": "real training cohort",
    "second": "**second real cohort (floor)**",
    "unseen": "unseen half",
    "true effects": "true effects on pseudo genomes",
}
ONCE = ("blup", "ct", "crossfit")  # judged against the second cohort only
LAMBDA = (0.98, 1.04)  # where phenotypes are permuted


class Goal:
    """One column of the goals. distance: of a row's summary from the reference's; met where at most `most`."""

    def __init__(self, name, most, distance, style=".3f", two_sided=True):
        self.name, self.most, self.distance, self.style, self.two_sided = name, most, distance, style, two_sided

    def cell(self, one: Summary, reference: Summary) -> tuple[str, bool]:
        value = self.distance(one, reference)
        if not np.isfinite(value):
            return "-", True
        met = (abs(value) if self.two_sided else value) <= self.most
        text = format(value, self.style)
        return (text if met else f"**{text}**"), met


def difference(name: str):
    return lambda one, reference: getattr(one, name) - getattr(reference, name)


def relative(name: str):
    def distance(one, reference):
        if name == "hits" and reference.hits < LEAST_HITS:
            return np.nan
        return getattr(one, name) / getattr(reference, name) - 1

    return distance


def error(name: str):
    return lambda one, reference: one.errors[name] / max(reference.errors[name], 1e-12)


GOALS = (
    Goal("h2 +-.03", 0.03, difference("h2"), "+.3f"),
    Goal("lambda +-5 %", 0.05, relative("inflation"), "+.1%"),
    Goal("chi2 +-5 %", 0.05, relative("chi2"), "+.1%"),
    Goal("hits +-15 %", 0.15, relative("hits"), "+.0%"),
    Goal("slope +-.07", 0.07, difference("slope"), "+.3f"),
    Goal("p < .05 +-.03", 0.03, difference("replicated"), "+.3f"),
    Goal("p < 5e-8 +-.08", 0.08, difference("confirmed"), "+.3f"),
    Goal("false <= +.3", 0.3, difference("false"), "+.2f", two_sided=False),
    Goal("rg <= 1.2", 1.2, error("rg"), ".2f", two_sided=False),
    *(
        Goal(f"{name} <= 1.4", 1.4, error(key), ".2f", two_sided=False)
        for name, key in (("RMS h2", "h2"), ("lambda", "lambda"), ("chi2", "chi2"), ("hits", "hits"))
    ),
)


def print_views(name: str, architecture, rows: dict, cpu: dict) -> None:
    """What is seen in every cohort."""
    print(f"### {name}: h2 {architecture.h2}, {architecture.causal} causal sites a group of traits")
    print("\n| cohort | " + " | ".join(COLUMNS) + " | rg kept | rg RMS | CPU s |")
    print("|---" * (len(COLUMNS) + 4) + "|")
    for label, (s, _) in rows.items():
        seconds = cpu.get("network" if label == "draw + network" else label)
        cells = [
            *(f"{v:.2f}" for v in (s.h2, s.inflation, s.chi2)),
            f"{s.hits:.1f}",
            *(f"{v:.2f}" for v in (s.slope, s.replicated, s.confirmed, s.false, s.related)),
            f"{s.errors['rg']:.3f}",
            f"{np.mean(seconds):.0f}" if seconds else "",
        ]
        print(f"| {ROWS.get(label, label)} | " + " | ".join(cells) + " |")
    hits = rows["second"].seen.own_hits
    print(f"\nSlope and replication rest on {hits} hits of the training cohorts: a rate's standard error is up to")
    print(f"{0.5 / np.sqrt(max(hits, 1)):.3f}. rg kept: slope of genetic correlations on the training cohort's.")


def print_goals(rows: dict, nulls: np.ndarray) -> None:
    """How far every row is from the real cohorts; goals missed in bold.

    nulls: (seeds, 2, 2) of permuted phenotypes: training cohort and draw, lambda and hits a trait; or nothing.
    """
    print("\n| against | cohort | " + " | ".join(goal.name for goal in GOALS) + " | met |")
    print("|---" * (len(GOALS) + 3) + "|")
    for reference in ("second", "unseen", "both"):
        for label, (seen, references) in rows.items():
            if label == "train" or label == reference or (reference == "both" and label in references):
                continue
            if reference != "second" and label in ONCE:
                continue
            cells, met = zip(*(goal.cell(seen, references[reference]) for goal in GOALS), strict=True)
            judged = [m for m, cell in zip(met, cells, strict=True) if cell != "-"]
            line = f"| {reference} | {label} | " + " | ".join(cells)
            print(f"{line} | {sum(judged)}/{len(judged)} |")
    if len(nulls):
        (own, own_hits), (value, hits) = nulls.mean(axis=0)
        met = "met" if LAMBDA[0] <= value <= LAMBDA[1] and hits == 0 else "**missed**"
        print(
            f"\nPermuted phenotypes: lambda {value:.3f}, {hits:.2f} hits a trait (training cohort {own:.3f}, "
            f"{own_hits:.2f}); goal {LAMBDA[0]}-{LAMBDA[1]}, none: {met}"
        )
    print(flush=True)
