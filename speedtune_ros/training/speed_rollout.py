"""Episodes for a learning speed policy, in simulation: slots side by side, one batch of inference, timed by parts."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from speedtune_ros.aloha import CONTROL_DT
from speedtune_ros.from_scratch import TargetPolicy
from speedtune_ros.pipeline import Pipeline, PipelineConfig, demonstrated_steps
from speedtune_ros.pipeline_trace import EpisodeResult
from speedtune_ros.policies.policy import Policy
from speedtune_ros.registry import companion, make_policy, make_simulation, make_speed_policy, make_task
from speedtune_ros.speed.guide import Guide
from speedtune_ros.speed.projection import Projection
from speedtune_ros.speed.speed_policy import SpeedPolicy
from speedtune_ros.speed.vision import PooledTokens
from speedtune_ros.training.speed_learner import LearnerLimits, SpeedLearner
from speedtune_ros.training.stopwatch import Stopwatch
from speedtune_ros.training.target_learner import TargetLearner
from speedtune_ros.types import Episode, Query, SpeedChoice

if TYPE_CHECKING:
    from speedtune_ros.training.train_speed import TrainSpeedConfig


class SpeedRollout:
    """The simulations, the task policy and the learner of one training.

    threads: that step physics, 0 one a core; calibration: scenes to look at first where the policy sees images, or
    the projection found from them before. Raises as its stages do.
    """

    def __init__(
        self,
        config: TrainSpeedConfig,
        threads: int,
        calibration: Iterable[Episode],
        projection: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        task = make_task(config.task)
        self._policy = make_policy(config.policy, task, config.dynamics)
        cameras = self._policy.info.cameras
        self._simulations = [make_simulation(task, config.dynamics, cameras) for _ in range(config.slots)]
        workers = threads or len(os.sched_getaffinity(0))
        settings = config.pipeline(workers=workers, latencies=config.latencies)
        # Below demonstrated speed an episode needs more time, and its limit is part of what is learned.
        nominal = demonstrated_steps(self._simulations[0], settings) / min(config.speeds[0], 1.0)
        self._evaluating = dataclasses.replace(settings, time_limit_steps=round(nominal))
        given_up = config.give_up * task.episode_steps * CONTROL_DT
        self._training = dataclasses.replace(self._evaluating, progress_limit=given_up)
        self.watch = Stopwatch()
        found = Projection(**projection) if projection else self._calibrate(config, calibration)
        info = self._policy.info
        limits = LearnerLimits(round(nominal), given_up)
        learner = TargetLearner if config.chooses == "targets" else SpeedLearner
        beside = companion(self._policy, config.k_skip, config.ensemble)
        self.learner = learner(config, beside, limits, info.horizon * info.dt, found)
        self._attach()

    def train(self, episodes: Iterable[Episode]) -> Iterator[tuple[EpisodeResult, float]]:
        """Explore in `episodes` and learn from each as it ends: results and returns."""
        self.learner.policy.explore = True
        for result in self._run(self._training, self.learner.policy, episodes):
            gained = self._learn(result)
            with self.watch.measure("update"):
                self.learner.learn()
            yield result, gained

    def evaluate(self, seeds: Sequence[int]) -> list[EpisodeResult]:
        """The policy as it is, at its best, as `speedtune eval` would run it."""
        self.learner.policy.explore = False
        return self.run(self.learner.policy, seeds)

    def run(self, policy: SpeedPolicy | str, seeds: Sequence[int]) -> list[EpisodeResult]:
        """Any speed policy on the scenes of `seeds`."""
        policy = make_speed_policy(policy) if isinstance(policy, str) else policy
        task = self._policy.info.task
        episodes = (Episode(f"{task}-{seed}", task, seed) for seed in seeds)
        with self.watch.measure("evaluation", whole=True):
            return list(self._run(self._evaluating, policy, episodes))

    def close(self) -> None:
        for simulation in self._simulations:
            simulation.close()

    def _run(self, config: PipelineConfig, policy: SpeedPolicy, episodes: Iterable[Episode]) -> Iterator[EpisodeResult]:
        pipeline = Pipeline(self._simulations, self._beside(policy), policy, config)
        try:
            yield from pipeline.run(episodes, trace=True)
        finally:
            pipeline.close()

    def _beside(self, policy: SpeedPolicy) -> Policy:
        """The task policy beside `policy`: none other where that chooses targets itself."""
        return policy if isinstance(policy, TargetPolicy) else self._policy

    def _learn(self, result: EpisodeResult) -> float:
        """NaN, and nothing learned, for an episode that broke down before anything moved."""
        if result.trace is None or not len(result.trace.speed):
            return float("nan")
        decisions = self.learner.policy.decisions(result.episode)
        left = self._evaluating.time_limit_steps - result.steps
        speeds = result.trace.speed
        return self.learner.add(decisions, speeds, float(result.success), max(left, 0), result.episode.id)

    def _calibrate(self, config: TrainSpeedConfig, episodes: Iterable[Episode]) -> Projection | None:
        """What is kept of the image encoder's output, from what it gives on first episodes at all speeds."""
        beside = companion(self._policy, config.k_skip, config.ensemble)
        frozen = config.features.images and config.vision.encoder == "task_policy" and config.chooses == "speeds"
        if not frozen or beside.see is None or not beside.cameras:
            return None
        looker = _Looker(
            Guide(config.guide, config.speeds, lambda: -1, config.seed),
            PooledTokens(beside.see, beside.cameras, config.vision.pooling),
            config.speeds,
        )
        for _ in self._run(self._training, looker, episodes):
            if looker.count >= config.vision.samples:
                break
        return Projection.fit(np.concatenate(looker.seen), config.vision.size)

    def _attach(self) -> None:
        """Time every part from here on."""
        for simulation in self._simulations:
            self.watch.attach(simulation, "step", "physics")
            self.watch.attach(simulation, "observe", "observation")
        self.watch.attach(self._beside(self.learner.policy), "infer", "task_policy")
        self.watch.attach(self._policy, "reset", "task_policy")
        self.watch.attach(self.learner.policy, "choose", "speed_policy")


class _Looker:
    """Runs at guided speeds and keeps what an image encoder gives."""

    def __init__(self, guide: Guide, encoder: PooledTokens, speeds: Sequence[float]) -> None:
        self.seen: list[np.ndarray] = []
        self.count = 0
        self._guide, self._encoder, self._speeds = guide, encoder, speeds

    def reset(self, episode: Episode, slot: int = 0) -> None:
        self._guide.reset(episode, slot)

    def choose(self, queries: Mapping[int, Query]) -> dict[int, SpeedChoice]:
        self.seen.append(self._encoder(list(queries.values())))
        self.count += len(queries)
        actions: dict[int, int] = self._guide.actions(queries)
        return {
            slot: SpeedChoice(query.request.stamp_ns, self._speeds[actions.get(slot, 0)])
            for slot, query in queries.items()
        }
