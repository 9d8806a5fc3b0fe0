# The model of the items, the pseudo phenotypes, and the models that are compared with it.


rule model:
    input:
        people="results/real/people.parquet",
        phenotypes="results/real/phenotypes.parquet",
        dictionary="results/real/dictionary.tsv",
        scores="results/real/scores.parquet",
        seed="results/secret/seed",
    output:
        directory("results/model"),
    log:
        "logs/model.log",
    benchmark:
        "logs/benchmarks/model.tsv"
    threads: 2
    resources:
        mem_mb=memory(2000, 100),
        runtime=minutes(60, 20),
    params:
        training=training,
        checkpoint="results/real/network_checkpoint",
        code=code("model"),
    message:
        "Train the model of the items (progress in {log})"
    script:
        "../../scripts/model.py"


# Not kept: it is as private as results/model, and of use to the comparison alone.
use rule model as compared_model with:
    output:
        temp(directory("results/real/models/{model}")),
    log:
        "logs/compared_model_{model}.log",
    benchmark:
        "logs/benchmarks/compared_model_{model}.tsv"
    message:
        "Train model {wildcards.model} of the items to compare (progress in {log})"


rule phenotypes:
    input:
        model="results/model",
        scores="results/synthetic/scores.parquet",
        pseudo="results/synthetic/people.parquet",
        dictionary="results/real/dictionary.tsv",
        seed="results/secret/seed",
    output:
        tsv="results/synthetic/phenotypes.tsv.gz",
        parquet="results/synthetic/phenotypes.parquet",
    log:
        "logs/phenotypes.log",
    benchmark:
        "logs/benchmarks/phenotypes.tsv"
    threads: 1
    resources:
        mem_mb=memory(3000, 50),
        runtime=minutes(15, 20),
    params:
        calibrate=config["calibrate"],
        code=code("phenotypes"),
    message:
        "Pseudo phenotypes from the pseudo genomes' scores"
    script:
        "../../scripts/phenotypes.py"


use rule phenotypes as compared_phenotypes with:
    input:
        model="results/real/models/{model}",
        scores="results/synthetic/scores.parquet",
        pseudo="results/synthetic/people.parquet",
        dictionary="results/real/dictionary.tsv",
        seed="results/secret/seed",
    output:
        parquet="results/comparison/{model}.parquet",
    log:
        "logs/compared_phenotypes_{model}.log",
    benchmark:
        "logs/benchmarks/compared_phenotypes_{model}.tsv"
    message:
        "Pseudo phenotypes of model {wildcards.model} to compare"


rule compare_models:
    input:
        people="results/real/people.parquet",
        real="results/real/phenotypes.parquet",
        pseudo="results/synthetic/phenotypes.parquet",
        compared=expand("results/comparison/{model}.parquet", model=compared_models()),
        real_scores="results/real/scores.parquet",
        pseudo_scores="results/synthetic/scores.parquet",
        dictionary="results/real/dictionary.tsv",
        seed="results/secret/seed",
    output:
        "results/evaluation/models.json",
    log:
        "logs/compare_models.log",
    benchmark:
        "logs/benchmarks/compare_models.tsv"
    threads: 1
    resources:
        mem_mb=memory(1500, 50),
        runtime=minutes(30, 40),
    params:
        models=[config["model"], *compared_models()],
        calibrated=calibrated_models(),
        private=private_models(),
        goals=config["goals"],
        code=code("compare_models"),
    message:
        "Compare models of the items: {params.models}"
    script:
        "../../scripts/compare_models.py"
