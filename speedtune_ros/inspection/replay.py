"""Recorded observations through today's task policy, speed policy, retimer and driver: open loop, in one process.

Nothing here can move anything: no ROS is imported, and what is commanded goes into a list.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from speedtune_ros import registry
from speedtune_ros.aloha import ARMS, CONTROL_DT_NS
from speedtune_ros.data.bag_series import Decision, EpisodeSeries, Tick
from speedtune_ros.errors import DataError, InvalidInputError
from speedtune_ros.inspection.replay_config import ReplayConfig
from speedtune_ros.policies.policy import Policy
from speedtune_ros.retiming.scheduler import ChunkScheduler
from speedtune_ros.robots.driver import Driver
from speedtune_ros.robots.profiles import make_profile
from speedtune_ros.robots.robot import Limits
from speedtune_ros.sampling import sample
from speedtune_ros.speed.speed_policy import SpeedPolicy
from speedtune_ros.types import Chunk, Episode, InferenceRequest, Query, SpeedChoice, Trajectory

_SAME = 1e-9  # [s] of progress: the arms followed what was handed over
_ARMS = np.array(ARMS)


@dataclass
class Stages:
    """Today's stages, built once for the episodes of a bag."""

    policy: Policy
    speed_policy: SpeedPolicy
    limits: Limits
    lag: float  # [s]


def make_stages(config: ReplayConfig) -> Stages:
    """Raises what the registry raises for a name or checkpoint that is not there."""
    policy = registry.make_policy(config.policy, config.task, config.profile)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(config.threads)
    speed_policy = registry.make_speed_policy(
        config.speed, policy, config.scheduler.k_skip, ensemble=config.scheduler.ensemble
    )
    profile = make_profile(config.profile)
    velocity = profile.limits.velocity.copy()
    if config.max_velocity is not None:
        velocity[_ARMS] = np.minimum(velocity[_ARMS], config.max_velocity)
    return Stages(policy, speed_policy, dataclasses.replace(profile.limits, velocity=velocity), profile.lag)


@dataclass
class Replayed:
    """What today's stages say: an episode like the recorded one, and for a decision without answer why."""

    series: EpisodeSeries
    notes: dict[int, str]


def replay(series: EpisodeSeries, config: ReplayConfig, stages: Stages, free: bool = False) -> Replayed:
    """Ask today's stages every recorded question.

    Each new trajectory continues from what was commanded when the bag was recorded, so that a different answer does
    not leave the recorded observations behind; with `free` it continues from the replay's own trajectory instead.
    Raises DataError if the bag lacks what is needed.
    """
    if not series.decisions or not series.states or series.start_command is None:
        raise DataError(f"episode '{series.info.id}': expected requests, joint states and driver status in the bag")
    run = _Run(series, config, stages, free)
    decisions = [run.decide(decision) for decision in series.decisions]
    ticks = list(played(series, decisions, stages.limits, anchored=not free))
    return Replayed(dataclasses.replace(series, decisions=decisions, ticks=ticks), run.notes)


class _Run:
    """One episode under way."""

    def __init__(self, series: EpisodeSeries, config: ReplayConfig, stages: Stages, free: bool) -> None:
        self.notes: dict[int, str] = {}
        self._series, self._config, self._stages, self._free = series, config, stages, free
        self._cameras = sorted({*stages.policy.info.cameras, *getattr(stages.speed_policy, "cameras", {})})
        missing = [camera for camera in self._cameras if camera not in series.images]
        if missing:
            found = ", ".join(series.cameras) or "none"
            raise DataError(
                f"the bag has no images of camera '{missing[0]}', which {config.policy} sees; it has {found}"
            )
        retimer = registry.make_retimer(config.retimer, config.retiming, stages.limits.velocity)
        self._scheduler = ChunkScheduler(retimer, config.scheduler, stages.lag)
        assert series.start_command is not None
        self._scheduler.reset(series.start_command, series.states[0].stamp_ns)
        episode = Episode(series.info.id, series.info.task, series.info.seed, series.instruction)
        stages.policy.reset(episode)
        stages.speed_policy.reset(episode)
        self._handed: list[Decision] = []  # recorded trajectories so far

    def decide(self, recorded: Decision) -> Decision:
        """Today's answers to one recorded request."""
        new = Decision(recorded.sequence, times=dict(recorded.times))
        try:
            self._answer(recorded, new)
        except InvalidInputError as error:
            self._scheduler.refuse()
            self.notes[recorded.sequence] = str(error)
        if recorded.trajectory is not None:
            self._handed.append(recorded)
        return new

    def _answer(self, recorded: Decision, new: Decision) -> None:
        observation = self._series.observation(recorded, self._cameras)
        if observation is None:
            raise InvalidInputError("its observation is not in the bag")
        request = self._request(recorded)
        if request is None:
            raise InvalidInputError("the replay would not have asked then")
        new.request = dataclasses.replace(request, sequence=recorded.sequence)
        query = Query(observation, new.request)
        new.chunk, new.choice = self._infer(query)
        self._limit(recorded)
        begun = time.perf_counter()
        retiming = self._scheduler.accept(new.chunk, new.choice, self._handover_ns(recorded))
        solve_time = time.perf_counter() - begun
        new.trajectory = dataclasses.replace(retiming.trajectory, sequence=recorded.sequence)
        new.report = dataclasses.replace(retiming.report, sequence=recorded.sequence, solve_time=solve_time)

    def _infer(self, query: Query) -> tuple[Chunk, SpeedChoice]:
        begun = time.perf_counter()
        chunk = self._stages.policy.infer({0: query})[0]
        latency = time.perf_counter() - begun
        return dataclasses.replace(chunk, latency=latency), self._stages.speed_policy.choose({0: query})[0]

    def _request(self, recorded: Decision) -> InferenceRequest | None:
        """The scheduler's question at the recorded stamp, from where the arms were commanded to be then."""
        scheduler, stamp_ns = self._scheduler, recorded.stamp_ns
        if self._free:
            return scheduler.due(stamp_ns)
        self._continue_from(recorded)
        scheduler.next_request_ns = min(scheduler.next_request_ns, stamp_ns)
        return scheduler.due(stamp_ns)

    def _continue_from(self, recorded: Decision) -> None:
        """Put the scheduler where the recorded one was."""
        progress = 0.0 if recorded.request is None else recorded.request.progress
        if self._handed:
            trajectory = self._handed[-1].trajectory
            assert trajectory is not None
            if abs(sample(trajectory, recorded.stamp_ns).progress - progress) < _SAME:
                self._scheduler.resume(trajectory)
                return
        tick = self._tick_before(recorded.stamp_ns)
        assert self._series.start_command is not None
        command = self._series.start_command if tick is None else tick.command
        self._scheduler.rest(command, progress, recorded.stamp_ns)

    def _tick_before(self, stamp_ns: int) -> Tick | None:
        index = int(np.searchsorted(self._series.tick_stamps, stamp_ns)) - 1
        return self._series.ticks[index] if index >= 0 else None

    def _limit(self, recorded: Decision) -> None:
        """The operator's limit, as given or as the retimer last reported it."""
        limit = self._config.operator_limit
        if limit is None:
            heard = [h for h in self._series.health if "operator_limit" in h.values]
            log_ns = recorded.times["request"].log_ns if "request" in recorded.times else 0
            before = [h for h in heard if h.log_ns <= log_ns] or heard[:1]
            limit = float(before[-1].values["operator_limit"]) if before else self._config.scheduler.operator_limit
        self._scheduler.operator_limit = limit

    def _handover_ns(self, recorded: Decision) -> int:
        """When the answer took effect; by the scheduler's own latency where that is fixed or nothing was recorded."""
        config = self._config.scheduler
        if recorded.trajectory is not None and (config.measure_latency or not self._config.lockstep):
            return recorded.trajectory.start_ns
        if config.measure_latency and not self._config.lockstep:
            ticks = max(1, round(self._scheduler.latency * 1e9 / CONTROL_DT_NS))
            return recorded.stamp_ns + ticks * CONTROL_DT_NS
        return self._scheduler.handover_ns(recorded.stamp_ns)


def played(series: EpisodeSeries, decisions: list[Decision], limits: Limits, anchored: bool = False) -> Iterator[Tick]:
    """What the driver and its guard would have sent on each recorded tick.

    anchored: each trajectory begins where the recorded one did, so the guard begins there with it: it must not take
    the step from one answer to the next for a motion.
    """
    assert series.start_command is not None
    driver = Driver(limits, series.start_command)
    pending = [(_due_ns(decision), decision.trajectory) for decision in decisions if decision.trajectory is not None]
    before = series.start_command
    for recorded in series.ticks:
        state = series.state_at(recorded.stamp_ns)
        if state is None:
            continue
        while pending and _is_here(pending[0], recorded, anchored):
            if anchored:
                driver.reset(before)
            _load(driver, pending.pop(0)[1])
        before = recorded.command
        tick = driver.tick(state, recorded.stamp_ns)
        yield Tick(
            tick.stamp_ns,
            recorded.times,
            tick.command,
            tick.state.name.lower(),
            tick.faults,
            tick.trajectory,
            tick.progress,
            tick.speed,
            tick.tracking_error,
            recorded.missed,
            tick.refused,
            tick.saturated,
        )


def _due_ns(decision: Decision) -> int | None:
    """When the recorded trajectory was published."""
    return decision.times["trajectory"].publish_ns if "trajectory" in decision.times else None


def _is_here(pending: tuple[int | None, Trajectory | None], tick: Tick, begun: bool) -> bool:
    """Whether the driver has a trajectory by a recorded tick, and, if `begun`, whether it begins by then."""
    published_ns, trajectory = pending
    assert trajectory is not None
    if published_ns is not None and published_ns > tick.times.publish_ns:
        return False
    return trajectory.start_ns <= tick.stamp_ns or (published_ns is not None and not begun)


def _load(driver: Driver, trajectory: Trajectory | None) -> None:
    assert trajectory is not None
    with contextlib.suppress(InvalidInputError):  # the driver counts it
        driver.load(trajectory)
