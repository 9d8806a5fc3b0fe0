"""Records of .pgen files, read and written: against pgenlib, plink2 and loops; damaged files; one site, one record.

All alleles are drawn from fixed seeds; nothing here can fail by chance.
"""

import subprocess
from itertools import pairwise

import jax.numpy as jnp
import numpy as np
import pgenlib
import pytest

from pseudocohort.errors import InputError
from pseudocohort.pgen.bits import pack, unpack
from pseudocohort.pgen.header import VBLOCK, read_index
from pseudocohort.pgen.reader import Reader
from pseudocohort.pgen.writer import Carriers, Records, RecordWriter, encode, encode_words, interleave

PEOPLE = [1, 2, 15, 16, 17, 32, 33, 63, 64, 65, 127, 128, 255, 256, 1000, 2500, 5000]
LISTED = [4, 6]


def spectrum(people, sites, seed=1):
    """Alleles of every frequency: none, singletons, rare, common, all; REF-minor sites; sites like the one before or
    its opposite, so that pgenlib stores differences; all people heterozygous; none."""
    rng = np.random.default_rng([seed, people])
    count = rng.choice([0, 1, 2, 0.004 * people, 0.02 * people, people / 25, people / 5, people / 2, people], sites)
    alleles = (rng.random((sites, 2 * people)) < count[:, None] / (2 * people)).astype(np.int8)
    for i in np.flatnonzero(rng.random(sites) < 0.4)[1:]:
        alleles[i] = alleles[i - 1] ^ (rng.random() < 0.3)
        alleles[i, rng.integers(0, 2 * people, rng.integers(0, people // 100 + 2))] ^= 1
    kind = rng.random(sites)
    alleles[kind < 0.25] ^= 1
    alleles[kind > 0.97, 1::2] = 1 - alleles[kind > 0.97, 0::2]
    homozygous = (kind > 0.93) & (kind <= 0.97)
    alleles[homozygous, 1::2] = alleles[homozygous, 0::2]
    return alleles


def write_pgenlib(path, alleles, phased=None):
    """phased: bool (sites, people), default everybody everywhere."""
    sites, people = len(alleles), alleles.shape[1] // 2
    with pgenlib.PgenWriter(
        str(path).encode(), people, variant_ct=sites, nonref_flags=False, hardcall_phase_present=True
    ) as writer:
        for i in range(sites):
            row = np.ascontiguousarray(alleles[i], dtype=np.int32)
            if phased is None:
                writer.append_alleles(row, all_phased=True)
            else:
                writer.append_partially_phased(row, phased[i])


def read_pgenlib(path, people):
    with pgenlib.PgenReader(str(path).encode(), people) as reader:
        alleles = np.empty((reader.get_variant_ct(), 2 * people), dtype=np.int32)
        phased = np.empty((len(alleles), people), dtype=np.uint8)
        reader.read_alleles_and_phasepresent_range(0, len(alleles), alleles, phased)
    return alleles, phased


def write(path, people, *pieces):
    with RecordWriter(path, people) as writer:
        for records in pieces:
            writer.append(records)
        writer.close()


def write_companions(prefix, people, sites):
    lines = [f"1\t{i + 1}\ts{i}\tA\tC" for i in range(sites)]
    prefix.with_suffix(".pvar").write_text("\n".join(["#CHROM\tPOS\tID\tREF\tALT", *lines, ""]))
    prefix.with_suffix(".psam").write_text("\n".join(["#IID\tSEX", *(f"p{i}\tNA" for i in range(people)), ""]))


def plink2(*arguments):
    return subprocess.run(["plink2", *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def assert_equal(made: Records, wanted: Records):
    for name, a, b in zip(Records._fields, made, wanted, strict=True):
        assert a.dtype == b.dtype, name
        np.testing.assert_array_equal(a, b, err_msg=name)


def check_reading(path, alleles):
    people = alleles.shape[1] // 2
    words, rng = pack(alleles), np.random.default_rng(people)
    with Reader(path, people) as reader:
        main = reader.index.kind & 7
        np.testing.assert_array_equal(reader.alleles(np.arange(len(alleles))), words)
        for share in (0.05, 0.3, 0.9):  # what a site is a difference to may not be among those asked for
            some = np.flatnonzero(rng.random(len(alleles)) < share)
            np.testing.assert_array_equal(reader.alleles(some), words[some])
        listed = np.flatnonzero(np.isin(main, LISTED) & (rng.random(len(alleles)) < 0.8))
        site, person, which = reader.carriers(listed)
        minor = alleles[listed] ^ (main[listed] == 6)[:, None]
        np.testing.assert_array_equal((site * people + person) * 2 + which, np.flatnonzero(minor))
        return reader.index.kind


def test_files_of_pgenlib_and_plink2_are_read(tmp_path):
    seen = set()
    for people in PEOPLE:
        alleles = spectrum(people, 200)
        write_pgenlib(tmp_path / "x.pgen", alleles)
        seen |= set(check_reading(tmp_path / "x.pgen", alleles).tolist())
        if people in (2, 64, 1000):
            write_companions(tmp_path / "x", people, len(alleles))
            plink2("--pfile", tmp_path / "x", "--make-pgen", "--out", tmp_path / "y", "--threads", 1)
            check_reading(tmp_path / "y.pgen", alleles)
    assert seen >= {0, 1, 2, 3, 4, 6, 16, 17, 18, 19, 20, 22}


def test_a_file_of_unphased_homozygotes_has_types_of_four_bits(tmp_path):
    alleles = np.repeat(spectrum(300, 101)[:, ::2], 2, axis=1)
    write_pgenlib(tmp_path / "x.pgen", alleles)
    write_companions(tmp_path / "x", 300, 101)
    plink2("--pfile", tmp_path / "x", "--make-pgen", "erase-phase", "--out", tmp_path / "y", "--threads", 1)
    assert not (tmp_path / "y.pgen").read_bytes()[11] & 4
    check_reading(tmp_path / "y.pgen", alleles)


@pytest.mark.parametrize("people", PEOPLE)
def test_what_is_written_is_read_by_pgenlib_and_plink2(tmp_path, people):
    alleles = spectrum(people, 200, seed=2)
    write(tmp_path / "x.pgen", people, encode_words(pack(alleles), people))
    read, phased = read_pgenlib(tmp_path / "x.pgen", people)
    np.testing.assert_array_equal(read, alleles)
    assert phased[alleles[:, ::2] != alleles[:, 1::2]].all()
    check_reading(tmp_path / "x.pgen", alleles)
    write_companions(tmp_path / "x", people, len(alleles))
    assert "done" in plink2("--pfile", tmp_path / "x", "--validate", "--out", tmp_path / "v", "--threads", 1)


@pytest.mark.parametrize("people", PEOPLE)
def test_how_a_site_is_stored(people):
    alleles = spectrum(people, 200, seed=3)
    records = encode_words(pack(alleles), people)
    few = people // 16
    for genotypes, kind in zip(alleles[:, ::2] + alleles[:, 1::2], records.kind, strict=True):
        number = [np.count_nonzero(genotypes == g) for g in range(3)]
        if people - number[0] <= few:
            wanted = 4
        elif people - number[2] <= few:
            wanted = 6
        else:
            wanted = 1 if people >= 64 and min(number) < few else 0
        assert kind == wanted + 16 * (number[1] > 0)


@pytest.mark.parametrize("people", [64, 127, 256, 1000, 5000])
def test_the_bytes_are_pgenlibs_where_the_types_agree(tmp_path, people):
    alleles = spectrum(people, 200, seed=4)
    write_pgenlib(tmp_path / "x.pgen", alleles)
    data, index = (tmp_path / "x.pgen").read_bytes(), read_index(tmp_path / "x.pgen")
    records = encode_words(pack(alleles), people)
    same = np.flatnonzero(records.kind == index.kind)
    assert set(records.kind[same] & 7) == {0, 1, 4, 6}
    for i in same:
        made = records.data[records.bounds[i] : records.bounds[i + 1]].tobytes()
        assert made == data[index.start[i] : index.start[i + 1]]


def test_no_larger_than_pgenlibs(tmp_path):
    """On independent sites of density 1 / x, where pgenlib finds no differences to store, by at most 5 %."""
    people, rng = 1000, np.random.default_rng(5)
    frequency = np.exp(rng.uniform(np.log(0.0005), np.log(0.5), 1500))
    alleles = (rng.random((1500, 2 * people)) < frequency[:, None]).astype(np.int8)
    write_pgenlib(tmp_path / "x.pgen", alleles)
    start = read_index(tmp_path / "x.pgen").start
    assert len(encode_words(pack(alleles), people).data) <= 1.05 * (start[-1] - start[0])


def carriers_of(alleles, flipped):
    return Carriers(flipped, np.flatnonzero(alleles ^ flipped[:, None]))


@pytest.mark.parametrize("people", PEOPLE)
def test_carriers_give_the_bytes_of_words(people):
    alleles = spectrum(people, 400, seed=6)
    records = encode_words(pack(alleles), people)
    absent = np.random.default_rng(people).random(people) < 0.4
    minor_is_ref = alleles.mean(axis=1) > 0.5
    for flipped in (minor_is_ref, ~minor_is_ref, np.zeros(400, dtype=bool)):
        assert_equal(encode(carriers_of(alleles, flipped), people), records)
    assert_equal(
        encode(carriers_of(alleles, minor_is_ref), people, absent), encode_words(pack(alleles), people, absent=absent)
    )
    rare = np.flatnonzero(np.minimum(alleles.sum(axis=1), (1 - alleles).sum(axis=1)) <= max(1, people // 64))
    assert_equal(
        encode(carriers_of(alleles[rare], minor_is_ref[rare]), people), encode_words(pack(alleles[rare]), people)
    )


@pytest.mark.parametrize("people", [255, 256, 65_535, 3_000_000])
def test_long_gaps_and_groups(people):
    """Differences of up to four bytes, numbers of two, several groups of 64; carriers there and back."""
    rng = np.random.default_rng(people)
    flipped = rng.random(40) < 0.3
    number = np.minimum(rng.choice([0, 1, 2, 63, 64, 65, 127, 128, 129, 500], 40), people // 16)
    keys = [np.sort(rng.choice(2 * people, n, replace=False)) for n in number]
    both = [np.union1d(k, k[::3] ^ 1)[: people // 16] + 2 * people * i for i, k in enumerate(keys)]
    carriers = Carriers(flipped, np.concatenate(both).astype(np.int64))
    records = encode(carriers, people)
    assert (records.kind & 7 == np.where(flipped, 6, 4)).all()
    if people < 100_000:
        assert_equal(encode_words(_words(carriers, people), people), records)
    elif people == 3_000_000:
        assert number.max() == 500


def _words(carriers, people):
    alleles = np.zeros(len(carriers.flipped) * 2 * people, dtype=bool)
    alleles[carriers.key] = True
    return pack(alleles.reshape(len(carriers.flipped), -1) ^ carriers.flipped[:, None])


def test_a_list_in_a_file_of_many_people(tmp_path):
    people = 3_000_000
    key = np.sort(np.random.default_rng(7).choice(2 * people, 700, replace=False))
    records = encode(Carriers(np.array([False, True]), np.append(key, key + 2 * people)), people)
    write(tmp_path / "x.pgen", people, records)
    with Reader(tmp_path / "x.pgen", people) as reader:
        site, person, which = reader.carriers(np.arange(2))
        np.testing.assert_array_equal((site * people + person) * 2 + which, np.append(key, key + 2 * people))
        words = reader.alleles(np.arange(2))
    np.testing.assert_array_equal(np.flatnonzero(unpack(words, people)[0]), key)
    np.testing.assert_array_equal(np.flatnonzero(unpack(words, people)[1] == 0), key)
    with pgenlib.PgenReader(str(tmp_path / "x.pgen").encode(), people) as reader:
        row = np.empty(2 * people, dtype=np.int32)
        for i, minor in enumerate((1, 0)):
            reader.read_alleles(i, row)
            np.testing.assert_array_equal(np.flatnonzero(row == minor), key)


def test_the_same_bytes_by_jax_and_in_pieces(monkeypatch):
    from pseudocohort.pgen import bits

    for people in (100, 1000):
        alleles, absent = spectrum(people, 150, seed=8), np.arange(people) % 3 == 1
        words = pack(alleles)
        for missing in (None, absent):
            records = encode_words(words, people, absent=missing)
            assert_equal(encode_words(jnp.asarray(words), people, jnp, missing), records)
            with monkeypatch.context() as patch:
                patch.setattr(bits, "CHUNK", 3 * words.shape[1])
                assert_equal(encode_words(words, people, absent=missing), records)
            cuts = [slice(0, 7), slice(7, 8), slice(8, 8), slice(8, 150)]
            parts = [encode_words(words[cut], people, absent=missing) for cut in cuts]
            assert_equal(interleave(parts, [np.arange(150)[cut] for cut in cuts]), records)
            parts = [encode_words(words[i::3], people, absent=missing) for i in range(3)]
            assert_equal(interleave(parts, [np.arange(150)[i::3] for i in range(3)]), records)


def test_nothing():
    for records in (
        encode_words(np.zeros((0, 2), dtype=np.uint32), 30),
        encode(Carriers(np.zeros(0, dtype=bool), np.zeros(0, dtype=np.int64)), 30),
        interleave([], []),
    ):
        assert (len(records.kind), len(records.data), records.bounds.tolist()) == (0, 0, [0])


def test_several_vblocks_and_widths(tmp_path):
    """Differences never reach over a vblock's end; records of up to three bytes' lengths; pieces of any size."""
    people, sites = 33, 2 * VBLOCK + 77
    rng = np.random.default_rng(9)
    alleles = spectrum(people, 601, seed=9)[rng.integers(0, 601, sites)]
    alleles[VBLOCK - 3 : VBLOCK + 3] = rng.integers(0, 2, 2 * people)
    write_pgenlib(tmp_path / "x.pgen", alleles)
    kind = check_reading(tmp_path / "x.pgen", alleles)
    assert set(kind[VBLOCK - 2 : VBLOCK + 3] & 6) == {0, 2}
    assert kind[VBLOCK] & 6 != 2
    cuts = [0, 1, VBLOCK - 1, VBLOCK + 500, sites]
    pieces = [encode_words(pack(alleles[a:b]), people) for a, b in pairwise(cuts)]
    write(tmp_path / "y.pgen", people, *pieces)
    check_reading(tmp_path / "y.pgen", alleles)
    np.testing.assert_array_equal(read_pgenlib(tmp_path / "y.pgen", people)[0], alleles)
    write_companions(tmp_path / "y", people, sites)
    plink2("--pfile", tmp_path / "y", "--validate", "--out", tmp_path / "v", "--threads", 1)
    for people, width in ((4, 1), (3000, 2), (300_000, 3)):
        alleles = rng.integers(0, 2, (3, 2 * people))
        write(tmp_path / "z.pgen", people, encode_words(pack(alleles), people))
        assert (tmp_path / "z.pgen").read_bytes()[11] == 0x40 + 3 + width
        np.testing.assert_array_equal(read_pgenlib(tmp_path / "z.pgen", people)[0], alleles)


def test_absent_people_have_missing_calls(tmp_path):
    people = 300
    alleles, absent = spectrum(people, 80, seed=10), np.arange(people) % 5 == 2
    records = encode_words(pack(alleles), people, absent=absent)
    assert set(records.kind) == {0, 16}
    write(tmp_path / "x.pgen", people, records)
    wanted = np.where(np.repeat(absent, 2), -9, alleles)
    np.testing.assert_array_equal(read_pgenlib(tmp_path / "x.pgen", people)[0], wanted)
    write_pgenlib(tmp_path / "y.pgen", wanted)  # lists with missing calls, and lists of those who are not missing
    write_pgenlib(tmp_path / "z.pgen", np.where(np.arange(2 * people) < 6, alleles, -9))
    assert 7 in read_index(tmp_path / "z.pgen").kind & 7
    for name, there in (("x", ~absent), ("y", ~absent), ("z", np.arange(people) < 3)):
        with Reader(tmp_path / f"{name}.pgen", people, absent=~there) as reader:
            kept = np.where(np.repeat(there, 2), alleles, 0)
            np.testing.assert_array_equal(reader.alleles(np.arange(80)), pack(kept))
            main = reader.index.kind & 7
            listed = np.flatnonzero(np.isin(main, LISTED))
            site, person, which = reader.carriers(listed)
            minor = kept[listed] ^ (main[listed] == 6)[:, None]
            np.testing.assert_array_equal((site * people + person) * 2 + which, np.flatnonzero(minor))
        with (
            Reader(tmp_path / f"{name}.pgen", people, name=lambda i: f"site s{i}") as reader,
            pytest.raises(InputError, match=r"founders' genotypes at site s\d+ are missing or not phased"),
        ):
            reader.alleles(np.arange(80))


def test_calls_that_are_needed_must_be_there_and_phased(tmp_path):
    """Missing or unphased calls are refused where they are needed, by the site's name, and else do no harm."""
    people, sites = 500, 120
    alleles = spectrum(people, sites, seed=11).astype(np.int32)
    rng = np.random.default_rng(11)
    damaged = np.arange(people) % 7 == 3
    some = (rng.random(sites) < 0.6)[:, None] & damaged
    phased = ~((rng.random((sites, people)) < 0.5) & some)
    missing = (rng.random((sites, people)) < 0.1) & some
    bad = np.where(np.repeat(missing, 2, axis=1), -9, alleles)
    write_pgenlib(tmp_path / "x.pgen", bad, phased)
    with Reader(tmp_path / "x.pgen", people, needed=~damaged) as reader:
        main = reader.index.kind & 7
        assert {0, 1, 2, 4, 6} <= set(main)
        made = unpack(reader.alleles(np.arange(sites)), people)
        right = np.repeat(~damaged, 2)
        np.testing.assert_array_equal(made[:, right], alleles[:, right])
        listed = np.flatnonzero(np.isin(main, LISTED))
        site, person, which = reader.carriers(listed)
        minor = alleles[listed] ^ (main[listed] == 6)[:, None]
        key = ((site * people + person) * 2 + which)[~damaged[person]]
        np.testing.assert_array_equal(key, np.flatnonzero(minor & right))
    het = (bad[:, ::2] != bad[:, 1::2]) & ~phased
    faulty = (het | missing).any(axis=1)
    assert 0.1 < faulty.mean() < 1
    with Reader(tmp_path / "x.pgen", people, name=lambda i: f"chr1.pvar, site s{i}") as reader:
        for i in np.flatnonzero((main != 2) & (main != 3)):  # or the faults of the site they differ from count, too
            asked = [reader.alleles] + [reader.carriers] * (main[i] in LISTED)
            for ask in asked:
                if faulty[i]:
                    with pytest.raises(InputError, match=f"at chr1.pvar, site s{i} are missing or not phased") as error:
                        ask(np.array([i]))
                    assert "phase and impute the founders first" in str(error.value)
                else:
                    ask(np.array([i]))


def test_damaged_and_foreign_files(tmp_path):
    people, path = 300, tmp_path / "x.pgen"
    alleles = spectrum(people, 60, seed=12)
    write_pgenlib(path, alleles)
    whole, start = path.read_bytes(), read_index(path).start
    for cut in (0, 3, 11, 12, 19, 40, start[0], start[-1] - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(InputError, match=r"is cut off|is not a \.pgen") as error:
            Reader(path, people)
        assert str(path) in str(error.value)
        assert "plink2 --make-pgen" in str(error.value)
    for place, value, text in (
        (0, 65, "is not a .pgen"),
        (2, 0x02, "is not a .pgen"),
        (2, 0x11, "is not a .pgen"),
        (11, 0x47 | 16, "is not a .pgen"),
        (12, 1, "is not a .pgen|is cut off"),
        (20, 16 + 8, "holds dosages or sites of several ALT"),
        (20, 16 + 32, "holds dosages or sites of several ALT"),
        (20, 5, "holds dosages or sites of several ALT"),
        (20, 2, "begins a block of sites with a difference"),
    ):
        path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
        with pytest.raises(InputError, match=text):
            Reader(path, people)
    path.write_bytes(whole)
    with pytest.raises(InputError, match="holds 300 people, not 299"):
        Reader(path, 299)


def test_no_damage_passes_as_another_error(tmp_path):
    """Random bytes changed: alleles come, or an InputError, and nothing else."""
    rng, path, told = np.random.default_rng(13), tmp_path / "x.pgen", 0
    for people in (100, 300, 2500):
        alleles = spectrum(people, 60, seed=13)
        write_pgenlib(path, alleles)
        whole, start = np.fromfile(path, dtype=np.uint8), read_index(path).start[0]
        for i in range(60):
            data = whole.copy()
            data[rng.integers(start if i % 3 else 11, len(data), 2)] = rng.integers(0, 256, 2)
            data.tofile(path)
            try:
                with Reader(path, people) as reader:
                    reader.alleles(np.arange(len(reader.index.kind)))
                    reader.carriers(np.flatnonzero(np.isin(reader.index.kind & 7, LISTED)))
            except InputError:
                told += 1
    assert told > 60


def test_nobody_carries_anything(tmp_path):
    with RecordWriter(tmp_path / "x.pgen", 3) as writer, pytest.raises(ValueError, match="0 sites written"):
        writer.close()
    assert not (tmp_path / "x.pgen").exists()
