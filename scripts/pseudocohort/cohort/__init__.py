"""The real cohort: demo, import, dictionary, genetic maps, withdrawals, holdout."""
