"""Training ACT on a toy set: it learns, it resumes exactly, and what it leaves behind is a policy."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from speedtune_ros.config import load as load_config
from speedtune_ros.data.chunks import ChunkBatch
from speedtune_ros.data.episode_file import EpisodeData, Origin, episode_path, write_episode
from speedtune_ros.errors import CheckpointError, ConfigError, DataError
from speedtune_ros.policies.act import load
from speedtune_ros.policies.act_network import ActConfig, ActNetwork
from speedtune_ros.policies.checkpoint import read_card
from speedtune_ros.training.train_act import PRESETS, ActTrainConfig, ActTrainer, losses, masked_l1, train
from speedtune_ros.types import Episode, InferenceRequest, Observation, Query, RobotState

NETWORK = ActConfig(
    horizon=6,
    hidden=24,
    feedforward=32,
    heads=2,
    encoder_layers=1,
    decoder_layers=1,
    latent=4,
    stem_width=8,
    widths=(8,),
)
CONFIG = ActTrainConfig(
    network=NETWORK,
    steps=8,
    batch=8,
    warmup=2,
    validation_episodes=1,
    validate_every=4,
    save_every=4,
    learning_rate=3e-3,
)


def write_toys(folder: Path) -> Path:
    """Episodes whose targets are told by where a bright column stands; the one held out repeats the one before it.

    A place never seen is not asked for: what so small a network says there hangs on the processor's rounding.
    """
    for index, column in enumerate((0, 7, 2, 4, 4)):
        image = np.zeros((12, 8, 8, 3), np.uint8)
        image[:, :, column] = 255
        target = np.tile(column / 7.0 * np.linspace(-1, 1, 14), (12, 1))
        still = np.zeros((12, 14))
        origin = Origin("transfer_cube", "act", index)
        write_episode(episode_path(folder, index), EpisodeData(still, still, target, {"top": image}, origin=origin))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "demos").mkdir()
    return write_toys(tmp_path / "demos")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def weights(trainer: ActTrainer) -> list[torch.Tensor]:
    return [value.clone() for value in (*trainer.network.parameters(), *trainer.average.parameters())]


def test_the_loss_falls_far_on_a_toy_set(folder: Path) -> None:
    config = replace(CONFIG, steps=60, batch=16, state_noise=0.0, image_jitter=0.0, averaging=0.9)
    trainer = ActTrainer(config, folder)
    before = trainer.validation_l1()
    l1 = [float(trainer.train_step()[0]) for _ in range(60)]
    assert sum(l1[-5:]) < 0.3 * sum(l1[:5])
    assert trainer.validation_l1() < 0.5 * before


def test_resuming_gives_the_same_weights_bit_for_bit(folder: Path, tmp_path: Path) -> None:
    whole = ActTrainer(CONFIG, folder)
    train(whole, tmp_path / "whole")
    halted = ActTrainer(CONFIG, folder)
    for _ in range(3):
        halted.train_step()
    (tmp_path / "halted" / "training").mkdir(parents=True)
    halted.save(tmp_path / "halted" / "training")
    (tmp_path / "halted" / "training" / "config.yaml").write_text(
        (tmp_path / "whole" / "training" / "config.yaml").read_text()
    )
    resumed = ActTrainer(CONFIG, folder)
    train(resumed, tmp_path / "halted", resume=True)
    assert resumed.step == whole.step == CONFIG.steps
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(resumed), strict=True))
    logs = [(tmp_path / run / "training" / "log.jsonl").read_text().splitlines() for run in ("whole", "halted")]
    assert logs[0] == logs[1]


def test_the_log_drops_what_lies_beyond_the_resumed_step(folder: Path, tmp_path: Path) -> None:
    train(ActTrainer(replace(CONFIG, save_every=100), folder), tmp_path / "run", seconds=math.inf)
    state = tmp_path / "run" / "training" / "state.safetensors"
    early = ActTrainer(replace(CONFIG, save_every=100), folder)
    early.train_step()
    early.save(state.parent)  # as if the machine had died before the last save
    train(ActTrainer(replace(CONFIG, save_every=100), folder), tmp_path / "run", resume=True)
    lines = [json.loads(line) for line in (state.parent / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [4, 8]


def test_training_leaves_a_policy_with_its_story(folder: Path, tmp_path: Path) -> None:
    trainer = ActTrainer(CONFIG, folder)
    validation = train(trainer, tmp_path / "run", command="speedtune train act --data demos")
    assert validation == pytest.approx(trainer.validation_l1())
    card = read_card(tmp_path / "run")
    assert (card.task, card.profile, card.kind, card.horizon) == ("transfer_cube", "act", "command", 6)
    assert card.command == "speedtune train act --data demos"
    assert card.training["step"] == 8
    assert card.data == {"episodes": 4, "steps": 48, "seeds": [0, 3]}
    assert load_config(ActTrainConfig, tmp_path / "run" / "training" / "config.yaml") == CONFIG
    policy = load(tmp_path / "run")
    policy.reset(Episode("e", "transfer_cube"))
    image = np.full((8, 8, 3), 128, np.uint8)
    query = Query(Observation(RobotState(0, np.zeros(14), np.zeros(14)), {"top": image}), InferenceRequest(0, 0))
    assert policy.infer({0: query}, candidates=3)[0].targets.shape == (3, 6, 14)


def test_the_average_forgets_the_start_and_follows_the_weights(folder: Path) -> None:
    trainer = ActTrainer(replace(CONFIG, averaging=0.5), folder)
    start = torch.cat([value.flatten() for value in trainer.average.parameters()])
    for _ in range(8):
        trainer.train_step()
    current = torch.cat([value.detach().flatten() for value in trainer.network.parameters()])
    average = torch.cat([value.flatten() for value in trainer.average.parameters()])
    assert (average - current).norm() < 0.5 * (start - current).norm()


def test_losses_by_hand() -> None:
    """A style encoder that says mean 1, variance 1 costs 1/2 for each dimension of z; masked targets cost nothing."""
    network = ActNetwork(NETWORK)
    torch.nn.init.zeros_(network.style.out.weight)
    network.style.out.bias.data = torch.tensor([1.0] * 4 + [0.0] * 4)
    torch.nn.init.zeros_(network.head[1].weight)
    torch.nn.init.zeros_(network.head[1].bias)  # predicts zeros
    targets = torch.zeros(1, 6, 14)
    targets[0, 1, :7] = 2.0  # mean error 1 over its joints
    targets[0, 5] = 1000.0
    mask = torch.tensor([[True, True, True, True, False, False]])
    batch = ChunkBatch(torch.zeros(1, 1, 8, 8, 3), torch.zeros(1, 14), targets, mask)
    with torch.no_grad():
        l1, kl = losses(network, batch, torch.zeros(1, 4), torch.zeros(1, dtype=torch.bool))
    assert float(l1) == pytest.approx(1.0 / 4.0)
    assert float(kl) == pytest.approx(4 * 0.5)
    assert float(masked_l1(torch.zeros(1, 6, 14), batch)) == pytest.approx(0.25)


def test_a_withheld_joint_state_does_not_matter() -> None:
    network = ActNetwork(NETWORK).eval()
    image, latent = torch.zeros(2, 1, 8, 8, 3), torch.zeros(2, 4)
    qpos = torch.cat([torch.zeros(1, 14), torch.ones(1, 14)])
    with torch.inference_mode():
        seen = network.see(image)
        hidden = network.decode(seen, qpos, latent, torch.tensor([True, True]))
        shown = network.decode(seen, qpos, latent, torch.tensor([False, False]))
    torch.testing.assert_close(hidden[0], hidden[1])
    assert (shown[0] - shown[1]).abs().max() > 1e-3


def test_the_learning_rate_warms_up_and_falls(folder: Path) -> None:
    trainer = ActTrainer(replace(CONFIG, steps=100, warmup=10, learning_rate=1.0), folder)
    assert trainer.learning_rate(0) == pytest.approx(0.1, rel=1e-2)
    assert trainer.learning_rate(50) == pytest.approx(0.01 + 0.99 / 2)
    assert trainer.learning_rate(100) == pytest.approx(0.01)


def test_a_second_run_in_the_same_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    train(ActTrainer(CONFIG, folder), tmp_path / "run")
    with pytest.raises(DataError, match="holds a training run already; continue it with --resume"):
        train(ActTrainer(CONFIG, folder), tmp_path / "run")


def test_resuming_with_other_settings_is_refused(folder: Path, tmp_path: Path) -> None:
    train(ActTrainer(CONFIG, folder), tmp_path / "run")
    with pytest.raises(ConfigError, match="resumed with its own settings; batch was 8, now 4"):
        train(ActTrainer(replace(CONFIG, batch=4), folder), tmp_path / "run", resume=True)


def test_resuming_nothing_or_another_network_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="state.safetensors: no training run to resume: No such file"):
        train(ActTrainer(CONFIG, folder), tmp_path / "none", resume=True)
    train(ActTrainer(CONFIG, folder), tmp_path / "run")
    other = replace(CONFIG, network=replace(NETWORK, hidden=48))
    with pytest.raises(CheckpointError, match="of another configuration or device: .* size mismatch for camera_code"):
        train(ActTrainer(other, folder), tmp_path / "run", resume=True)
    state = tmp_path / "run" / "training" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="truncated, or no training state"):
        train(ActTrainer(CONFIG, folder), tmp_path / "run", resume=True)


def test_too_few_episodes_are_refused(folder: Path) -> None:
    with pytest.raises(DataError, match="expected more than the 5 validation episodes, found 5"):
        ActTrainer(replace(CONFIG, validation_episodes=5), folder)


def test_training_without_validation_says_nan(folder: Path) -> None:
    assert math.isnan(ActTrainer(replace(CONFIG, validation_episodes=0), folder).validation_l1())


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_presets_are_configurations(preset: str) -> None:
    from speedtune_ros.commands.train import train_config

    config = train_config(preset, None, [])
    assert (config.network.hidden, config.batch) == ((512, 8) if preset == "paper" else (192, 32))


def test_the_shipped_file_holds_the_defaults_but_for_finer_images() -> None:
    path = Path(__file__).parents[2] / "config" / "train_act.yaml"
    shipped = load_config(ActTrainConfig, path, "train_act")
    assert shipped == ActTrainConfig(network=replace(ActConfig(), shrink=2))
