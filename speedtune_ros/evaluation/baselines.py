"""Phase tables and tolerances to try, and which of several speeds to ship: baselines deserve their best setting."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from speedtune_ros.errors import DataError
from speedtune_ros.speed.shipped import LEARNED, TOLERANCE, ShippedSpeed, write_shipped

KEEP = 0.95  # least share of the success at demonstrated speed that what is shipped must keep, unless told otherwise


def phase_specs(
    fast: Sequence[float], slow: Sequence[float], opened: Sequence[float] = (), holding: Sequence[float] = ()
) -> list[str]:
    """`phase:FAST,SLOW[,open=V][,holding=V]` for all combinations with SLOW below FAST; V at most FAST."""
    specs = []
    for quick, careful, wide, carry in itertools.product(fast, slow, opened or (None,), holding or (None,)):
        own = {"open": wide, "holding": carry}
        if careful < quick and all(speed is None or speed <= quick for speed in own.values()):
            words = [f"{name}={speed:g}" for name, speed in own.items() if speed is not None]
            specs.append("phase:" + ",".join([f"{quick:g}", f"{careful:g}", *words]))
    return specs


def tolerance_specs(tolerances: Sequence[float], learned: Path | None = None) -> list[str]:
    """`rainbow:[PATH,]tolerance=V` for all tolerances."""
    return [f"{LEARNED}:{f'{learned},' if learned else ''}{TOLERANCE}{value:g}" for value in tolerances]


def choose(rows: Sequence[Mapping[str, Any]], keep: float = KEEP) -> Mapping[str, Any] | None:
    """The fastest of the evaluations that keeps `keep` of the success at demonstrated speed; None if none does."""
    kept = [row for row in rows if row["acceleration"] and row["success_rate"] >= keep * demonstrated_success(row)]
    return max(kept, key=lambda row: row["acceleration"], default=None)


def demonstrated_success(row: Mapping[str, Any]) -> float:
    """The success rate at 1x on the evaluation's own seeds. Raises DataError if it was made without baselines."""
    samples = row["baseline_samples"]
    if not samples:
        raise DataError(f"{row['speed']}: expected the runs at 1x in the result; evaluate without --no-baselines")
    return sum(sample["success_step"] is not None for sample in samples) / len(samples)


def ship(row: Mapping[str, Any], command: str) -> Path:
    """Write the speed of an evaluation where `--speed phase` or `rainbow` and the demonstration find it; the file."""
    from speedtune_ros.registry import shipped_speeds

    kind, _, argument = row["speed"].partition(":")
    speed = ShippedSpeed(
        argument=argument,
        success_rate=row["success_rate"],
        acceleration=row["acceleration"],
        episodes=row["episodes"],
        first_seed=row["seed"],
        k_skip=row["config"]["k_skip"],
        ensemble=row["config"]["ensemble"],
        command=command,
    )
    return write_shipped(shipped_speeds(row["policy"], row["task"], row["dynamics"]), kind, speed)
