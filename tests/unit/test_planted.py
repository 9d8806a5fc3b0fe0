"""Strangers' records on real genomes: the planted share of variance is there and written down."""

import numpy as np
import pandas as pd
import pysam
import pytest

from pseudocohort.cohort import planted
from pseudocohort.errors import InputError

PEOPLE, SITES = 400, 60


@pytest.fixture(scope="module")
def common(tmp_path_factory):
    """Common sites read back from a VCF whose people stand in another order, with rare, X and multi-allelic rows."""
    rng = np.random.default_rng(3)
    names = [f"p{i}" for i in range(PEOPLE)]
    path = tmp_path_factory.mktemp("planted") / "all.vcf"
    calls = (rng.random((SITES, PEOPLE, 2)) < rng.uniform(0.2, 0.8, SITES)[:, None, None]).astype(int)
    with open(path, "w") as file:
        file.write("##fileformat=VCFv4.2\n##contig=<ID=chr1>\n##contig=<ID=chrX>\n")
        file.write('##FORMAT=<ID=GT,Number=1,Type=String,Description="GT">\n')
        file.write("\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *names]) + "\n")
        rows = [("chr1", 10 * i + 1, "A", "G", c) for i, c in enumerate(calls)]
        rows += [
            ("chr1", 900, "A", "G", calls[0] * 0),
            ("chr1", 901, "A", "C,G", calls[1]),
            ("chrX", 5, "A", "G", calls[2]),
        ]
        for chrom, pos, ref, alt, c in rows:
            text = "\t".join(f"{a}|{b}" for a, b in c)
            file.write(f"{chrom}\t{pos}\t.\t{ref}\t{alt}\t.\t.\t.\tGT\t{text}\n")
    pysam.tabix_compress(str(path), f"{path}.gz")
    back = names[::-1]
    return planted.read_common_sites([f"{path}.gz"], back), calls.sum(axis=2)[:, ::-1]


def test_only_common_biallelic_autosomal_sites_are_read_in_the_order_asked_for(common):
    read, dosage = common
    assert read.sites["pos"].tolist() == [10 * i + 1 for i in range(SITES)]
    assert set(read.sites["chrom"]) == {"1"}
    np.testing.assert_array_equal(read.dosage, dosage)


def test_the_planted_effect_explains_its_share_and_is_what_is_written(common):
    read, dosage = common
    rng = np.random.default_rng(4)
    values = 170 + 10 * rng.standard_normal(PEOPLE)
    values[::9] = np.nan
    rows, contributions = planted.choose_effects(read, 20, seed=1, item="height")
    genetic = planted.genetic_values(contributions, read.dosage[rows])
    result = planted.plant(values, genetic, 0.5)
    table = planted.effects_table("height", read.sites.iloc[rows], contributions, genetic.std())
    by_table = table["effect"].to_numpy() @ dosage[rows]
    assert np.corrcoef(by_table, genetic)[0, 1] == pytest.approx(1, abs=1e-12)
    assert by_table.std() == pytest.approx(1)
    seen = ~np.isnan(result)
    np.testing.assert_array_equal(seen, ~np.isnan(values))
    # 356 people: the standard error of r^2 = .5 is about .04; the seed is fixed.
    assert np.corrcoef(result[seen], genetic[seen])[0, 1] ** 2 == pytest.approx(0.5, abs=0.1)
    assert np.nanmean(result) == pytest.approx(np.nanmean(values), abs=1)
    assert np.nanstd(result) == pytest.approx(np.nanstd(values), rel=0.1)
    assert np.nanmin(values) <= np.nanmin(result) and np.nanmax(result) <= np.nanmax(values)  # noqa: PT018


def test_rows_go_to_people_of_the_same_sex_and_no_row_twice():
    table = pd.DataFrame({"SEX": ["Male", "Female"] * 50})
    sex = np.array([1] * 30 + [2] * 40 + [0] * 10)
    rows = planted.assign_rows(table, "SEX", sex, seed=2)
    assert len(set(rows)) == 80
    assert set(table["SEX"].iloc[rows[:30]]) == {"Male"}
    assert set(table["SEX"].iloc[rows[30:70]]) == {"Female"}
    assert (rows != planted.assign_rows(table, "SEX", sex, seed=3)).any()


def test_too_few_rows_or_sites_are_refused(common):
    with pytest.raises(InputError, match="3 people of one sex, but only 2 rows"):
        planted.assign_rows(pd.DataFrame({"SEX": [1, 1, 2]}), "SEX", np.array([1, 1, 1]), 1)
    with pytest.raises(InputError, match="100 causal sites wanted, 60 common sites found"):
        planted.choose_effects(common[0], 100, 1, "height")


def test_decimals_are_those_of_the_table():
    assert planted.decimals_of(pd.Series([1.0, 2.0, np.nan])) == 0
    assert planted.decimals_of(pd.Series([1.25, 2.5])) == 2
