"""The node graph as a launch description, for the files in launch/."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable, Shutdown
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from speedtune_ros import graph


def describe(robot: str, robots: tuple[str, ...] = ("sim", "real")) -> LaunchDescription:
    """The launch description whose `robot` is one of `robots` and by default `robot`."""
    return describe_graph(graph.arguments(robot, robots), graph.processes)


def describe_graph(
    arguments: Sequence[graph.Argument], processes: Callable[[Mapping[str, str]], Sequence[graph.Process]]
) -> LaunchDescription:
    """The launch description with these arguments, that starts what `processes` makes of their values."""
    declared = [
        DeclareLaunchArgument(a.name, default_value=a.default, description=a.doc, choices=list(a.choices) or None)
        for a in arguments
    ]
    variables = [SetEnvironmentVariable(name, value) for name, value in graph.environment(os.environ).items()]
    names = [argument.name for argument in arguments]

    def start(context: LaunchContext) -> list[Node]:
        given = {name: context.launch_configurations[name] for name in names}
        return [_node(process) for process in processes(given)]

    return LaunchDescription([*declared, *variables, OpaqueFunction(function=start)])


def _node(process: graph.Process) -> Node:
    return Node(
        package="speedtune_ros",
        executable=process.executable,
        name=process.name,
        namespace=process.namespace or None,
        parameters=[*process.parameter_files, {name: _parameter(value) for name, value in process.parameters.items()}],
        remappings=list(process.remappings),
        output="screen",
        # Nothing is restarted behind the operator's back: one node gone ends the launch, and the arms hold.
        on_exit=[Shutdown(reason=f"{process.name} ended")],
    )


def _parameter(value: object) -> Any:
    """`value` with its type said: launch would read the text `1` as a number."""
    return ParameterValue(value, value_type=str) if isinstance(value, str) else value
