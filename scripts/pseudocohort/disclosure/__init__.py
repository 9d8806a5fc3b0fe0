"""Attacks on the pseudo cohort: what its release would tell about a participant."""
