"""The robot's own software: what is started, with which arguments, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from speedtune_ros import bringup, graph
from speedtune_ros.config import load
from speedtune_ros.errors import ConfigError, UnknownNameError
from speedtune_ros.robots.bring_up import BringUpConfig
from speedtune_ros.share import share_path

REAL = {"robot": "real", "policy": "rehearsal", "cameras": "top,left_wrist"}


def test_by_default_nothing_is_started() -> None:
    assert graph.includes(REAL) == () == graph.includes({})


def test_both_followers_by_interbotix_s_own_launch_file() -> None:
    found = graph.includes({**REAL, "bringup": "arms", "robot_model": "aloha_vx300s"})
    assert [include.name for include in found] == ["follower_left", "follower_right"]
    assert {(i.package, i.file) for i in found} == {("interbotix_xsarm_control", "xsarm_control.launch.py")}
    for include in found:
        assert include.arguments["robot_name"] == include.name and include.arguments["robot_model"] == "aloha_vx300s"
        assert Path(include.arguments["mode_configs"]).name == f"{include.name}.yaml"


@pytest.mark.parametrize("arm", ["follower_left", "follower_right"])
def test_arms_come_up_as_the_driver_expects_to_find_them(arm: str) -> None:
    content = yaml.safe_load(share_path(f"config/interbotix/{arm}.yaml").read_text())
    expected = load_bring_up()
    assert content["port"] == f"/dev/ttyDXL_{arm}"
    group, gripper = content["groups"]["arm"], content["singles"]["gripper"]
    assert (group["operating_mode"], gripper["operating_mode"]) == (expected.arm_mode, expected.gripper_mode)
    assert all(joint["profile_velocity"] == joint["profile_acceleration"] == 0 for joint in (group, gripper))
    assert group["torque_enable"] and gripper["torque_enable"]


def load_bring_up() -> BringUpConfig:
    from speedtune_ros.config import build, read_parameters

    values = read_parameters(share_path("config/arm_driver.yaml"), "arm_driver")
    return build(BringUpConfig, values["interbotix"]["bring_up"])


def test_one_realsense_for_each_camera_by_its_serial_number() -> None:
    found = graph.includes({**REAL, "bringup": "cameras", "camera_serials": "top:123,cam_left_wrist:0456"})
    assert [include.name for include in found] == ["cam_high", "cam_left_wrist"]
    assert [include.arguments["serial_no"] for include in found] == ["'123'", "'0456'"]
    assert {(i.package, i.file) for i in found} == {("realsense2_camera", "rs_launch.py")}
    high = found[0].arguments
    topic = f"/{high['camera_namespace']}/{high['camera_name']}/color/image_rect_raw"
    assert topic == bringup.realsense_topic("top")
    assert len(graph.includes({**REAL, "bringup": "all", "camera_serials": "top:1,left_wrist:2"})) == 4


def test_a_single_camera_needs_no_serial_number() -> None:
    (only,) = graph.includes({**REAL, "cameras": "top", "bringup": "cameras"})
    assert only.arguments["serial_no"] == "''"


@pytest.mark.parametrize("name", ["top", "angle", "left_wrist", "right_wrist", "cam_high", "cam_low"])
def test_camera_nodes_subscribe_to_what_is_started(name: str) -> None:
    from speedtune_ros.nodes.camera import CameraConfig

    config = load(CameraConfig, share_path("config/camera.yaml"), f"camera_{name}", {"driver": "realsense"})
    assert config.topic == bringup.realsense_topic(name)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"robot": "sim", "bringup": "arms"}, ConfigError, "bringup: starts real hardware; .* got arms"),
        ({"xs_sim": "true", "bringup": "all"}, ConfigError, "bringup: starts real hardware; .* got all"),
        ({"camera_driver": "v4l2", "bringup": "cameras"}, ConfigError, "bringup: cameras starts RealSense cameras"),
        ({"bringup": "cameras"}, ConfigError, "2 cameras to start, no serial number of cam_high, cam_left_wrist"),
        ({"bringup": "all", "camera_serials": "top:12a"}, ConfigError, "expected NAME:NUMBER, .* got 'top:12a'"),
        ({"bringup": "all", "camera_serials": "roof:12"}, UnknownNameError, "unknown camera of the robot 'roof'"),
        ({"xs_sim": "true", "camera_driver": "v4l2"}, ConfigError, "simulated cameras are no devices"),
        ({"enclave": "speedtune"}, ConfigError, "enclave: expected a path of names as /speedtune"),
    ],
)
def test_what_cannot_be_had_is_refused(given: dict[str, str], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        graph.includes({**REAL, **given})
