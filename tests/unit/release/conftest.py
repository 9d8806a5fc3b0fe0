"""What the tests of the release share: measures of their own, and a finished run's results."""

import gzip

import numpy as np
import pandas as pd
import pytest

from pseudocohort.measures import catalogue as book
from pseudocohort.release import gate
from release_run import (
    cohort,
    write_evidence,
)


@pytest.fixture
def catalogue(monkeypatch):
    known = {key: {"group": "disclosure", "en": key, "ja": "指標", "goal": {"at_most": 0.6}} for key in gate.BOUND} | {
        "utility": {"group": "items", "en": "utility", "ja": "有用性", "goal": {"at_most": 1}},
    }
    monkeypatch.setattr(book, "catalogue", lambda: known)


@pytest.fixture
def results(tmp_path, catalogue):
    """A finished run's results, as far as the gate looks at them."""
    root = tmp_path / "results"
    for folder in ("synthetic/genotypes", "synthetic/vcf", "real", "association/synthetic", "association_hits"):
        (root / folder).mkdir(parents=True)
    people = cohort()
    people.to_parquet(root / "real/people.parquet")
    for name in ("real", "synthetic"):
        text = "item\ttype\tlevel\nbmi\tcontinuous\topen\nincome\tcount\tstrong\n"
        (root / name / "dictionary.tsv").write_text(text)
    made = [f"PC{i:04d}" for i in range(12)]
    table = pd.DataFrame({"person": made, "sex": "male", "bmi": np.linspace(18, 30, 12), "income": 3})
    table.to_parquet(root / "synthetic/phenotypes.parquet")
    with gzip.open(root / "synthetic/phenotypes.tsv.gz", "wt") as file:
        file.write(table.to_csv(sep="\t", index=False))
    table[["person"]].assign(bmi=0.5).to_parquet(root / "synthetic/scores.parquet")
    (root / "synthetic/genotypes/chr22.psam").write_text("#IID\tSEX\n" + "".join(f"{i}\t1\n" for i in made))
    (root / "synthetic/genotypes/chr22.pvar").write_text("#CHROM\tPOS\tID\tREF\tALT\n22\t12345\trs1\tA\tG\n")
    (root / "synthetic/genotypes/chr22.pgen").write_bytes(bytes(range(50)))
    with gzip.open(root / "synthetic/vcf/chr22.vcf.gz", "wt") as file:
        file.write("##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t" + "\t".join(made))
    (root / "synthetic/vcf/chr22.vcf.gz.tbi").write_bytes(b"index")
    (root / "association/synthetic/bmi.tsv.gz").write_bytes(gzip.compress(b"chromosome\n22\n"))
    (root / "association_hits/synthetic.tsv").write_text("trait\n")
    (root / "report.html").write_text("<p>a report</p>")
    (root / "run_config.yaml").write_text("config: {}\n")
    write_evidence(root, people)
    return root
