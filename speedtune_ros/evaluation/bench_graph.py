"""How the ROS graph keeps time: the control loop in real time beside four camera streams."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speedtune_ros import graph
from speedtune_ros.aloha import CAMERAS, CONTROL_DT
from speedtune_ros.commands.up import command
from speedtune_ros.errors import SpeedtuneError
from speedtune_ros.evaluation.isolation import isolation
from speedtune_ros.processes import ProcessGroup, describe

if TYPE_CHECKING:
    from speedtune_ros.nodes.graph_monitor import Heard

HELP = "the real-time graph beside four 640x480 cameras at 30 Hz: missed ticks, latency, frames, CPU"
_RATE_HZ = 30.0
_FRAMES = 12  # recorded frames each camera plays in a loop
_FLOOR_S = 3.0
_UP_S = 90.0

_FLOOR = (
    "tick lateness: the same tick thread in a process of its own doing nothing, before the graph starts; "
    "observation to command: one control period, as a new trajectory takes over at the next tick; frames: all"
)
_PEER = "a 50 Hz rclpy timer in the single-threaded executor of a process that takes the four image streams"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=30.0, help="time measured (default: %(default)s)")
    parser.add_argument("--speed", type=float, default=2.0, help="commanded speed (default: %(default)s)")
    parser.add_argument("--frames", type=Path, metavar="FOLDER", help="recorded images to play (default: rendered)")


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Figures of a window of `seconds` in which episodes run back to back."""
    from speedtune_ros.nodes.episode_client import EpisodeClient
    from speedtune_ros.nodes.graph_monitor import GraphMonitor

    floor = floor_lateness(_FLOOR_S)
    # Also for the monitor in this process: it takes the images.
    os.environ.update({**isolation(os.environ), **graph.environment(os.environ)})
    with tempfile.TemporaryDirectory() as folder:
        frames = arguments.frames or record_frames(Path(folder) / "frames")
        with (Path(folder) / "graph.log").open("w") as log:
            group = ProcessGroup(log)
            try:
                names = _start(group, arguments.speed, frames)
                with EpisodeClient(lambda: _check(group)) as client, GraphMonitor(CAMERAS, CONTROL_DT) as monitor:
                    client.wait_for_graph(set(names), _UP_S)
                    client.run(0, "", 60.0)  # everything loaded and warm
                    monitor.forget()
                    cpu, seconds = _busy(client, group.pids, arguments.seconds)
            finally:
                group.stop()
    return _figures(monitor.heard, cpu, seconds, floor, arguments.speed)


def _start(group: ProcessGroup, speed: float, frames: Path) -> list[str]:
    given = {"policy": "expert", "cameras": "none", "speed": f"{speed:g}"}
    processes = [*graph.processes(given), *(camera_process(name, frames) for name in CAMERAS)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for process in processes:
        group.start(process.name, command(process), environment)
    return [process.name for process in processes]


def camera_process(name: str, frames: Path) -> graph.Process:
    """A camera node that plays frames/<name>, or `frames` itself, at 30 Hz and 640x480."""
    folder = frames / name if (frames / name).is_dir() else frames
    parameters = {"name": name, "source": str(folder), "rate_hz": _RATE_HZ, "width": 640, "height": 480}
    return graph.Process(f"camera_{name}", "camera", (), parameters)


def record_frames(folder: Path) -> Path:
    """A folder of rendered 640x480 frames for each camera, of the first ticks of an episode."""
    import cv2

    from speedtune_ros.registry import make_simulation

    simulation = make_simulation("transfer_cube", "act", {name: (480, 640) for name in CAMERAS})
    for tick in range(_FRAMES):
        for name, image in simulation.observe().images.items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / name / f"{tick:03d}.jpg"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        simulation.step(simulation.initial_command)
    simulation.close()
    return folder


def floor_lateness(seconds: float) -> list[float]:
    """How late [ms] a thread wakes at absolute deadlines of the control rate, with nothing to do."""
    late, deadline = [], time.monotonic()
    for _ in range(round(seconds / CONTROL_DT)):
        deadline += CONTROL_DT
        time.sleep(max(0.0, deadline - time.monotonic()))
        late.append((time.monotonic() - deadline) * 1e3)
    return late


def _busy(client: Any, pids: Mapping[str, int], seconds: float) -> tuple[dict[str, float], float]:
    """Run episodes for `seconds`; the CPU time [cores] of each process meanwhile, and how long it was."""
    before, start = {name: _cpu_s(pid) for name, pid in pids.items()}, time.monotonic()
    seed = 1
    while time.monotonic() - start < seconds:
        client.run(seed, "", 60.0)
        seed += 1
    elapsed = time.monotonic() - start
    return {name: (_cpu_s(pid) - before[name]) / elapsed for name, pid in pids.items()}, elapsed


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _check(group: ProcessGroup) -> None:
    for name, status in group.ended().items():
        raise SpeedtuneError(f"bench graph: {name} {describe(status)}")


def _figures(heard: Heard, cpu: dict[str, float], seconds: float, floor: list[float], speed: float) -> dict[str, Any]:
    said = _diagnostics(heard)
    published, delivered = _frames(heard, said)
    ticks, missed, lateness = _ticks(said["sim"])
    latency = observation_to_command(heard)
    return {
        "frames_delivered_fraction": delivered / published,
        "missed_tick_fraction": missed / ticks,
        "tick_lateness_ms_p50": _percentile(lateness, 50),
        "tick_lateness_ms_p99": _percentile(lateness, 99),
        "observation_to_command_ms_p50": _percentile(latency, 50),
        "observation_to_command_ms_p99": _percentile(latency, 99),
        "command_period_ms_p99": _percentile(_periods(heard), 99),
        "cpu_cores": sum(cpu.values()),
        "cpu_cores_by_process": cpu,
        "floor": _FLOOR,
        "floor_tick_lateness_ms_p99": _percentile(floor, 99),
        "floor_observation_to_command_ms": CONTROL_DT * 1e3,
        "peer": _PEER,
        "peer_tick_lateness_ms_p99": _percentile(heard.timer_lateness_ms, 99),
        "bars": {"frames_delivered_fraction": 0.99, "missed_tick_fraction": 0.01, "cores": 2},
        "seconds": seconds,
        "speed": speed,
        "frames_published": published,
        "ticks": ticks,
        "load_average": os.getloadavg()[0],
        "samples": {
            "tick_lateness_ms": lateness,
            "observation_to_command_ms": latency,
            "command_period_ms": _periods(heard),
            "floor_tick_lateness_ms": floor,
            "peer_tick_lateness_ms": heard.timer_lateness_ms,
        },
    }


def _diagnostics(heard: Heard) -> dict[str, list[dict[str, str]]]:
    """Everything each node said about itself."""
    said: dict[str, list[dict[str, str]]] = {}
    for _, message in heard.read("/diagnostics"):
        for status in message.status:
            said.setdefault(status.name, []).append({value.key: value.value for value in status.values})
    return said


def _frames(heard: Heard, said: Mapping[str, list[dict[str, str]]]) -> tuple[int, int]:
    """Frames published between the first and the last word of each camera, and how many of them arrived."""
    published = delivered = 0
    for name in CAMERAS:
        first, last = said[f"camera_{name}"][0], said[f"camera_{name}"][-1]
        published += int(last["published"]) - int(first["published"])
        low, high = int(first["last_stamp_ns"]), int(last["last_stamp_ns"])
        delivered += sum(low < stamp <= high for stamp in heard.frames[name])
    return published, delivered


def _ticks(said: list[dict[str, str]]) -> tuple[int, int, list[float]]:
    """Ticks run, those more than half a period late, and how late each began [ms]."""
    ticks = int(said[-1]["ticks"]) - int(said[0]["ticks"])
    missed = int(said[-1]["missed_ticks"]) - int(said[0]["missed_ticks"])
    return ticks, missed, [float(word) for row in said[1:] for word in row["tick_lateness_ms"].split()]


def observation_to_command(heard: Heard) -> list[float]:
    """From a state's publication to that of the first command that follows from it, less the inference [ms]."""
    from speedtune_ros.nodes.conversions import to_ns

    states, commands = heard.stamped("joint_states"), heard.stamped("command")
    first: dict[tuple[str, int], int] = {}  # stamp of the first tick that played each trajectory
    for _, status in heard.read("driver_status"):
        first.setdefault((status.episode_id, status.trajectory), to_ns(status.header.stamp))
    latency = []
    for _, chunk in heard.read("action_chunk"):
        played = first.get((chunk.episode_id, chunk.sequence))
        observed = states.get(to_ns(chunk.header.stamp))
        # Before the first trajectory the status names number 0 as well.
        if chunk.sequence > 0 and played in commands and observed is not None:
            latency.append((commands[played] - observed) / 1e6 - chunk.inference_latency * 1e3)
    return latency


def _periods(heard: Heard) -> list[float]:
    """Time between commands [ms]."""
    return [round(value, 4) for value in np.diff([sent for sent, _ in heard.messages["command"]]) / 1e6]


def _percentile(samples: list[float], percentile: float) -> float:
    return round(float(np.percentile(samples, percentile)), 4) if samples else float("nan")
