"""Everything that is not a rule: paths, resources, digests of code, the checked configuration."""

import hashlib
import shutil
import sys
import time
from pathlib import Path

from snakemake.exceptions import WorkflowError

SCRIPTS = Path(workflow.basedir).parent / "scripts"
sys.path.insert(0, str(SCRIPTS))

from pseudocohort import config as configuration  # noqa: E402
from pseudocohort.closure import code_digest  # noqa: E402
from pseudocohort.cohort.excel import split_sheet  # noqa: E402
from pseudocohort.errors import InputError  # noqa: E402
from pseudocohort.provenance import shareable  # noqa: E402
from pseudocohort.report import ending  # noqa: E402

STARTED = time.time()
SUFFIXES = ["pgen", "pvar", "psam"]


def resolve_config(given):
    """The configuration with defaults; a mistake ends Snakemake with one clear message."""
    try:
        resolved = configuration.resolve(given)
        configuration.check_files(resolved)
    except InputError as error:
        raise WorkflowError(str(error)) from None
    return resolved


config = resolve_config(config)
CHROMOSOMES = config["chromosomes"]
# Y and MT pass whole from one parent; they are reproduced, but neither scored nor tested.
SCORED = [chrom for chrom in CHROMOSOMES if chrom not in configuration.WHOLE]
AUTOSOMES = [chrom for chrom in SCORED if chrom != "X"]
# Where protections are compared; none in a run without this chromosome.
FRONTIER = next((c for c in AUTOSOMES if c == config["disclosure"]["frontier"]), None)
# Of the associations: matched are pseudo people as many as the holdout; permuted have the items of others.
COHORTS = ["real", "holdout", "synthetic", "matched", "permuted"]
GENOTYPES = "results/{cohort}/genotypes/chr{chrom}.{suffix}"
# results/evaluation/PART.json with measures, in the report's order.
MEASURED = ["genomes", "relatedness", "items", "associations", "heritability", "prs"]
DISCLOSED = ["genomes", "items", "joint"]  # results/disclosure/PART.json
EVIDENCE = [
    *(f"results/evaluation/{part}.json" for part in [*MEASURED, "summary"]),
    *(f"results/disclosure/{part}.json" for part in DISCLOSED),
]


def released_vcf():
    """The VCF files of a release, with their indexes."""
    files = "results/synthetic/vcf/chr{chrom}.{kind}"
    return expand(files, chrom=AUTOSOMES, kind=["vcf.gz", "vcf.gz.tbi"])


def code(rule, *data):
    """Digest of the library files that scripts/RULE.py uses, and of data files: what changed there is run again."""
    return code_digest(SCRIPTS / f"{rule}.py", [SCRIPTS.parent / path for path in data])


def seed_digest():
    """Tells whether the configured seed has changed, without telling the seed."""
    return hashlib.sha256(repr(config["seed"]).encode()).hexdigest()[:8]


def dictionary_file(wildcards):
    """The dictionary; only a run that needs it complains that it is missing."""
    path = str(split_sheet(config["input"]["dictionary"])[0])
    if not Path(path).exists() and not path.startswith(
        ("results/demo/", "results/planted/")
    ):
        raise WorkflowError(
            f"dictionary not found: {path}\n  where:    config key input.dictionary\n"
            "  remedy:   correct the path, or draft one from the phenotype table: "
            "snakemake draft_dictionary"
        )
    return path


def table(key):
    """The table under `input.KEY` as the library reads it, with the sheet of a workbook; None if it is not given."""
    return config["input"].get(key)


def given(*keys):
    """The files under `input` that are given, by key, for all chromosomes."""
    paths = {}
    for key in keys:
        if config["input"].get(key):
            paths[key] = sorted({of_chromosome(key, chrom) for chrom in CHROMOSOMES})
            paths[key] = (
                paths[key] if "{chrom}" in config["input"][key] else paths[key][0]
            )
    return paths


def of_chromosome(key, chrom):
    """The path under `input.KEY` of one chromosome."""
    return str(split_sheet(config["input"][key].replace("{chrom}", chrom))[0])


def place(chrom):
    """Autosomes by number, X before them."""
    return int(chrom.replace("X", "0"))


def scoring_files():
    """The given PGS Catalog files of all items."""
    return [path for paths in config["scoring_files"].values() for path in paths]


def companions(chrom):
    """The .pvar and .psam of a given .pgen; nothing for other files."""
    path = Path(of_chromosome("genotypes", chrom))
    return (
        [str(path.with_suffix(end)) for end in (".pvar", ".psam")]
        if path.suffix == ".pgen"
        else []
    )


def training(wildcards):
    """What a model of the items is trained with: the configured one, or the one that the wildcard names."""
    kind = wildcards.get("model", config["model"])
    network, dp = config["network"], config["dp"]
    if dp is not None:
        dp = dp | {"public_seed": config["seed"] is not None}
    return {
        "kind": kind,
        "network": network if kind == "cvae" else {},
        "dp": dp if kind == "cvae" else None,
    }


def compared_models():
    """The models of the items that are drawn beside the chosen one."""
    return [kind for kind in config["compare_models"] if kind != config["model"]]


def private_models():
    """Those that are trained with differential privacy."""
    return [] if config["dp"] is None else ["cvae"]


def calibrated_models():
    """Those whose draws are calibrated: to what only a model without differential privacy knows; marginals never."""
    if not config["calibrate"]:
        return []
    return [kind for kind in ["cvae", "cart"] if kind not in private_models()]


def secrets():
    """Who descends from whom, where the configuration keeps it."""
    if not config["keep_mosaic"]:
        return []
    kinds = ["npz", "segments.parquet", "ancestry.parquet", "trees"]
    mosaics = expand("results/mosaic/chr{chrom}.{kind}", chrom=CHROMOSOMES, kind=kinds)
    return ["results/pedigree.npz", *mosaics]


def exports():
    """The VCF and BCF files that were asked for once: they must not outlive what they were made from."""
    wanted = expand(
        "results/synthetic/vcf/chr{chrom}.{form}",
        chrom=CHROMOSOMES,
        form=["vcf.gz", "bcf"],
    )
    return [path for path in wanted if Path(path).exists()]


def kept(value):
    """What a rule of the truth needs, which only a configuration that keeps it may have."""

    def checked(wildcards):
        if not config["keep_mosaic"]:
            raise WorkflowError(
                "the truth is secret and not kept\n  where:    config key keep_mosaic\n"
                "  expected: true, for pedigree, founder segments, ancestry and tree sequence\n"
                "  remedy:   set keep_mosaic: true"
            )
        return value()

    return checked


def genotypes(cohort, chromosomes=None):
    """All .pgen, .pvar and .psam files of a cohort."""
    return expand(
        GENOTYPES,
        cohort=cohort,
        chrom=CHROMOSOMES if chromosomes is None else chromosomes,
        suffix=SUFFIXES,
    )


def people_of(cohort):
    """Where the genotypes of the people of an association lie: the holdout is part of the real cohort."""
    return "real" if cohort in ("real", "holdout") else "synthetic"


def associated(wildcards):
    """Association results and leads of all cohorts."""
    paths = {cohort: f"results/association/{cohort}" for cohort in COHORTS}
    leads = {f"leads_{c}": f"results/association_hits/{c}.leads.tsv" for c in COHORTS}
    return paths | leads


def drawn_from(wildcards):
    """What decides which pseudo people are matched to the holdout, or permuted."""
    if wildcards.cohort not in ("matched", "permuted"):
        return {}
    return {"held": "results/real/phenotypes.parquet", "seed": "results/secret/seed"}


def memory(base_mb, per_thousand_people=0.0, per_square=0.0, squared_up_to=20):
    """mem_mb from the number of people, in thousands, and the attempt.

    per_square: of what is people x people, which nothing is beyond `squared_up_to` thousand (dense_up_to of weights).
    Genotypes stream, so the number of sites does not matter. The rules do not know the number of real people;
    it is taken to be that of the pseudo people.
    """
    n = (config["people"] or 10_000) / 1000
    square = min(n, squared_up_to) ** 2
    return lambda wildcards, attempt: int(
        attempt * (base_mb + per_thousand_people * n + per_square * square)
    )


def attacked(per_thousand):
    """MB of who is attacked or compared with: the targets, and of the holdout of a real cohort as large as the pseudo
    one (see `memory`) 20,000 people at most."""
    held = config["holdout"] * (config["people"] or 10_000)
    return per_thousand * (config["disclosure"]["targets"] + min(held, 20_000)) / 1000


def minutes(base, per_gigabyte=0.0):
    """runtime in minutes from the size of the input and the attempt."""
    return lambda wildcards, input, attempt: int(
        attempt * (base + per_gigabyte * input.size_mb / 1000)
    )


def recipe():
    """The keys of the configuration that decide the pedigree."""
    keys = ["people", "generations", "founders", "mating", "population"]
    chosen = {key: config[key] for key in [*keys, "avoid_kin", "migration"]}
    return chosen | {"founder_share": config["protection"]["founder_share"]}


def protections():
    """What is done between the mosaic and its transmission: the settings that are on; empty for reproduction alone."""
    return configuration.protections(config)


def unless_kept(path):
    """Secret files are temporary unless the configuration keeps them."""
    return path if config["keep_mosaic"] else temp(path)


def finish(config):
    """Delete the truth that an earlier run kept, where it is not to be kept; tell warnings and a complete run's results."""
    if not config["keep_mosaic"]:
        Path("results/pedigree.npz").unlink(missing_ok=True)
        shutil.rmtree("results/mosaic", ignore_errors=True)
    ending.tell_warnings("logs", STARTED)
    ending.tell_results("results/report.html", config["chromosomes"], STARTED)
    if Path("results/release").exists():
        from pseudocohort.release.current import warning  # only here: it imports pandas

        withdrawn = config["input"].get("withdrawn")
        if told := warning("results/release", "results/real/people.parquet", withdrawn):
            print(f"\n{told}", file=sys.stderr)


def captions():
    """The captions of the figures, for the report's digest."""
    folder = SCRIPTS.parent / "workflow" / "report" / translated("")
    return sorted(str(path) for path in folder.glob("*.rst"))


def translated(name):
    """The path of a caption in the configured language, from the folder of captions."""
    return name if config["language"] == "en" else f"{config['language']}/{name}"


def figure(name, category):
    """A figure for the report, and for `snakemake --report` with its caption."""
    return report(
        f"results/figures/{name}.svg",
        caption=f"../report/{translated(name)}.rst",
        category=category,
        labels={"figure": name.replace("_", " ")},
    )
