# Mendelian reproduction: one pedigree for all chromosomes, then chromosome by chromosome.


rule pedigree:
    input:
        people="results/real/people.parquet",
        report="results/real/import_report.json",
        seed="results/secret/seed",
    output:
        pedigree=unless_kept("results/pedigree.npz"),
        people="results/synthetic/people.parquet",
        drift="results/evaluation/drift.json",
    log:
        "logs/pedigree.log",
    benchmark:
        "logs/benchmarks/pedigree.tsv"
    threads: 1
    resources:
        mem_mb=memory(800, 40),
        runtime=minutes(10),
    params:
        **recipe(of_pedigree=True),
        code=code("pedigree"),
    message:
        "Pedigree: {params.generations} generations, {params.mating} mating"
    script:
        "../../scripts/pedigree.py"


rule mosaic:
    input:
        pedigree="results/pedigree.npz",
        map="results/real/maps/chr{chrom}.tsv",
        seed="results/secret/seed",
    output:
        unless_kept("results/mosaic/chr{chrom}.npz"),
    log:
        "logs/mosaic/chr{chrom}.log",
    benchmark:
        "logs/benchmarks/mosaic/chr{chrom}.tsv"
    threads: 1
    resources:
        mem_mb=memory(800, 20),
        runtime=minutes(10, 20),
    params:
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
        # The pedigree is temporary: making it again for one chromosome must not make the others stale.
        pseudo=ancient("results/synthetic/people.parquet"),
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
        # Pedigree and mosaic are temporary, so that what they depend on must be seen here.
        recipe=[recipe(), code("pedigree"), code("mosaic")],
        founders=config["founders"],
        code=code("transmission"),
    message:
        "Pseudo genotypes of chromosome {wildcards.chrom}"
    script:
        "../../scripts/transmission.py"
