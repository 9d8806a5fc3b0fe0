"""Random search over hidden units, depth, latent size and learning rate, by successive thirds.

Trial 0 has the configured settings, the others random ones from SPACE. Up to three rounds: in the first every trial is
trained with a ninth of the epochs, in the second the better third of the random ones with a third of the epochs, in the
last the better third of those with all of them (two rounds below 9 trials, one for a single trial). So nine trials cost
about four full trainings (successive halving with rate 3: Jamieson and Talwalkar 2016, AISTATS 51). Every training
starts afresh, because its learning rate runs through a whole cycle: losses of one round are comparable, those of
different rounds are not. Short rounds favour settings that learn fast, so trial 0 goes through all rounds: what is
chosen is never worse on the held-out families than what was configured.
"""

import dataclasses
import logging
import time
from typing import NamedTuple

import jax
import numpy as np
import pandas as pd

from pseudocohort import counter
from pseudocohort.phenotype import fitting
from pseudocohort.phenotype.atoms import Encoded, Encoding
from pseudocohort.phenotype.checkpoint import Checkpoint, Record, fingerprint, resumed
from pseudocohort.phenotype.network import Network, Shape
from pseudocohort.phenotype.settings import Settings, plan_size

log = logging.getLogger("pseudocohort")
SPACE = {"hidden": (32, 64, 128), "depth": (1, 2, 3), "latent": (2, 4, 8), "learning_rate": (0.003, 0.03)}
RATE = 3
EVERY = 20.0  # seconds between two checkpoints at least, and between two lines of progress at most


class Found(NamedTuple):
    """The best trial's network and settings; curve: epoch, train_loss, validation_loss, kl, trial, round, chosen of
    every training; table: a row a trial, its losses being those of its last round."""

    network: Network
    settings: Settings
    curve: pd.DataFrame
    table: pd.DataFrame


def rounds(trials: int, epochs: int) -> list[tuple[int, int]]:
    """(trials, epochs at most) of every round: 9 trials of 50 epochs are (9, 6), (4, 17), (2, 50)."""
    number = 0 if trials < 2 else 1 if trials < RATE**2 else 2
    sizes = [1 + -(-(trials - 1) // RATE**r) for r in range(number + 1)]
    return [(size, -(-epochs // RATE ** (number - r))) for r, size in enumerate(sizes)]


def random_settings(settings: Settings, seed: int, trial: int) -> Settings:
    """Settings of a trial: `settings` with sizes and learning rate (log-uniform) from SPACE."""
    random = counter.generator(seed, "search", trial)
    sizes = {key: int(random.choice(SPACE[key])) for key in ("hidden", "depth", "latent")}
    low, high = np.log(SPACE["learning_rate"])
    return dataclasses.replace(settings, **sizes, learning_rate=float(np.exp(random.uniform(low, high))))


def make_shape(encoding: Encoding, conditions: int, settings: Settings) -> Shape:
    """The network's shape for these settings."""
    binary = tuple(len(a.cumulative) == 3 and "typed_heads" not in settings.without for a in encoding.atoms)
    return Shape(conditions, binary, settings.hidden, settings.latent, settings.depth, tuple(settings.without))


def atom_names(encoding: Encoding) -> list[str]:
    """The item of every atom."""
    return [encoding.items[atom.item].name for atom in encoding.atoms]


class Trials:
    """The search as it goes: what is finished, what is left, its checkpoint and its lines of progress."""

    def __init__(self, data: Encoded, c: np.ndarray, held: np.ndarray, encoding: Encoding, settings, seed, checkpoint):
        epochs, batch = plan_size(int((~held).sum()), settings)
        first = dataclasses.replace(settings, epochs=epochs, batch=batch)
        self.data, self.c, self.held, self.encoding, self.seed = data, c, held, encoding, seed
        self.tried = [first, *(random_settings(first, seed, trial) for trial in range(1, settings.search))]
        self.plan = rounds(settings.search, epochs)
        names = [str(atom) for atom in encoding.atoms]
        mark = "" if checkpoint is None else fingerprint(data, c, held, names, first, seed)
        self.file = Checkpoint(checkpoint, mark)
        self.records, self.running = self.file.read()
        self.written = self.told = self.clock = time.monotonic()
        self.seconds: list[float] = []  # of the epochs in this process, but each training's first, which compiles
        self.first = True  # the next epoch is such a one

    def job(self, trial: int, number: int) -> fitting.Job:
        """The training of a trial in a round."""
        now = dataclasses.replace(self.tried[trial], epochs=self.plan[number][1])
        shape = make_shape(self.encoding, self.c.shape[1], now)
        label = "network"
        if len(self.tried) > 1:
            label += f": trial {trial + 1} of {len(self.tried)}, round {number + 1} of {len(self.plan)}"
        names = atom_names(self.encoding)
        return fitting.make_job(self.data, self.c, self.held, names, shape, now, self.seed, label)

    def train(self, trial: int, number: int) -> None:
        """Train a trial in a round, unless that is done; go on where a checkpoint has it."""
        if any((r.trial, r.round) == (trial, number) for r in self.records):
            return
        job, start = self.job(trial, number), None
        if self.running and (self.running["trial"], self.running["round"]) == (trial, number):
            start = resumed(self.running, fitting.begin(job))
        self.first = True
        end = fitting.fit(job, start, after=lambda progress: self.note(job, trial, number, progress))
        leaves = jax.tree.leaves(end.kept) if number == len(self.plan) - 1 else None
        plain = (end.best, end.best_epoch, end.rows, end.seconds)
        self.records.append(Record(trial, number, job.epochs, *plain, leaves))
        best = min((r for r in self.records if r.kept), key=_rank, default=None)
        self.records = [r if r is best else r._replace(kept=None) for r in self.records]

    def note(self, job: fitting.Job, trial: int, number: int, progress: fitting.Progress) -> None:
        """After an epoch: a line of progress and a checkpoint, if it is time for them."""
        now, epoch = time.monotonic(), progress.epoch
        if not self.first:
            self.seconds.append(now - self.clock)
        self.clock, self.first = now, False
        if epoch % max(job.epochs // 10, 1) == 0 or epoch == job.epochs or now - self.told > EVERY:
            self.told = now
            left = self.time_left(job.epochs - epoch + self.epochs_after(trial, number))
            line = "%s, epoch %d of %d, train loss %.3f, validation loss %.3f, KL %.3f, %s"
            log.info(line, job.label, epoch, job.epochs, *progress.rows[-1][1:], left)
        if now - self.written > EVERY:
            self.file.write(self.records, trial, number, progress)
            self.written = time.monotonic()

    def time_left(self, epochs: int) -> str:
        """By the median of this process's last epochs: neither compilation nor a pause counts."""
        if not self.seconds and epochs:
            return "time left not known yet"
        return f"{epochs * np.median(self.seconds[-50:] or [0.0]):.0f} s left"

    def epochs_after(self, trial: int, number: int) -> int:
        """Epochs at most of the trainings still to be begun when (trial, number) is at work."""
        begun = sum(r.round == number for r in self.records) + 1
        later = sum(size * length for size, length in self.plan[number + 1 :])
        return (self.plan[number][0] - begun) * self.plan[number][1] + later


def _rank(record: Record) -> tuple[float, int]:
    return record.best, record.trial


def search(
    data: Encoded, c: np.ndarray, held: np.ndarray, encoding: Encoding, settings: Settings, seed: int, checkpoint=None
) -> Found:
    """Train the trials round after round; the best of the last round by validation loss.

    data: (n, atoms); c: (n, conditions); held: bool (n,), the validation people; checkpoint: folder or None.
    """
    trials = Trials(data, c, held, encoding, settings, seed, checkpoint)
    alive = list(range(settings.search))
    for number, (size, _) in enumerate(trials.plan):
        alive = sorted(alive[:size])
        for trial in alive:
            trials.train(trial, number)
        ranked = sorted((r for r in trials.records if r.round == number), key=_rank)
        alive = [0, *(r.trial for r in ranked if r.trial > 0)]
    best = next(r for r in trials.records if r.kept)
    network = fitting.with_leaves(trials.job(best.trial, best.round).shape, best.kept)
    curve = pd.concat([_curve(r, r is best) for r in trials.records], ignore_index=True)
    table = pd.DataFrame([_row(trials, trial, best) for trial in range(settings.search)])
    return Found(network, trials.tried[best.trial], curve, table)


def _curve(record: Record, chosen: bool) -> pd.DataFrame:
    place = {"trial": record.trial, "round": record.round, "chosen": int(chosen)}
    return fitting.curve(record.rows).assign(**place)


def _row(trials: Trials, trial: int, best: Record) -> dict:
    """A trial's row of the table; validation_loss, best_epoch and epochs are those of its last round."""
    own = [r for r in trials.records if r.trial == trial]
    chosen = dataclasses.asdict(trials.tried[trial])
    return {
        "trial": trial,
        **{key: chosen[key] for key in (*SPACE, "batch")},
        "rounds": len(own),
        "epochs": len(own[-1].rows),
        "best_epoch": own[-1].best_epoch,
        "validation_loss": own[-1].best,
        "seconds": round(sum(r.seconds for r in own), 1),
        "chosen": int(trial == best.trial),
    }
