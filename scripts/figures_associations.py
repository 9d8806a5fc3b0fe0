"""Draw the figures of the associations."""

import json
from pathlib import Path

from pseudocohort.cohort.dictionary import read_dictionary
from pseudocohort.job import logged
from pseudocohort.measures.arrays import load_arrays
from pseudocohort.report import words
from pseudocohort.report.figures_association import draw_associations
from pseudocohort.report.tables import label

source, drawn = snakemake.input, snakemake.output
with logged(snakemake.log[0]), words.language(snakemake.params.language):
    heritability = json.loads(Path(source.heritability).read_text(encoding="utf-8"))["cohorts"]
    dictionary = read_dictionary(source.dictionary)
    labels = {name: label(name, dictionary) for name in dictionary.traits}
    arrays, folder, normalised = load_arrays(source.arrays), Path(drawn[0]).parent, snakemake.params.rank_normalise
    draw_associations(arrays, folder, drawn.by_trait, heritability, labels, normalised)
