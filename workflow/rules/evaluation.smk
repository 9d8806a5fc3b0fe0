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
        founder_share=config["protection"]["founder_share"],
        protected=bool(protections()),
        build=config["build"],
        code=code("evaluate_genomes"),
    message:
        "Compare genomes: frequencies, linkage disequilibrium, ancestry, copies"
    script:
        "../../scripts/evaluate_genomes.py"


rule evaluate_relatedness:
    input:
        genotypes("real", AUTOSOMES),
        genotypes("synthetic", AUTOSOMES),
        maps=expand("results/real/maps/chr{chrom}.tsv", chrom=AUTOSOMES),
        people="results/real/people.parquet",
        seed="results/secret/seed",
    output:
        metrics="results/evaluation/relatedness.json",
        arrays="results/evaluation/relatedness.npz",
    log:
        "logs/evaluate_relatedness.log",
    benchmark:
        "logs/benchmarks/evaluate_relatedness.tsv"
    threads: 1
    resources:
        mem_mb=memory(1500, 20),
        runtime=minutes(20, 10),
    params:
        autosomes=AUTOSOMES,
        recipe=recipe(),
        protected=bool(protections()),
        sex_specific=config["recombination"]["sex_specific"],
        code=code("evaluate_relatedness"),
    message:
        "Compare kinship, identity by state and runs of homozygosity"
    script:
        "../../scripts/evaluate_relatedness.py"


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
        score="results/evaluation/score_item_findings.tsv",
        item="results/evaluation/item_item_findings.tsv",
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
        unpack(associated),
        people="results/real/people.parquet",
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
        mem_mb=memory(6000),
        runtime=minutes(20, 20),
    params:
        code=code("evaluate_associations"),
    message:
        "Compare associations: effects at the real hits, inflation, false hits"
    script:
        "../../scripts/evaluate_associations.py"


rule evaluate_prs:
    input:
        genotypes("real", SCORED),
        people="results/real/people.parquet",
        phenotypes="results/real/phenotypes.parquet",
        components="results/real/components.parquet",
        dictionary="results/real/dictionary.tsv",
        real="results/association_hits/real.leads.tsv",
        synthetic="results/association_hits/synthetic.leads.tsv",
        seed="results/secret/seed",
    output:
        "results/evaluation/prs.json",
    log:
        "logs/evaluate_prs.log",
    benchmark:
        "logs/benchmarks/evaluate_prs.tsv"
    threads: 1
    resources:
        mem_mb=memory(1500, 20),
        runtime=minutes(10, 20),
    params:
        chromosomes=SCORED,
        code=code("evaluate_prs"),
    message:
        "Scores learnt on pseudo people and on founders, tested in the real holdout"
    script:
        "../../scripts/evaluate_prs.py"


rule association_table:
    input:
        associations="results/evaluation/associations.json",
        heritability="results/evaluation/heritability.json",
        prs="results/evaluation/prs.json",
    output:
        "results/evaluation/associations.tsv",
    log:
        "logs/association_table.log",
    localrule: True
    params:
        code=code("association_table"),
    message:
        "Table of traits: associations, heritability, scores"
    script:
        "../../scripts/association_table.py"


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
        expand("results/evaluation/{part}.json", part=MEASURED),
        expand("results/disclosure/{part}.json", part=DISCLOSED),
    output:
        "results/evaluation/summary.json",
    log:
        "logs/summary.log",
    localrule: True
    params:
        goals=config["goals"],
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
        figure("ld_matrix", "Genomes"),
        figure("haplotype_diversity", "Genomes"),
        figure("pca", "Genomes"),
        figure("strata", "Genomes"),
    log:
        "logs/figures_genomes.log",
    localrule: True
    params:
        language=config["language"],
        code=code("figures_genomes"),
    message:
        "Figures of the genomes"
    script:
        "../../scripts/figures_genomes.py"


rule figures_relatedness:
    input:
        "results/evaluation/relatedness.npz",
    output:
        figure("kinship", "Genomes"),
        figure("homozygosity", "Genomes"),
    log:
        "logs/figures_relatedness.log",
    localrule: True
    params:
        language=config["language"],
        code=code("figures_relatedness"),
    message:
        "Figures of kinship and runs of homozygosity"
    script:
        "../../scripts/figures_relatedness.py"


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
        figure("score_item_heatmap", "Items"),
        figure("findings", "Items"),
        figure("learning_curve", "Items"),
        figure("search", "Items"),
    log:
        "logs/figures_items.log",
    localrule: True
    params:
        language=config["language"],
        code=code("figures_items"),
    message:
        "Figures of the items"
    script:
        "../../scripts/figures_items.py"


rule figures_associations:
    input:
        arrays="results/evaluation/associations.npz",
        heritability="results/evaluation/heritability.json",
        dictionary="results/real/dictionary.tsv",
    output:
        figure("manhattan", "Associations"),
        figure("qq", "Associations"),
        figure("beta_beta", "Associations"),
        figure("lambda_gc", "Associations"),
        figure("heritability", "Associations"),
        by_trait=directory("results/figures/manhattan"),
    log:
        "logs/figures_associations.log",
    localrule: True
    params:
        language=config["language"],
        rank_normalise=config["association"]["rank_normalise"],
        code=code("figures_associations"),
    message:
        "Figures of the associations"
    script:
        "../../scripts/figures_associations.py"


rule report_page:
    input:
        rules.figures_genomes.output,
        rules.figures_relatedness.output,
        rules.figures_items.output,
        rules.figures_associations.output,
        rules.figures_disclosure.output,
        [] if FRONTIER is None else "results/figures/frontier.svg",
        summary="results/evaluation/summary.json",
        weights="results/evaluation/weights.json",
        models="results/evaluation/models.json",
        associations="results/evaluation/associations.tsv",
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
        language=config["language"],
        code=code("report_page", *captions()),
    message:
        "The report: {output}"
    script:
        "../../scripts/report_page.py"
