"""Make the demo cohort's items, dictionary, withdrawals, and the truth behind them."""

from pathlib import Path

from pseudocohort.cohort.demo_items import make_demo_items
from pseudocohort.cohort.demo_people import read_demo_people
from pseudocohort.job import logged

with logged(snakemake.log[0]):
    demo = snakemake.params.demo
    people = read_demo_people(snakemake.input.samples)
    make_demo_items(people, snakemake.input.vcf, demo, demo["seed"], Path(snakemake.output.phenotypes).parent)
