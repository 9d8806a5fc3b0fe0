# Effect weights, scores and association, alike for real and pseudo people.


rule components:
    input:
        lambda wildcards: genotypes(wildcards.cohort, SCORED),
        people="results/real/people.parquet",
        seed="results/secret/seed",
    output:
        components="results/{cohort}/components.parquet",
        report="results/evaluation/components_{cohort}.json",
    log:
        "logs/components/{cohort}.log",
    benchmark:
        "logs/benchmarks/components/{cohort}.tsv"
    wildcard_constraints:
        cohort="real|synthetic",
    threads: 2
    resources:
        mem_mb=memory(1500, 15),
        runtime=minutes(20, 20),
    params:
        chromosomes=SCORED,
        number=config["association"]["principal_components"],
        code=code("components"),
    message:
        "Principal components of the {wildcards.cohort} people"
    script:
        "../../scripts/components.py"


rule weights:
    input:
        genotypes("real", SCORED),
        people="results/real/people.parquet",
        phenotypes="results/real/phenotypes.parquet",
        components="results/real/components.parquet",
        dictionary="results/real/dictionary.tsv",
        # Nothing is computed before all is imported; another plan of reproduction does not make this stale.
        imported=ancient("results/real/import_report.json"),
        scores=scoring_files(),
        checked="results/real/import/scoring_files_checked",
        seed="results/secret/seed",
    output:
        weights=directory("results/weights"),
        out_of_fold="results/real/out_of_fold.parquet",
        report="results/evaluation/weights.json",
    log:
        "logs/weights.log",
    benchmark:
        "logs/benchmarks/weights.tsv"
    threads: 2
    resources:
        mem_mb=memory(3000, 150, 32),
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
        # Founders are given what families other than theirs predict, if weights were learnt to predict.
        out_of_fold=lambda wildcards: (
            ["results/real/out_of_fold.parquet"]
            if config["weights"] == "crossfit" and wildcards.cohort == "real"
            else []
        ),
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
        method=config["weights"],
        code=code("scores"),
    message:
        "Scores of the {wildcards.cohort} people"
    script:
        "../../scripts/scores.py"


rule association:
    input:
        unpack(drawn_from),
        lambda wildcards: genotypes(people_of(wildcards.cohort), SCORED),
        people="results/real/people.parquet",
        phenotypes=lambda wildcards: f"results/{people_of(wildcards.cohort)}/phenotypes.parquet",
        components=lambda wildcards: f"results/{people_of(wildcards.cohort)}/components.parquet",
        dictionary="results/real/dictionary.tsv",
        # Nothing is computed before all is imported; another plan of reproduction does not make this stale.
        imported=ancient("results/real/import_report.json"),
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
        rank_normalise=config["association"]["rank_normalise"],
        columnar_above=config["association"]["columnar_above"],
        build=config["build"],
        code=code("association"),
    message:
        "Association of all traits in the {wildcards.cohort} people"
    script:
        "../../scripts/association.py"


rule ld_scores:
    input:
        lambda wildcards: genotypes(wildcards.cohort, AUTOSOMES),
        maps=expand("results/real/maps/chr{chrom}.tsv", chrom=AUTOSOMES),
        people="results/real/people.parquet",
    output:
        directory("results/ld_scores/{cohort}"),
    log:
        "logs/ld_scores/{cohort}.log",
    benchmark:
        "logs/benchmarks/ld_scores/{cohort}.tsv"
    wildcard_constraints:
        cohort="real|synthetic",
    threads: 2
    resources:
        mem_mb=memory(1500, 10),
        runtime=minutes(30, 20),
    params:
        chromosomes=AUTOSOMES,
        code=code("ld_scores"),
    message:
        "LD scores of the {wildcards.cohort} people"
    script:
        "../../scripts/ld_scores.py"


rule hits:
    input:
        lambda wildcards: genotypes(people_of(wildcards.cohort), SCORED),
        people="results/real/people.parquet",
        association="results/association/{cohort}",
    output:
        hits="results/association_hits/{cohort}.tsv",
        leads="results/association_hits/{cohort}.leads.tsv",
    log:
        "logs/hits/{cohort}.log",
    benchmark:
        "logs/benchmarks/hits/{cohort}.tsv"
    threads: 1
    resources:
        mem_mb=memory(3000, 10),
        runtime=minutes(30, 20),
    params:
        chromosomes=SCORED,
        code=code("hits"),
    message:
        "Clumped hits and leads of all traits in the {wildcards.cohort} people"
    script:
        "../../scripts/hits.py"
