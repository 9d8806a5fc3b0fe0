"""Figures, drawn from made-up results in both languages, and the page with all of them: titles, axes, the same bytes
every time, nothing where there is nothing to draw."""

import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest

import made_page
from evaluation_cohort import (
    DICTIONARY,
    TRAITS,
    leads_of,
    make_items,
    make_people,
    make_scores,
    pseudo_frame,
    shuffled,
    write_associations,
    write_genomes,
)
from pseudocohort import counter
from pseudocohort.cohort.dictionary import write_dictionary
from pseudocohort.disclosure.genome_attacks import FAMILIES
from pseudocohort.disclosure.genome_evidence import ALL, ATTACKS
from pseudocohort.evaluation.associations import evaluate_associations
from pseudocohort.evaluation.genomes import evaluate_genomes
from pseudocohort.evaluation.items import evaluate_items
from pseudocohort.genome.drift import expectation
from pseudocohort.genome.founders import pseudo_people
from pseudocohort.measures.arrays import load_arrays, save_arrays
from pseudocohort.measures.line import save_lines
from pseudocohort.report import pictures, style, words
from pseudocohort.report.figures_association import draw_associations
from pseudocohort.report.figures_disclosure import draw_disclosure
from pseudocohort.report.figures_genomes import draw_genomes
from pseudocohort.report.figures_items import draw_items
from pseudocohort.report.page import write_page
from pseudocohort.report.summary import write_summary

PARTS = ("genomes", "items", "associations")
ELSEWHERE = {"kinship", "homozygosity", "frontier"}  # drawn in test_evaluation_relatedness.py and test_frontier.py
ESTIMATES = {trait: {"h2": 0.3 + 0.1 * i, "h2_se": 0.05} for i, trait in enumerate(TRAITS)}
HERITABILITY = {cohort: {"traits": ESTIMATES} for cohort in ("real", "synthetic", "holdout")}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A whole made-up run: measures, arrays, figures, page."""
    folder, rng = tmp_path_factory.mktemp("run"), np.random.default_rng(21)
    people = make_people(400, rng)
    real, made, maps, pedigree = write_genomes(folder, people, 300, 400, 5, rng, ("21", "22"))
    expected = expectation(pedigree, counter.generator(1, "gene dropping"))
    results = {"genomes": evaluate_genomes(real, made, maps, people, pseudo_people(pedigree), expected, 5, 1)}
    scores, pseudo_scores, sex = make_scores(400, rng), make_scores(300, rng), rng.integers(1, 3, 300)
    items = make_items(people["sex"].to_numpy(), scores[list(TRAITS)].to_numpy(), rng)
    pseudo = pseudo_frame(sex, make_items(sex, pseudo_scores[list(TRAITS)].to_numpy(), rng), rng)
    baseline = pseudo_frame(people["sex"].to_numpy(), shuffled(items, rng), rng)
    results["items"] = evaluate_items(people, items, pseudo, baseline, scores, pseudo_scores, DICTIONARY, 1)
    directories = write_associations(folder / "association", rng)
    found = evaluate_associations(directories, leads_of(directories), 1)
    results["associations"] = found.lines, found.arrays
    for name, (lines, arrays) in results.items():
        save_lines(folder / f"{name}.json", lines)
        save_arrays(folder / f"{name}.npz", arrays)
    write_model(folder / "model")
    draw(folder, folder / "figures")
    paths = made_page.write_run(folder / "page") | {"figures": folder / "figures", "model": folder / "model"}
    write_dictionary(paths["dictionary"], DICTIONARY)
    write_summary(paths["summary"], {name: folder / f"{name}.json" for name in results}, {})
    write_page(folder / "report.html", **paths)
    return folder


def write_model(folder):
    """Two trials of a search, the second chosen."""
    folder.mkdir()
    curve = pd.DataFrame(
        {"epoch": [1, 2, 3], "train_loss": [9.0, 7, 6], "validation_loss": [9.1, 7.5, 7], "kl": [0.0, 1, 2]}
    )
    other = curve.iloc[:2].assign(validation_loss=[9.5, 8.8], trial=0, round=0, chosen=0)
    both = pd.concat([other, curve.assign(trial=1, round=0, chosen=1)])
    both.to_csv(folder / "learning_curve.tsv", sep="\t", index=False)
    search = {"trial": [0, 1], "hidden": [32, 128], "depth": [1, 2], "latent": [4, 4], "learning_rate": [0.01, 0.004],
              "rounds": [1, 1], "best_epoch": [2, 0], "validation_loss": [8.8, 7.0], "chosen": [0, 1]}  # fmt: skip
    pd.DataFrame(search).to_csv(folder / "search.tsv", sep="\t", index=False)


def draw(folder, figures):
    arrays = {name: load_arrays(folder / f"{name}.npz") for name in PARTS}
    names = draw_genomes(arrays["genomes"], figures)
    names += draw_items(arrays["items"], folder / "model", figures)
    names += draw_disclosure(attacked(), figures)
    return names + draw_associations(arrays["associations"], figures, figures / "manhattan", HERITABILITY)


def attacked():
    """Arrays as of disclosure.genome_evidence."""
    rate = np.geomspace(0.02, 1, 60)
    curves = {f"roc/{side}/{name}": np.array([rate, rate ** (0.2 * k + 0.2)])
              for side in ("founders", "relatives") for k, name in enumerate((*ATTACKS, ALL))}  # fmt: skip
    share = (np.arange(20) + 0.5) / 20
    longest = {f"longest/{name}": np.array([share, k + share]) for k, name in enumerate(("founders", "holdout"))}
    families = {"families/classes": np.array(FAMILIES), "families/all": np.arange(1, 8), "families/rare": np.ones(7)}
    return curves | longest | families


def drawn_text(path):
    """The texts of a figure."""
    return [t.text or "" for t in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")]


def test_every_figure_is_an_svg_under_a_megabyte_with_titles_and_axes(run):
    for name in set(pictures.listed()) - ELSEWHERE:
        path = run / "figures" / f"{name}.svg"
        assert path.stat().st_size < 1e6
        assert len(drawn_text(path)) > 5, f"{name} has hardly any text"
        assert "has no data" not in path.read_text(encoding="utf-8")
    assert len(list((run / "figures" / "manhattan").glob("*.svg"))) == len(TRAITS)


def test_the_page_lists_every_figure_that_is_drawn(run, tmp_path):
    assert set(draw(run, tmp_path)) | ELSEWHERE == set(pictures.listed())


def test_figures_are_the_same_bytes_every_time(run, tmp_path):
    for name in draw(run, tmp_path):
        assert (tmp_path / f"{name}.svg").read_bytes() == (run / "figures" / f"{name}.svg").read_bytes()


def test_japanese_figures_are_texts_in_fonts_that_readers_have(run, tmp_path):
    with words.language("ja"):
        names = draw(run, tmp_path)
    known = set(words.translations("ja").values())
    for name in names:
        text = (tmp_path / f"{name}.svg").read_text(encoding="utf-8")
        families = set(re.findall(r"font-family: ([^;\"]+)", text))
        assert families == {style.BROWSERS}, name
        told = drawn_text(tmp_path / f"{name}.svg")
        assert any(re.search("[\u3040-\u30ff\u4e00-\u9fff]", t) for t in told), f"{name} has no Japanese"
        data = {code for item in DICTIONARY.rows for code in (*item.categories, *item.category_labels)}
        english = words.translations("ja").keys() - known - data
        assert [t for t in told if t in english and words.translations("ja")[t] != t] == [], name
    assert style.fonts() == {}


def test_page_of_a_whole_run_embeds_every_figure_and_tells_every_measure(run):
    text = (run / "report.html").read_text(encoding="utf-8")
    bare = re.sub(r"base64,[A-Za-z0-9+/=]+", "", text)
    assert len(text) < 15e6
    assert bare.count("<img") == len(pictures.listed()) - len(ELSEWHERE) + len(TRAITS)
    lower = bare.lower()
    summary = json.loads((run / "page" / "summary.json").read_text(encoding="utf-8"))
    for line in (m for m in summary["metrics"] if m["subject"] is None):
        assert line["metric"].split("|")[0].split("`")[0].split("'")[0].split("<")[0][:25].lower() in lower
    assert not re.search(r">R\d+<", bare), "a real person's id"
    assert "told here against a half of the holdout" in bare
    assert "Sharp thresholds in age" in bare


def test_figures_say_so_when_there_is_nothing_to_draw(tmp_path):
    empty = {f"spectrum/{k}": np.zeros(2) for k in ("train", "holdout", "pseudo")}
    empty |= {f"frequency/{k}": np.zeros((60, 60)) for k in ("pseudo", "holdout")}
    empty |= {"spectrum/edges": np.arange(1.0, 4), "spectrum/haplotypes": np.array(4), "linkage/edges": np.arange(3.0)}
    drawn = draw_genomes(empty, tmp_path)
    nobody = dict.fromkeys(("items/labels", "items/units", "correlation/names"), np.array(["-"]))
    drawn += draw_items(nobody | {"correlation/order": np.array([], int)}, None, tmp_path)
    nothing = dict.fromkeys(("points/names", "traits/names"), np.array(["-"]))
    drawn += draw_associations(nothing | {"traits/table": np.empty((0, 11))}, tmp_path, tmp_path / "manhattan")
    for name in drawn:
        assert "has no data" in (tmp_path / f"{name}.svg").read_text(encoding="utf-8"), name
    assert list((tmp_path / "manhattan").iterdir()) == []


def test_a_figure_without_data_is_left_out_of_the_page(tmp_path):
    style.drawn(lambda arrays: None, {}, tmp_path / "search.svg")
    style.drawn(lambda arrays: style.nothing("drawn"), {}, tmp_path / "learning_curve.svg")
    names = [figure["name"] for figure in pictures.by_section(tmp_path, tmp_path)["items"]]
    assert names == ["learning_curve"]


def test_private_training_curves_are_drawn_without_what_is_withheld(tmp_path):
    curve = pd.DataFrame({"epoch": [1, 2], "train_loss": np.nan, "validation_loss": [3.0, 2], "kl": np.nan, "trial": 0,
                          "round": 0, "chosen": 1})  # fmt: skip
    (tmp_path / "model").mkdir()
    curve.to_csv(tmp_path / "model" / "learning_curve.tsv", sep="\t", index=False)
    nobody = dict.fromkeys(("items/labels", "items/units", "correlation/names"), np.array(["-"]))
    draw_items(nobody | {"correlation/order": np.array([], int)}, tmp_path / "model", tmp_path)
    text = (tmp_path / "learning_curve.svg").read_text(encoding="utf-8")
    assert "families left out" in text
    assert "families trained on" not in text
    assert "not told" in text
    assert "has no data" in (tmp_path / "search.svg").read_text(encoding="utf-8")


def test_panels_and_heat_maps_are_headed_by_the_groups_of_items(run):
    for name in ("marginals", "correlation_heatmaps"):
        text = (run / "figures" / f"{name}.svg").read_text(encoding="utf-8")
        for group in ("blood chemistry", "physiology", "questionnaire", "disease"):
            assert f">{group}</text>" in text
    text = (run / "figures" / "marginals.svg").read_text(encoding="utf-8")
    order = ("blood chemistry", "Glucose", "physiology", "Height", "questionnaire", "Diet")
    heights = [float(re.search(rf'[ (-]([\d.]+)\)">{name}<', text).group(1)) for name in order]
    assert heights == sorted(set(heights))
