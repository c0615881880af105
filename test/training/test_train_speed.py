"""Training a speed policy: small runs beside the scripted expert."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from speedtune_ros.aloha import start_pose
from speedtune_ros.commands.train import speed_config
from speedtune_ros.data.checkpoint_folder import read_content, read_weights
from speedtune_ros.errors import CheckpointError, ConfigError, DataError
from speedtune_ros.policies.act_network import ActConfig, ActNetwork
from speedtune_ros.policies.checkpoint import CheckpointCard, read_card, write_checkpoint
from speedtune_ros.registry import make_policy, make_speed_policy
from speedtune_ros.training.train_speed import SpeedTrainer, TrainSpeedConfig, train_speed

torch.set_num_threads(1)
# The two shortest segments there can be: every segment runs at least one episode to its end.
SETTINGS = (
    "speeds=[3.0, 4.5, 6.0]", "decisions=40", "evaluate_every=20", "evaluation_episodes=1", "slots=2", "agent.batch=8",
    "agent.warm_up=10", "agent.network={hidden: 8, layers: 1, atoms: 11}", "agent.replay.capacity=500",
    "guide.decisions=15", "agent.updates_per_decision=1.0", "give_up=1.0",
)  # fmt: skip


def config(*settings: str) -> TrainSpeedConfig:
    return speed_config(None, [*SETTINGS, *settings])


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return read_weights(folder, read_content(folder))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    train_speed(config(), out, "speedtune train speed", threads=1)
    return out


def test_an_interrupted_run_goes_on_to_the_bit(whole: Path, tmp_path: Path) -> None:
    train_speed(config("decisions=20"), tmp_path, threads=1)
    trainer = SpeedTrainer(config(), tmp_path, resume=True, threads=1)
    next(trainer.segment())  # a crash in the middle of a segment loses that segment and nothing else
    train_speed(config(), tmp_path, resume=True, threads=1)
    for folder in ("", "latest"):
        expected, found = weights(whole / folder), weights(tmp_path / folder)
        assert expected.keys() == found.keys()
        assert all(torch.equal(expected[name], found[name]) for name in expected)
    rows = [[json.loads(line) for line in (out / "training/log.jsonl").open()] for out in (whole, tmp_path)]
    for row in rows[0] + rows[1]:
        del row["seconds"], row["shares"]
    assert rows[0] == rows[1] and len(rows[0]) == 2


def test_what_a_run_leaves(whole: Path) -> None:
    card = read_content(whole)
    assert (card["task"], card["profile"], card["policy"], card["k_skip"]) == ("transfer_cube", "act", "expert", 10)
    assert card["speeds"] == [3.0, 4.5, 6.0] and card["command"] == "speedtune train speed"
    assert card["features"]["images"] is False  # the expert has none
    assert card["seeds"]["selection"] == [9000, 9000] and card["seeds"]["training"][0] == 200_000_000
    last = json.loads((whole / "training/log.jsonl").read_text().splitlines()[-1])
    assert last["decisions"] >= 40 and last["updates"] == last["decisions"] - 10
    assert {"success_rate", "acceleration", "realised_speed_mean", "training_return", "loss"} <= last.keys()
    assert (whole / "curves.png").stat().st_size > 10_000
    assert (whole / "training/events.out.tfevents.0.speedtune").stat().st_size > 500
    assert {"physics", "observation", "task_policy", "speed_policy", "update", "evaluation"} == set(last["shares"])
    assert sum(last["shares"].values()) == pytest.approx(1.0)


def test_the_checkpoint_is_a_speed_policy_beside_its_own_task_policy_only(whole: Path, tmp_path: Path) -> None:
    expert = make_policy("expert", "transfer_cube")
    policy = make_speed_policy(f"rainbow:{whole}", expert, 10)
    assert policy.choose({}) == {}
    for other, k_skip, message in (
        (make_policy("expert", "insertion"), 10, "learned for task 'transfer_cube', got 'insertion'"),
        (make_policy("expert", "transfer_cube", "identified"), 10, "dynamics profile 'act', got 'identified'"),
        (make_policy("act", "transfer_cube"), 10, "task policy 'expert', got 'act'"),
        (expert, 5, "k_skip '10', got '5'"),
    ):
        with pytest.raises(CheckpointError, match=message):
            make_speed_policy(f"rainbow:{whole}", other, k_skip)
    with pytest.raises(ConfigError, match="runs beside the task policy"):
        make_speed_policy(f"rainbow:{whole}")
    with pytest.raises(CheckpointError, match="cannot be read"):
        make_speed_policy(f"rainbow:{tmp_path}", expert)


def test_a_folder_in_use_and_other_settings_are_refused(whole: Path) -> None:
    with pytest.raises(DataError, match="holds a training run already"):
        SpeedTrainer(config(), whole)
    with pytest.raises(ConfigError, match="resumed with its own settings; seed was 0, now 1"):
        SpeedTrainer(config("seed=1"), whole, resume=True)


@pytest.mark.parametrize("speeds", ["[]", "[0.0, 1.0]", "[2.0, 1.0]", "[-1.0]"])
def test_an_impossible_set_of_speeds_is_refused_at_start(speeds: str) -> None:
    with pytest.raises(ConfigError, match="speeds: expected at least one, finite, above 0 and strictly increasing"):
        config(f"speeds={speeds}")


def test_a_reward_that_is_not_finite_stops_training_with_the_transition(tmp_path: Path) -> None:
    from speedtune_ros.errors import InvalidInputError
    from speedtune_ros.speed.decider import Decisions

    learner = SpeedTrainer(config(), tmp_path, threads=1).learner
    features = np.zeros((2, 33), np.float32)
    features[1, 3] = np.nan
    decisions = Decisions(features, np.array([0, 2]), np.array([0, 200_000_000]))
    with pytest.raises(InvalidInputError, match="episode 'e7', decision 1 of 2: features not finite; action 2"):
        learner.add(decisions, np.full(15, 3.0), True, 0, "e7")


@pytest.mark.parametrize("preset", ["paper", "paper_learned", "paper_slow", "rainbow", "dqn"])
def test_presets_are_blocks_of_the_file(preset: str) -> None:
    found = speed_config(None, [], preset)
    assert found != speed_config(None, [])
    if preset == "paper":
        # https://daivdyuan.github.io/speed-tuning/, table of hyperparameters
        assert (found.agent.network.atoms, found.agent.batch, found.agent.learning_rate) == (121, 128, 1e-4)
        assert (found.k_skip, found.features.k_stack, found.reward.alpha, found.reward.beta) == (10, 5, 0.01, 2.0)
    with pytest.raises(ConfigError, match="no parameters for 'papre'"):
        speed_config(None, [], "papre")


def test_a_policy_that_sees_images_shares_its_encoder(tmp_path: Path) -> None:
    """An untrained task policy of a few tokens: its digest and a projection of what it sees are in the checkpoint."""
    still = {"mean": start_pose().tolist(), "std": [1e-3] * 14}
    network = ActConfig(horizon=60, hidden=16, feedforward=16, heads=2, latent=4, stem_width=8, widths=(8, 8))
    card = CheckpointCard(
        "transfer_cube", "act", "act", "command", 60, 0.02, {"top": (32, 32)}, {"states": still, "targets": still},
        asdict(network),
    )  # fmt: skip
    write_checkpoint(tmp_path / "act", card, ActNetwork(network, 1).state_dict())
    settings = f"policy={tmp_path / 'act'}", "vision={size: 4, samples: 6}", "give_up=0.5", "evaluate_every=40"
    train_speed(config(*settings), tmp_path / "speed", threads=1)
    policy = make_policy(str(tmp_path / "act"), "transfer_cube")
    learned = read_content(tmp_path / "speed")
    assert learned["policy_digest"] == policy.info.digest and learned["features"]["images"] is True
    assert weights(tmp_path / "speed")["projection.matrix"].shape == (2 * 16, 4)
    speed_policy = make_speed_policy(f"rainbow:{tmp_path / 'speed'}", policy, 10)
    assert speed_policy.cameras == {"top": (32, 32)}
    write_checkpoint(tmp_path / "act", read_card(tmp_path / "act"), ActNetwork(network, 1).state_dict())
    with pytest.raises(CheckpointError, match="learned for weights of the task policy"):
        make_speed_policy(f"rainbow:{tmp_path / 'speed'}", make_policy(str(tmp_path / "act"), "transfer_cube"), 10)
