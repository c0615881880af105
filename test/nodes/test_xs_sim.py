"""The simulated Interbotix arms speak the contract of the real ones."""

from __future__ import annotations

import time

import numpy as np
import pytest
from sensor_msgs.msg import JointState

from speedtune_msgs.srv import InjectFault
from speedtune_ros.aloha import START_ARM_POSE
from speedtune_ros.robots.interbotix import ARM_GROUP, FINGERS, JOINTS, SLEEP

pytest.importorskip("interbotix_xs_msgs", reason="interbotix_xs_msgs is not built: run `make xs_sim`")

from interbotix_xs_msgs.msg import JointGroupCommand, JointSingleCommand
from interbotix_xs_msgs.srv import (
    MotorGains,
    OperatingModes,
    Reboot,
    RegisterValues,
    RobotInfo,
    TorqueEnable,
)

pytestmark = pytest.mark.ros
ARM = "follower_left"


@pytest.fixture(scope="module", autouse=True)
def stack(unhurried, graph, client):
    graph.start("xs_sim")
    for arm in (ARM, "follower_right", "leader_left", "leader_right"):
        client.create_subscription(JointState, f"{arm}/joint_states", client.heard[arm].append, 10)
    client.until(lambda: client.heard[ARM] and client.heard["leader_right"], "joint states")


@pytest.fixture
def group(client):
    publisher = client.create_publisher(JointGroupCommand, f"{ARM}/commands/joint_group", 10)
    client.until(lambda: publisher.get_subscription_count() > 0, "the arm's ear")
    return lambda *positions: publisher.publish(JointGroupCommand(name="arm", cmd=[float(p) for p in positions]))


def position(client, arm=ARM):
    return np.array(client.heard[arm][-1].position)


def register(client, name, joints="group arm"):
    kind, _, which = joints.partition(" ")
    return list(client.call(RegisterValues, f"{ARM}/get_motor_registers", cmd_type=kind, name=which, reg=name).values)


def inject(client, fault, active=True, joint="", value=0.0):
    answer = client.call(InjectFault, "xs_sim/inject", arm=ARM, fault=fault, active=active, joint=joint, value=value)
    assert answer.success, answer.message
    return answer


def test_joint_states_are_those_of_interbotix(client):
    message = client.heard[ARM][-1]
    assert list(message.name) == [*JOINTS, *FINGERS]
    assert len(message.position) == len(message.velocity) == len(message.effort) == 9
    np.testing.assert_allclose(message.position[:6], SLEEP, atol=0.03)
    assert message.position[7] == -message.position[8]
    # held against gravity: hundreds of milliamperes at the elbow, not newton metres
    client.until(lambda: 100.0 < abs(client.heard[ARM][-1].effort[2]) < 2000.0, "a current")


def test_they_come_a_hundred_times_a_second(client):
    begun = len(client.heard["leader_left"])
    time.sleep(2.0)
    assert len(client.heard["leader_left"]) - begun > 100  # a loaded machine may lose some


def test_information_is_the_motors_own(client):
    arm = client.call(RobotInfo, f"{ARM}/get_robot_info", cmd_type="group", name=ARM_GROUP)
    assert (arm.mode, arm.profile_type, arm.num_joints) == ("position", "velocity", 6)
    assert list(arm.joint_names) == list(JOINTS[:6]) and list(arm.joint_ids) == [1, 2, 4, 6, 7, 8]
    np.testing.assert_allclose(arm.joint_sleep_positions, SLEEP, atol=1e-6)
    gripper = client.call(RobotInfo, f"{ARM}/get_robot_info", cmd_type="single", name="gripper")
    assert (gripper.mode, list(gripper.joint_names)) == ("current_based_position", ["left_finger"])
    assert register(client, "Velocity_Limit") == [131] * 6
    assert register(client, "Temperature_Limit", "group all") == [80] * 7
    nobody = client.call(RobotInfo, f"{ARM}/get_robot_info", cmd_type="group", name="leg")
    assert nobody.num_joints == 0


def test_commands_move_the_arm_no_faster_than_the_firmware_allows(client, group):
    start = len(client.heard[ARM])
    group(1.5, *START_ARM_POSE[1:])
    client.until(lambda: abs(position(client)[0] - 1.5) < 0.02, "the arm at its goal")
    fastest = max(abs(message.velocity[0]) for message in client.heard[ARM][start:])
    assert 1.5 < fastest < np.pi
    before = position(client)
    group(0.0, -2.5, 1.0, 0.0, 0.0, 0.0)  # the shoulder's goal is beyond its limit: that motor ignores it
    client.until(lambda: abs(position(client)[0]) < 0.05, "the other joints")
    assert abs(position(client)[1] - before[1]) < 0.1
    group(*START_ARM_POSE)


def test_a_single_command_moves_the_gripper(client):
    publisher = client.create_publisher(JointSingleCommand, f"{ARM}/commands/joint_single", 10)
    client.until(lambda: publisher.get_subscription_count() > 0, "the arm's ear")
    publisher.publish(JointSingleCommand(name="gripper", cmd=1.2))
    client.until(lambda: abs(position(client)[6] - 1.2) < 0.01, "an open gripper")
    assert position(client)[7] == pytest.approx(0.0556, abs=0.0003)  # crank of 22 mm, arm of 36 mm


def test_gains_change_tracking_and_a_reboot_forgets_them(client, group):
    group(*START_ARM_POSE)
    client.until(lambda: np.abs(position(client)[:6] - START_ARM_POSE).max() < 0.03, "the start pose")
    stiff = abs(position(client)[2] - START_ARM_POSE[2])
    write = dict(cmd_type="group", name="arm")
    client.call(RegisterValues, f"{ARM}/set_motor_registers", reg="Position_P_Gain", value=100, **write)
    assert register(client, "Position_P_Gain") == [100] * 6
    client.until(lambda: abs(position(client)[2] - START_ARM_POSE[2]) > 4.0 * stiff, "a sagging elbow")
    client.call(MotorGains, f"{ARM}/set_motor_pid_gains", kp_pos=700, kd_pos=3, **write)
    assert register(client, "Position_D_Gain") == [3] * 6 and register(client, "Velocity_I_Gain") == [0] * 6
    client.call(Reboot, f"{ARM}/reboot_motors", enable=True, smart_reboot=False, **write)
    assert register(client, "Position_P_Gain") == [800] * 6 and register(client, "Torque_Enable") == [1] * 6


def test_without_torque_the_arm_drops(client, group):
    group(*START_ARM_POSE)
    client.until(lambda: np.abs(position(client)[:6] - START_ARM_POSE).max() < 0.05, "the start pose")
    client.call(TorqueEnable, f"{ARM}/torque_enable", cmd_type="group", name="arm", enable=False)
    client.until(lambda: position(client)[1] < -1.3, "a falling arm")
    fallen = position(client)[:6]
    client.call(TorqueEnable, f"{ARM}/torque_enable", cmd_type="group", name="arm", enable=True)
    assert np.abs(position(client)[:6] - fallen).max() < 0.6  # it holds about where it is, and does not jump back


def test_it_drops_while_its_mode_is_switched_too(client, group):
    group(*START_ARM_POSE)
    client.until(lambda: np.abs(position(client)[:6] - START_ARM_POSE).max() < 0.05, "the start pose")
    held = position(client)[1]
    request = dict(cmd_type="group", name="arm", mode="position", profile_type="velocity")
    client.call(OperatingModes, f"{ARM}/set_operating_modes", **request)
    client.until(lambda: position(client)[1] < held - 0.002, "a lower shoulder")


def test_faults_come_and_go(client):
    inject(client, "nan_read")
    client.until(lambda: np.isnan(position(client)).all(), "NaN")
    inject(client, "nan_read", active=False)
    inject(client, "pi_read")
    client.until(lambda: (position(client)[:7] == -np.pi).all(), "-pi")
    inject(client, "pi_read", active=False)
    client.until(lambda: abs(position(client)[0]) < 3.0, "joint states")
    inject(client, "frozen")
    client.until(lambda: client.heard[ARM][-1].header.stamp != client.heard[ARM][-9].header.stamp, "states")
    inject(client, "frozen", active=False)
    inject(client, "missing_service")
    probe = client.create_client(RegisterValues, f"{ARM}/get_motor_registers")
    client.until(lambda: not probe.service_is_ready(), "no service")
    inject(client, "missing_service", active=False)
    client.until(probe.service_is_ready, "the service")
    unknown = client.call(InjectFault, "xs_sim/inject", arm=ARM, fault="rust", active=True)
    assert not unknown.success and "available: frozen, " in unknown.message


def test_a_shut_down_motor_needs_a_reboot(client):
    inject(client, "overload", joint="elbow")
    assert register(client, "Hardware_Error_Status") == [0, 0, 0x20, 0, 0, 0]
    client.call(TorqueEnable, f"{ARM}/torque_enable", cmd_type="group", name="arm", enable=True)
    assert register(client, "Torque_Enable")[2] == 0
    client.call(Reboot, f"{ARM}/reboot_motors", cmd_type="group", name="arm", enable=True, smart_reboot=True)
    assert register(client, "Hardware_Error_Status") == [0] * 6 and register(client, "Torque_Enable") == [1] * 6
    inject(client, "over_temperature", joint="waist")
    client.until(lambda: register(client, "Hardware_Error_Status")[0] == 0x04, "a hot waist")
    inject(client, "over_temperature", joint="waist", value=25.0)
    client.call(Reboot, f"{ARM}/reboot_motors", cmd_type="group", name="arm", enable=True, smart_reboot=True)
    assert register(client, "Torque_Enable") == [1] * 6


def test_silence_is_complete_until_it_is_mended(client):
    inject(client, "silence")
    time.sleep(0.3)
    heard = len(client.heard[ARM])
    time.sleep(0.5)
    assert len(client.heard[ARM]) == heard
    inject(client, "silence", active=False)
    client.until(lambda: len(client.heard[ARM]) > heard, "joint states")
