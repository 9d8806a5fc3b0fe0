"""The notebook for trainees: kept without outputs, it runs on a cohort, and its GWAS is the workflow's."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from .conftest import ROOT

NOTEBOOK = ROOT / "resources/exercise.ipynb"


def code_cells(book: dict) -> list[dict]:
    return [cell for cell in book["cells"] if cell["cell_type"] == "code"]


def printed(book: dict) -> str:
    outputs = [out for cell in code_cells(book) for out in cell["outputs"]]
    return "".join(
        "".join(out["text"]) for out in outputs if out["output_type"] == "stream" and out["name"] == "stdout"
    )


@pytest.fixture(scope="module")
def executed(tiny, tmp_path_factory) -> dict:
    """The notebook with its outputs, run in a kernel of its own on the tiny cohort."""
    done = tmp_path_factory.mktemp("exercise") / "executed.ipynb"
    environment = os.environ | {"PSEUDO_COHORT": str(tiny / "results/synthetic"), "PYTHONWARNINGS": ""}
    command = [Path(sys.executable).with_name("jupyter-execute"), NOTEBOOK, f"--output={done}"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=done.parent, env=environment)
    assert run.returncode == 0, run.stderr[-3000:]
    return json.loads(done.read_text(encoding="utf-8"))


def test_no_outputs_are_kept_in_git():
    cells = code_cells(json.loads(NOTEBOOK.read_text(encoding="utf-8")))
    assert len(cells) > 20
    assert [cell for cell in cells if cell["outputs"] or cell["execution_count"] is not None] == []


def test_every_cell_runs_and_the_text_says_what_was_found(executed, tiny):
    assert all(cell["execution_count"] for cell in code_cells(executed))
    text = printed(executed)
    assert "120 pseudo people" in text
    assert "chromosomes 22, X" in text  # Y and MT are no part of it
    assert "height: " in text
    pictures = [out for cell in code_cells(executed) for out in cell["outputs"] if "image/png" in out.get("data", {})]
    assert len(pictures) == 8


def test_nothing_in_it_warns(executed):
    outputs = [out for cell in code_cells(executed) for out in cell["outputs"]]
    assert [out["text"] for out in outputs if out.get("name") == "stderr"] == []


def test_its_gwas_is_the_workflows(tiny, monkeypatch):
    """With the workflow's covariates, slopes and errors are those of the result file, to its six digits."""
    monkeypatch.setenv("PSEUDO_COHORT", str(tiny / "results/synthetic"))
    monkeypatch.setenv("MPLBACKEND", "agg")
    names: dict = {}
    for cell in code_cells(json.loads(NOTEBOOK.read_text(encoding="utf-8"))):
        source = "".join(cell["source"])
        if any(word in source for word in ("import allel", "home = next", "people = pd.read", "def read_", "def gwas")):
            exec(source, names)
    people = names["people"]
    covariates = pd.read_parquet(tiny / "results/synthetic/components.parquet").drop(columns="person")
    covariates["age"], covariates["age2"] = people["age"], (people["age"] - people["age"].mean()) ** 2
    covariates["male"] = (people["sex"] == "male").astype(float)
    covariates["stratum"] = (people["stratum"] == people["stratum"].iloc[0]).astype(float)
    assert people["stratum"].nunique() == 2
    mine = names["gwas"](names["normal_scores"](people["height"]), covariates, minimum_count=10).set_index("id")
    theirs = pd.read_csv(tiny / "results/association/synthetic/height.tsv.gz", sep="\t").set_index("variant_id")
    assert set(mine.index) == set(theirs.index)
    both = mine.join(theirs[["standard_error", "neg_log_10_p_value"]].assign(slope=theirs["beta"]))
    assert len(both) > 100
    np.testing.assert_allclose(both["beta"], both["slope"], rtol=1e-5, atol=1e-5 * both["se"].min())
    np.testing.assert_allclose(both["se"], both["standard_error"], rtol=1e-5)
    np.testing.assert_allclose(both["log10p"], both["neg_log_10_p_value"], rtol=1e-4, atol=1e-5)
