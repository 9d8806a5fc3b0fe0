"""Phased genotypes in plink2's .pgen, .pvar and .psam: reading in blocks of sites, writing in blocks.

Every file of this project holds one chromosome, biallelic sites sorted by position, every call phased and none
missing but those of females on Y. Who has one copy (males on X outside the pseudo-autosomal regions and on Y,
everybody on MT) is stored as plink2 stores it: haploid a as a|a, dosage 0 or 2. The .pvar names the parts of X PAR1,
X and PAR2, so that plink2 knows who has how many copies; here all three are read as X.
"""

import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pgenlib

from pseudocohort.errors import InputError
from pseudocohort.files import atomic
from pseudocohort.sites import write_psam

SITE_COLUMNS = ["chrom", "pos", "id", "ref", "alt"]
MISSING = -9


class Genotypes:
    """A .pgen triple opened for reading.

    prefix: path without suffix.  people: keep only these row numbers of the .psam (sorted on reading,
    as .pgen demands), or None for all.
    Attributes: people (DataFrame of the .psam rows: person, sex), sites (DataFrame chrom pos id ref alt),
    n_people, n_sites.
    """

    def __init__(self, prefix: str | Path, people: np.ndarray | None = None):
        self.prefix = Path(prefix)
        self.people = read_psam(f"{prefix}.psam")
        self.sites = read_pvar(f"{prefix}.pvar")
        keep = None if people is None else np.unique(np.asarray(people)).astype(np.uint32)
        if keep is not None and len(keep) == len(self.people):
            keep = None  # a subset of everybody is read more slowly
        self._reader = pgenlib.PgenReader(str(f"{prefix}.pgen").encode(), len(self.people), sample_subset=keep)
        self.n_in_file = len(self.people)
        if keep is not None:
            self.people = self.people.iloc[keep].reset_index(drop=True)
        if self._reader.get_variant_ct() != len(self.sites):
            raise InputError(
                f"{prefix}.pgen holds {self._reader.get_variant_ct()} sites and its .pvar {len(self.sites)}",
                where=str(prefix),
                remedy="make the three files again with one plink2 call",
            )
        self.n_people, self.n_sites = len(self.people), len(self.sites)

    def haplotypes(self, start: int, stop: int) -> np.ndarray:
        """Alleles of the sites [start, stop): int8 (sites, 2 people), 0 REF, 1 ALT, -9 missing."""
        block = np.empty((stop - start, 2 * self.n_people), dtype=np.int32)
        self._reader.read_alleles_range(start, stop, block)
        return block.astype(np.int8)

    def dosages(self, start: int, stop: int) -> np.ndarray:
        """ALT counts of the sites [start, stop): int8 (sites, people); who has one copy is 0 or 2, missing is -9."""
        block = np.empty((stop - start, self.n_people), dtype=np.int8)
        self._reader.read_range(start, stop, block)
        return block

    def counts(self, start: int, stop: int) -> np.ndarray:
        """People with ALT dosage 0, 1, 2 and with a missing call at the sites [start, stop): uint32 (sites, 4)."""
        counts = np.empty((stop - start, 4), dtype=np.uint32)
        for row, place in zip(counts, range(start, stop), strict=True):
            self._reader.count(place, row)
        return counts

    def dosages_by_person(self, sites: np.ndarray) -> np.ndarray:
        """ALT counts of some sites, ascending numbers: int8 (people, sites), a row a person; missing is -9."""
        block = np.empty((self.n_people, len(sites)), dtype=np.int8)
        self._reader.read_list(np.asarray(sites, dtype=np.uint32), block, sample_maj=1)
        return block

    def dosages_at(self, sites: np.ndarray) -> np.ndarray:
        """ALT counts of the sites of these rows, increasing: int8 (sites, people); like `dosages`."""
        block = np.empty((len(sites), self.n_people), dtype=np.int8)
        self._reader.read_list(np.asarray(sites, dtype=np.uint32), block)
        return block

    def blocks(self, sites: int = 4096) -> Iterator[tuple[int, int]]:
        """Bounds (start, stop) of consecutive blocks of at most `sites` sites."""
        for start in range(0, self.n_sites, sites):
            yield start, min(start + sites, self.n_sites)

    def close(self) -> None:
        self._reader.close()

    def __enter__(self) -> "Genotypes":
        return self

    def __exit__(self, *_) -> None:
        self.close()


def read_psam(path: str | Path) -> pd.DataFrame:
    """People of a .psam with header: columns person (str), sex (int8; 0 unknown, 1 male, 2 female)."""
    table = pd.read_csv(path, sep="\t", dtype=str, comment=None, keep_default_na=False)
    table.columns = [c.lstrip("#") for c in table.columns]
    if "IID" not in table.columns:
        raise InputError(
            f"{path} has no column IID",
            where=str(path),
            expected="a .psam header line #IID SEX or #FID IID SEX",
            remedy="write the .psam with plink2",
        )
    sex = table["SEX"] if "SEX" in table.columns else pd.Series(["0"] * len(table))
    codes = sex.map({"1": 1, "2": 2, "M": 1, "F": 2, "m": 1, "f": 2}).fillna(0).astype("int8")
    return pd.DataFrame({"person": table["IID"], "sex": codes})


def read_pvar(path: str | Path) -> pd.DataFrame:
    """Sites of a .pvar: columns chrom (X for PAR1 and PAR2, too), pos (int64), id, ref, alt."""
    skip = 0
    with open(path, encoding="utf-8") as file:
        for line in file:
            if not line.startswith("##"):
                break
            skip += 1
    table = pd.read_csv(path, sep="\t", skiprows=skip, dtype=str, keep_default_na=False, usecols=range(5))
    table.columns = [c.lstrip("#").lower() for c in table.columns]
    table["pos"] = table["pos"].astype("int64")
    table["chrom"] = table["chrom"].replace({"PAR1": "X", "PAR2": "X"})
    return table[SITE_COLUMNS]


def write_pvar(path: str | Path, sites: pd.DataFrame) -> None:
    """Write `#CHROM POS ID REF ALT` and nothing else: no INFO of the input survives."""
    with atomic(path) as part:
        sites[SITE_COLUMNS].set_axis(["#CHROM", "POS", "ID", "REF", "ALT"], axis=1).to_csv(part, sep="\t", index=False)


class GenotypeWriter:
    """Write a .pgen in blocks of sites, then .pvar and .psam; the three appear whole or not at all.

    person: ids (people,); sex: codes (people,); n_sites: None when it is not known beforehand (.pgen wants it
    first, so the blocks then wait, packed and compressed, in a nameless temporary file beside the target).
    absent: bool (people,), those without the chromosome (females on Y), whose calls are written as missing.
    Use as a context manager and call `append` with each block and its sites.
    """

    def __init__(
        self,
        prefix: str | Path,
        person: np.ndarray,
        sex: np.ndarray,
        n_sites: int | None,
        absent: np.ndarray | None = None,
    ):
        self.prefix, self.person, self.sex, self.n_sites = Path(prefix), person, sex, n_sites
        self._there = np.ones(len(person), dtype=bool) if absent is None else ~np.asarray(absent, dtype=bool)
        self._haplotypes = 2 * int(self._there.sum())
        self._sites: list[pd.DataFrame] = []
        self._written = 0
        self.prefix.parent.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> "GenotypeWriter":
        self._context = atomic(f"{self.prefix}.pgen")
        self._part = self._context.__enter__()
        if self.n_sites is None:
            self._spool, self._blocks = tempfile.TemporaryFile(dir=self.prefix.parent), []
        else:
            self._writer = self._open(self.n_sites)
        return self

    def _open(self, n_sites: int) -> pgenlib.PgenWriter:
        return pgenlib.PgenWriter(
            str(self._part).encode(),
            len(self.person),
            variant_ct=n_sites,
            nonref_flags=False,
            hardcall_phase_present=True,
        )

    def append(self, haplotypes: np.ndarray, sites: pd.DataFrame) -> None:
        """Append a block of sites and their rows chrom pos id ref alt.

        haplotypes: alleles 0 or 1, (sites, 2 people) without the absent people; every call phased.
        """
        if haplotypes.shape != (len(sites), self._haplotypes):
            raise ValueError(f"block {haplotypes.shape} for {len(sites)} sites of {self._haplotypes // 2} people")
        if self.n_sites is None:
            packed = zlib.compress(np.packbits(haplotypes != 0, axis=1), 1)
            self._blocks.append((len(sites), self._spool.write(packed)))
        else:
            self._write(haplotypes)
        self._sites.append(sites)
        self._written += len(sites)

    def _write_spool(self) -> None:
        """Open the .pgen now that the number of sites is known, and write the waiting blocks."""
        self._writer = self._open(self._written)
        self._spool.seek(0)
        for rows, size in self._blocks:
            bits = np.frombuffer(zlib.decompress(self._spool.read(size)), dtype=np.uint8).reshape(rows, -1)
            self._write(np.unpackbits(bits, axis=1, count=self._haplotypes))

    def _write(self, haplotypes: np.ndarray) -> None:
        block = np.ascontiguousarray(haplotypes, dtype=np.int32)
        if not self._there.all():
            block = np.full((len(haplotypes), 2 * len(self.person)), MISSING, dtype=np.int32)
            block[:, np.repeat(self._there, 2)] = haplotypes
        self._writer.append_alleles_batch(block, all_phased=True)

    def __exit__(self, kind, error, trace) -> None:
        try:
            if kind is None:
                if self.n_sites is None and self._written:
                    self._write_spool()
                elif self._written != self.n_sites:
                    raise ValueError(f"{self._written} sites written, {self.n_sites} announced")
                self._writer.close()
                write_pvar(f"{self.prefix}.pvar", pd.concat(self._sites, ignore_index=True))
                write_psam(f"{self.prefix}.psam", self.person, self.sex)
        except BaseException as failure:
            self._context.__exit__(type(failure), failure, failure.__traceback__)
            raise
        finally:
            if self.n_sites is None:
                self._spool.close()
        self._context.__exit__(kind, error, trace)
