"""Association results: the one place that writes them and reads them.

Up to a number of traits each has a text table that GWAS programs read, `{trait}.tsv.gz` (GWAS-SSF 1, Hayhurst et al.
2022, bgzipped, with a tabix index) and `{trait}.tsv.gz-meta.yaml` about it; beyond, all share one Parquet file.
Rows are sorted like the .pvar. A site at which a trait has no estimate has no row among its results: GWAS-SSF wants
numbers in every row. The effect allele is ALT. `variant_id` is the id of the .pvar, by which plink2 finds the site.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import pseudocohort
from pseudocohort.errors import InputError
from pseudocohort.files import atomic_directory
from pseudocohort.genetics import bgzip, result_columns
from pseudocohort.genetics.result_columns import ColumnTable
from pseudocohort.genetics.result_text import COLUMNS, Records, TextTable, site_texts
from pseudocohort.genetics.tails import minus_log10_p

if TYPE_CHECKING:
    import pandas as pd

    from pseudocohort.cohort.dictionary import Dictionary
    from pseudocohort.genetics.association import Block
    from pseudocohort.genetics.traits import Traits

CODES = {str(c): c for c in range(1, 26)} | {"X": 23, "PAR1": 23, "PAR2": 23, "Y": 24, "MT": 25}  # of GWAS-SSF
CHROMOSOMES = np.array(["", *map(str, range(1, 23)), "X", "Y", "MT"], dtype=object)
END = ".tsv.gz"
LONGEST = 200  # bytes of a trait's name: file systems take 255 with what is behind it
READ = ("chrom", "pos", "id", "ref", "alt", "effect_allele", "beta", "se", "log10p", "n", "af")
MODELS = {"linear": "linear regression", "logistic": "logistic score test with saddle-point approximation"}
MALES_ON_X = "men count 0 or 2 outside the pseudo-autosomal regions"


def write_association(
    folder: str | Path,
    blocks: Iterable["Block"],
    names: tuple[str, ...],
    about: Mapping | None = None,
    columnar_above: int = 200,
) -> int:
    """Write the results of blocks of sites; the folder appears whole or not at all. Returns the number of sites.

    names: of the t traits, which become file names.  about: see `describe`.  columnar_above: with more traits than
    this, one Parquet file. Memory does not grow with the number of sites.
    Raises InputError for a name that no file can have, ValueError for sites that are not sorted.
    """
    _check_names(names)
    order, n_sites = _Order(), 0
    with atomic_directory(folder) as part:
        writer = (_Columns if len(names) > columnar_above else _Texts)(part, tuple(names), about or {})
        for block in blocks:
            writer.append(block, order.codes(block.sites), _usable(block))
            n_sites += len(block.sites)
        writer.close(order.sorted)
    return n_sites


def describe(traits: "Traits", dictionary: "Dictionary", build: str, minimum_minor_allele_count: int) -> dict:
    """What the results are of, for `write_association`: about all traits, and under `traits` about each."""
    about = {}
    for k, (name, kind, unit) in enumerate(zip(traits.names, traits.kind, traits.units, strict=True)):
        item, values = dictionary[name], traits.values[:, k]
        sexes = {code for gate, codes in item.asked_if if gate == "sex" for code in codes}
        about[name] = {
            "description": item.label or name,
            "unit": unit,
            "model": MODELS[kind],
            "sex": {frozenset(["male"]): "M", frozenset(["female"]): "F"}.get(frozenset(sexes), "combined"),
        }
        if kind == "logistic":
            about[name] |= {"cases": int((values == 1).sum()), "controls": int((values == 0).sum())}
    return {
        "genome_assembly": build,
        "covariates": list(traits.covariate_names),
        "principal_components": sum(bool(re.fullmatch(r"PC\d+", name)) for name in traits.covariate_names),
        "minimum_minor_allele_count": minimum_minor_allele_count,
        "traits": about,
    }


def _check_names(names: tuple[str, ...]) -> None:
    wrong = [n for n in names if not re.fullmatch(r"\w[\w.+-]*", n) or len(n.encode()) > LONGEST]
    wrong += [name for k, name in enumerate(names) if name in names[:k]]
    if wrong:
        raise InputError(
            f"{len(wrong)} names of traits cannot be names of files, the first is {wrong[0]!r}",
            where="names of the traits",
            expected=f"different names of letters, digits, _ . + - and at most {LONGEST} bytes",
            remedy="rename these columns in the phenotype table, or set trait to no in the dictionary",
        )


class _Order:
    """Codes of chromosomes, and whether rows are in an order that can be indexed."""

    def __init__(self):
        self.sorted, self._seen, self._last = True, [], 0

    def codes(self, sites: "pd.DataFrame") -> np.ndarray:
        """GWAS-SSF's codes (b,) int32 of chromosomes. ValueError where they or positions are out of order."""
        chrom = sites["chrom"].to_numpy(dtype=object)
        known = {c: CODES.get(c) for c in dict.fromkeys(chrom)}
        if None in known.values():
            raise ValueError("chromosomes of results are 1 to 22, X, Y and MT")
        codes = np.array([known[c] for c in chrom], dtype=np.int32)
        pos = sites["pos"].to_numpy()
        starts = np.flatnonzero(np.diff(codes, prepend=self._seen[-1] if self._seen else 0))
        jumps = np.diff(pos, prepend=self._last) < 0
        jumps[starts] = False
        new = codes[starts].tolist()
        if jumps.any() or len({*self._seen, *new}) < len(self._seen) + len(new):
            raise ValueError("sites must be sorted by position and chromosomes stay together")
        self._seen += new
        self._last = pos[-1] if len(pos) else self._last
        self.sorted = self._seen == sorted(self._seen)
        return codes


def _usable(block: "Block") -> np.ndarray:
    """Where there is an estimate (b, t)."""
    with np.errstate(invalid="ignore"):
        found = np.isfinite(block.beta) & np.isfinite(block.se) & np.isfinite(block.af)
        return found & (block.se > 0)


class _Texts:
    """A text table a trait."""

    def __init__(self, folder: Path, names: tuple[str, ...], about: Mapping):
        self._folder, self._names, self._about = folder, names, about
        self._tables = [TextTable(folder / f"{name}{END}") for name in names]
        self._n = None

    def append(self, block: "Block", codes: np.ndarray, usable: np.ndarray) -> None:
        self._n = block.n
        every, size = site_texts(block.sites, codes), len(codes)
        records, some, kept = {}, every, np.arange(size)
        for k, table in enumerate(self._tables):
            here, columns = every, {c: getattr(block, c)[:, k].astype(float) for c in ("beta", "se", "af")}
            if not usable[:, k].all():
                rows = np.flatnonzero(usable[:, k])
                if not np.array_equal(rows, kept):
                    some, kept = every.take(rows), rows
                here, columns = some, {c: x[rows] for c, x in columns.items()}
            columns["log10p"] = minus_log10_p(columns["beta"] / columns["se"], block.df[k])
            n = int(block.n[k])
            if n not in records:
                records = {n: Records(size, n)}
            table.append(here, records[n], columns)

    def close(self, in_order: bool) -> None:
        for k, (name, table) in enumerate(zip(self._names, self._tables, strict=True)):
            table.close()
            meta = metadata(name, None if self._n is None else int(self._n[k]), self._about, in_order)
            text = "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in meta.items())
            (self._folder / f"{name}{END}-meta.yaml").write_text(text, encoding="utf-8")


class _Columns:
    """One Parquet file for all traits."""

    def __init__(self, folder: Path, names: tuple[str, ...], about: Mapping):
        self._names, self._about = names, about
        self._table = ColumnTable(folder / result_columns.NAME, names)
        self._n = self._df = None

    def append(self, block: "Block", codes: np.ndarray, usable: np.ndarray) -> None:
        self._n, self._df = block.n, block.df
        self._table.append(block, codes, usable)

    def close(self, in_order: bool) -> None:
        about = {}
        for k, name in enumerate(self._names):
            n = None if self._n is None else int(self._n[k])
            df = None if self._df is None or not np.isfinite(self._df[k]) else int(self._df[k])
            told = metadata(name, n, self._about, in_order)
            about[name] = {"n": n, "df": df} | {
                k: v for k, v in told.items() if k not in ("data_file_name", "file_type")
            }
        self._table.close(about)


def metadata(name: str, n: int | None, about: Mapping, in_order: bool) -> dict:
    """Metadata of a trait's results: the fields of GWAS-SSF (its table 2), then what it has no field for.

    Written as YAML whose values are JSON. No date: the same results are the same bytes. Fields that a cohort's owner
    alone can fill are NR, not reported.
    """
    trait = about.get("traits", {}).get(name, {})
    sample = {"sample_ancestry_category": ["NR"], "sample_size": n, "case_control_study": "cases" in trait}
    if "cases" in trait:
        sample |= {"case_count": trait["cases"], "control_count": trait["controls"]}
    return {
        "genome_assembly": about.get("genome_assembly", "NR"),
        "coordinate_system": "1-based",
        "trait_description": [trait.get("description", name)],
        "genotyping_technology": ["NR"],
        "samples": [sample],
        "sex": trait.get("sex", "NR"),
        "data_file_name": f"{name}{END}",
        "file_type": "GWAS-SSF v1.0",
        "analysis_software": f"pseudocohort {pseudocohort.__version__}",
        "adjusted_covariates": list(about.get("covariates", [])),
        "is_harmonised": False,
        "is_sorted": in_order,
        "effect_allele": "ALT",
        "variant_id": "ID of the .pvar",
        "model": trait.get("model", "NR"),
        "unit_of_beta": trait.get("unit", "NR"),
        "principal_components": about.get("principal_components"),
        "coding_of_x": MALES_ON_X,
        "minimum_minor_allele_count": about.get("minimum_minor_allele_count"),
    }


def traits_in(folder: str | Path) -> list[str]:
    """Names of the traits with results in a folder of `write_association`."""
    folder = Path(folder)
    store = folder / result_columns.NAME
    if store.exists():
        return list(_about(store))
    return sorted(path.name.removesuffix(END) for path in folder.glob(f"*{END}"))


def read_association(folder: str | Path, trait: str) -> "pd.DataFrame":
    """Results of a trait, a row a site with an estimate, whichever form they have.

    Columns READ: chrom (X, not 23), pos, id, ref, alt, effect_allele (= alt), beta, se, log10p (-log10 p), n, af.
    Raises InputError for a trait that is not there and for a file that is damaged or of another kind.
    """
    folder = Path(folder)
    store, path = folder / result_columns.NAME, folder / f"{trait}{END}"
    where = store if store.exists() else path
    if (store.exists() and trait not in _about(store)) or not where.exists():
        raise InputError(
            f"no association results of {trait}",
            where=folder,
            expected=f"{trait}{END}, or its columns in {result_columns.NAME}",
            remedy="take a trait of traits_in(folder); traits without enough values are named in the log of the rule",
        )
    table = _read_columns(store, trait) if store.exists() else _read_text(path)
    chrom = CHROMOSOMES[table["chromosome"].to_numpy()]
    names = {"base_pair_location": "pos", "variant_id": "id", "other_allele": "ref", "standard_error": "se"}
    names |= {"neg_log_10_p_value": "log10p", "effect_allele_frequency": "af"}
    table = table.rename(columns=names)
    table = table.assign(chrom=chrom, alt=table["effect_allele"], pos=table["pos"].astype("int64"))[list(READ)]
    return table.astype({"chrom": str})


def _read_columns(store: Path, trait: str) -> "pd.DataFrame":
    about = _about(store)[trait]
    table = _from_store(result_columns.read_columns, store, trait).astype({"beta": float, "se": float})
    df = np.inf if about["df"] is None else about["df"]
    log10p = minus_log10_p((table["beta"] / table["se"]).to_numpy(), df)
    return table.rename(columns={"se": "standard_error"}).assign(neg_log_10_p_value=log10p, n=about["n"])


def _about(store: Path) -> dict:
    return _from_store(result_columns.read_about, store)


def _from_store(read, store: Path, *rest):
    import pyarrow as pa

    try:
        return read(store, *rest)
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise _damaged(store, "a Parquet file of write_association") from error


def _read_text(path: Path) -> "pd.DataFrame":
    import gzip
    import zlib

    import pyarrow as pa
    from pyarrow import csv

    numbers = dict.fromkeys(COLUMNS[4:8], pa.float64())
    types = {"chromosome": pa.int8(), "base_pair_location": pa.int64(), "n": pa.int64(), **numbers}
    types |= dict.fromkeys(("effect_allele", "other_allele", "variant_id"), pa.string())
    try:
        raw = path.read_bytes()
        if raw[12:14] == b"BC" and not raw.endswith(bgzip.END):
            raise EOFError("no block ends the file")
        text = pa.BufferReader(gzip.decompress(raw))
        missing = csv.ConvertOptions(column_types=types, include_columns=list(COLUMNS), null_values=["NA", "#NA", ""])
        table = csv.read_csv(
            text, csv.ReadOptions(use_threads=False), csv.ParseOptions(delimiter="\t", quote_char=False), missing
        ).to_pandas()
        usable = np.isfinite(table[list(COLUMNS[4:8])]).all(axis=1) & (table["standard_error"] > 0)
        table = table[usable].dropna(ignore_index=True)
        if not table["chromosome"].between(1, 25).all():
            raise ValueError("chromosome beyond 25")
    except (OSError, EOFError, zlib.error, pa.ArrowException, KeyError, ValueError) as error:
        raise _damaged(path, "a bgzipped table with the columns " + ", ".join(COLUMNS)) from error
    return table.astype({"n": "int64", "chromosome": "int64"})


def _damaged(path: Path, expected: str) -> InputError:
    return InputError(
        "association results cannot be read: the file is damaged or of another kind",
        where=path,
        expected=expected,
        remedy=f"make them again: snakemake --force {path.parent}",
    )
