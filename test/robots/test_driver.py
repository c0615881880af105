from __future__ import annotations

import numpy as np
import pytest

from speedtune_ros.aloha import CONTROL_DT_NS, NUM_JOINTS
from speedtune_ros.errors import InvalidInputError
from speedtune_ros.robots.driver import Driver, DriverConfig, DriverState, DriverTick
from speedtune_ros.robots.robot import Limits
from speedtune_ros.types import RobotState, Trajectory

TICK = CONTROL_DT_NS
T0 = 100 * TICK


def limits(velocity: float = np.inf, bound: float = 2.0) -> Limits:
    edge = np.full(NUM_JOINTS, bound)
    return Limits(-edge, edge, np.full(NUM_JOINTS, velocity))


def line(start_ns: int = T0, rate: float = 1.0, ticks: int = 50, first: float = 0.0, sequence: int = 1) -> Trajectory:
    """Every joint at `rate` per second from `first` on, at twice demonstrated speed; the last point is at rest."""
    times = np.arange(ticks + 1) * TICK / 1e9
    positions = np.repeat((first + rate * times)[:, None], NUM_JOINTS, axis=1)
    velocities, speeds = np.full_like(positions, rate), np.full(ticks + 1, 2.0)
    velocities[-1], speeds[-1] = 0.0, 0.0
    return Trajectory(start_ns, times, positions, velocities, 5.0 + 2.0 * times, speeds, sequence=sequence)


def state(stamp_ns: int, position: float = 0.0) -> RobotState:
    return RobotState(stamp_ns, np.full(NUM_JOINTS, position), np.zeros(NUM_JOINTS))


def make(velocity: float = np.inf, start: float = 0.0, bound: float = 2.0) -> Driver:
    return Driver(limits(velocity, bound), np.full(NUM_JOINTS, start))


def tick(driver: Driver, n: int) -> DriverTick:
    return driver.tick(state(T0 + n * TICK))


def test_holds_the_start_without_a_trajectory() -> None:
    sent = tick(make(start=0.3), 0)
    assert (sent.command == 0.3).all()
    assert (sent.state, sent.faults, sent.speed, sent.progress) == (DriverState.HOLDING, (), 0.0, 0.0)
    assert sent.stamp_ns == T0
    assert sent.tracking_error == pytest.approx(0.3)


def test_tracks_a_trajectory_tick_by_tick() -> None:
    driver = make()
    driver.load(line(T0 + 2 * TICK, sequence=7))
    sent = [tick(driver, n) for n in range(5)]
    assert [s.command[0] for s in sent] == pytest.approx([0.0, 0.0, 0.0, 0.02, 0.04])
    states = [DriverState.HOLDING] * 2 + [DriverState.TRACKING] * 3
    assert [s.state for s in sent] == states
    assert [s.trajectory for s in sent] == [0, 0, 7, 7, 7]
    assert [s.progress for s in sent] == pytest.approx([0.0, 0.0, 5.0, 5.04, 5.08])
    assert [s.speed for s in sent] == [0.0, 0.0, 2.0, 2.0, 2.0]


def test_holds_where_a_trajectory_ends() -> None:
    driver = make()
    driver.load(line(ticks=10))
    for n in range(30):
        sent = tick(driver, n)
    assert sent.command == pytest.approx(np.full(NUM_JOINTS, 0.2))
    assert (sent.state, sent.speed) == (DriverState.HOLDING, 0.0)
    assert sent.progress == pytest.approx(5.4)


def test_the_old_trajectory_plays_until_the_new_one_starts() -> None:
    driver = make()
    driver.load(line())
    driver.load(line(T0 + 3 * TICK, first=1.0, sequence=2))
    assert [tick(driver, n).command[0] for n in range(5)] == pytest.approx([0.0, 0.02, 0.04, 1.0, 1.02])


def test_a_trajectory_from_the_recent_past_is_sampled_now() -> None:
    driver = make()
    tick(driver, 5)
    driver.load(line())
    assert tick(driver, 6).command[0] == pytest.approx(0.12)


def test_a_trajectory_from_long_ago_is_refused() -> None:
    driver = make()
    tick(driver, 26)
    with pytest.raises(InvalidInputError, match=r"trajectory refused: it began 0.520 s ago, at most 0.5 s allowed"):
        driver.load(line())
    sent = tick(driver, 27)
    assert sent.refused == driver.refused == 1
    assert (sent.command == 0.0).all()
    tick(driver, 25)
    driver.load(line())  # exactly at the limit


def test_tracking_error_is_the_measured_state_against_the_last_command() -> None:
    driver = make()
    driver.load(line())
    for n in range(11):
        tick(driver, n)
    position = np.full(NUM_JOINTS, 0.2)
    position[4] = 0.15
    position[6] = 0.9  # a gripper is not an angle
    sent = driver.tick(RobotState(T0 + 11 * TICK, position, np.zeros(NUM_JOINTS)))
    assert sent.tracking_error == pytest.approx(0.05)


class TestStop:
    def test_is_latched_and_holds_the_last_command(self) -> None:
        driver = make()
        driver.load(line())
        tick(driver, 10)
        driver.stop()
        for n in (11, 40):
            sent = tick(driver, n)
            assert sent.command[0] == pytest.approx(0.2)
            assert (sent.state, sent.speed) == (DriverState.STOPPED, 0.0)
        assert sent.progress == pytest.approx(5.4)

    def test_refuses_trajectories_until_cleared(self) -> None:
        driver = make()
        driver.stop()
        with pytest.raises(InvalidInputError, match="trajectory refused: the driver is stopped; clear the stop first"):
            driver.load(line())
        assert driver.refused == 1
        driver.clear_stop()
        driver.load(line())
        assert tick(driver, 1).command[0] == pytest.approx(0.02)

    def test_cleared_it_holds_rather_than_resuming(self) -> None:
        driver = make()
        driver.load(line(sequence=3))
        tick(driver, 10)
        driver.stop()
        driver.clear_stop()
        sent = tick(driver, 20)
        assert sent.command[0] == pytest.approx(0.2)
        assert (sent.state, sent.trajectory) == (DriverState.HOLDING, 3)
        assert sent.progress == pytest.approx(5.4)


def test_hold_drops_the_trajectory_but_takes_the_next() -> None:
    driver = make()
    driver.load(line())
    tick(driver, 10)
    driver.hold()
    sent = tick(driver, 20)
    assert sent.command[0] == pytest.approx(0.2)
    assert (sent.state, sent.speed, sent.progress) == (DriverState.HOLDING, 0.0, pytest.approx(5.4))
    driver.load(line(T0 + 21 * TICK, first=0.5))
    assert tick(driver, 21).command[0] == pytest.approx(0.5)


class TestGuarded:
    def test_a_refused_command_holds_and_is_named(self) -> None:
        driver = make(bound=0.1)
        driver.load(line())
        sent = [tick(driver, n) for n in range(8)]
        assert [s.command[0] for s in sent] == pytest.approx([0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.1, 0.1])
        assert sent[6].state == DriverState.HOLDING
        assert sent[6].faults == ("left_waist: 0.1200 outside -0.1000 to 0.1000",)
        assert (sent[7].refused, sent[7].saturated, sent[6].speed) == (2, 0, 0.0)
        assert sent[7].progress == sent[5].progress

    def test_a_fault_latches_like_a_stop(self) -> None:
        driver = make(velocity=0.1)
        driver.load(line(ticks=90))
        sent = [tick(driver, n) for n in range(40)]
        # Ten times too fast: what moves is a tenth of what was asked for, however far the target is ahead.
        assert [s.speed for s in sent[1:25]] == pytest.approx([0.1 * 2.0] * 24)
        assert [s.state for s in sent[1:26]] == [DriverState.TRACKING] * 24 + [DriverState.FAULT]
        assert (sent[25].speed, sent[26].speed) == (0.0, 0.0)
        assert sent[39].command == pytest.approx(sent[25].command)
        assert sent[39].saturated == driver.saturated == 25
        assert sent[39].faults == ("target out of reach for 0.5 s",)
        with pytest.raises(InvalidInputError, match="the driver is fault; clear the stop first"):
            driver.load(line())
        driver.stop()
        assert tick(driver, 40).state == DriverState.FAULT  # a stop does not hide it
        driver.clear_stop()
        cleared = tick(driver, 41)
        assert (cleared.state, cleared.faults) == (DriverState.HOLDING, ())

    def test_a_stale_state_holds_until_a_fresh_one_comes(self) -> None:
        driver = make()
        driver.load(line())
        driver.tick(state(T0), T0)
        late = driver.tick(state(T0), T0 + 11 * TICK)
        assert (late.command == 0.0).all()
        assert (late.state, late.faults) == (DriverState.HOLDING, ("joint state 0.220 s old",))
        assert (late.refused, late.stamp_ns) == (1, T0 + 11 * TICK)
        fresh = driver.tick(state(T0 + 2 * TICK), T0 + 12 * TICK)  # exactly at the limit
        assert fresh.command[0] == pytest.approx(0.24)
        assert fresh.faults == ()


def test_missed_ticks_are_summed() -> None:
    driver = make()
    driver.tick(state(T0), missed=2)
    assert driver.tick(state(T0 + TICK), missed=1).missed_ticks == 3


def test_reset_forgets_all_but_the_counts() -> None:
    driver = make()
    driver.load(line())
    tick(driver, 10)
    driver.stop()
    with pytest.raises(InvalidInputError):
        driver.load(line())
    driver.reset(np.full(NUM_JOINTS, 0.7))
    sent = driver.tick(state(5 * TICK))  # the clock may start anew
    assert (sent.command == 0.7).all()
    assert (sent.state, sent.trajectory, sent.progress) == (DriverState.HOLDING, 0, 0.0)
    assert sent.refused == 1
    driver.load(line(6 * TICK))
    assert driver.tick(state(7 * TICK)).command[0] == pytest.approx(0.02)


def test_config_reaches_the_guard() -> None:
    config = DriverConfig(max_state_age=0.04, max_trajectory_age=0.02)
    driver = Driver(limits(), np.zeros(NUM_JOINTS), config=config)
    assert driver.tick(state(T0), T0 + 3 * TICK).faults != ()
    with pytest.raises(InvalidInputError, match="at most 0.02 s allowed"):
        driver.load(line(T0))


def test_the_robot_s_own_trouble_holds_and_what_was_playing_is_dropped() -> None:
    driver = make()
    driver.load(line(ticks=200))
    moving = tick(driver, 10)
    driver.suspend(("bus_silence follower_left",))
    held = tick(driver, 11)
    assert (held.state, held.faults) == (DriverState.HOLDING, ("bus_silence follower_left",))
    with pytest.raises(InvalidInputError, match="the driver holds: bus_silence follower_left"):
        driver.load(line())
    driver.suspend(())
    again = tick(driver, 20)
    assert (again.state, again.faults) == (DriverState.HOLDING, ())
    assert (again.command == moving.command).all()


def test_a_fault_of_the_robot_latches_until_it_is_cleared_where_the_arms_are() -> None:
    driver = make()
    driver.load(line(ticks=200))
    moving = tick(driver, 10)
    driver.fail(("overload follower_left/elbow",))
    driver.fail(("overload follower_left/elbow", "tracking_error follower_left"))
    failed = tick(driver, 11)
    assert failed.state == DriverState.FAULT and (failed.command == moving.command).all()
    assert failed.faults == ("overload follower_left/elbow", "tracking_error follower_left")
    driver.clear_stop(np.full(NUM_JOINTS, 0.05))
    cleared = tick(driver, 12)
    assert cleared.state == DriverState.HOLDING and (cleared.command == 0.05).all()
