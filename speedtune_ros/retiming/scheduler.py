"""When to infer, and what becomes of the answer: requests, ceilings, splices, the trajectory in force.

Free of ROS and clocks: the in-process pipeline and the retimer node drive the same object.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, deque
from dataclasses import dataclass

import numpy as np

from speedtune_ros.aloha import CONTROL_DT_NS, NUM_JOINTS
from speedtune_ros.config import option
from speedtune_ros.errors import InvalidInputError
from speedtune_ros.retiming.ensemble import TemporalEnsemble
from speedtune_ros.retiming.retimer import Ceiling, Retimer, Retiming, Splice
from speedtune_ros.sampling import Player, hold
from speedtune_ros.types import Chunk, InferenceRequest, Setpoint, SpeedChoice, Trajectory, checked

MODES = ("async", "sync")
_BISECTIONS = 40


@dataclass(frozen=True)
class SchedulerConfig:
    """When to infer and what bounds the speed."""

    k_skip: int = option(10, "control ticks between inference requests", minimum=1, maximum=1000)
    inference: str = option("async", "infer while moving, or brake and wait at rest", choices=MODES)
    latency: float = option(0.0, "observation to hand-over [s]", minimum=0.0, maximum=10.0)
    image_age: float = option(
        0.0, "how old images are when they are observed: a chunk is shorter by it [s]", minimum=0.0, maximum=2.0
    )
    measure_latency: bool = option(False, "measure the latency from hand-overs; `latency` is the first guess")
    operator_limit: float = option(100.0, "largest speed the operator allows", minimum=0.01, maximum=100.0)
    ensemble: bool = option(False, "average overlapping chunks (temporal ensembling)")
    ensemble_weight: float = option(0.01, "ensembling favours old chunks by exp(-weight * i)", minimum=0.0)
    horizon: int = option(0, "targets expected per chunk; 0: as the episode's first chunk", minimum=0)
    chunk_dt: float = option(0.0, "time step expected of chunks [s]; 0: as the episode's first chunk", minimum=0.0)


class LatencyEstimate:
    """A high percentile of recent latencies [s]: a chunk must last in the slow case, not in the mean one."""

    def __init__(self, first: float, percentile: float = 0.9, window: int = 32) -> None:
        self._recent: deque[float] = deque(maxlen=window)
        self._percentile = percentile
        self._first = first

    def add(self, latency: float) -> None:
        self._recent.append(latency)

    @property
    def value(self) -> float:
        if not self._recent:
            return self._first
        return sorted(self._recent)[int(self._percentile * (len(self._recent) - 1) + 0.5)]


class ChunkScheduler:
    """Decides when to infer, turns answers into trajectories, knows what is commanded when.

    lag: by how much the robot's measured state trails its command [s]. Progress never goes backwards.
    """

    def __init__(self, retimer: Retimer, config: SchedulerConfig, lag: float = 0.0) -> None:
        self.config = config
        self.refused: Counter[str] = Counter()
        self._retimer = retimer
        self._lag = lag
        self._operator_limit = config.operator_limit
        self.robot_ceiling: Ceiling | None = None  # what the robot itself allows, as hot motors do
        self._latency = LatencyEstimate(config.latency)
        self._ensemble = TemporalEnsemble(config.ensemble_weight) if config.ensemble else None
        self.reset(np.zeros(NUM_JOINTS), 0)

    def reset(self, position: np.ndarray, now_ns: int) -> None:
        """A new episode begins at rest at position (14,); the first request is due at once."""
        position = checked("start position", position, (NUM_JOINTS,))
        self._player = Player(hold(position, now_ns))
        self._outstanding: InferenceRequest | None = None
        self._answered_ns: int | None = None
        self._sequence = 0
        self._expected = (self.config.horizon, self.config.chunk_dt)
        self.next_request_ns = now_ns
        self.slip = 0.0  # demonstration time gained by hand-over jumps, negative if lost [s]
        if self._ensemble is not None:
            self._ensemble.reset()

    @property
    def operator_limit(self) -> float:
        """The largest speed the operator allows."""
        return self._operator_limit

    @operator_limit.setter
    def operator_limit(self, speed: float) -> None:
        if not (np.isfinite(speed) and speed > 0.0):
            raise InvalidInputError(f"operator limit: expected a finite speed above 0, got {speed}")
        self._operator_limit = float(speed)

    @property
    def latency(self) -> float:
        """Observation to hand-over [s], as given or measured."""
        return self._latency.value if self.config.measure_latency else self.config.latency

    @property
    def stretch(self) -> float:
        """How much longer an episode at demonstrated speed takes for stopping and waiting at rest."""
        if not self._pauses:
            return 1.0
        moving = self.config.k_skip * CONTROL_DT_NS / 1e9
        stop = self._retimer.brake_distance(1.0)  # [s] of demonstration in twice the time
        return (moving + 2.0 * stop + self.latency) / (moving + stop)

    def handover_ns(self, stamp_ns: int) -> int:
        """When the answer to an observation takes effect in lock-step: a whole number of ticks later."""
        return stamp_ns + round(self.config.latency * 1e9 / CONTROL_DT_NS) * CONTROL_DT_NS

    def due(self, now_ns: int) -> InferenceRequest | None:
        """The request for the observation of this tick, once; None if none is due, or until the last one is answered
        or given up by `refuse`, which knows the caller's clock."""
        if self._outstanding is not None or now_ns < self.next_request_ns:
            return None
        setpoint = self._player.peek(now_ns)
        request = InferenceRequest(
            self._sequence, now_ns, setpoint.progress, setpoint.speed, self._committed(now_ns), self.latency
        )
        self._sequence += 1
        self._outstanding = request
        self.next_request_ns = now_ns + self.config.k_skip * CONTROL_DT_NS
        return request

    def refuse(self, reason: str = "") -> None:
        """Give the outstanding request up, so that it is asked again when the next one is due.

        reason: counted, unless it is empty because `accept` has counted its own.
        """
        if reason:
            self.refused[reason] += 1
        self._outstanding = None

    def accept(self, chunk: Chunk, choice: SpeedChoice, handover_ns: int, sequence: int | None = None) -> Retiming:
        """Re-time the answer to the outstanding request; it is in force from `handover_ns` on.

        sequence: of the request answered, where the answer names it. Raises InvalidInputError and changes nothing
        but the counts if the answer is not to the outstanding request or not as expected; `refuse` then gives it up.
        """
        request = self._checked_request(chunk, choice, handover_ns, sequence)
        self._check_shape(chunk)
        if self.config.measure_latency:
            self._latency.add((handover_ns - chunk.stamp_ns) / 1e9)
        if self._ensemble is not None:
            chunk = self._ensemble.blend(chunk, request.progress)
        splice = self._splice(request, handover_ns)
        ceiling = self._ceiling(choice.speed, chunk)
        retiming = self._retimer.retime(chunk, splice, ceiling)
        trajectory = dataclasses.replace(retiming.trajectory, sequence=request.sequence)
        report = dataclasses.replace(retiming.report, sequence=request.sequence, requested_speed=choice.speed)
        if report.binding_limit == ceiling.source:
            report = dataclasses.replace(report, binding_joint=ceiling.joint)
        self.slip += report.slip
        self._player.load(trajectory)
        self._outstanding = None
        self._answered_ns = chunk.stamp_ns
        self._expected = (chunk.horizon, chunk.dt)
        self._schedule(request.stamp_ns, handover_ns, trajectory.duration)
        return Retiming(trajectory, report)

    def setpoint(self, now_ns: int) -> Setpoint:
        """What is commanded at `now_ns`."""
        self._player.play(now_ns)
        return self._player.peek(now_ns)

    def rest(self, position: np.ndarray, progress: float, now_ns: int) -> None:
        """The arms rest at position (14,), `progress` [s] into the demonstration, whatever was handed over."""
        self._player = Player(hold(checked("rest position", position, (NUM_JOINTS,)), now_ns, progress))
        if self._outstanding is not None:  # it was asked from where the arms were not
            self._outstanding = dataclasses.replace(self._outstanding, progress=progress)

    def resume(self, trajectory: Trajectory) -> None:
        """The arms follow `trajectory` after all."""
        self._player = Player(trajectory)

    @property
    def _pauses(self) -> bool:
        """Whether the arms wait at rest for each answer."""
        return self.config.inference == "sync" and (self.config.measure_latency or self.config.latency > 0.0)

    def _committed(self, now_ns: int) -> np.ndarray:
        stamps = range(now_ns, self.handover_ns(now_ns), CONTROL_DT_NS)
        rows = [self._player.peek(stamp).position for stamp in stamps]
        return np.array(rows, np.float32).reshape(-1, NUM_JOINTS)

    def _splice(self, request: InferenceRequest, handover_ns: int) -> Splice:
        now = self._player.peek(handover_ns)
        cruise = self.config.k_skip * CONTROL_DT_NS / 1e9 if self._pauses else np.inf
        consumed = max(now.progress - request.progress, 0.0)
        return Splice(handover_ns, now.position, now.velocity, now.speed, now.progress, consumed, self._lag, cruise)

    def _schedule(self, stamp_ns: int, handover_ns: int, duration: float) -> None:
        """The next request: every k_skip ticks, never before the last answer is in force, at rest where we pause."""
        period = self.config.k_skip * CONTROL_DT_NS
        if not self._pauses:
            self.next_request_ns = max(stamp_ns + period, handover_ns)
            return
        ticks = int(np.ceil(duration * 1e9 / CONTROL_DT_NS - 1e-6))
        self.next_request_ns = handover_ns + max(period, ticks * CONTROL_DT_NS)

    def _ceiling(self, speed: float, chunk: Chunk) -> Ceiling:
        """The least of what the speed policy, the latency, the robot and the operator allow, by name."""
        ceiling = Ceiling(speed)
        latency = self._latency_ceiling(speed, chunk)
        if latency < ceiling.speed:
            ceiling = Ceiling(latency, "latency")
        if self.robot_ceiling is not None and self.robot_ceiling.speed < ceiling.speed:
            ceiling = self.robot_ceiling
        if self._operator_limit < ceiling.speed:
            ceiling = Ceiling(self._operator_limit, "operator")
        return ceiling

    def _latency_ceiling(self, speed: float, chunk: Chunk) -> float:
        """The largest v <= speed with v * (a + L + max(L, P)) + brake_distance(v) <= k * dt; a and L are 0 at rest.

        a: age of the images. A chunk begins where its images were taken, so what has been done since is spent.
        """
        latency, age = (0.0, 0.0) if self._pauses else (self.latency, self.config.image_age)
        wait = age + latency + max(latency, self.config.k_skip * CONTROL_DT_NS / 1e9)
        length = chunk.horizon * chunk.dt
        if speed * wait + self._retimer.brake_distance(speed) <= length:
            return speed
        low, high = 0.0, speed
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2.0
            fits = middle * wait + self._retimer.brake_distance(middle) <= length
            low, high = (middle, high) if fits else (low, middle)
        return low

    def _checked_request(
        self, chunk: Chunk, choice: SpeedChoice, handover_ns: int, sequence: int | None
    ) -> InferenceRequest:
        """The request that this answer belongs to."""
        request = self._outstanding
        if request is None:
            reason = "repeated" if chunk.stamp_ns == self._answered_ns else "unrequested"
            raise self._refusal(reason, f"no request is open, got a chunk of stamp {chunk.stamp_ns} ns")
        if chunk.stamp_ns != request.stamp_ns:
            reason = "old" if chunk.stamp_ns < request.stamp_ns else "future"
            raise self._refusal(reason, f"expected stamp {request.stamp_ns} ns, got {chunk.stamp_ns}")
        if sequence is not None and sequence != request.sequence:
            reason = "backward sequence" if sequence < request.sequence else "future sequence"
            raise self._refusal(reason, f"expected sequence {request.sequence}, got {sequence}")
        if choice.stamp_ns != request.stamp_ns:
            raise self._refusal("speed stamp", f"expected speed stamp {request.stamp_ns} ns, got {choice.stamp_ns}")
        earliest = max(request.stamp_ns, self._player.latest.start_ns)
        if handover_ns < earliest:
            raise self._refusal("late", f"expected a hand-over from {earliest} ns on, got {handover_ns}")
        return request

    def _check_shape(self, chunk: Chunk) -> None:
        """Refuse a chunk that is not of the episode's horizon and step."""
        horizon, dt = self._expected
        for name, expected, got in (("horizon", horizon, chunk.horizon), ("dt", dt, chunk.dt)):
            if expected and got != expected:
                raise self._refusal(name, f"expected {name} {expected}, got {got}")

    def _refusal(self, reason: str, detail: str) -> InvalidInputError:
        self.refused[reason] += 1
        return InvalidInputError(f"chunk refused ({reason}): {detail}")
