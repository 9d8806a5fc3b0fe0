# On request only: the pseudo genotypes as VCF and BCF, and the secret truth about them.


rule export_vcf:
    input:
        multiext(
            "results/synthetic/genotypes/chr{chrom}",
            pgen=".pgen",
            pvar=".pvar",
            psam=".psam",
        ),
    output:
        data="results/synthetic/vcf/chr{chrom}.vcf.gz",
        index="results/synthetic/vcf/chr{chrom}.vcf.gz.tbi",
    log:
        "logs/export_vcf/chr{chrom}.log",
    benchmark:
        "logs/benchmarks/export_vcf/chr{chrom}.tsv"
    threads: 1
    resources:
        mem_mb=memory(500, 2),
        runtime=minutes(10, 20),
    params:
        build=config["build"],
        code=code("export"),
    message:
        "Export of chromosome {wildcards.chrom} to {output.data}"
    script:
        "../../scripts/export.py"


use rule export_vcf as export_bcf with:
    output:
        data="results/synthetic/vcf/chr{chrom}.bcf",
        index="results/synthetic/vcf/chr{chrom}.bcf.csi",
    log:
        "logs/export_bcf/chr{chrom}.log",
    benchmark:
        "logs/benchmarks/export_bcf/chr{chrom}.tsv"


rule kept_pedigree:
    input:
        people="results/real/people.parquet",
        seed="results/secret/seed",
    output:
        "results/pedigree.npz",
    log:
        "logs/kept_pedigree.log",
    localrule: True
    params:
        recipe=kept(recipe),
        code=code("kept_pedigree"),
    message:
        "The pedigree, kept"
    script:
        "../../scripts/kept_pedigree.py"


rule truth:
    input:
        people="results/real/people.parquet",
        pseudo="results/synthetic/people.parquet",
        mosaic="results/mosaic/chr{chrom}.npz",
        map="results/real/maps/chr{chrom}.tsv",
        seed="results/secret/seed",
    output:
        segments="results/mosaic/chr{chrom}.segments.parquet",
        ancestry="results/mosaic/chr{chrom}.ancestry.parquet",
        trees="results/mosaic/chr{chrom}.trees",
    log:
        "logs/truth/chr{chrom}.log",
    benchmark:
        "logs/benchmarks/truth/chr{chrom}.tsv"
    threads: 1
    resources:
        mem_mb=memory(800, 50),
        runtime=minutes(10, 20),
    params:
        recipe=kept(recipe),
        build=config["build"],
        code=code("truth"),
    message:
        "Founder segments, ancestry and tree sequence of chromosome {wildcards.chrom}"
    script:
        "../../scripts/truth.py"
