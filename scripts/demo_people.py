"""Make the demo cohort's sample sheet."""

from pseudocohort.cohort.demo_people import make_demo_people, write_demo_people
from pseudocohort.job import logged

with logged(snakemake.log[0]):
    demo = snakemake.params.demo
    write_demo_people(snakemake.output[0], make_demo_people(demo, demo["seed"]))
