"""Random search in rounds, its tables, and the checkpoint that a killed training goes on from."""

import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from flax import nnx
from test_training import QUICK, same, small_cohort

from pseudocohort.phenotype import checkpoint, fitting, search, training
from pseudocohort.phenotype.settings import Settings

SEARCH = {"epochs": 9, "hidden": 8, "batch": 128, "search": 3}


def parameters(model):
    return jax.tree.leaves(nnx.state(model.network, nnx.Param))


def test_rounds_are_successive_thirds():
    assert search.rounds(1, 50) == [(1, 50)]
    assert search.rounds(3, 50) == [(3, 17), (2, 50)]
    assert search.rounds(4, 50) == [(4, 17), (2, 50)]
    assert search.rounds(9, 50) == [(9, 6), (4, 17), (2, 50)]
    assert search.rounds(20, 9) == [(20, 1), (8, 3), (4, 9)]


def test_random_settings_fill_the_space():
    base = Settings(hidden=100, batch=64)
    tried = [search.random_settings(base, 5, trial) for trial in range(1, 60)]
    for key in ("hidden", "depth", "latent"):
        assert {getattr(t, key) for t in tried} == set(search.SPACE[key])
    rates = np.log([t.learning_rate for t in tried])
    assert rates.min() > np.log(0.003)
    assert rates.max() < np.log(0.03)
    assert abs(rates.mean() - np.log(0.003 * 0.03) / 2) < 0.3
    assert tried[3] == search.random_settings(base, 5, 4)
    assert tried[3] != search.random_settings(base, 6, 4)
    assert {t.batch for t in tried} == {64}


def fake_fit(job, start=None, *, after):
    """A training whose validation loss is known: |hidden - 64| + depth; the weights tell which it was."""
    loss = abs(job.shape.hidden - 64) + job.shape.depth + job.settings.learning_rate
    zero = fitting.begin(job)
    kept = jax.tree.map(lambda a: np.full(a.shape, loss, np.float32), zero.kept)
    rows = tuple((e + 1, 1.0, loss + job.epochs - e, 0.1) for e in range(job.epochs))
    return zero._replace(epoch=job.epochs, best=loss, best_epoch=job.epochs, rows=rows, kept=kept, seconds=1.0)


def test_search_keeps_its_tables_and_the_best_trial(monkeypatch):
    monkeypatch.setattr(fitting, "fit", fake_fit)
    monkeypatch.setattr(fitting, "judge", lambda *_: 9.0)
    table, people, scores, dictionary = small_cohort(100)
    model = training.train_network(table, people, scores, dictionary, {"hidden": 100, "epochs": 27, "search": 12}, 5)
    rows, curve = model.search, model.curve
    assert list(rows["trial"]) == list(range(12))
    assert rows.loc[0, "hidden"] == 100
    assert sorted(rows["rounds"]) == [1] * 7 + [2] * 2 + [3] * 3
    assert set(rows["epochs"]) == {3, 9, 27}
    order = rows.sort_values("validation_loss")["trial"].to_numpy()
    assert set(rows.loc[rows["rounds"] == 3, "trial"]) == {0, *order[:2]}
    assert list(rows.loc[rows["chosen"] == 1, "trial"]) == [order[0]]
    assert dataclasses.asdict(model.settings)["hidden"] == rows.loc[order[0], "hidden"] == 64
    assert np.asarray(parameters(model)[0]).flat[0] == pytest.approx(rows["validation_loss"].min())
    assert len(curve) == 12 * 3 + 5 * 9 + 3 * 27
    assert set(curve.loc[curve["chosen"] == 1, "trial"]) == {order[0]}
    assert (curve["chosen"] == 1).sum() == 27
    assert rows.loc[order[0], "seconds"] == 3.0


def test_the_chosen_trial_is_trained_as_if_alone(caplog):
    cohort = small_cohort()
    with caplog.at_level("INFO", logger="pseudocohort"):
        model = training.train_network(*cohort, SEARCH, 3)
    chosen = dataclasses.asdict(model.settings) | {"search": 1}
    alone = training.train_network(*cohort, {k: v for k, v in chosen.items() if k != "without"}, 3)
    same(parameters(model), parameters(alone))
    assert "trial 2 of 3, round 1 of 2, epoch 3 of 3, train loss" in caplog.text
    assert caplog.records[-1].message.endswith(" 0 s left")


def test_a_search_goes_on_after_its_finished_trainings(tmp_path, monkeypatch):
    cohort = small_cohort()
    whole = training.train_network(*cohort, SEARCH, 3)
    monkeypatch.setattr(search, "EVERY", 0.0)
    monkeypatch.setattr(fitting, "fit", stop := StopAfter(fitting.fit, 2))
    with pytest.raises(KeyboardInterrupt):
        training.train_network(*cohort, SEARCH, 3, checkpoint=tmp_path)
    monkeypatch.setattr(fitting, "fit", counted := StopAfter(stop.fit, 99))
    again = training.train_network(*cohort, SEARCH, 3, checkpoint=tmp_path)
    assert counted.calls == 4  # the second trial, which stood before its last epoch, the third, and two anew
    same(parameters(whole), parameters(again))
    assert whole.curve.equals(again.curve)
    assert whole.search.drop(columns="seconds").equals(again.search.drop(columns="seconds"))


class StopAfter:
    """fit that is interrupted in the last epoch of call number `calls`."""

    def __init__(self, fit, limit):
        self.fit, self.limit, self.calls = fit, limit, 0

    def __call__(self, job, start=None, *, after):
        self.calls += 1

        def interrupted(progress):
            if self.calls == self.limit and progress.epoch == job.epochs:
                raise KeyboardInterrupt
            after(progress)

        return self.fit(job, start, after=interrupted)


KILLED = """
import sys
sys.path[:0] = {paths!r}
from pathlib import Path
from test_training import small_cohort
from pseudocohort.phenotype import fitting, search, training
search.EVERY, epoch = 0.0, fitting.run_epoch
def slow(*arguments):
    import time
    time.sleep(0.2)
    return epoch(*arguments)
fitting.run_epoch = slow
training.train_network(*small_cohort(), {settings!r}, 5, checkpoint=Path({folder!r}))
"""


def test_a_killed_training_goes_on_to_the_same_bits(tmp_path, caplog):
    """SIGKILL as soon as there is a checkpoint, then again in this process: the bits of an undisturbed training."""
    settings, folder = {**QUICK, "epochs": 40, "patience": 40}, tmp_path / "network_checkpoint"
    code = KILLED.format(paths=sys.path, settings=settings, folder=str(folder))
    process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "JAX_PLATFORMS": "cpu"})
    end = time.monotonic() + 240
    while not (folder / checkpoint.NAME).exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    with caplog.at_level("INFO", logger="pseudocohort"):
        again = training.train_network(*small_cohort(), settings, 5, checkpoint=folder)
    assert "going on after epoch" in caplog.text
    whole = training.train_network(*small_cohort(), settings, 5)
    same(parameters(whole), parameters(again))
    assert whole.curve.equals(again.curve)
    assert (folder / checkpoint.NAME).stat().st_mode & 0o777 == 0o600
    assert not list(folder.glob(".partial-*"))


def test_time_left_counts_neither_compilation_nor_earlier_processes(tmp_path, monkeypatch, caplog):
    """Epochs of 2 s on a clock of the test's own; the first of a process takes 500 s more, to compile."""
    now = [1000.0]
    monkeypatch.setattr(search, "time", SimpleNamespace(monotonic=lambda: now[0]))
    settings, epochs = {**QUICK, "epochs": 10, "patience": 10}, [0]
    run_epoch = fitting.run_epoch

    def slow(*arguments):
        if epochs[0] == 4 and now[0] < 90_000:
            raise KeyboardInterrupt
        now[0] += 2.0 if epochs[0] else 502.0
        epochs[0] += 1
        return run_epoch(*arguments)

    monkeypatch.setattr(fitting, "run_epoch", slow)
    monkeypatch.setattr(search, "EVERY", 0.0)
    with pytest.raises(KeyboardInterrupt):
        training.train_network(*small_cohort(), settings, 5, checkpoint=tmp_path)
    now[0], epochs[0] = 90_000.0, 0
    with caplog.at_level("INFO", logger="pseudocohort"):
        training.train_network(*small_cohort(), settings, 5, checkpoint=tmp_path)
    lines = [r.message for r in caplog.records if "train loss" in r.message]
    assert "going on after epoch" in caplog.text
    assert lines[0].endswith("time left not known yet")
    assert [line.rsplit(", ", 1)[1] for line in lines[-3:]] == ["4 s left", "2 s left", "0 s left"]


def stored(tmp_path, monkeypatch, seed=5):
    """A checkpoint of a training that was interrupted, and its cohort."""
    monkeypatch.setattr(search, "EVERY", 0.0)
    monkeypatch.setattr(fitting, "fit", stop := StopAfter(fitting.fit, 1))
    with pytest.raises(KeyboardInterrupt):
        training.train_network(*small_cohort(), QUICK, seed, checkpoint=tmp_path)
    monkeypatch.setattr(fitting, "fit", stop.fit)
    return tmp_path / checkpoint.NAME


def test_a_checkpoint_of_something_else_is_ignored(tmp_path, monkeypatch, caplog):
    file = stored(tmp_path, monkeypatch)
    before = file.read_bytes()
    with np.load(file) as arrays:
        plain = json.loads(str(arrays["plain"]))
    assert plain["running"]["epoch"] == QUICK["epochs"] - 1
    with caplog.at_level("INFO", logger="pseudocohort"):
        other = training.train_network(*small_cohort(), QUICK, 6, checkpoint=tmp_path)
    assert "the checkpoint is of other data, settings, seed or program version: it is ignored" in caplog.text
    same(parameters(other), parameters(training.train_network(*small_cohort(), QUICK, 6)))
    assert file.read_bytes() != before


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_checkpoint_is_ignored(tmp_path, monkeypatch, caplog, share):
    file = stored(tmp_path, monkeypatch)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    with np.load(io.BytesIO(whole)) as arrays:
        mark = json.loads(str(arrays["plain"]))["fingerprint"]
    assert checkpoint.Checkpoint(tmp_path, mark).read() == ([], None)
    assert "the checkpoint cannot be read" in caplog.text


def test_the_fingerprint_sees_data_settings_and_seed():
    table, people, scores, dictionary = small_cohort(100)
    _, data, c = training.fit_common(table, people, scores, dictionary)
    held, names = np.arange(100) > 90, ["a", "b"]
    first = checkpoint.fingerprint(data, c, held, names, Settings(), 1)
    assert first == checkpoint.fingerprint(data, c, held, names, Settings(), 1)
    low = data.low.copy()
    low[3, 1] += 1e-6
    others = [
        checkpoint.fingerprint(data._replace(low=low), c, held, names, Settings(), 1),
        checkpoint.fingerprint(data, c + 1e-6, held, names, Settings(), 1),
        checkpoint.fingerprint(data, c, ~held, names, Settings(), 1),
        checkpoint.fingerprint(data, c, held, names[::-1], Settings(), 1),
        checkpoint.fingerprint(data, c, held, names, Settings(depth=2), 1),
        checkpoint.fingerprint(data, c, held, names, Settings(), 2),
    ]
    assert len({first, *others}) == 7
