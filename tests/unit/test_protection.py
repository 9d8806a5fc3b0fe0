"""Protections of genomes: windows that families carry, switching, sites, and files; each against brute force."""

import itertools

import numpy as np
import pandas as pd
import pytest

from pseudocohort.cohort.maps import GeneticMap
from pseudocohort.errors import InputError
from pseudocohort.genome import protection as module
from pseudocohort.genome.mosaic import Mosaic, founder_at
from pseudocohort.genome.protected import common_sites, transmit_protected
from pseudocohort.genome.protection import Copying, Founded, Protection, make_protection, streams_of, window_bounds
from pseudocohort.genome.recombination import site_fractions
from pseudocohort.genome.switching import advance, longest_matches, start_order
from pseudocohort.genome.transmission import transmit
from pseudocohort.genome.windows import classify, differences
from pseudocohort.genotypes import Genotypes, GenotypeWriter
from pseudocohort.pgen.reader import Reader

PEOPLE, SITES = 60, 900
MAP = GeneticMap("22", np.array([1, 1_000_001]), np.array([0.0, 10.0]))
FAMILY = np.repeat(np.minimum(np.arange(PEOPLE), 49), 2)  # the last eleven people are one family
STRATUM = np.repeat(np.arange(PEOPLE) % 2, 2)
FOUNDED = Founded(FAMILY, STRATUM)
PROTECTION = Protection(3, 1.0, 4, 6, 0.25)


def founder_alleles(seed=1):
    """Copies with errors of few ancestors that change along the chromosome, so that windows have common haplotypes."""
    rng = np.random.default_rng(seed)
    ancestors = (rng.random((SITES, 6)) < rng.choice([0.05, 0.3, 0.5], SITES)[:, None]).astype(np.int8)
    which = np.empty((SITES, 2 * PEOPLE), dtype=int)
    which[0] = rng.integers(6, size=2 * PEOPLE)
    for site in range(1, SITES):
        change = rng.random(2 * PEOPLE) < 0.01
        which[site] = np.where(change, rng.integers(6, size=2 * PEOPLE), which[site - 1])
    return np.take_along_axis(ancestors, which, axis=1) ^ (rng.random((SITES, 2 * PEOPLE)) < 0.004)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    prefix, alleles = tmp_path_factory.mktemp("real") / "chr22", founder_alleles()
    pos = np.sort(np.random.default_rng(2).choice(np.arange(1, 1_000_001), SITES, replace=False))
    sites = pd.DataFrame({"chrom": "22", "pos": pos, "id": [f"s{i}" for i in range(SITES)], "ref": "A", "alt": "G"})
    with GenotypeWriter(prefix, [f"p{i}" for i in range(PEOPLE)], np.arange(PEOPLE) % 2 + 1, SITES) as writer:
        writer.append(alleles, sites)
    return prefix, alleles, pos


def random_mosaic(haplotypes, seed=3):
    rng = np.random.default_rng(seed)
    number = rng.integers(1, 5, haplotypes)
    start = [np.append(0, np.sort(rng.integers(1, 2**32, n - 1))) for n in number]
    founder = np.cumsum(rng.integers(1, 2 * PEOPLE, size=number.sum())) % (2 * PEOPLE)  # neighbours differ
    founder = founder.astype(np.int32)
    return Mosaic(np.append(0, np.cumsum(number)), np.concatenate(start).astype(np.uint32), founder)


def protected(real, path, mosaic, protection=PROTECTION, block_sites=None, seed=7):
    people = (len(mosaic.offset) - 1) // 2
    ids, sex = [f"q{i}" for i in range(people)], np.ones(people, dtype=int)
    rows = np.arange(PEOPLE)
    counts = transmit_protected(
        real[0], rows, mosaic, MAP, path, ids, sex, protection, FOUNDED, "22", seed, block_sites
    )
    with Genotypes(path) as file:
        return file.haplotypes(0, file.n_sites), file.sites["pos"].to_numpy(), counts


def families_with(column_is_equal):
    return len(np.unique(FAMILY[column_is_equal]))


def test_every_haplotype_of_a_window_is_carried_by_enough_families(real, tmp_path):
    _, alleles, pos = real
    made, kept, _ = protected(real, tmp_path / "out", random_mosaic(90))
    by_pos = alleles[np.searchsorted(pos, kept)]
    window = np.floor(kept_cm(kept) / 0.25)
    seen = 0
    for number in np.unique(window):
        rows = window == number
        for haplotype in np.unique(made[rows], axis=1).T:
            assert families_with((by_pos[rows] == haplotype[:, None]).all(axis=0)) >= PROTECTION.least
            seen += 1
    assert seen > 100
    rare = [
        families_with((by_pos[window == n] == column[:, None]).all(axis=0)) < PROTECTION.least
        for n in np.unique(window)
        for column in by_pos[window == n].T
    ]
    assert np.mean(rare) > 0.1  # there was something to replace


def kept_cm(pos):
    return np.interp(pos, MAP.pos, MAP.cm)


def test_replacement_is_a_nearest_allowed_haplotype(real):
    _, alleles, pos = real
    mosaic = random_mosaic(90)
    settings = Protection(0, 0.0, 4, 4, 0.25)
    bounds = window_bounds(kept_cm(pos), settings)
    for made, rows, source in each_window(alleles, pos, bounds, mosaic, settings):
        block = alleles[rows]
        carried = np.array([families_with((block == c[:, None]).all(axis=0)) for c in block.T])
        ok = block[:, carried >= 4]
        if (carried >= 4).mean() < module.COVERED:
            continue
        wanted = block[:, source]
        least = np.array([(ok != column[:, None]).sum(axis=0).min() for column in wanted.T])
        assert ((made != wanted).sum(axis=0) == least).all()


def each_window(alleles, pos, bounds, mosaic, settings, seed=7):
    """What each window becomes: alleles (sites, pseudo haplotypes), its sites and the sources copied."""
    x = np.append(site_fractions(MAP, pos[bounds[:-1]]).astype(np.int64), 2**32)
    streams = streams_of(seed, "22")
    copying = Copying(mosaic, settings, FOUNDED, x, MAP.length_cm, streams.switch)
    for low, high in itertools.pairwise(bounds):
        words = words_of(alleles[low:high])
        made = module.protected_words(words, high - low, copying, settings, FOUNDED, streams)
        yield alleles_of(made, high - low), slice(low, high), copying.source.copy()


def words_of(alleles):
    tiles = -(-len(alleles) // 32)
    padded = np.zeros((32 * tiles, alleles.shape[1]), dtype=np.uint8)
    padded[: len(alleles)] = alleles
    return (
        np.packbits(padded.reshape(tiles, 32, -1), axis=1, bitorder="little")
        .transpose(0, 2, 1)
        .copy()
        .view("<u4")[:, :, 0]
    )


def alleles_of(words, sites):
    flags = np.unpackbits(words.astype("<u4")[:, :, None].view(np.uint8), axis=2, bitorder="little")
    return flags.transpose(0, 2, 1).reshape(-1, words.shape[1])[:sites].astype(np.int8)


def test_windows_are_joined_until_they_have_sites_enough_to_differ():
    cm = np.sort(np.random.default_rng(6).uniform(0, 20, 700))
    grid = window_bounds(cm, Protection(0, 1.0, 0, 0, 0.25))
    assert (np.diff(np.floor(cm / 0.25)[grid[:-1]]) > 0).all()
    assert np.diff(grid).min() < module.SITES
    joined = window_bounds(cm, Protection(0, 1.0, 4, 6, 0.25))
    assert set(joined) < set(grid)
    assert np.diff(joined).min() >= module.SITES
    assert np.diff(joined)[:-1].max() < module.SITES + np.diff(grid).max()
    assert (window_bounds(cm, Protection(0, 1.0, 4, 6, 2.0)) == window_bounds(cm, Protection(0, 1.0, 0, 0, 2.0))).all()
    assert window_bounds(cm[:5], Protection(0, 1.0, 4, 6, 0.25)).tolist() == [0, 5]
    assert window_bounds(cm[:0], Protection(0, 1.0, 4, 6, 0.25)).tolist() == [0]


def test_larger_cohorts_have_more_candidates():
    line = Mosaic(np.array([0, 1]), np.zeros(1, np.uint32), np.zeros(1, np.int32))
    for haplotypes, number in ((120, 4), (2_000, 5), (200_000, 6)):
        founded = Founded(np.arange(haplotypes) // 2, np.zeros(haplotypes, dtype=int))
        assert Copying(line, Protection(0, 1.0), founded, [0, 2**32], 1.0, (1, 2)).candidates == number


def test_joined_windows_are_told(real, tmp_path, caplog):
    protected(real, tmp_path / "dense", random_mosaic(20))
    assert "joined" not in caplog.text
    protected(real, tmp_path / "sparse", random_mosaic(20), PROTECTION._replace(window_cm=0.05))
    assert "windows of 0.05 cM have so few sites that they are joined to 0.3" in caplog.text


def test_what_halves_make_together_is_of_enough_families_or_of_nobody():
    settings, streams, size = Protection(0, 0.0, 4, 6, 0.25), streams_of(7, "22"), 150
    pieces, different, unchanged = [], 0, 0
    for window, low in enumerate(range(0, SITES, size)):
        block = founder_alleles()[low : low + size]
        emitted, number = module.anonymous_words(words_of(block), range(size), window, settings, FOUNDED, streams)
        made = alleles_of(emitted, size)
        for haplotype in np.unique(made, axis=1).T:
            assert not 0 < families_with((block == haplotype[:, None]).all(axis=0)) < settings.least
            different += 1
        pieces.append(number)
        unchanged += (made == block).all(axis=0).sum()
    assert min(pieces) == 2
    assert max(pieces) > 2
    assert different > 100
    assert unchanged > 20


def test_what_stands_for_halves_put_together_is_frequent_and_nobodys(monkeypatch):
    monkeypatch.setattr(module, "CHOICE", 2)
    alleles = (np.repeat([1, 2, 3, 4], [5, 4, 3, 2]) >> np.arange(3)[:, None] & 1).astype(np.int8)
    joined = classify(words_of(alleles), np.arange(14))

    def safe(*rare):
        return sorted(joined.words[0, module._safe_classes(joined, np.array([rare], dtype=np.uint32))].tolist())

    assert safe(7) == [1, 2]
    assert safe(1) == [2, 3]
    assert safe(1, 2, 3) == [4]
    assert safe(1, 2, 3, 4) == [1]


def test_halved_windows_are_told(real, tmp_path, caplog):
    caplog.set_level("INFO")
    protected(real, tmp_path / "narrow", random_mosaic(20))
    assert "halved, which makes" in caplog.text
    assert "so many haplotypes" not in caplog.text
    protected(real, tmp_path / "wide", random_mosaic(20), PROTECTION._replace(window_cm=1.0))
    assert "40 % of the windows have so many haplotypes that they are halved, to 2.0 pieces" in caplog.text


def test_matches_are_of_haplotypes_as_they_are_emitted(real):
    _, alleles, pos = real
    settings, mosaic = Protection(0, 1.0, 4, 6, 0.25), random_mosaic(90)
    bounds = window_bounds(kept_cm(pos), settings)
    x = np.append(site_fractions(MAP, pos[bounds[:-1]]).astype(np.int64), 2**32)
    streams = streams_of(7, "22")
    copying = Copying(mosaic, settings, FOUNDED, x, MAP.length_cm, streams.switch)
    order, raw = start_order(STRATUM), start_order(STRATUM)
    for window, (low, high) in enumerate(itertools.pairwise(bounds)):
        words = words_of(alleles[low:high])
        module.protected_words(words, high - low, copying, settings, FOUNDED, streams)
        safe, _ = module.anonymous_words(words, range(high - low), window, settings, FOUNDED, streams)
        order = advance(order, classify(safe, FAMILY).code, STRATUM, window)
        raw = advance(raw, classify(words, FAMILY).code, STRATUM, window)
    lengths = [longest_matches(o, np.arange(2 * PEOPLE), 1)[1].mean() for o in (copying.order, order, raw)]
    assert lengths[0] == lengths[1] < lengths[2]


def test_segments_are_not_longer_than_the_cap_and_switches_are_between_longest_matches(real):
    _, alleles, pos = real
    cap, mosaic = 1.0, random_mosaic(90)
    settings = Protection(0, cap, 0, 0, 0.25)
    bounds = window_bounds(kept_cm(pos), settings)
    starts, sources = kept_cm(pos)[bounds[:-1]], []
    for *_, source in each_window(alleles, pos, bounds, mosaic, settings):
        sources.append(source)
    sources, founders = np.array(sources), founder_at(mosaic, site_fractions(MAP, pos[bounds[:-1]]))
    switched = 0
    for haplotype in range(sources.shape[1]):
        path, since = sources[:, haplotype], 0
        for window in range(1, len(path)):
            begun = founders[window, haplotype] != founders[window - 1, haplotype]
            if path[window] == path[window - 1] and not begun:
                assert starts[window] - starts[since] < cap
                continue
            since = window
            if begun:
                assert path[window] == founders[window, haplotype]
                continue
            switched += 1
            lengths = match_lengths(alleles, bounds, window, path[window - 1])
            assert lengths[path[window]] >= np.sort(lengths)[-module.CANDIDATES[0]]
            assert STRATUM[path[window]] == STRATUM[path[window - 1]]
    assert switched > 200


def match_lengths(alleles, bounds, window, source):
    """Windows before `window` in which others of the stratum equal `source`; -1 for itself and other strata."""
    lengths = np.zeros(2 * PEOPLE, dtype=int)
    same = STRATUM[source] == STRATUM
    same[source] = False
    alive = same.copy()
    for w in range(window - 1, -1, -1):
        block = alleles[bounds[w] : bounds[w + 1]]
        alive &= (block == block[:, [source]]).all(axis=0)
        lengths += alive
    return np.where(same, lengths, -1)


def test_longest_matches_against_brute_force():
    rng = np.random.default_rng(5)
    code, group = rng.integers(3, size=(12, 80)), rng.integers(2, size=80)
    order = start_order(group)
    for window, row in enumerate(code):
        order = advance(order, row, group, window)
    other, since = longest_matches(order, np.arange(80), 6)
    for haplotype in range(80):
        peers = np.flatnonzero((group == group[haplotype]) & (np.arange(80) != haplotype))
        differ = code[:, peers] != code[:, [haplotype]]
        first = np.where(differ.any(axis=0), len(code) - np.argmax(differ[::-1], axis=0), 0)
        assert since[haplotype].tolist() == np.sort(first)[:6].tolist()
        assert first[np.searchsorted(peers, other[haplotype])].tolist() == since[haplotype].tolist()


def test_a_group_of_two_has_one_match():
    order = start_order(np.array([0, 1, 1, 2]))
    other, _ = longest_matches(advance(order, np.array([0, 1, 0, 1]), np.array([0, 1, 1, 2]), 0), np.arange(4), 3)
    assert other.tolist() == [[-1, -1, -1], [2, -1, -1], [1, -1, -1], [-1, -1, -1]]


def test_sites_whose_minor_allele_few_families_carry_are_dropped(real, tmp_path):
    prefix, alleles, pos = real
    minor = np.where(alleles.mean(axis=1, keepdims=True) > 0.5, 1 - alleles, alleles).astype(bool)
    families = np.array([families_with(row) for row in minor])
    assert len(np.unique(FAMILY)) < PEOPLE
    for minimum in (1, 3, 8):
        with Reader(f"{prefix}.pgen", PEOPLE) as reader:
            kept = common_sites(reader, np.arange(2 * PEOPLE), FAMILY, minimum)
        assert (kept == (families >= minimum)).all()
        assert 0 < kept.sum() < SITES
    _, written, counts = protected(real, tmp_path / "out", random_mosaic(90))
    assert set(written) <= set(pos[families >= 3])
    assert counts["sites"] == SITES
    assert counts["common"] == (families >= 3).sum() >= counts["written"] == len(written)


def test_bytes_depend_on_no_block_and_on_the_seed(real, tmp_path):
    mosaic, files = random_mosaic(90), {}
    for block in (1, 64, 333, None):
        protected(real, tmp_path / f"b{block}", mosaic, block_sites=block)
        files[block] = [(tmp_path / f"b{block}.{s}").read_bytes() for s in ("pgen", "pvar", "psam")]
    assert all(files[block] == files[None] for block in files)
    protected(real, tmp_path / "other", mosaic, seed=8)
    assert (tmp_path / "other.pgen").read_bytes() != files[None][0]


def test_nothing_set_is_transmission_as_it_was(real, tmp_path):
    mosaic, people = random_mosaic(90), 45
    made, pos, _ = protected(real, tmp_path / "off", mosaic, Protection(window_cm=1e-5))
    transmit(
        real[0], np.arange(PEOPLE), mosaic, MAP, tmp_path / "plain", [f"q{i}" for i in range(people)], np.ones(people)
    )
    assert (tmp_path / "off.pgen").read_bytes() == (tmp_path / "plain.pgen").read_bytes()
    assert (tmp_path / "off.pvar").read_bytes() == (tmp_path / "plain.pvar").read_bytes()
    assert len(pos) > 0
    assert made.any()


def test_both_haplotypes_of_a_male_stay_the_same(real, tmp_path):
    single = random_mosaic(40)
    pairs = np.repeat(np.arange(40), 2)
    number = np.diff(single.offset)[pairs]
    rows = np.concatenate([np.arange(single.offset[i], single.offset[i + 1]) for i in pairs])
    mosaic = Mosaic(np.append(0, np.cumsum(number)), single.start[rows], single.founder[rows])
    made, *_ = protected(real, tmp_path / "male", mosaic)
    assert (made[:, ::2] == made[:, 1::2]).all()
    assert len(np.unique(made, axis=1).T) > 20


def test_who_lacks_the_chromosome_stays_without(real, tmp_path):
    mosaic = random_mosaic(20)
    founder = mosaic.founder.copy()
    founder[: mosaic.offset[4]] = -1
    made, *_ = protected(real, tmp_path / "y", mosaic._replace(founder=founder))
    assert (made[:, :4] == -9).all()
    assert (made[:, 4:] >= 0).all()


def test_females_are_not_counted_on_y(tmp_path):
    """As of a file of the males alone: all of them would be carriers of REF."""
    males, line = np.arange(0, PEOPLE, 2), GeneticMap("Y", MAP.pos, np.zeros(2))
    alleles = np.repeat(founder_alleles()[:, 2 * males], 2, axis=1)
    pos = np.arange(1, SITES + 1) * 1000
    sites = pd.DataFrame({"chrom": "Y", "pos": pos, "id": [f"s{i}" for i in pos], "ref": "A", "alt": "G"})
    father = np.where(np.arange(30) < 20, np.random.default_rng(8).integers(len(males), size=30), -1)
    made, sex = {}, 1 + (father < 0)
    for name, males_at in (("everybody", males), ("males", np.arange(len(males)))):
        absent = ~np.isin(np.arange(males_at[-1] + 2 if name == "everybody" else len(males)), males_at)
        with GenotypeWriter(tmp_path / name, np.arange(len(absent)), absent + 1, SITES, absent) as writer:
            writer.append(alleles, sites)
        founder = np.repeat(np.where(father < 0, -1, 2 * males_at[father]), 2).astype(np.int32)
        mosaic = Mosaic(np.arange(61), np.zeros(60, np.uint32), founder)
        family = np.repeat(np.cumsum(~absent), 2)
        out, founded = tmp_path / f"made of {name}", Founded(family, np.zeros(len(family), dtype=int))
        given = (tmp_path / name, np.arange(len(absent)), mosaic, line, out, np.arange(30), sex)
        transmit_protected(*given, PROTECTION._replace(least=3, most=3), founded, "Y", 7)
        made[name] = [out.with_suffix(s).read_bytes() for s in (".pgen", ".pvar")]
    assert made["everybody"] == made["males"]
    with Genotypes(out) as file:
        found = file.haplotypes(0, file.n_sites)
    assert (found[:, :40] == 1).any(axis=0).all()
    assert (found[:, 40:] == -9).all()


def test_classes_and_differences_against_brute_force():
    alleles = founder_alleles(4)[:70]
    classes = classify(words_of(alleles), FAMILY)
    same = (alleles[:, :, None] == alleles[:, None, :]).all(axis=0)
    assert ((classes.code[:, None] == classes.code[None, :]) == same).all()
    assert classes.families[classes.code].tolist() == [families_with(row) for row in same]
    assert (classes.carrier[classes.code] == same.argmax(axis=1)).all()
    apart = (alleles[:, :, None] != alleles[:, None, :]).sum(axis=0)
    assert (differences(words_of(alleles), words_of(alleles)) == apart).all()


def test_ties_are_drawn_in_proportion_to_families():
    family = np.arange(100)
    alleles = np.zeros((3, 100), dtype=np.int8)
    alleles[0, :30], alleles[1, 30:90] = 1, 1
    alleles[2, 99] = 1  # class 001; 100 and 010 are two sites away, 000 one
    alleles[0, 90:99], alleles[1, 90:99] = 1, 1  # class 110, one site from both
    words = words_of(alleles)
    classes = classify(words, family)
    wanted = np.full(20_000, classes.code[95])
    allowed = np.array(sorted({classes.code[0], classes.code[50]}))
    draw = np.arange(20_000, dtype=np.uint32)
    made = module.replacements(classes, allowed, wanted, draw, 3, (1, 2))
    assert (made == classes.code[50]).mean() == pytest.approx(60 / 90, abs=4 * np.sqrt(2 / 9 / 20_000))


def test_thresholds_are_drawn_from_their_range():
    family = np.repeat(np.arange(400), 1)
    alleles = ((np.arange(400)[None, :] // 20) >> np.arange(5)[:, None] & 1).astype(np.int8)  # 20 classes of 20
    classes = classify(words_of(alleles), family)
    number = [len(module.allowed_classes(classes, 11, 30, (5, 6), window)) for window in range(200)]
    assert np.mean(number) == pytest.approx(10, abs=4 * np.sqrt(5 / 200))
    assert len(module.allowed_classes(classes, 20, 20, (5, 6), 0)) == 20
    assert len(module.allowed_classes(classes, 21, 21, (5, 6), 0)) == 0


def test_settings():
    given = {"minimum_allele_count": 5, "switch_cm": 0.5, "k_anonymous": {"share": 0.011, "most": 3, "window_cm": 0.03}}
    assert make_protection(given, 1000) == Protection(5, 0.5, 11, 33, 0.03)
    assert not make_protection({}, 1000).in_windows
    off = dict.fromkeys(("minimum_allele_count", "switch_cm", "k_anonymous"))
    assert make_protection(off, 1000) == Protection()
    assert make_protection({"minimum_allele_count": 0.04}, 1010) == Protection(41)
    assert make_protection({"minimum_allele_count": 1}, 1010) == Protection(1)
    assert make_protection({"k_anonymous": {"k": 7, "most": 3, "window_cm": 0.1}}, 1000) == Protection(
        0, 0.0, 7, 21, 0.1
    )
    with pytest.raises(InputError, match="at least 33 families carry are asked for, of 60 families"):
        make_protection({"k_anonymous": {"k": 33, "most": 1, "window_cm": 0.05}}, 60)
