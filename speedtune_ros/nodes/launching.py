"""The node graph as a launch description, for the files in launch/."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
    SetEnvironmentVariable,
    Shutdown,
    TimerAction,
)
from launch.events.process import ProcessExited
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from speedtune_ros import graph
from speedtune_ros.bringup import Include
from speedtune_ros.restarts import Restarts

Values = Mapping[str, str]


def describe(robot: str, robots: tuple[str, ...] = ("sim", "real")) -> LaunchDescription:
    """The launch description whose `robot` is one of `robots` and by default `robot`."""
    return describe_graph(graph.arguments(robot, robots), graph.processes, graph.includes)


def describe_graph(
    arguments: Sequence[graph.Argument],
    processes: Callable[[Values], Sequence[graph.Process]],
    includes: Callable[[Values], Sequence[Include]] = lambda _: (),
) -> LaunchDescription:
    """The launch description with these arguments, that starts what `processes` and `includes` make of their values."""
    declared = [
        DeclareLaunchArgument(a.name, default_value=a.default, description=a.doc, choices=list(a.choices) or None)
        for a in arguments
    ]
    variables = [SetEnvironmentVariable(name, value) for name, value in graph.environment(os.environ).items()]
    names = [argument.name for argument in arguments]

    def start(context: LaunchContext) -> list[Any]:
        given = {name: context.launch_configurations[name] for name in names}
        found = processes(given)
        restarts = Restarts(found, time.monotonic(), given.get("on_exit") == "restart")
        return [*map(_include, includes(given)), *(_node(process, restarts) for process in found)]

    return LaunchDescription([*declared, *variables, OpaqueFunction(function=start)])


def _include(include: Include) -> GroupAction:
    """Another package's launch file, in a scope of its own: a default that one of them sets would be the next one's."""
    path = PathJoinSubstitution([FindPackageShare(include.package), "launch", include.file])
    included = IncludeLaunchDescription(
        PythonLaunchDescriptionSource([path]), launch_arguments=list(include.arguments.items())
    )
    return GroupAction([included], scoped=True, forwarding=False)


def _node(process: graph.Process, restarts: Restarts) -> Node:
    return Node(
        package="speedtune_ros",
        executable=process.executable,
        name=process.name,
        namespace=process.namespace or None,
        parameters=[*process.parameter_files, {name: _parameter(value) for name, value in process.parameters.items()}],
        remappings=list(process.remappings),
        ros_arguments=["--enclave", process.enclave] if process.enclave else [],
        output="screen",
        on_exit=partial(_ended, process.name, restarts),
    )


def _ended(name: str, restarts: Restarts, event: ProcessExited, context: LaunchContext) -> list[Any]:
    """What follows when a node ends: nothing at a shutdown, a restart, or the end of everything."""
    if context.is_shutdown:
        return []
    again = restarts.ended(name, event.returncode, time.monotonic())
    what = f"{name} ended with status {event.returncode}"
    if again is None:
        return [LogInfo(msg=f"{what}: stopping the others"), Shutdown(reason=what)]
    later = TimerAction(period=again.delay_s, actions=[_node(again.process, restarts)])
    return [LogInfo(msg=f"{what}; it starts again in {again.delay_s:g} s"), later]


def _parameter(value: object) -> Any:
    """`value` with its type said: launch would read the text `1` as a number."""
    return ParameterValue(value, value_type=str) if isinstance(value, str) else value
