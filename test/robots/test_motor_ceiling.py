"""The ceiling from motor temperature and load, and what it does for motors that get hot."""

from __future__ import annotations

import numpy as np
import pytest

from speedtune_ros.errors import ConfigError
from speedtune_ros.robots.motor_ceiling import CeilingConfig, MotorCeiling, MotorLoad
from speedtune_ros.robots.xs_heat import HeatConfig, MotorHeat

NAMES = ("left_waist", "left_elbow")
CONFIG = CeilingConfig()
IDLE = np.zeros(2)


def ceiling(temperature, load=IDLE, after=()):
    policy = MotorCeiling(NAMES, CONFIG)
    for earlier in after:
        policy.update(np.array(earlier), IDLE, 1.0)
    return policy.update(np.array(temperature), np.asarray(load), 1.0)


def test_cool_motors_set_no_limit():
    assert ceiling([30.0, 50.0]) is None


def test_it_falls_from_fastest_when_warm_to_slowest_when_hot():
    warm = ceiling([30.0, 55.0])
    assert (warm.reason, warm.joint) == ("motor_temperature", "left_elbow")
    speeds = [ceiling([t, 30.0]).speed for t in (55.0, 60.0, 65.0, 70.0, 79.0)]
    assert speeds == pytest.approx([3.5, 2.5, 1.5, 0.5, 0.5])


def test_the_lower_of_temperature_and_load_binds_and_is_named():
    both = ceiling([55.0, 30.0], [0.1, 0.625])
    assert (both.reason, both.joint) == ("motor_load", "left_elbow") and both.speed == pytest.approx(2.5)
    hot = ceiling([65.0, 30.0], [0.1, 0.625])
    assert (hot.reason, hot.joint) == ("motor_temperature", "left_waist")


def test_it_rises_slowly():
    held = ceiling([30.0, 30.0], after=[[65.0, 30.0]])
    assert held.speed == pytest.approx(1.5 + CONFIG.recovery)


def test_load_is_the_root_mean_square_share():
    load = MotorLoad(np.array([1000.0, 2000.0]), 5.0)
    for tick in range(5000):
        load.add(np.array([500.0 * (-1) ** tick, 500.0]), 0.02)
    np.testing.assert_allclose(load.share, [0.5, 0.25], rtol=1e-3)


def work(policy, hours):
    """Largest temperature, and the speed at the end, of motors whose current grows with speed; 3x is asked for."""
    heat, speed, hottest = MotorHeat(2, HeatConfig(ambient=28.0)), 3.0, 0.0
    for _ in range(round(hours * 3600)):
        current = np.array([0.4, 0.9 + 0.12 * speed**2])  # [A]: gravity, and accelerations with the square of speed
        temperature = heat.step(current, 1.0)
        hottest = max(hottest, float(temperature.max()))
        limit = policy.update(np.floor(temperature), IDLE, 1.0) if policy else None
        speed = 3.0 if limit is None else min(3.0, limit.speed)
    return hottest, speed


def test_motors_that_would_shut_down_are_slowed_before_and_keep_working():
    assert work(None, 1.0)[0] > 80.0
    hottest, speed = work(MotorCeiling(NAMES, CONFIG), 3.0)
    assert hottest < CONFIG.fault_c
    assert 1.0 < speed < 3.0


def test_thresholds_must_be_in_order():
    with pytest.raises(ConfigError, match="expected warm_c < hot_c < fault_c"):
        CeilingConfig(warm_c=70.0)
