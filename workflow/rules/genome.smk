# Mendelian reproduction: one pedigree for all chromosomes, then chromosome by chromosome.
# The pedigree is drawn in a second and follows from people, seed and configuration alone, so every rule that needs it
# draws it: a file between them would make all chromosomes stale when one is added.


rule pedigree:
    input:
        people="results/real/people.parquet",
        seed="results/secret/seed",
    output:
        people="results/synthetic/people.parquet",
        drift="results/evaluation/drift.json",
    log:
        "logs/pedigree.log",
    benchmark:
        "logs/benchmarks/pedigree.tsv"
    threads: 1
    resources:
        mem_mb=memory(800, 10),
        runtime=minutes(10),
    params:
        recipe=recipe(),
        # What follows is the mosaic's: Snakemake does not look at the parameters of rules that wait for an ancient file.
        mosaic=[config["build"], config["recombination"], code("mosaic")],
        code=code("pedigree"),
    message:
        "Pedigree: {config[generations]} generations, {config[mating]} mating"
    script:
        "../../scripts/pedigree.py"


rule mosaic:
    input:
        people="results/real/people.parquet",
        map="results/real/maps/chr{chrom}.tsv",
        seed="results/secret/seed",
        # Nothing is computed before all chromosomes are imported; one added later does not make the others stale.
        imported=ancient("results/real/import_report.json"),
    output:
        mosaic=unless_kept("results/mosaic/chr{chrom}.npz"),
        descent="results/disclosure/descent/chr{chrom}.json",
    log:
        "logs/mosaic/chr{chrom}.log",
    benchmark:
        "logs/benchmarks/mosaic/chr{chrom}.tsv"
    threads: 1
    resources:
        mem_mb=memory(800, 20),
        runtime=minutes(10, 20),
    params:
        recipe=recipe(),
        build=config["build"],
        recombination=config["recombination"],
        code=code("mosaic"),
    message:
        "Mosaic of founder segments on chromosome {wildcards.chrom}"
    script:
        "../../scripts/mosaic.py"


rule transmission:
    input:
        multiext(
            "results/real/genotypes/chr{chrom}",
            pgen=".pgen",
            pvar=".pvar",
            psam=".psam",
        ),
        map="results/real/maps/chr{chrom}.tsv",
        people="results/real/people.parquet",
        pseudo="results/synthetic/people.parquet",
        mosaic="results/mosaic/chr{chrom}.npz",
        seed="results/secret/seed",
    output:
        multiext(
            "results/synthetic/genotypes/chr{chrom}",
            pgen=".pgen",
            pvar=".pvar",
            psam=".psam",
        ),
    log:
        "logs/transmission/chr{chrom}.log",
    benchmark:
        "logs/benchmarks/transmission/chr{chrom}.tsv"
    threads: 1
    resources:
        mem_mb=memory(800, 20),
        runtime=minutes(15, 20),
    params:
        # The mosaic is temporary, so each chromosome must remember the one it was made with.
        recipe=[recipe(), config["build"], config["recombination"], code("mosaic")],
        founders=config["founders"],
        founder_share=config["protection"]["founder_share"],
        protection=protections(),
        code=code("transmission"),
    message:
        "Pseudo genotypes of chromosome {wildcards.chrom}"
    script:
        "../../scripts/transmission.py"
