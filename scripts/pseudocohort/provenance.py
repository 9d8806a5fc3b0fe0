"""Versions of this software and of the libraries that decide its results."""

import importlib.metadata
import platform
from pathlib import Path

import pseudocohort

LIBRARIES = (
    "snakemake",
    "numpy",
    "pandas",
    "scipy",
    "pysam",
    "cyvcf2",
    "pgenlib",
    "scikit-allel",
    "scikit-learn",
    "jax",
    "flax",
    "optax",
    "msprime",
)


def versions() -> dict[str, str]:
    """Version by name: pseudocohort, python, and each library."""
    found = {"pseudocohort": pseudocohort.__version__, "python": platform.python_version()}
    return found | {name: importlib.metadata.version(name) for name in LIBRARIES}


def shareable(config: dict) -> dict:
    """The configuration as it may leave the machine: the seed withheld, paths cut to file names."""
    inputs = {k: Path(v).name if isinstance(v, str) and k != "phenotype_id" else v for k, v in config["input"].items()}
    planted = dict(config["planted"])
    if "table" in planted:
        planted["table"] = Path(planted["table"]).name
        planted["effects"] = {
            item: effect | ({"score": Path(effect["score"]).name} if "score" in effect else {})
            for item, effect in planted["effects"].items()
        }
    files = {item: [Path(path).name for path in paths] for item, paths in config["scoring_files"].items()}
    return config | {"input": inputs, "seed": "withheld", "scoring_files": files, "planted": planted}
