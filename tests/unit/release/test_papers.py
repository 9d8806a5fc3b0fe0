"""Datasheet, export request, page of the gate, bill of materials."""

import json

import pytest

from pseudocohort.release import documents
from release_run import (
    FACTS,
    RELEASE,
    asked,
)


def test_the_papers_tell_the_facts_and_escape_what_the_owner_wrote():
    release = RELEASE | {"title": "<script>alert(1)</script> | a_b_"}
    told = documents.papers(FACTS | {"release": release, "files": [{"name": "a", "size": 5, "sum": "f" * 64}],
                                     "size": 1234567, "gate": "0" * 64})  # fmt: skip
    assert "<script>" not in "".join(text for name, text in told.items() if name.endswith(".html"))
    assert "1,200 people" in told["datasheet.en.md"]
    assert "1,200 名" in told["datasheet.ja.md"]
    assert "1.2 MB" in told["export_request.en.md"]
    assert "auc: ≤ 0.7" in told["export_request.en.md"]
    assert "署名" in told["export_request.ja.html"]
    assert "<table>" in told["export_request.ja.html"]
    for text in told.values():
        assert not set(text.lower().split()) & {"safe", "anonymous", "anonymised", "anonymized"}


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_page_of_the_gate_says_what_to_do(results, language):
    answer = asked(results, seed_is_known=True)
    text = documents.gate_text(answer, language)
    assert documents.check_texts()["seed"][f"remedy_{language}"] in text
    assert ("Evidence incomplete" in text) == (language == "en")
    assert "✘" in documents.page(text, "Gate", language)


def test_every_check_has_a_name_and_a_remedy_in_both_languages(results):
    keys = {check["check"] for check in asked(results)["checks"]}
    assert keys == set(documents.check_texts())
    for texts in documents.check_texts().values():
        assert set(texts) == {"en", "ja", "remedy_en", "remedy_ja"}


def test_the_bill_of_materials_names_what_is_installed():
    import importlib.metadata

    from pseudocohort.release.bill import bill_of_materials

    bill = json.loads(bill_of_materials("2026-01-02"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    named = {c["name"]: c["version"] for c in bill["components"]}
    assert named["numpy"] == importlib.metadata.version("numpy")
    assert bill == json.loads(bill_of_materials("2026-01-02"))
    assert all(c["purl"] == f"pkg:pypi/{c['name']}@{c['version']}" for c in bill["components"])
