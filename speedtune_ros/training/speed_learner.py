"""A learned speed policy in the making: the agent, what it sees, what it is paid. Knows no simulator and no ROS.

Whoever runs the episodes, in simulation or on a live robot, lets `policy` choose, tells with `add` what came of it, and
calls `learn` between episodes.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from speedtune_ros import __version__
from speedtune_ros.aloha import CONTROL_DT, CONTROL_DT_NS
from speedtune_ros.config import option, to_dict
from speedtune_ros.errors import ConfigError, InvalidInputError
from speedtune_ros.seeds import SEEDS_A_RUN, SPEED_TRAINING
from speedtune_ros.speed import rainbow
from speedtune_ros.speed.checkpoint import SpeedCard, feature_stack, weights_to_begin_with, write_speed_checkpoint
from speedtune_ros.speed.decider import Decider, Decisions
from speedtune_ros.speed.features import EpisodeScale, FeatureConfig
from speedtune_ros.speed.guide import Guide, GuideConfig
from speedtune_ros.speed.learned import LearnedSpeed
from speedtune_ros.speed.own_encoder import SmallImages
from speedtune_ros.speed.projection import Projection
from speedtune_ros.speed.rainbow import RainbowConfig, Update
from speedtune_ros.speed.replay import EpisodeSteps
from speedtune_ros.speed.reward import RewardConfig, checked_speeds, episode_rewards, value_bounds
from speedtune_ros.speed.speed_policy import Companion
from speedtune_ros.speed.vision import VisionConfig

Speeds = tuple[float, ...]
LAST_SEED = (SPEED_TRAINING.last - SPEED_TRAINING.first) // SEEDS_A_RUN - 1


@dataclass(frozen=True)
class LearnerConfig:
    """What decides how a speed policy learns, wherever it runs."""

    speeds: Speeds = option((1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0), "V, the speeds it chooses from")
    k_skip: int = option(10, "control steps a decision", minimum=1)
    ensemble: bool = option(False, "temporal ensembling")
    reward: RewardConfig = field(default_factory=RewardConfig)
    features: FeatureConfig = field(default_factory=FeatureConfig)
    vision: VisionConfig = field(default_factory=VisionConfig)
    agent: RainbowConfig = field(default_factory=RainbowConfig)
    guide: GuideConfig = field(default_factory=GuideConfig)
    begin_with: str = option(
        "", "checkpoint of a speed policy to go on from; of the same task, profile, k_skip, network and size of V"
    )
    give_up: float = option(
        1.3,
        "an episode ends as failed after so many lengths of the demonstration; 0: by its time limit alone",
        minimum=0.0,
    )
    seed: int = option(0, "of weights, noise, samples and scenes", minimum=0, maximum=LAST_SEED)

    def __post_init__(self) -> None:
        checked_speeds(self.speeds)


@dataclass(frozen=True)
class LearnerLimits:
    """When an episode ends without success: `steps`, control steps; `progress` [s] of demonstration, 0: at any.

    worst: the least outcome it can have: 0, a failure, or down to -1 where a person judges.
    """

    steps: int
    progress: float = 0.0
    worst: float = 0.0


class SpeedLearner:
    """Learns speeds beside one task policy.

    companion: that policy; limits: of its episodes; chunk_length [s]; projection: what is kept of its image encoder's
    output, None to see no images. Raises ConfigError.
    """

    def __init__(
        self,
        config: LearnerConfig,
        companion: Companion,
        limits: LearnerLimits,
        chunk_length: float,
        projection: Projection | None = None,
    ) -> None:
        config = with_own_encoder(config, companion.cameras)
        own = bool(config.agent.network.encoder.shape)
        seen = config.features.images and (own or projection is not None)
        self.config = dataclasses.replace(config, features=dataclasses.replace(config.features, images=seen))
        self.projection = projection if seen and not own else None
        self.time_limit = limits.steps * CONTROL_DT  # [s] of an episode
        self._companion = companion
        self._scale = EpisodeScale(self.time_limit, chunk_length)
        self._bounds = self._value_bounds(limits)
        self.policy: Decider = self._make_policy()
        self.agent = self.policy.agent
        self.last: Update | None = None

    def begin(self) -> None:
        """Take over what `begin_with` names. Raises CheckpointError where that does not fit."""
        if self.config.begin_with:
            self.agent.begin_with(weights_to_begin_with(self.config.begin_with, self._card()))

    def add(self, decisions: Decisions, speeds: np.ndarray, outcome: float, left: int, name: str = "") -> float:
        """Learn from an episode from now on; its return, undiscounted.

        speeds (n,): executed `sdot` of each control step from the first decision on; outcome: 1 success, up to 0
        failure, or a person's verdict between -1 and 1; left: control steps its time limit still had. Raises
        InvalidInputError that names the decision with a NaN.
        """
        starts = (decisions.stamps - decisions.stamps[0]) // CONTROL_DT_NS
        _check_executed(speeds, starts, name)
        count = int(np.searchsorted(starts, len(speeds)))  # nothing came of a decision at the very end
        reward = self.config.reward
        rewards = episode_rewards(reward, speeds, starts[:count], outcome >= 1.0, left)
        if outcome < 1.0:
            rewards[-1] += reward.success * outcome
        self.agent.add(EpisodeSteps(decisions.features[:count], decisions.actions[:count], rewards, name))
        return float(rewards.sum())

    def learn(self) -> int:
        """All updates that are owed; how many. Raises InvalidInputError where a loss is not finite."""
        owed = self.agent.owed
        for _ in range(owed):
            self.last = self.agent.learn()
        return owed

    def get_state(self) -> dict[str, Any]:
        """Everything that learning goes on from, as `state_file` writes it."""
        projection = self.projection and {"mean": self.projection.mean, "matrix": self.projection.matrix}
        return {"agent": self.agent.get_state(), "projection": projection}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from there, to the bit. The projection is given at construction. Raises ConfigError."""
        self.agent.set_state(state["agent"])

    def write(
        self,
        folder: str | Path,
        figures: Mapping[str, Any] | None = None,
        command: str = "",
        training: Mapping[str, Any] | None = None,
        seeds: Mapping[str, Any] | None = None,
    ) -> None:
        """The policy as it is now, as a checkpoint."""
        card = dataclasses.replace(
            self._card(),
            training={**(training or to_dict(self.config)), "learned_from": self.agent.decisions},
            figures=figures or {},
            seeds=seeds or {},
            command=command,
        )
        write_speed_checkpoint(folder, card, self.agent.network.state_dict(), self.projection)

    def _make_policy(self) -> Decider:
        config = self.config
        features = feature_stack(self._card(), self._companion, self.projection)
        stack, actions = config.features.k_stack, len(config.speeds)
        agent = rainbow.make(config.agent, features.size, stack, actions, self._bounds, config.seed)
        cameras = self._companion.cameras if config.features.images else {}
        policy = LearnedSpeed(agent, features, config.speeds, explore=True, cameras=cameras)
        policy.guide = Guide(config.guide, config.speeds, lambda: agent.decisions, config.seed)
        return policy

    def _card(self) -> SpeedCard:
        config, companion = self.config, self._companion
        return SpeedCard(
            task=companion.task,
            profile=companion.profile,
            policy=companion.policy,
            policy_digest=companion.digest,
            k_skip=config.k_skip,
            ensemble=config.ensemble,
            speeds=config.speeds,
            features=to_dict(config.features),
            scale=dataclasses.asdict(self._scale),
            pooling=config.vision.pooling,
            network=to_dict(config.agent.network),
            bounds=self._bounds,
            reward=to_dict(config.reward),
            package_version=__version__,
        )

    def _value_bounds(self, limits: LearnerLimits) -> tuple[float, float]:
        """What a return can lie between: speed is paid no longer than the demonstration lasts."""
        config, steps = self.config, limits.steps
        if limits.progress and config.reward.kind == "speed" and config.reward.beta >= 1.0:
            # v**beta summed over a given progress is largest at the highest speed throughout.
            steps = min(steps, math.ceil(limits.progress / CONTROL_DT / config.speeds[-1]) + config.k_skip)
        low, high = value_bounds(config.reward, config.speeds, config.k_skip, config.agent.discount, steps)
        return low + config.reward.success * limits.worst, high


def _check_executed(speeds: np.ndarray, starts: np.ndarray, name: str) -> None:
    """Raises InvalidInputError that names the decision that began last before a speed that is no speed."""
    bad = np.flatnonzero(~(np.isfinite(speeds) & (np.asarray(speeds) >= 0.0)))
    if len(bad):
        decision = int(np.searchsorted(starts, bad[0], side="right")) - 1
        where = f"episode '{name}', decision {decision}, control step {bad[0]}"
        raise InvalidInputError(f"{where}: executed speed {speeds[bad[0]]}, expected a finite number of at least 0")


def with_own_encoder(config: LearnerConfig, cameras: Mapping[str, tuple[int, int]]) -> LearnerConfig:
    """`config` with the shape of what an own encoder will see, where it asks for one and there are cameras.

    Raises ConfigError if the cameras cannot be shrunk to its height, or weights are named for an encoder not asked for.
    """
    weights = config.agent.network.encoder.weights
    if weights and config.vision.encoder != "own":
        raise ConfigError(f"agent.network.encoder.weights {weights}: expected vision.encoder own as well")
    if config.vision.encoder != "own" or not config.features.images or not cameras:
        return config
    network = config.agent.network
    encoder = dataclasses.replace(network.encoder, shape=SmallImages(cameras, config.vision.height).shape)
    agent = dataclasses.replace(config.agent, network=dataclasses.replace(network, encoder=encoder))
    return dataclasses.replace(config, agent=agent)
