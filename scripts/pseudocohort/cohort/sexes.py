"""What the sex chromosomes ask of the people."""

import pandas as pd

from pseudocohort.errors import InputError


def check_sex(sex: pd.Series, chrom: str) -> None:
    """Raise InputError where the sex is unknown and matters, and for Y without males."""
    if chrom in ("X", "Y") and (sex == 0).any():
        raise InputError(
            f"the sex of {(sex == 0).sum()} people is unknown, and chromosome {chrom} is to be imported",
            where="the sample sheet",
            expected="male or female for everybody",
            remedy=f"complete the sample sheet or take {chrom} out of `chromosomes`",
        )
    if chrom == "Y" and not (sex == 1).any():
        raise InputError(
            "nobody is male, and chromosome Y is to be imported",
            where="the sample sheet",
            remedy="correct the sample sheet or take Y out of `chromosomes`",
        )
