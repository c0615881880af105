"""The node graph: what runs for which launch arguments."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from speedtune_ros import graph
from speedtune_ros.config import read_parameters
from speedtune_ros.errors import ConfigError, InvalidInputError, UnknownNameError
from speedtune_ros.policies.checkpoint import CheckpointCard, write_checkpoint

STAGES = {"retimer", "speed_policy", "task_policy", "episode"}


def running(**given: str) -> dict[str, graph.Process]:
    own = {"policy": "rehearsal"} if given.get("robot") == "real" else {}  # no checkpoint of real arms is shipped
    return {process.name: process for process in graph.processes({**own, **given})}


def test_in_simulation_the_simulator_stands_for_driver_and_cameras() -> None:
    assert set(running()) == STAGES | {"sim"}


def test_on_the_arms_there_is_a_driver_and_a_process_for_each_camera() -> None:
    real = running(robot="real", cameras="top,angle:480x640")
    assert set(real) == STAGES | {"arm_driver", "camera_top", "camera_angle"}
    assert real["camera_top"].executable == "camera"
    assert real["camera_top"].parameters == {"name": "top", "driver": "realsense"}
    size = {"height": 480, "width": 640}
    assert real["camera_angle"].parameters == {"name": "angle", "driver": "realsense", **size}
    devices = running(robot="real", cameras="top", camera_driver="v4l2")
    assert devices["camera_top"].parameters == {"name": "top", "driver": "v4l2"}
    assert set(running(robot="real", cameras="none")) == STAGES | {"arm_driver"}


def test_simulated_interbotix_arms_stand_for_arms_and_cameras() -> None:
    found = running(robot="real", xs_sim="true", cameras="top:96x96")
    assert set(found) == STAGES | {"arm_driver", "xs_sim"}
    cameras = {"cameras": ["top:96x96"], "camera_driver": "simulated"}
    assert found["xs_sim"].parameters == {"task": "transfer_cube", **cameras}
    # the same frames as RealSense's, through camera nodes
    found = running(robot="real", xs_sim="true", cameras="top:96x96", camera_driver="realsense")
    assert set(found) == STAGES | {"arm_driver", "xs_sim", "camera_top"}
    assert found["xs_sim"].parameters["camera_driver"] == found["camera_top"].parameters["driver"] == "realsense"


def test_leaders_stand_for_the_policies() -> None:
    found = running(robot="real", teleop="true", cameras="top")
    assert set(found) == {"arm_driver", "camera_top", "teleop"}
    assert found["teleop"].parameters == {"task": "transfer_cube", "profile": "hardware"}
    found = running(robot="real", teleop="true", xs_sim="true", leader_script="true", cameras="none", record="true")
    assert set(found) == {"arm_driver", "xs_sim", "teleop", "leader_script", "recorder"}


def test_cameras_are_those_of_the_policy_unless_chosen(tmp_path: Path) -> None:
    card = CheckpointCard("transfer_cube", "act", "act", "command", 2, 0.02, {"angle": (60, 80)}, {}, {})
    write_checkpoint(tmp_path / "policy", card, {})
    assert running(policy=str(tmp_path / "policy"))["sim"].parameters["cameras"] == ["angle:60x80"]
    assert running(policy="expert")["sim"].parameters["cameras"] == [""]
    # the policy's own node says what is wrong with it


def test_recording_adds_the_recorder() -> None:
    recorder = running(record="true", bag="runs/a", cameras="top:96x96")["recorder"]
    assert recorder.parameters == {"bag": "runs/a", "cameras": ["top:96x96"], "lossless": False}
    assert running(record="true", lockstep="true")["recorder"].parameters["lossless"]
    assert "bag" not in running(record="true")["recorder"].parameters
    assert "recorder" not in running(bag="runs/a")


def test_arguments_reach_every_node_they_concern() -> None:
    found = running(task="transfer_cube", policy="expert", speed="2", dynamics="identified", lockstep="true")
    assert found["speed_policy"].parameters == {
        "speed": "2",
        "policy": "expert",
        "task": "transfer_cube",
        "profile": "identified",
        "lockstep": True,
    }
    assert found["task_policy"].parameters["policy"] == "expert"
    assert {p.parameters["profile"] for p in found.values() if "profile" in p.parameters} == {"identified"}
    assert {p.parameters["lockstep"] for p in found.values() if "lockstep" in p.parameters} == {True}
    assert found["sim"].parameters["real_time_factor"] == 1.0


def test_a_learned_speeds_task_policy_runs_as_it_was_learned(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.json").write_text('{"k_skip": 20, "ensemble": true}')
    # Its node refuses what differs, with both values.
    for given, expected in (({}, (20, True)), ({"k_skip": "5"}, (5, True)), ({"ensemble": "false"}, (20, False))):
        found = running(speed=f"rainbow:{tmp_path}", **given)
        retimer, speed_policy = found["retimer"].parameters, found["speed_policy"].parameters
        assert (retimer["scheduler.k_skip"], retimer["scheduler.ensemble"]) == expected
        assert (speed_policy["k_skip"], speed_policy["ensemble"]) == expected
    assert not {"k_skip", "ensemble"} & set(running(speed="2")["speed_policy"].parameters)


def test_dynamics_follow_the_robot() -> None:
    assert running()["retimer"].parameters["profile"] == "act"
    assert running(robot="real")["retimer"].parameters["profile"] == "hardware"
    assert running(robot="real", dynamics="act")["retimer"].parameters["profile"] == "act"


@pytest.mark.parametrize("text", ["1.5", "2", "2e-1", "constant:3", "phase:table"])
def test_the_speed_is_passed_on_as_it_is(text: str) -> None:
    assert running(speed=text)["speed_policy"].parameters["speed"] == text


def test_a_user_s_parameter_file_lies_over_the_shipped_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("ns:\n  retimer:\n    ros__parameters: {scheduler: {k_skip: 5}}\n/**:\n  ros__parameters: {}\n")
    shipped, mine = running(params=str(path))["retimer"].parameter_files
    assert Path(shipped).name == "retimer.yaml"
    assert mine == str(path)


def test_several_parameter_files_lie_over_each_other_in_order(tmp_path: Path) -> None:
    paths = [str(tmp_path / name) for name in ("limits.yaml", "delay.yaml")]
    for path in paths:
        Path(path).write_text("retimer: {ros__parameters: {}}\n")
    assert running(params=", ".join(paths))["retimer"].parameter_files[1:] == tuple(paths)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such file"),
        ("{a: [1", "not YAML"),
        ("- 1", "expected a mapping of node names"),
        ("retimer: 3", "expected 'ros__parameters' and a mapping under 'retimer', got 3"),
        ("ns: {retimer: {k_skip: 5}}", "expected 'ros__parameters' and a mapping under 'ns/retimer/k_skip', got 5"),
        ("retimer: {ros__parameters: 5}", "expected 'ros__parameters' and a mapping under 'retimer'"),
    ],
)
def test_a_parameter_file_of_another_form_is_refused_by_its_path(
    text: str | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=f"{path}: {message}"):
        graph.processes({"params": str(path)})


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"speeed": "2"}, UnknownNameError, "unknown launch argument 'speeed'; .*Did you mean 'speed'"),
        ({"robot": "reel"}, UnknownNameError, "unknown robot 'reel'; available: real, sim"),
        ({"task": "fold"}, UnknownNameError, "unknown task 'fold'; available: .*transfer_cube"),
        ({"record": "yes"}, UnknownNameError, "unknown record 'yes'; available: false, true"),
        ({"xs_sim": "true"}, ConfigError, "xs_sim: stands in for real arms; expected robot real, got sim"),
        ({"teleop": "true"}, ConfigError, "teleop: leaders lead real arms, .* expected robot real, got sim"),
        ({"leader_script": "true", "robot": "real", "teleop": "true"}, ConfigError, "leader_script: .* xs_sim true"),
        ({"lockstep": "true", "robot": "real"}, ConfigError, "lockstep: only a simulation can wait"),
        ({"robot": "real", "policy": "expert"}, ConfigError, "policy 'expert': .* real arms know nothing of; expected"),
        ({"robot": "real"}, ConfigError, "policy: no checkpoint of 'act' .* 'hardware'.* expected .*, rehearsal"),
        ({"policy": "nowhere/at/all"}, UnknownNameError, "unknown policy.* 'nowhere/at/all'"),
        ({"cameras": "top:96"}, ConfigError, "cameras: expected name or name:HEIGHTxWIDTH, .* got 'top:96'"),
        ({"cameras": "top:0x96"}, ConfigError, "cameras: expected name or name:HEIGHTxWIDTH"),
        ({"cameras": "top,top:96x96"}, ConfigError, "cameras: 'top' is given twice"),
        ({"speed": "nan"}, InvalidInputError, "speed: expected a finite number above 0, got nan"),
        ({"speed": "constant:-1"}, InvalidInputError, "speed: expected a finite number above 0, got -1"),
        ({"real_time_factor": "fast"}, ConfigError, "real_time_factor: expected a number, got 'fast'"),
    ],
)
def test_bad_arguments_are_refused(given: dict[str, str], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        graph.processes(given)


def test_cameras_are_read_with_and_without_size() -> None:
    assert graph.cameras("top:96x128, angle") == [("top", (96, 128)), ("angle", None)]
    assert graph.cameras("none") == graph.cameras("") == []
    assert running(cameras="none")["sim"].parameters["cameras"] == [""]


def test_every_argument_and_default_is_usable_and_explained() -> None:
    names = [argument.name for argument in graph.ARGUMENTS]
    assert len(set(names)) == len(names)
    used = {name for node in graph.NODES for name in (*node.parameters.values(), *node.when)} | {"params", "preset"}
    used |= {"bringup", "robot_model", "camera_serials", "on_exit", "enclave"}  # of no single node: test_bringup.py
    assert used == {*names, "scene"}  # which follows from the task
    for argument in graph.ARGUMENTS:
        assert len(argument.doc) > 10
        assert not argument.choices or argument.default in argument.choices


def test_a_launch_file_may_narrow_the_robot() -> None:
    (robot,) = (a for a in graph.arguments("sim", ("sim",)) if a.name == "robot")
    assert (robot.default, robot.choices) == ("sim", ("sim",))


@pytest.mark.parametrize("node", graph.NODES, ids=lambda node: node.name)
def test_every_node_has_a_parameter_file_it_reads(node: graph.Node) -> None:
    path = Path(__file__).resolve().parent.parent / node.parameter_file
    assert isinstance(read_parameters(path, node.name), dict)
    assert set(yaml.safe_load(path.read_text())) <= {"/**", node.name} or node.per_camera
