from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from speedtune_ros.config import build, to_dict
from speedtune_ros.data.shrink import shrink
from speedtune_ros.errors import CheckpointError, ConfigError, InvalidInputError
from speedtune_ros.speed import checkpoint, rainbow
from speedtune_ros.speed.checkpoint import SpeedCard, write_speed_checkpoint
from speedtune_ros.speed.network import NetworkConfig, ValueNetwork
from speedtune_ros.speed.own_encoder import EncodedStates, OwnEncoderConfig, SmallImages
from speedtune_ros.speed.rainbow import Rainbow
from speedtune_ros.speed.replay import EpisodeSteps
from speedtune_ros.speed.speed_policy import Companion
from speedtune_ros.types import Episode, InferenceRequest, Observation, Query, RobotState

torch.set_num_threads(1)
SIZE = 16
OWN = OwnEncoderConfig(shape=(1, SIZE, SIZE), widths=(4, 4, 4), size=3)


def query(**images: np.ndarray) -> Query:
    return Query(Observation(RobotState(0, np.zeros(14), np.zeros(14)), images), InferenceRequest(0, 0))


def test_images_are_shrunk_to_bytes_camera_by_camera() -> None:
    small = SmallImages({"top": (2, 4), "angle": (2, 4)}, height=1)
    assert small.shape == (2, 1, 2) and OwnEncoderConfig(shape=small.shape).pixels == 12
    top = np.zeros((2, 4, 3), np.uint8)
    top[0, 0] = 200  # a quarter of the left square
    seen = small([query(angle=np.full((2, 4, 3), 9, np.uint8), top=top)])
    assert seen.dtype == np.uint8
    np.testing.assert_array_equal(seen, [[50] * 3 + [0] * 3 + [9] * 6])


def test_wrong_images_and_sizes_are_refused() -> None:
    small = SmallImages({"top": (2, 4)}, height=2)
    with pytest.raises(InvalidInputError, match="image 'top': expected by the speed policy, got angle"):
        small([query(angle=np.zeros((2, 4, 3), np.uint8))])
    with pytest.raises(InvalidInputError, match=r"image 'top': expected \(2, 4, 3\) uint8, got \(4, 4, 3\) uint8"):
        small([query(top=np.zeros((4, 4, 3), np.uint8))])
    for height in (0, 3, 5):
        with pytest.raises(ConfigError, match=f"expected a height that divides .* got {height}"):
            SmallImages({"top": (8, 8)}, height)
    with pytest.raises(ConfigError, match="expected cameras of one size, got none"):
        SmallImages({}, 2)
    with pytest.raises(ConfigError, match="expected a shape of cameras, height and width and 3 widths"):
        build(OwnEncoderConfig, {"shape": [1, 8]})


def test_only_the_pixels_are_encoded_each_frame_for_itself() -> None:
    encode = EncodedStates(OWN)
    states = torch.rand(2, 5, 4 + OWN.pixels)
    states[..., 4:] *= 255.0
    encoded = encode(states)
    assert encoded.shape == (2, 5, 4 + 3) == (2, 5, OWN.encoded(4 + OWN.pixels))
    torch.testing.assert_close(encoded[..., :4], states[..., :4])
    torch.testing.assert_close(encode(states[1:, 3:4])[0, 0], encoded[1, 3], rtol=1e-4, atol=1e-5)


def bandit(own: OwnEncoderConfig, seed: int = 0) -> Rainbow:
    """An agent that sees one pixelled frame and one number a decision, of episodes of one decision."""
    network = {"hidden": 32, "layers": 1, "atoms": 11, "encoder": dataclasses.asdict(own)}
    values = {"network": network, "replay": {"capacity": 600}, "batch": 64, "steps": 1, "warm_up": 1}
    config = build(rainbow.RainbowConfig, {**values, "learning_rate": 3e-3, "target_period": 1_000})
    return rainbow.make(config, 1 + own.pixels, 1, 2, (0.0, 1.0), seed)


def frames(bright: np.ndarray) -> np.ndarray:
    """(B, 1, 1 + P): a bright square left or right in a dark image; the number says nothing."""
    images = np.zeros((len(bright), SIZE, SIZE, 3))
    images[~bright, 4:12, :8] = images[bright, 4:12, 8:] = 200.0
    return np.concatenate([np.ones((len(bright), 1)), images.reshape(len(bright), -1)], 1)[:, None]


def learned(agent: Rainbow, rng: np.random.Generator) -> float:
    """How often the agent is right where only the image tells which of two actions is paid."""
    for _ in range(500):
        bright, action = rng.random(1) < 0.5, rng.integers(2, size=1)
        agent.add(EpisodeSteps(frames(bright)[:, 0], action, (action == bright).astype(float)))
    for _ in range(120):
        agent.learn()
    bright = rng.random(64) < 0.5
    actions, _ = agent.act(frames(bright), explore=False)
    return float(np.mean(actions == bright))


def test_it_learns_from_pixels_alone() -> None:
    assert learned(bandit(OWN), np.random.default_rng(0)) == 1.0


def test_a_frozen_encoder_stays_as_it_was_read(tmp_path: Path) -> None:
    source = ValueNetwork(NetworkConfig(encoder=OWN), 1 + OWN.pixels, 1, 2)
    save_file(source.state_dict(), tmp_path / "model.safetensors")  # as in a speed policy's checkpoint
    agent = bandit(dataclasses.replace(OWN, weights=str(tmp_path / "model.safetensors"), frozen=True), seed=1)
    learned(agent, np.random.default_rng(0))
    wanted = {name: value for name, value in source.state_dict().items() if "encoder" in name}
    assert wanted
    for name, value in agent.network.state_dict().items():
        if name in wanted:
            torch.testing.assert_close(value, wanted[name], rtol=0.0, atol=0.0)


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    with pytest.raises(CheckpointError, match="other.safetensors: expected the weights of an image encoder"):
        EncodedStates(dataclasses.replace(OWN, weights=str(path)))
    save_file({"layer.weight": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match="other.safetensors: not the weights of this image encoder"):
        EncodedStates(dataclasses.replace(OWN, weights=str(path)))


def test_a_checkpoint_needs_nothing_of_what_it_began_from(tmp_path: Path) -> None:
    began = tmp_path / "began.safetensors"
    save_file(EncodedStates(OWN).state_dict(), began)
    own = dataclasses.replace(OWN, weights=str(began))
    config = build(rainbow.RainbowConfig, {"network": {"hidden": 8, "atoms": 11, "encoder": dataclasses.asdict(own)}})
    features, scale = {"k_stack": 2}, {"time_limit": 9.0, "chunk_length": 2.0}
    companion = Companion("tea_bag", "act", "act", "a digest", cameras={"top": (2 * SIZE, 2 * SIZE)})
    card = SpeedCard(
        "tea_bag", "act", "act", "a digest", 10, (1.0, 2.0), features, scale, "", to_dict(config.network), (0.0, 1.0)
    )
    size = checkpoint.feature_stack(card, companion, None).size
    assert size == 33 + OWN.pixels
    agent = rainbow.make(config, size, 2, 2, (0.0, 1.0))
    write_speed_checkpoint(tmp_path / "policy", card, agent.network.state_dict(), None)
    began.unlink()
    loaded = checkpoint.load(tmp_path / "policy", companion)
    assert loaded.cameras == companion.cameras
    image = np.random.default_rng(0).integers(0, 256, (2 * SIZE, 2 * SIZE, 3), np.uint8)
    loaded.reset(Episode("a", "tea_bag"))
    choice = loaded.choose({0: query(top=image)})[0]
    state = loaded.decisions(Episode("a", "tea_bag")).features[0]
    np.testing.assert_array_equal(state[33:], shrink(image, 2).ravel())
    _, values = agent.act(np.stack([state, state])[None], explore=False)
    np.testing.assert_allclose(choice.values, values[0], rtol=1e-5)
