# Effect weights, scores and association, alike for real and pseudo people.


rule weights:
    input:
        genotypes("real", SCORED),
        people="results/real/people.parquet",
        phenotypes="results/real/phenotypes.parquet",
        dictionary="results/real/dictionary.tsv",
        report="results/real/import_report.json",
        scores=list(config["scoring_files"].values()),
        seed="results/secret/seed",
    output:
        weights=directory("results/weights"),
        report="results/evaluation/weights.json",
    log:
        "logs/weights.log",
    benchmark:
        "logs/benchmarks/weights.tsv"
    threads: 2
    resources:
        mem_mb=memory(1500, 100, 32),
        runtime=minutes(30, 20),
    params:
        chromosomes=SCORED,
        build=config["build"],
        method=config["weights"],
        scoring_files=config["scoring_files"],
        minimum_overlap=config["minimum_overlap"],
        code=code("weights"),
    message:
        "Effect weights of every trait ({params.method})"
    script:
        "../../scripts/weights.py"


rule scores:
    input:
        lambda wildcards: genotypes(wildcards.cohort, SCORED),
        weights="results/weights",
        known=expand(GENOTYPES, cohort="real", chrom=SCORED, suffix="pvar"),
    output:
        "results/{cohort}/scores.parquet",
    log:
        "logs/scores/{cohort}.log",
    benchmark:
        "logs/benchmarks/scores/{cohort}.tsv"
    wildcard_constraints:
        cohort="real|synthetic",
    threads: 1
    resources:
        mem_mb=memory(1500, 20),
        runtime=minutes(10, 20),
    params:
        chromosomes=SCORED,
        code=code("scores"),
    message:
        "Scores of the {wildcards.cohort} people"
    script:
        "../../scripts/scores.py"


rule association:
    input:
        lambda wildcards: genotypes(people_of(wildcards.cohort), SCORED),
        people="results/real/people.parquet",
        phenotypes=lambda wildcards: f"results/{people_of(wildcards.cohort)}/phenotypes.parquet",
        dictionary="results/real/dictionary.tsv",
        report="results/real/import_report.json",
    output:
        directory("results/association/{cohort}"),
    log:
        "logs/association/{cohort}.log",
    benchmark:
        "logs/benchmarks/association/{cohort}.tsv"
    threads: 1
    resources:
        mem_mb=memory(2000, 100),
        runtime=minutes(30, 20),
    params:
        chromosomes=SCORED,
        minimum_minor_allele_count=config["association"]["minimum_minor_allele_count"],
        code=code("association"),
    message:
        "Association of all traits in the {wildcards.cohort} people"
    script:
        "../../scripts/association.py"
