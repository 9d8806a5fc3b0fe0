"""The page in headless Chromium: no errors, no requests, sorted tables, a chosen trait, print, a telephone."""

import json
import shutil
import subprocess

import numpy as np
import pytest

import browser
import made_page
from pseudocohort.measures.line import measure
from pseudocohort.report import pictures, words
from pseudocohort.report.page import write_page
from pseudocohort.report.tables import COMPARED

pytestmark = pytest.mark.skipif(browser.CHROMIUM is None, reason="chromium is not installed")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return made_page.write_pages(tmp_path_factory.mktemp("page"))


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_a_browser_draws_the_page_without_errors_or_requests(run, language, tmp_path):
    page = run[0] / f"{language}.html"
    script = """{requests: performance.getEntriesByType('resource').map(e => e.name).filter(n => !/^data:/.test(n)),
      broken: Array.from(document.images).filter(i => i.complete && !i.naturalWidth).length,
      images: document.images.length, lang: document.documentElement.lang,
      wide: document.documentElement.scrollWidth <= innerWidth, title: document.title}"""
    found, console = browser.found(page, tmp_path, script, "--window-size=1280,900")
    assert console == ""
    assert found["requests"] == []
    assert found["broken"] == 0
    assert found["images"] == len(pictures.listed()) + len(made_page.TRAITS)
    assert found["lang"] == language
    assert found["wide"]
    planted = tmp_path / "planted.html"
    planted.write_text(
        page.read_text(encoding="utf-8").replace("</main>", '<img src="http://127.0.0.1:9/x.png"></main>')
    )
    assert "Content Security Policy" in browser.opened(planted, tmp_path, "--dump-dom")[1]


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_table_of_models_fits_its_page(run, language, tmp_path):
    wide = {key: measure(key, 0.1234, ratio=1.234, interval=(1.111, 1.333)) for key in COMPARED}
    models = made_page.MODELS | {"models": dict.fromkeys(("cvae", "cart", "marginal"), wide), "private": {"cvae": True}}
    (tmp_path / "models.json").write_text(json.dumps(models))
    write_page(tmp_path / "page.html", **run[1] | {"models": tmp_path / "models.json"}, language=language)
    script = "(function (t) { return [t.parentNode.scrollWidth, t.parentNode.clientWidth, t.rows[0].cells.length]; })"
    seen, _ = browser.found(tmp_path / "page.html", tmp_path, f"{script}(document.getElementById('models'))",
                            "--window-size=1200,900")  # fmt: skip
    assert seen[0] <= seen[1] <= 1200
    assert seen[2] == 1 + len(COMPARED)


SORT = """(function () {
  var heads = document.querySelectorAll('#traits th button'), rows = () => Array.from(
    document.querySelectorAll('#traits tbody tr')).map(r => r.dataset.name), seen = {};
  seen.before = rows();
  function press(i) { heads[i].focus(); seen.focus = document.activeElement === heads[i]; heads[i].click();
    return [rows(), heads[i].parentNode.getAttribute('aria-sort'),
      document.querySelectorAll('#traits [aria-sort]').length]; }
  seen.hits = press(4); seen.down = press(4); seen.lambda = press(3); seen.name = press(0); return seen; })()"""


def test_tables_sort_by_number_and_name_and_say_so(run, tmp_path):
    seen, _ = browser.found(run[0] / "en.html", tmp_path, SORT)
    assert seen["before"] == ["height", "glucose", "diabetes"]
    assert seen["focus"]
    assert seen["hits"] == [["height", "glucose", "diabetes"], "ascending", 1]  # 9, 10, 100: as numbers
    assert seen["down"] == [["diabetes", "glucose", "height"], "descending", 1]
    assert seen["lambda"] == [["glucose", "height", "diabetes"], "ascending", 1]  # no number: last
    assert seen["name"] == [["diabetes", "glucose", "height"], "ascending", 1]


CHOOSE = """(function () {
  var select = document.getElementById('trait'), shown = () => Array.from(document.querySelectorAll('img.trait'))
    .map(i => !i.hidden), marked = () => document.querySelector('#traits tr[aria-current]').dataset.name;
  var before = [shown(), marked()]; select.value = '2'; select.dispatchEvent(new Event('change'));
  return {before: before, after: [shown(), marked()],
    options: Array.from(select.options).map(o => o.textContent)}; })()"""


@pytest.mark.parametrize(
    ("language", "names"), [("en", ["Height", "Glucose", "Diabetes"]), ("ja", ["身長", "血糖", "糖尿病"])]
)
def test_a_trait_is_chosen(run, language, names, tmp_path):
    seen, _ = browser.found(run[0] / f"{language}.html", tmp_path, CHOOSE)
    assert seen["before"] == [[True, False, False], "height"]
    assert seen["after"] == [[False, False, True], "diabetes"]
    assert seen["options"] == names


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_page_fits_a_telephone(run, language, tmp_path):
    script = "{wide: d.documentElement.scrollWidth, h1: d.querySelector('h1').getBoundingClientRect().right}"
    seen = browser.narrow(run[0] / f"{language}.html", tmp_path, script, 360)
    assert seen["wide"] <= 360
    assert 100 < seen["h1"] <= 360


def test_verdicts_stand_on_a_telephones_screen(run, tmp_path):
    script = """{right: Math.max(...Array.from(d.querySelectorAll('#headline td.verdict'))
      .map(v => v.getBoundingClientRect().right)), rows: d.querySelectorAll('#headline tbody tr').length}"""
    seen = browser.narrow(run[0] / "en.html", tmp_path, script, 360)
    assert seen["rows"] > 5
    assert 50 < seen["right"] <= 360


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext is not installed")
def test_print_has_every_table_and_opens_what_is_closed(run, tmp_path):
    browser.opened(run[0] / "en.html", tmp_path, "--no-pdf-header-footer", f"--print-to-pdf={tmp_path}/page.pdf")
    command = ["pdftotext", "-layout", f"{tmp_path}/page.pdf", "-"]
    text = " ".join(subprocess.run(command, capture_output=True, check=True, text=True).stdout.split())
    assert "numpy 2.4" in text  # the closed details of the versions
    for cell in ("import_chromosome", "2 trials of settings", "1.25", "monomorphic 10", "generations"):
        assert cell in text
    last = text[text.index("allele frequency at common sites") :]
    assert last.count("meets its goal") > 50
    pages = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split("\f")
    assert sum(page.lstrip().startswith("measure ") for page in pages) >= 2  # heads stand on every page of a table


def test_screenshot_has_text_lights_and_pictures(run, tmp_path):
    from PIL import Image

    browser.opened(run[0] / "en.html", tmp_path, "--window-size=1100,1600", f"--screenshot={tmp_path}/page.png")
    with Image.open(tmp_path / "page.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert pixels.shape[:2] == (1600, 1100)
    for colour in ((29, 106, 61), (122, 82, 0), (163, 33, 26)):
        assert (np.abs(pixels[:900] - colour).sum(axis=2) < 12).sum() > 300, "a light of each kind on the first screen"
