"""Draw who is attacked by their genomes, and find kin of founders in the holdout."""

import numpy as np
import pandas as pd

from pseudocohort.disclosure.genome_attacks import save_panel
from pseudocohort.disclosure.kin import kin_of_founders, thinned_dosages
from pseudocohort.disclosure.panels import draw_panel
from pseudocohort.files import read_seed
from pseudocohort.genome.founders import founders_of
from pseudocohort.job import logged

given, source = snakemake.params, snakemake.input
with logged(snakemake.log[0]) as log:
    people, seed = pd.read_parquet(source.people), read_seed(source.seed)
    founders = founders_of(people, given.founders, given.founder_share, seed).rows
    holdout = np.flatnonzero(people["part"].isin(["A", "B"]))
    none = np.empty((0, len(people)), dtype=np.int8)  # in a run without autosomes
    dosages = np.concatenate([none, *(thinned_dosages(f"results/real/genotypes/chr{c}") for c in given.autosomes)])
    kin = np.zeros(len(people), dtype=bool)
    kin[holdout] = kin_of_founders(dosages, holdout, founders)
    panel = draw_panel(people, founders, kin, given.targets, seed)
    found = int(kin.sum())
    log.info("%s people of the holdout are kin of founders and left out", "fewer than 5" if 0 < found < 5 else found)
    save_panel(snakemake.output[0], panel, kin=found)
