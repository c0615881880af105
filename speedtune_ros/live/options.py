"""Which graph is worked on, and who judges its episodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ATTACH, SIMULATED = "attach", "sim"
WHERE = (ATTACH, SIMULATED)  # a graph that runs, or one started in simulation
SOURCES = ("keys", "service", "scripted")  # of verdicts


@dataclass(frozen=True)
class LiveOptions:
    """where: one of WHERE; labels: one of SOURCES; pause_s: before each episode [s], where no key starts it;
    speed_limit: the operator's ceiling on `sdot`, 0 leaves the graph's; arguments: launch arguments of a graph that is
    started; log: its output."""

    where: str
    labels: str
    pause_s: float
    speed_limit: float
    arguments: Mapping[str, str]
    log: Path
