"""A bag through the ROS graph: the same answers, and no way to a robot's command topics."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from speedtune_ros import replay_graph
from speedtune_ros.cli import run as speedtune
from speedtune_ros.commands.up import command
from speedtune_ros.errors import ConfigError, UnknownNameError
from speedtune_ros.nodes.replay import COMMANDS, OBSERVATIONS
from speedtune_ros.nodes.topics import TOPICS

pytestmark = pytest.mark.ros


def test_the_graph_gives_a_lockstep_bag_s_answers(
    lockstep_bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["bag", "replay", str(lockstep_bag), "--graph", "--clock", "--json", str(tmp_path / "a.json")]
    assert speedtune(words) == 0
    episodes = json.loads((tmp_path / "a.json").read_text())["episodes"]
    assert len(episodes) == 2
    for episode in episodes:
        assert episode["compared"] == episode["decisions"] == episode["same_speed"] == episode["same_limit"]
        assert episode["chunk_rad"]["max"] < 1e-6
        assert episode["command_rad"]["max"] < 1e-6 and len(episode["command_rad_samples"]) >= 90
    assert "2 episodes" not in capsys.readouterr().err


def test_another_speed_through_the_graph(lockstep_bag: Path, tmp_path: Path) -> None:
    out = ["--episode", "1", "--speed", "constant:4", "--json", str(tmp_path / "a.json")]
    assert speedtune(["bag", "replay", str(lockstep_bag), "--graph", *out]) == 0
    (episode,) = json.loads((tmp_path / "a.json").read_text())["episodes"]
    assert episode["same_speed"] == 0 and episode["mean_sdot_now"] == pytest.approx(4.0, rel=0.1)
    with pytest.raises(ConfigError, match="max_velocity: not through the graph"):
        speedtune(["bag", "replay", str(lockstep_bag), "--graph", "--max-velocity", "1"])


def test_every_process_is_in_a_namespace_of_its_own_and_none_is_a_driver(lockstep_bag: Path) -> None:
    processes = replay_graph.processes({"bag": str(lockstep_bag), "out": "x"})
    assert {process.executable for process in processes} == {
        *("retimer", "speed_policy", "task_policy", "recorder", "replay"),
    }
    for process in processes:
        assert "__ns:=/replay" in command(process)
        assert process.remappings == ()


@pytest.mark.parametrize("namespace", ["", "/", "replay", "//", "/a b", "/replay/"])
def test_a_robot_s_namespace_is_refused(lockstep_bag: Path, namespace: str) -> None:
    with pytest.raises(ConfigError, match="namespace: expected one of the replay's own, as /replay"):
        replay_graph.processes({"bag": str(lockstep_bag), "namespace": namespace})


def test_bad_arguments_are_refused(lockstep_bag: Path) -> None:
    with pytest.raises(ConfigError, match="bag: expected a rosbag2 folder"):
        replay_graph.processes({})
    with pytest.raises(UnknownNameError, match="launch argument 'spede'"):
        replay_graph.processes({"bag": str(lockstep_bag), "spede": "2"})


def test_nothing_a_robot_obeys_is_among_the_observations() -> None:
    assert not set(OBSERVATIONS) & {"trajectory", "command"}
    assert set(OBSERVATIONS) <= set(TOPICS)
    assert {"trajectory", "command", "joint_group", "joint_single"} <= set(COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "would go to '/diagnostics'|would go to '/joint_states', among a robot's own topics"),
        (["-r", "__ns:=/replay", "-r", "joint_states:=/joint_states"], "would go to '/joint_states'"),
        (["-r", "__ns:=/replay", "-r", "joint_states:=command"], "'/replay/command', which a robot obeys: refused"),
        (["-r", "__ns:=/replay", "-r", "driver_status:=/trajectory"], "'/trajectory', which a robot obeys"),
        (["-r", "__ns:=/replay", "-r", "joint_states:=/follower_left/commands/joint_group"], "a robot obeys: refused"),
        (["-r", "__ns:=/replay", "-r", "/diagnostics:=/follower_left/commands/joint_single"], "a robot obeys: refused"),
        (["-r", "__ns:=/replay", "-r", "/clock:=/trajectory", "-p", "clock:=true"], "a robot obeys: refused"),
    ],
)
def test_the_node_refuses_a_robot_s_topics(lockstep_bag: Path, domain: int, arguments: list[str], message: str) -> None:
    words = [sys.executable, "-m", "speedtune_ros.nodes.replay", "--ros-args", "-p", f"bag:={lockstep_bag}", *arguments]
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, env=environment, check=False)
    assert done.returncode == 2
    assert any(part in done.stderr for part in message.split("|")), done.stderr


def test_a_driver_in_the_replay_s_namespace_ends_it(lockstep_bag: Path, graph, client) -> None:
    """Its retimer's trajectories would be heard there."""
    processes = replay_graph.processes({"bag": str(lockstep_bag)})
    for process in processes:
        words = command(process)
        with open(graph._logs / f"{process.name}.log", "wb") as log:
            started = subprocess.Popen(words, env=graph.environment, stdout=log, stderr=subprocess.STDOUT)
        graph.processes[process.name] = started
    with open(graph._logs / "sim.log", "wb") as log:
        words = [sys.executable, "-m", "speedtune_ros.nodes.sim", "--ros-args", "-r", "__ns:=/replay"]
        words += ["-p", "lockstep:=true", "-p", "cameras:=['']"]
        graph.processes["sim"] = subprocess.Popen(words, env=graph.environment, stdout=log, stderr=subprocess.STDOUT)
    assert graph.wait("replay", 120.0) == 0
    assert "sim is in namespace /replay: stopped" in graph.log("replay")
