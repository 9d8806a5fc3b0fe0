"""Scoring files of the PGS Catalog: reading (raw or harmonised), matching to a cohort's sites, writing.

Format: https://www.pgscatalog.org/downloads/ (scoring files 2.0, harmonised files HmPOS). Every effect is
kept as three numbers, the contribution of 0, 1 and 2 copies of the effect allele, so that additive,
dominant, recessive and dosage-specific effects are one thing: additive (0, w, 2w), dominant (0, w, w),
recessive (0, 0, w).
"""

import csv
import gzip
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from pseudocohort.cohort.builds import plain_name
from pseudocohort.errors import InputError
from pseudocohort.files import atomic

BUILDS = {
    "grch37": "GRCh37",
    "hg19": "GRCh37",
    "ncbi37": "GRCh37",
    "b37": "GRCh37",
    "grch38": "GRCh38",
    "hg38": "GRCh38",
    "ncbi38": "GRCh38",
    "b38": "GRCh38",
}
DOSAGE = ["dosage_0_weight", "dosage_1_weight", "dosage_2_weight"]
CLEAR = 0.1  # an allele frequency this far from one half tells the strand of an A/T or C/G site
MATCHED = ("ref/alt", "alt/ref", "ref/alt, other strand", "alt/ref, other strand")


class Score(NamedTuple):
    """A scoring file.

    name: its id.  header: its `#key=value` lines.  build: of the positions, GRCh37, GRCh38 or "" unknown.
    table: a row an effect: rsid, chrom (no prefix), pos (int64), effect, other ("" unknown), frequency (of
    the effect allele, NaN unknown).  values: (rows, 3) contribution of 0, 1, 2 effect alleles.
    rows: effects in the file.  refused: {reason: how many of them are not in table}.
    """

    name: str
    header: dict[str, str]
    build: str
    table: pd.DataFrame
    values: np.ndarray
    rows: int
    refused: dict[str, int]


def standard_chrom(names: pd.Series) -> pd.Series:
    """Chromosome names without `chr` prefix, X for 23 and for its pseudo-autosomal regions."""
    names = names.astype(str)
    return names.map({name: plain_name(name) for name in names.unique()})


def read_scoring_file(path: str | Path, build: str | None = None) -> Score:
    """Read a scoring file, gz or plain, with or without header lines.

    build: GRCh37 or GRCh38, the cohort's; then the harmonised positions are taken if they are of this
    build, else the author's if those are, else InputError. None: harmonised positions if there are any.
    Haplotype, diplotype and interaction effects, alleles that are not bases, and rows that harmonisation
    could not place are left out and counted in `refused`.
    Raises InputError for a missing column, a missing position column, or a weight that is no number.
    """
    header, raw, first_line = _read_lines(path)
    _require(path, raw, ["effect_allele"])
    if "effect_weight" not in raw and not set(DOSAGE) <= set(raw):
        raise InputError(
            f"{path} has no weights",
            where=str(path),
            expected=f"a column effect_weight, or the columns {', '.join(DOSAGE)}",
            remedy="give a file of the PGS Catalog, raw or harmonised",
        )
    chrom, pos, used = _positions(path, raw, header, build)
    reasons = pd.Series("", index=raw.index)
    flags = [c for c in ("is_haplotype", "is_diplotype", "is_interaction") if c in raw]
    bases = raw["effect_allele"].str.fullmatch("[ACGTacgt]+")
    if "other_allele" in raw:
        bases &= raw["other_allele"].str.fullmatch("[ACGTacgt]*")
    reasons[~bases] = "alleles that are not bases"
    reasons[raw[flags].apply(lambda c: c.str.lower() == "true").any(axis=1)] = "haplotype, diplotype or interaction"
    lost = ~pos.str.fullmatch(r"\d+") | (chrom == "")
    if "hm_source" in raw and pos.name == "hm_pos":
        lost |= raw["hm_source"].str.lower() == "unknown"
    reasons[lost & (reasons == "")] = "no position (harmonisation failed)"
    kept = reasons == ""
    other = raw["other_allele"] if "other_allele" in raw else pd.Series("", index=raw.index)
    if "hm_inferOtherAllele" in raw:
        other = other.where(
            other != "", raw["hm_inferOtherAllele"].where(raw["hm_inferOtherAllele"].str.fullmatch("[ACGT]+"), "")
        )
    table = pd.DataFrame(
        {
            "rsid": raw.get("rsID", raw.get("rsid", pd.Series("", index=raw.index))),
            "chrom": standard_chrom(chrom),
            "pos": pos.where(kept, "0").astype("int64"),
            "effect": raw["effect_allele"].str.upper(),
            "other": other.str.upper(),
            "frequency": _numbers(path, raw, "allelefrequency_effect", first_line),
        }
    )
    values = _effects(path, raw, kept, first_line)
    refused = reasons[~kept].value_counts().to_dict()
    return Score(
        header.get("pgs_id", Path(path).name.split(".")[0].split("_")[0]),
        header,
        used,
        table[kept].reset_index(drop=True),
        values[kept],
        len(raw),
        refused,
    )


def _read_lines(path):
    """Header dict, table of text, line number of the table's first row."""
    try:
        content = Path(path).read_bytes()
        text = (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode()
    except FileNotFoundError as error:
        raise InputError(
            f"there is no scoring file {path}",
            where=str(path),
            expected="a readable file",
            remedy="correct the path under scoring_files",
        ) from error
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} cannot be read: {error}", where=str(path), remedy="download the file again"
        ) from error
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    header = dict(line.lstrip("#").split("=", 1) for line in lines[:start] if "=" in line)
    if start >= len(lines) - 1 and not header:
        raise InputError(
            f"{path} holds no effects",
            where=str(path),
            expected="a line of column names, then rows",
            remedy="give a complete file",
        )
    table = pd.read_csv(
        io.StringIO("\n".join(lines[start:])), sep="\t", dtype=str, keep_default_na=False, quoting=csv.QUOTE_NONE
    )
    return header, table, start + 2


def _require(path, raw, columns):
    missing = [c for c in columns if c not in raw]
    if missing:
        raise InputError(
            f"{path} has no column {missing[0]}",
            where=str(path),
            expected=f"PGS Catalog columns; there are {', '.join(raw.columns[:12])}",
            remedy="give a file of the PGS Catalog, raw or harmonised",
        )


def _positions(path, raw, header, build):
    """Chromosome and position columns of the wanted build, and that build."""
    author = BUILDS.get(header.get("genome_build", "").lower(), "")
    harmonised = BUILDS.get(header.get("HmPOS_build", "").lower(), "")
    has_author, has_hm = {"chr_name", "chr_position"} <= set(raw), {"hm_chr", "hm_pos"} <= set(raw)
    if not has_author and not has_hm:
        raise InputError(
            f"{path} has no positions",
            where=str(path),
            expected="chr_name and chr_position, or hm_chr and hm_pos",
            remedy="download the harmonised file (HmPOS) of this score from the PGS Catalog",
        )
    if has_hm and (build is None or harmonised in ("", build)):
        return raw["hm_chr"], raw["hm_pos"], harmonised
    if has_author and (build is None or author == build or (not author and not has_hm)):
        return raw["chr_name"], raw["chr_position"], author
    found = " and ".join(sorted({b for b, has in ((author, has_author), (harmonised, has_hm)) if has and b}))
    raise InputError(
        f"{path} has positions on {found or 'an unstated build'}, the cohort's are on {build}",
        where=str(path),
        expected=f"#genome_build or #HmPOS_build = {build}",
        remedy=f"download the file harmonised to {build}, or correct `build` in the config",
    )


def _numbers(path, raw, column, first_line) -> np.ndarray:
    """A column as float64, NaN where empty or where there is no such column."""
    if column not in raw:
        return np.full(len(raw), np.nan)
    text = raw[column].replace({"NA": "", "NR": ""})
    numbers = pd.to_numeric(text, errors="coerce").to_numpy(dtype=float)
    wrong = np.flatnonzero(np.isnan(numbers) & (text != "").to_numpy())
    if len(wrong):
        raise InputError(
            f"{len(wrong)} values of column {column} are no numbers",
            where=f"{path}, line {first_line + wrong[0]}",
            expected="a decimal number",
            remedy="correct or remove these rows",
        )
    return numbers


def _effects(path, raw, kept, first_line) -> np.ndarray:
    """(rows, 3) contributions of 0, 1, 2 effect alleles; every kept row must have them."""
    weight = _numbers(path, raw, "effect_weight", first_line)
    kind = raw["effect_type"].str.lower() if "effect_type" in raw else pd.Series("additive", index=raw.index)
    for flag, name in (("is_dominant", "dominant"), ("is_recessive", "recessive")):
        if flag in raw:
            kind = kind.mask(raw[flag].str.lower() == "true", name)
    copies = np.where(kind == "dominant", 1.0, np.where(kind == "recessive", 0.0, 1.0))
    twice = np.where((kind == "dominant") | (kind == "recessive"), 1.0, 2.0)
    values = np.column_stack([0 * weight, copies * weight, twice * weight])
    if set(DOSAGE) <= set(raw):
        dosage = np.column_stack([_numbers(path, raw, c, first_line) for c in DOSAGE])
        values = np.where(np.isnan(weight)[:, None], dosage, values)
    wrong = np.flatnonzero(np.isnan(values).any(axis=1) & kept.to_numpy())
    if len(wrong):
        raise InputError(
            f"{len(wrong)} effects have no weight",
            where=f"{path}, line {first_line + wrong[0]}",
            expected="a weight in every row",
            remedy="correct or remove these rows",
        )
    return values


def reverse_complement(alleles: pd.Series) -> pd.Series:
    return alleles.str.translate(str.maketrans("ACGT", "TGCA")).str[::-1]


def match_score(
    score: Score, sites: pd.DataFrame, frequency: np.ndarray | None = None, minimum_overlap: float = 0.5
) -> tuple[np.ndarray, np.ndarray, dict]:
    """Find a score's effects among a cohort's sites.

    sites: all chromosomes, columns chrom pos ref alt.  frequency: of ALT in the cohort, (sites,) or None.
    An effect fits a site of its position by its alleles as ref/alt, else alt/ref, else either on the other
    strand. At A/T and C/G sites the strand is told by the effect allele's frequency where the file gives
    one and both it and the cohort's are more than 0.1 from one half; else the effect is dropped.
    Returns rows of `sites` (k,) increasing, contributions of 0, 1, 2 ALT alleles (k, 3), and the report
    {rows, matched, overlap, reasons: {text: count}}.
    Raises InputError when matched/rows < minimum_overlap.
    """
    pairs, candidates = _candidates(score.table, sites)
    reasons = dict(score.refused)
    reasons["not in the cohort"] = len(score.table) - candidates["row"].nunique()
    reasons["alleles differ from the cohort's"] = candidates["row"].nunique() - pairs["row"].nunique()
    best = pairs[pairs["way"] == pairs.groupby("row")["way"].transform("min")]
    several = best["row"].duplicated(keep=False)
    reasons["several sites fit (multi-allelic)"] = best["row"][several].nunique()
    best = best[~several].sort_values(["site", "way", "row"])
    repeated = best["site"].duplicated()
    reasons["another effect on the same site"] = int(repeated.sum())
    best = best[~repeated]
    swapped, dropped, decided = _strands(best, score, sites, frequency)
    reasons["strand not known (A/T or C/G)"] = int(dropped.sum())
    reasons["strand told by frequency (A/T or C/G)"] = int(decided.sum())
    for way, text in enumerate(MATCHED):
        reasons[f"matched {text}"] = int(((best["way"] == way) & ~dropped & ~decided).sum())
    best, swapped = best[~dropped], swapped[~dropped]
    values = score.values[best["row"]]
    values = np.where(swapped[:, None], values[:, ::-1], values)
    overlap = len(best) / max(score.rows, 1)
    report = {
        "rows": score.rows,
        "matched": len(best),
        "overlap": overlap,
        "build": score.build or "not stated",
        "reasons": {text: int(count) for text, count in reasons.items() if count},
    }
    if overlap < minimum_overlap:
        told = "; ".join(f"{text}: {count}" for text, count in report["reasons"].items())
        raise InputError(
            f"only {len(best)} of {score.rows} effects of {score.name} are at the cohort's sites ({told})",
            where=score.name,
            expected=f"at least {minimum_overlap:.0%}",
            remedy="check the build, or lower minimum_overlap in the config",
        )
    return best["site"].to_numpy(), values, report


def _candidates(table: pd.DataFrame, sites: pd.DataFrame):
    """Pairs of effect and site with fitting alleles (row, site, way 0..3), and all pairs of equal position."""
    left = pd.DataFrame(
        {
            "row": np.arange(len(table)),
            "chrom": table["chrom"],
            "pos": table["pos"],
            "effect": table["effect"],
            "other": table["other"],
        }
    )
    right = pd.DataFrame(
        {
            "site": np.arange(len(sites)),
            "chrom": standard_chrom(sites["chrom"]).to_numpy(),
            "pos": sites["pos"].to_numpy(),
            "ref": sites["ref"].str.upper().to_numpy(),
            "alt": sites["alt"].str.upper().to_numpy(),
        }
    )
    pairs = left.merge(right, on=["chrom", "pos"])
    known = pairs["other"] != ""
    flip_effect, flip_other = reverse_complement(pairs["effect"]), reverse_complement(pairs["other"])
    ways = [
        (pairs["effect"] == pairs["alt"]) & (~known | (pairs["other"] == pairs["ref"])),
        (pairs["effect"] == pairs["ref"]) & (~known | (pairs["other"] == pairs["alt"])),
        known & (flip_effect == pairs["alt"]) & (flip_other == pairs["ref"]),
        known & (flip_effect == pairs["ref"]) & (flip_other == pairs["alt"]),
    ]
    pairs["way"] = np.select([w.to_numpy(dtype=bool) for w in ways], range(4), -1)
    return pairs[pairs["way"] >= 0], pairs


def _strands(best, score, sites, frequency):
    """(effect allele is REF, dropped, decided by frequency), each bool (matches,)."""
    ref, alt = (sites[c].iloc[best["site"]].str.upper().reset_index(drop=True) for c in ("ref", "alt"))
    ambiguous = (reverse_complement(ref) == alt).to_numpy(dtype=bool)
    swapped = best["way"].isin([1, 3]).to_numpy()
    if frequency is None:
        return swapped, ambiguous, np.zeros(len(best), dtype=bool)
    theirs = score.table["frequency"].to_numpy()[best["row"]]
    here = np.asarray(frequency)[best["site"]]
    here = np.where(swapped, 1 - here, here)
    clear = (np.abs(theirs - 0.5) > CLEAR) & (np.abs(here - 0.5) > CLEAR)
    decided = ambiguous & clear
    turned = decided & ((theirs > 0.5) != (here > 0.5))
    return swapped ^ turned, ambiguous & ~clear, decided


def write_scoring_file(
    path: str | Path,
    sites: pd.DataFrame,
    weights: np.ndarray,
    trait: str,
    build: str = "",
    meta: dict[str, str] | None = None,
) -> int:
    """Write effects in PGS Catalog format 2.0, gzipped, without time stamp; returns their number.

    sites: (k rows) chrom pos id ref alt.  weights: (k,) per ALT allele, or (k, 3) contributions of 0, 1, 2
    ALT alleles. Zero effects are not written. An additive effect that is zero for two ALT alleles is
    written for REF; when an effect is not additive, all are written as dosage weights.
    """
    values = np.asarray(weights, dtype=float)
    values = values[:, None] * [0.0, 1.0, 2.0] if values.ndim == 1 else values
    kept = (values != 0).any(axis=1)
    sites, values = sites[kept], values[kept]
    on_ref = (values[:, 2] == 0) & (values[:, 0] != 0)
    values = np.where(on_ref[:, None], values[:, ::-1], values)
    table = pd.DataFrame(
        {
            "rsID": sites["id"].to_numpy(),
            "chr_name": sites["chrom"].to_numpy(),
            "chr_position": sites["pos"].to_numpy(),
            "effect_allele": np.where(on_ref, sites["ref"], sites["alt"]),
            "other_allele": np.where(on_ref, sites["alt"], sites["ref"]),
        }
    )
    additive = (values[:, 0] == 0) & np.isclose(values[:, 2], 2 * values[:, 1], rtol=1e-12, atol=0)
    if additive.all():
        table["effect_weight"] = values[:, 1]
    else:
        table[DOSAGE] = values
    head = {
        "format_version": "2.0",
        "pgs_name": trait,
        "trait_reported": trait,
        "genome_build": build or "NR",
        "variants_number": str(len(table)),
        **(meta or {}),
    }
    text = "###PGS CATALOG SCORING FILE - see https://www.pgscatalog.org/downloads/#dl_ftp_scoring\n"
    text += "".join(f"#{key}={value}\n" for key, value in head.items())
    text += table.to_csv(sep="\t", index=False, float_format="%.9g")
    with atomic(path) as part:
        part.write_bytes(gzip.compress(text.encode(), compresslevel=6, mtime=0))
    return len(table)
