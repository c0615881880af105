"""Checkpoints of learned speed policies: weights, and a card that says which task policy they were learned beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from speedtune_ros.config import build, differences, merge, to_dict
from speedtune_ros.data.checkpoint_folder import check_required, read_content, read_weights, write_folder
from speedtune_ros.errors import CheckpointError, ConfigError, UnknownNameError
from speedtune_ros.speed import rainbow
from speedtune_ros.speed.features import EpisodeScale, FeatureConfig, FeatureStack
from speedtune_ros.speed.guide import Guide, GuideConfig
from speedtune_ros.speed.learned import LearnedSpeed
from speedtune_ros.speed.network import NetworkConfig
from speedtune_ros.speed.own_encoder import SmallImages
from speedtune_ros.speed.projection import Projection, Unchanged
from speedtune_ros.speed.rainbow import RainbowConfig
from speedtune_ros.speed.shipped import LEARNED, find_learned, learned_ensemble
from speedtune_ros.speed.speed_policy import Companion
from speedtune_ros.speed.vision import PooledTokens

if TYPE_CHECKING:
    from speedtune_ros.speed.rainbow import Rainbow

REQUIRED = {"speed_policy", "task", "profile", "policy", "k_skip", "speeds", "features", "scale", "network", "bounds"}
_PROJECTION = "projection."
_FIRST = "torso.1.weight"  # of the network's layers, without an encoder, the one that sees the features


@dataclass(frozen=True)
class SpeedCard:
    """What a learned speed policy is for and how it came about.

    task, profile, policy, policy_digest: the task policy it was learned beside; k_skip: control steps a decision;
    ensemble: whether chunks were blended (temporal ensembling);
    speeds: V; features, scale, pooling: what it sees; network, bounds: its own; reward, training: how it was made;
    seeds: first and last used, by purpose; figures: of the evaluation that chose it.
    """

    task: str
    profile: str
    policy: str
    policy_digest: str
    k_skip: int
    speeds: tuple[float, ...]
    features: Mapping[str, Any]
    scale: Mapping[str, float]
    pooling: str
    network: Mapping[str, Any]
    bounds: tuple[float, float]
    reward: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    seeds: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    ensemble: bool = False
    package_version: str = ""
    speed_policy: str = LEARNED


def write_speed_checkpoint(
    folder: str | Path, card: SpeedCard, network: Mapping[str, torch.Tensor], projection: Projection | None
) -> None:
    """Write both files, each atomically; single precision, as it was trained."""
    weights = dict(network)
    if projection is not None:
        for name in ("mean", "matrix"):
            weights[_PROJECTION + name] = torch.from_numpy(np.asarray(getattr(projection, name), np.float32))
    write_folder(folder, asdict(card), {name: tensor.float() for name, tensor in weights.items()})


def read_speed_card(folder: str | Path) -> SpeedCard:
    """The card alone, unverified against the weights. Raises CheckpointError."""
    return _card(read_content(folder), folder)


def load(folder: str | Path, companion: Companion) -> LearnedSpeed:
    """The policy of a checkpoint folder, greedy, beside the task policy it was learned beside.

    Raises CheckpointError if it is truncated or altered, or was learned beside another task policy.
    """
    content = read_content(folder)
    card = _card(content, folder)
    check_companion(folder, card, companion)
    weights = read_weights(folder, content)
    projection = None
    if _PROJECTION + "mean" in weights:
        parts = [weights.pop(_PROJECTION + name).numpy().astype(np.float64) for name in ("mean", "matrix")]
        projection = Projection(*parts)
    try:
        features = feature_stack(card, companion, projection)
        agent = _agent(card, features)
        agent.network.load_state_dict(weights)
    except (ConfigError, RuntimeError) as error:
        raise CheckpointError(f"{folder}: the weights do not fit the network: {error}") from error
    cameras = companion.cameras if features.config.images else {}
    policy = LearnedSpeed(agent, features, card.speeds, source=LEARNED, cameras=cameras)
    policy.guide = _guide(card)
    policy.digest = str(content.get("hash", ""))
    return policy


def _guide(card: SpeedCard) -> Guide | None:
    """What its training let choose beside it while it explored; a policy that is loaded may be told to explore on."""
    if "guide" not in card.training:
        return None
    config = build(GuideConfig, card.training["guide"], "guide")
    return Guide(config, card.speeds, lambda: card.training["learned_from"], card.training["seed"])


def check_companion(folder: str | Path, card: SpeedCard, companion: Companion) -> None:
    """Raise CheckpointError that names both unless `card` was learned beside `companion`."""
    for what, learned, given in (
        ("task", card.task, companion.task),
        ("dynamics profile", card.profile, companion.profile),
        ("task policy", card.policy, companion.policy),
        ("k_skip", card.k_skip, companion.k_skip or card.k_skip),
        (
            "temporal ensembling",
            _on(card.ensemble),
            _on(card.ensemble if companion.ensemble is None else companion.ensemble),
        ),
        ("weights of the task policy", card.policy_digest[:16], companion.digest[:16]),
    ):
        if learned != given:
            raise CheckpointError(f"{folder}: this speed policy was learned for {what} '{learned}', got '{given}'")


def _on(ensemble: bool) -> str:
    return "on" if ensemble else "off"


def weights_to_begin_with(folder: str | Path, card: SpeedCard) -> dict[str, torch.Tensor]:
    """The network of a checkpoint that `card`'s policy can go on from, whichever task policy it was learned beside.

    Reward, support and the speeds of V may differ, not how many there are: their order stays. `card`'s may see the
    latency where that one did not; it makes no difference at first. Raises CheckpointError that names both where the
    policies see or choose different things.
    """
    content = read_content(folder)
    found = _card(content, folder)
    if card.features["images"]:
        raise CheckpointError(f"{folder}: expected features.images false: each training reduces images its own way")
    if len(found.speeds) != len(card.speeds):
        raise CheckpointError(
            f"{folder}: expected {len(card.speeds)} speeds to begin with, as {card.speeds}, got {found.speeds}"
        )
    before, now = (build(FeatureConfig, each.features, "features") for each in (found, card))
    differ = differences(
        _begun_from(found, replace(before, latency=before.latency or now.latency)), _begun_from(card, now)
    )
    if differ:
        raise CheckpointError(f"{folder}: cannot be begun with: {differ}")
    weights = read_weights(folder, content)
    return weights if before == now else {**weights, _FIRST: _with_latency(weights[_FIRST], before.k_stack)}


def _with_latency(weight: torch.Tensor, stack: int) -> torch.Tensor:
    """The first layer (H, stack * F), for one more feature at the end of each decision, which it does not look at."""
    return functional.pad(weight.unflatten(1, (stack, -1)), (0, 1)).flatten(1)


def _begun_from(card: SpeedCard, features: FeatureConfig) -> dict[str, Any]:
    """What a policy must share with the one it begins with; how much noise there is at first is not part of it."""
    network = {key: value for key, value in card.network.items() if key != "sigma"}
    same = {key: getattr(card, key) for key in ("task", "profile", "k_skip")}
    return {**same, "features": to_dict(features), "chunk_length": card.scale["chunk_length"], "network": network}


def feature_stack(card: SpeedCard, companion: Companion, projection: Projection | None) -> FeatureStack:
    """What a policy of `card` sees. Raises ConfigError."""
    config, scale = build(FeatureConfig, card.features, "features"), EpisodeScale(**card.scale)
    own = build(NetworkConfig, card.network, "network").encoder
    if own.shape:
        images = SmallImages(companion.cameras, own.shape[1])
        return FeatureStack(config, scale, images, Unchanged(own.pixels))
    encoder = None
    if companion.see is not None and projection is not None:
        encoder = PooledTokens(companion.see, companion.cameras, card.pooling)
    return FeatureStack(config, scale, encoder, projection)


def make(argument: str, companion: Companion | None = None) -> LearnedSpeed:
    """`rainbow`: the policy shipped for the task policy; `rainbow:latency`: the one of it that learned with latency;
    `rainbow:PATH`: that of a folder; each with a tolerance.

    Raises ConfigError, CheckpointError.
    """
    if companion is None:
        raise ConfigError("rainbow: a learned speed policy runs beside the task policy it was learned beside, got none")
    folder, tolerance = find_learned(argument, companion.shipped)
    if folder.parent == companion.shipped and not folder.is_dir():
        what = "learned speed policy" if folder.name == LEARNED else "speed policy learned with latency"
        raise CheckpointError(
            f"no {what} is shipped for task '{companion.task}', profile '{companion.profile}' and task "
            f"policy '{companion.policy}'; train one with `speedtune train speed` and name it as rainbow:PATH"
        )
    policy = load(folder, companion)
    policy.tolerance = tolerance
    return policy


def _agent(card: SpeedCard, features: FeatureStack) -> Rainbow:
    # An own encoder's weights are in the checkpoint, not in the file it began from.
    network = merge(card.network, {"encoder": {"weights": ""}})
    # It never learns: room for one step.
    config = build(RainbowConfig, {"network": network, "replay": {"capacity": 1}}, "network")
    return rainbow.make(config, features.size, features.config.k_stack, len(card.speeds), card.bounds)


def _card(content: dict[str, Any], folder: str | Path) -> SpeedCard:
    if content.get("speed_policy", LEARNED) != LEARNED:
        raise UnknownNameError("learned speed policy", content["speed_policy"], [LEARNED])
    check_required(folder, content, REQUIRED)
    known = {item.name for item in fields(SpeedCard)}
    values = {key: value for key, value in content.items() if key in known}
    low, high = content["bounds"]
    values |= {"speeds": tuple(content["speeds"]), "bounds": (float(low), float(high))}
    values["ensemble"] = learned_ensemble(content)
    return SpeedCard(**values)
