# Attacks on the pseudo cohort, each with its controls. What they find of single people is secret and temporary.


rule attack_panel:
    input:
        genotypes("real", AUTOSOMES),
        people="results/real/people.parquet",
        seed="results/secret/seed",
    output:
        temp("results/real/attacks/panel.npz"),
    log:
        "logs/attack_panel.log",
    benchmark:
        "logs/benchmarks/attack_panel.tsv"
    threads: 1
    resources:
        mem_mb=memory(800, 100),
        runtime=minutes(10, 5),
    params:
        autosomes=AUTOSOMES,
        targets=config["disclosure"]["targets"],
        founders=config["founders"],
        founder_share=config["protection"]["founder_share"],
        code=code("attack_panel"),
    message:
        "Draw whose genomes are attacked"
    script:
        "../../scripts/attack_panel.py"


rule attack_genomes:
    input:
        expand(
            GENOTYPES,
            cohort=["real", "synthetic"],
            suffix=SUFFIXES,
            allow_missing=True,
        ),
        map="results/real/maps/chr{chrom}.tsv",
        people="results/real/people.parquet",
        panel="results/real/attacks/panel.npz",
        seed="results/secret/seed",
    output:
        temp("results/real/attacks/chr{chrom}.npz"),
    log:
        "logs/attack_genomes/chr{chrom}.log",
    benchmark:
        "logs/benchmarks/attack_genomes/chr{chrom}.tsv"
    threads: 1
    # Pseudo people and founders lie in nameless files beside the output, sites / 4 bytes a founder and sites / 2 a pseudo
    # person, of 200,000 sites at most; in memory are members, at most 10,000 non-members and as many of a reference.
    resources:
        mem_mb=memory(1200 + attacked(300), 10),
        disk_mb=memory(100, 150),
        runtime=minutes(60, 20),
    params:
        founders=config["founders"],
        founder_share=config["protection"]["founder_share"],
        code=code("attack_genomes"),
    message:
        "Attack the pseudo genomes of chromosome {wildcards.chrom}"
    script:
        "../../scripts/attack_genomes.py"


rule disclose_genomes:
    input:
        attacks=expand("results/real/attacks/chr{chrom}.npz", chrom=AUTOSOMES),
        descents=expand("results/disclosure/descent/chr{chrom}.json", chrom=AUTOSOMES),
        panel="results/real/attacks/panel.npz",
        people="results/real/people.parquet",
        pseudo=expand(GENOTYPES, cohort="synthetic", chrom=AUTOSOMES, suffix=["pgen"]),
    output:
        metrics="results/disclosure/genomes.json",
        arrays="results/disclosure/genomes.npz",
    log:
        "logs/disclose_genomes.log",
    benchmark:
        "logs/benchmarks/disclose_genomes.tsv"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(15),
    params:
        code=code("disclose_genomes"),
    message:
        "Judge the attacks on genomes"
    script:
        "../../scripts/disclose_genomes.py"


rule disclose_items:
    input:
        people="results/real/people.parquet",
        real="results/real/phenotypes.parquet",
        pseudo="results/synthetic/phenotypes.parquet",
        scores="results/real/scores.parquet",
        pseudo_scores="results/synthetic/scores.parquet",
        dictionary="results/real/dictionary.tsv",
        model="results/model",
        seed="results/secret/seed",
    output:
        "results/disclosure/items.json",
    log:
        "logs/disclose_items.log",
    benchmark:
        "logs/benchmarks/disclose_items.tsv"
    threads: 1
    resources:
        mem_mb=memory(3000, 50),
        runtime=minutes(60, 20),
    params:
        training=training,
        calibrate=config["calibrate"],
        targets=config["disclosure"]["targets"],
        shadow_models=config["disclosure"]["shadow_models"],
        unusual=config["disclosure"]["unusual"],
        code=code("disclose_items"),
    message:
        "Attack the pseudo cohort's items"
    script:
        "../../scripts/disclose_items.py"


rule disclose_joint:
    input:
        attacks=expand("results/real/attacks/chr{chrom}.npz", chrom=AUTOSOMES),
        panel="results/real/attacks/panel.npz",
        people="results/real/people.parquet",
        real="results/real/phenotypes.parquet",
        scores="results/real/scores.parquet",
        pseudo="results/synthetic/phenotypes.parquet",
        pseudo_scores="results/synthetic/scores.parquet",
        dictionary="results/real/dictionary.tsv",
        seed="results/secret/seed",
    output:
        "results/disclosure/joint.json",
    log:
        "logs/disclose_joint.log",
    benchmark:
        "logs/benchmarks/disclose_joint.tsv"
    threads: 1
    resources:
        mem_mb=memory(1000, 50),
        runtime=minutes(15),
    params:
        code=code("disclose_joint"),
    message:
        "Attack items by shared haplotypes"
    script:
        "../../scripts/disclose_joint.py"


if FRONTIER is not None:

    rule frontier:
        input:
            multiext(
                f"results/real/genotypes/chr{FRONTIER}",
                pgen=".pgen",
                pvar=".pvar",
                psam=".psam",
            ),
            map=f"results/real/maps/chr{FRONTIER}.tsv",
            people="results/real/people.parquet",
            seed="results/secret/seed",
        output:
            "results/disclosure/frontier.json",
        log:
            "logs/frontier.log",
        benchmark:
            "logs/benchmarks/frontier.tsv"
        threads: 1
        resources:
            mem_mb=memory(1000, 5),
            runtime=minutes(20, 10),
        params:
            chrom=FRONTIER,
            run={
                "generations": config["generations"],
                "founder_share": config["protection"]["founder_share"],
                "protection": protections(),
            },
            presets=configuration.load_presets(),
            pedigree={
                key: config[key]
                for key in ["founders", "mating", "avoid_kin", "migration"]
            },
            recombination=config["recombination"],
            code=code("frontier"),
        message:
            "Compare protections on chromosome {params.chrom}"
        script:
            "../../scripts/frontier.py"

    rule figure_frontier:
        input:
            "results/disclosure/frontier.json",
        output:
            figure("frontier", "Disclosure"),
        log:
            "logs/figure_frontier.log",
        localrule: True
        params:
            language=config["language"],
            code=code("figure_frontier"),
        message:
            "Figure of the frontier of protections"
        script:
            "../../scripts/figure_frontier.py"


rule figures_disclosure:
    input:
        "results/disclosure/genomes.npz",
    output:
        figure("attacks", "Disclosure"),
        figure("longest_segments", "Disclosure"),
        figure("rare_alleles", "Disclosure"),
    log:
        "logs/figures_disclosure.log",
    localrule: True
    params:
        language=config["language"],
        code=code("figures_disclosure"),
    message:
        "Figures of the attacks"
    script:
        "../../scripts/figures_disclosure.py"
