"""pseudocohort: a pseudo cohort (genomes, scores, phenotypes) from a real, phased cohort."""

__version__ = "0.1.0"
