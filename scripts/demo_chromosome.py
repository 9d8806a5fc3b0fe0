"""Make one chromosome of the demo cohort."""

from pseudocohort.cohort.demo_genomes import make_demo_chromosome
from pseudocohort.cohort.demo_people import read_demo_people
from pseudocohort.job import logged

with logged(snakemake.log[0]):
    demo = snakemake.params.demo
    people = read_demo_people(snakemake.input.samples)
    make_demo_chromosome(
        people, snakemake.wildcards.chrom, demo, demo["seed"], snakemake.output.vcf, snakemake.output.map
    )
