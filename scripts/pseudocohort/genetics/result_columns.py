"""Association results of very many traits as one Parquet file: sites once, two columns a trait, p left to the reader.

Columns chromosome, base_pair_location, effect_allele, other_allele, variant_id, effect_allele_frequency, and for
every trait float32 beta:TRAIT and se:TRAIT, null where there is no estimate. Counts of people, degrees of freedom and
what the text tables have in their metadata files are JSON in the schema's metadata, under the key of `META`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from pseudocohort.genetics.association import Block

NAME = "associations.parquet"
META = b"pseudocohort"
SITES = ("chromosome", "base_pair_location", "effect_allele", "other_allele", "variant_id", "effect_allele_frequency")
GROUP_VALUES = 1 << 24  # of a row group: more and smaller groups make its footer long, larger ones take memory


class ColumnTable:
    """A Parquet file that grows block by block. names: of the t traits."""

    def __init__(self, path: Path, names: tuple[str, ...]):
        self._path, self._names, self._writer = path, names, None
        self._waiting: list[dict[str, np.ndarray]] = []
        self._rows = 0

    def append(self, block: "Block", codes: np.ndarray, usable: np.ndarray) -> None:
        """Append b sites. codes: (b,) of their chromosomes.  usable: (b, t), where there is an estimate."""
        sites = block.sites
        alt, ref, name = (sites[c].to_numpy(dtype=object) for c in ("alt", "ref", "id"))
        frequency = overall_frequency(block.af, block.n).astype(np.float32)
        place = codes.astype(np.int8), sites["pos"].to_numpy().astype(np.int32)
        part = dict(zip(SITES, (*place, alt, ref, name, frequency), strict=True))
        for kind in ("beta", "se"):
            part[kind] = np.where(usable, getattr(block, kind), np.nan).astype(np.float32).T
        self._waiting.append(part)
        self._rows += len(sites)
        if self._rows * 2 * len(self._names) >= GROUP_VALUES:
            self._write()

    def _write(self) -> None:
        """Write what waits as a row group."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        parts, self._waiting, self._rows = self._waiting, [], 0
        columns = {name: pa.array(np.concatenate([part[name] for part in parts])) for name in SITES} if parts else {}
        for kind in ("beta", "se"):
            for k, trait in enumerate(self._names if parts else ()):
                values = np.concatenate([part[kind][k] for part in parts])
                columns[f"{kind}:{trait}"] = pa.array(values, from_pandas=True)
        schema = self._schema()
        table = pa.table(columns, schema=schema) if parts else schema.empty_table()
        if self._writer is None:
            numbers = [field.name for field in schema if field.type == pa.float32()]
            self._writer = pq.ParquetWriter(
                self._path,
                schema,
                compression="ZSTD",
                compression_level=1,
                use_dictionary=["effect_allele", "other_allele"],
                use_byte_stream_split=numbers,  # signs and exponents compress, digits do not
                write_statistics=["chromosome", "base_pair_location"],
                write_page_checksum=True,
                store_schema=False,
            )
        self._writer.write_table(table, row_group_size=max(len(table), 1))

    def _schema(self):
        import pyarrow as pa

        types = (pa.int8(), pa.int32(), pa.string(), pa.string(), pa.string(), pa.float32())
        numbers = [(f"{kind}:{trait}", pa.float32()) for kind in ("beta", "se") for trait in self._names]
        return pa.schema([*zip(SITES, types, strict=True), *numbers])

    def close(self, about: Mapping[str, Mapping]) -> None:
        """End the file with what is said about every trait."""
        if self._waiting or self._writer is None:
            self._write()
        self._writer.add_key_value_metadata({META.decode(): json.dumps(about, ensure_ascii=False)})
        self._writer.close()


def overall_frequency(af: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Frequency (b,) of ALT among everybody, as near as the traits' own (b, t) tell: that of the trait with the most
    people, and where it has none of the next."""
    out = np.full(len(af), np.nan)
    for k in np.argsort(-np.asarray(n), kind="stable"):
        empty = np.isnan(out)
        if not empty.any():
            break
        out[empty] = af[empty, k]
    return out


def read_about(path: Path) -> dict:
    """What `ColumnTable.close` was told, by trait."""
    import pyarrow.parquet as pq

    return json.loads(pq.read_metadata(path).metadata[META])


def read_columns(path: Path, trait: str) -> "pd.DataFrame":
    """The sites of a trait with an estimate: SITES, beta, se."""
    import pyarrow.parquet as pq

    names = [*SITES, f"beta:{trait}", f"se:{trait}"]
    table = pq.read_table(path, columns=names, page_checksum_verification=True).select(names)
    table = table.rename_columns([*SITES, "beta", "se"]).to_pandas()
    return table.dropna(subset=["beta", "se"], ignore_index=True)
