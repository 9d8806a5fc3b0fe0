"""What a release holds: every file, from where it comes, and nothing else."""

from pathlib import Path

from pseudocohort.cohort.dictionary import read_dictionary

GENOTYPES = ("pgen", "pvar", "psam")
VCF = ("vcf.gz", "vcf.gz.tbi")
ASSOCIATION = (".tsv.gz", ".tsv.gz.tbi", ".tsv.gz-meta.yaml")
SUMS = "SHA256SUMS"
STAMP = ".snakemake_timestamp"  # an empty file that Snakemake puts into every folder that a rule makes


def released_files(results: str | Path, chromosomes: list[str], parts: tuple[str, ...]) -> dict[str, Path]:
    """Path in the release -> file under `results`. parts: names of the evidence, as {"evaluation/genomes.json"}.

    chromosomes: those that were attacked.  The association results are the pseudo cohort's, of the traits of its
    dictionary; those of real people are not part of a release.
    """
    results = Path(results)
    made = results / "synthetic"
    files = {f"genotypes/chr{c}.{kind}": made / f"genotypes/chr{c}.{kind}" for c in chromosomes for kind in GENOTYPES}
    files |= {f"vcf/chr{c}.{kind}": made / f"vcf/chr{c}.{kind}" for c in chromosomes for kind in VCF}
    files |= {name: made / name for name in ("phenotypes.tsv.gz", "phenotypes.parquet", "scores.parquet")}
    files["dictionary.tsv"] = made / "dictionary.tsv"
    files |= {f"association/{path.name}": path for path in _associations(results)}
    files["association_hits.tsv"] = results / "association_hits/synthetic.tsv"
    files |= {f"evidence/{part}": results / part for part in parts}
    files |= {f"evidence/{name}": results / name for name in ("report.html", "run_config.yaml")}
    return files


def _associations(results: Path) -> list[Path]:
    """The result files of the traits, and no other file of the folder."""
    dictionary, folder = results / "synthetic/dictionary.tsv", results / "association/synthetic"
    traits = read_dictionary(dictionary).traits if dictionary.exists() else ()
    names = {f"{trait}{end}" for trait in traits for end in ASSOCIATION} | {"associations.parquet"}
    return sorted(path for path in folder.glob("*") if path.name in names)
