"""Reinforcement learning from scratch in the place of a speed policy: the same agent, reward and loop."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speedtune_ros import from_scratch
from speedtune_ros.config import to_dict
from speedtune_ros.errors import ConfigError
from speedtune_ros.from_scratch import FromScratchConfig, TargetPolicy
from speedtune_ros.speed.projection import Projection
from speedtune_ros.speed.speed_policy import Companion
from speedtune_ros.training.speed_learner import LearnerConfig, LearnerLimits, SpeedLearner


class TargetLearner(SpeedLearner):
    """Learns joint targets; of the task policy `companion` it has the task, the profile and the cameras.

    All is executed at demonstrated speed, so V has no part in it, and no episode is guided. No task policy's encoder
    is there to be shared: raises ConfigError where images are to be seen through one.
    """

    policy: TargetPolicy

    def __init__(
        self,
        config: LearnerConfig,
        companion: Companion,
        limits: LearnerLimits,
        chunk_length: float,
        projection: Projection | None = None,
    ) -> None:
        if config.features.images and companion.cameras and config.vision.encoder != "own":
            raise ConfigError(
                f"vision.encoder: expected 'own' (or features.images false) where joint targets are learned from "
                f"scratch, got '{config.vision.encoder}'"
            )
        super().__init__(dataclasses.replace(config, speeds=(1.0,)), companion, limits, chunk_length)

    def write(
        self,
        folder: str | Path,
        figures: Mapping[str, Any] | None = None,
        command: str = "",
        training: Mapping[str, Any] | None = None,
        seeds: Mapping[str, Any] | None = None,
    ) -> None:
        """The policy as it is now, as a task policy's checkpoint."""
        made = {**(training or to_dict(self.config)), "learned_from": self.agent.decisions}
        from_scratch.write(folder, self.policy, {**made, "figures": figures or {}, "seeds": seeds or {}}, command)

    def _make_policy(self) -> TargetPolicy:
        config, companion = self.config, self._companion
        if config.begin_with:
            raise ConfigError(f"begin_with: expected none where joint targets are chosen, got '{config.begin_with}'")
        made = FromScratchConfig(
            k_skip=config.k_skip,
            time_limit=self.time_limit,
            bounds=self._bounds,
            network=config.agent.network,
            features=config.features,
        )
        info = from_scratch.info_of(
            companion.task, companion.profile, companion.cameras if config.features.images else {}
        )
        policy = from_scratch.make(made, info, config.agent, config.seed)
        policy.explore = True
        return policy
