"""The ids that no file of a release may hold: of everybody whom the inputs name, in the cohort or not."""

from collections.abc import Iterable
from pathlib import Path

from pseudocohort.cohort.people import read_sample_sheet, read_withdrawals
from pseudocohort.cohort.tables import read_table
from pseudocohort.cohort.variants import genotype_people
from pseudocohort.release.scan import ID_COLUMNS


def real_ids(
    genotypes: Iterable[str | Path],
    samples: str | None,
    sample_columns: dict[str, str],
    phenotypes: str | None,
    phenotype_id: str | None,
    withdrawn: str | Path | None,
) -> set[str]:
    """Ids of people, parents and families in the inputs as the configuration has them.

    The table of the imported people is not enough: it has neither those who were dropped nor the families' own names.
    """
    ids = {person for path in genotypes for person in genotype_people(path)}
    if samples:
        sheet = read_sample_sheet(samples, sample_columns)
        ids |= {cell for name in ("person", "family", "father", "mother") for cell in sheet[name]}
    if phenotypes:
        table = read_table(phenotypes)
        named = [name for name in table if name.casefold() in ID_COLUMNS | {"id"}] or [table.columns[0]]
        ids |= {cell for name in ([phenotype_id] if phenotype_id else named) for cell in table[name]}
    return (ids | (read_withdrawals(withdrawn) if withdrawn else set())) - {""}
