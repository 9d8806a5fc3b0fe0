"""The import of tables, and the look at every other input before anything is computed."""

from pathlib import Path

import pandas as pd

from pseudocohort.cohort.dictionary import Dictionary, at_level, read_dictionary
from pseudocohort.cohort.items import LEVELS
from pseudocohort.cohort.maps import read_map
from pseudocohort.cohort.people import make_people, read_sample_sheet, read_withdrawals
from pseudocohort.cohort.phenotype_checks import check_enough_values
from pseudocohort.cohort.phenotypes import import_phenotypes
from pseudocohort.cohort.tables import nearest
from pseudocohort.cohort.variants import check_source, genotype_people
from pseudocohort.errors import InputError


def of_chromosome(pattern: str, chrom: str) -> str:
    """The path of one chromosome: `{chrom}` replaced, if the pattern has it."""
    return pattern.replace("{chrom}", chrom)


def check_genotypes(pattern: str, chromosomes: list[str], build: str) -> list[str]:
    """Header-level checks of every genotype file; returns the ids of the people.

    They are the same in every file, but that some (women, as is checked when it is read) may be missing from Y's.
    """
    chromosomes, first = sorted(chromosomes, key=lambda chrom: chrom == "Y"), []
    for chrom in chromosomes:
        source = of_chromosome(pattern, chrom)
        check_source(source, chrom, build)
        ids = genotype_people(source)
        first = first or ids
        different = set(ids) - set(first) if chrom == "Y" else set(ids) ^ set(first)
        if different:
            raise InputError(
                f"{len(different)} people are in one of the genotype files and not in the other",
                where=f"{Path(source).name} against {Path(of_chromosome(pattern, chromosomes[0])).name}",
                expected="the same people in the files of all chromosomes",
                remedy="subset the files to the same people, for instance with bcftools view -S",
            )
    return first


def check_maps(maps: dict[str, list[str]]) -> None:
    """Read the genetic map of every chromosome from its files, for its errors."""
    for chrom, paths in maps.items():
        read_map(paths, chrom)


def check_score(item: str, dictionary: Dictionary) -> None:
    """Raise InputError unless `item`, which has a scoring file, is a trait of the dictionary."""
    if item not in dictionary.traits:
        near = nearest(item, dictionary.traits)
        raise InputError(
            f"a scoring file is given for {item}, which is no trait",
            where=f"config key scoring_files.{item}",
            expected="an item of the dictionary with trait: yes",
            remedy=f"did you mean {near}?" if near else "correct the item's name, or its column `trait`",
        )


def import_tables(
    ids: list[str],
    samples: str | None,
    sample_columns: dict,
    phenotypes: str,
    phenotype_id: str | None,
    dictionary: str,
    withdrawn: str | None,
    *,
    unmatched: str,
    holdout: float,
    seed: int,
    level: str = LEVELS[-1],
) -> tuple[pd.DataFrame, pd.DataFrame, Dictionary, dict]:
    """Read sample sheet, phenotype table, dictionary and withdrawals of the people `ids` of the genotypes.

    level: items above it are not taken in, see `dictionary.at_level`.
    Returns the people table, the phenotypes in the same order, the dictionary, and a report of counts.
    """
    gone = read_withdrawals(withdrawn) if withdrawn else set()
    sheet = read_sample_sheet(samples, sample_columns) if samples else None
    what, above = at_level(read_dictionary(dictionary), level, dictionary)
    people, report = make_people(ids, sheet, gone, holdout, seed, unmatched=unmatched)
    items, item_report = import_phenotypes(phenotypes, what, people, phenotype_id, unmatched, gone)
    check_enough_values(items, people, what, phenotypes)
    return people, items, what, {"people": report, "items": item_report | {"items_above_level": above}}
