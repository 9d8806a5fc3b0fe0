"""Versions of this software and of the libraries that decide its results."""

import importlib.metadata
import platform

import pseudocohort

LIBRARIES = ("snakemake", "numpy", "pandas", "scipy", "pysam", "cyvcf2", "pgenlib", "scikit-allel", "scikit-learn",
             "jax", "flax", "optax", "msprime")


def versions() -> dict[str, str]:
    """Version by name: pseudocohort, python, and each library."""
    found = {"pseudocohort": pseudocohort.__version__, "python": platform.python_version()}
    return found | {name: importlib.metadata.version(name) for name in LIBRARIES}
