"""The whole pipeline, seen once: the ROS graph up, a few episodes at each speed, a bag and a report."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speedtune_ros import graph
from speedtune_ros.commands.up import command
from speedtune_ros.data.bag_reader import Bag
from speedtune_ros.errors import CheckpointError, SpeedtuneError
from speedtune_ros.evaluation.demo_speeds import shared_needs
from speedtune_ros.evaluation.evaluate import gather
from speedtune_ros.evaluation.evaluation_config import EvaluationConfig
from speedtune_ros.evaluation.isolation import isolation
from speedtune_ros.evaluation.samples import EpisodeSample
from speedtune_ros.processes import ProcessGroup, describe
from speedtune_ros.report.summary import TableRow
from speedtune_ros.report.write import CAMERA, FRAME_SIZE, report_bag
from speedtune_ros.speed.speed_policy import stands_alone

if TYPE_CHECKING:
    from speedtune_ros.nodes.episode_client import EpisodeClient

REPORT_CAMERA = (CAMERA, FRAME_SIZE)
# How a process may answer being told to stop; SIGTERM comes second, and on a busy machine it is sometimes needed.
STOPPED = (0, 130, -signal.SIGINT, -signal.SIGTERM)
UP_TIMEOUT = 120.0  # [s]
EPISODE_TIMEOUT = 120.0  # [s]
LATE = ("stale_image", "no_answer")  # in the graph's output


@dataclass(frozen=True)
class DemoConfig:
    """What the demonstration runs: each seed at each speed."""

    task: str
    policy: str
    speeds: tuple[str, ...]  # as constant:2 or rainbow
    seeds: tuple[int, ...]
    folder: Path
    lockstep: bool = False  # simulated time waits for the stages: for machines too slow for real time

    @property
    def bag(self) -> Path:
        return self.folder / "bag"

    @property
    def log(self) -> Path:
        return self.folder / "graph.log"

    @property
    def page(self) -> Path:
        return self.folder / "index.html"


def choose_policy(task: str, profile: str = "act") -> tuple[str, str]:
    """The shipped ACT checkpoint if there is one, else the expert; and what to tell the user about it."""
    from speedtune_ros.registry import shipped_checkpoint

    try:
        shipped_checkpoint("act", task, profile)
    except CheckpointError as error:
        return "expert", f"{error}. The scripted expert runs instead."
    return "act", "The shipped ACT checkpoint runs, from camera images and joint states alone."


def camera_argument(policy: str, task: str, profile: str = "act") -> str:
    """The cameras the policy was trained on, at its sizes, and the report's, as a launch argument."""
    from speedtune_ros.registry import policy_cameras

    cameras = policy_cameras(policy, task, profile)
    cameras.setdefault(*REPORT_CAMERA)
    return ",".join(f"{name}:{height}x{width}" for name, (height, width) in cameras.items())


def demonstrate(config: DemoConfig) -> tuple[list[TableRow], list[str]]:
    """Run the demonstration and write its report; the rows of the table, and what went wrong in single episodes.

    Raises SpeedtuneError if a process of the graph ends or does not come up; all are stopped whatever happens.
    """
    needs = shared_needs(config.speeds, config.policy, config.task)
    config.folder.mkdir(parents=True)
    seeds = ", ".join(map(str, config.seeds))
    _say(f"Measuring the demonstrations: the scripted expert at its own pace, seeds {seeds}")
    demonstrations = _demonstrations(config)
    with _running_graph(config, needs) as (client, names):
        _say(f"The graph is up: {', '.join(names)}")
        troubles = _run_episodes(config, client)
        _say("Stopping the graph")
    notes = [*troubles, *_late(config)]
    _say("Reading the bag and drawing the report (videos, timelines, histograms)")
    return _report(config, names, demonstrations, notes), troubles


def _run_episodes(config: DemoConfig, client: EpisodeClient) -> list[str]:
    """Every scene at every speed; what ended an episode other than success and its time limit."""
    number, total, troubles = 0, len(config.speeds) * len(config.seeds), []
    for speed in config.speeds:
        for seed in config.seeds:
            number += 1
            outcome = client.run(seed, speed, EPISODE_TIMEOUT)
            verdict = "success" if outcome.success else f"no success ({outcome.reason})"
            took = f"{outcome.duration:.2f} s"
            _say(f"  episode {number} of {total}, seed {seed} at {speed}: {verdict} after {took}")
            if outcome.reason not in ("success", "time_limit"):
                troubles.append(f"episode {number} ended early: {outcome.reason}; see {config.log}")
    return troubles


@contextmanager
def _running_graph(config: DemoConfig, needs: Mapping[str, Any]) -> Iterator[tuple[EpisodeClient, tuple[str, ...]]]:
    """The graph, as `speedtune up` starts it, with a client; stopped on leaving."""
    given = {
        "task": config.task,
        "policy": config.policy,
        "speed": next((speed for speed in config.speeds if not stands_alone(speed)), config.speeds[0]),  # slow to load
        **{key: str(value).lower() for key, value in needs.items()},
        "cameras": camera_argument(config.policy, config.task),
        "lockstep": "true" if config.lockstep else "false",
        "record": "true",
        "bag": str(config.bag),
    }
    processes = graph.processes(given)
    os.environ.update(isolation(os.environ))
    environment = {**os.environ, **graph.environment(os.environ), "PYTHONUNBUFFERED": "1"}
    names = tuple(process.name for process in processes)
    _say(f"Starting {len(names)} ROS 2 processes (domain {os.environ['ROS_DOMAIN_ID']}, output in {config.log})")
    with config.log.open("w") as log:
        group = ProcessGroup(log)
        try:
            for process in processes:
                group.start(process.name, command(process), environment)
            yield from _client(group, names, config.log)
        finally:
            statuses = group.stop()
    bad = {name: status for name, status in statuses.items() if status not in STOPPED}
    if bad:
        words = ", ".join(f"{name} {describe(status)}" for name, status in bad.items())
        raise SpeedtuneError(f"did not stop cleanly: {words}; see {config.log}")


def _client(group: ProcessGroup, names: tuple[str, ...], log: Path) -> Iterator[tuple[EpisodeClient, tuple[str, ...]]]:
    from speedtune_ros.nodes.episode_client import EpisodeClient

    def alive() -> None:
        group.show(0.001)
        for name, status in group.ended().items():
            raise SpeedtuneError(f"the graph failed: {name} {describe(status)}; last lines of {log}:\n{_tail(log)}")

    with EpisodeClient(alive) as client:
        client.wait_for_graph(set(names), UP_TIMEOUT)
        yield client, names


def _demonstrations(config: DemoConfig) -> list[EpisodeSample]:
    expert = EvaluationConfig(task=config.task, policy="expert", speed="constant:1")
    return gather(expert, config.seeds, config.folder / "demonstrations.jsonl", 1, len(config.seeds), None, "")


def _report(
    config: DemoConfig, names: Sequence[str], demonstrations: Sequence[EpisodeSample], notes: Sequence[str]
) -> list[TableRow]:
    facts = {
        "task": config.task,
        "policy": config.policy,
        "processes": ", ".join(names),
        "scenes": f"seeds {', '.join(map(str, config.seeds))}, the same at every speed",
        "acceleration": "mean time to first success at 1x, same policy and scenes / mean time to first success",
        "demo_speedup": "mean time to first success of the demonstrator / mean time to first success",
    }
    title = f"{config.task.replace('_', ' ').capitalize()}, faster than demonstrated"
    return report_bag(Bag(config.bag), config.page, title, facts, demonstrations, notes)


def _late(config: DemoConfig) -> list[str]:
    """What to say of a machine that was too slow: the arms wait, and speed and success suffer."""
    late = sum(any(word in line for word in LATE) for line in config.log.read_text(errors="replace").splitlines())
    if not late:
        return []
    words = f"On this machine images or chunks were too late for real time {late} times, which costs speed and success."
    words += " With --lockstep simulated time waits for the stages."
    _say(words)
    return [words]


def _tail(path: Path, lines: int = 8) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def _say(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)
