"""Facts of the builds: lengths, pseudo-autosomal regions, names of contigs; their origin."""

import hashlib
import re

import pytest

from pseudocohort.cohort import builds
from pseudocohort.errors import InputError


def test_facts_of_the_builds():
    assert builds.chromosome_length("GRCh37", "chr22") == 51_304_566
    assert builds.chromosome_length("GRCh38", "X") == 156_040_895
    assert builds.get_build("GRCh37").par == ((60_001, 2_699_520), (154_931_044, 155_260_560))
    for build in ("GRCh37", "GRCh38"):
        assert tuple(builds.get_build(build).length) == builds.CHROMOSOMES
    # Known totals of chromosomes 1 to 22, X and Y of the two assemblies, and the rCRS.
    assert sum(builds.get_build("GRCh37").length.values()) == 3_095_677_412 + 16_569
    assert sum(builds.get_build("GRCh38").length.values()) == 3_088_269_832 + 16_569
    assert builds.get_build("GRCh37").par_on_y == ((10_001, 2_649_520), (59_034_050, 59_363_566))
    assert builds.get_build("GRCh38").par_on_y == ((10_001, 2_781_479), (56_887_903, 57_217_415))
    for build in ("GRCh37", "GRCh38"):  # PAR1 and PAR2 have one length each on X and on Y
        x, y = builds.get_build(build).par, builds.get_build(build).par_on_y
        assert [b - a for a, b in x] == [b - a for a, b in y]
        # The long arms' PAR2 ends as far from the end of Y as from that of X.
        length = builds.get_build(build).length
        assert length["X"] - x[1][1] == length["Y"] - y[1][1]
    assert builds.builds_that_fit("22", 51_000_000) == ["GRCh37"]
    assert [builds.plain_name(n) for n in ("chr1", "22", "Chr23", "chrX", "x", "chrUn_1")] == [
        "1",
        "22",
        "X",
        "X",
        "X",
        "Un_1",
    ]
    with pytest.raises(InputError, match=r"(?s)unknown build hg19.*GRCh37 or GRCh38"):
        builds.get_build("hg19")
    for chrom in ("0", "27", "Un_1"):
        with pytest.raises(InputError, match=f"(?s)unknown chromosome {chrom}.*1 to 22, X, Y or MT"):
            builds.chromosome_length("GRCh38", chrom)


@pytest.mark.parametrize(
    ("chrom", "names"),
    [
        ("X", ["X", "chrX", "23", "x", "PAR1", "chrPAR2", "X_PAR1", "chrX_par2", "X_nonPAR", "25", "chr25", "XY"]),
        ("Y", ["Y", "chrY", "24", "chr24", "y"]),
        ("MT", ["MT", "M", "chrM", "chrMT", "26", "mt"]),
        ("2", ["2", "chr2", "CHR2"]),
    ],
)
def test_names_of_chromosomes(chrom, names):
    assert {builds.plain_name(name) for name in names} == {chrom}


def test_the_checksum_of_the_table_is_the_one_written_down():
    text = (builds.TABLE.parent / "README.md").read_text()
    section = text[text.index("## chromosome_lengths.tsv") :]
    assert re.search(r"SHA-256: `([0-9a-f]{64})`", section)[1] == hashlib.sha256(builds.TABLE.read_bytes()).hexdigest()
