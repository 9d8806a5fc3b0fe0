"""Other programs on the tables of phenotype.py, each run in an environment of its own, .venv-phenotype-peers.

    .venv-phenotype-peers/bin/python benchmarks/phenotype_peers.py FOLDER PEER      (phenotype.py --peers calls this)

FOLDER/train.parquet: the training people's sex, age, stratum, items and scores, all of them columns like any other;
the peer writes FOLDER/PEER.parquet, as many people, and FOLDER/PEER.json: CPU and wall seconds of training and of
sampling, its version. Defaults of every program, with these exceptions: arfpy takes no missing values, so it gets a
text column "missing or not" beside every item that has some, and its numbers are rounded as the training people's
are; mostlyai-engine's protection of rare values is off.
A folder keeps what it has: a peer runs once for the same training table. It holds real people's values if the table
did, so keep it where the table is kept, and delete it after use.
"""

import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd

PYTHON = Path(__file__).resolve().parent.parent / ".venv-phenotype-peers/bin/python"
SECONDS = 1200  # a run of a peer is stopped after so many
SCORE = "score of "
LOST = " is missing"


class Result(NamedTuple):
    """A peer's people (None: why there are none), and (CPU, wall) seconds of training and of sampling."""

    name: str
    table: pd.DataFrame | None
    cost: tuple[tuple[float, float], tuple[float, float]] | None = None
    why: str = ""


def results(
    phenotypes: pd.DataFrame, people: pd.DataFrame, scores: pd.DataFrame, folder: Path, peers: tuple[str, ...] = ()
) -> Iterator[Result]:
    """Every peer's people, from the folder if they are there, else by running it. Rows of the tables are alike."""
    if not PYTHON.exists():
        yield Result(
            "peers", None, None, "no environment .venv-phenotype-peers: see envs/requirements-phenotype-peers.in"
        )
        return
    people = people.assign(sex=people["sex"].map({1: "male", 2: "female"}))  # a category, no number
    table = pd.concat([people, phenotypes, scores.add_prefix(SCORE)], axis=1)
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "train.parquet"
    if not kept.exists() or not pd.read_parquet(kept).equals(table):
        for file in folder.iterdir():
            file.unlink()
        table.to_parquet(kept, index=False)
        table = pd.read_parquet(kept)
    for name in peers or PEERS:
        yield _result(name, folder)


def _result(name: str, folder: Path) -> Result:
    told = folder / f"{name}.json"
    if not told.exists():
        command = [str(PYTHON), str(Path(__file__).resolve()), str(folder), name]
        try:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
            (folder / f"{name}.log").write_text(ended.stdout + ended.stderr, encoding="utf-8")
            last = (ended.stderr.strip() or "no message").splitlines()[-1]
            why = "" if ended.returncode == 0 else f"stopped: {last[:200]}"
        except subprocess.TimeoutExpired:
            why = f"did not end within {SECONDS} s"
        if why:
            told.write_text(json.dumps({"why": why}), encoding="utf-8")
    plain = json.loads(told.read_text(encoding="utf-8"))
    if "why" in plain:
        return Result(name, None, None, plain["why"])
    table = pd.read_parquet(folder / f"{name}.parquet")
    for column in table:  # peers give text and numbers as types of several kinds
        values = table[column]
        if pd.api.types.is_numeric_dtype(values):
            table[column] = values.to_numpy(dtype=float, na_value=float("nan"))
        else:
            table[column] = values.astype(object).where(values.notna(), float("nan"))
    return Result(f"{name} {plain['version']}", table, (tuple(plain["train"]), tuple(plain["sample"])))


def _run(folder: Path, name: str) -> None:
    """In the peers' environment: train, sample, write."""
    warnings.simplefilter("ignore")
    table = pd.read_parquet(folder / "train.parquet")
    text = [c for c in table if not pd.api.types.is_numeric_dtype(table[c])]
    table[text] = table[text].astype(object).where(table[text].notna(), None)
    train, package = PEERS[name]
    train(table.head(0), None)  # imports are not timed
    begin = _clock()
    sample = train(table, text)
    middle = _clock()
    made = sample(len(table))
    end = _clock()
    made[[c for c in table if c in made]].to_parquet(folder / f"{name}.parquet", index=False)
    plain = {"train": _gap(begin, middle), "sample": _gap(middle, end), "version": importlib.metadata.version(package)}
    (folder / f"{name}.json").write_text(json.dumps(plain), encoding="utf-8")


def _clock() -> tuple[float, float]:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system, time.monotonic()


def _gap(begin: tuple[float, float], end: tuple[float, float]) -> list[float]:
    return [round(b - a, 2) for a, b in zip(begin, end, strict=True)]


def _sdv(table: pd.DataFrame, text: list[str] | None, tvae: bool):
    from sdv.metadata import Metadata
    from sdv.single_table import GaussianCopulaSynthesizer, TVAESynthesizer

    if text is None:
        return None
    columns = {c: {"sdtype": "categorical" if c in text else "numerical"} for c in table}
    metadata = Metadata.load_from_dict({"tables": {"table": {"columns": columns}}})
    program = TVAESynthesizer(metadata, enable_gpu=False) if tvae else GaussianCopulaSynthesizer(metadata)
    program.fit({"table": table})

    def sample(n: int) -> pd.DataFrame:
        made = program.sample(n)
        return made["table"] if isinstance(made, dict) else made

    return sample


def _copula(table, text):
    return _sdv(table, text, tvae=False)


def _tvae(table, text):
    return _sdv(table, text, tvae=True)


def _arfpy(table: pd.DataFrame, text: list[str] | None):
    """Missing numbers become the median, with a text column beside them that says so; missing text is a category."""
    import numpy as np
    from arfpy import arf

    if text is None:
        return None
    full = table.copy()
    for column in table:
        lost = table[column].isna()
        if column in text:
            full[column] = table[column].where(~lost, LOST)
        elif lost.any():
            full[column] = table[column].fillna(table[column].median())
            full[column + LOST] = np.where(lost, "yes", "no").astype(object)
    program = arf.arf(full, verbose=False)
    program.forde()

    def sample(n: int) -> pd.DataFrame:
        made = program.forge(n)
        for column in table:
            if column not in text:
                made[column] = made[column].round(_decimals(table[column]))
            lost = made[column] == LOST if column in text else None
            lost = made[column + LOST] == "yes" if column + LOST in made else lost
            if lost is not None:
                made[column] = made[column].where(~lost.astype(bool))
        return made

    return sample


def _decimals(values: pd.Series) -> int:
    """Digits after the point of the given numbers, at most 6."""
    return next((d for d in range(6) if (values.dropna() == values.dropna().round(d)).all()), 6)


def _mostly(table: pd.DataFrame, text: list[str] | None):
    os.environ["HF_HUB_OFFLINE"] = "1"
    from mostlyai.engine import TabularARGN

    if text is None:
        return None
    folder = tempfile.TemporaryDirectory()  # lives as long as what is returned holds it
    kinds = {c: "TABULAR_CATEGORICAL" if c in text else "TABULAR_NUMERIC_AUTO" for c in table}
    program = TabularARGN(
        value_protection=False,
        tgt_encoding_types=kinds,
        device="cpu",
        workspace_dir=folder.name,
        random_state=1,
        verbose=1,
    )
    program.fit(table)

    def sample(n: int, _folder=folder) -> pd.DataFrame:
        return program.sample(n_samples=n)

    return sample


PEERS = {
    "GaussianCopula": (_copula, "sdv"),
    "TVAE": (_tvae, "sdv"),
    "mostlyai-engine": (_mostly, "mostlyai-engine"),
    "arfpy": (_arfpy, "arfpy"),
}

if __name__ == "__main__":
    _run(Path(sys.argv[1]), sys.argv[2])
