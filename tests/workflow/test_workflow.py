"""The whole job on a tiny cohort: complete, repeatable, restartable, and deaf to withdrawn people."""

import gzip
import hashlib
import re
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from pseudocohort.genotypes import Genotypes

from .conftest import ROOT, Run

SUFFIXES = ("pgen", "pvar", "psam")
IMPORTED = "Import genotypes of chromosome 22"  # what the rule's message says


def genome_digests(run, cohort="synthetic", chromosomes=("22", "X")):
    files = [run / f"results/{cohort}/genotypes/chr{c}.{s}" for c in chromosomes for s in SUFFIXES]
    return [hashlib.sha256(f.read_bytes()).hexdigest() for f in files]


def test_everything_is_there(tiny):
    expected = [
        "report.html",
        "run_config.yaml",
        "synthetic/phenotypes.tsv.gz",
        "synthetic/phenotypes.parquet",
        "synthetic/scores.parquet",
        "synthetic/genotypes/chr22.pgen",
        "synthetic/genotypes/chrX.pgen",
        "evaluation/summary.json",
        "real/import_report.json",
    ]
    assert [path for path in expected if not (tiny / "results" / path).exists()] == []
    assert not list((tiny / "results").rglob(".partial*"))


def test_a_complete_run_has_nothing_to_do(tiny):
    again = tiny.snakemake("-n")
    assert "Nothing to be done" in again.stdout + again.stderr


def test_secret_files_are_gone_or_private(tiny):
    assert not (tiny / "results/pedigree.npz").exists()
    assert not list(tiny.directory.glob("results/mosaic/*"))
    assert (tiny / "results/secret/seed").stat().st_mode & 0o777 == 0o600
    config_text = (tiny / "results/run_config.yaml").read_text()
    assert "seed: 11" not in config_text
    assert "seed: withheld" in config_text


def test_pseudo_people_are_new_and_their_tables_agree(tiny):
    table = pd.read_csv(tiny / "results/synthetic/phenotypes.tsv.gz", sep="\t")
    psam = pd.read_csv(tiny / "results/synthetic/genotypes/chrX.psam", sep="\t")
    assert len(table) == 120
    assert table["person"].tolist() == psam["#IID"].tolist()
    assert table["sex"].map({"male": 1, "female": 2}).tolist() == psam["SEX"].tolist()
    parquet = pd.read_parquet(tiny / "results/synthetic/phenotypes.parquet")
    assert list(parquet.columns) == list(table.columns)
    real = pd.read_parquet(tiny / "results/real/people.parquet")
    assert not set(real["person"]) & set(table["person"])


@pytest.mark.parametrize("chrom", ["22", "X"])
def test_plink2_and_bcftools_open_the_pseudo_genomes(tiny, tmp_path, chrom):
    prefix = tiny / f"results/synthetic/genotypes/chr{chrom}"
    for arguments in (["--validate"], ["--freq"], ["--export", "vcf", "bgz"]):
        subprocess.run(
            ["plink2", "--pfile", prefix, *arguments, "--out", tmp_path / "x"], check=True, capture_output=True
        )
    calls = subprocess.run(
        ["bcftools", "query", "-f", "[%GT\n]", tmp_path / "x.vcf.gz"], check=True, capture_output=True, text=True
    ).stdout.split()
    alleles = {"0|0", "0|1", "1|0", "1|1"}
    assert set(calls) == (alleles | {"0", "1"} if chrom == "X" else alleles)


def test_bytes_do_not_depend_on_cores_or_blocks(tiny, from_tiny):
    run = from_tiny(block_sites=37)
    done = run.snakemake("results/synthetic/genotypes/chr22.pgen", "results/synthetic/genotypes/chrX.pgen", cores=1)
    assert done.returncode == 0, done.stderr[-3000:]
    assert genome_digests(run) == genome_digests(tiny)


def test_a_chromosome_alone_gives_the_same_bytes(tiny, from_tiny):
    run = from_tiny(chromosomes=["22"])
    done = run.snakemake("results/synthetic/genotypes/chr22.pgen")
    assert done.returncode == 0, done.stderr[-3000:]
    assert genome_digests(run, chromosomes=["22"]) == genome_digests(tiny, chromosomes=["22"])


def test_a_chromosome_added_later_leaves_the_others(tiny, tmp_path):
    run = Run(tmp_path / "run", chromosomes=["22"])
    target = "results/synthetic/genotypes/chr{}.pgen"
    assert run.snakemake(target.format("22")).returncode == 0
    run.config["chromosomes"] = ["22", "MT"]
    run.write_config()
    done = run.snakemake(target.format("22"), target.format("MT"))
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Pseudo genotypes of chromosome MT" in done.stdout + done.stderr
    for text in (IMPORTED, "Import people", "Pseudo genotypes of chromosome 22"):
        assert text not in done.stdout + done.stderr
    assert genome_digests(run, chromosomes=["22", "MT"]) == genome_digests(tiny, chromosomes=["22", "MT"])


def test_exports_are_made_again_with_the_genomes(tiny, tmp_path):
    run = Run(tmp_path / "run", chromosomes=["22"])
    path, target = run / "results/synthetic/vcf/chr22.vcf.gz", "results/synthetic/vcf/chr22.vcf.gz"
    done = run.snakemake(target)
    assert done.returncode == 0, done.stderr[-3000:]
    with Genotypes(run / "results/synthetic/genotypes/chr22") as file:
        ours = ["".join(map(str, site)) for site in file.haplotypes(0, file.n_sites)]
    query = ["bcftools", "query", "-f", "[%GT]\n", path]
    calls = subprocess.run(query, check=True, capture_output=True, text=True).stdout.replace("|", "").split()
    assert calls == ours
    run.config["generations"] = 2
    run.write_config()
    planned = run.snakemake("-n")
    assert f"Export of chromosome 22 to {target}" in planned.stdout + planned.stderr


def test_the_truth_is_made_only_if_it_is_kept_and_then_deleted(tmp_path):
    run = Run(tmp_path / "run", chromosomes=["22"])
    refused = run.snakemake("results/mosaic/chr22.trees")
    assert refused.returncode != 0
    assert "set keep_mosaic: true" in refused.stdout + refused.stderr
    run.config["keep_mosaic"] = True
    run.write_config()
    done = run.snakemake("results/mosaic/chr22.trees", "results/pedigree.npz")
    assert done.returncode == 0, done.stderr[-3000:]
    kept = [run / "results/pedigree.npz", *sorted((run / "results/mosaic").iterdir())]
    assert [path.suffix for path in kept] == [".npz", ".parquet", ".npz", ".parquet", ".trees"]
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}
    run.config["keep_mosaic"] = False
    run.write_config()
    assert run.snakemake("results/run_config.yaml").returncode == 0
    assert not [path for path in kept if path.exists()]


def test_one_target_reruns_and_comes_back_the_same(tiny):
    before = genome_digests(tiny)
    target = "results/synthetic/genotypes/chr22.pgen"
    (tiny / target).unlink()
    done = tiny.snakemake(target, cores=1)
    assert done.returncode == 0, done.stderr[-3000:]
    assert IMPORTED not in done.stdout + done.stderr
    assert genome_digests(tiny) == before
    rest = tiny.snakemake()
    assert rest.returncode == 0, rest.stderr[-3000:]


def test_more_people_keep_the_first(tmp_path):
    """The population's size given, people asked for later are further children of the same parents."""
    target, alleles = "results/synthetic/genotypes/chr22.pgen", []
    run = Run(tmp_path / "run", population=400)
    for people in (120, 170):
        run.config["people"] = people
        run.write_config()
        done = run.snakemake(target)
        assert done.returncode == 0, done.stderr[-3000:]
        assert (IMPORTED in done.stdout + done.stderr) == (people == 120)
        with Genotypes(run / target.removesuffix(".pgen")) as file:
            table = pd.DataFrame(file.haplotypes(0, file.n_sites)[:, :240], index=file.sites["id"])
            assert file.n_people == people
        alleles.append(table[table.any(axis=1)])
    assert alleles[0].equals(alleles[1])
    assert len(alleles[0]) > 100


# Kills the process when it appends its third piece of pseudo genotypes.
KILLER = """
import os, signal, sys

pieces = []

def kill(frame, event, argument):
    if event == "call" and frame.f_code.co_qualname == "RecordWriter.append":
        pieces.append(frame)
        if len(pieces) == 3:
            open(os.path.join(os.environ["PYTHONPATH"], "killed"), "w").close()
            os.kill(os.getpid(), signal.SIGKILL)

sys.setprofile(kill)
"""


def test_killed_in_the_middle_of_a_chromosome(tiny, tmp_path, monkeypatch):
    """kill -9, as of a machine out of memory: nothing half-written is taken for whole, the same command completes."""
    run = Run(tmp_path / "run", block_sites=1)
    folder, target = run / "results/synthetic/genotypes", "results/synthetic/genotypes/chr22.pgen"
    (tmp_path / "sitecustomize.py").write_text(KILLER)
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        killed = run.snakemake(target)
    assert killed.returncode != 0
    assert (tmp_path / "killed").exists()
    assert not list(folder.glob("chr22.*"))
    done = run.snakemake(target)
    assert done.returncode == 0, done.stderr[-3000:]
    assert genome_digests(run, chromosomes=["22"]) == genome_digests(tiny, chromosomes=["22"])
    assert sorted(path.name for path in folder.iterdir()) == ["chr22.pgen", "chr22.psam", "chr22.pvar"]


@pytest.fixture
def withdrawn(tiny):
    return (tiny / "results/demo/withdrawn.txt").read_text().split()


def test_withdrawn_ids_are_in_no_file(tiny, withdrawn):
    assert len(withdrawn) == 5
    files = [f for part in ("results", "logs") for f in (tiny / part).rglob("*") if f.is_file()]
    files = [f for f in files if "results/demo" not in str(f)]
    assert len(files) > 50
    for file in files:
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        assert not [person for person in withdrawn if person.encode() in content], file
    assert len(pd.read_parquet(tiny / "results/real/people.parquet")) == 235


def test_withdrawing_is_as_if_the_people_had_never_been(tiny, from_tiny, withdrawn):
    """Genomes, weights, network and evaluation equal, byte for byte, a run whose input lacks the five people."""
    run = from_tiny()
    data = run / "data"
    for vcf in sorted(data.glob("genotypes/*.vcf.gz")):
        subprocess.run(
            ["bcftools", "view", "-s", "^" + ",".join(withdrawn), "-Oz", "-o", data / "part.vcf.gz", vcf], check=True
        )
        (data / "part.vcf.gz").rename(vcf)
        subprocess.run(["tabix", "-f", "-p", "vcf", vcf], check=True)
    for name in ("samples.tsv", "phenotypes.tsv"):
        lines = (data / name).read_text().splitlines(keepends=True)
        (data / name).write_text(
            "".join(line for line in lines if not set(line.rstrip("\n").split("\t")[:1]) & set(withdrawn))
        )
    sheet = pd.read_csv(data / "samples.tsv", sep="\t", dtype=str, keep_default_na=False)
    sheet.loc[sheet["father"].isin(withdrawn), "father"] = ""
    sheet.loc[sheet["mother"].isin(withdrawn), "mother"] = ""
    sheet.to_csv(data / "samples.tsv", sep="\t", index=False)
    run.config["input"]["withdrawn"] = None
    run.write_config()
    targets = ["results/synthetic/phenotypes.tsv.gz", "results/synthetic/genotypes/chrX.pgen", "results/weights"]
    done = run.snakemake(*targets)
    assert done.returncode == 0, done.stderr[-3000:]
    assert genome_digests(run) == genome_digests(tiny)
    same = ["synthetic/phenotypes.parquet", "real/people.parquet", "real/scores.parquet", "synthetic/scores.parquet"]
    for name in same:
        pd.testing.assert_frame_equal(pd.read_parquet(run / "results" / name), pd.read_parquet(tiny / "results" / name))
    weights = sorted(p.name for p in (tiny / "results/weights").iterdir())
    assert sorted(p.name for p in (run / "results/weights").iterdir()) == weights
    for name in weights:
        one, two = ((r / "results/weights" / name).read_bytes() for r in (run, tiny))
        assert gzip.decompress(one) == gzip.decompress(two)


def test_no_real_id_leaves_the_secure_places(tiny):
    people = pd.read_parquet(tiny / "results/real/people.parquet")["person"]
    secure = ("results/demo", "results/real", "results/model", "results/mosaic")
    files = [f for part in ("results", "logs") for f in (tiny / part).rglob("*") if f.is_file()]
    files = [f for f in files if not str(f.relative_to(tiny.directory)).startswith(secure)]
    for file in files:
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        assert b"DEMO" not in content or not [p for p in people if p.encode() in content], file


@pytest.mark.parametrize("profile", ["slurm", "gridengine"])
def test_cluster_profiles_plan_the_whole_job(from_tiny, profile):
    run = from_tiny()
    done = run.snakemake("-n", "--workflow-profile", str(ROOT / "profiles" / profile))
    assert done.returncode == 0, done.stderr[-2000:]
    assert "transmission" in done.stdout + done.stderr


def test_the_dictionary_is_drafted_before_there_is_one(from_tiny):
    run = from_tiny()
    (run / "data/dictionary.tsv").unlink()
    missing = run.snakemake("-n")
    assert missing.returncode != 0
    assert "dictionary not found: data/dictionary.tsv" in missing.stdout + missing.stderr
    done = run.snakemake("draft_dictionary")
    assert done.returncode == 0, done.stderr[-2000:]
    draft = pd.read_csv(run / "results/dictionary_draft.tsv", sep="\t")
    table = pd.read_csv(run / "data/phenotypes.tsv", sep="\t", nrows=1)
    assert set(draft["item"]) == set(table.columns) - {"person"}


def test_the_report_is_one_file_without_a_network(tiny):
    page = Path(tiny / "results/report.html").read_text(encoding="utf-8")
    assert "http://" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    ).replace("http://matplotlib.org", "")
    assert len(page) < 15e6


def planned(run, **changes):
    """Rules that a dry run with a changed configuration would run."""
    given = run.config
    try:
        run.config = given | changes
        run.write_config()
        done = run.snakemake("-n")
    finally:
        run.config = given
        run.write_config()
    assert done.returncode == 0, done.stderr[-2000:]
    return set(re.findall(r"^([a-z_]+) +\d+$", done.stdout + done.stderr, re.MULTILINE)) - {"all", "total"}


def test_other_goals_rerun_verdicts_alone_and_another_language_the_figures_and_the_page(tiny):
    """The comparison of models says which of them meets goals, so it is told anew too."""
    goals = planned(tiny, goals={"marginal": {"at_most": 2}})
    assert goals == {"run_config", "compare_models", "summary", "report_page"}
    drawn = {f"figures_{part}" for part in ("genomes", "relatedness", "items", "associations", "disclosure")}
    assert planned(tiny, language="ja") == {"run_config", "report_page", "figure_frontier"} | drawn
