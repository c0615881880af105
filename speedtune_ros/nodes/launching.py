"""The node graph as a launch description, for the files in launch/."""

from __future__ import annotations

import os
from typing import Any

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable, Shutdown
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from speedtune_ros import graph


def describe(robot: str, robots: tuple[str, ...] = ("sim", "real")) -> LaunchDescription:
    """The launch description whose `robot` is one of `robots` and by default `robot`."""
    arguments = graph.arguments(robot, robots)
    declared = [
        DeclareLaunchArgument(a.name, default_value=a.default, description=a.doc, choices=list(a.choices) or None)
        for a in arguments
    ]
    variables = [SetEnvironmentVariable(name, value) for name, value in graph.environment(os.environ).items()]
    names = [argument.name for argument in arguments]
    return LaunchDescription([*declared, *variables, OpaqueFunction(function=_nodes, args=[names])])


def _nodes(context: LaunchContext, names: list[str]) -> list[Node]:
    given = {name: context.launch_configurations[name] for name in names}
    return [_node(process) for process in graph.processes(given)]


def _node(process: graph.Process) -> Node:
    return Node(
        package="speedtune_ros",
        executable=process.executable,
        name=process.name,
        parameters=[*process.parameter_files, {name: _parameter(value) for name, value in process.parameters.items()}],
        remappings=list(process.remappings),
        output="screen",
        # Nothing is restarted behind the operator's back: one node gone ends the launch, and the arms hold.
        on_exit=[Shutdown(reason=f"{process.name} ended")],
    )


def _parameter(value: object) -> Any:
    """`value` with its type said: launch would read the text `1` as a number."""
    return ParameterValue(value, value_type=str) if isinstance(value, str) else value
