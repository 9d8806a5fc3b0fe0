"""The page: in both languages, without a network, readable by everybody, sortable and printable."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import yaml

import made_page
from pseudocohort.cohort.dictionary import Dictionary, Item, write_dictionary
from pseudocohort.measures.line import measure
from pseudocohort.report import pictures, words
from pseudocohort.report.page import write_page
from pseudocohort.report.tables import coded, number, rounded
from report_texts import texts

QUIET = re.compile(r"base64,[A-Za-z0-9+/=]+")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return made_page.write_pages(tmp_path_factory.mktemp("page"))


@pytest.fixture
def english(run):
    return QUIET.sub("", (run[0] / "en.html").read_text(encoding="utf-8"))


@pytest.fixture
def japanese(run):
    return QUIET.sub("", (run[0] / "ja.html").read_text(encoding="utf-8"))


def written(run, tmp_path, **more):
    """The English page of the same run with other files."""
    write_page(tmp_path / "page.html", **run[1] | more)
    return QUIET.sub("", (tmp_path / "page.html").read_text(encoding="utf-8"))


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

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_page_loads_nothing_and_names_every_picture(run, language):
    text = (run[0] / f"{language}.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    for tag, attributes in page.tags:
        for key in ("src", "href"):
            if key in attributes:
                assert attributes[key].startswith(("data:", "#")), (tag, attributes[key][:80])
        if tag == "img":
            assert len(attributes["alt"]) > 15
    bare = QUIET.sub("", text)
    for loading in ("http:", "https:", "url(", "@import", "//"):
        assert loading not in bare
    assert "default-src 'none'" in bare
    images = [a["src"] for tag, a in page.tags if tag == "img"]
    assert len(images) == len(pictures.listed()) + len(made_page.TRAITS)
    anchors = {a["href"][1:] for tag, a in page.tags if tag == "a"}
    assert anchors <= {a["id"] for _, a in page.tags if "id" in a}
    assert dict(page.tags)["html"]["lang"] == language
    heads = [a for tag, a in page.tags if tag == "th"]
    assert all(a.get("scope") in ("col", "row", "colgroup") for a in heads)


def test_first_screen_tells_verdicts_uses_and_what_is_never_kept_before_anything_else(english):
    order = ["300 people who never lived", "320 real founders", "Would an analysis give the answer", "misses goals",
             "Good for", "Not good for", "Never kept, whatever is measured", "gene-environment",
             "family designs", 'id="headline"', 'id="genomes"', 'id="items"', 'id="association"',
             'id="disclosure"', 'id="all"', 'id="provenance"']  # fmt: skip
    places = [english.index(text) for text in order]
    assert places == sorted(places)
    for word in ("✔ meets its goal", "✘ misses its goal", "? unclear (interval", "∅ not measurable", "– stated"):
        assert word in english
    light = re.search(r'<li class="beyond">(.*?)</li>', english, re.DOTALL)[1]
    assert "<svg" in light
    assert "Genomes: misses goals" in light


def test_page_claims_no_safety_withholds_the_seed_and_small_counts(english):
    assert "987654321" not in english
    assert "no evidence of privacy" in english
    assert not re.search(r"\b(safe|anonymous|anonymised)\b", english, re.IGNORECASE)
    assert '<th scope="row">parents outside the cohort</th><td>&lt; 5</td>' in english


def test_japanese_page_has_no_english_sentence(japanese):
    assert not re.search("匿名|安全である", japanese)
    shown = re.sub(r"<(script|style|pre|code)\b.*?</\1>", "", japanese, flags=re.DOTALL)
    shown = re.sub(r"<(details|div)[^>]*>\s*<summary>(設定|バージョン).*?</details>", "", shown, flags=re.DOTALL)
    told = [*re.findall(r">([^<>]+)<", shown), *re.findall(r'(?:alt|aria-label)="([^"]+)"', shown)]
    foreign = [text for text in told if re.search(r"[A-Za-z]{3,} [a-z]{2,}", text)]
    assert [text for text in foreign if "no ancestry" not in text] == []
    for text in ("疑似コホート", "目標を達成", "遺伝子・環境相互作用", "連鎖不平衡の減衰", "身長", "ノイズフロア",
                 "（対 0.535）", "生理機能検査"):  # fmt: skip
        assert text in japanese


def test_every_text_has_a_japanese_translation():
    there = words.translations("ja")
    assert {text: file for text, file in texts().items() if text not in there} == {}
    for text, other in there.items():
        fields = [sorted(re.findall(r"\{(\w+)", t)) for t in (text, other)]
        assert fields[0] == fields[1], text


def test_no_text_is_translated_twice():
    """YAML would keep the last one without a word."""
    path = Path(words.__file__).with_name("words.ja.yaml")
    keys = [key.value for key, _ in yaml.compose(path.read_text(encoding="utf-8")).value]
    assert sorted({key for key in keys if keys.count(key) > 1}) == []


def test_a_text_without_translation_stays_english_and_the_language_ends_with_its_block():
    with words.language("ja"):
        assert words.t("a text of no page") == "a text of no page"
        assert words.t("pseudo") != "pseudo"
    assert words.t("pseudo") == "pseudo"
    with pytest.raises(ValueError, match="language is 'fr', expected one of en, ja"), words.language("fr"):
        pass


def test_sentences_made_elsewhere_are_told_by_their_form():
    with words.language("ja"):
        assert words.told("fewer than 20 people have a value") == "値のある人が 20 人未満"
        sentence = "Sequential CART (cart) is no better than the network (cvae), which is simpler."
        assert words.told(sentence) == "逐次 CART（cart）は、より単純なネットワーク（cvae）より優れてはいない。"
        assert words.told("partial R 1.2 (1 to 1.5) for 1.1 (1 to 1.3)") == "偏相関 R 1.2 (1～1.5)（対 1.1 (1～1.3)）"
        for text in ("An unknown sentence.", "next to nothing of single sites", "from him to her"):
            assert words.told(text) == text
    assert words.told("fewer than 20 people have a value") == "fewer than 20 people have a value"


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_every_figure_has_a_caption_that_says_how_to_read_it(language):
    folder = made_page.CAPTIONS / ("" if language == "en" else language)
    for name, entry in pictures.listed().items():
        caption = " ".join((folder / f"{name}.rst").read_text(encoding="utf-8").split())
        assert re.search("How to read it" if language == "en" else "読み方|見方", caption), name
        assert len(entry["alt"][language]) > (40 if language == "en" else 20)
        assert entry["title"][language]
    assert (folder / "workflow.rst").exists()


def test_models_stand_beside_each_other_with_verdicts_in_words(english):
    table = english[english.index('<table id="models">') :].split("</table>")[0]
    rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
    assert len(rows) == 3
    assert "configured" in rows[1]
    assert "configured" not in rows[2]
    for text in ("0.543", "1.07", "0.500 to 0.600", "✔", "meets its goals"):
        assert text in rows[1]
    assert "A simpler model is as good here: sequential regression trees (CART)." in english
    assert "people trained on: conditional variational autoencoder, sequential" in english


def test_examples_use_only_what_the_pseudo_people_have(run, english, tmp_path):
    for text in ("~ age + sex, data", "--covar-name age", "--glm hide-covar sex --out"):
        assert text in english
    ageless = Dictionary(tuple(row for row in made_page.DICTIONARY.rows if row.role != "age"))
    write_dictionary(tmp_path / "dictionary.tsv", ageless)
    (tmp_path / "sexless.json").write_text(json.dumps({"people": {"sex": {"unknown": 400, "male": 0, "female": 0}}}))
    more = {"dictionary": tmp_path / "dictionary.tsv", "import_report": tmp_path / "sexless.json"}
    text = written(run, tmp_path, **more)
    assert "~ 1, data" in text
    assert "--covar" not in text
    assert "--glm hide-covar allow-no-covars --out" in text


def test_one_model_alone_has_no_table(run, tmp_path):
    one = made_page.MODELS | {"models": {"cvae": made_page.GOALS}, "as_good": []}
    (tmp_path / "models.json").write_text(json.dumps(one))
    assert '<table id="models">' not in written(run, tmp_path, models=tmp_path / "models.json")


def test_a_private_network_is_told_to_be_uncalibrated(run, tmp_path):
    private = {"calibrated": {"cvae": False, "cart": True}, "private": {"cvae": True, "cart": False}}
    (tmp_path / "models.json").write_text(json.dumps(made_page.MODELS | private))
    text = written(run, tmp_path, models=tmp_path / "models.json")
    assert "differentially private, not calibrated" in text
    assert "sequential regression trees (CART); not calibrated: conditional variational autoencoder." in text


def test_privacy_is_told_only_when_it_was_asked_for_and_never_without_its_limits(run, english, tmp_path):
    assert "ε =" not in english
    (tmp_path / "privacy.json").write_text(json.dumps(made_page.PRIVACY))
    text = written(run, tmp_path, model=tmp_path)
    for sentence in ("ε = 3, δ = 1e-06.", "The unit is one person.", "Accounted by PLD.", "The network&#39;s weights.",
                     "The pseudo genotypes, which carry real haplotypes."):  # fmt: skip
        assert sentence in text
    assert "no guarantee holds" not in text
    broken = made_page.PRIVACY | {"valid": False, "warnings": ["The seed stood in the configuration."]}
    (tmp_path / "privacy.json").write_text(json.dumps(broken))
    text = written(run, tmp_path, model=tmp_path)
    assert "δ = 1e-06: no guarantee holds." in text
    assert "The seed stood in the configuration." in text


def test_groups_of_items_have_a_table_of_their_ratios(english):
    table = english[english.index('id="by-group"') :].split("</table>")[0]
    assert re.findall(r'<th scope="row">([\w ]+)</th>', table) == ["physiology", "disease"]
    assert "distribution of single items" in table


@pytest.mark.parametrize(
    ("model", "told"),
    [("cvae", "by a neural network"), ("cart", "by regression trees"), ("marginal", "one by one, with")],
)
def test_page_says_which_model_made_the_items(run, model, told, tmp_path):
    given = yaml.safe_load(run[1]["run_config"].read_text())
    given["config"]["model"] = model
    (tmp_path / "run_config.yaml").write_text(yaml.safe_dump(given))
    text = written(run, tmp_path, run_config=tmp_path / "run_config.yaml")
    assert re.search(rf"3 items [\w ]*{told}", text)


def test_page_tells_the_chosen_settings_and_that_training_never_helped(english):
    assert "2 trials of settings. Chosen: hidden units 128, depth 2, latent size 4, learning rate 0.004." in english
    assert "No epoch of training was better" in english


def test_weights_are_told_with_unit_remarks_and_what_has_none(english):
    note = '<span class="note">the cases tell little of heritability and next to nothing of single sites</span>'
    assert f'Height<span class="note">SD of the rank score</span>{note}' in english
    assert "crp (all values are equal)" in english
    assert "The file states no ancestry." in english


def test_times_are_summed_by_rule_and_read_at_the_time_of_writing(run, english, tmp_path):
    table = english[english.index('id="timings"') :].split("</table>")[0]
    rows = re.findall(r"<code>(\w+)</code></th>(.*?)</tr>", table, re.DOTALL)
    assert [name for name, _ in rows] == ["import_chromosome", "weights"]
    assert re.findall(r">([\d.–]+)</td>", rows[0][1]) == ["2", "6", "7", "300"]
    assert re.findall(r">([\d.–]+)</td>", rows[1][1]) == ["1", "0", "0.100", "–"]
    assert 'id="timings"' not in written(run, tmp_path, benchmarks=tmp_path / "nothing")


def test_disclosure_says_which_evidence_there_is(run, english, tmp_path):
    assert "No attack has been run on this cohort." in english
    made_page.write_attacks(tmp_path)
    text = written(run, tmp_path, evidence=tmp_path / "disclosure")
    assert "No attack has been run" not in text
    part = text[text.index("<h3>Attacks on genomes</h3>") : text.index('<section id="all">')]
    assert "share of pseudo rows of items equal to a row trained on" in part
    rows = [re.sub(r"<[^>]+>", " ", row).split() for row in re.findall(r"<tr><th.*?</tr>", part, re.DOTALL)]
    found, failed = (next(r for r in rows if r[:2] == name.split()) for name in ("haplotype matching", "rare alleles"))
    assert [x for x in found if x[0] in "01"][:8] == [
        "0.830",
        "0.800",
        "0.860",
        "0.310",
        "0.200",
        "0.400",
        "0.660",
        "0.600",
    ]
    assert " ".join(found).endswith("0.970 passed 0.510 passed ✘ misses its goal")
    assert "0.490 failed 0.510 passed ∅ not measurable a control of this attack failed" in " ".join(failed)
    assert "<h3>What is not covered</h3>" in part


def test_lights_and_uses_name_what_is_missed_or_open(run, tmp_path):
    wide = [line | {"interval": [-9.0, 9.0]} if line["key"] in ("missing_rate", "worst_missing") else line
            for line in made_page.lines({"transfer": "unclear", "group_marginal": "beyond"})]  # fmt: skip
    paths = made_page.write_run(tmp_path / "run", wide)
    text = written(run, tmp_path, summary=paths["summary"])
    light = next(part for part in re.findall(r"<li class.*?</li>", text, re.DOTALL) if "Items: misses goals" in part)
    assert "(2 of them: interval reaches beyond)" in light
    assert re.search(r"Missed: [^<]*: distribution of single items", light)
    assert "Unclear: what is learnt on pseudo people" in light  # items and items by group are one light
    assert "Items by group:" not in text[: text.index('id="headline"')]
    uses = text[text.index('id="uses"') : text.index('id="headline"')]
    assert re.search(r"machine learning on items</b>[^·]*?\(unclear\)[^·]*?Unclear: what is learnt", uses)
    assert re.search(r"missing values</b>[^·]*?\(too few people to tell\)[^·]*?reaches beyond: missing values", uses)
    row = next(row for row in re.findall(r"<tr>.*?</tr>", text, re.DOTALL) if "worst single item by missing" in row)
    assert "✔ meets its goal (interval reaches beyond)" in row
    assert "✔ meets theory" in text
    assert "No copies of real people: meets its goals" in text


def test_privacy_is_not_proven_on_the_first_screen(english, japanese):
    for text, told in ((english, "no evidence of privacy"), (japanese, "プライバシーの根拠ではない")):
        assert told in text[: text.index('id="verdict"')]


def test_limits_tell_what_scores_and_distant_sites_are_worth(run, tmp_path):
    slope, far = measure("holdout_score_slope", 0.42968), measure("linkage_far", 3.7256, ratio=1.07)
    paths = made_page.write_run(tmp_path / "run", [slope, far])
    text = written(run, tmp_path, summary=paths["summary"])
    limits = text[text.index('<section id="limits">') : text.index('<section id="people">')]
    assert "effects of scores are 0.430 of those among the founders" in limits
    assert "Between 1 and 5 cM it is 3.73 times the real one." in limits


def test_relatives_of_the_pedigree_are_counted(run, tmp_path):
    line = measure("kinship_by_pedigree", 1.0, sibs=7, half_sibs=11, cousins=13, theory=1.0)
    paths = made_page.write_run(tmp_path / "run", [line])
    text = written(run, tmp_path, summary=paths["summary"])
    assert "no recorded relatives" in text
    assert "7 pairs of full sibs or nearer, 11 of half sibs or nearer, 13 of cousins or nearer" in text


def test_items_and_their_categories_are_told_by_their_labels(run, tmp_path):
    coded = Item(name="drink", type="nominal", group="questionnaire", label="Drinking", label_ja="飲酒",
                 categories=("a", "b"), category_labels=("Never", "Daily"))  # fmt: skip
    write_dictionary(tmp_path / "dictionary.tsv", Dictionary((*made_page.DICTIONARY.rows, coded)))
    lines = [measure("worst_marginal", 0.1, ratio=2.0, item="glucose"),
             measure("worst_category", 0.9, z=0.0, item="drink", category="a", categories=9, carriers=20)]  # fmt: skip
    paths = made_page.write_run(tmp_path / "run", lines)
    for language, told in (("en", ("Glucose", "Drinking = Never;")), ("ja", ("血糖", "飲酒 = なし；"))):
        more = {"summary": paths["summary"], "dictionary": tmp_path / "dictionary.tsv", "language": language}
        text = written(run, tmp_path, **more)
        assert all(f'<span class="note">{note}' in text for note in told)
    report = tmp_path / "import.json"
    report.write_text(json.dumps({"items": {"missing_by_reason": {"glucose": {"refused": 20}}}}))
    text = written(run, tmp_path, import_report=report)
    assert '<th scope="row">missing by reason: Glucose: refused</th><td>20</td>' in text


def test_texts_in_backticks_are_code_and_models_have_no_keys(english):
    bare = english[english.index("<body>") : english.index("<script>")]
    assert "`" not in re.sub(r"<pre>.*?</pre>", "", bare, flags=re.DOTALL)
    assert "where the dictionary says <code>not asked</code>" in bare
    assert "Sequential CART falls short of the network: classifier 0.979 for 0.535" in bare
    assert str(coded("a `<b>` & c")) == "a <code>&lt;b&gt;</code> &amp; c"


def test_hits_of_pseudo_people_are_those_scaled(run, tmp_path):
    table = tmp_path / "associations.tsv"
    table.write_text("trait\thits_real [count]\thits_synthetic [count]\thits_synthetic_scaled [count]\n"
                     "height\t7\t11\t8\n")  # fmt: skip
    text = written(run, tmp_path, associations=table)
    head, row = re.search(r'<table class="sortable" id="traits">(.*?)<tbody>(.*?)</tbody>', text, re.DOTALL).groups()
    assert re.findall(r'colspan="(\d)">(\w+)<', head) == [("2", "hits")]
    assert re.findall(r'class="n"[^>]*><button type="button">(\w+)<', head) == ["real", "pseudo"]
    assert re.findall(r">(\d+)</td>", row) == ["7", "8"]


def test_a_page_without_figures_escapes_what_it_is_told(run, tmp_path):
    found = made_page.line_of("group_marginal", "beyond", "a <group> & more")
    paths = made_page.write_run(tmp_path / "run", [found])
    text = written(run, tmp_path, summary=paths["summary"], figures=tmp_path)
    assert "Items: misses goals" in text
    assert "a &lt;group&gt; &amp; more" in text
    assert "<img" not in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (float("nan"), "–"), (0.98765, "0.988"), (1.0032, "1.00"), (42.0, "42"), (12345, "12,345"),
     (1.234e-5, "1.2e-05"), ("draw", "draw"), (True, "True")],
)  # fmt: skip
def test_numbers_are_short(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(2.8e-8, "0.000"), (-4.2e-5, "0.000"), (5e-4, "0.000500"), (0, "0"), (0.0, "0"), (None, "–"), (1.5, "1.50")],
)
def test_what_is_next_to_nothing_has_three_decimals(value, text):
    assert rounded(value) == text


def _colours(style, scheme):
    block = re.search(r":root \{(.*?)\}", style[style.index(scheme) :], re.DOTALL)[1]
    return dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))


def _luminance(colour):
    """WCAG 2.2, relative luminance."""
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.dot(np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4), [0.2126, 0.7152, 0.0722])


def contrast(one, other):
    """WCAG 2.2, contrast ratio of two colours."""
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_contrast_is_that_of_the_guidelines():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("scheme", [":root", "(prefers-color-scheme: dark)", "@media print"])
def test_texts_stand_out_from_their_ground(english, scheme):
    colours = _colours(english, scheme)
    for name in ("ink", "soft", "link", "within", "unclear", "beyond", "blank"):
        for ground in ("paper", "wash"):
            assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)
    for light in ("within", "unclear", "beyond"):
        assert contrast(colours[light], colours["on"]) >= 4.5
