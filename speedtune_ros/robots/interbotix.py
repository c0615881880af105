"""Dynamixel X motors as an Interbotix arm wires them: joints, registers, units, error bits.

Control table: https://emanual.robotis.com/docs/en/dxl/x/xm540-w270/
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntFlag

from speedtune_ros.aloha import ARM_JOINTS

GRIPPER = "gripper"
JOINTS = (*ARM_JOINTS, GRIPPER)  # the order of Interbotix's joint states; fingers follow
FINGERS = ("left_finger", "right_finger")
ARM_GROUP = "arm"
ALL_GROUP = "all"
GROUPS: Mapping[str, tuple[str, ...]] = {ARM_GROUP: ARM_JOINTS, ALL_GROUP: JOINTS}
FOLLOWERS = ("follower_left", "follower_right")
LEADERS = ("leader_left", "leader_right")

VELOCITY_UNIT = 0.229 * 2.0 * math.pi / 60.0  # [rad/s] of one count
CURRENT_UNIT = 2.69  # [mA] of one count
POSITION_UNIT = 2.0 * math.pi / 4096  # [rad] of one count
STANDARD_P_GAIN = 800  # of ALOHA, and of the motor after a reboot

POSITION_MODES = ("position", "ext_position", "linear_position", "current_based_position")
MODES = (*POSITION_MODES, "velocity", "pwm", "current")
# Numbers of the register Operating_Mode; linear_position is Interbotix's own, the motor knows position alone.
MODE_NUMBERS: Mapping[str, int] = {
    "current": 0,
    "velocity": 1,
    "position": 3,
    "linear_position": 3,
    "ext_position": 4,
    "current_based_position": 5,
    "pwm": 16,
}


class HardwareError(IntFlag):
    """Bits of the register Hardware_Error_Status."""

    INPUT_VOLTAGE = 0x01
    OVER_TEMPERATURE = 0x04
    ENCODER = 0x08
    ELECTRICAL_SHOCK = 0x10
    OVERLOAD = 0x20


def error_names(status: int) -> str:
    """A Hardware_Error_Status in words, as `over_temperature+overload`."""
    known = [error.name.lower() for error in HardwareError if status & error and error.name]
    return "+".join(known) or f"unknown error {status:#x}"


@dataclass(frozen=True)
class MotorType:
    """torque_constant [N m/A] is stall torque over stall current at 12 V; current_limit [mA]; heat_limit [deg C]."""

    torque_constant: float
    current_limit: float
    heat_limit: float


# https://emanual.robotis.com/docs/en/dxl/x/xm540-w270/ and https://emanual.robotis.com/docs/en/dxl/x/xm430-w350/
XM540 = MotorType(10.6 / 4.4, 2047 * CURRENT_UNIT, 80.0)
XM430 = MotorType(4.1 / 2.3, 1193 * CURRENT_UNIT, 80.0)


@dataclass(frozen=True)
class Joint:
    """The motors of one joint, of one type; two share shoulder and elbow."""

    motor: MotorType
    count: int
    id: int


# https://github.com/Interbotix/interbotix_ros_manipulators, interbotix_xsarm_control/config/vx300s.yaml
VIPERX: Mapping[str, Joint] = {
    "waist": Joint(XM540, 1, 1),
    "shoulder": Joint(XM540, 2, 2),
    "elbow": Joint(XM540, 2, 4),
    "forearm_roll": Joint(XM540, 1, 6),
    "wrist_angle": Joint(XM540, 1, 7),
    "wrist_rotate": Joint(XM430, 1, 8),
    GRIPPER: Joint(XM430, 1, 9),
}
# Of simulated arms [rad]; real ones tell their own: vx300s, aloha_vx300s and the versions of the latter differ by up to
# 2.8 rad at the wrist. Here as in interbotix_xsarm_control/config/aloha_vx300s.yaml, main.
SLEEP = (0.0, -1.80, 1.55, 0.0, -1.57, 0.0)
ASLEEP = (*SLEEP, 0.0) * 2  # both arms (14,), as a command
FIRMWARE_VELOCITY_LIMIT = 131  # counts, same file

# In RAM: a reboot brings these back.
RAM_DEFAULTS: Mapping[str, int] = {
    "Position_P_Gain": STANDARD_P_GAIN,
    "Position_I_Gain": 0,
    "Position_D_Gain": 0,
    "Feedforward_1st_Gain": 0,
    "Feedforward_2nd_Gain": 0,
    "Velocity_P_Gain": 100,
    "Velocity_I_Gain": 1920,
    "Profile_Velocity": 0,
    "Profile_Acceleration": 0,
}
GAIN_REGISTERS = tuple(RAM_DEFAULTS)[:7]  # the order of MotorGains
