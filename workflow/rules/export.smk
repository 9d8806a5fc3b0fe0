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


rule truth:
    input:
        pedigree="results/pedigree.npz",
        mosaic="results/mosaic/chr{chrom}.npz",
        map="results/real/maps/chr{chrom}.tsv",
        people=ancient("results/synthetic/people.parquet"),
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
        mem_mb=memory(800, 20),
        runtime=minutes(10, 20),
    params:
        build=config["build"],
        recipe=[recipe(), code("pedigree"), code("mosaic")],
        code=code("truth"),
    message:
        "Founder segments, ancestry and tree sequence of chromosome {wildcards.chrom}"
    script:
        "../../scripts/truth.py"
