"""Matching, copying and windows: letter by letter against loops over pairs of haplotypes."""

import numpy as np
import pytest

from pseudocohort.disclosure import exposure, genomes, hmm, matching, nearest, packed, pbwt, windows


def agreements(target, donor):
    """All maximal [first, last] on which two haplotypes agree."""
    runs, first = [], None
    for site, same in enumerate([*(target == donor), False]):
        if same and first is None:
            first = site
        elif not same and first is not None:
            runs.append((first, site - 1))
            first = None
    return runs


def set_maximal(panel, targets):
    """{(target, first, last)} by looking at all pairs."""
    found = set()
    for t in range(targets.shape[1]):
        runs = {run for d in range(panel.shape[1]) for run in agreements(targets[:, t], panel[:, d])}
        inside = {a for a in runs for b in runs if a != b and b[0] <= a[0] and a[1] <= b[1]}
        found |= {(t, *run) for run in runs - inside}
    return found


def random_case(rng):
    """A few haplotypes, alike or not, rare alleles or not, targets among the panel or not."""
    sites = rng.integers(1, 40)
    panel = (rng.random((sites, rng.integers(1, 30))) < rng.beta(0.5, 0.5, (sites, 1))).astype(np.int8)
    targets = (rng.random((sites, rng.integers(1, 12))) < rng.random()).astype(np.int8)
    if rng.random() < 0.5:
        targets = panel[:, rng.integers(panel.shape[1], size=targets.shape[1])]
        targets = targets ^ (rng.random(targets.shape) < 0.1)
    return panel, targets.astype(np.int8)


def test_matches_are_those_of_all_pairs():
    rng = np.random.default_rng(1)
    for _ in range(300):
        panel, targets = random_case(rng)
        matches = pbwt.set_maximal_matches(packed.pack(panel), packed.pack(targets))
        found = list(zip(matches.target.tolist(), matches.first.tolist(), matches.last.tolist(), strict=True))
        assert len(set(found)) == len(found)
        assert set(found) == set_maximal(panel, targets)
        for t, d, first, last in zip(*matches, strict=True):
            assert (panel[first : last + 1, d] == targets[first : last + 1, t]).all()
        assert (np.diff(matches.last) >= 0).all()


def test_order_is_that_of_reversed_prefixes():
    """Past the few ones that are moved by hand, too: 60 haplotypes, alleles from rare to common."""
    rng = np.random.default_rng(2)
    alleles = (rng.random((50, 60)) < rng.choice([0.02, 0.1, 0.5, 0.9, 0.99], (50, 1))).astype(np.uint8)
    order = pbwt.first_order(60)
    for site in range(50):
        order = pbwt.advance(order, alleles[site], site)
        keys = [tuple(alleles[site::-1, h]) for h in range(60)]
        assert order.place.tolist() == sorted(range(60), key=lambda h: (keys[h], h))
        for i in range(1, 60):
            one, other = (alleles[: site + 1, h] for h in order.place[[i - 1, i]])
            differ = np.flatnonzero(one != other)
            assert order.start[i] == (differ[-1] + 1 if len(differ) else 0)


def stretched(panel, targets, t, d, first, last):
    """Sites of the match with one mismatch passed over, by steps of one site."""
    agree = panel[:, d] == targets[:, t]
    right, left = last, first
    if last + 2 < len(agree) and agree[last + 2]:
        right = last + 2
        while right + 1 < len(agree) and agree[right + 1]:
            right += 1
    if first - 2 >= 0 and agree[first - 2]:
        left = first - 2
        while left - 1 >= 0 and agree[left - 1]:
            left -= 1
    return right, left


def test_stitching_passes_over_one_mismatch():
    rng = np.random.default_rng(3)
    panel = (rng.random((400, 9)) < 0.4).astype(np.int8)
    targets = panel[:, [0, 1, 2, 3, 4, 5]] ^ (rng.random((400, 6)) < 0.01)
    cm = np.cumsum(rng.exponential(0.01, 400))
    a, b = packed.pack(targets), packed.pack(panel)
    matches = pbwt.set_maximal_matches(b, a)
    found = matching.stitched_lengths(matches, packed.words(a), b, cm)
    expected = []
    for t, d, first, last in zip(*matches, strict=True):
        right, left = stretched(panel, targets, t, d, first, last)
        expected.append(max(cm[right] - cm[first], cm[last] - cm[left]))
    assert found == pytest.approx(expected)
    assert (found > cm[matches.last] - cm[matches.first] + 0.2).sum() > 10


def test_sums_over_matches_are_of_both_haplotypes():
    cm = np.array([0.0, 0.05, 0.3, 1.0, 3.0, 4.0])
    matches = pbwt.Matches(*np.array([[0, 1, 1, 3], [0, 0, 0, 0], [0, 0, 2, 1], [1, 3, 4, 5]]))
    length = np.array([0.05, 1.0, 2.7, 3.95])
    sums = matching.match_sums(matches, length + 1, cm, 2)
    assert sums["longest"] == pytest.approx([2.7, 3.95])
    assert sums["sum>0.5"] == pytest.approx([3.7, 3.95])
    assert sums["sum>2"] == pytest.approx([2.7, 3.95])
    weighted = length * np.log(length + matching.SHORTEST)
    assert sums["log"] == pytest.approx([weighted[:3].sum(), weighted[3]])
    assert sums["cover"] == pytest.approx([3.75, 3.95])
    assert sums["stitched longest"] == pytest.approx([3.7, 4.95])


def test_longest_match_over_a_place():
    """Against every place and every match; with a reference it counts where it surpasses it."""
    rng = np.random.default_rng(12)
    panel, targets = ((rng.random((300, n)) < 0.3).astype(np.int8) for n in (40, 4))
    cm = np.cumsum(rng.exponential(0.03, 300))
    matches = pbwt.set_maximal_matches(packed.pack(panel), packed.pack(targets))
    length = cm[matches.last] - cm[matches.first]
    over = matching.longest_over(matches, length, cm, 4)
    places = cm[0] + matching.CELL * (np.arange(over.shape[1]) + 0.5)
    assert places[-1] < cm[-1] <= places[-1] + matching.CELL
    for t in range(4):
        for i, place in enumerate(places):
            there = (matches.target == t) & (cm[matches.first] <= place) & (cm[matches.last] >= place)
            assert over[t, i] == pytest.approx(max(length[there], default=0), rel=1e-6)
    sums = matching.covered_sums(over)
    assert sums["covered>0.2"].tolist() == [(over[:2] > 0.2).sum(), (over[2:] > 0.2).sum()]
    assert 0 < sums["covered>0.2"][0] < over[:2].size
    assert sums["log over"] == pytest.approx(np.log(over + 0.001).reshape(2, -1).sum(axis=1), rel=1e-5)
    more = np.array([[0.5, 1.0], [2.0, 0.0]], dtype=np.float32)
    less = np.array([[0.25, 4.0], [2.0, 0.0]], dtype=np.float32)
    assert matching.excess(more, less) == pytest.approx([np.log(0.501 / 0.251)], rel=1e-5)


def copying(target, panel, chosen, cm, block, error, rate):
    """Forward algorithm in loops: one target, float64, the states of every block given."""
    sites, number = len(target), panel.shape[1]
    weight, total = dict.fromkeys(chosen, 1 / number), 0.0
    for block_number, low in enumerate(range(0, sites, block)):
        if block_number:
            r = 1 - np.exp(-rate * (cm[low] - cm[low - block]))
            weight = {d: (1 - r) * w + r / number * sum(weight.values()) for d, w in weight.items()}
        for d in weight:
            for site in range(low, min(low + block, sites)):
                weight[d] *= error if panel[site, d] != target[site] else 1 - error
        scale = sum(weight.values())
        total += np.log(scale)
        weight = {d: w / scale for d, w in weight.items()}
    return total


@pytest.mark.parametrize("block", [8, 16, 64])
def test_copying_is_the_forward_algorithm(block):
    """All haplotypes are states: one stretch, more states than haplotypes, every haplotype some target's donor."""
    rng = np.random.default_rng(4)
    sites = 150
    panel = (rng.random((sites, 6)) < 0.5).astype(np.int8)
    mosaic = np.concatenate([panel[:70, [0, 1, 2, 3]], panel[70:, [4, 5, 0, 1]]]) ^ (rng.random((sites, 4)) < 0.02)
    cm = np.sort(rng.uniform(0, 0.9, sites))
    a, b = packed.pack(mosaic), packed.pack(panel)
    matches = pbwt.set_maximal_matches(b, a)
    found = hmm.log_likelihood(matches, packed.words(a), b, cm, block=block, error=0.01, rate=2.0)
    states = hmm.states_by_stretch(matches, hmm.stretch_of_word(cm), 4, hmm.STATES)[0]
    for t in range(4):
        chosen = set(states[t][states[t] >= 0].tolist())
        assert chosen == set(matches.donor[matches.target == t].tolist())
        assert found[t] == pytest.approx(copying(mosaic[:, t], panel, chosen, cm, block, 0.01, 2.0), rel=1e-5)


def test_copying_carries_a_state_over_the_stretches():
    """A target copied whole has the same likelihood in many stretches as in one, and a far lower one in none."""
    rng = np.random.default_rng(5)
    panel = (rng.random((1280, 40)) < 0.3).astype(np.int8)
    whole, other = panel[:, [7, 8]], (rng.random((1280, 2)) < 0.3).astype(np.int8)
    b, cm = packed.pack(panel), np.linspace(0, 6, 1280)
    found = []
    for target in (whole, other):
        a = packed.pack(target)
        matches = pbwt.set_maximal_matches(b, a)
        assert hmm.stretch_of_word(cm).max() == 5
        found.append(hmm.log_likelihood(matches, packed.words(a), b, cm, rate=0.1))
    exact = np.log(1 / 40) + 1280 * np.log1p(-hmm.ERROR) - 0.1 * 6 * (1 - 1 / 40)
    assert found[0] == pytest.approx(exact, abs=0.05)
    assert (found[1] < exact - 500).all()


def test_a_target_unlike_everybody_has_a_likelihood():
    rng = np.random.default_rng(13)
    panel = np.zeros((128, 5), dtype=np.int8)
    panel[[3, 70]] = 1
    target = np.ones((128, 2), dtype=np.int8)
    a, b = packed.pack(target), packed.pack(panel)
    matches = pbwt.set_maximal_matches(b, a)
    found = hmm.log_likelihood(matches, packed.words(a), b, np.linspace(0, 0.5, 128), rate=rng.uniform())
    assert found == pytest.approx(126 * np.log(hmm.ERROR) + 2 * np.log1p(-hmm.ERROR) - np.log(5), abs=4)


def test_states_are_the_donors_of_the_longest_matches_in_a_stretch():
    matches = pbwt.Matches(*np.array([[0, 0, 0, 0, 1], [5, 6, 5, 7, 9], [0, 10, 70, 130, 0], [90, 63, 75, 190, 20]]))
    found = hmm.states_by_stretch(matches, np.array([0, 1, 2]), 2, 2)
    assert found[:, 0].tolist() == [[5, 6], [5, -1], [7, -1]]
    assert found[:, 1].tolist() == [[9, -1], [0, -1], [0, -1]]


def test_windows_count_carriers_letter_by_letter():
    rng = np.random.default_rng(6)
    base = (rng.random((300, 5)) < 0.5).astype(np.int8)
    made, known, own = (base[:, rng.integers(5, size=n)] ^ (rng.random((300, n)) < 0.01) for n in (20, 12, 6))
    cm = np.sort(rng.uniform(0, 2, 300))
    found = windows.window_sums(*map(packed.pack, (own, made, known)), cm)["windows 0.1"]
    expected = np.zeros(3)
    number = np.floor(cm / 0.1)
    for w in set(number):
        at = number == w
        for h in range(6):
            p, q = (sum((panel[at, k] == own[at, h]).all() for k in range(panel.shape[1])) for panel in (made, known))
            expected[h // 2] += np.log((p + 0.5) / 21) - np.log((q + 0.5) / 13)
    assert found == pytest.approx(expected)
    assert np.abs(expected).min() > 0


@pytest.mark.parametrize("people", [7, 40])
def test_nearest_distances_are_those_of_all_pairs(people, monkeypatch):
    monkeypatch.setattr(nearest, "PEOPLE_AT_ONCE", 16)
    monkeypatch.setattr(nearest, "SITES_AT_ONCE", 50)
    rng = np.random.default_rng(7)
    one, other = ((rng.random((130, 2 * n)) < 0.3).astype(np.int8) for n in (people, 50))
    x, y = (a.reshape(130, -1, 2).sum(axis=2) for a in (one, other))
    far = ((x[:, :, None] - y[:, None, :]) ** 2).sum(axis=0)
    assert nearest.nearest_distance(packed.pack(one), packed.pack(other)).tolist() == far.min(axis=1).tolist()


def test_whole_people_are_compared_at_some_sites(monkeypatch, tmp_path):
    """Those that are evenly spread over the sites at which the pseudo cohort varies; in files as in memory."""
    monkeypatch.setattr(genomes, "NEAREST_SITES", 30)
    rng = np.random.default_rng(16)
    own, made, known = ((rng.random((200, 2 * n)) < 0.3).astype(np.uint8) for n in (9, 40, 20))
    made[::4] = 0
    some = np.flatnonzero(made.any(axis=1))[np.round(np.linspace(0, 149, 30)).astype(int)]
    filed = packed.Packed(packed.Filed(tmp_path, 200, 80), 80)
    filed.rows.write(0, packed.pack(made).rows)
    for pseudo in (packed.pack(made), filed):
        found = genomes.statistics(packed.pack(own), pseudo, packed.pack(known), np.arange(200.0), ("nearest",))
        for name, panel in (("pseudo", made), ("reference", known)):
            x, y = (a[some].astype(int).reshape(30, -1, 2).sum(axis=2) for a in (own, panel))
            far = ((x[:, :, None] - y[:, None, :]) ** 2).sum(axis=0)
            assert found[f"{name} nearest"].tolist() == (-far.min(axis=1)).tolist()


def test_numbers_are_evenly_spread():
    assert packed.spread(5, 9).tolist() == [0, 1, 2, 3, 4]
    assert packed.spread(9, 3).tolist() == [0, 4, 8]
    assert len(packed.spread(200_000, 8000)) == 8000


def test_adversarial_accuracy_shows_both_halves():
    """Half copies and half outliers: one half says copying, the other outliers, the mean nothing."""
    rng = np.random.default_rng(8)
    real = (rng.random((500, 400)) < 0.3).astype(np.int8)
    alike = (rng.random((500, 400)) < 0.3).astype(np.int8)
    fair = nearest.adversarial_accuracy(packed.pack(real), packed.pack(alike), 400)
    assert np.mean(fair) == pytest.approx(0.5, abs=0.12)
    copied = nearest.adversarial_accuracy(packed.pack(real), packed.pack(real), 400)
    assert copied == (0, 0)
    mixed = np.concatenate([real[:, :200], (rng.random((500, 200)) < 0.6)], axis=1).astype(np.int8)
    found = nearest.adversarial_accuracy(
        packed.pack(np.concatenate([real[:, :200]] * 2, axis=1)), packed.pack(mixed), 400
    )
    assert found.targets == 0
    assert found.pseudo == pytest.approx(0.5, abs=0.02)


def test_packing_keeps_every_allele():
    rng = np.random.default_rng(9)
    one, other = ((rng.random((300, n)) < 0.4).astype(np.int8) for n in (13, 22))
    a, b = packed.pack(one), packed.pack(other)
    assert np.array_equal(np.concatenate(list(a.blocks())), one)
    assert np.array_equal(np.concatenate(list(packed.join(a, b).blocks())), np.concatenate([one, other], axis=1))
    assert np.array_equal(packed.counts(b), other.sum(axis=1))
    weights = rng.normal(size=(300, 2))
    assert packed.products(a, weights) == pytest.approx(one.T @ weights, rel=1e-4, abs=1e-4)
    words = packed.words(a)
    bits = words[np.arange(300) // 64] >> (np.arange(300, dtype=np.uint64) % np.uint64(64))[:, None] & np.uint64(1)
    assert np.array_equal(bits, one)
    keep = rng.random(300) < 0.5
    assert np.array_equal(np.concatenate(list(packed.select(a, keep).blocks())), one[keep])


@pytest.mark.parametrize("number", [3, 16, 45])
def test_a_panel_in_a_file_is_the_panel(number, monkeypatch, tmp_path):
    monkeypatch.setattr(packed, "BATCH", 2)
    rng = np.random.default_rng(14)
    alleles = (rng.random((300, number)) < 0.4).astype(np.int8)
    inside = packed.pack(alleles)
    filed = packed.Packed(packed.Filed(tmp_path, 300, number), number)
    for low in (0, 100, 200):
        filed.rows.write(low, inside.rows[low : low + 100])
    keep = rng.random(300) < 0.1
    keep[[0, -1]] = False
    some = packed.select(filed, keep)
    del filed  # the file lives as long as anything of it is held
    for one, expected in ((some, alleles[keep]), (packed.in_memory(some), alleles[keep])):
        assert np.array_equal(np.concatenate(list(one.blocks(7))), expected)
        assert np.array_equal(packed.counts(one), expected.sum(axis=1))
    parts = list(some.batches())
    assert [first for first, _ in parts] == list(range(0, number, 16))
    assert np.array_equal(np.concatenate([np.concatenate(list(p.blocks())) for _, p in parts], axis=1), alleles[keep])
    assert not list(tmp_path.iterdir())  # it has no name


def test_the_carrier_is_the_donor_of_the_longest_match():
    cm = np.array([0.0, 0.05, 0.3, 1.0, 3.0, 4.0])
    matches = pbwt.Matches(*np.array([[0, 1, 5, 4], [6, 9, 3, 8], [0, 2, 0, 0], [1, 3, 3, 4]]))
    found = matching.longest_carriers(matches, cm, 3)
    assert found.length == pytest.approx([0.7, 0, 3.0])
    assert found.donor.tolist() == [4, -1, 4]


def test_exposure_is_told_of_groups():
    values = np.random.default_rng(10).permutation(np.arange(103.0))
    share, mean = exposure.grouped(values, 50)
    assert len(mean) == 20
    assert mean[0] == pytest.approx(np.arange(6).mean())
    assert mean[-1] == pytest.approx(np.arange(98, 103).mean())
    assert share[0] == pytest.approx(3 / 103)
    assert len(exposure.grouped(values[:4])[0]) == 0
    assert len(exposure.grouped(values[:9])[0]) == 1


def test_copied_windows_and_near_copies():
    rng = np.random.default_rng(11)
    real = (rng.random((200, 10)) < 0.5).astype(np.int8)
    pseudo = real.copy()
    pseudo[50, 4] ^= 1  # one letter of one haplotype
    cm = np.arange(200) * 0.1
    a, b = packed.pack(real), packed.pack(pseudo)
    assert exposure.copied_windows(a, b, cm) == pytest.approx(0.9)
    assert exposure.copied_windows(a, b, cm, 1.0) == pytest.approx(1 - 1 / 200)
    distance = nearest.nearest_distance(b, a)
    assert sorted(distance.tolist()) == [0, 0, 0, 0, 1]
    assert exposure.near_copies(distance, 200) == pytest.approx(0.8)
    assert exposure.near_copies(distance, 1000) == pytest.approx(1)
