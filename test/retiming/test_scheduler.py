from __future__ import annotations

import numpy as np
import pytest

from speedtune_ros.aloha import CONTROL_DT, CONTROL_DT_NS, NUM_JOINTS
from speedtune_ros.errors import InvalidInputError
from speedtune_ros.retiming.handover import HandoverConfig
from speedtune_ros.retiming.linear import LinearRetimer, RetimerConfig
from speedtune_ros.retiming.retimer import Ceiling, Retiming
from speedtune_ros.retiming.scheduler import ChunkScheduler, LatencyEstimate, SchedulerConfig
from speedtune_ros.types import Chunk, InferenceRequest, SpeedChoice

TICK = CONTROL_DT_NS
START = 7 * TICK


def make(lag: float = 0.0, **config: object) -> ChunkScheduler:
    retimer = LinearRetimer(RetimerConfig(HandoverConfig(slack=0.0)))
    scheduler = ChunkScheduler(retimer, SchedulerConfig(**config), lag)  # type: ignore[arg-type]
    scheduler.reset(np.zeros(NUM_JOINTS), START)
    return scheduler


def ramp(request: InferenceRequest, k: int = 100, dt: float = CONTROL_DT, start: float | None = None) -> Chunk:
    """Every joint moves by 1 rad per second of demonstration, as an expert who trusts the progress would say."""
    first = request.progress if start is None else start
    return Chunk(request.stamp_ns, np.repeat((first + dt * np.arange(k))[:, None], NUM_JOINTS, axis=1), dt)


def ask(scheduler: ChunkScheduler, now_ns: int) -> InferenceRequest:
    request = scheduler.due(now_ns)
    assert request is not None
    return request


def answer(scheduler: ChunkScheduler, request: InferenceRequest, v: float = 1.0, after: int = 0) -> Retiming:
    choice = SpeedChoice(request.stamp_ns, v)
    return scheduler.accept(ramp(request), choice, request.stamp_ns + after * TICK, request.sequence)


def run(scheduler: ChunkScheduler, ticks: int, v: float) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Ticks of requests, positions of joint 0 and progress by tick, in lock-step."""
    asked, positions, progress = [], [], []
    for n in range(ticks):
        now = START + n * TICK
        request = scheduler.due(now)
        if request is not None:
            asked.append(n)
            choice = SpeedChoice(request.stamp_ns, v)
            scheduler.accept(ramp(request), choice, scheduler.handover_ns(request.stamp_ns))
        setpoint = scheduler.setpoint(now)
        positions.append(setpoint.position[0])
        progress.append(setpoint.progress)
    return asked, np.array(positions), np.array(progress)


class TestCadence:
    def test_at_the_first_tick_then_every_k_skip(self) -> None:
        asked, positions, progress = run(make(), 35, 2.0)
        assert asked == [0, 10, 20, 30]
        assert positions == pytest.approx(0.04 * np.arange(35), abs=1e-6)
        assert progress == pytest.approx(0.04 * np.arange(35))

    def test_requests_say_where_execution_is(self) -> None:
        scheduler = make(k_skip=5)
        first = ask(scheduler, START)
        assert (first.sequence, first.stamp_ns, first.progress, first.speed) == (0, START, 0.0, 0.0)
        answer(scheduler, first, 2.0)
        assert scheduler.next_request_ns == START + 5 * TICK
        assert scheduler.due(START + 4 * TICK) is None
        second = ask(scheduler, START + 5 * TICK)
        assert (second.sequence, second.speed) == (1, 2.0)
        assert second.progress == pytest.approx(0.2)

    def test_asks_once(self) -> None:
        scheduler = make()
        ask(scheduler, START)
        assert scheduler.due(START) is None
        assert scheduler.due(START + 10 * TICK) is None  # not before the answer

    def test_latency_delays_the_handover_but_not_the_cadence(self) -> None:
        scheduler = make(latency=0.06)
        asked, positions, progress = run(scheduler, 33, 1.0)
        assert asked == [0, 10, 20, 30]
        assert positions[:3] == pytest.approx(0.0)
        assert positions[3:] == pytest.approx(0.02 * np.arange(30), abs=1e-6)
        assert progress[3:] == pytest.approx(0.02 * np.arange(30))

    def test_a_latency_beyond_the_period_sets_the_pace(self) -> None:
        asked, _, progress = run(make(latency=0.3), 50, 1.0)
        assert asked == [0, 15, 30, 45]
        assert (np.diff(progress) >= 0.0).all()

    def test_a_request_tells_the_latency(self) -> None:
        assert ask(make(latency=0.06), START).latency == 0.06
        scheduler = make(latency=0.06, measure_latency=True)
        answer(scheduler, ask(scheduler, START), after=2)
        assert ask(scheduler, START + 10 * TICK).latency == pytest.approx(0.04)

    def test_latency_is_rounded_to_ticks(self) -> None:
        assert make(latency=0.049).handover_ns(START) == START + 2 * TICK
        assert make(latency=0.051).handover_ns(START) == START + 3 * TICK

    def test_committed_targets_are_those_until_the_handover(self) -> None:
        scheduler = make(latency=0.06)
        first = ask(scheduler, START)
        assert first.committed.shape == (3, NUM_JOINTS)
        answer(scheduler, first, 1.0, after=3)
        second = ask(scheduler, START + 10 * TICK)
        assert second.committed[:, 0] == pytest.approx([0.14, 0.16, 0.18], abs=1e-6)
        assert second.committed.dtype == np.float32
        assert ask(make(), START).committed.shape == (0, NUM_JOINTS)

    def test_an_unanswered_request_is_asked_again_once_it_is_given_up(self) -> None:
        scheduler = make()
        ask(scheduler, START)
        assert scheduler.due(START + 5000 * TICK) is None
        scheduler.refuse("timeout")
        again = ask(scheduler, START + 5001 * TICK)
        assert (again.sequence, again.stamp_ns) == (1, START + 5001 * TICK)
        assert scheduler.refused == {"timeout": 1}

    def test_refuse_asks_again_at_the_next_period(self) -> None:
        scheduler = make()
        ask(scheduler, START)
        scheduler.refuse("invalid")
        assert scheduler.refused == {"invalid": 1}
        scheduler.refuse()
        assert scheduler.refused == {"invalid": 1}
        scheduler.refuse("invalid")
        assert scheduler.refused == {"invalid": 2}
        assert scheduler.due(START + 9 * TICK) is None
        assert ask(scheduler, START + 10 * TICK).sequence == 1

    def test_no_more_chunks_ends_at_rest(self) -> None:
        scheduler = make()
        answer(scheduler, ask(scheduler, START), 2.0)
        setpoint = scheduler.setpoint(START + 200 * TICK)
        assert setpoint.speed == 0.0
        assert (setpoint.velocity == 0.0).all()
        assert setpoint.position == pytest.approx(np.full(NUM_JOINTS, 1.98), abs=1e-6)

    def test_reset_forgets_everything(self) -> None:
        scheduler = make(horizon=0)
        request = ask(scheduler, START)
        answer(scheduler, request, 2.0)
        scheduler.reset(np.full(NUM_JOINTS, 0.5), START + 50 * TICK)
        setpoint = scheduler.setpoint(START + 60 * TICK)
        assert (setpoint.position == 0.5).all()
        assert (setpoint.progress, setpoint.speed, scheduler.slip) == (0.0, 0.0, 0.0)
        again = ask(scheduler, START + 60 * TICK)
        assert again.sequence == 0
        with pytest.raises(InvalidInputError, match=r"chunk refused \(old\)"):
            answer(scheduler, request, 2.0)
        scheduler.accept(ramp(again, k=50), SpeedChoice(again.stamp_ns, 1.0), again.stamp_ns)  # a new horizon is fine


def test_a_new_scheduler_rests_at_time_zero_and_trusts_the_command() -> None:
    retimer = LinearRetimer(RetimerConfig(HandoverConfig(slack=0.0)))
    scheduler = ChunkScheduler(retimer, SchedulerConfig())
    assert scheduler.next_request_ns == 0
    answer(scheduler, ask(scheduler, 0), 2.0)
    request = ask(scheduler, 10 * TICK)
    chunk = ramp(request, start=request.progress - 0.1)  # without a lag there is no window to look in
    assert scheduler.accept(chunk, SpeedChoice(10 * TICK, 2.0), 10 * TICK).report.entry == 0.0


class TestSync:
    def test_brakes_asks_at_rest_waits_and_goes_on(self) -> None:
        """10 ticks of motion, 5 of braking (worth 2.5), then a request and 3 ticks of waiting at rest."""
        asked, positions, progress = run(make(inference="sync", latency=0.06), 60, 1.0)
        assert asked == [0, 18, 36, 54]
        assert progress[3:14] == pytest.approx(0.02 * np.arange(11))
        assert progress[18:22] == pytest.approx(0.25)
        assert progress[31] == pytest.approx(0.45)
        assert (np.diff(positions) >= -1e-7).all()

    def test_without_latency_it_is_async(self) -> None:
        asked, _, progress = run(make(inference="sync"), 31, 2.0)
        assert asked == [0, 10, 20, 30]
        assert progress == pytest.approx(0.04 * np.arange(31))

    def test_stretch(self) -> None:
        assert make().stretch == 1.0
        assert make(inference="sync").stretch == 1.0
        assert make(inference="sync", latency=0.06).stretch == pytest.approx((0.2 + 0.1 + 0.06) / 0.25)

    def test_measured_latency_pauses_as_well(self) -> None:
        scheduler = make(inference="sync", measure_latency=True)
        retiming = answer(scheduler, ask(scheduler, START), 1.0, after=4)
        assert retiming.trajectory.duration == pytest.approx(0.3)
        assert scheduler.next_request_ns == START + 19 * TICK


class TestCeilings:
    def ceiling(self, v: float, **config: object) -> tuple[float, str]:
        scheduler = make(**config)
        report = answer(scheduler, ask(scheduler, START), v).report
        assert report.requested_speed == v
        return report.mean_speed, report.binding_limit

    def test_none_binds(self) -> None:
        assert self.ceiling(3.0) == (3.0, "none")

    def test_latency(self) -> None:
        # k dt = 2 s must cover v * (0.4 + 0.4) and a stop of v * 0.05
        speed, limit = self.ceiling(3.0, latency=0.4)
        assert speed == pytest.approx(2.0 / 0.85)
        assert limit == "latency"

    def test_latency_may_demand_less_than_demonstrated_speed(self) -> None:
        speed, limit = self.ceiling(1.0, latency=3.0)
        assert speed == pytest.approx(2.0 / 6.05)
        assert limit == "latency"

    def test_latency_below_the_period(self) -> None:
        # v * (0.1 + 0.2) + v * 0.05 <= 2
        speed, limit = self.ceiling(9.0, latency=0.1)
        assert speed == pytest.approx(2.0 / 0.35)
        assert limit == "latency"

    def test_old_images_shorten_the_chunk(self) -> None:
        # v * (0.3 + 0.1 + 0.2) + v * 0.05 <= 2
        speed, limit = self.ceiling(9.0, latency=0.1, image_age=0.3)
        assert speed == pytest.approx(2.0 / 0.65)
        assert limit == "latency"

    def test_waiting_at_rest_costs_no_path(self) -> None:
        speed, limit = self.ceiling(9.0, latency=0.4, inference="sync")
        assert speed == pytest.approx(2.0 / 0.25)
        assert limit == "latency"

    def test_operator(self) -> None:
        assert self.ceiling(3.0, operator_limit=1.5) == (1.5, "operator")
        assert self.ceiling(1.5, operator_limit=1.5) == (1.5, "none")
        speed, limit = self.ceiling(3.0, operator_limit=2.5, latency=0.4)
        assert (speed, limit) == (pytest.approx(2.0 / 0.85), "latency")

    def test_of_the_robot_itself(self) -> None:
        scheduler = make()
        scheduler.robot_ceiling = Ceiling(1.25, "motor_temperature", "left_elbow")
        report = answer(scheduler, ask(scheduler, START), 2.0).report
        assert (report.mean_speed, report.binding_limit, report.binding_joint) == (
            1.25,
            "motor_temperature",
            "left_elbow",
        )
        report = answer(scheduler, ask(scheduler, scheduler.next_request_ns), 1.0).report
        assert (report.mean_speed, report.binding_limit, report.binding_joint) == (1.0, "none", "")

    def test_operator_limit_is_settable_and_checked(self) -> None:
        scheduler = make()
        scheduler.operator_limit = 0.5
        assert scheduler.operator_limit == 0.5
        assert answer(scheduler, ask(scheduler, START), 2.0).report.binding_limit == "operator"
        for bad in (0.0, -1.0, np.nan, np.inf):
            with pytest.raises(InvalidInputError, match="operator limit: expected a finite speed above 0"):
                scheduler.operator_limit = bad
        assert scheduler.operator_limit == 0.5

    def test_measured_latency_binds(self) -> None:
        scheduler = make(measure_latency=True, latency=0.1)
        assert scheduler.latency == 0.1
        answer(scheduler, ask(scheduler, START), 1.0, after=20)
        assert scheduler.latency == pytest.approx(0.4)
        report = answer(scheduler, ask(scheduler, START + 20 * TICK), 3.0, after=20).report
        assert report.mean_speed == pytest.approx(2.0 / 0.85)
        assert report.binding_limit == "latency"

    def test_given_latency_is_not_measured(self) -> None:
        scheduler = make(latency=0.1)
        answer(scheduler, ask(scheduler, START), 1.0, after=20)
        assert scheduler.latency == 0.1


def test_latency_estimate_is_a_high_percentile_of_the_recent() -> None:
    estimate = LatencyEstimate(0.3, window=10)
    assert estimate.value == 0.3
    estimate.add(0.1)
    assert estimate.value == 0.1
    for latency in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0):
        estimate.add(latency)
    assert estimate.value == 0.9
    for _ in range(10):
        estimate.add(0.05)
    assert estimate.value == 0.05


class TestRefusals:
    def refused(self, scheduler: ChunkScheduler, reason: str, message: str, chunk: Chunk, **changes: int) -> None:
        """The answer is refused with `message`, counted under `reason`, and nothing else changes."""
        now = START + 10 * TICK
        before, next_ns = scheduler.setpoint(now), scheduler.next_request_ns
        choice = SpeedChoice(changes.get("choice", chunk.stamp_ns), 1.0)
        with pytest.raises(InvalidInputError, match=message):
            scheduler.accept(chunk, choice, changes.get("handover", now), changes.get("sequence"))
        assert scheduler.refused == {reason: 1}
        assert (scheduler.setpoint(now).position == before.position).all()
        assert scheduler.next_request_ns == next_ns

    def asked(self, **config: object) -> tuple[ChunkScheduler, InferenceRequest]:
        """The second request of an episode is open."""
        scheduler = make(**config)
        answer(scheduler, ask(scheduler, START))
        return scheduler, ask(scheduler, START + 10 * TICK)

    def test_old_stamp(self) -> None:
        scheduler, request = self.asked()
        old = InferenceRequest(0, START)
        message = rf"chunk refused \(old\): expected stamp {request.stamp_ns} ns, got {START}"
        self.refused(scheduler, "old", message, ramp(old))
        answer(scheduler, request)  # the right answer is still welcome

    def test_future_stamp(self) -> None:
        scheduler, request = self.asked()
        future = InferenceRequest(1, request.stamp_ns + 1)
        self.refused(scheduler, "future", r"\(future\): expected stamp", ramp(future))

    def test_repeated(self) -> None:
        scheduler = make()
        request = ask(scheduler, START)
        answer(scheduler, request)
        self.refused(scheduler, "repeated", r"\(repeated\): no request is open", ramp(request))

    def test_unrequested(self) -> None:
        self.refused(make(), "unrequested", r"\(unrequested\): no request is open", ramp(InferenceRequest(0, START)))

    def test_backward_and_future_sequence(self) -> None:
        for sequence, reason in ((0, "backward sequence"), (2, "future sequence")):
            scheduler, request = self.asked()
            message = rf"\({reason}\): expected sequence 1, got {sequence}"
            self.refused(scheduler, reason, message, ramp(request), sequence=sequence)

    def test_speed_of_another_observation(self) -> None:
        scheduler, request = self.asked()
        message = rf"\(speed stamp\): expected speed stamp {request.stamp_ns} ns, got {START}"
        self.refused(scheduler, "speed stamp", message, ramp(request), choice=START)

    def test_another_horizon_or_step_than_before(self) -> None:
        scheduler, request = self.asked()
        self.refused(scheduler, "horizon", r"\(horizon\): expected horizon 100, got 50", ramp(request, k=50))
        scheduler, request = self.asked()
        self.refused(scheduler, "dt", r"\(dt\): expected dt 0.02, got 0.04", ramp(request, dt=0.04))

    def test_another_horizon_or_step_than_configured(self) -> None:
        scheduler = make(horizon=50)
        self.refused(scheduler, "horizon", "expected horizon 50, got 100", ramp(ask(scheduler, START)))
        scheduler = make(chunk_dt=0.04)
        self.refused(scheduler, "dt", "expected dt 0.04, got 0.02", ramp(ask(scheduler, START)))

    def test_a_handover_in_the_past(self) -> None:
        scheduler, request = self.asked()
        message = rf"\(late\): expected a hand-over from {request.stamp_ns} ns on, got {START}"
        self.refused(scheduler, "late", message, ramp(request), handover=START)

    def test_a_handover_before_the_last_one(self) -> None:
        scheduler = make()
        answer(scheduler, ask(scheduler, START), after=30)
        request = ask(scheduler, START + 30 * TICK)
        message = rf"\(late\): expected a hand-over from {request.stamp_ns} ns on, got {request.stamp_ns - TICK}"
        self.refused(scheduler, "late", message, ramp(request), handover=request.stamp_ns - TICK)

    def test_refusals_add_up(self) -> None:
        scheduler = make()
        for count in (1, 2):
            with pytest.raises(InvalidInputError):
                answer(scheduler, InferenceRequest(0, START))
            assert scheduler.refused == {"unrequested": count}

    def test_a_start_that_is_not_a_pose(self) -> None:
        with pytest.raises(InvalidInputError, match=r"start position: expected shape \(14,\), got \(13,\)"):
            make().reset(np.zeros(13), 0)


class TestHandover:
    def behind(self, scheduler: ChunkScheduler, lag: float, v: float) -> list[Retiming]:
        """Chunks as a policy gives them that sees the arms `lag` behind the command."""
        retimings = []
        for n in range(40):
            now = START + n * TICK
            request = scheduler.due(now)
            if request is not None:
                command = float(scheduler.setpoint(now).position[0])  # is demonstration time on this ramp
                start = command - max(request.speed - 1.0, 0.0) * lag
                chunk = ramp(request, start=start)
                retimings.append(scheduler.accept(chunk, SpeedChoice(now, v), now))
            scheduler.setpoint(now)
        return retimings

    def test_nearest_goes_on_where_the_command_is(self) -> None:
        scheduler = make(lag=0.1)
        retimings = self.behind(scheduler, 0.1, 2.0)
        reports = [retiming.report for retiming in retimings]
        assert [report.handover for report in reports] == ["start", "nearest", "nearest", "nearest"]
        assert reports[1].entry == pytest.approx(0.1, abs=1e-3)  # (2 - 1) * lag, less the tolerance
        assert max(report.backward_step for report in reports) <= 1e-3 + 1e-6
        assert abs(scheduler.slip) < 3e-3
        assert reports[2].sequence == 2
        assert retimings[2].trajectory.sequence == 2

    def test_without_the_lag_it_steps_back_and_says_so(self) -> None:
        scheduler = make(lag=0.0)
        reports = [retiming.report for retiming in self.behind(scheduler, 0.1, 2.0)]
        assert reports[1].entry == pytest.approx(0.0)
        assert reports[1].backward_step == pytest.approx(0.1 * np.sqrt(12), rel=1e-3)
        assert scheduler.slip == pytest.approx(-0.3, rel=1e-2)

    def test_ensembling_blends_on_the_axis_of_progress(self) -> None:
        scheduler = make(ensemble=True, ensemble_weight=0.0)
        answer(scheduler, ask(scheduler, START))
        request = ask(scheduler, START + 10 * TICK)
        chunk = ramp(request, start=request.progress + 0.5)
        retiming = scheduler.accept(chunk, SpeedChoice(request.stamp_ns, 1.0), request.stamp_ns)
        assert retiming.trajectory.positions[0, 0] == pytest.approx(request.progress + 0.25, abs=1e-6)
        scheduler.reset(np.zeros(NUM_JOINTS), START + 100 * TICK)
        request = ask(scheduler, START + 100 * TICK)
        retiming = answer(scheduler, request)
        assert retiming.trajectory.positions[0, 0] == pytest.approx(0.0, abs=1e-6)
