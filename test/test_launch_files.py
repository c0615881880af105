"""The launch files give exactly the processes of the graph, executed by the real launch where it is installed."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
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
        ("aloha_real.launch.py", {"cameras": "top", "camera_driver": "v4l2", "enclave": "/speedtune"}),
        ("aloha_real.launch.py", {"xs_sim": "true", "cameras": "top", "camera_driver": "realsense"}),
    ],
)
def test_nodes_are_the_graph_s(name: str, given: dict[str, str]) -> None:
    robot = {"robot": "real", "policy": "rehearsal"} if "real" in name else {}
    expected = graph.processes({**robot, **given})
    nodes = resolved(name, given)
    assert [node.node_name.rpartition("/")[2] for node in nodes] == [process.name for process in expected]
    for node, process in zip(nodes, expected):
        assert node.node_executable == process.executable
        assert node.node_package == "speedtune_ros"
        *files, overrides = (path for path, is_file in node._Node__expanded_parameter_arguments if is_file)
        assert tuple(files) == process.parameter_files
        assert written(overrides, process.name) == process.parameters
        words = [text for part in node.cmd for text in part for text in [getattr(text, "text", "")]]
        assert ("--enclave" in words) == bool(process.enclave) and (process.enclave or words[0]) in words


@needs_launch
def test_replay_s_arguments_are_its_graph_s() -> None:
    declared = {a.name: a for a in description("replay.launch.py").get_launch_arguments()}
    assert set(declared) == {argument.name for argument in replay_graph.ARGUMENTS}


STAND_IN = """
import json
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration

def note(context):
    with open("{notes}", "a") as file:
        print(json.dumps(dict(context.launch_configurations)), file=file)

def generate_launch_description():
    description = DeclareLaunchArgument("robot_description", default_value=["of ", LaunchConfiguration("robot_name")])
    return LaunchDescription([description, OpaqueFunction(function=note)])
"""


@needs_launch
def test_each_arm_s_bring_up_is_a_world_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As interbotix_xsarm_control's own file, the stand-in has a default that depends on its arguments."""
    from launch import LaunchDescription, LaunchService

    from speedtune_ros.nodes.launching import _include

    package = "interbotix_xsarm_control"
    marker = tmp_path / "share/ament_index/resource_index/packages" / package
    file = tmp_path / "share" / package / "launch/xsarm_control.launch.py"
    for path, text in ((marker, ""), (file, STAND_IN.replace("{notes}", str(tmp_path / "notes")))):
        path.parent.mkdir(parents=True)
        path.write_text(text)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    given = {"robot": "real", "policy": "rehearsal", "cameras": "none", "bringup": "arms"}
    service = LaunchService()
    service.include_launch_description(LaunchDescription([*map(_include, graph.includes(given))]))
    assert service.run() == 0
    left, right = (json.loads(line) for line in (tmp_path / "notes").read_text().splitlines())
    assert (left["robot_name"], left["robot_description"]) == ("follower_left", "of follower_left")
    assert (right["robot_name"], right["robot_description"]) == ("follower_right", "of follower_right")
    assert "speed" not in left and left["robot_model"] == "vx300s"


@needs_launch
@pytest.mark.ros
def test_a_node_that_is_killed_starts_again_and_the_end_of_another_ends_the_launch(tmp_path: Path) -> None:
    import cv2
    import numpy as np

    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((8, 8, 3), np.uint8))
    code = LAUNCH.replace("{folder}", str(tmp_path)).replace("{config}", str(FOLDER.parent / "config/camera.yaml"))
    domain = str(os.getpid() % 100 + 1)
    environment = {**os.environ, "ROS_DOMAIN_ID": domain, "ROS_LOG_DIR": str(tmp_path)}
    words = [sys.executable, "-u", "-c", code]
    launch = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, text=True
    )
    assert launch.stdout is not None
    said, pids = [], {}
    try:
        for line in launch.stdout:
            said.append(line)
            if started := re.search(r"camera-(\d)\].*process started with pid \[(\d+)\]", line):
                pids[int(started[1])] = int(started[2])
                if len(pids) == 2:
                    os.kill(pids[1], signal.SIGKILL)  # may start again
                if len(pids) == 3:
                    os.kill(pids[2], signal.SIGKILL)  # may not
        assert launch.wait(60) == 0
    finally:
        launch.kill()
    text = "".join(said)
    assert "camera_one ended with status -9; it starts again in 1 s" in text
    assert text.count("process started") == 3 and "camera_two ended with status -9: stopping the others" in text


LAUNCH = """
from launch import LaunchService
from speedtune_ros.graph import Argument, Process
from speedtune_ros.nodes.launching import describe_graph

def processes(given):
    parameters = {"source": "{folder}"}
    one = Process("camera_one", "camera", ("{config}",), {**parameters, "name": "one"}, restart=True)
    return one, Process("camera_two", "camera", ("{config}",), {**parameters, "name": "two"})

service = LaunchService()
service.include_launch_description(describe_graph([Argument("on_exit", "restart", "what follows")], processes))
raise SystemExit(service.run())
"""
