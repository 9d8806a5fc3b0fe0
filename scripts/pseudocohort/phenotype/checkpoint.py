"""The training's checkpoint: one file that a killed training goes on from, with the bits it would have had.

The file holds real people's data in the form of weights: it belongs under results/real and is removed after success.
It is written whole or not at all, with a fingerprint of everything the result depends on (data, settings, seed,
code, library versions, device); a file of another fingerprint, or a broken one, is ignored with a log line.
"""

import dataclasses
import hashlib
import json
import logging
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax

from pseudocohort.files import atomic, digest
from pseudocohort.phenotype.fitting import Progress

log = logging.getLogger("pseudocohort")
NAME = "training.npz"
CODE = ("network", "forest", "trees", "objective", "fitting", "search", "settings", "checkpoint")
_BROKEN = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


class Record(NamedTuple):
    """A finished training. trial and round: its place in the search; epochs: at most; best: validation loss of
    the epoch kept, best_epoch: its number (0: the start); rows: learning curve; seconds: spent; kept: the weights'
    leaves, only of the best training of the last round."""

    trial: int
    round: int
    epochs: int
    best: float
    best_epoch: int
    rows: tuple[tuple, ...]
    seconds: float
    kept: list[np.ndarray] | None


def fingerprint(data, c: np.ndarray, held: np.ndarray, names: list[str], settings, seed: int) -> str:
    """Hash of all that the trained weights depend on. data: Encoded (n, atoms); settings: a dataclass."""
    total = hashlib.blake2b(digest_size=16)
    versions = [jax.__version__, flax.__version__, optax.__version__, np.__version__, jax.default_backend()]
    code = digest([Path(__file__).with_name(f"{name}.py") for name in CODE])
    plain = [dataclasses.asdict(settings), int(seed), names, data.low.shape, c.shape, versions, code]
    total.update(json.dumps(plain).encode())
    for array in (*data, c, held):
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()


class Checkpoint:
    """The file in `folder` (None: nothing is read or written)."""

    def __init__(self, folder: Path | None, mark: str = ""):
        self.path, self.mark = folder and Path(folder) / NAME, mark

    def read(self) -> tuple[list[Record], dict | None]:
        """Finished trainings, and the raw state of the one that was running (for `resumed`), or ([], None)."""
        if self.path is None or not self.path.exists():
            return [], None
        try:
            with self.path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                arrays = {key: stored[key] for key in stored.files}
            plain = json.loads(str(arrays["plain"]))
            if plain["fingerprint"] != self.mark:
                log.info("network: the checkpoint is of other data, settings, seed or program version: it is ignored")
                return [], None
            records = [
                Record(**{**r, "rows": _rows(r["rows"]), "kept": _leaves(arrays, f"record/{i}") or None})
                for i, r in enumerate(plain["records"])
            ]
        except _BROKEN as error:
            log.warning("network: the checkpoint cannot be read (%s): training starts afresh", type(error).__name__)
            return [], None
        log.info("network: going on from the checkpoint: %d trainings finished", len(records))
        running = plain["running"]
        return records, running and {**running, "arrays": arrays}

    def write(self, records: list[Record], trial: int = -1, number: int = -1, progress: Progress | None = None) -> None:
        """Replace the file by these finished trainings and the state of the running one."""
        if self.path is None:
            return
        running, arrays = None, {}
        if progress is not None:
            running = {"trial": trial, "round": number, **{k: getattr(progress, k) for k in _PLAIN}}
            for name in _TREES:
                arrays |= {f"{name}/{i}": np.asarray(a) for i, a in enumerate(jax.tree.leaves(getattr(progress, name)))}
        for i, record in enumerate(records):
            arrays |= {f"record/{i}/{j}": a for j, a in enumerate(record.kept or [])}
        plain = {
            "fingerprint": self.mark,
            "records": [record._replace(kept=None)._asdict() for record in records],
            "running": running,
        }
        with atomic(self.path, mode=0o600) as part, part.open("wb") as file:
            np.savez(file, plain=np.array(json.dumps(plain)), **arrays)


_PLAIN, _TREES = ("epoch", "best", "best_epoch", "rows", "seconds"), ("parameters", "memory", "kept")


def resumed(running: dict, start: Progress) -> Progress:
    """The state that was stored, in the form of the start of the same training."""
    trees = {}
    for name in _TREES:
        leaves = _leaves(running["arrays"], name)
        leaves = leaves if name == "kept" else [jnp.asarray(a) for a in leaves]
        trees[name] = jax.tree.unflatten(jax.tree.structure(getattr(start, name)), leaves)
    plain = {key: running[key] for key in _PLAIN}
    log.info("network: going on after epoch %d", plain["epoch"])
    return Progress(**{**plain, "rows": _rows(plain["rows"])}, **trees)


def _leaves(arrays: dict[str, np.ndarray], name: str) -> list[np.ndarray]:
    count = sum(key.startswith(f"{name}/") for key in arrays)
    return [arrays[f"{name}/{i}"] for i in range(count)]


def _rows(rows) -> tuple[tuple, ...]:
    return tuple(map(tuple, rows))
