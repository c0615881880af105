"""The learner for a running graph: made of settings, or of a checkpoint it goes on from. No simulator is needed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from speedtune_ros.aloha import CONTROL_DT, NUM_JOINTS
from speedtune_ros.errors import ConfigError, SpeedtuneError
from speedtune_ros.live.episode import EpisodeLimits, Graph
from speedtune_ros.policies.policy import Policy
from speedtune_ros.registry import companion
from speedtune_ros.speed.projection import Projection
from speedtune_ros.speed.speed_policy import Companion
from speedtune_ros.speed.vision import PooledTokens
from speedtune_ros.training.speed_learner import LearnerConfig, LearnerLimits, SpeedLearner
from speedtune_ros.types import InferenceRequest, Observation, Query, RobotState

C = TypeVar("C", bound=LearnerConfig)
MARGIN = 50  # control steps beyond the task's own, as in simulation
WORST = -1.0  # verdict of a person


def allowed(config: C, limit: float) -> C:
    """`config` with the speeds that the operator's `limit` lets through. Raises ConfigError if none is left."""
    speeds = tuple(speed for speed in config.speeds if speed <= limit)
    if not speeds:
        raise ConfigError(f"speeds {list(config.speeds)}: the operator's limit is {limit:g}, below all of them")
    return dataclasses.replace(config, speeds=speeds)


def episode_limits(config: LearnerConfig, steps: int) -> EpisodeLimits:
    """When a training episode ends without success, as in simulation; steps: control steps of a demonstration."""
    longest = round((steps + MARGIN) / min(config.speeds[0], 1.0))
    return EpisodeLimits(longest * CONTROL_DT, config.give_up * steps * CONTROL_DT)


class LearnerFactory:
    """Makes learners beside `policy` for episodes of `limits`."""

    def __init__(self, config: LearnerConfig, policy: Policy, limits: EpisodeLimits) -> None:
        self._config = config
        self._info = policy.info
        self._beside: Companion = companion(policy, config.k_skip, config.ensemble)
        self._limits = limits

    def make(self, projection: Projection | None) -> SpeedLearner:
        """One that has learned nothing. Raises ConfigError."""
        limits = LearnerLimits(round(self._limits.time / CONTROL_DT), self._limits.progress, worst=WORST)
        return SpeedLearner(self._config, self._beside, limits, self._info.horizon * self._info.dt, projection)

    @property
    def sees(self) -> bool:
        """Whether it sees images through the task policy's encoder, and so needs a projection."""
        frozen = self._config.vision.encoder == "task_policy"
        return self._config.features.images and self._beside.see is not None and bool(self._info.cameras) and frozen

    def calibrate(self, graph: Graph, folder: Path, first_seed: int, say: Callable[[str], None]) -> Projection:
        """The projection from what the encoder gives on first episodes, which need no verdict: nothing is learned.

        They run under a learner that sees all the encoder gives, and so the graph tells it. Raises SpeedtuneError.
        """
        size = self._encoded_size()
        looker = self.make(Projection(np.zeros(size), np.eye(size)))
        looker.write(folder)
        wanted, seen = self._config.vision.samples, np.empty((0, size))
        seed = first_seed
        while len(seen) < wanted:
            graph.load(str(folder.resolve()), seed)
            episode = graph.run(seed, "", self._limits)
            if episode is None:
                raise SpeedtuneError("calibration was interrupted")
            rows = [choice.features[-size:] for choice in episode.choices if choice.features]
            if not rows:
                raise SpeedtuneError(f"calibration: the speed policy told nothing in '{episode.id}' ({episode.reason})")
            seen = np.concatenate([seen, np.array(rows)])
            say(f"looking: {min(len(seen), wanted)} of {wanted} observations")
            seed += 1
        return Projection.fit(seen, self._config.vision.size)

    def _encoded_size(self) -> int:
        """How many numbers the encoder gives for one observation."""
        assert self._beside.see is not None
        images = {name: np.zeros((*size, 3), np.uint8) for name, size in self._info.cameras.items()}
        still = np.zeros(NUM_JOINTS)
        query = Query(Observation(RobotState(0, still, still), images), InferenceRequest(0, 0))
        encoder = PooledTokens(self._beside.see, self._beside.cameras, self._config.vision.pooling)
        return int(encoder([query]).shape[1])
