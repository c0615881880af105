from __future__ import annotations

import numpy as np
import pytest

from speedtune_ros.aloha import CONTROL_DT, CONTROL_DT_NS, JOINT_NAMES, NUM_JOINTS
from speedtune_ros.errors import InvalidInputError
from speedtune_ros.retiming.handover import HandoverConfig
from speedtune_ros.retiming.linear import LinearRetimer, RetimerConfig, _extremes, interpolate, make
from speedtune_ros.retiming.retimer import Ceiling, Splice
from speedtune_ros.sampling import sample
from speedtune_ros.types import Chunk, TargetKind

FREE = RetimerConfig()


def ramp(k: int = 100, rate: float = 1.0, dt: float = CONTROL_DT) -> np.ndarray:
    """Targets (k, 14) moving every joint at `rate` per second of demonstration."""
    return np.repeat(rate * dt * np.arange(k)[:, None], NUM_JOINTS, axis=1)


def rest(position: np.ndarray, start_ns: int = 0) -> Splice:
    return Splice(start_ns, position, np.zeros(NUM_JOINTS), 0.0, 0.0, 0.0)


def moving(chunk: Chunk, x: float, speed: float, lag: float = 0.0) -> Splice:
    """On the chunk's path at knot x with `sdot` speed, 10 s into the episode."""
    path = chunk.targets[0].astype(float)
    position = path[int(x)] + (x - int(x)) * (path[int(x) + 1] - path[int(x)])
    return Splice(0, position, (path[1] - path[0]) / chunk.dt * speed, speed, 10.0, x * chunk.dt, lag)


class TestInterpolate:
    def test_speed_three_of_a_hundred_targets_gives_thirty_four_commands(self) -> None:
        targets = ramp()
        commands = interpolate(targets, 3.0, CONTROL_DT)
        assert commands.shape == (34, NUM_JOINTS)
        assert commands == pytest.approx(targets[::3])

    @pytest.mark.parametrize(
        ("k", "v", "dt_policy", "count"),
        [
            (100, 1.0, 0.02, 100),
            (100, 1.1, 0.02, 91),  # 99 / 1.1 is 89.99... in floats
            (100, 2.5, 0.02, 40),
            (100, 0.5, 0.02, 199),
            (100, 99.0, 0.02, 2),
            (100, 100.0, 0.02, 1),
            (50, 2.0, 0.04, 50),  # half the policy's rate: twice as many commands
            (50, 3.0, 0.04, 33),
            (2, 1.0, 0.02, 2),
        ],
    )
    def test_count(self, k: int, v: float, dt_policy: float, count: int) -> None:
        assert len(interpolate(ramp(k), v, dt_policy)) == count

    def test_by_hand_between_knots(self) -> None:
        targets = np.zeros((3, NUM_JOINTS))
        targets[:, 0] = [0.0, 1.0, 4.0]
        targets[:, 6] = [1.0, 0.0, 1.0]  # the gripper goes the same way
        commands = interpolate(targets, 0.75, CONTROL_DT)
        assert commands[:, 0] == pytest.approx([0.0, 0.75, 2.5])
        assert commands[:, 6] == pytest.approx([1.0, 0.25, 0.5])

    def test_half_rate_policy_by_hand(self) -> None:
        targets = np.zeros((3, NUM_JOINTS))
        targets[:, 3] = [0.0, 1.0, 3.0]
        assert interpolate(targets, 1.0, 0.04)[:, 3] == pytest.approx([0.0, 0.5, 1.0, 2.0, 3.0])
        assert interpolate(targets, 1.0, 0.02, dt_control=0.01)[:, 3] == pytest.approx([0.0, 0.5, 1.0, 2.0, 3.0])

    @pytest.mark.parametrize("v", [0.0, -1.0, np.nan, np.inf])
    def test_refuses_a_bad_speed(self, v: float) -> None:
        with pytest.raises(InvalidInputError, match="speed: expected a finite number above 0"):
            interpolate(ramp(), v, CONTROL_DT)

    def test_refuses_bad_steps_and_shapes(self) -> None:
        with pytest.raises(InvalidInputError, match="policy dt: expected a finite number above 0, got -0.02"):
            interpolate(ramp(), 1.0, -0.02)
        with pytest.raises(InvalidInputError, match="control dt: expected a finite number above 0, got 0"):
            interpolate(ramp(), 1.0, 0.02, 0)
        with pytest.raises(InvalidInputError, match=r"chunk targets: expected shape \(None, 14\), got \(100, 13\)"):
            interpolate(ramp()[:, :13], 1.0, CONTROL_DT)
        with pytest.raises(InvalidInputError, match="expected at least 2, got 1"):
            interpolate(ramp(1), 1.0, CONTROL_DT)


class TestRetime:
    @pytest.mark.parametrize("v", [0.5, 1.0, 1.7, 3.0])
    @pytest.mark.parametrize("dt", [0.02, 0.04])
    def test_ticks_are_the_equations_up_to_the_brake_point(self, v: float, dt: float) -> None:
        rng = np.random.default_rng(1)
        chunk = Chunk(0, rng.normal(size=(100, NUM_JOINTS)), dt)
        path = chunk.targets[0].astype(float)
        retiming = LinearRetimer(FREE).retime(chunk, rest(path[0]), Ceiling(v))
        commands = interpolate(path, v, dt)
        trajectory = retiming.trajectory
        cruising = np.flatnonzero(trajectory.speeds == v)
        n = len(cruising)
        assert (cruising == np.arange(n)).all()
        assert trajectory.positions[:n] == pytest.approx(commands[:n], abs=1e-9)
        # the stop takes 5 ticks and the length of 2.5: it begins at the last tick from which that fits
        step = v * CONTROL_DT / dt
        assert n - 1 == int((99 + 1e-9) / step - 2.5)

    def test_the_stop_by_hand(self) -> None:
        """Brake time 0.1 s: five ticks of a half cosine; at v = 2 it covers 2 * 0.1 / 2 = 0.1 s."""
        chunk = Chunk(0, ramp(), CONTROL_DT)
        trajectory = LinearRetimer(FREE).retime(chunk, rest(np.zeros(NUM_JOINTS)), Ceiling(2.0)).trajectory
        # 99 knots / 2 a tick = 49.5, less 2.5 ticks: brakes from tick 47, at 47 * 0.04 = 1.88 s
        assert len(trajectory.times) == 47 + 5 + 1
        assert trajectory.progress[47] == pytest.approx(1.88)
        assert trajectory.progress[-1] == pytest.approx(1.98)
        shape = [1.0, 0.904508, 0.654508, 0.345492, 0.095492, 0.0]
        assert trajectory.speeds[47:] == pytest.approx(2.0 * np.array(shape), abs=1e-6)
        assert trajectory.positions[-1] == pytest.approx(np.full(NUM_JOINTS, 1.98), abs=1e-6)
        assert trajectory.velocities[47:, 0] == pytest.approx(2.0 * np.array(shape), abs=1e-5)
        assert (trajectory.velocities[-1] == 0.0).all()
        assert trajectory.speeds[-1] == 0.0

    def test_velocities_are_harmonic_means_by_hand(self) -> None:
        """Rates 1, 3, -2, 0 and 4 per tick: 2*1*3/(1+3) = 1.5 between the first two, then turns and standstills."""
        targets = np.zeros((100, NUM_JOINTS))
        targets[1:6, 2] = np.cumsum([1.0, 3.0, -2.0, 0.0, 4.0])
        targets[6:, 2] = 6.0 + 4.0 * np.arange(1, 95)
        chunk = Chunk(0, targets, CONTROL_DT)
        trajectory = LinearRetimer(FREE).retime(chunk, rest(targets[0]), Ceiling(1.0)).trajectory
        assert trajectory.velocities[:7, 2] * CONTROL_DT == pytest.approx([1.0, 1.5, 0.0, 0.0, 0.0, 4.0, 4.0])
        assert (trajectory.velocities[:, 3] == 0.0).all()  # a joint that stands still

    def test_the_stop_of_a_path_that_slows_down_sharply_by_hand(self) -> None:
        """Rates 10 and 0.1 around a point in the last tick of the stop: 3 times its step, less than the mean."""
        config = RetimerConfig(brake_time=0.04)  # two ticks: after (1 + 2 / pi) / 2 ticks of motion, half the speed
        last = 1.0 - (1.0 + 2.0 / np.pi) / 2.0
        v = 1.0 / last  # so that the last tick is exactly the last knot
        targets = np.zeros((100, NUM_JOINTS))
        targets[:, 0] = np.concatenate((10.0 * np.arange(99), [980.1]))
        chunk = Chunk(0, targets, CONTROL_DT)
        trajectory = LinearRetimer(config).retime(chunk, moving(chunk, 99.0 - 11.0 * v, v), Ceiling(v)).trajectory
        assert trajectory.positions[-2:, 0] == pytest.approx([980.0, 980.1], abs=1e-3)
        assert trajectory.velocities[-2, 0] * CONTROL_DT == pytest.approx(3.0 * 0.1, rel=1e-2)

    def test_the_curve_stays_between_its_points_in_the_stop_too(self) -> None:
        rng = np.random.default_rng(0)
        for _ in range(20):
            path = rng.uniform(-1.0, 1.0, (12, NUM_JOINTS)).cumsum(axis=0)
            chunk = Chunk(0, path, CONTROL_DT)
            trajectory = LinearRetimer(FREE).retime(chunk, rest(path[0]), Ceiling(rng.uniform(0.3, 2.0))).trajectory
            low = np.minimum(trajectory.positions[:-1], trajectory.positions[1:]) - 1e-9
            high = np.maximum(trajectory.positions[:-1], trajectory.positions[1:]) + 1e-9
            for offset_ns in range(1_000_000, CONTROL_DT_NS, 1_000_000):
                for i in range(len(low)):
                    position = sample(trajectory, i * CONTROL_DT_NS + offset_ns).position
                    assert ((low[i] <= position) & (position <= high[i])).all()

    def test_times_are_control_ticks(self) -> None:
        chunk = Chunk(0, ramp(), CONTROL_DT)
        trajectory = LinearRetimer(FREE).retime(chunk, rest(np.zeros(NUM_JOINTS), 40), Ceiling(3.0)).trajectory
        assert trajectory.start_ns == 40
        assert (trajectory.times == np.arange(len(trajectory.times)) * CONTROL_DT_NS / 1e9).all()

    def test_brake_distance(self) -> None:
        assert LinearRetimer(FREE).brake_distance(3.0) == pytest.approx(0.15)
        assert LinearRetimer(RetimerConfig(brake_time=0.2)).brake_distance(1.0) == pytest.approx(0.1)
        assert LinearRetimer(RetimerConfig(brake_time=0.02)).brake_distance(1.0) == pytest.approx(0.01)

    def test_progress_goes_on_from_the_splice(self) -> None:
        chunk = Chunk(5, ramp(), CONTROL_DT)
        trajectory = LinearRetimer(FREE).retime(chunk, moving(chunk, 10.0, 2.0), Ceiling(2.0)).trajectory
        assert trajectory.progress[:3] == pytest.approx([10.0, 10.04, 10.08])
        assert trajectory.positions[:2, 0] == pytest.approx([0.2, 0.24], abs=1e-7)
        assert trajectory.chunk_stamp_ns == 5

    def test_report(self) -> None:
        chunk = Chunk(5, ramp(), CONTROL_DT)
        splice = moving(chunk, 10.0, 2.0)
        moved = Splice(0, splice.position + 0.01, splice.velocity + 0.5, 2.0, 10.0, 0.2)
        retimer = LinearRetimer(RetimerConfig(HandoverConfig(slack=0.0)))
        report = retimer.retime(chunk, moved, Ceiling(2.0, "operator")).report
        assert (report.stamp_ns, report.sequence, report.mode, report.handover) == (5, 0, "linear", "nearest")
        assert (report.requested_speed, report.mean_speed, report.peak_speed) == (2.0, 2.0, 2.0)
        assert (report.binding_limit, report.binding_joint, report.fallback_reason) == ("operator", "", "")
        assert report.entry == pytest.approx(0.2)
        assert report.position_jump == pytest.approx(0.01, abs=1e-6)
        assert report.velocity_jump == pytest.approx(0.5, abs=1e-5)
        assert report.backward_step == pytest.approx(0.01 * np.sqrt(12), abs=1e-6)
        assert report.slip == pytest.approx(-0.01, rel=1e-3)  # 0.01 rad at 1 rad per second of demonstration
        assert report.duration == pytest.approx((42 + 5) * CONTROL_DT)

    def test_start_is_named_and_costs_nothing_but_its_jump(self) -> None:
        chunk = Chunk(0, ramp() + 0.3, CONTROL_DT)
        report = make().retime(chunk, rest(np.zeros(NUM_JOINTS)), Ceiling(1.0)).report
        assert (report.handover, report.binding_limit) == ("start", "none")
        assert report.position_jump == pytest.approx(0.3)
        assert (report.backward_step, report.slip) == (0.0, 0.0)

    def test_a_handover_at_rest_is_not_a_start(self) -> None:
        chunk = Chunk(0, ramp(), CONTROL_DT)
        waiting = Splice(0, np.zeros(NUM_JOINTS), np.zeros(NUM_JOINTS), 0.0, 2.0, 0.0)
        assert make().retime(chunk, waiting, Ceiling(1.0)).report.handover == "nearest"

    def test_commands_at_demonstrated_speed_have_no_lead(self) -> None:
        chunk = Chunk(0, ramp(), CONTROL_DT)
        ahead = Splice(0, np.full(NUM_JOINTS, 0.25), np.ones(NUM_JOINTS), 1.0, 2.0, 0.2, lag=0.1)
        retimer = LinearRetimer(RetimerConfig(HandoverConfig(slack=0.0)))
        assert retimer.retime(chunk, ahead, Ceiling(1.0)).report.entry == pytest.approx(0.2)

    def test_desired_states_lie_one_step_later(self) -> None:
        chunk = Chunk(0, ramp(), CONTROL_DT, TargetKind.STATE)
        splice = Splice(0, np.full(NUM_JOINTS, 0.08), np.ones(NUM_JOINTS), 1.0, 3.0, 0.1)
        retiming = LinearRetimer(FREE).retime(chunk, splice, Ceiling(1.0))
        assert retiming.report.entry == pytest.approx(0.1)
        assert retiming.trajectory.positions[0] == pytest.approx(chunk.targets[0, 4], abs=1e-7)
        at_once = LinearRetimer(FREE).retime(chunk, rest(np.zeros(NUM_JOINTS)), Ceiling(1.0))
        assert at_once.report.entry == pytest.approx(0.02)  # the first target is the first knot

    def test_cruise_bounds_the_motion_before_the_stop(self) -> None:
        chunk = Chunk(0, ramp(), CONTROL_DT)
        splice = Splice(0, np.zeros(NUM_JOINTS), np.zeros(NUM_JOINTS), 0.0, 0.0, 0.0, cruise=0.2)
        trajectory = LinearRetimer(FREE).retime(chunk, splice, Ceiling(2.0)).trajectory
        assert trajectory.duration == pytest.approx(0.3)
        assert trajectory.progress[-1] == pytest.approx(0.5)

    def test_a_crawl_is_cut_to_the_longest_duration(self) -> None:
        chunk = Chunk(0, ramp(), CONTROL_DT)
        retimer = LinearRetimer(RetimerConfig(max_duration=2.0))
        trajectory = retimer.retime(chunk, rest(np.zeros(NUM_JOINTS)), Ceiling(1e-6)).trajectory
        assert trajectory.duration == pytest.approx(2.1)
        assert trajectory.speeds[-1] == 0.0

    def test_too_little_path_to_stop_lowers_the_speed(self) -> None:
        chunk = Chunk(0, ramp(), CONTROL_DT)
        retiming = LinearRetimer(FREE).retime(chunk, moving(chunk, 97.0, 3.0), Ceiling(3.0, "latency"))
        # 2 knots are 0.04 s: a stop from 0.8 takes 0.8 * 0.1 / 2
        assert retiming.report.mean_speed == pytest.approx(0.8)
        assert retiming.report.fallback_reason == "0.040 s of the chunk left: too short to stop from 3.00"
        assert (retiming.report.binding_limit, retiming.report.binding_joint) == ("chunk_end", "")
        assert retiming.trajectory.duration == pytest.approx(0.1)
        assert retiming.trajectory.positions[-1] == pytest.approx(chunk.targets[0, -1], abs=1e-6)

    def test_a_chunk_used_up_is_held_at_its_end(self) -> None:
        chunk = Chunk(0, ramp(), CONTROL_DT)
        splice = Splice(0, np.ones(NUM_JOINTS), np.ones(NUM_JOINTS), 3.0, 7.0, 5.0)
        retiming = LinearRetimer(FREE, np.full(NUM_JOINTS, np.pi)).retime(chunk, splice, Ceiling(3.0))
        assert retiming.trajectory.positions == pytest.approx(chunk.targets[0, -1:], abs=1e-6)
        assert (retiming.trajectory.progress == 7.0).all()
        assert (retiming.trajectory.speeds == 0.0).all()
        assert "0.000 s of the chunk left" in retiming.report.fallback_reason
        assert retiming.report.binding_limit == "chunk_end"

    def test_pure(self) -> None:
        chunk = Chunk(0, np.random.default_rng(3).normal(size=(100, NUM_JOINTS)), CONTROL_DT)
        retimer = LinearRetimer(FREE, np.full(NUM_JOINTS, np.pi))
        splice = moving(chunk, 3.0, 2.0, lag=0.1)
        a, b = (retimer.retime(chunk, splice, Ceiling(2.0)) for _ in range(2))
        assert a.report == b.report
        assert (a.trajectory.positions == b.trajectory.positions).all()


class TestFirmware:
    LIMIT = np.full(NUM_JOINTS, np.pi)

    def test_the_steepest_joint_binds_and_is_named(self) -> None:
        targets = ramp(rate=0.5)
        targets[:, 4] *= 4.0  # 2 rad per second of demonstration
        chunk = Chunk(0, targets, CONTROL_DT)
        report = make(FREE, self.LIMIT).retime(chunk, rest(targets[0]), Ceiling(3.0)).report
        assert report.mean_speed == pytest.approx(np.pi / 2.0, rel=1e-5)
        assert (report.binding_limit, report.binding_joint) == ("firmware", JOINT_NAMES[4])

    def test_only_the_path_ahead_counts(self) -> None:
        targets = np.concatenate((ramp(11, rate=5.0), ramp(89, rate=0.5) + 1.01))
        chunk = Chunk(0, targets, CONTROL_DT)
        report = make(FREE, self.LIMIT).retime(chunk, moving(chunk, 12.0, 2.0), Ceiling(2.0)).report
        assert (report.mean_speed, report.binding_limit, report.binding_joint) == (2.0, "none", "")

    def test_a_joint_without_limit_never_binds(self) -> None:
        limit = np.full(NUM_JOINTS, np.inf)
        limit[0] = 1.0
        targets = ramp(rate=0.4)
        targets[:, 1] *= 1000.0
        report = make(FREE, limit).retime(Chunk(0, targets, CONTROL_DT), rest(targets[0]), Ceiling(2.0)).report
        assert (report.mean_speed, report.binding_limit) == (2.0, "none")
        report = make(FREE, limit).retime(Chunk(0, targets, CONTROL_DT), rest(targets[0]), Ceiling(4.0)).report
        assert report.mean_speed == pytest.approx(2.5, rel=1e-5)
        assert report.binding_joint == JOINT_NAMES[0]

    def test_a_lower_ceiling_keeps_its_own_name(self) -> None:
        targets = ramp(rate=2.0)
        report = (
            make(FREE, self.LIMIT)
            .retime(Chunk(0, targets, CONTROL_DT), rest(targets[0]), Ceiling(1.2, "latency"))
            .report
        )
        assert (report.mean_speed, report.binding_limit, report.binding_joint) == (1.2, "latency", "")

    @pytest.mark.parametrize("v", [3.0, 12.0])
    def test_one_steep_knot_binds_even_if_ticks_would_step_over_it(self, v: float) -> None:
        targets = ramp(rate=0.5)
        targets[51:, 4] -= 0.1  # 4.5 rad per second of demonstration, backwards, for one knot
        chunk = Chunk(0, targets, CONTROL_DT)
        report = make(FREE, self.LIMIT).retime(chunk, rest(targets[0]), Ceiling(v)).report
        assert np.pi / 4.5 / 1.5 <= report.mean_speed <= np.pi / 4.5 * (1 + 1e-6)
        assert (report.binding_limit, report.binding_joint) == ("firmware", JOINT_NAMES[4])

    @pytest.mark.parametrize(("seed", "k"), [(94, 5), (188, 27), (376, 23)])
    def test_paths_that_find_new_corners_at_every_speed(self, seed: int, k: int) -> None:
        """Found by search: four tries at a lower speed are not enough, the bound that needs no luck must do."""
        rng = np.random.default_rng(seed)
        assert rng.integers(3, 60) == k
        path = np.cumsum(rng.normal(0, 1, (k, 14)) * (rng.random((k, 14)) < 0.3), 0)
        limit = np.full(NUM_JOINTS, np.inf if seed % 3 else 1.0)
        limit[0] = 1.0
        ceiling = Ceiling(float(rng.uniform(0.1, 12.0)))
        retiming = make(FREE, limit).retime(Chunk(0, path, CONTROL_DT), rest(path[0]), ceiling)
        allowed = (limit * CONTROL_DT / np.abs(np.diff(path, axis=0)).max(axis=0)).min()
        assert retiming.report.mean_speed == pytest.approx(allowed / 1.5, rel=1e-3)
        assert retiming.trajectory.duration > 0.0
        for stamp in range(0, round(retiming.trajectory.duration * 1e9), 5_000_000):
            assert (np.abs(sample(retiming.trajectory, stamp).velocity) <= limit * (1 + 1e-6)).all()

    def test_extremes_against_a_dense_search(self) -> None:
        u = np.linspace(0.0, 1.0, 2001)[:, None]
        a, b, c = np.random.default_rng(0).normal(size=(3, 500))
        dense = np.abs(a * (1 - u) ** 2 + 2 * b * u * (1 - u) + c * u**2).max(axis=0)
        found = np.maximum(_extremes(a, b, c), np.maximum(np.abs(a), np.abs(c)))
        assert found == pytest.approx(dense, abs=1e-5)
        assert (_extremes(np.zeros(1), np.ones(1), np.zeros(1)) == 0.5).all()
        assert (_extremes(np.zeros(1), np.ones(1), np.full(1, 2.0)) == 0.0).all()

    def test_corners_between_ticks_obey_the_limit_too(self) -> None:
        """A zigzag at the limit: the curve must turn within a tick, so it has to be slower than its secants allow."""
        targets = np.zeros((100, NUM_JOINTS))
        targets[1::2] = np.pi * CONTROL_DT
        chunk = Chunk(0, targets, CONTROL_DT)
        retiming = make(FREE, self.LIMIT).retime(chunk, rest(targets[0]), Ceiling(1.0))
        assert 1.0 / 1.6 < retiming.report.mean_speed < 1.0
        assert retiming.report.binding_limit == "firmware"
        stamps = np.arange(0, round(retiming.trajectory.duration * 1e9), 1_000_000)
        velocities = [sample(retiming.trajectory, int(stamp)).velocity for stamp in stamps]
        assert np.abs(velocities).max() <= np.pi * (1 + 1e-6)
