"""The graph on simulated arms that a bench may break: one process at a time, and all of it put right again."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from speedtune_ros import graph
from speedtune_ros.commands.up import command
from speedtune_ros.errors import SpeedtuneError
from speedtune_ros.evaluation.fault_matrix import CAMERA
from speedtune_ros.processes import ProcessGroup, describe

RECORDER = "recorder"
_LOG_S = 0.001
IMAGES = "bench_camera/image"  # the topic of the camera's driver


class FaultRig:
    """`speedtune up --robot real --xs-sim --policy expert` and a camera node that hears IMAGES, as RealSense's.

    The task policy waits for the camera's images. A process that a fault ends is expected to end.
    """

    def __init__(self, log: TextIO, speed: float) -> None:
        given = {"robot": "real", "xs_sim": "true", "policy": "expert", "cameras": "none", "speed": f"{speed:g}"}
        camera = {"name": CAMERA.removeprefix("camera_"), "driver": "realsense", "topic": IMAGES}
        started = [*graph.processes(given), graph.Process(CAMERA, "camera", (), camera)]
        self._processes = {process.name: _process(process) for process in started}
        self._recorder = next(p for p in graph.processes({**given, "record": "true"}) if p.name == RECORDER)
        self._environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self._group = ProcessGroup(log)
        self._away: set[str] = set()  # ended on purpose
        self._frozen: set[str] = set()

    @property
    def nodes(self) -> set[str]:
        """Every node that should be there."""
        return set(self._processes) - self._away

    @property
    def pids(self) -> Mapping[str, int]:
        """Process ids of the nodes that should be there."""
        return {name: pid for name, pid in self._group.pids.items() if name in self.nodes}

    def start(self) -> None:
        for name in self._processes:
            self.restart(name)

    def restart(self, name: str) -> None:
        """Start a node, after its end."""
        self._group.start(name, command(self._processes[name]), self._environment)
        self._away.discard(name)

    def record(self, bag: Path) -> None:
        """Begin another bag, in a folder that does not exist."""
        parameters = {**self._recorder.parameters, "bag": str(bag)}
        self._processes[RECORDER] = replace(self._recorder, parameters=parameters)
        self.restart(RECORDER)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Kill, freeze or end a node."""
        self._away.add(name)
        if number == signal.SIGSTOP:
            self._frozen.add(name)
        os.kill(self._group.pids[name], number)

    def end(self, name: str, timeout_s: float) -> None:
        """Ask a node to end, and wait. Raises SpeedtuneError if it does not."""
        self.signal(name, signal.SIGINT)
        if not self._group.wait(name, timeout_s):
            raise SpeedtuneError(f"{name} did not end within {timeout_s:g} s")

    def mend(self) -> list[str]:
        """Let frozen nodes go on and start again those that have ended, the recorder not; their names."""
        for name in self._frozen:
            os.kill(self._group.pids[name], signal.SIGCONT)
            self._away.discard(name)
        again = [name for name in self._away if name != RECORDER]
        for name in again:
            self._group.wait(name, 5.0)
            self.restart(name)
        mended = [*self._frozen, *again]
        self._frozen.clear()
        return mended

    def check(self) -> None:
        """Let the log have what was said. Raises SpeedtuneError if a node has ended that should not."""
        self._group.show(_LOG_S)
        for name, status in self._group.ended().items():
            if name in self.nodes:
                raise SpeedtuneError(f"{name} {describe(status)}")

    def stop(self) -> None:
        for name in self._frozen:
            os.kill(self._group.pids[name], signal.SIGCONT)
        self._group.stop()


def _process(process: graph.Process) -> graph.Process:
    """As `process`, but a scripted policy that waits for the camera."""
    if process.name != "task_policy":
        return process
    return replace(process, parameters={**process.parameters, "cameras": [CAMERA.removeprefix("camera_")]})
