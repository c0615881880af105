"""A learned speed policy beside the best constant speed and the best phase table at the same acceleration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from speedtune_ros.config import differences
from speedtune_ros.errors import DataError
from speedtune_ros.evaluation.paper import paper_figure
from speedtune_ros.evaluation.results import Row, kind

RATES = ("success_rate", "wilson_low", "wilson_high")
# What must be the same for the speed alone to differ.
SAME = ("task", "policy", "checkpoint", "dynamics", "k_skip", "retimer", "inference", "latency", "handover", "ensemble")
TITLES = ("task", "policy", "speed", "success", "acceleration", "per minute")
BESIDE = ("constant, same acceleration", "phase table, same acceleration", "SpeedTuning")


def compare(row: Row, others: Sequence[Row]) -> dict[str, Any]:
    """The figures of `row` and, of the same task policy, what constant speeds and phase tables reach beside it.

    others: evaluations, those that differ in more than the speed left out (`SAME`). Raises DataError if no constant
    speed is left.
    """
    own = [other for other in others if _setting(other) == _setting(row)]
    constant = [other for other in own if kind(other) == "constant"]
    if not constant:
        raise DataError(f"compare: expected a sweep over constant speeds {_nearest(row, others)}")
    tables = [other for other in own if kind(other) == "phase"]
    paper = paper_figure(row["policy"], row["task"])
    keys = ("speed", "episodes", "seed", *RATES, "acceleration", "demo_speedup", "successes_per_minute")
    return {
        **_setting(row),
        **{key: row.get(key) for key in keys},
        "seeds": row.get("seeds"),
        "constant": at_acceleration(frontier(constant), row["acceleration"]),
        "phase": at_acceleration(frontier(tables), row["acceleration"]),
        "paper": None if paper is None else paper._asdict(),
        "bar_held": None if paper is None else _held(row, paper.speed, paper.success_rate),
    }


def at_acceleration(rows: Sequence[Row], acceleration: float | None) -> dict[str, Any] | None:
    """Success rate and interval at `acceleration`, linear between the two evaluations around it (`between`).

    None without rows or without an acceleration; rates are None beyond the fastest, and the slowest's own below it.
    """
    if not rows or acceleration is None:
        return None
    known = sorted((row for row in rows if row["acceleration"] is not None), key=lambda row: row["acceleration"])
    fastest = known[-1]["acceleration"] if known else 0.0
    if acceleration > fastest:
        return {**dict.fromkeys(RATES), "between": [], "fastest": fastest}
    above = next(i for i, row in enumerate(known) if row["acceleration"] >= acceleration)
    low, high = known[max(above - 1, 0)], known[above]
    gap = high["acceleration"] - low["acceleration"]
    share = (acceleration - low["acceleration"]) / gap if gap else 1.0
    rates = {key: low[key] + share * (high[key] - low[key]) for key in RATES}
    return {**rates, "between": list(dict.fromkeys((low["speed"], high["speed"]))), "fastest": fastest}


def frontier(rows: Sequence[Row]) -> list[Row]:
    """Those that no other one beats in both success and acceleration."""
    known = [row for row in rows if row["acceleration"] is not None]
    return [row for row in known if not any(_beats(other, row) for other in known)]


def markdown(compared: Sequence[Mapping[str, Any]]) -> str:
    """One line a policy."""
    titles = (*TITLES, *BESIDE)
    lines = [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]
    for found in compared:
        paper = found["paper"]
        cells = (
            found["task"],
            found["policy"],
            found["speed"],
            f"{_rate(found)}, {found['episodes']} episodes",
            "-" if found["acceleration"] is None else f"{found['acceleration']:.2f}x",
            "-" if found["successes_per_minute"] is None else f"{found['successes_per_minute']:.1f}",
            _beside(found["constant"]),
            _beside(found["phase"]),
            "-" if paper is None else f"{paper['success_rate']:.3f} at {paper['speed']:.2f}x",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _setting(row: Row) -> dict[str, Any]:
    found = {**row.get("config", {}), **row}
    return {key: found[key] for key in SAME if key in found}


def _nearest(row: Row, others: Sequence[Row]) -> str:
    """With which settings, beside the constant speeds whose settings come closest to those of `row`."""
    wanted = _setting(row)
    found = [differences(_setting(other), wanted) for other in others if kind(other) == "constant"]
    of = f"of task {wanted['task']}, policy {wanted['policy']}"
    return f"{of}, with its settings; got {min(found, key=len)}" if found else f"{of}, got none"


def _beats(other: Row, row: Row) -> bool:
    pairs = [(other[key], row[key]) for key in ("acceleration", "success_rate")]
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


def _held(row: Row, speed: float, rate: float) -> bool:
    """A bar on a rate holds when the interval's upper end reaches it."""
    return row["acceleration"] is not None and row["acceleration"] >= speed and row["wilson_high"] >= rate


def _rate(found: Mapping[str, Any]) -> str:
    return f"{found['success_rate']:.3f} [{found['wilson_low']:.3f}, {found['wilson_high']:.3f}]"


def _beside(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "-"
    if found["success_rate"] is None:
        return f"not reached (at most {found['fastest']:.2f}x)"
    return f"{_rate(found)} ({' to '.join(speed.removeprefix('constant:') for speed in found['between'])})"
