"""The columnar store of association results against the blocks it is written from, and damaged ones."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from pseudocohort.errors import InputError
from pseudocohort.genetics import result_columns
from pseudocohort.genetics.results import read_association, traits_in, write_association
from result_blocks import NAMES, make_blocks, same, whole


def test_the_columnar_store_says_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(result_columns, "GROUP_VALUES", 8 * 900)
    assert write_association(tmp_path / "store", iter(make_blocks()), NAMES, {}, columnar_above=3) == 2103
    (store,) = (tmp_path / "store").iterdir()
    assert pq.ParquetFile(store).num_row_groups == 2  # 700 and 900 rows, then 503 and the end
    assert traits_in(tmp_path / "store") == list(NAMES)
    for k, name in enumerate(NAMES):
        same(
            read_association(tmp_path / "store", name).assign(af=whole(make_blocks(), k)["af"]),
            whole(make_blocks(), k),
            3e-7,
        )
    af = read_association(tmp_path / "store", "height")["af"]
    np.testing.assert_allclose(af, whole(make_blocks(), 0)["af"] - 1e-3, rtol=1e-6)  # of the trait with most people
    part = pd.read_parquet(store, columns=["chromosome", "beta:a.b", "se:血圧"])
    assert part.columns.tolist() == ["chromosome", "beta:a.b", "se:血圧"]
    assert (
        part["chromosome"].tolist()
        == pd.concat([b.sites for b in make_blocks()])["chrom"].map({"2": 2, "X": 23}).tolist()
    )
    np.testing.assert_array_equal(part["se:血圧"], np.concatenate([b.se[:, 2] for b in make_blocks()]).astype("f4"))
    np.testing.assert_array_equal(pd.read_parquet(store)["beta:height"].isna(),
                                  np.isnan(np.concatenate([b.beta[:, 0] for b in make_blocks()])))  # fmt: skip


def test_the_frequency_among_all_is_that_of_the_trait_with_most_people():
    af = np.array([[0.1, 0.2, 0.3], [0.1, np.nan, 0.3], [np.nan, np.nan, 0.3], [np.nan] * 3])
    np.testing.assert_array_equal(result_columns.overall_frequency(af, np.array([5, 9, 1])), [0.2, 0.1, 0.3, np.nan])


def test_damaged_and_foreign_stores_are_told(tmp_path):
    folder = tmp_path / "real"
    write_association(folder, make_blocks(), NAMES, {}, 0)
    store = folder / result_columns.NAME
    whole_store = store.read_bytes()
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    for content in (whole_store[:-50], b"", (tmp_path / "other.parquet").read_bytes()):
        store.write_bytes(content)
        with pytest.raises(InputError, match="damaged or of another kind"):
            read_association(folder, "asthma")
    store.write_bytes(whole_store[:500] + bytes(2000) + whole_store[2500:])
    assert traits_in(folder) == list(NAMES)
    with pytest.raises(InputError, match="damaged or of another kind"):
        read_association(folder, "height")
