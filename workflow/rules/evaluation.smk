# Real against pseudo beside the noise floor; figures; the report.


rule evaluate_genomes:
    input:
        genotypes("real", SCORED),
        genotypes("synthetic", SCORED),
        maps=expand("results/real/maps/chr{chrom}.tsv", chrom=SCORED),
        people="results/real/people.parquet",
        pseudo_people="results/synthetic/people.parquet",
        expected="results/evaluation/drift.json",
        seed="results/secret/seed",
    output:
        metrics="results/evaluation/genomes.json",
        arrays="results/evaluation/genomes.npz",
    log:
        "logs/evaluate_genomes.log",
    benchmark:
        "logs/benchmarks/evaluate_genomes.tsv"
    threads: 1
    resources:
        mem_mb=memory(1500, 50),
        runtime=minutes(20, 20),
    params:
        chromosomes=SCORED,
        generations=config["generations"],
        founders=config["founders"],
        code=code("evaluate_genomes"),
    message:
        "Compare genomes: frequencies, linkage disequilibrium, ancestry, copies"
    script:
        "../../scripts/evaluate_genomes.py"


rule evaluate_items:
    input:
        people="results/real/people.parquet",
        real="results/real/phenotypes.parquet",
        pseudo="results/synthetic/phenotypes.parquet",
        baseline="results/comparison/marginal.parquet",
        real_scores="results/real/scores.parquet",
        pseudo_scores="results/synthetic/scores.parquet",
        dictionary="results/real/dictionary.tsv",
        seed="results/secret/seed",
    output:
        metrics="results/evaluation/items.json",
        arrays="results/evaluation/items.npz",
    log:
        "logs/evaluate_items.log",
    benchmark:
        "logs/benchmarks/evaluate_items.tsv"
    threads: 1
    resources:
        mem_mb=memory(1500, 50),
        runtime=minutes(20, 20),
    params:
        code=code("evaluate_items"),
    message:
        "Compare items: distributions, correlations, scores"
    script:
        "../../scripts/evaluate_items.py"


rule evaluate_associations:
    input:
        real="results/association/real",
        holdout="results/association/holdout",
        synthetic="results/association/synthetic",
        seed="results/secret/seed",
    output:
        metrics="results/evaluation/associations.json",
        arrays="results/evaluation/associations.npz",
    log:
        "logs/evaluate_associations.log",
    benchmark:
        "logs/benchmarks/evaluate_associations.tsv"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(20, 20),
    params:
        code=code("evaluate_associations"),
    message:
        "Compare associations: effects at the real hits, inflation, false hits"
    script:
        "../../scripts/evaluate_associations.py"


rule heritability:
    input:
        genotypes("real", AUTOSOMES),
        genotypes("synthetic", AUTOSOMES),
        expand(
            "results/{cohort}/{table}.parquet",
            cohort=["real", "synthetic"],
            table=["phenotypes", "components"],
        ),
        people="results/real/people.parquet",
        dictionary="results/real/dictionary.tsv",
        real="results/association/real",
        holdout="results/association/holdout",
        synthetic="results/association/synthetic",
        ld_real="results/ld_scores/real",
        ld_synthetic="results/ld_scores/synthetic",
        seed="results/secret/seed",
    output:
        "results/evaluation/heritability.json",
    log:
        "logs/heritability.log",
    benchmark:
        "logs/benchmarks/heritability.tsv"
    threads: 2
    resources:
        mem_mb=memory(3000, 20),
        runtime=minutes(60, 40),
    params:
        chromosomes=AUTOSOMES,
        code=code("heritability"),
    message:
        "Heritability and genetic correlation, real and pseudo"
    script:
        "../../scripts/heritability.py"


rule summary:
    input:
        expand(
            "results/evaluation/{part}.json",
            part=["genomes", "items", "associations", "heritability"],
        ),
    output:
        "results/evaluation/summary.json",
    log:
        "logs/summary.log",
    localrule: True
    params:
        code=code("summary"),
    message:
        "Summary of all measures, with their verdicts"
    script:
        "../../scripts/summary.py"


rule figures_genomes:
    input:
        "results/evaluation/genomes.npz",
    output:
        figure("af_scatter", "Genomes"),
        figure("sfs", "Genomes"),
        figure("ld_decay", "Genomes"),
        figure("pca", "Genomes"),
    log:
        "logs/figures_genomes.log",
    localrule: True
    params:
        code=code("figures_genomes"),
    message:
        "Figures of the genomes"
    script:
        "../../scripts/figures_genomes.py"


rule figures_items:
    input:
        arrays="results/evaluation/items.npz",
        model="results/model",
    output:
        figure("marginals", "Items"),
        figure("correlation_heatmaps", "Items"),
        figure("correlation_pairs", "Items"),
        figure("score_distribution", "Items"),
        figure("score_deciles", "Items"),
        figure("learning_curve", "Items"),
        figure("search", "Items"),
    log:
        "logs/figures_items.log",
    localrule: True
    params:
        code=code("figures_items"),
    message:
        "Figures of the items"
    script:
        "../../scripts/figures_items.py"


rule figures_associations:
    input:
        "results/evaluation/associations.npz",
    output:
        figure("manhattan", "Associations"),
        figure("qq", "Associations"),
        figure("beta_beta", "Associations"),
        figure("lambda_gc", "Associations"),
        by_trait=directory("results/figures/manhattan"),
    log:
        "logs/figures_associations.log",
    localrule: True
    params:
        code=code("figures_associations"),
    message:
        "Figures of the associations"
    script:
        "../../scripts/figures_associations.py"


rule report_page:
    input:
        rules.figures_genomes.output,
        rules.figures_items.output,
        rules.figures_associations.output,
        summary="results/evaluation/summary.json",
        weights="results/evaluation/weights.json",
        models="results/evaluation/models.json",
        model="results/model",
        import_report="results/real/import_report.json",
        dictionary="results/real/dictionary.tsv",
        run_config="results/run_config.yaml",
    output:
        "results/report.html",
    log:
        "logs/report_page.log",
    localrule: True
    params:
        code=code("report_page", *captions()),
    message:
        "The report: {output}"
    script:
        "../../scripts/report_page.py"
