"""Dates: whole days since 1970-01-01 inside, ISO text outside."""

import re

import numpy as np
import pandas as pd

DATE = re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})")

_NUMBER = r"(18|19|20)\d{6}"
_ERA = (
    r"(明治|大正|昭和|平成|令和)\s*(\d{1,2}|元)\s*[年./-].*|"
    r"[MTSHRmtshr]\s*\d{1,2}\s*[年./-]\s*\d{1,2}\s*[月./-]\s*\d{1,2}日?|[MTSHR]\d{6}"
)


def days_of(cells: pd.Series) -> pd.Series:
    """Days since 1970-01-01, float64; NaN where a text cell is no day of the calendar as YYYY-MM-DD or YYYY/MM/DD."""
    parts = cells.str.extract(f"^{DATE.pattern}$")
    dates = pd.to_datetime(
        parts[0].str.cat([parts[1].str.zfill(2), parts[2].str.zfill(2)], sep="-"), format="%Y-%m-%d", errors="coerce"
    )
    days = dates.to_numpy().astype("datetime64[D]").astype("int64").astype("float64")
    return pd.Series(days, index=cells.index).mask(dates.isna())


def dates_otherwise(cells: pd.Series) -> bool:
    """Are all of the text cells (n,) days written as 20190401, or with a Japanese era: 平成31年4月1日, H31.4.1?"""
    if len(cells) == 0:
        return False
    if cells.str.fullmatch(_ERA).all():
        return True
    if not cells.str.fullmatch(_NUMBER).all():
        return False
    return bool(days_of(cells.str[:4] + "-" + cells.str[4:6] + "-" + cells.str[6:]).notna().all())


def as_dates(days) -> pd.Series:
    """Days since 1970-01-01 (n,), NaN missing, as datetime64[s]; what is no whole day is rounded."""
    days = pd.Series(days, dtype="float64")
    whole = np.rint(days).fillna(0).to_numpy().astype("int64")
    return pd.Series(whole.astype("datetime64[D]").astype("datetime64[s]"), index=days.index).where(days.notna())


def iso(days: float) -> str:
    """One day as YYYY-MM-DD."""
    return str(np.datetime64(round(days), "D"))
