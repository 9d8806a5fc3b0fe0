"""Figures and page: drawn from made-up results, self-contained, with texts for every picture, and rendered."""

import base64
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from evaluation_cohort import (
    DICTIONARY,
    TRAITS,
    make_items,
    make_people,
    make_scores,
    pseudo_frame,
    shuffled,
    write_associations,
    write_genomes,
)
from pseudocohort import counter
from pseudocohort.cohort.dictionary import Dictionary, write_dictionary
from pseudocohort.evaluation.associations import evaluate_associations
from pseudocohort.evaluation.genomes import evaluate_genomes
from pseudocohort.evaluation.items import evaluate_items
from pseudocohort.evaluation.metrics import load_arrays, load_metrics, metric, save_arrays, save_metrics
from pseudocohort.genome.drift import expectation
from pseudocohort.genome.founders import pseudo_people
from pseudocohort.report import page, style
from pseudocohort.report.figures_association import draw_associations
from pseudocohort.report.figures_genomes import draw_genomes
from pseudocohort.report.figures_items import draw_items
from pseudocohort.report.page import FIGURES, number, write_page

CAPTIONS = Path(__file__).parents[2] / "workflow" / "report"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A whole made-up run: metrics, arrays, figures, page."""
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
    results["associations"] = evaluate_associations(write_associations(folder / "association", rng), 1)
    for name, (lines, arrays) in results.items():
        save_metrics(folder / f"{name}.json", lines)
        save_arrays(folder / f"{name}.npz", arrays)
    write_model(folder / "model")
    draw(folder, folder / "figures")
    save_metrics(folder / "summary.json", load_metrics([folder / f"{name}.json" for name in results]))
    write_page(folder / "report.html", **inputs(folder))
    return folder


def write_model(folder):
    """Two trials of a search, the second chosen, and a statement on privacy."""
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


PRIVACY = {
    "epsilon": 3.0, "delta": 1e-6, "clip": 1.0, "noise_multiplier": 2.61, "sampling_rate": 0.064,
    "expected_batch": 256.0, "steps": 1000, "people": 4000, "unit": "The unit is one person.",
    "accountant": "Accounted by PLD.", "valid": True, "covers": ["The network's weights."],
    "does_not_cover": ["The choice of the settings."], "warnings": [],
}  # fmt: skip


def compared_models(c2st: float) -> dict:
    """results/evaluation/models.json of two models."""
    goals = {"c2st": metric("items", "AUC", c2st, interval=(0.5, 0.6), goal="≤ 0.55, or so", within=c2st <= 0.55),
             "correlation": metric("items", "correlation", 0.1, ratio=1.074, goal="R ≤ 1.1", within=True)}  # fmt: skip
    return {"chosen": "cvae", "calibrated": {"cvae": True, "cart": True},
            "private": {"cvae": False, "cart": False}, "models": {"cvae": goals, "cart": goals}, "as_good": ["cart"],
            "note": "Trees do as well on this table."}  # fmt: skip


def draw(folder, figures):
    names = draw_genomes(load_arrays(folder / "genomes.npz"), figures)
    names += draw_items(load_arrays(folder / "items.npz"), folder / "model", figures)
    return names + draw_associations(load_arrays(folder / "associations.npz"), figures, figures / "manhattan")


def inputs(folder):
    write_dictionary(folder / "dictionary.tsv", DICTIONARY)
    reports = {
        "import_report": {
            "people": {"people": 400, "sex": {"male": 200, "female": 200}, "parts": {"train": 320, "A": 40, "B": 40}},
            "items": {"rows": 400, "constant": []},
            "chromosomes": [{"chromosome": "21", "sites_read": 410, "sites_kept": 400, "dropped": {"monomorphic": 10}}],
        },
        "weights": {
            "traits": [
                {
                    "trait": "height",
                    "method": "draw",
                    "scale": "SD of the rank score",
                    "n": 320,
                    "hits": 2,
                    "h2": 0.31,
                    "h2_se": 0.05,
                    "note": "320 people tell little",
                }
            ],
            "left_out": [{"trait": "crp", "reason": "all values are equal"}],
            "scoring_files": [
                {
                    "trait": "height",
                    "score": "PGS000001",
                    "positions": "harmonised",
                    "build": "GRCh38",
                    "rows": 1000,
                    "matched": 700,
                    "overlap": 0.7,
                    "overlap_of_variance": 0.74,
                    "warnings": ["The file states no ancestry."],
                }
            ],
        },
    }
    for name, content in reports.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    config = {
        "chromosomes": ["21", "22"],
        "seed": 987654321,
        "people": 300,
        "generations": 5,
        "input": {"samples": None},
    }
    (folder / "run_config.yaml").write_text(yaml.safe_dump({"config": config, "versions": {"numpy": "2.4"}}))
    (folder / "models.json").write_text(json.dumps(compared_models(0.543)))
    paths = {name: folder / f"{name}.json" for name in ("summary", "import_report", "weights", "models")}
    paths["model"] = folder / "model"
    return paths | {"figures": folder / "figures", "captions": CAPTIONS, "dictionary": folder / "dictionary.tsv",
                    "run_config": folder / "run_config.yaml"}  # fmt: skip


class Page(HTMLParser):
    """Tags with their attributes, and whether every tag that needs it was closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_every_figure_is_an_svg_under_a_megabyte_with_titles_and_axes(run):
    for name, _, _, _ in FIGURES:
        path = run / "figures" / f"{name}.svg"
        text = path.read_text()
        ElementTree.fromstring(text)
        assert path.stat().st_size < 1e6
        assert text.count("<text") > 5, f"{name} has hardly any text"
        assert "has no data" not in text
    assert len(list((run / "figures" / "manhattan").glob("*.svg"))) == len(TRAITS)


def test_figures_are_the_same_bytes_every_time(run, tmp_path):
    for name in draw(run, tmp_path):
        assert (tmp_path / f"{name}.svg").read_bytes() == (run / "figures" / f"{name}.svg").read_bytes()


def test_page_loads_nothing_and_names_every_picture(run):
    text = (run / "report.html").read_text()
    page = Page(text)
    assert page.open == []
    for tag, attributes in page.tags:
        for key in ("src", "href"):
            if key in attributes:
                assert attributes[key].startswith(("data:", "#")), (tag, attributes[key][:80])
        assert tag != "script" or "src" not in attributes
        if tag == "img":
            assert len(attributes["alt"]) > 20
    bare = re.sub(r"base64,[A-Za-z0-9+/=]+", "", text)
    assert "http" not in bare
    assert "url(" not in bare
    assert "@import" not in bare
    pictures = [a["src"] for tag, a in page.tags if tag == "img"]
    assert len(pictures) == len(FIGURES) + len(TRAITS)
    for picture in pictures:
        assert b'href="http' not in base64.b64decode(picture.split(",", 1)[1])
    anchors = {a["href"][1:] for tag, a in page.tags if tag == "a"}
    assert anchors <= {a["id"] for _, a in page.tags if "id" in a}
    assert len(text) < 15e6


def test_page_tells_verdicts_without_colour_withholds_the_seed_and_claims_no_safety(run):
    text = (run / "report.html").read_text()
    bare = re.sub(r"base64,[A-Za-z0-9+/=]+", "", text)
    assert "987654321" not in bare
    assert "✔ meets its goal" in bare
    assert "no evidence of privacy" in bare
    assert not re.search(r"\b(safe|anonymous)\b", bare)
    assert "320 real founders" in bare
    assert "crp (all values are equal)" in bare
    assert "The file states no ancestry." in bare
    for line in load_metrics([run / "summary.json"]):
        assert line["metric"].split("|")[0].split("`")[0].split("'")[0].split("<")[0][:25] in bare
    assert not re.search(r">R\d+<", bare), "a real person's id"


def test_table_of_weights_is_narrow_and_limits_name_no_measure_that_the_page_has(run):
    text = (run / "report.html").read_text()
    notes = '<span class="note">SD of the rank score</span><span class="note">320 people tell little</span></td>'
    assert notes in text
    limits = re.search(r"<h3>Not measured in this version</h3>\s*<p>(.*?)</p>", text, re.DOTALL).group(1)
    assert "heritability" not in limits
    assert "LD score regression" not in limits


def test_every_figure_has_a_caption_that_says_how_to_read_it(run):
    for name, _, _, alt in FIGURES:
        caption = " ".join((CAPTIONS / f"{name}.rst").read_text().split())
        assert "How to read it" in caption
        assert len(alt) > 40
    assert (CAPTIONS / "workflow.rst").exists()


def test_figures_say_so_when_there_is_nothing_to_draw(tmp_path):
    empty = {f"spectrum/{k}": np.zeros(2) for k in ("train", "holdout", "pseudo")}
    empty |= {f"frequency/{k}": np.zeros((60, 60)) for k in ("pseudo", "holdout")}
    empty |= {"spectrum/edges": np.arange(1.0, 4), "spectrum/haplotypes": np.array(4), "linkage/edges": np.arange(3.0)}
    draw_genomes(empty, tmp_path)
    nobody = dict.fromkeys(("items/labels", "items/units", "correlation/names"), np.array(["-"]))
    draw_items(nobody | {"correlation/order": np.array([], int)}, None, tmp_path)
    nothing = dict.fromkeys(("points/names", "traits/names"), np.array(["-"]))
    draw_associations(nothing | {"traits/table": np.empty((0, 11))}, tmp_path, tmp_path / "manhattan")
    for name, _, _, _ in FIGURES:
        assert "has no data" in (tmp_path / f"{name}.svg").read_text()
    assert list((tmp_path / "manhattan").iterdir()) == []


def test_page_of_a_run_without_figures_or_with_a_missed_goal(run, tmp_path):
    paths = inputs(run) | {"figures": tmp_path}
    save_metrics(
        tmp_path / "summary.json", [metric("items", "a <measure> & more", 2.0, ratio=2.0, goal="R ≤ 1", within=False)]
    )
    write_page(tmp_path / "report.html", **paths | {"summary": tmp_path / "summary.json"})
    text = (tmp_path / "report.html").read_text()
    assert "✘ Items" in text
    assert "a &lt;measure&gt; &amp; more" in text


def test_examples_use_only_what_the_pseudo_people_have(run):
    paths = inputs(run)
    write_page(run / "examples.html", **paths)
    text = (run / "examples.html").read_text()
    assert "~ age + sex, data" in text
    assert "--covar-name age" in text
    assert "--glm hide-covar sex --out" in text
    ageless = Dictionary(tuple(row for row in DICTIONARY.rows if row.role != "age"))
    write_dictionary(run / "ageless.tsv", ageless)
    (run / "sexless.json").write_text(json.dumps({"people": {"sex": {"unknown": 400, "male": 0, "female": 0}}}))
    paths |= {"dictionary": run / "ageless.tsv", "import_report": run / "sexless.json"}
    write_page(run / "examples.html", **paths)
    text = (run / "examples.html").read_text()
    assert "~ 1, data" in text
    assert "--covar" not in text
    assert "--glm hide-covar allow-no-covars --out" in text


def test_models_stand_beside_each_other_with_the_sentence_that_a_simpler_one_is_as_good(run, tmp_path):
    text = (run / "report.html").read_text()
    table = text[text.index('<table id="models">') :].split("</table>")[0]
    rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
    assert len(rows) == 3
    assert "configured" in rows[1]
    assert "configured" not in rows[2]
    assert "0.543" in rows[1]
    assert "1.07" in rows[1]
    assert "0.500 to 0.600" in rows[1]
    assert "A simpler model is as good here: sequential regression trees (CART)." in text
    assert "Trees do as well on this table." in text
    paths = inputs(run)
    one = compared_models(0.6)
    del one["models"]["cart"]
    (tmp_path / "models.json").write_text(json.dumps(one | {"as_good": []}))
    write_page(tmp_path / "report.html", **paths | {"models": tmp_path / "models.json"})
    assert '<table id="models">' not in (tmp_path / "report.html").read_text()


def test_a_private_network_is_told_to_be_uncalibrated(run, tmp_path):
    assert "people trained on: conditional variational autoencoder, sequential" in (run / "report.html").read_text()
    private = {"calibrated": {"cvae": False, "cart": True}, "private": {"cvae": True, "cart": False}}
    (tmp_path / "models.json").write_text(json.dumps(compared_models(0.6) | private))
    write_page(tmp_path / "report.html", **inputs(run) | {"models": tmp_path / "models.json"})
    text = (tmp_path / "report.html").read_text()
    first = re.findall(r"<tr>(.*?)</tr>", text[text.index('<table id="models">') :].split("</table>")[0], re.DOTALL)[1]
    assert "differentially private, not calibrated" in first
    told = "people trained on: sequential regression trees (CART); not calibrated: conditional variational autoencoder."
    assert told in text


def test_page_tells_why_two_differences_of_correlations_differ_and_what_age_loses(run):
    text = (run / "report.html").read_text()
    assert "told here against a half of the holdout" in text
    assert "sharp thresholds in age" in text


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_table_of_models_fits_its_page(run, tmp_path):
    wide = {key: metric("items", key, 0.1234, ratio=1.234, interval=(1.111, 1.333), goal="0.97 to 1.03", within=True)
            for key in page.COMPARED}  # fmt: skip
    report = compared_models(0.5) | {"models": dict.fromkeys(("cvae", "cart", "marginal"), wide)}
    (tmp_path / "models.json").write_text(json.dumps(report | {"private": {"cvae": True}}))
    write_page(tmp_path / "page.html", **inputs(run) | {"models": tmp_path / "models.json", "figures": tmp_path})
    text = (tmp_path / "page.html").read_text()
    script = "<script>var t = document.getElementById('models'), s = t.parentNode;"
    script += "document.title = 'widths ' + s.scrollWidth + ' ' + s.clientWidth;</script></body>"
    (tmp_path / "page.html").write_text(text.replace("</body>", script))
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
         f"--user-data-dir={tmp_path}/profile", "--proxy-server=127.0.0.1:9", "--window-size=1200,900", "--dump-dom",
         f"file://{tmp_path}/page.html"], check=True, capture_output=True, text=True, timeout=120)  # fmt: skip
    needed, given = map(int, re.search(r"<title>widths (\d+) (\d+)</title>", done.stdout).groups())
    assert needed <= given <= 1200


def test_groups_of_items_have_a_table_of_their_ratios(run):
    text = (run / "report.html").read_text()
    table = text[text.index('id="groups"') :].split("</table>")[0]
    rows = dict(re.findall(r"<tr><td>([\w ]+)</td>(.*?)</tr>", table))
    assert list(rows) == ["blood chemistry", "physiology", "questionnaire", "disease"]
    lines = {m["metric"]: m["ratio"] for m in load_metrics([run / "summary.json"])}
    assert number(lines["physiology: distribution of single items"]) in rows["physiology"]
    assert number(lines["questionnaire: correlations within"]) in rows["questionnaire"]
    assert "–" in rows["disease"]  # a single item has no correlations within


@pytest.mark.parametrize(("model", "words"), [("cvae", "by a neural network"), ("marginal", "drawn one by one, with")])
def test_page_says_which_model_made_the_items(run, model, words, tmp_path):
    paths = inputs(run)
    config = yaml.safe_load(paths["run_config"].read_text())
    config["config"]["model"] = model
    (tmp_path / "run_config.yaml").write_text(yaml.safe_dump(config))
    write_page(tmp_path / "report.html", **paths | {"run_config": tmp_path / "run_config.yaml"})
    assert f"10 items {words}" in (tmp_path / "report.html").read_text()


def test_page_tells_the_chosen_settings_and_that_training_never_helped(run):
    text = (run / "report.html").read_text()
    assert "2 trials of settings. Chosen: hidden units 128, depth 2, latent size 4, learning rate 0.004." in text
    assert "No epoch of training was better" in text


def test_privacy_is_told_only_when_it_was_asked_for_and_never_without_its_limits(run, tmp_path):
    assert "ε =" not in (run / "report.html").read_text()
    paths = inputs(run) | {"model": tmp_path}
    (tmp_path / "privacy.json").write_text(json.dumps(PRIVACY))
    write_page(tmp_path / "report.html", **paths)
    text = (tmp_path / "report.html").read_text()
    for sentence in ("ε = 3, δ = 1e-06.", "The unit is one person.", "Accounted by PLD.", "The network&#39;s weights.",
                     "The choice of the settings."):  # fmt: skip
        assert sentence in text
    assert "no guarantee holds" not in text
    broken = PRIVACY | {"valid": False, "warnings": ["The seed stood in the configuration."]}
    (tmp_path / "privacy.json").write_text(json.dumps(broken))
    write_page(tmp_path / "report.html", **paths)
    text = (tmp_path / "report.html").read_text()
    assert "δ = 1e-06: no guarantee holds." in text
    assert "The seed stood in the configuration." in text


def test_private_training_curves_are_drawn_without_what_is_withheld(tmp_path):
    curve = pd.DataFrame({"epoch": [1, 2], "train_loss": np.nan, "validation_loss": [3.0, 2], "kl": np.nan, "trial": 0,
                          "round": 0, "chosen": 1})  # fmt: skip
    (tmp_path / "model").mkdir()
    curve.to_csv(tmp_path / "model" / "learning_curve.tsv", sep="\t", index=False)
    nobody = dict.fromkeys(("items/labels", "items/units", "correlation/names"), np.array(["-"]))
    draw_items(nobody | {"correlation/order": np.array([], int)}, tmp_path / "model", tmp_path)
    text = (tmp_path / "learning_curve.svg").read_text()
    assert "families left out" in text
    assert "families trained on" not in text
    assert "not told" in text
    assert "has no data" in (tmp_path / "search.svg").read_text()


def test_panels_and_heat_maps_are_headed_by_the_groups_of_items(run):
    for name in ("marginals", "correlation_heatmaps"):
        text = (run / "figures" / f"{name}.svg").read_text()
        for group in ("blood chemistry", "physiology", "questionnaire", "disease"):
            assert f">{group}</text>" in text
    text = (run / "figures" / "marginals.svg").read_text()
    order = ("blood chemistry", "Glucose", "physiology", "Height", "questionnaire", "Diet")
    heights = [float(re.search(rf'[ (-]([\d.]+)\)">{name}<', text).group(1)) for name in order]
    assert heights == sorted(set(heights))


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.98765, "0.988"), (1.0032, "1.00"), (42.0, "42"), (12345, "12,345"), (1.234e-5, "1.2e-05"),
     ("draw", "draw"), (True, "True")],
)  # fmt: skip
def test_numbers_are_short(value, text):
    assert number(value) == text


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_page_is_rendered_by_a_browser_without_network(run, tmp_path):
    from PIL import Image

    subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--hide-scrollbars", f"--user-data-dir={tmp_path}/profile", "--proxy-server=127.0.0.1:9",
         "--window-size=1100,9000", f"--screenshot={tmp_path}/page.png", f"file://{run}/report.html"],
        check=True, capture_output=True, timeout=120)  # fmt: skip
    with Image.open(tmp_path / "page.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape[:2] == (9000, 1100)
    assert len(np.unique(pixels[:1000].reshape(-1, 3), axis=0)) > 50  # text and colours on the first screen
    orange = (np.abs(pixels.astype(int) - [217, 95, 2]).sum(axis=2) < 30).sum()
    assert orange > 2000, "the pseudo cohort's colour is in the figures"


def test_a_figure_without_data_is_left_out_of_the_page(tmp_path):
    style.drawn(lambda arrays: None, {}, tmp_path / "search.svg")
    style.drawn(lambda arrays: style.nothing("drawn"), {}, tmp_path / "learning_curve.svg")
    names = [figure["name"] for figure in page._figures(tmp_path, tmp_path)["items"]]
    assert names == ["learning_curve"]
