"""A tiny demo cohort, run once for all workflow tests, and a runner that returns what Snakemake said."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from .released import few_items, loose_goals, rename_people

ROOT = Path(__file__).parents[2]

TINY = {
    "chromosomes": ["22", "X", "Y", "MT"],
    "seed": 11,
    "people": 120,
    "generations": 4,
    "network": {"epochs": 8, "hidden": 16},
    "association": {"minimum_minor_allele_count": 10},
    "demo": {"seed": 3, "people": 240, "megabases": 2, "sites": 400},
}


class Run:
    """A working directory with a configuration of its own."""

    def __init__(self, directory: Path, **changes):
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text()) | TINY
        self.config = config | changes
        self.write_config()

    def write_config(self) -> None:
        (self.directory / "config.yaml").write_text(yaml.safe_dump(self.config))

    def snakemake(self, *arguments: str, cores: int = 2) -> subprocess.CompletedProcess:
        command = [
            sys.executable,
            "-m",
            "snakemake",
            *arguments,
            "--cores",
            str(cores),
            "--directory",
            self.directory,
            "--snakefile",
            ROOT / "workflow/Snakefile",
            "--configfile",
            self.directory / "config.yaml",
        ]
        environment = os.environ | {"PYTHONWARNINGS": ""}
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)

    def __truediv__(self, path: str) -> Path:
        return self.directory / path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Run:
    """A complete run of the tiny cohort."""
    run = Run(tmp_path_factory.mktemp("tiny"))
    done = run.snakemake()
    assert done.returncode == 0, done.stderr[-6000:]
    return run


@pytest.fixture
def from_tiny(tiny, tmp_path):
    """Make a run whose input is a copy of the tiny demo cohort, as a user's data, ready to be spoilt."""

    def make(name: str = "run", **changes) -> Run:
        directory = tmp_path / name
        shutil.copytree(tiny / "results/demo", directory / "data")
        run = Run(directory, **changes)
        run.config["input"] = {
            key: value.replace("results/demo/", "data/") if isinstance(value, str) else value
            for key, value in run.config["input"].items()
        }
        run.write_config()
        return run

    return make


@pytest.fixture(scope="session")
def opened(tmp_path_factory) -> Run:
    """A complete run on a user's data whose gate opens, and its release.

    A half of the holdout has the 100 people that true positives at 1 % need. The configuration names no seed, so the
    gate takes it as drawn; the file it would be drawn into is there before, so that all runs of the tests are alike.
    """
    directory = tmp_path_factory.mktemp("opened")
    run = Run(
        directory, chromosomes=["22"], seed=None, holdout=0.41, compare_models=[], disclosure={"frontier": None},
        goals=loose_goals(), demo={"seed": 3, "people": 500, "megabases": 5, "sites": 3000},
    )  # fmt: skip
    done = run.snakemake("results/demo/phenotypes.tsv")
    assert done.returncode == 0, done.stderr[-3000:]
    (run / "results/demo").rename(directory / "data")
    shutil.rmtree(directory / ".snakemake")
    rename_people(directory / "data", "22")
    few_items(directory / "data")
    seed = run / "results/secret/seed"
    seed.parent.mkdir(parents=True)
    seed.write_text("123456789\n")
    seed.chmod(0o600)
    run.config["input"] = {
        key: value.replace("results/demo/", "data/") if isinstance(value, str) else value
        for key, value in run.config["input"].items()
    }
    run.write_config()
    done = run.snakemake()
    assert done.returncode == 0, done.stderr[-6000:]
    done = run.snakemake("results/release")
    assert done.returncode == 0, done.stderr[-6000:]
    return run


@pytest.fixture
def copied(tmp_path):
    """Make a copy of a complete run, times of files included, ready to be spoilt."""

    def make(run: Run) -> Run:
        shutil.copytree(run.directory, tmp_path / "run", symlinks=True)
        copy = Run(tmp_path / "run")
        copy.config = run.config
        copy.write_config()
        return copy

    return make
