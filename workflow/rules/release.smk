# The audit of what was made from whom, the gate, and the release behind it: on request, `snakemake results/release`.

# Inputs that name real people: none of their ids may be in a release, whether the import took them in or not.
NAMING = ["genotypes", "samples", "phenotypes", "withdrawn"]
NAMED = {
    "genotypes": sorted({of_chromosome("genotypes", chrom) for chrom in CHROMOSOMES}),
    **{key: table(key) for key in ["samples", "withdrawn"]},
    # A large table: unless people may be dropped, it names nobody whom the others do not name.
    "phenotypes": table("phenotypes") if config["unmatched"] == "drop" else None,
    **{key: config["input"][key] for key in ["sample_columns", "phenotype_id"]},
}
# Nor may the folders of any input.
INPUT_PATHS = sorted(
    {
        path.replace("{chrom}", chrom)
        for _, path in configuration.input_paths(config)
        for chrom in CHROMOSOMES
    }
)


rule released_dictionary:
    input:
        "results/real/dictionary.tsv",
    output:
        "results/synthetic/dictionary.tsv",
    log:
        "logs/released_dictionary.log",
    localrule: True
    params:
        code=code("released_dictionary"),
    message:
        "Dictionary of the pseudo cohort"
    script:
        "../../scripts/released_dictionary.py"


rule audit:
    input:
        unpack(lambda wildcards: given("withdrawn")),
        people="results/real/people.parquet",
        artefacts=[
            *genotypes("synthetic"),
            "results/synthetic/people.parquet",
            "results/synthetic/phenotypes.tsv.gz",
            "results/synthetic/phenotypes.parquet",
            "results/synthetic/scores.parquet",
            "results/weights",
            "results/model",
            "results/synthetic/dictionary.tsv",
            "results/association/synthetic",
            "results/association_hits/synthetic.tsv",
            *EVIDENCE,
            "results/report.html",
            "results/run_config.yaml",
            *released_vcf(),
            # Not needed, but where they are they must not be of other people; the audit looks at all that is there.
            *(path for path in exports() if path not in released_vcf()),
            *secrets(),
        ],
    output:
        "results/audit.json",
    log:
        "logs/audit.log",
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=minutes(10, 6),
    params:
        code=code("audit"),
    message:
        "Audit: every artefact, and the people it was made from"
    script:
        "../../scripts/audit.py"


rule gate:
    input:
        unpack(lambda wildcards: given(*NAMING)),
        people="results/real/people.parquet",
        dictionary="results/real/dictionary.tsv",
        phenotypes="results/synthetic/phenotypes.parquet",
        scores="results/synthetic/scores.parquet",
        audit="results/audit.json",
    output:
        answer="results/gate.json",
        page="results/gate.html",
    log:
        "logs/gate.log",
    benchmark:
        "logs/benchmarks/gate.tsv"
    threads: 1
    resources:
        mem_mb=memory(1500, 50),
        runtime=minutes(20, 10),
    params:
        chromosomes=AUTOSOMES,  # X, Y and MT are not attacked, and so not released
        goals=config["goals"],
        release=config["release"],
        language=config["language"],
        seed_is_known=config["seed"] is not None,
        inputs=NAMED,
        paths=INPUT_PATHS,
        code=code("gate"),
    message:
        "The gate: is the evidence complete? {output.page}"
    script:
        "../../scripts/gate.py"


rule release:
    input:
        unpack(lambda wildcards: given(*NAMING)),
        answer="results/gate.json",
        page="results/gate.html",
        people="results/real/people.parquet",
    output:
        directory("results/release"),
    log:
        "logs/release.log",
    threads: 1
    resources:
        mem_mb=memory(1500, 50),
        runtime=minutes(20, 10),
    params:
        chromosomes=AUTOSOMES,  # X, Y and MT are not attacked, and so not released
        goals=config["goals"],
        release=config["release"],
        inputs=NAMED,
        paths=INPUT_PATHS,
        code=code("release"),
    message:
        "The release: {output}"
    script:
        "../../scripts/release.py"


rule verify_release:
    log:
        "logs/verify_release.log",
    localrule: True
    params:
        folder="results/release",
        people="results/real/people.parquet",
        withdrawn=config["input"].get("withdrawn"),
    message:
        "Compare {params.folder} with its checksums, and with the people of today"
    script:
        "../../scripts/verify_release.py"
