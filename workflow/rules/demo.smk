# Cohorts for demonstration: the built-in one, and strangers' health records given to real genomes.


rule demo_people:
    output:
        "results/demo/samples.tsv",
    log:
        "logs/demo_people.log",
    localrule: True
    params:
        demo=config["demo"],
        code=code("demo_people"),
    message:
        "Demo cohort: families and regions of {params.demo[people]} people"
    script:
        "../../scripts/demo_people.py"


rule demo_chromosome:
    input:
        samples="results/demo/samples.tsv",
    output:
        vcf="results/demo/genotypes/chr{chrom}.vcf.gz",
        index="results/demo/genotypes/chr{chrom}.vcf.gz.tbi",
        map="results/demo/maps/chr{chrom}.map.gz",
    log:
        "logs/demo_chromosome/chr{chrom}.log",
    benchmark:
        "logs/benchmarks/demo_chromosome/chr{chrom}.tsv"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=minutes(10),
    params:
        demo=config["demo"],
        code=code("demo_chromosome"),
    message:
        "Demo cohort: genomes of chromosome {wildcards.chrom} from a Japanese demography"
    script:
        "../../scripts/demo_chromosome.py"


rule demo_items:
    input:
        samples="results/demo/samples.tsv",
        vcf=expand("results/demo/genotypes/chr{chrom}.vcf.gz", chrom=SCORED),
    output:
        phenotypes="results/demo/phenotypes.tsv",
        dictionary="results/demo/dictionary.tsv",
        withdrawn="results/demo/withdrawn.txt",
        truth=directory("results/demo/truth"),
    log:
        "logs/demo_items.log",
    benchmark:
        "logs/benchmarks/demo_items.tsv"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=minutes(10),
    params:
        demo=config["demo"],
        code=code("demo_items"),
    message:
        "Demo cohort: items with known genetic effects"
    script:
        "../../scripts/demo_items.py"


rule planted:
    input:
        unpack(lambda wildcards: given("genotypes", "samples")),
        table=config["planted"].get("table", []),
        scores=[
            e["score"] for e in config["planted"]["effects"].values() if "score" in e
        ],
    output:
        phenotypes="results/planted/phenotypes.tsv",
        effects="results/planted/effects.tsv",
    log:
        "logs/planted.log",
    benchmark:
        "logs/benchmarks/planted.tsv"
    threads: 1
    resources:
        mem_mb=memory(1500, 20),
        runtime=minutes(15, 20),
    params:
        planted=config["planted"],
        build=config["build"],
        chromosomes=CHROMOSOMES,
        sample_columns=config["input"]["sample_columns"],
        source=lambda wildcards: config["input"]["genotypes"],
        code=code("planted"),
    message:
        "Health records of strangers given to the genomes at random, with a planted genetic effect"
    script:
        "../../scripts/planted.py"
