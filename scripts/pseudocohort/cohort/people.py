"""The people of the cohort: sample sheet, withdrawals, families, and the one holdout drawn by family."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pseudocohort import counter
from pseudocohort.cohort.kinship import LINEAGE, lineage_codes, number_people, unrelated
from pseudocohort.cohort.tables import (
    MISSING,
    enumerate_lines,
    lines,
    nearest,
    read_table,
    read_text,
    require_columns,
)
from pseudocohort.errors import InputError

log = logging.getLogger("pseudocohort")

SHEET_COLUMNS = ("person", "sex", "family", "father", "mother", "stratum")
PEOPLE_COLUMNS = (*SHEET_COLUMNS, "part", "unrelated", *LINEAGE)
_SYNONYMS = {
    "person": ("person", "iid", "sample", "sample_id", "id"),
    "sex": ("sex", "gender"),
    "family": ("family", "fid", "family_id"),
    "father": ("father", "pat"),
    "mother": ("mother", "mat"),
    "stratum": ("stratum",),
}
_SEX = {
    "1": 1,
    "m": 1,
    "male": 1,
    "2": 2,
    "f": 2,
    "female": 2,
    "0": 0,
    "-9": 0,
    "unknown": 0,
    **dict.fromkeys(MISSING, 0),
}


def read_sample_sheet(path: str | Path, columns: dict[str, str] | None = None) -> pd.DataFrame:
    """Read a sample sheet: .tsv, .csv, .psam, .panel, .parquet, or .fam (which has no header).

    columns: which column of the file holds each of SHEET_COLUMNS, for those called otherwise, for example
    {"person": "sample", "stratum": "super_pop"}; PLINK's names (#IID, FID, PAT, MAT, SEX), sample and gender are
    known. Only the person must be there; other columns are ignored.
    Returns person, family, father, mother, stratum (str, "" none), sex (int8: 0 unknown, 1 male, 2 female); the
    index holds the line of the file.
    InputError: a column that is not there, an empty or doubled person, a sex that is none of 1, 2, M, F, male,
    female, 0, NA or empty; lines are named, ids never.
    """
    names = ["family", "person", "father", "mother", "sex", "phenotype"] if str(path).endswith(".fam") else None
    table = read_table(path, names=names, delimiter=_fam_delimiter(path) if names else None)
    columns = columns or {}
    for ours in columns:
        if ours not in SHEET_COLUMNS:
            close = nearest(ours, SHEET_COLUMNS)
            raise InputError(
                f"unknown sample sheet column {ours!r}" + (f"; did you mean {close!r}?" if close else ""),
                where="configuration, columns of the sample sheet",
                expected=", ".join(SHEET_COLUMNS),
                remedy="correct input.sample_columns",
            )
    require_columns(table, columns.values(), path, "columns of the sample sheet")
    folded = {name.casefold(): name for name in reversed(table.columns)}
    found = {
        ours: columns.get(ours) or next((folded[s] for s in _SYNONYMS[ours] if s in folded), None)
        for ours in SHEET_COLUMNS
    }
    if found["person"] is None:
        require_columns(table, ["person"], path, "columns of the sample sheet")
    sheet = pd.DataFrame(
        {ours: table[name] if name else "" for ours, name in found.items()}, index=table.index, dtype="str"
    )
    for name in ("family", "father", "mother", "stratum"):
        none = MISSING if name == "stratum" else (*MISSING, "0")
        sheet[name] = sheet[name].mask(sheet[name].str.lower().isin(none), "")
    _check_ids(sheet, path)
    code = sheet["sex"].str.lower().map(_SEX)
    if code.isna().any():
        raise InputError(
            f"{int(code.isna().sum())} rows of {Path(path).name} have a sex that is not known",
            where=f"{path}, {lines(sheet, code.isna())}, column {found['sex']}",
            expected="1, M or male; 2, F or female; 0, NA or empty for unknown",
            remedy="correct the cells, or name the right column in input.sample_columns",
        )
    sheet["sex"] = code.astype("int8")
    return sheet


def read_withdrawals(path: str | Path) -> set[str]:
    """Ids of people who withdrew their consent: the first column of each line, `#` begins a comment.

    A header `person`, `IID` or `id` is passed over; a file without ids means that nobody withdrew.
    """
    ids = []
    for line in read_text(path).split("\n"):
        cell = line.split("#")[0].replace("\t", ",").split(",")[0].strip().strip('"')
        ids += [cell] if cell else []
    return set(ids[1:] if ids and ids[0].casefold() in ("person", "iid", "id", "sample") else ids)


def make_people(
    genotype_people: list[str],
    sheet: pd.DataFrame | None,
    withdrawn: set[str],
    holdout: float,
    seed: int,
    minimum: int = 50,
    unmatched: str = "error",
) -> tuple[pd.DataFrame, dict]:
    """The people table, in the order of the genotypes, and a report of counts.

    genotype_people: ids of the genotype file.  sheet: of `read_sample_sheet`, or None (sex unknown, all unrelated).
    withdrawn: ids to leave out.  holdout: share of people, drawn by family, that become the parts A and B.
    minimum: fewest people.
    unmatched: `error`, or `drop` for people who are only in the sheet or only in the genotypes.

    Returns PEOPLE_COLUMNS: family is never empty (people joined by a family label or through parents, who need
    not be in the cohort themselves, are one family); father and mother are "" unless they are in the table;
    part is train, A or B. The same people in any order of rows get the same families and parts.
    """
    ids = pd.Series(list(genotype_people), dtype="str")
    _check_doubles(ids, "the genotypes", "sample")
    if sheet is None:
        sheet = pd.DataFrame(
            {"person": ids, **dict.fromkeys(("family", "father", "mother", "stratum"), ""), "sex": np.int8(0)}
        )
    _check_doubles(sheet["person"], "the sample sheet", "row")
    _check_parents(sheet)
    unknown = withdrawn - set(ids) - set(sheet["person"])
    if unknown:
        log.warning(
            "%d of %d withdrawn ids are neither in the genotypes nor in the sample sheet", len(unknown), len(withdrawn)
        )
    only = match_people(ids, sheet["person"], withdrawn, "sample sheet", unmatched)
    people = pd.DataFrame({"person": ids[~ids.isin(withdrawn) & ids.isin(sheet["person"])].to_numpy()})
    people = people.merge(sheet.assign(family=families(sheet)), on="person", how="left")
    people["stratum"] = people["stratum"].mask(people["stratum"] == "", "all")
    links = people[["father", "mother"]] != ""
    for parent in ("father", "mother"):
        people[parent] = people[parent].where(people[parent].isin(people["person"]), "")
    people["family"] = _numbered(people)
    _check_people(people, minimum)
    people["part"] = holdout_parts(people, holdout, seed)
    _check_strata(people)
    train = (people["part"] == "train").to_numpy()
    people["unrelated"], kin = False, _forget(sheet, withdrawn)
    people.loc[train, "unrelated"] = unrelated(kin, people["person"][train])
    people[list(LINEAGE)] = lineage_codes(kin, people["person"])
    report = _report(people, only, links, withdrawn, unknown)
    return people[list(PEOPLE_COLUMNS)].astype({"part": "str"}), report


def _forget(sheet: pd.DataFrame, withdrawn: set[str]) -> pd.DataFrame:
    """The sheet as if the withdrawn people had never been in it, nor been named as parents."""
    parents = {parent: sheet[parent].mask(sheet[parent].isin(withdrawn), "") for parent in ("father", "mother")}
    return sheet.assign(**parents)[~sheet["person"].isin(withdrawn)]


def match_people(
    cohort: pd.Series, other: pd.Series, withdrawn: set[str], name: str, unmatched: str, cohort_name: str = "genotypes"
) -> dict[str, int]:
    """Counts of people who are only in the cohort or only in another table; InputError if not `drop`.

    cohort: ids, placed by their order from 1.  other: ids, whose index holds lines.
    Returns the counts `only_in_cohort` and `only_in_table`, withdrawn people not counted.
    """
    left = ~cohort.isin(other) & ~cohort.isin(withdrawn)
    right = ~other.isin(cohort) & ~other.isin(withdrawn)
    counts = {"only_in_cohort": int(left.sum()), "only_in_table": int(right.sum())}
    if unmatched == "drop" and counts["only_in_cohort"] < len(cohort):
        return counts
    problems, places = [], []
    if counts["only_in_cohort"]:
        problems.append(f"{left.sum()} of {len(cohort)} people of the {cohort_name} are not in the {name}")
        places.append(f"{cohort_name}, " + enumerate_lines(np.flatnonzero(left) + 1, "sample"))
    if counts["only_in_table"]:
        problems.append(f"{right.sum()} of {len(other)} people of the {name} are not in the {cohort_name}")
        places.append(f"{name}, " + enumerate_lines(other.index[right]))
    if problems:
        whole = left.all() or right.all()
        raise InputError(
            "; ".join(problems),
            where="; ".join(places),
            expected="the same people in both",
            remedy="name the column that holds the ids used in the genotypes"
            if whole
            else "correct the tables, or set unmatched: drop in the configuration",
        )
    return counts


def families(sheet: pd.DataFrame) -> np.ndarray:
    """Number of the family of each row: components joined by family labels and by links to parents."""
    # parents are nodes even where they have no row, so that sibs of an absent father stay together
    number, *parents = number_people(sheet)
    base = len(number)
    own = number[sheet["person"].to_numpy(dtype=object)].to_numpy()
    edges = [(np.flatnonzero(parent >= 0), parent[parent >= 0]) for parent in parents]
    has = (sheet["family"] != "").to_numpy()
    label, labels = pd.factorize(sheet["family"].to_numpy(dtype=object)[has])
    edges.append((own[has], base + label))
    start, stop = (np.concatenate(side).astype(np.int64) for side in zip(*edges, strict=True))
    size = base + len(labels)
    graph = coo_array((np.ones(len(start), dtype=np.int8), (start, stop)), shape=(size, size))
    return connected_components(graph, directed=False)[1][own]


def holdout_parts(people: pd.DataFrame, holdout: float, seed: int) -> np.ndarray:
    """train, A or B of each person, by whole families.

    people: person, family, stratum.  holdout: share of people in A and B together.
    Families, taken in random order within each stratum (a family that spans strata counts where most of it is),
    join the holdout while they fit into the stratum's share. Each stratum's families are then dealt into two
    halves, so that A and B differ by no more than a family.
    """
    table = people.groupby(["family", "stratum"]).size().rename("size").reset_index()
    size = table.groupby("family")["size"].sum()
    first = people.groupby("family")["person"].min()
    main = table.sort_values(["size", "stratum"], ascending=[False, True]).drop_duplicates("family")
    unit = pd.DataFrame({"size": size, "first": first, "stratum": main.set_index("family")["stratum"]})
    unit = unit.sort_values("first")
    unit["draw"] = counter.generator(seed, "holdout").random(len(unit))
    unit = unit.sort_values(["draw", "first"])
    strata = unit.groupby("stratum")["size"].sum().sort_index()
    bounds = np.round(np.cumsum(strata.to_numpy()) * holdout).astype(int)
    room = dict(zip(strata.index, np.diff(bounds, prepend=0), strict=True))
    part, total = {}, {"A": 0, "B": 0}
    for stratum in strata.index:
        mine, left, chosen = unit[unit["stratum"] == stratum], room[stratum], []
        for family, members in zip(mine.index, mine["size"], strict=True):
            if members <= left:
                chosen.append((family, members))
                left -= members
        bins = _halves(chosen)
        for half, members in zip(sorted("AB", key=total.get), bins, strict=True):  # more to the half that has less
            part |= dict.fromkeys((family for family, _ in members), half)
            total[half] += sum(n for _, n in members)
    if not all(total.values()):
        raise InputError(
            f"no holdout of {holdout:.0%} can be drawn by family: {len(unit)} families, the largest with "
            f"{size.max()} of {len(people)} people",
            where="sample sheet and configuration (holdout)",
            expected="families small enough for two halves of the holdout",
            remedy="correct the family column, or raise the holdout",
        )
    return people["family"].map(part).fillna("train").to_numpy(dtype=object)


def _halves(families: list[tuple[str, int]]) -> list[list[tuple[str, int]]]:
    """Families (name, size) in two bins of about equal size, the larger bin first: largest first to the smaller."""
    bins, sizes = [[], []], [0, 0]
    for family in sorted(families, key=lambda pair: -pair[1]):  # stable: equal sizes stay in random order
        smaller = int(sizes[1] < sizes[0])
        bins[smaller].append(family)
        sizes[smaller] += family[1]
    return bins if sizes[0] >= sizes[1] else bins[::-1]


def _fam_delimiter(path: str | Path) -> str:
    return "\t" if "\t" in read_text(path).split("\n", 1)[0] else " "


def _check_ids(sheet: pd.DataFrame, path: str | Path) -> None:
    empty = sheet["person"].str.lower().isin(MISSING)
    if empty.any():
        raise InputError(
            f"{int(empty.sum())} rows of {Path(path).name} have no person id",
            where=f"{path}, {lines(sheet, empty)}",
            expected="an id in every row",
            remedy="fill in the ids or delete the rows",
        )
    _check_doubles(sheet["person"], path, "line")


def _check_doubles(ids: pd.Series, where: str | Path, unit: str) -> None:
    """InputError if an id stands twice; `line`: the index of `ids` holds lines, other units count from 1."""
    doubled = ids.duplicated().to_numpy()
    if doubled.any():
        place = ids.index.to_numpy()[doubled] if unit == "line" else np.flatnonzero(doubled) + 1
        raise InputError(
            f"{int(doubled.sum())} person ids stand more than once",
            where=f"{where}, " + enumerate_lines(place, unit),
            expected="every person once",
            remedy="remove the rows that are not wanted",
        )


def _check_parents(sheet: pd.DataFrame) -> None:
    """InputError where parents cannot be: oneself, one's descendant, of the wrong sex, father and mother alike."""

    def fail(rows, what: str, expected: str):
        if rows.any():
            raise InputError(
                f"{int(rows.sum())} people have {what}",
                where=f"sample sheet, {lines(sheet, rows)}",
                expected=expected,
                remedy="correct the columns father and mother",
            )

    for parent, wrong in (("father", 2), ("mother", 1)):
        fail((sheet[parent] == sheet["person"]).to_numpy(), f"themselves as {parent}", "another person, or empty")
        others = sheet.loc[sheet["sex"] == wrong, "person"]
        word = {1: "male", 2: "female"}[wrong]
        fail(sheet[parent].isin(others).to_numpy(), f"a {parent} whose sex is {word}", f"a {parent} of the other sex")
    fail(
        ((sheet["father"] == sheet["mother"]) & (sheet["father"] != "")).to_numpy(),
        "one person as father and mother",
        "two people",
    )
    place = pd.Series(np.arange(len(sheet)), index=sheet["person"].to_numpy(dtype=object))
    child, older = [], []
    for parent in ("father", "mother"):
        has = sheet[parent].isin(sheet["person"]).to_numpy()
        child.append(np.flatnonzero(has))
        older.append(place[sheet[parent].to_numpy(dtype=object)[has]].to_numpy())
    child, older = np.concatenate(child), np.concatenate(older)
    graph = coo_array((np.ones(len(child), dtype=np.int8), (child, older)), shape=(len(sheet), len(sheet)))
    circle = connected_components(graph, directed=True, connection="strong")[1]
    fail(np.bincount(circle)[circle] > 1, "themselves as an ancestor", "parents older than their children")


def _check_people(people: pd.DataFrame, minimum: int) -> None:
    if len(people) < minimum:
        raise InputError(
            f"the cohort has {len(people)} people",
            where="genotypes, after withdrawals and matching",
            expected=f"at least {minimum}",
            remedy="use a larger cohort: nobody can hide in so few",
        )


def _check_strata(people: pd.DataFrame) -> None:
    """InputError unless every stratum, but for the holdout, has a father and a mother, as of unknown sex all can be."""
    founders = people[people["part"] == "train"]
    counts = pd.crosstab(founders["stratum"], founders["sex"]).reindex(columns=[0, 1, 2], fill_value=0)
    lacking = counts[(counts[[1, 2]] == 0).sum(axis=1) > counts[0]]
    total = counts.sum()
    if (total[[1, 2]] == 0).sum() > total[0]:
        raise InputError(
            f"nobody of {total.sum()} people outside the holdout is {'female' if total[1] else 'male'}",
            where="sample sheet, column sex",
            expected="males and females, for every child has a father and a mother",
            remedy="correct the column; if all are of one sex leave it out, with X and Y: roles are then drawn",
        )
    if len(lacking):
        name, row = lacking.index[0], lacking.iloc[0]
        raise InputError(
            f"stratum {name} has {row[1]} males and {row[2]} females outside the holdout"
            + (f", and {len(lacking) - 1} more strata lack one or the other" if len(lacking) > 1 else ""),
            where="sample sheet, columns stratum and sex",
            expected="at least one of each in every stratum, for parents are taken within it",
            remedy="join small strata in the sample sheet, or leave the column stratum out",
        )


def _numbered(people: pd.DataFrame) -> pd.Series:
    """Family names F000001 ... in the order of each family's first id, so that row order does not matter."""
    first = people.groupby("family")["person"].min().sort_values()
    return people["family"].map({family: f"F{i:06d}" for i, family in enumerate(first.index, 1)}).astype("str")


def _report(people: pd.DataFrame, only: dict, links: pd.DataFrame, withdrawn: set[str], unknown: set[str]) -> dict:
    sizes = people["family"].value_counts()
    return {
        "people": len(people),
        "withdrawn": len(withdrawn) - len(unknown),
        "withdrawn_unknown": len(unknown),
        "only_in_genotypes": only["only_in_cohort"],
        "only_in_sample_sheet": only["only_in_table"],
        "sex": {word: int((people["sex"] == code).sum()) for code, word in enumerate(("unknown", "male", "female"))},
        "families": len(sizes),
        "families_of_two_or_more": int((sizes > 1).sum()),
        "largest_family": int(sizes.max()),
        "parents_outside_the_cohort": int((links.to_numpy() & (people[["father", "mother"]] == "").to_numpy()).sum()),
        "strata": {str(k): int(v) for k, v in people["stratum"].value_counts().sort_index().items()},
        "parts": {part: int((people["part"] == part).sum()) for part in ("train", "A", "B")},
        "unrelated_founders": int(people["unrelated"].sum()),
    }
