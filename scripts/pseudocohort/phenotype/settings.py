"""Settings of the network's training: the config's mapping `network`, checked."""

import dataclasses
import difflib
import math

from pseudocohort.errors import InputError

PARTS = (
    "typed_heads",
    "autoregression",
    "learned_variances",
    "linear_skip",
    "warmup",
    "free_bits",
    "aggregate_posterior",
    "latent",
    "forest",
)
SMALL, STEPS, LARGEST = 64, 1000, 512  # batch of a small cohort; optimiser steps at 1,200 people; largest batch


@dataclasses.dataclass(frozen=True)
class Settings:
    """hidden: units of each hidden layer; depth: hidden layers of the encoder and of the decoder; latent: size of z.

    epochs at most, people a batch (None: by the number of people, see `plan_size`); peak learning rate; share of
    the training spent on KL warm-up; free bits (nats a latent dimension); share of families held out; epochs
    without gain before stopping; trials of the random search (the first has these very values); without: parts
    that are left out, for ablation, out of PARTS.
    """

    hidden: int = 64
    depth: int = 1
    latent: int = 4
    epochs: int | None = None
    batch: int | None = None
    learning_rate: float = 0.01
    warmup: float = 0.3
    free_bits: float = 0.02
    validation: float = 0.1
    patience: int = 15
    search: int = 1
    without: tuple[str, ...] = ()


WHOLE = ("hidden", "depth", "latent", "epochs", "batch", "patience", "search")


def make_settings(values: dict) -> Settings:
    """Settings from the config's mapping; InputError for an unknown key or a value out of range."""
    known = [f.name for f in dataclasses.fields(Settings)]
    for key, value in values.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            expected = f"did you mean {near[0]!r}?" if near else ", ".join(known)
            raise _refused(f"unknown network setting {key!r}", expected)
        if key == "without":
            _check_parts(value)
        elif not (value is None and key in ("epochs", "batch")):
            _check_number(key, value)
    return Settings(**{key: tuple(value) if key == "without" else value for key, value in values.items()})


def _check_number(key: str, value) -> None:
    whole = key in WHOLE
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) or not 0 < value < math.inf:
        raise _refused(
            f"network setting {key} is {value!r}", "a positive whole number" if whole else "a positive number"
        )
    if key in ("warmup", "validation") and value >= 1:
        raise _refused(f"network setting {key} is {value!r}", "a share between 0 and 1")
    if key == "depth" and value > 3:
        raise _refused(f"network setting {key} is {value!r}", "1, 2 or 3 hidden layers")


def _check_parts(value) -> None:
    unknown = [part for part in value if part not in PARTS] if isinstance(value, (list, tuple)) else [value]
    if unknown:
        raise _refused(f"network setting without names {unknown[0]!r}", "a list out of " + ", ".join(PARTS))


def _refused(what: str, expected: str) -> InputError:
    return InputError(what, where="config, network", expected=expected, remedy="correct the key network")


def plan_size(people: int, settings: Settings) -> tuple[int, int]:
    """(epochs, batch) of a training on so many people (those held out left out).

    What is None in the settings follows from `people`: batches grow with the square root of people from 64 at 1,200 to
    512; epochs make STEPS optimiser steps at 1,200 people, growing with the fourth root above (measured on factor
    models and health records: more steps gain under 0.1 % of the loss, at 20,000 people half as many lose as little).
    """
    grown = max(1.0, people / 1200)
    batch = settings.batch or int(min(LARGEST, SMALL * grown**0.5))
    batch = min(batch, people)
    epochs = settings.epochs or min(80, max(8, round(STEPS * grown**0.25 / max(people // batch, 1))))
    return epochs, batch
