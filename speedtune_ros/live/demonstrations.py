"""What `speedtune record-demos --live` does: an operator's marks on a running graph, demonstrations on disk."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from speedtune_ros.live.keys import Terminal
from speedtune_ros.live.marks import help_text, mark_keys
from speedtune_ros.live.options import SIMULATED
from speedtune_ros.live.running import operator_says, started
from speedtune_ros.presets import DEFAULT_TASK
from speedtune_ros.registry import make_task
from speedtune_ros.signals import ending

if TYPE_CHECKING:
    from speedtune_ros.nodes.demo_recorder import DemoRecorder

_POLL_S = 0.05
_JOIN_S = 120.0
_SIMULATION = {"robot": "real", "xs_sim": "true", "teleop": "true", "leader_script": "true"}
_SERVICES = {
    "engage": "teleop/engage",
    "start": "teleop/start",
    "success": "teleop/success",
    "discard": "teleop/discard",
    "release": "teleop/release",
    "stop": "driver/stop",
}


def record_live(args: argparse.Namespace) -> int:
    """Record until `q`, Ctrl-C or `args.episodes` are kept; the exit status. Raises SpeedtuneError."""
    from speedtune_ros.data.demonstration_folder import DemonstrationFolder
    from speedtune_ros.nodes.demo_recorder import recording

    keys = mark_keys(args.keys)
    task = args.task or DEFAULT_TASK
    if args.live == SIMULATED:
        make_task(task)  # an unknown one is refused before anything is made for it
    folder = DemonstrationFolder(args.out or Path("runs/demos") / f"{task}_live", None if args.raw else args.jpeg or 95)
    for text in folder.recover():
        operator_says(text)
    wanted = args.episodes or sys.maxsize
    cameras = args.cameras
    with ExitStack() as stack:
        alive: Callable[[], None] = _nothing
        if args.live == SIMULATED:
            cameras = cameras or ["top"]
            launch = {**_SIMULATION, "task": task, "cameras": ",".join(f"{name}:{args.size}" for name in cameras)}
            alive = stack.enter_context(started(launch, folder.path / "graph.log", operator_says))
        recorder = stack.enter_context(recording(folder, operator_says))
        found = recorder.attach(cameras, _JOIN_S, alive)
        operator_says(f"cameras: {', '.join(found) or 'none'}; into {folder.path}, where {folder.kept()} are kept")
        terminal = stack.enter_context(Terminal(keys, "expected a terminal")) if sys.stdin.isatty() else None
        operator_says(help_text(keys) if terminal else "no terminal: marks by the services teleop/start, success, ...")
        try:
            _attend(recorder, terminal, alive, lambda: folder.kept() >= wanted)
        finally:
            recorder.leave()
    print(f"{folder.kept()} demonstrations in {folder.path}")
    return 0


def _nothing() -> None:
    """A graph that was not started here may come and go."""


def _attend(
    recorder: DemoRecorder, terminal: Terminal | None, alive: Callable[[], None], done: Callable[[], bool]
) -> None:
    """Pass marks on until the operator quits."""
    with ending() as asked:
        while not (asked.to_end or done()):
            alive()
            for command in terminal.commands() if terminal is not None else ():
                if command.kind == "quit":
                    return
                operator_says(recorder.ask(_SERVICES[command.kind]))
            time.sleep(_POLL_S)
