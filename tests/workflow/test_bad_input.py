"""What a stranger's files contain: a clear error before any computing, nothing half-written."""

import gzip
import re
import subprocess

import numpy as np
import pandas as pd
import pytest


def edit_vcf(run, change, chrom="22"):
    """Apply `change` to the list of lines of a VCF and write it back, bgzipped and indexed."""
    path = run / f"data/genotypes/chr{chrom}.vcf.gz"
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    header = [line for line in lines if line.startswith("#")]
    records = [line.split("\t") for line in lines if not line.startswith("#")]
    records = change(records) or records
    plain = path.with_suffix("")
    plain.write_text("\n".join(header + ["\t".join(r) for r in records]) + "\n")
    subprocess.run(["bgzip", "-f", plain], check=True)
    path.with_name(path.name + ".tbi").unlink()


def edit_table(run, name, change):
    path = run / f"data/{name}"
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    change(table).to_csv(path, sep="\t", index=False)


def configure(run, **changes):
    run.config.update(changes)
    run.write_config()


def set_call(row, column, call):
    def change(records):
        records[row][9 + column] = call

    return lambda run: edit_vcf(run, change)


def swap_rows(records):
    records[10], records[20] = records[20], records[10]


def beyond_the_end(records):
    records[-1][1] = "90000000"


def truncate(run):
    path = run / "data/genotypes/chr22.vcf.gz"
    path.write_bytes(path.read_bytes()[:-3000])
    path.with_name(path.name + ".tbi").unlink()


def drop_row(name, row=5):
    return lambda run: edit_table(run, name, lambda t: t.drop(index=row))


def repeat_row(name, row=5):
    return lambda run: edit_table(run, name, lambda t: pd.concat([t, t.iloc[[row]]]))


def set_cell(name, row, column, value):
    def change(table):
        table.loc[row, column] = value
        return table

    return lambda run: edit_table(run, name, change)


def first_item(run, kind):
    dictionary = pd.read_csv(run / "data/dictionary.tsv", sep="\t", keep_default_na=False)
    chosen = dictionary[(dictionary["type"] == kind) & (dictionary["asked_if"] == "") & (dictionary["role"] == "")]
    return chosen["item"].iloc[0]


def text_in_number(run):
    set_cell("phenotypes.tsv", 7, first_item(run, "continuous"), "high")(run)


def unknown_category(run):
    set_cell("phenotypes.tsv", 7, first_item(run, "binary"), "9")(run)


def item_not_in_table(run):
    item = first_item(run, "continuous")
    edit_table(run, "phenotypes.tsv", lambda t: t.rename(columns={item: item + "_new"}))


def non_utf8(run):
    path = run / "data/phenotypes.tsv"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\t\xff\xfe\n", 1))


def edit_map(change):
    def spoil(run):
        path = run / "data/maps/chr22.map.gz"
        table = pd.read_csv(path, sep=r"\s+")
        change(table).to_csv(path, sep="\t", index=False)

    return spoil


def decrease(table):
    table.loc[len(table) // 2, "cM"] = 0.0
    return table


def few_people(run):
    people = pd.read_csv(run / "data/samples.tsv", sep="\t", dtype=str)["person"].tolist()[:40]
    for chrom in ("22", "X"):
        path = run / f"data/genotypes/chr{chrom}.vcf.gz"
        subprocess.run(["bcftools", "view", "-s", ",".join(people), "-Oz", "-o", run / "p.vcf.gz", path], check=True)
        (run / "p.vcf.gz").rename(path)
        subprocess.run(["tabix", "-f", "-p", "vcf", path], check=True)
    configure(run, unmatched="drop")


def other_build_score(run):
    sites = pd.DataFrame(
        {
            "rsID": [f"rs{i}" for i in range(5)],
            "chr_name": "22",
            "chr_position": np.arange(5) + 100,
            "effect_allele": "A",
            "other_allele": "G",
            "effect_weight": 0.1,
        }
    )
    with gzip.open(run / "score.txt.gz", "wt") as file:
        file.write("###PGS CATALOG SCORING FILE\n#pgs_id=PGS000000\n#genome_build=GRCh37\n")
        sites.to_csv(file, sep="\t", index=False)
    configure(run, scoring_files={first_item(run, "continuous"): "score.txt.gz"})


CASES = {
    "misspelt key": (lambda run: configure(run, genrations=3), "did you mean `generations`"),
    "missing file": (lambda run: (run / "data/samples.tsv").unlink(), "input file not found: data/samples.tsv"),
    "unphased": (set_call(12, 3, "0/1"), "unphased"),
    "missing genotype": (set_call(12, 3, ".|."), "missing"),
    "unsorted": (lambda run: edit_vcf(run, swap_rows), "sorted"),
    "truncated": (truncate, "truncated"),
    "no such person in genotypes": (
        lambda run: edit_table(run, "phenotypes.tsv", lambda t: pd.concat([t, t.tail(1).assign(person="NOBODY")])),
        "not in the cohort",
    ),
    "no such person in phenotypes": (drop_row("phenotypes.tsv"), "phenotype"),
    "duplicate id": (repeat_row("phenotypes.tsv"), "more than once|duplicate"),
    "sex unknown with X": (set_cell("samples.tsv", 30, "sex", "NA"), "[Ss]ex"),
    "map decreases": (edit_map(decrease), "decrease"),
    "map too short": (edit_map(lambda t: t.iloc[: len(t) // 2]), "cover"),
    "chromosome not in file": (
        lambda run: configure(run, input=run.config["input"] | {"genotypes": "data/genotypes/chr22.vcf.gz"}),
        "chromosome X",
    ),
    "beyond the chromosome": (lambda run: edit_vcf(run, beyond_the_end), "GRCh38"),
    "score of another build": (other_build_score, "GRCh37"),
    "item not in table": (item_not_in_table, "_new"),
    "unknown category": (unknown_category, "categor"),
    "text in a number": (text_in_number, "number"),
    "few people": (few_people, "50"),
    "not UTF-8": (non_utf8, "UTF-8"),
    "empty table": (lambda run: (run / "data/phenotypes.tsv").write_text(""), "empty"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_clear_error_before_any_computing(from_tiny, case):
    spoil, text = CASES[case]
    run = from_tiny()
    spoil(run)
    done = run.snakemake()
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert re.search(text, said), said[-3000:]
    assert "remedy:" in said, said[-3000:]
    written = [
        p
        for part in ("synthetic", "weights", "model", "mosaic", "association", "evaluation")
        for p in run.directory.glob(f"results/{part}/**/*.*")
    ]
    drawn = {run / "results/synthetic/people.parquet", run / "results/evaluation/drift.json"}  # with the checks, maybe
    assert set(written) <= drawn
    assert not list(run.directory.rglob(".partial*"))


def test_an_unknown_withdrawn_id_is_a_warning(from_tiny):
    run = from_tiny()
    path = run / "data/withdrawn.txt"
    path.write_text(path.read_text() + "NOBODY\r\n")
    done = run.snakemake("results/real/people.parquet")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "WARNING" in (run / "logs/import_tables.log").read_text()
    assert "NOBODY" not in (run / "logs/import_tables.log").read_text()
    assert len(pd.read_parquet(run / "results/real/people.parquet")) == 235
