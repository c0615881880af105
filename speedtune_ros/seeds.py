"""Which seeds may be used for what, in one place: what was trained or chosen on a seed is never reported on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from speedtune_ros.errors import ConfigError


class SeedRange(NamedTuple):
    """Seeds `first` to `last` (included) and what they are for."""

    purpose: str
    first: int
    last: int


# Episode i of a recording takes seed first + i; where the expert fails there, RETRY_STRIDE further, and so on. So each
# file follows from its index alone, whatever the workers do, and seeds that end in 9000 to 9999 are never reached.
RETRY_STRIDE, RETRIES = 10_000, 10

DEMONSTRATIONS = SeedRange("demonstrations", 0, 8_999)  # task policies are trained on them
SELECTION = SeedRange("selection", 9_000, 9_999)  # checkpoints, tables and settings are chosen on them
RETRIED = SeedRange("demonstrations", RETRY_STRIDE, RETRIES * RETRY_STRIDE - 1)
EVALUATION = SeedRange("evaluation", 100_000, 199_999_999)  # only for figures that are reported
SPEED_TRAINING = SeedRange("speed training", 200_000_000, 2**31 - 1)  # speed policies learn on them
SEEDS_A_RUN = 1_000_000  # training seed s takes scenes from SPEED_TRAINING.first + s * SEEDS_A_RUN on

RANGES = (DEMONSTRATIONS, SELECTION, RETRIED, EVALUATION, SPEED_TRAINING)


def range_of(seed: int) -> SeedRange:
    """The range that has `seed`. Raises ConfigError if none has."""
    for found in RANGES:
        if found.first <= seed <= found.last:
            return found
    known = ", ".join(f"{r.purpose} {r.first} to {r.last}" for r in RANGES)
    raise ConfigError(f"seed {seed}: expected one of {known}")


def parse_seeds(first: int, episodes: int) -> list[int]:
    """Seeds first .. first + episodes - 1, all for the same purpose. Raises ConfigError."""
    if episodes < 1 or first < 0:
        raise ConfigError(f"seeds: expected a first seed of at least 0 and 1 episode, got {first} and {episodes}")
    last = first + episodes - 1
    begin, end = range_of(first), range_of(last)
    if begin != end:
        raise ConfigError(
            f"seeds {first} to {last}: expected all for one purpose, but {first} is for {begin.purpose} "
            f"({begin.first} to {begin.last}) and {last} for {end.purpose} ({end.first} to {end.last})"
        )
    return list(range(first, last + 1))


def describe(seeds: Sequence[int]) -> dict[str, Any]:
    """What a result says of its `seeds`: which, what they are for, whether nothing was trained or chosen on them, and
    all ranges."""
    purposes = sorted({range_of(seed).purpose for seed in seeds})
    return {
        "first": min(seeds),
        "last": max(seeds),
        "purpose": " and ".join(purposes),
        "held_out": purposes == [EVALUATION.purpose],
        "ranges": [[found.purpose, found.first, found.last] for found in RANGES],
    }


def warning(seeds: Sequence[int]) -> str:
    """What a reader of figures on `seeds` must know, empty if they may be reported."""
    purpose = describe(seeds)["purpose"]
    if purpose == EVALUATION.purpose:
        return ""
    use = "settings were chosen" if purpose == SELECTION.purpose else "policies may have been trained"
    words = f"seeds {min(seeds)} to {max(seeds)} are for {purpose}: {use} on them"
    return f"{words}; figures to be reported take seeds from {EVALUATION.first} on"
