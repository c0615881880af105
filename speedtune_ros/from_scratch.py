"""The other baseline: the same agent chooses joint targets, not speeds, and nobody demonstrates anything to it.

SpeedTuning compares itself with reinforcement learning from scratch (https://daivdyuan.github.io/speed-tuning/,
section I) and leaves open how that chooses its targets. Here, of a discrete set, since a DQN can choose from nothing
else: at every decision, one joint moves by one of a few steps, or one gripper opens or closes, or nothing moves.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from speedtune_ros import __version__
from speedtune_ros.aloha import CONTROL_DT, GRIPPERS, NUM_JOINTS, start_pose
from speedtune_ros.config import build, merge, option, to_dict
from speedtune_ros.errors import CheckpointError, ConfigError
from speedtune_ros.policies.checkpoint import CheckpointCard, read_checkpoint, write_checkpoint
from speedtune_ros.policies.policy import PolicyInfo
from speedtune_ros.robots.profiles import make_profile
from speedtune_ros.speed import rainbow
from speedtune_ros.speed.decider import Decider
from speedtune_ros.speed.features import EpisodeScale, FeatureConfig, FeatureStack
from speedtune_ros.speed.network import NetworkConfig
from speedtune_ros.speed.own_encoder import SmallImages
from speedtune_ros.speed.projection import Unchanged
from speedtune_ros.speed.rainbow import Rainbow, RainbowConfig
from speedtune_ros.speed.replay import ReplayConfig
from speedtune_ros.types import Chunk, Episode, Query, SpeedChoice

NAME = "from_scratch"
HORIZON = 100  # targets a chunk, as ACT's
BEGUN = {"network": {"encoder": {"weights": ""}}}


@dataclass(frozen=True)
class TargetConfig:
    """What the agent may choose from."""

    joint_steps: tuple[float, ...] = option((0.1, 0.3), "how far a joint may move in one decision [rad]", minimum=0.0)

    def displacements(self) -> np.ndarray:
        """(A, 14): nothing; each arm joint down and up by each step; each gripper closed and opened."""
        rows = [np.zeros(NUM_JOINTS)]
        for joint in range(NUM_JOINTS):
            for step in (1.0,) if joint in GRIPPERS else self.joint_steps:
                rows += [sign * step * np.eye(NUM_JOINTS)[joint] for sign in (-1.0, 1.0)]
        return np.stack(rows)


@dataclass(frozen=True)
class FromScratchConfig:
    """All that a policy follows from, as its checkpoint keeps it."""

    k_skip: int = option(10, "control steps a decision", minimum=1)
    time_limit: float = option(8.0, "of an episode [s]", minimum=0.0)
    bounds: tuple[float, float] = option((0.0, 120.0), "of the return")
    network: NetworkConfig = field(default_factory=NetworkConfig)
    features: FeatureConfig = field(default_factory=FeatureConfig)
    targets: TargetConfig = field(default_factory=TargetConfig)


class TargetPolicy(Decider):
    """Implements Policy by the agent's displacements, and SpeedPolicy by demonstrated speed.

    A chunk leads from the last decision's targets to the new ones in k_skip control steps and stays there. Targets
    are kept inside the ranges of the arms' joints, and grippers between closed and open.
    """

    def __init__(self, agent: Rainbow, features: FeatureStack, config: FromScratchConfig, info: PolicyInfo) -> None:
        super().__init__(agent, features)
        self.config = config
        self._info = info
        self._displacements = config.targets.displacements()
        self._ramp = np.minimum(np.arange(HORIZON) / config.k_skip, 1.0)[:, None]  # (k, 1)
        self._limits = make_profile("hardware").limits  # those of the simulation's own profile may be infinite
        self._poses: dict[int, np.ndarray] = {}

    @property
    def cameras(self) -> Mapping[str, tuple[int, int]]:
        """(height, width) of those it must be shown, as a SpeedPolicy says it."""
        return self._info.cameras

    @property
    def info(self) -> PolicyInfo:
        return self._info

    def reset(self, episode: Episode, slot: int = 0) -> None:
        super().reset(episode, slot)
        self._poses[slot] = start_pose()

    def infer(self, queries: Mapping[int, Query], candidates: int = 1) -> dict[int, Chunk]:
        """A chunk (candidates, k, 14) for each slot's query, all candidates alike. Raises InvalidInputError."""
        return {
            slot: self._chunk(slot, queries[slot], decision.action, candidates)
            for slot, decision in self.decide(queries).items()
        }

    def choose(self, queries: Mapping[int, Query]) -> dict[int, SpeedChoice]:
        return {slot: SpeedChoice(query.request.stamp_ns, 1.0, source=NAME) for slot, query in queries.items()}

    def _chunk(self, slot: int, query: Query, action: int, candidates: int) -> Chunk:
        before = self._poses[slot]
        after = np.clip(before + self._displacements[action], self._limits.lower, self._limits.upper)
        self._poses[slot] = after
        targets = before + self._ramp * (after - before)  # (k, 14)
        return Chunk(query.observation.stamp_ns, np.tile(targets, (candidates, 1, 1)), CONTROL_DT, policy=NAME)


def make(
    config: FromScratchConfig,
    info: PolicyInfo,
    learning: RainbowConfig,
    seed: int = 0,
) -> TargetPolicy:
    """A policy that knows nothing yet. learning: how it learns; the network is that of `config`.

    Raises ConfigError if images are on without a shape for an own encoder.
    """
    features = _features(config, info)
    agent_config = dataclasses.replace(learning, network=config.network)
    actions = len(config.targets.displacements())
    agent = rainbow.make(agent_config, features.size, config.features.k_stack, actions, config.bounds, seed)
    return TargetPolicy(agent, features, config, info)


def info_of(task: str, profile: str, cameras: Mapping[str, tuple[int, int]]) -> PolicyInfo:
    """What such a policy declares of itself. cameras: (height, width) by name, of those it sees."""
    return PolicyInfo(NAME, task, profile, HORIZON, CONTROL_DT, cameras)


def write(
    folder: str | Path, policy: TargetPolicy, training: Mapping[str, Any] | None = None, command: str = ""
) -> None:
    """A checkpoint as other task policies have it; `load` reads it back."""
    info = policy.info
    card = CheckpointCard(
        task=info.task,
        profile=info.profile,
        policy=NAME,
        kind=info.kind.value,
        horizon=info.horizon,
        dt=info.dt,
        cameras=info.cameras,
        normalisers={},
        config=to_dict(policy.config),
        command=command,
        training=training or {},
        package_version=__version__,
    )
    write_checkpoint(folder, card, policy.agent.network.state_dict())


def load(folder: str | Path, task: str = "", profile: str = "") -> TargetPolicy:
    """The policy of a checkpoint folder, greedy. Raises CheckpointError if it is altered or of something else."""
    card, weights = read_checkpoint(folder, NAME, task, profile)
    info = dataclasses.replace(info_of(card.task, card.profile, dict(card.cameras)), digest=card.hash)
    try:
        # The encoder's weights are here, not in the file it began from.
        config = build(FromScratchConfig, merge(card.config, BEGUN), f"{folder}: config")
        policy = make(config, info, RainbowConfig(replay=ReplayConfig(capacity=1)))  # it learns no more
        policy.agent.network.load_state_dict(weights)
    except (ConfigError, RuntimeError) as error:
        raise CheckpointError(f"{folder}: the weights do not fit the network: {error}") from error
    return policy


def _features(config: FromScratchConfig, info: PolicyInfo) -> FeatureStack:
    scale = EpisodeScale(config.time_limit, HORIZON * CONTROL_DT)
    if not config.features.images:
        return FeatureStack(config.features, scale)
    encoder = config.network.encoder
    if not encoder.shape:
        raise ConfigError(f"{NAME}: no task policy whose encoder it could use: expected an own one, or images: false")
    return FeatureStack(config.features, scale, SmallImages(info.cameras, encoder.shape[1]), Unchanged(encoder.pixels))
