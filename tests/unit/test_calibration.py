"""Calibration: moments of the training scores reached from independent or nonlinear drawings, and nothing else lost."""

import numpy as np
import pandas as pd
import pytest

from pseudocohort.cohort.dictionary import Dictionary, Item
from pseudocohort.phenotype.calibration import Calibration
from pseudocohort.phenotype.common import fit_common
from pseudocohort.phenotype.decoding import POLISH
from pseudocohort.phenotype.moments import Moments, moments
from pseudocohort.phenotype.sampling import sample_people

N, DRAWN = 3000, 4000
DICTIONARY = Dictionary(
    (
        Item("age", "continuous", role="age", decimals=0),
        Item("x", "continuous", decimals=2),
        Item("spiky", "continuous", decimals=1),
        Item("grade", "ordinal", categories=("0", "1", "2", "3")),
        Item("kind", "nominal", categories=("a", "b", "c", "d")),
        Item("ill", "binary", categories=("0", "1")),
        Item("years", "count", asked_if=(("ill", ("1",)),)),
        Item("rare", "count", asked_if=(("kind", ("d",)),)),
        Item("y", "continuous", decimals=3, missing_codes=(("-9", "refused"), ("-8", "not measured"))),
    )
)


def cohort(n=N, seed=1):
    """Items that share a factor, a score and age: levels, sticks, spikes (a third of `spiky` is 0), missing values
    that follow the factor, with reasons; `rare` is asked of 3 %."""
    random = np.random.default_rng(seed)
    scores = pd.DataFrame({"t": random.normal(size=n), "u": random.normal(size=n)})
    age = random.integers(30, 80, n).astype(float)
    factor = random.normal(size=n) + 0.5 * scores["t"].to_numpy() + 0.02 * (age - 55)

    def seen(weight):
        return weight * factor + random.normal(size=n)

    ill, kind = seen(0.6) > 0.7, seen(0.7)
    table = pd.DataFrame({"age": age, "x": seen(0.8).round(2), "spiky": np.maximum(seen(0.6), 0).round(1)})
    table["grade"] = np.digitize(seen(0.6), [-1, 0, 1.5]).astype(str)
    table["kind"] = np.select([kind < 0, kind < 1, random.random(n) < 0.85], ["a", "b", "c"], "d")
    table["ill"] = np.where(ill, "1", "0")
    table["years"] = np.where(ill, random.poisson(np.exp(1 + 0.3 * factor)), np.nan)
    table["rare"] = np.where(table["kind"] == "d", random.poisson(4, n), np.nan)
    table["y"] = (0.5 * table["x"] + 0.4 * scores["u"] + random.normal(size=n)).round(3)
    lost = seen(0.7) > 1.3
    table.loc[lost, "y"] = np.nan
    table["y_missing"] = np.where(lost, np.digitize(seen(0.7), [0.5, 1.5]), 3)
    table["y_missing"] = table["y_missing"].map({0: "not measured", 1: "refused", 2: "unknown"})
    people = pd.DataFrame({"sex": random.integers(1, 3, n), "stratum": "all", "family": np.arange(n).astype(str)})
    return table, people, scores


class Drawn:
    """A Drawing from latent_of(atom, scores so far (n, atoms), random); keeps the conditions and the scores."""

    def __init__(self, latent_of, atoms, c, seed):
        self.c, self.score = c, np.zeros((len(c), atoms), dtype=np.float32)
        self._latent_of, self._random = latent_of, np.random.default_rng(seed)

    def draw(self, atom):
        return self._latent_of(atom, self.score, self._random)

    def advance(self, atom, score):
        self.score[:, atom] = score


def independent(atom, score, random):
    return random.normal(size=len(score))


def drawn(common, latent_of, n=DRAWN, seed=5, **more):
    """(the Drawing after all atoms, pseudo table)."""
    kept = []

    def begin(c, seed):
        kept.append(Drawn(latent_of, len(common.encoding.atoms), c, seed))
        return kept[0]

    _, people, scores = cohort(n, 2)
    table = sample_people(common, scores, people["sex"], people["stratum"], seed, begin=begin, **more)
    return kept[0], table


@pytest.fixture(scope="module")
def common():
    return fit_common(*cohort(), DICTIONARY)[0]


def off(drawing, target):
    """Root mean squares of (what the regression on the conditions says, the covariances) less the training ones.

    The slopes themselves are not all identified: the terms of age lie nearly in a plane.
    """
    reached = moments(drawing.score, drawing.c)
    upper = np.triu_indices(len(target.covariance), 1)
    said = design(drawing.c) @ (reached.slope - target.slope)
    return np.sqrt((said**2).mean()), np.sqrt(((reached.covariance - target.covariance)[upper] ** 2).mean())


def design(c):
    return np.column_stack([np.ones(len(c)), c]).astype(np.float64)


def test_independent_normals_get_the_training_moments(common):
    """Measured: regression .177 to .023, covariances .086 to .006; at no pair is the covariance off by more than
    .034 (uncalibrated .39). The slopes on the scores of traits, which are the best known, are off by .02."""
    assert {atom.kind for atom in common.encoding.atoms} == {"numeric", "levels", "stick", "missing", "reason"}
    plain, _ = drawn(common, independent, calibrate=False)
    done, table = drawn(common, independent)
    before, after = off(plain, common.moments), off(done, common.moments)
    assert after[0] < 0.2 * before[0]
    assert after[1] < 0.1 * before[1]
    reached, worst = moments(done.score, done.c), np.triu_indices(len(common.encoding.atoms), 1)
    assert np.abs(reached.covariance - common.moments.covariance)[worst].max() < 0.05
    assert common.conditions.scores == ("t", "u")  # the first two conditions
    assert np.abs(reached.slope - common.moments.slope)[1:3].max() < 0.03
    assert np.abs(common.moments.slope[1:3]).max() > 0.2
    real = cohort()[0]
    for x, y in (("x", "spiky"), ("x", "y"), ("spiky", "grade"), ("x", "grade")):
        r = [t[[x, y]].astype(float).corr("spearman").iloc[0, 1] for t in (real, table)]
        assert r[1] == pytest.approx(r[0], abs=0.06)


def test_marginals_stay_those_of_the_training_people(common):
    """Latents count by rank: a shift moves who gets a value, not which values there are."""
    real = cohort()[0]
    _, table = drawn(common, independent)
    assert (table["spiky"] == 0).mean() == pytest.approx((real["spiky"] == 0).mean(), abs=0.01)
    assert table["y"].isna().mean() == pytest.approx(real["y"].isna().mean(), abs=0.002)
    for name in ("grade", "kind", "ill", "y_missing"):
        shares = [t[name].value_counts(normalize=True) for t in (real, table)]
        assert (shares[0] - shares[1]).abs().max() < 0.01
    assert (table["years"].notna() == (table["ill"] == "1")).all()


def test_what_is_drawn_nonlinearly_stays_sharp():
    """`wave` is a cosine of x and grows with the score u; the drawing knows the cosine only, `inner` is 1 where |x| is
    small and grows with the score t; the drawing knows |x| only. The calibration adds the scores' part."""
    random = np.random.default_rng(3)

    def wave(x, noise):
        return 1.2 * np.cos(3 * x) + 0.1 * noise

    def inner(x, noise):
        return 4 * (0.7 - np.abs(x)) + 0.1 * noise

    scores = pd.DataFrame({"t": random.normal(size=N), "u": random.normal(size=N)})
    x = random.normal(size=N)
    y = wave(x, random.normal(size=N)) + 0.4 * scores["u"]
    z = inner(x, random.normal(size=N)) + 0.4 * scores["t"] > 0
    table = pd.DataFrame({"x": x.round(3), "wave": y.round(3), "inner": np.where(z, "1", "0")})
    people = pd.DataFrame({"sex": np.ones(N, int), "stratum": "all", "family": np.arange(N).astype(str)})
    items = Item("x", "continuous"), Item("wave", "continuous"), Item("inner", "binary", categories=("0", "1"))
    common = fit_common(table, people, scores, Dictionary(items))[0]
    assert [common.encoding.items[a.item].name for a in common.encoding.atoms] == ["x", "wave", "inner"]

    def latent(atom, score, random):
        noise = random.normal(size=len(score))
        return noise if atom == 0 else (wave, inner)[atom - 1](score[:, 0], noise)

    def agreement(table):
        """Share of people for whom `inner` is what the best cut of |x| says."""
        near, yes = np.abs(table["x"]), table["inner"] == "1"
        return ((near < near.quantile(yes.mean())) == yes).mean()

    for calibrate in (False, True):
        drawing, pseudo = drawn(common, latent, calibrate=calibrate)
        slope = moments(drawing.score, drawing.c).slope[1:3]  # on t and u
        bins = np.digitize(drawing.score[:, 0], np.linspace(-2.5, 2.5, 200))
        rest = drawing.score[:, 1] - drawing.c[:, :2] @ slope[:, 1]
        within = rest - pd.Series(rest).groupby(bins).transform("mean").to_numpy()
        assert 1 - within.var() / rest.var() > 0.9  # R^2 of x, 0.92 as drawn, 0.95 with
        assert agreement(pseudo) > (0.93 if calibrate else 0.97)  # 0.939, 0.982 as drawn
        aim = common.moments.slope[1:3] if calibrate else np.zeros((2, 3))
        np.testing.assert_allclose(slope, aim, atol=0.05)
    assert aim[1, 1] > 0.4
    assert aim[0, 2] > 0.09
    assert agreement(table) == pytest.approx(agreement(pseudo), abs=0.02)  # as sharp as it really is


class Plain:
    """As much of a decoder as the calibration asks for: scores are tanh of the latents."""

    def __init__(self, active):
        self._active = active

    def active(self, atom):
        return self._active

    def preview(self, atom, latent, rows):
        return rows[::-1], np.tanh(latent[rows[::-1]])


def begun(n=1000, conditions=3, atoms=4, seed=1):
    """(calibration towards random moments, c, the scores (n, atoms - 1) it has noted)."""
    random = np.random.default_rng(seed)
    c, root = random.normal(size=(n, conditions)).astype(np.float32), random.normal(size=(atoms, atoms))
    target = Moments(random.normal(0, 0.2, (1 + conditions, atoms)), root @ root.T / 8)
    calibration, noted = Calibration(target, c), random.normal(size=(n, atoms - 1)).astype(np.float32)
    noted[random.random(noted.shape) < 0.3] = 0  # not active
    for atom in range(atoms - 1):
        calibration.note(atom, noted[:, atom])
    return calibration, c, noted


def test_the_second_moment_grows_to_that_of_all_columns():
    calibration, c, noted = begun()
    x = np.column_stack([design(c), noted]).astype(np.float64)
    upto = x.shape[1]
    np.testing.assert_allclose(calibration._second[:upto, :upto], x.T @ x / len(x), atol=1e-6)
    assert (calibration._second[upto:] == 0).all()
    assert (calibration._second[:, upto:] == 0).all()


def test_the_shift_is_linear_and_touches_active_people_only():
    calibration, c, noted = begun()
    random = np.random.default_rng(2)
    active, latent = random.random(1000) < 0.6, random.normal(size=1000)
    kept = latent.copy()
    shifted = calibration.shift(3, latent, Plain(active))
    np.testing.assert_array_equal(latent, kept)  # the argument is left alone
    np.testing.assert_array_equal(shifted[~active], latent[~active])
    step = (shifted - latent)[active]
    assert step.std() > 0.05
    x = np.column_stack([design(c), noted])[active]
    left = step - x @ np.linalg.lstsq(x, step, rcond=None)[0]
    assert np.abs(left).max() < 1e-5


def test_the_target_of_an_atom_is_what_the_training_moments_say():
    """Brute force: E[x s] with s by the regression, and the covariance with earlier atoms about their regression."""
    calibration, c, noted = begun()
    target, d = calibration._target, design(c)
    wanted = calibration._wanted(3)
    fitted = d @ target.slope
    truth = np.concatenate([d.T @ fitted[:, 3], fitted[:, :3].T @ fitted[:, 3]]) / len(d)
    truth[4:] += target.covariance[:3, 3]
    np.testing.assert_allclose(wanted, truth, atol=1e-6)
    latent = np.random.default_rng(3).normal(size=1000)
    x = np.column_stack([d, noted])

    def lack(latent):
        return np.abs(wanted - x.T @ np.tanh(latent) / len(x)).mean()

    assert lack(calibration.shift(3, latent, Plain(np.ones(1000, bool)))) < 0.35 * lack(latent)


@pytest.mark.parametrize(
    ("conditions", "count", "moves"),
    [(3, POLISH - 1, False), (3, POLISH, True), (200, 204 // 2 - 1, False), (200, 204 // 2, True)],
)
def test_few_people_are_left_as_drawn(conditions, count, moves):
    """Fewer than POLISH, or than half the columns (1 + conditions + 3 atoms before)."""
    calibration, _, _ = begun(conditions=conditions)
    latent = np.random.default_rng(4).normal(size=1000)
    shifted = calibration.shift(3, latent, Plain(np.arange(1000) < count))
    assert (shifted != latent).any() == moves


def test_constant_latents_are_left_as_drawn():
    calibration, _, _ = begun()
    for level in (0.0, 7.5):
        shifted = calibration.shift(3, np.full(1000, level), Plain(np.ones(1000, bool)))
        assert (shifted == level).all()


def test_an_item_of_few_is_as_without_calibration(common):
    """Through the decoder: `rare` is asked of fewer than POLISH people, and its latents come through as drawn."""
    n = 400
    plain, one = drawn(common, independent, n=n, calibrate=False)
    done, two = drawn(common, independent, n=n)
    assert 0 < (two["kind"] == "d").sum() < POLISH
    both = ((one["kind"] == "d") & (two["kind"] == "d")).to_numpy()
    assert both.any()
    np.testing.assert_array_equal(one["rare"][both], two["rare"][both])
    assert (plain.score[:, 0] != done.score[:, 0]).any()  # others are calibrated
    few = [drawn(common, independent, n=POLISH - 1, calibrate=on)[1] for on in (False, True)]
    pd.testing.assert_frame_equal(*few)


def test_without_moments_or_polish_there_is_no_calibration(common):
    """A differentially private model has no moments; without polish latents do not count by rank."""
    _, plain = drawn(common, independent, calibrate=False)
    _, private = drawn(common._replace(moments=None), independent)
    pd.testing.assert_frame_equal(private, plain)
    bare = [drawn(common, independent, polish=False, calibrate=on)[1] for on in (False, True)]
    pd.testing.assert_frame_equal(*bare)
    assert not bare[0].equals(plain)
