"""Random chunks, speeds, limits and latencies against what must always hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from speedtune_ros.aloha import CONTROL_DT, CONTROL_DT_NS, GRIPPERS, NUM_JOINTS
from speedtune_ros.retiming.handover import HandoverConfig
from speedtune_ros.retiming.linear import LinearRetimer, RetimerConfig, interpolate
from speedtune_ros.retiming.retimer import Ceiling, Splice
from speedtune_ros.retiming.scheduler import ChunkScheduler, SchedulerConfig
from speedtune_ros.robots.driver import Driver, DriverState, DriverTick
from speedtune_ros.robots.robot import Limits
from speedtune_ros.sampling import sample
from speedtune_ros.types import Chunk, RetimeReport, RobotState, SpeedChoice, TargetKind, Trajectory

ROUNDING = 1e-9
FEW = settings(max_examples=60, deadline=None, derandomize=True)
SEEDS = st.integers(0, 2**32 - 1)
SPEEDS = st.floats(0.05, 12.0)
KINDS = st.sampled_from(list(TargetKind))


def random_path(rng: np.random.Generator, k: int) -> np.ndarray:
    """Smooth, noisy, constant, jagged or jumping: (k, 14)."""
    style = rng.integers(5)
    t = np.arange(k)[:, None]
    smooth = rng.uniform(0.0, 1.0, NUM_JOINTS) * np.sin(t * rng.uniform(0.0, 0.2, NUM_JOINTS) + rng.uniform(0, 6, 14))
    if style == 0:
        return smooth
    if style == 1:
        return smooth + rng.normal(0.0, 10.0 ** rng.uniform(-4, -1), (k, NUM_JOINTS))
    if style == 2:
        return np.repeat(rng.normal(size=(1, NUM_JOINTS)), k, axis=0)
    if style == 3:
        return rng.uniform(-2.0, 2.0, (k, NUM_JOINTS))
    return np.where(t < rng.integers(k), -1.0, 1.0) + smooth


def random_limits(rng: np.random.Generator) -> Limits:
    """Some joints bounded, some not, grippers in their range or free."""
    lower, upper = -rng.uniform(0.2, 3.0, NUM_JOINTS), rng.uniform(0.2, 3.0, NUM_JOINTS)
    velocity = rng.uniform(0.2, 6.0, NUM_JOINTS)
    unbounded = rng.random(NUM_JOINTS) < 0.3
    lower[unbounded], upper[unbounded] = -np.inf, np.inf
    velocity[rng.random(NUM_JOINTS) < 0.3] = np.inf
    lower[list(GRIPPERS)], upper[list(GRIPPERS)] = 0.0, 1.0
    return Limits(lower, upper, velocity)


def random_splice(rng: np.random.Generator, chunk: Chunk) -> Splice:
    path = chunk.targets[0].astype(float)
    at = path[rng.integers(chunk.horizon)] + rng.normal(0.0, 0.05, NUM_JOINTS) * rng.integers(2)
    speed = float(rng.choice([0.0, rng.uniform(0.0, 5.0)]))
    velocity = rng.normal(0.0, 1.0, NUM_JOINTS) * (speed > 0.0)
    consumed = rng.uniform(0.0, 1.2) * chunk.horizon * chunk.dt
    cruise = float(rng.choice([np.inf, rng.uniform(0.0, 1.0)]))
    return Splice(
        int(rng.integers(10**12)), at, velocity, speed, rng.uniform(0, 9), consumed, rng.uniform(0, 0.2), cruise
    )


@FEW
@given(SEEDS, st.integers(2, 120), st.floats(0.1, 50.0), st.sampled_from([0.01, 0.02, 0.04, 0.1]))
def test_interpolation_is_numpys(seed: int, k: int, v: float, dt: float) -> None:
    path = np.random.default_rng(seed).normal(size=(k, NUM_JOINTS))
    commands = interpolate(path, v, dt)
    x = v * CONTROL_DT / dt * np.arange(len(commands))
    expected = np.stack([np.interp(x, np.arange(k), path[:, j]) for j in range(NUM_JOINTS)], axis=1)
    np.testing.assert_allclose(commands, expected, atol=1e-9)
    assert x[-1] <= k - 1 + 1e-6
    assert x[-1] + v * CONTROL_DT / dt > k - 1 - 1e-6  # not one too few


@settings(FEW, max_examples=150)
@given(SEEDS, st.integers(2, 120), SPEEDS, KINDS, st.sampled_from(["nearest", "consumed"]))
def test_every_trajectory_ends_at_rest_inside_its_chunk(
    seed: int, k: int, v: float, kind: TargetKind, method: str
) -> None:
    rng = np.random.default_rng(seed)
    chunk = Chunk(0, random_path(rng, k), float(rng.choice([0.02, 0.04])), kind)
    velocity = random_limits(rng).velocity if rng.random() < 0.7 else None
    retimer = LinearRetimer(RetimerConfig(HandoverConfig(method)), velocity)
    splice = random_splice(rng, chunk)
    trajectory, report = (r := retimer.retime(chunk, splice, Ceiling(v))).trajectory, r.report
    assert trajectory.speeds[-1] == 0.0
    assert (trajectory.velocities[-1] == 0.0).all()
    assert trajectory.start_ns == splice.start_ns
    assert trajectory.progress[0] == splice.progress
    assert (trajectory.speeds <= v).all()
    left = chunk.knots[-1] - report.entry
    assert trajectory.progress[-1] - splice.progress <= left + 1e-6
    assert chunk.knots[0] - ROUNDING <= report.entry <= chunk.knots[-1] + ROUNDING
    assert trajectory.duration <= splice.cruise + 0.1 + 1e-6
    # what is passed at full speed are the equations' own points
    path = chunk.targets[0].astype(float)
    s = report.entry + trajectory.progress - splice.progress
    expected = np.stack([np.interp(s, chunk.knots, path[:, j]) for j in range(NUM_JOINTS)], axis=1)
    np.testing.assert_allclose(trajectory.positions, expected, atol=1e-6)


@FEW
@given(SEEDS, SPEEDS)
def test_velocity_limits_and_the_points_range_hold_between_ticks(seed: int, v: float) -> None:
    """At 200 Hz and faster the Hermite curve is within the limits, and within the two points around it."""
    rng = np.random.default_rng(seed)
    chunk = Chunk(0, random_path(rng, 60), CONTROL_DT)
    limits = random_limits(rng)
    retiming = LinearRetimer(RetimerConfig(), limits.velocity).retime(chunk, random_splice(rng, chunk), Ceiling(v))
    trajectory = retiming.trajectory
    for i in range(len(trajectory.times) - 1):
        low = np.minimum(trajectory.positions[i], trajectory.positions[i + 1]) - ROUNDING
        high = np.maximum(trajectory.positions[i], trajectory.positions[i + 1]) + ROUNDING
        stamp = trajectory.start_ns + round(trajectory.times[i] * 1e9)
        for offset_ns in (0, 5_000_000, 7_777_777, 10_000_000, 15_000_000):
            setpoint = sample(trajectory, stamp + offset_ns)
            assert (np.abs(setpoint.velocity) <= limits.velocity * (1 + 1e-6)).all()
            assert ((low <= setpoint.position) & (setpoint.position <= high)).all()
    assert retiming.report.mean_speed <= v
    if retiming.report.binding_joint:
        assert retiming.report.binding_limit == "firmware"


class Loop:
    """Scheduler and driver in lock-step, as the pipeline runs them, under limits and with chunks of a given source."""

    def __init__(self, rng: np.random.Generator, limits: Limits, config: SchedulerConfig, lag: float) -> None:
        start = np.clip(rng.normal(0.0, 0.1, NUM_JOINTS), limits.lower, limits.upper)
        self.scheduler = ChunkScheduler(LinearRetimer(RetimerConfig(), limits.velocity), config, lag)
        self.scheduler.reset(start, 0)
        self.driver = Driver(limits, start)
        self.start = start
        self.reports: list[RetimeReport] = []

    def run(self, ticks: int, source: object, speeds: object) -> Iterator[DriverTick]:
        state = RobotState(0, self.start, np.zeros(NUM_JOINTS))
        for n in range(ticks):
            now = n * CONTROL_DT_NS
            request = self.scheduler.due(now)
            if request is not None:
                choice = SpeedChoice(now, speeds())  # type: ignore[operator]
                chunk = source(request)  # type: ignore[operator]
                retiming = self.scheduler.accept(chunk, choice, self.scheduler.handover_ns(now))
                self.reports.append(retiming.report)
                self.driver.load(retiming.trajectory)
            tick = self.driver.tick(dataclasses.replace(state, stamp_ns=now))
            if tick.state == DriverState.FAULT:
                self.driver.clear_stop()
            yield tick


@settings(FEW, max_examples=30)
@given(SEEDS, st.sampled_from(["async", "sync"]), st.floats(0.0, 0.5), st.integers(3, 20), st.booleans())
def test_no_guarded_command_breaks_a_limit_and_progress_never_goes_backwards(
    seed: int, mode: str, latency: float, k_skip: int, ensemble: bool
) -> None:
    rng = np.random.default_rng(seed)
    limits = random_limits(rng)
    config = SchedulerConfig(k_skip=k_skip, inference=mode, latency=latency, ensemble=ensemble)
    loop = Loop(rng, limits, config, lag=rng.uniform(0.0, 0.2))

    def source(request: object) -> Chunk:
        return Chunk(request.stamp_ns, random_path(rng, 50), CONTROL_DT)  # type: ignore[attr-defined]

    command, progress = loop.driver.tick(RobotState(0, loop.start, np.zeros(NUM_JOINTS))).command, 0.0
    for tick in loop.run(60, source, lambda: float(rng.uniform(0.2, 8.0))):
        assert ((limits.lower <= tick.command) & (tick.command <= limits.upper)).all()
        assert (np.abs(tick.command - command) <= limits.velocity * CONTROL_DT * (1 + 1e-6)).all()
        assert tick.progress >= progress
        command, progress = tick.command, tick.progress


@FEW
@given(SEEDS)
def test_random_trajectories_never_pass_the_guard_unchecked(seed: int) -> None:
    """Trajectories from elsewhere, with any positions and velocities, at 200 Hz."""
    rng = np.random.default_rng(seed)
    limits = random_limits(rng)
    dt_ns = 5_000_000
    driver = Driver(limits, np.clip(np.zeros(NUM_JOINTS), limits.lower, limits.upper), dt_ns / 1e9)
    m = int(rng.integers(1, 20))
    times = np.concatenate(([0.0], np.cumsum(rng.uniform(0.005, 0.1, m - 1))))
    scale = 10.0 ** rng.uniform(-2, 3)
    positions, velocities = rng.normal(0.0, scale, (2, m, NUM_JOINTS))
    driver.load(Trajectory(0, times, positions, velocities, np.sort(rng.random(m)), np.abs(rng.normal(size=m))))
    state = RobotState(0, np.zeros(NUM_JOINTS), np.zeros(NUM_JOINTS))
    command = driver.tick(state).command
    for n in range(1, 100):
        tick = driver.tick(dataclasses.replace(state, stamp_ns=n * dt_ns))
        assert np.isfinite(tick.command).all()
        assert ((limits.lower <= tick.command) & (tick.command <= limits.upper)).all()
        assert (np.abs(tick.command - command) <= limits.velocity * 0.005 * (1 + 1e-6)).all()
        command = tick.command
