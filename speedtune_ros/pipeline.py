"""The one loop: observe, infer, choose speed, re-time, command. No ROS, no clock; every stage injected.

On control tick n, at stamp t_n = t_0 + n * 20 ms: the state is observed; if the scheduler asks, both policies infer on
this observation, and their answer takes over at tick n + L; the trajectory at t_n is guarded and commanded; physics
runs to t_{n+1}. Between two requests a slot needs nobody else, so slots run in threads from request to request.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from speedtune_ros.config import option
from speedtune_ros.errors import ConfigError, InvalidInputError
from speedtune_ros.pipeline_trace import EpisodeResult, Recorder
from speedtune_ros.policies.policy import Policy
from speedtune_ros.registry import make_retimer
from speedtune_ros.retiming.linear import RetimerConfig
from speedtune_ros.retiming.scheduler import ChunkScheduler, SchedulerConfig
from speedtune_ros.robots.driver import Driver
from speedtune_ros.simulation import Simulation
from speedtune_ros.speed.speed_policy import SpeedPolicy
from speedtune_ros.types import Chunk, Episode, Query, SpeedChoice


@dataclass(frozen=True)
class PipelineConfig:
    """How episodes are run."""

    retimer: str = option("linear", "retimer")
    retiming: RetimerConfig = field(default_factory=RetimerConfig)
    scheduler: SchedulerConfig = field(default_factory=SchedulerConfig)
    latencies: tuple[float, ...] = option(
        (), "an episode's latency, one of these by its seed; empty: the scheduler's [s]", minimum=0.0, maximum=10.0
    )
    time_limit_steps: int = option(0, "control steps an episode; 0: what the task needs at the speed", minimum=0)
    margin_steps: int = option(50, "control steps beyond the task's own", minimum=0)
    progress_limit: float = option(0.0, "demonstration time after which an episode ends [s]; 0: none", minimum=0.0)
    stop_on_success: bool = option(True, "end an episode at its first success")
    workers: int = option(0, "threads that step physics; 0: one per core", minimum=0)
    frame_camera: str = option("", "camera whose frames a trace keeps; empty for none")
    frame_height: int = option(240, "height of these frames [px]", minimum=16)
    frame_width: int = option(320, "width of these frames [px]", minimum=16)
    frame_every: int = option(4, "control ticks between these frames", minimum=1)


def make_scheduler(simulation: Simulation, config: PipelineConfig) -> ChunkScheduler:
    """For one simulation's limits and lag."""
    retimer = make_retimer(config.retimer, config.retiming, simulation.limits.velocity)
    return ChunkScheduler(retimer, config.scheduler, simulation.profile.lag)


def demonstrated_steps(simulation: Simulation, config: PipelineConfig) -> float:
    """Control steps an episode may take at demonstrated speed, at any of its latencies, where `time_limit_steps` does
    not say."""
    stretch = max(make_scheduler(simulation, each).stretch for each in _by_latency(config))
    return (simulation.task.episode_steps + config.margin_steps) * stretch


def _by_latency(config: PipelineConfig) -> list[PipelineConfig]:
    """`config` with each of its latencies."""
    latencies = config.latencies or (config.scheduler.latency,)
    return [replace(config, scheduler=replace(config.scheduler, latency=latency)) for latency in latencies]


class _Slot:
    """One simulation with its own scheduler and driver, running one episode at a time."""

    def __init__(self, simulation: Simulation, config: PipelineConfig) -> None:
        self.simulation = simulation
        self._config = config
        self._schedulers = [make_scheduler(simulation, each) for each in _by_latency(config)]
        self._scheduler = self._schedulers[0]
        self._driver = Driver(simulation.limits, simulation.initial_command)
        self._nominal = demonstrated_steps(simulation, config)
        self._slowest = 1.0
        self._progress = 0.0
        self._recorder: Recorder | None = None

    def begin(self, episode: Episode, trace: bool) -> None:
        """Reset everything to the start of `episode`."""
        simulation = self.simulation
        simulation.reset(episode)
        self._driver.reset(simulation.initial_command)
        self._scheduler = self._schedulers[episode.seed % len(self._schedulers)]
        self._scheduler.reset(simulation.initial_command, simulation.now_ns)
        self._slowest = 1.0
        self._progress = 0.0
        self._recorder = Recorder(episode, trace, self._driver, self._scheduler)

    def advance(self) -> Query | EpisodeResult:
        """Run to the next request, or to the episode's end; trouble of driver or simulation ends it at once."""
        simulation, recorder = self.simulation, self._recorder
        assert recorder is not None
        while True:
            if self._over():
                return recorder.result(simulation)
            request = self._scheduler.due(simulation.now_ns)
            if request is not None:
                return Query(simulation.observe(), request)
            self._tick(recorder)

    def answer(self, chunk: Chunk, choice: SpeedChoice) -> None:
        """Re-time the chunk and hand it to the driver; one that either refuses is counted and asked for again."""
        assert self._recorder is not None
        now_ns = self.simulation.now_ns
        try:
            retiming = self._scheduler.accept(chunk, choice, self._scheduler.handover_ns(now_ns))
            self._driver.load(retiming.trajectory)
        except InvalidInputError:
            self._scheduler.refuse()
            return
        self._slowest = min(self._slowest, choice.speed)
        self._recorder.report(retiming.report)

    def _over(self) -> bool:
        simulation, config = self.simulation, self._config
        late = simulation.steps >= self._limit() or 0.0 < config.progress_limit <= self._progress
        troubled = bool(self._driver.trouble or simulation.trouble)
        return late or troubled or (simulation.success and config.stop_on_success)

    def _limit(self) -> int:
        """Control steps the episode may take; below demonstrated speed it needs more of them."""
        return self._config.time_limit_steps or round(self._nominal / self._slowest)

    def _tick(self, recorder: Recorder) -> None:
        simulation, config = self.simulation, self._config
        state = simulation.observe(images=False).state
        if recorder.traces and config.frame_camera and simulation.steps % config.frame_every == 0:
            frame = simulation.robot.render(config.frame_camera, config.frame_height, config.frame_width)
            recorder.frame(state.stamp_ns, frame)
        tick = self._driver.tick(state)
        self._progress = tick.progress
        simulation.step(tick.command)
        recorder.tick(state, tick, simulation)


class Pipeline:
    """Runs episodes over simulations (slots): inference as one batch, physics in threads.

    Raises ConfigError if there is no simulation.
    """

    def __init__(
        self,
        simulations: Sequence[Simulation],
        policy: Policy,
        speed_policy: SpeedPolicy,
        config: PipelineConfig = PipelineConfig(),
    ) -> None:
        if not simulations:
            raise ConfigError("pipeline: expected at least one simulation, got none")
        self.config = config
        self._policy = policy
        self._speed_policy = speed_policy
        self._slots = [_Slot(simulation, config) for simulation in simulations]
        workers = min(config.workers or os.cpu_count() or 1, len(self._slots))
        self._pool = ThreadPoolExecutor(workers, "slots") if workers > 1 else None

    def run(self, episodes: Iterable[Episode], trace: bool = False) -> Iterator[EpisodeResult]:
        """The results of all `episodes`, in the order they end; `trace` keeps every tick."""
        waiting = iter(episodes)
        idle = list(range(len(self._slots)))
        active: list[int] = []
        while True:
            begun = self._begin(waiting, idle, trace)
            idle = [slot for slot in idle if slot not in begun]
            active = sorted(active + begun)
            if not active:
                return
            outcomes = dict(zip(active, self._advance(active)))
            results = {slot: o for slot, o in outcomes.items() if isinstance(o, EpisodeResult)}
            self._infer({slot: o for slot, o in outcomes.items() if isinstance(o, Query)})
            idle += results
            active = [slot for slot in active if slot not in results]
            yield from results.values()

    def close(self) -> None:
        """Release the threads; the simulations stay open."""
        if self._pool is not None:
            self._pool.shutdown()

    def _begin(self, waiting: Iterator[Episode], idle: Sequence[int], trace: bool) -> list[int]:
        """Start the next episodes in idle slots; the slots that got one."""
        begun = []
        for slot, episode in zip(idle, waiting):
            self._policy.reset(episode, slot)
            self._speed_policy.reset(episode, slot)
            self._slots[slot].begin(episode, trace)
            begun.append(slot)
        return begun

    def _advance(self, active: Sequence[int]) -> Iterable[Query | EpisodeResult]:
        run = self._pool.map if self._pool is not None else map
        return run(_Slot.advance, [self._slots[slot] for slot in active])

    def _infer(self, queries: dict[int, Query]) -> None:
        if not queries:
            return
        chunks = self._policy.infer(queries)
        choices = self._speed_policy.choose(queries)
        for slot in queries:
            self._slots[slot].answer(chunks[slot], choices[slot])
