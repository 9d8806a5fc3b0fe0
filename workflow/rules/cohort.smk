# Import: tables first, then genotypes by chromosome; nothing is computed before all of it is right.


rule seed:
    output:
        "results/secret/seed",
    log:
        "logs/seed.log",
    localrule: True
    params:
        # Not the seed itself, which would stand in Snakemake's metadata; nor a digest of code: a drawn seed is kept.
        seed=lambda wildcards: seed_digest(),
    message:
        "The one seed of this run"
    script:
        "../../scripts/seed.py"


rule draft_dictionary:
    input:
        unpack(lambda wildcards: given("phenotypes", "withdrawn")),
    output:
        "results/dictionary_draft.tsv",
    log:
        "logs/draft_dictionary.log",
    localrule: True
    params:
        phenotypes=table("phenotypes"),
        phenotype_id=config["input"]["phenotype_id"],
        code=code("draft_dictionary"),
    message:
        "A draft of the dictionary in {output}: copy it to config/, check the rows whose note says `check`, then name the copy in input.dictionary"
    script:
        "../../scripts/draft_dictionary.py"


rule import_tables:
    input:
        unpack(lambda wildcards: given("samples", "phenotypes", "withdrawn")),
        # One file tells the people, so that a chromosome added later leaves them as they are.
        genotypes=of_chromosome("genotypes", max(SCORED, key=place)),
        dictionary=dictionary_file,
        seed="results/secret/seed",
    output:
        people="results/real/people.parquet",
        phenotypes="results/real/phenotypes.parquet",
        dictionary="results/real/dictionary.tsv",
        report="results/real/import/tables.json",
    log:
        "logs/import_tables.log",
    benchmark:
        "logs/benchmarks/import_tables.tsv"
    threads: 1
    resources:
        mem_mb=memory(1500, 50),
        runtime=minutes(10),
    params:
        samples=table("samples"),
        phenotypes=table("phenotypes"),
        dictionary=table("dictionary"),
        sample_columns=config["input"]["sample_columns"],
        phenotype_id=config["input"]["phenotype_id"],
        unmatched=config["unmatched"],
        holdout=config["holdout"],
        level=config["release"]["level"],
        code=code("import_tables", "resources/chromosome_lengths.tsv"),
    message:
        "Import people, items and dictionary; draw the holdout by family"
    script:
        "../../scripts/import_tables.py"


rule check_inputs:
    input:
        unpack(lambda wildcards: given("genotypes")),
        maps=lambda wildcards: sorted(
            {path for c in SCORED for path in configuration.map_files(config, c)}
        ),
        people="results/real/people.parquet",
        seed="results/secret/seed",
    output:
        "results/real/import/checked",
    log:
        "logs/check_inputs.log",
    priority: 100  # first, but no input of the imports: a chromosome added must not make the others stale
    localrule: True
    params:
        recipe=recipe(),
        source=lambda wildcards: config["input"]["genotypes"],
        maps=lambda wildcards: {c: configuration.map_files(config, c) for c in SCORED},
        chromosomes=CHROMOSOMES,
        build=config["build"],
        code=code("check_inputs", "resources/chromosome_lengths.tsv"),
    message:
        "Check the genotypes and maps of all chromosomes, and whether the pedigree can be drawn"
    script:
        "../../scripts/check_inputs.py"


rule check_scoring_files:
    input:
        scoring_files(),
        dictionary="results/real/dictionary.tsv",
    output:
        touch("results/real/import/scoring_files_checked"),
    log:
        "logs/check_scoring_files.log",
    priority: 100
    localrule: True
    params:
        build=config["build"],
        scoring_files=config["scoring_files"],
        code=code("check_scoring_files"),
    message:
        "Check the given scoring files"
    script:
        "../../scripts/check_scoring_files.py"


rule import_chromosome:
    input:
        genotypes=lambda wildcards: of_chromosome("genotypes", wildcards.chrom),
        companions=lambda wildcards: companions(wildcards.chrom),
        maps=lambda wildcards: configuration.map_files(config, wildcards.chrom),
        people="results/real/people.parquet",
    output:
        multiext(
            "results/real/genotypes/chr{chrom}",
            pgen=".pgen",
            pvar=".pvar",
            psam=".psam",
        ),
        map="results/real/maps/chr{chrom}.tsv",
        report="results/real/import/chr{chrom}.json",
    log:
        "logs/import_chromosome/chr{chrom}.log",
    benchmark:
        "logs/benchmarks/import_chromosome/chr{chrom}.tsv"
    priority: 10  # before anything is computed
    threads: 1
    resources:
        mem_mb=memory(1500, 20),
        runtime=minutes(15, 20),
    params:
        build=config["build"],
        options={
            key: config[key]
            for key in [
                "unphased",
                "missing",
                "multiallelic",
                "haploid_heterozygous",
                "pseudo_autosomal",
            ]
        },
        code=code("import_chromosome", "resources/chromosome_lengths.tsv"),
    message:
        "Import genotypes of chromosome {wildcards.chrom}"
    script:
        "../../scripts/import_chromosome.py"


rule import_report:
    input:
        checked="results/real/import/checked",
        tables="results/real/import/tables.json",
        chromosomes=expand("results/real/import/chr{chrom}.json", chrom=CHROMOSOMES),
    output:
        "results/real/import_report.json",
    log:
        "logs/import_report.log",
    localrule: True
    params:
        code=code("import_report"),
    message:
        "Import report: people, sites, what was dropped and why"
    script:
        "../../scripts/import_report.py"


rule run_config:
    output:
        "results/run_config.yaml",
    log:
        "logs/run_config.log",
    localrule: True
    params:
        config=lambda wildcards: shareable(config),
        code=code("run_config"),
    message:
        "The resolved configuration and the versions"
    script:
        "../../scripts/run_config.py"
