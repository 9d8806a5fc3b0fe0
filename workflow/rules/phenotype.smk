# The phenotype network, the pseudo phenotypes and the baseline.


rule network:
    input:
        people="results/real/people.parquet",
        phenotypes="results/real/phenotypes.parquet",
        dictionary="results/real/dictionary.tsv",
        scores="results/real/scores.parquet",
        seed="results/secret/seed",
    output:
        directory("results/model"),
    log:
        "logs/network.log",
    benchmark:
        "logs/benchmarks/network.tsv"
    threads: 2
    resources:
        mem_mb=memory(2000, 100),
        runtime=minutes(60, 20),
    params:
        network=config["network"],
        code=code("network"),
    message:
        "Train the phenotype network (progress in {log})"
    script:
        "../../scripts/network.py"


rule phenotypes:
    input:
        model="results/model",
        scores="results/synthetic/scores.parquet",
        pseudo="results/synthetic/people.parquet",
        real="results/real/phenotypes.parquet",
        people="results/real/people.parquet",
        dictionary="results/real/dictionary.tsv",
        seed="results/secret/seed",
    output:
        tsv="results/synthetic/phenotypes.tsv.gz",
        parquet="results/synthetic/phenotypes.parquet",
        baseline="results/synthetic/baseline.parquet",
    log:
        "logs/phenotypes.log",
    benchmark:
        "logs/benchmarks/phenotypes.tsv"
    threads: 1
    resources:
        mem_mb=memory(3000, 50),
        runtime=minutes(15, 20),
    params:
        code=code("phenotypes"),
    message:
        "Pseudo phenotypes from the pseudo genomes' scores"
    script:
        "../../scripts/phenotypes.py"
