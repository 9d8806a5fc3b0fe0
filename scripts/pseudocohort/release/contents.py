"""What a release holds: every file, from where it comes, and nothing else."""

from pathlib import Path

GENOTYPES = ("pgen", "pvar", "psam")
VCF = ("vcf.gz", "vcf.gz.tbi")
SUMS = "SHA256SUMS"


def released_files(results: str | Path, chromosomes: list[str], parts: tuple[str, ...]) -> dict[str, Path]:
    """Path in the release -> file under `results`. parts: names of the evidence, as {"evaluation/genomes.json"}.

    The association results are the pseudo cohort's; those of real people are not part of a release.
    """
    results = Path(results)
    made = results / "synthetic"
    files = {f"genotypes/chr{c}.{kind}": made / f"genotypes/chr{c}.{kind}" for c in chromosomes for kind in GENOTYPES}
    files |= {f"vcf/chr{c}.{kind}": made / f"vcf/chr{c}.{kind}" for c in chromosomes for kind in VCF}
    files |= {name: made / name for name in ("phenotypes.tsv.gz", "phenotypes.parquet", "scores.parquet")}
    files["dictionary.tsv"] = made / "dictionary.tsv"
    for path in sorted((results / "association/synthetic").glob("*")):
        files[f"association/{path.name}"] = path
    files["association_hits.tsv"] = results / "association_hits/synthetic.tsv"
    files |= {f"evidence/{part}": results / part for part in parts}
    files |= {f"evidence/{name}": results / name for name in ("report.html", "run_config.yaml")}
    return files
