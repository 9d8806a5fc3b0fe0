"""Texts of the figures of the associations: labels of the dictionary, units of effects."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from evaluation_cohort import TRAITS, leads_of, write_associations
from pseudocohort.evaluation.associations import evaluate_associations
from pseudocohort.report import words
from pseudocohort.report.figures_association import draw_associations

LABELS = {name: f"Label of {name[::-1]}" for name in TRAITS}


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    directories = write_associations(tmp_path_factory.mktemp("a"), np.random.default_rng(1))
    return evaluate_associations(directories, leads_of(directories), 1).arrays


def texts(path):
    return [t.text or "" for t in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")]


def heritability():
    return {"real": {"traits": {name: {"h2": 0.3, "h2_se": 0.1} for name in TRAITS}}}


def test_every_figure_names_traits_by_their_labels(arrays, tmp_path):
    names = draw_associations(arrays, tmp_path, tmp_path / "by", heritability(), LABELS)
    for name in names:
        told = " | ".join(texts(tmp_path / f"{name}.svg"))
        assert "Label of " in told, name
        assert not re.search("|".join(rf"\b{trait}\b" for trait in TRAITS), told), name
    for path in (tmp_path / "by").iterdir():
        assert LABELS[path.stem[3:]] in texts(path)


def test_traits_of_one_label_stay_two_and_those_without_keep_their_names(arrays, tmp_path):
    first, second, *_ = TRAITS
    draw_associations(arrays, tmp_path, tmp_path / "by", heritability(), {first: "Same", second: "Same"})
    told = texts(tmp_path / "lambda_gc.svg")
    assert {f"Same ({first})", f"Same ({second})", *TRAITS[2:]} <= set(told)


@pytest.mark.parametrize(("normalised", "unit"), [(True, "SD per allele"), (False, "own unit per allele")])
def test_effects_have_a_unit(arrays, tmp_path, normalised, unit):
    draw_associations(arrays, tmp_path, tmp_path / "by", None, LABELS, normalised)
    assert sum(unit in text for text in texts(tmp_path / "beta_beta.svg")) == 3
    with words.language("ja"):
        draw_associations(arrays, tmp_path, tmp_path / "by", None, LABELS, normalised)
    assert not any("allele" in text for text in texts(tmp_path / "beta_beta.svg"))
