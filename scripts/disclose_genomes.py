"""Judge the attacks on the genomes of all chromosomes; write the evidence."""

import json
from pathlib import Path

import pandas as pd

from pseudocohort.cohort.digests import file_sums, people_facts
from pseudocohort.disclosure.genome_attacks import load_panel
from pseudocohort.disclosure.genome_evidence import exposure_arrays, exposure_lines, genome_evidence
from pseudocohort.job import logged
from pseudocohort.measures.arrays import load_arrays, save_arrays
from pseudocohort.measures.line import save_lines

source = snakemake.input
with logged(snakemake.log[0]):
    people, (panel, kin) = pd.read_parquet(source.people), load_panel(source.panel)
    chromosomes = [load_arrays(path) for path in source.attacks]
    descents = [json.loads(Path(path).read_text()) for path in source.descents]
    lines, controls, arrays = genome_evidence(chromosomes, panel, people["family"].to_numpy(dtype=str))
    lines += exposure_lines(chromosomes, descents, kin)
    save_lines(
        snakemake.output.metrics, lines, controls=controls, people=people_facts(people), files=file_sums(source.pseudo)
    )
    save_arrays(snakemake.output.arrays, arrays | exposure_arrays(chromosomes))
