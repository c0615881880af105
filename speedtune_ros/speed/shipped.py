"""Speeds that a task policy ships with: the best constant one, the phase table, the learned one's tolerance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speedtune_ros.config import dump, load, option
from speedtune_ros.data.checkpoint_folder import read_content
from speedtune_ros.errors import ConfigError
from speedtune_ros.speed.speed_policy import Companion, split_spec

LEARNED = "rainbow"
LATENCY = "latency"
TOLERANCE = "tolerance="


@dataclass(frozen=True)
class ShippedSpeed:
    """In `<kind>.yaml` of the task policy's folder."""

    argument: str = option("", "what follows the colon, as 3 of constant:3, or tolerance=0.5 of the learned one")
    success_rate: float = option(0.0, "on the seeds it was chosen on", minimum=0.0, maximum=1.0)
    acceleration: float = option(0.0, "on these seeds", minimum=0.0)
    episodes: int = option(0, "how many seeds", minimum=0)
    first_seed: int = option(0, "the first of them", minimum=0)
    k_skip: int = option(10, "control steps between requests there", minimum=1)
    ensemble: bool = option(False, "whether chunks were blended there (temporal ensembling)")
    command: str = option("", "what chose it")


def shipped_path(folder: Path, kind: str) -> Path:
    return folder / f"{kind}.yaml"


def find_learned(argument: str, shipped: Path) -> tuple[Path, float]:
    """(folder, tolerance) of the policy `rainbow:argument`, as `runs/speed/a,tolerance=0.5`; either may be left out.

    Without a folder it is the one among those `shipped` for a task policy, `latency` the one there that learned with
    latency; without any argument it has the tolerance it ships with. tolerance: how much value it gives up for speed,
    or for caution if negative (see LearnedSpeed). Raises ConfigError.
    """
    chosen = shipped_path(shipped, LEARNED)
    if not argument and chosen.is_file():
        argument = load(ShippedSpeed, chosen).argument
    given, tolerance = _split_learned(argument)
    if given == LATENCY:
        return shipped / f"{LEARNED}_{LATENCY}", tolerance
    return Path(given) if given else shipped / LEARNED, tolerance


def _split_learned(argument: str) -> tuple[str, float]:
    folder, found, text = argument.rpartition(TOLERANCE)
    if not found:
        return argument, 0.0
    if folder and not folder.endswith(","):
        return argument, 0.0  # a folder of that name
    try:
        tolerance = float(text)
    except ValueError:
        tolerance = float("nan")
    if not math.isfinite(tolerance):
        raise ConfigError(f"rainbow: tolerance: expected a finite number, got '{text}'")
    return folder.removesuffix(","), tolerance


def execution_needs(spec: str, folder: Path) -> dict[str, Any]:
    """What the speed policy `spec` asks of its task policy's execution, by ExecutionConfig's names: the `k_skip` and
    `ensemble` it was learned or chosen at, beside a task policy whose shipped ones are in `folder`.

    Empty if it does not mind, or is not there, which is refused where it is made. Raises CheckpointError.
    """
    kind, argument = split_spec(spec)
    if kind == LEARNED:
        learned, _ = find_learned(argument, folder)
        card = read_content(learned) if learned.is_dir() else {}
        return {"k_skip": int(card["k_skip"]), "ensemble": learned_ensemble(card)} if card.get("k_skip") else {}
    chosen = shipped_path(folder, kind)
    return shipped_needs(load(ShippedSpeed, chosen)) if not argument and chosen.is_file() else {}


def learned_ensemble(card: Mapping[str, Any]) -> bool:
    """Whether a learned speed policy's task policy ran with temporal ensembling; older cards say it of the training."""
    return bool(card.get("ensemble", card.get("training", {}).get("ensemble", False)))


def shipped_needs(speed: ShippedSpeed) -> dict[str, Any]:
    """The same of a shipped speed."""
    return {"k_skip": speed.k_skip, "ensemble": speed.ensemble}


def read_shipped(kind: str, companion: Companion | None) -> ShippedSpeed:
    """What a task policy ships with. Raises ConfigError if that is nothing, or nothing is known of the policy."""
    if companion is None:
        raise ConfigError(f"{kind}: expected an argument after '{kind}:' where no task policy is known, got none")
    path = shipped_path(companion.shipped, kind)
    if not path.is_file():
        what = f"'{companion.policy}' on task '{companion.task}', profile '{companion.profile}'"
        raise ConfigError(f"{kind}: none is shipped for {what}; give an argument after '{kind}:'")
    return load(ShippedSpeed, path)


def write_shipped(folder: Path, kind: str, speed: ShippedSpeed) -> Path:
    """Ship `speed` in a task policy's folder; the file."""
    folder.mkdir(parents=True, exist_ok=True)
    dump(speed, shipped_path(folder, kind))
    return shipped_path(folder, kind)
