"""Attack items by shared haplotypes; write the evidence."""

import pandas as pd

from pseudocohort.cohort.dictionary import read_dictionary
from pseudocohort.cohort.digests import file_sums, people_facts
from pseudocohort.disclosure.genome_attacks import load_panel
from pseudocohort.disclosure.joint_evidence import carriers, joint_evidence
from pseudocohort.files import read_seed
from pseudocohort.job import logged
from pseudocohort.measures.arrays import load_arrays
from pseudocohort.measures.line import save_lines

source = snakemake.input
with logged(snakemake.log[0]):
    real = tuple(pd.read_parquet(source[name]) for name in ("people", "real", "scores"))
    pseudo = tuple(pd.read_parquet(source[name]) for name in ("pseudo", "pseudo_scores"))
    panel, _ = load_panel(source.panel)
    carrier = carriers([load_arrays(path) for path in source.attacks], panel)
    lines, controls = joint_evidence(
        real, pseudo, read_dictionary(source.dictionary), panel, carrier, read_seed(source.seed)
    )
    about = {"people": people_facts(real[0]), "files": file_sums([source.pseudo, source.pseudo_scores])}
    save_lines(snakemake.output[0], lines, controls=controls, **about)
