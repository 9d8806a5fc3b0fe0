"""Protections in the workflow: what they rerun, and that their bytes depend on nothing else."""

import hashlib
import shutil

import pandas as pd
import pytest

from .conftest import Run

TARGETS = [f"results/synthetic/genotypes/chr{chrom}.pgen" for chrom in ("22", "X", "Y", "MT")]
PROTECTION = {"minimum_allele_count": 4, "switch_cm": 1.0, "k_anonymous": {"share": 0.02, "window_cm": 0.2}}
NO_FRONTIER = {"targets": 50, "frontier": None}


@pytest.fixture
def copied(tiny, tmp_path):
    """A copy of the complete run under another `protection`."""

    def make(protection: dict) -> Run:
        shutil.copytree(tiny.directory, tmp_path / "run", symlinks=True)
        return Run(tmp_path / "run", protection=protection)

    return make


def digests(run: Run) -> list[str]:
    return [hashlib.sha256((run / target).read_bytes()).hexdigest() for target in TARGETS]


def test_protection_reruns_the_transmission_and_the_share_of_founders_the_pedigree(copied):
    run = copied({"minimum_allele_count": 3})
    planned = run.snakemake("-n", *TARGETS)
    told = planned.stdout + planned.stderr
    assert "Pseudo genotypes of chromosome 22" in told
    assert "Pedigree: " not in told
    assert "Import" not in told
    run.config["protection"] = {"founder_share": 0.7}
    run.write_config()
    planned = run.snakemake("-n", *TARGETS)
    assert "Pedigree: " in planned.stdout + planned.stderr
    run.config["protection"] = {"preset": "mendelian", "switch_cm": None}
    run.write_config()
    planned = run.snakemake("-n", *TARGETS)
    assert "Nothing to be done" in planned.stdout + planned.stderr


def test_protected_bytes_depend_on_no_cores_or_blocks(tiny, copied, from_tiny):
    run = copied(PROTECTION)
    done = run.snakemake(*TARGETS)
    assert done.returncode == 0, done.stderr[-3000:]
    other = from_tiny("other", protection=PROTECTION, block_sites=19, disclosure=NO_FRONTIER)
    done = other.snakemake(*TARGETS, cores=1)
    assert done.returncode == 0, done.stderr[-3000:]
    assert digests(other) == digests(run)
    assert not set(digests(run)) & set(digests(tiny))
    sites = [len(pd.read_csv(r / TARGETS[0].replace("pgen", "pvar"), sep="\t")) for r in (run, tiny)]
    assert 20 < sites[0] < sites[1]
