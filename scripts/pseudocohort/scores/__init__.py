"""Polygenic scores: files of the PGS Catalog, their match to a cohort's sites, the scoring of people."""
