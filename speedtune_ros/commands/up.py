"""`speedtune up`: the node graph as plain processes, for machines without `ros2 launch`."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from speedtune_ros import graph
from speedtune_ros.bringup import Include
from speedtune_ros.errors import ConfigError, MissingDependencyError, UnknownNameError
from speedtune_ros.processes import ProcessGroup, describe
from speedtune_ros.restarts import Restarts
from speedtune_ros.share import executable_path
from speedtune_ros.signals import ending

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
    """Run until Ctrl-C (0) or until a node ends by itself that does not start again (1)."""
    given = {argument.name: str(getattr(arguments, argument.name)) for argument in graph.ARGUMENTS}
    processes = _with_parameters(graph.processes(given), arguments.param)
    included = {include.name: include_command(include) for include in graph.includes(given)}
    commands = {**included, **{process.name: command(process) for process in processes}}
    if arguments.dry_run:
        for words in commands.values():
            print(shlex.join(words))
        return 0
    if included and shutil.which("ros2") is None:
        raise MissingDependencyError(f"bringup: {', '.join(included)} start by `ros2 launch`, which is not on the PATH")
    return supervise(commands, Restarts(processes, time.monotonic(), given["on_exit"] == "restart"))


def command(process: graph.Process) -> list[str]:
    """The command line that starts `process`."""
    words = [str(executable_path(process.executable)), "--ros-args", "-r", f"__node:={process.name}"]
    if process.namespace:
        words += ["-r", f"__ns:={process.namespace}"]
    for old, new in process.remappings:
        words += ["-r", f"{old}:={new}"]
    if process.enclave:
        words += ["--enclave", process.enclave]
    for path in process.parameter_files:
        words += ["--params-file", path]
    for name, value in process.parameters.items():
        # JSON is YAML, and its quotes keep the text "1" a text.
        words += ["-p", f"{name}:={value if isinstance(value, _Literal) else json.dumps(value)}"]
    return words


def include_command(include: Include) -> list[str]:
    """The command line that starts another package's launch file."""
    arguments = [f"{name}:={value}" for name, value in include.arguments.items()]
    return ["ros2", "launch", include.package, include.file, *arguments]


def supervise(commands: Mapping[str, list[str]], restarts: Restarts | None = None) -> int:
    """Run `commands` together until SIGINT or SIGTERM (0) or until one of them ends (1, saying which).

    restarts: knows those that start again instead.
    """
    terminal = sys.stdout.isatty()
    environment = {**os.environ, **graph.environment(os.environ), "PYTHONUNBUFFERED": "1"}
    if terminal:
        environment["RCUTILS_COLORIZED_OUTPUT"] = "1"
    group = ProcessGroup(sys.stdout, terminal)
    with ending() as asked:
        try:
            for name, words in commands.items():
                group.start(name, words, environment)
            domain = environment.get("ROS_DOMAIN_ID", "0")
            _say(f"started {', '.join(commands)} in ROS domain {domain}; Ctrl-C stops them")
            successors = _Successors(restarts)
            died: dict[str, int] = {}
            while not asked.to_end and not died:
                group.show(0.1)
                died = successors.replace(group.ended())
                for process in successors.due():
                    group.start(process.name, command(process), environment)
            _say(_verdict(died, len(commands)))
            statuses = group.stop()
        finally:
            group.stop()
    bad = {name: status for name, status in statuses.items() if status not in _CLEAN}
    for name, status in bad.items():
        _say(f"{name} {describe(status)}")
    return 1 if died or bad else 0


class _Successors:
    """Processes that start again in place of those that ended, once it is time."""

    def __init__(self, restarts: Restarts | None) -> None:
        self._restarts = restarts
        self._waiting: dict[str, tuple[float, graph.Process]] = {}

    def replace(self, ended: Mapping[str, int]) -> dict[str, int]:
        """The status by name of those in `ended` that nothing will replace; the others wait for their start."""
        died = {}
        for name, status in ended.items():
            if name in self._waiting:
                continue
            now = time.monotonic()
            again = None if self._restarts is None else self._restarts.ended(name, status, now)
            if again is None:
                died[name] = status
                continue
            _say(f"{name} {describe(status)}; it starts again in {again.delay_s:g} s")
            self._waiting[name] = now + again.delay_s, again.process
        return died

    def due(self) -> list[graph.Process]:
        """Those whose time has come."""
        now = time.monotonic()
        names = [name for name, (start, _) in self._waiting.items() if start <= now]
        return [self._waiting.pop(name)[1] for name in names]


def _verdict(died: Mapping[str, int], total: int) -> str:
    if not died:
        return f"stopping {total} processes"
    words = ", ".join(f"{name} {describe(status)}" for name, status in died.items())
    return f"{words}; stopping the others"


def _say(text: str) -> None:
    print(f"speedtune up: {text}", file=sys.stderr, flush=True)


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
