"""A graph to work on: one that is running already, or one started in simulation and stopped on leaving."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from speedtune_ros import graph
from speedtune_ros.errors import SpeedtuneError
from speedtune_ros.live.keys import Terminal
from speedtune_ros.live.labels import make_labels
from speedtune_ros.live.options import SIMULATED, LiveOptions
from speedtune_ros.processes import ProcessGroup, describe

if TYPE_CHECKING:
    from speedtune_ros.nodes.live_graph import LiveGraph


@contextmanager
def running(options: LiveOptions, say: Callable[[str], None], **expected: object) -> Iterator[LiveGraph]:
    """The graph, which must have the settings `expected` (see LiveGraph.join). Raises SpeedtuneError."""
    with ExitStack() as stack:
        terminal = stack.enter_context(Terminal()) if options.labels == "keys" else None
        labels = make_labels(options.labels, terminal, say, options.pause_s)
        simulated = options.where == SIMULATED
        alive = stack.enter_context(started(options.arguments, options.log, say)) if simulated else _nothing
        from speedtune_ros.nodes.live_graph import LiveGraph

        live = stack.enter_context(LiveGraph(labels, say, alive))
        say(f"waiting for the graph in ROS domain {os.environ.get('ROS_DOMAIN_ID', '0')}")
        live.join(**expected)
        if options.labels == "scripted" and not live.simulated:
            raise SpeedtuneError("scripted labels: only a simulator knows success; expected labels by keys or service")
        yield live


def _nothing() -> None:
    pass


@contextmanager
def started(
    arguments: Mapping[str, str], output: Path, say: Callable[[str], None]
) -> Iterator[Callable[[], None]]:
    """The processes of a simulated graph of our own, by launch `arguments`; yields what raises once one has ended."""
    from speedtune_ros.commands.up import command
    from speedtune_ros.evaluation.isolation import isolation

    processes = graph.processes(arguments)
    os.environ.update(isolation(os.environ))
    environment = {**os.environ, **graph.environment(os.environ), "PYTHONUNBUFFERED": "1"}
    output.parent.mkdir(parents=True, exist_ok=True)
    say(f"starting {len(processes)} ROS 2 processes (domain {os.environ['ROS_DOMAIN_ID']}, output in {output})")
    with output.open("a") as log:
        group = ProcessGroup(log)

        def alive() -> None:
            group.show(0.001)
            for name, status in group.ended().items():
                raise SpeedtuneError(f"the graph failed: {name} {describe(status)}; see {output}")

        try:
            for process in processes:
                group.start(process.name, command(process), environment)
            yield alive
        finally:
            group.stop()


def operator_says(text: str) -> None:
    """A line to whoever sits at the terminal."""
    print(text, file=sys.stderr, flush=True)
