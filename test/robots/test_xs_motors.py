"""The simulated motors: limits, ramp, heat and shut-down worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from speedtune_ros.errors import InvalidInputError, UnknownNameError
from speedtune_ros.robots.interbotix import XM540, HardwareError, error_names
from speedtune_ros.robots.xs_heat import HeatConfig, MotorHeat
from speedtune_ros.robots.xs_motors import SimulatedMotors

ALL = list(range(7))


def make(**options):
    return SimulatedMotors(np.zeros(7), np.full(7, -2.0), np.full(7, 2.0), heat=HeatConfig(), **options)


def test_the_demand_climbs_at_the_firmware_s_limit():
    motors = make()
    motors.command(ALL, np.full(7, 1.0))
    demands = [motors.drive(0.1).goal[0] for _ in range(5)]
    step = 131 * 0.229 * 2.0 * np.pi / 60.0 * 0.1  # 0.314 rad
    np.testing.assert_allclose(demands, [step, 2 * step, 3 * step, 1.0, 1.0])


def test_arm_joints_are_no_faster_than_their_build_allows():
    motors = make(speed=0.5)
    motors.command(ALL, np.full(7, 1.0))
    np.testing.assert_allclose(motors.drive(0.1).goal[[0, 6]], [0.05, 131 * 0.229 * 2.0 * np.pi / 60.0 * 0.1])


@pytest.mark.parametrize("goal", [2.1, np.nan, -np.inf])
def test_a_goal_outside_its_limits_is_ignored_by_that_motor(goal):
    motors = make()
    motors.command([0, 1], np.array([goal, 0.05]))
    assert motors.refused == 1
    np.testing.assert_allclose(motors.drive(1.0).goal[:2], [0.0, 0.05])


def test_a_motor_without_torque_takes_no_goal_and_holds_where_it_is_found():
    motors = make(torque=False)
    motors.command(ALL, np.full(7, 1.0))
    assert not motors.drive(0.1).torque.any()
    motors.measure(np.full(7, 0.3), np.zeros(7), np.zeros(7), 0.01)
    motors.set_torque([2], True)
    drive = motors.drive(0.1)
    assert drive.torque.tolist() == [False, False, True, False, False, False, False] and drive.goal[2] == 0.3


def test_current_is_torque_over_both_motors_of_the_joint():
    motors = make()
    motors.measure(np.zeros(7), np.zeros(7), np.full(7, 2.0), 0.01)
    constant = 10.6 / 4.4
    np.testing.assert_allclose(motors.current[[0, 1]], [2.0e3 / constant, 1.0e3 / constant])


def test_heat_follows_its_equation():
    heat = MotorHeat(2, HeatConfig(ambient=20.0, rise=40.0, time_constant=100.0))
    current = np.array([1.0, 0.5])
    for _ in range(100):
        heat.step(current, 1.0)
    np.testing.assert_allclose(heat.temperature, 20.0 + 40.0 * current**2 * (1.0 - np.exp(-1.0)))


def test_hot_and_overloaded_motors_shut_down_until_a_reboot():
    motors = make()
    motors.heat.temperature[0] = 80.5
    strain = np.zeros(7)
    strain[1] = 2.0 * XM540.torque_constant * XM540.current_limit * 1e-3
    for _ in range(12):
        motors.measure(np.zeros(7), np.zeros(7), strain, 0.1)
    assert motors.errors[:3].tolist() == [HardwareError.OVER_TEMPERATURE, HardwareError.OVERLOAD, 0]
    assert motors.torque[:3].tolist() == [False, False, True]
    motors.set_torque(ALL, True)
    assert not motors.torque[0]
    motors.heat.temperature[0] = 30.0
    motors.write(ALL, "Position_P_Gain", 100)
    assert motors.reboot(ALL, only_errors=True) == [0, 1]
    assert motors.read(ALL, "Position_P_Gain") == [800, 800, 100, 100, 100, 100, 100]


def test_registers_in_eeprom_take_no_value_under_torque():
    motors = make()
    motors.write(ALL, "Velocity_Limit", 50)
    assert motors.read([0], "Velocity_Limit") == [131]
    motors.set_torque([0], False)
    motors.write(ALL, "Velocity_Limit", 50)
    assert motors.read([0, 1], "Velocity_Limit") == [50, 131]


def test_unknown_names_are_refused():
    motors = make()
    with pytest.raises(UnknownNameError, match="Did you mean 'Position_P_Gain'"):
        motors.read(ALL, "Position_P_gain")
    with pytest.raises(UnknownNameError, match="unknown writable register"):
        motors.write(ALL, "Present_Temperature", 3)
    with pytest.raises(UnknownNameError, match="unknown group 'leg'; available: all, arm"):
        motors.joints("group", "leg")
    with pytest.raises(InvalidInputError, match="expected group or single, got 'pair'"):
        motors.joints("pair", "arm")
    with pytest.raises(UnknownNameError, match="unknown operating mode"):
        motors.set_mode(ALL, "fast")
    assert error_names(0x24) == "over_temperature+overload"
