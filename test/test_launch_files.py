"""The launch files give exactly the processes of the graph, executed by the real launch where it is installed."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path
from typing import Any

import pytest
import yaml

from speedtune_ros import graph, replay_graph

FOLDER = Path(__file__).resolve().parent.parent / "launch"
FILES = sorted(path.name for path in FOLDER.glob("*.launch.py"))


def real_launch() -> bool:
    """ROS 2's launch, and not PyPI's package of the same name."""
    return all(importlib.util.find_spec(name) for name in ("launch", "launch_ros")) and hasattr(
        importlib.import_module("launch"), "LaunchDescription"
    )


needs_launch = pytest.mark.skipif(not real_launch(), reason="ROS 2's launch and launch_ros are not installed")


def description(name: str) -> Any:
    spec = importlib.util.spec_from_file_location("launch_file", FOLDER / name)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.generate_launch_description()


def resolved(name: str, given: dict[str, str]) -> list[Any]:
    """The Node actions that launching the file with `given` would execute."""
    from launch import LaunchContext
    from launch.actions import OpaqueFunction
    from launch_ros.actions import Node

    context = LaunchContext()
    context._set_asyncio_loop(asyncio.new_event_loop())
    context.launch_configurations.update(given)
    nodes: list[Any] = []
    for entity in description(name).entities:
        if isinstance(entity, OpaqueFunction):
            nodes += entity.execute(context) or []
        else:
            entity.visit(context)
    for node in nodes:
        assert isinstance(node, Node)
        node._perform_substitutions(context)
    return nodes


def written(path: str, node: str) -> dict[str, Any]:
    """The parameters in a file that launch wrote for `node`."""
    ((name, block),) = yaml.full_load(Path(path).read_text()).items()  # launch writes lists as Python tuples
    assert name == "/**" or name.rpartition("/")[2] == node
    return {key: list(v) if isinstance(v, tuple) else v for key, v in block["ros__parameters"].items()}


def test_both_launch_files_are_there() -> None:
    assert FILES[:2] == ["aloha_real.launch.py", "aloha_sim.launch.py"]


@needs_launch
@pytest.mark.parametrize("name", FILES[:2])
def test_arguments_are_the_graph_s(name: str) -> None:
    declared = {a.name: a for a in description(name).get_launch_arguments()}
    assert set(declared) == {argument.name for argument in graph.ARGUMENTS}
    for argument in graph.ARGUMENTS:
        assert declared[argument.name].description.startswith(argument.doc)


@needs_launch
@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("aloha_sim.launch.py", {}),
        ("aloha_sim.launch.py", {"record": "true", "speed": "2", "cameras": "none", "lockstep": "true"}),
        ("aloha_real.launch.py", {"robot": "sim"}),
        ("aloha_real.launch.py", {"cameras": "top,angle:480x640"}),
    ],
)
def test_nodes_are_the_graph_s(name: str, given: dict[str, str]) -> None:
    robot = {"robot": "real"} if "real" in name else {}
    expected = graph.processes({**robot, **given})
    nodes = resolved(name, given)
    assert [node.node_name.rpartition("/")[2] for node in nodes] == [process.name for process in expected]
    for node, process in zip(nodes, expected):
        assert node.node_executable == process.executable
        assert node.node_package == "speedtune_ros"
        *files, overrides = (path for path, is_file in node._Node__expanded_parameter_arguments if is_file)
        assert tuple(files) == process.parameter_files
        assert written(overrides, process.name) == process.parameters


@needs_launch
def test_replay_s_arguments_are_its_graph_s() -> None:
    declared = {a.name: a for a in description("replay.launch.py").get_launch_arguments()}
    assert set(declared) == {argument.name for argument in replay_graph.ARGUMENTS}
