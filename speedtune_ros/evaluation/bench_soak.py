"""The whole graph on simulated arms for a long time: missed ticks, memory, and holds with their reasons."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speedtune_ros import graph
from speedtune_ros.aloha import CAMERAS, CONTROL_DT
from speedtune_ros.commands.up import command
from speedtune_ros.errors import ConfigError, SpeedtuneError
from speedtune_ros.evaluation.bench_graph import camera_process, floor_lateness, record_frames
from speedtune_ros.evaluation.isolation import isolation
from speedtune_ros.evaluation.soak_record import Hold, Tick, fraction, growth, holds
from speedtune_ros.processes import ProcessGroup, describe

if TYPE_CHECKING:
    from speedtune_ros.nodes.episode_client import EpisodeClient
    from speedtune_ros.nodes.graph_monitor import GraphMonitor, Heard

HELP = "the whole graph on simulated Interbotix arms beside four cameras, for as long as you like: ticks, memory, holds"

_UP_S = 180.0
_EPISODE_S = 90.0
_RSS_S = 5.0
_LOG_S = 0.001
_HEARD = ("driver_status", "retime_report", "/diagnostics")
_LATE_MS = 0.5e3 * CONTROL_DT
_FLOOR = "missed ticks: the same tick thread in a process of its own doing nothing, before the graph starts"
_PEER = "a 50 Hz rclpy timer in the single-threaded executor of the process that runs the episodes"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, default=30.0, help="time measured (default: %(default)s)")
    parser.add_argument("--speed", type=float, default=2.0, help="commanded speed (default: %(default)s)")
    parser.add_argument("--frames", type=Path, metavar="FOLDER", help="recorded images to play (default: rendered)")


@dataclass
class Run:
    """What is known so far. memory: resident set [MiB] by process; diagnostics: first and last of each node."""

    speed: float
    floor: list[float]
    seconds: float = 0.0
    ends: Counter[str] = field(default_factory=Counter)
    holds: list[Hold] = field(default_factory=list)
    memory: dict[str, list[float]] = field(default_factory=dict)
    first: dict[str, dict[str, str]] = field(default_factory=dict)
    last: dict[str, dict[str, str]] = field(default_factory=dict)
    timer_lateness_ms: list[float] = field(default_factory=list)

    def add(self, heard: Heard, reason: str) -> None:
        """One more episode."""
        self.ends[reason.split(":")[0]] += 1
        ticks = [_tick(message) for _, message in heard.read("driver_status")]
        refusals = [(_ns(m.header.stamp), m.fallback_reason) for _, m in heard.read("retime_report")]
        told = [(at_ns, text) for at_ns, text in refusals if text]
        own = [tick for tick in ticks if tick.episode == ticks[-1].episode] if ticks else []
        self.holds += holds(own, told, reason)
        for _, message in heard.read("/diagnostics"):
            for status in message.status:
                values = {value.key: value.value for value in status.values if value.key != "config"}
                self.first.setdefault(status.name, values)
                self.last[status.name] = values
        self.timer_lateness_ms += heard.timer_lateness_ms


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Figures of `minutes` of episodes back to back; written to --json after each of them."""
    if not arguments.minutes > 0.0:
        raise ConfigError(f"--minutes: expected above 0, got {arguments.minutes:g}")
    found = Run(arguments.speed, floor_lateness(3.0))
    os.environ.update({**isolation(os.environ), **graph.environment(os.environ)})
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "graph.log").open("w") as log:
        frames = arguments.frames or record_frames(Path(folder) / "frames")
        group = ProcessGroup(log)
        try:
            _start(group, arguments.speed, frames)
            _soak(group, found, arguments.minutes * 60.0, _saver(arguments.json))
        finally:
            group.stop()
    return figures(found)


def _saver(path: Path | None) -> Callable[[Run], None]:
    def save(found: Run) -> None:
        if path is not None:
            path.write_text(json.dumps({"bench": "soak", **figures(found)}, indent=1) + "\n")

    return save


def _start(group: ProcessGroup, speed: float, frames: Path) -> None:
    given = {"robot": "real", "xs_sim": "true", "policy": "expert", "cameras": "none", "speed": f"{speed:g}"}
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for process in [*graph.processes(given), *(camera_process(name, frames) for name in CAMERAS)]:
        if process.name == "task_policy":  # scripted, but it waits for images as a learned one does
            process = replace(process, parameters={**process.parameters, "cameras": list(CAMERAS)})
        group.start(process.name, command(process), environment)


def _soak(group: ProcessGroup, found: Run, seconds: float, save: Callable[[Run], None]) -> None:
    from speedtune_ros.nodes.episode_client import EpisodeClient
    from speedtune_ros.nodes.graph_monitor import GraphMonitor

    def check() -> None:
        group.show(_LOG_S)
        for name, status in group.ended().items():
            raise SpeedtuneError(f"bench soak: {name} {describe(status)}")

    with EpisodeClient(check) as client, GraphMonitor((), CONTROL_DT, _HEARD) as monitor:
        client.wait_for_graph(set(group.pids), _UP_S)
        client.run(0, "", _EPISODE_S)  # everything loaded and warm
        monitor.forget()
        begun = time.monotonic()
        with _Memory(group.pids, found.memory):
            while time.monotonic() - begun < seconds:
                _episode(client, monitor, found)
                found.seconds = time.monotonic() - begun
                save(found)


def _episode(client: EpisodeClient, monitor: GraphMonitor, found: Run) -> None:
    """One episode; what latched is cleared after it, and remembered."""
    outcome = client.run(1 + sum(found.ends.values()), "", _EPISODE_S)
    heard = monitor.heard
    monitor.forget()
    found.add(heard, outcome.reason)
    if outcome.reason.startswith(("fault", "stopped")):
        client.clear_stop()


class _Memory:
    """A context in which the resident set of each process is noted every few seconds [MiB]."""

    def __init__(self, pids: Mapping[str, int], into: dict[str, list[float]]) -> None:
        self._pids, self._into = dict(pids), into
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="memory", daemon=True)

    def __enter__(self) -> _Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(timeout=5.0)

    def _work(self) -> None:
        page = os.sysconf("SC_PAGE_SIZE")
        while True:
            for name, pid in self._pids.items():
                pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                self._into.setdefault(name, []).append(round(pages * page / 2**20, 2))
            if self._ending.wait(_RSS_S):
                return


def figures(found: Run) -> dict[str, Any]:
    """What a run found, as far as it has come."""
    missed = {name: fraction(found.first[name], last) for name, last in found.last.items() if "missed_ticks" in last}
    grown = growth(dict(found.memory))
    unexplained = [hold for hold in found.holds if not hold.reasons]
    late = lambda samples: float(np.mean(np.array(samples) > _LATE_MS)) if samples else float("nan")  # noqa: E731
    return {
        "missed_tick_fraction": missed.get("arm_driver", float("nan")),
        "missed_tick_fraction_by_node": missed,
        "memory_growth": grown,
        "memory_growth_largest": max(grown.values(), default=float("nan")),
        "holds": [asdict(hold) for hold in found.holds],
        "holds_unexplained": len(unexplained),
        "episodes": sum(found.ends.values()),
        "episodes_by_end": dict(found.ends),
        "seconds": round(found.seconds, 1),
        "speed": found.speed,
        "bars": {"missed_tick_fraction": 0.01, "memory_growth_largest": 0.05, "holds_unexplained": 0},
        "floor": _FLOOR,
        "floor_missed_tick_fraction": late(found.floor),
        "peer": _PEER,
        "peer_missed_tick_fraction": late(found.timer_lateness_ms),
        "load_average": os.getloadavg()[0],
        "samples": {"memory_mib": {name: list(values) for name, values in found.memory.items()}},
    }


def _tick(message: Any) -> Tick:
    return Tick(_ns(message.header.stamp), message.episode_id, message.state, message.progress, tuple(message.faults))


def _ns(stamp: Any) -> int:
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
