"""A bag through the ROS graph: the processes of replay.launch.py on a domain of their own, and what they said."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from speedtune_ros import graph, replay_graph
from speedtune_ros.commands.up import command
from speedtune_ros.data.bag_reader import Bag
from speedtune_ros.data.bag_series import EpisodeSeries
from speedtune_ros.data.series_of_bag import series_of_bag
from speedtune_ros.errors import ConfigError, SpeedtuneError
from speedtune_ros.evaluation.isolation import isolation
from speedtune_ros.inspection.comparison import Comparison, compare
from speedtune_ros.inspection.replay import played
from speedtune_ros.inspection.replay_config import WhatIf
from speedtune_ros.processes import ProcessGroup, describe
from speedtune_ros.robots.profiles import make_profile

_SAME = {"policy", "speed", "retimer", "dynamics", "latency", "operator_limit"}  # what both ways can change


def replay_through_graph(
    bag: Bag, episodes: Sequence[EpisodeSeries], what_if: WhatIf, number: str, clock: bool
) -> tuple[list[Comparison], dict[str, Any]]:
    """Replay `episodes` (all, or the one called `number`) and compare; and what is to be said of the run.

    Raises SpeedtuneError with the last lines of the graph's output if it fails.
    """
    changed = what_if.said()
    if extra := set(changed) - _SAME:
        raise ConfigError(f"{', '.join(sorted(extra))}: not through the graph; leave out --graph, or use params:=FILE")
    folder = Path(tempfile.mkdtemp(prefix="speedtune_replay_"))
    try:
        given = {"bag": str(bag.path), "episode": number, "clock": "true" if clock else "false"}
        given |= {"out": str(folder / "bag"), **{name: str(value) for name, value in changed.items()}}
        _run(replay_graph.processes(given), folder / "graph.log")
        now = {series.info.id: series for series in series_of_bag(Bag(folder / "bag"), images=False)}
        if missing := [series.info.id for series in episodes if series.info.id not in now]:
            raise SpeedtuneError(f"not replayed: {', '.join(missing)}; last lines:\n{_tail(folder / 'graph.log')}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    profile = what_if.dynamics or _profile(bag)
    found = [compare(series, _played(series, now, profile)) for series in episodes]
    return found, {"bag": str(bag.path), "what if": changed or "as recorded", "through": "the ROS graph"}


def _played(recorded: EpisodeSeries, now: dict[str, EpisodeSeries], profile: str) -> EpisodeSeries:
    """The replayed episode, with the commands that a driver makes of its trajectories."""
    series = now[recorded.info.id]
    times = {decision.stamp_ns: decision.times for decision in recorded.decisions}
    decisions = [dataclasses.replace(d, times=times.get(d.stamp_ns, {})) for d in series.decisions]
    ticks = list(played(recorded, decisions, make_profile(profile).limits))
    return dataclasses.replace(series, ticks=ticks)


def _profile(bag: Bag) -> str:
    from speedtune_ros.inspection.replay_config import node_config

    return str(node_config(bag, "retimer").get("profile", "act"))


def _run(processes: Sequence[graph.Process], log: Path) -> None:
    """Until the replay node ends."""
    environment = {**os.environ, **isolation(os.environ), **graph.environment(os.environ), "PYTHONUNBUFFERED": "1"}
    with log.open("w") as output:
        group = ProcessGroup(output)
        try:
            for process in processes:
                group.start(process.name, command(process), environment)
            while not group.ended():
                group.show(0.2)
            ended = group.ended()
        finally:
            group.stop()
    bad = {name: status for name, status in ended.items() if name != "replay" or status != 0}
    if bad:
        words = ", ".join(f"{name} {describe(status)}" for name, status in bad.items())
        raise SpeedtuneError(f"the replay failed: {words}; last lines:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-8:])
