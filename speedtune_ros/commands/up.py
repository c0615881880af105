"""`speedtune up`: the node graph as plain processes, for machines without `ros2 launch`."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from speedtune_ros import graph
from speedtune_ros.errors import ConfigError, UnknownNameError
from speedtune_ros.processes import ProcessGroup, describe
from speedtune_ros.share import executable_path

_CLEAN = (0, 130, -signal.SIGINT)  # how a process may answer the SIGINT it was sent

HELP = "start the node graph, as `ros2 launch` would; Ctrl-C stops all of it"


def configure(parser: argparse.ArgumentParser) -> None:
    """One option for each launch argument, and single parameters on top."""
    for argument in graph.ARGUMENTS:
        option = f"--{argument.name.replace('_', '-')}"
        doc = argument.doc.replace("%", "%%") + f" (default: {argument.default or 'none'})"
        if argument.choices == graph.SWITCH:
            parser.add_argument(option, action="store_const", const="true", default="false", help=doc)
        else:
            parser.add_argument(option, default=argument.default, choices=argument.choices or None, help=doc)
    parser.add_argument(
        "-p",
        "--param",
        action="append",
        default=[],
        metavar="NODE.PARAM:=VALUE",
        help="set one node's parameter, as in retimer.scheduler.k_skip:=5; may be repeated",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the commands and start nothing")


def run(arguments: argparse.Namespace) -> int:
    """Run until Ctrl-C (0) or until a node ends by itself (1)."""
    given = {argument.name: str(getattr(arguments, argument.name)) for argument in graph.ARGUMENTS}
    processes = _with_parameters(graph.processes(given), arguments.param)
    if arguments.dry_run:
        for process in processes:
            print(shlex.join(command(process)))
        return 0
    return supervise({process.name: command(process) for process in processes})


def command(process: graph.Process) -> list[str]:
    """The command line that starts `process`."""
    words = [str(executable_path(process.executable)), "--ros-args", "-r", f"__node:={process.name}"]
    if process.namespace:
        words += ["-r", f"__ns:={process.namespace}"]
    for old, new in process.remappings:
        words += ["-r", f"{old}:={new}"]
    for path in process.parameter_files:
        words += ["--params-file", path]
    for name, value in process.parameters.items():
        # JSON is YAML, and its quotes keep the text "1" a text.
        words += ["-p", f"{name}:={value if isinstance(value, _Literal) else json.dumps(value)}"]
    return words


def supervise(commands: Mapping[str, list[str]]) -> int:
    """Run `commands` together until SIGINT or SIGTERM (0) or until one of them ends (1, saying which)."""
    terminal = sys.stdout.isatty()
    environment = {**os.environ, **graph.environment(os.environ), "PYTHONUNBUFFERED": "1"}
    if terminal:
        environment["RCUTILS_COLORIZED_OUTPUT"] = "1"
    asked = threading.Event()
    restore = _on_signals(asked.set)
    group = ProcessGroup(sys.stdout, terminal)
    try:
        for name, words in commands.items():
            group.start(name, words, environment)
        while not asked.is_set() and not group.ended():
            group.show(0.1)
        died = group.ended()
        _say(_verdict(died, len(commands)))
        statuses = group.stop()
    finally:
        group.stop()
        restore()
    bad = {name: status for name, status in statuses.items() if status not in _CLEAN}
    for name, status in bad.items():
        _say(f"{name} {describe(status)}")
    return 1 if died or bad else 0


def _verdict(died: Mapping[str, int], total: int) -> str:
    if not died:
        return f"stopping {total} processes"
    words = ", ".join(f"{name} {describe(status)}" for name, status in died.items())
    return f"{words}; stopping the others"


def _say(text: str) -> None:
    print(f"speedtune up: {text}", file=sys.stderr, flush=True)


def _on_signals(action: Callable[[], None]) -> Callable[[], None]:
    """Call `action` on SIGINT and SIGTERM; the returned function restores what was before."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: action()) for number in numbers}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    return restore


class _Literal(str):
    """A parameter's value as the user wrote it, in YAML."""


def _with_parameters(processes: tuple[graph.Process, ...], settings: list[str]) -> tuple[graph.Process, ...]:
    by_name = {process.name: process for process in processes}
    for setting in settings:
        match = re.fullmatch(r"(\w+)\.([\w.]+):=(.*)", setting)
        if match is None:
            raise ConfigError(f"--param: expected NODE.PARAM:=VALUE, got '{setting}'")
        node, name, value = match.groups()
        if node not in by_name:
            raise UnknownNameError("node", node, by_name)
        parameters: dict[str, Any] = {**by_name[node].parameters, name: _Literal(value)}
        by_name[node] = replace(by_name[node], parameters=parameters)
    return tuple(by_name.values())
