"""Models of the items in the workflow: reused for more people, compared, and refused with dp where not private."""

import json
import os

import pandas as pd
import pytest

from .conftest import ROOT, Run

TRAINED = "Train the model of the items"
DRAWN = "Pseudo phenotypes from the pseudo genomes' scores"


def plan(run, *targets, **changes):
    """What Snakemake says it would do in the directory of a run under a changed configuration; nothing is done."""
    kept = run.config
    run.config = kept | changes
    run.write_config()
    try:
        done = run.snakemake("-n", *targets)
    finally:
        run.config = kept
        run.write_config()
    return done.stdout + done.stderr


@pytest.mark.parametrize("changes", [{"people": 150}, {"generations": 3}, {"mating": "random"}, {"calibrate": False}])
def test_more_pseudo_people_come_from_the_same_model(tiny, changes):
    planned = plan(tiny, "results/synthetic/phenotypes.parquet", **changes)
    assert DRAWN in planned
    assert TRAINED not in planned


def test_another_model_is_trained_and_what_is_compared_changes_nothing(tiny):
    target = "results/synthetic/phenotypes.parquet"
    assert TRAINED in plan(tiny, target, model="cart")
    assert TRAINED in plan(tiny, target, network={"epochs": 9, "hidden": 16})
    assert "Nothing to be done" in plan(tiny, target, compare_models=[])


def test_models_are_compared_and_their_training_is_not_kept(tiny):
    found = json.loads((tiny / "results/evaluation/models.json").read_text())
    assert found["chosen"] == "cvae"
    assert list(found["models"]) == ["cvae", "cart", "marginal"]
    assert found["note"]
    assert not (tiny / "results/real/models").exists() or not list((tiny / "results/real/models").iterdir())
    assert not (tiny / "results/real/network_checkpoint").exists()
    pseudo = pd.read_parquet(tiny / "results/synthetic/phenotypes.parquet")
    for name in ("cart", "marginal"):
        other = pd.read_parquet(tiny / f"results/comparison/{name}.parquet")
        assert list(other.columns) == list(pseudo.columns)
        assert other["person"].tolist() == pseudo["person"].tolist()
        assert other["age"].tolist() == pseudo["age"].tolist()


def test_dp_with_a_model_without_it_is_refused(tiny):
    assert "dp is set, but the model is cart" in plan(tiny, model="cart", dp={"epsilon": 3})


def test_a_part_of_the_run_does_not_name_results_of_an_earlier_one(tmp_path):
    run = Run(tmp_path)
    (tmp_path / "results").mkdir()
    report = tmp_path / "results/report.html"
    report.write_text("old")
    os.utime(report, (1e9, 1e9))
    done = run.snakemake("results/run_config.yaml")
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "results/run_config.yaml").exists()
    assert "The pseudo cohort:" not in done.stdout + done.stderr


@pytest.mark.parametrize(("dp", "wanted"), [(None, ["cvae", "cart"]), ({"epsilon": 3}, ["cart"])])
def test_a_private_network_is_not_called_calibrated(tmp_path, dp, wanted):
    run = Run(tmp_path, dp=dp)
    rules = (ROOT / "workflow/rules/common.smk").read_text()
    told = {"config": run.config, "__name__": "rules"}
    start = rules.index("def private_models")
    exec(rules[start : rules.index("def secrets")], told)  # functions of a Snakefile cannot be imported
    assert told["calibrated_models"]() == wanted
