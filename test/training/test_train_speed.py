"""Training a speed policy: small runs beside the scripted expert."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from speedtune_ros.aloha import start_pose
from speedtune_ros.cli import run as speedtune
from speedtune_ros.commands.train import speed_config
from speedtune_ros.data.checkpoint_folder import read_content, read_weights
from speedtune_ros.errors import CheckpointError, ConfigError, DataError
from speedtune_ros.policies.act_network import ActConfig, ActNetwork
from speedtune_ros.policies.checkpoint import CheckpointCard, read_card, write_checkpoint
from speedtune_ros.registry import make_policy, make_speed_policy
from speedtune_ros.training.stopwatch import Stopwatch
from speedtune_ros.training.train_speed import SpeedTrainer, TrainSpeedConfig, score, train_speed
from speedtune_ros.types import Episode

torch.set_num_threads(1)
# The two shortest segments there can be: every segment runs at least one episode to its end.
SETTINGS = (
    "speeds=[3.0, 4.5, 6.0]", "decisions=40", "evaluate_every=20", "evaluation_episodes=1", "slots=2",
    "agent.warm_up=10", "agent.network={hidden: 8, layers: 1, atoms: 11}", "agent.replay.capacity=500",
    "guide.decisions=15", "agent.updates_per_decision=1.0", "give_up=1.0", "confirm_episodes=0", "agent.batch=8",
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
    with pytest.raises(CheckpointError, match="temporal ensembling 'off', got 'on'"):
        make_speed_policy(f"rainbow:{whole}", expert, 10, ensemble=True)
    with pytest.raises(ConfigError, match="runs beside the task policy"):
        make_speed_policy(f"rainbow:{whole}")
    with pytest.raises(CheckpointError, match="cannot be read"):
        make_speed_policy(f"rainbow:{tmp_path}", expert)


def test_a_run_goes_on_from_another_task_policys_speed_policy(whole: Path, tmp_path: Path) -> None:
    other = config(f"begin_with={whole}", "reward.alpha=0.05", "speeds=[3.0, 4.0, 5.5]")
    begun = SpeedTrainer(other, tmp_path / "begun", threads=1)
    agent, expected = begun.learner.agent, weights(whole)
    for found in (agent.network.state_dict(), agent.get_state()["target"]):
        assert all(torch.equal(found[name], expected[name]) for name in expected)
    with pytest.raises(CheckpointError, match=r"expected 2 speeds to begin with, as \(3.0, 4.0\), got"):
        SpeedTrainer(config(f"begin_with={whole}", "speeds=[3.0, 4.0]"), tmp_path / "speeds", threads=1)
    with pytest.raises(CheckpointError, match="cannot be begun with: k_skip: 10 there, 5 asked; network.hidden: 8"):
        SpeedTrainer(config(f"begin_with={whole}", "k_skip=5", "agent.network.hidden=16"), tmp_path / "o", threads=1)
    SpeedTrainer(config(), tmp_path / "o", threads=1)  # a refused run leaves nothing behind
    with pytest.raises(ConfigError, match="expected none where joint targets are chosen"):
        SpeedTrainer(config(f"begin_with={whole}", "chooses=targets"), tmp_path / "targets", threads=1)


def test_a_run_that_sees_the_latency_goes_on_from_one_that_did_not(whole: Path, tmp_path: Path) -> None:
    seeing = config(f"begin_with={whole}", "features.latency=true", "latencies=[0.0, 0.2]")
    learner = SpeedTrainer(seeing, tmp_path / "begun", threads=1).learner
    learner.write(tmp_path / "seeing", {}, "", {}, {})
    states = np.random.default_rng(0).normal(size=(4, 5, 34)).astype(np.float32)
    before = SpeedTrainer(config(f"begin_with={whole}"), tmp_path / "before", threads=1).learner.agent
    values = before.act(states[..., :33], explore=False)[1]
    found = learner.agent.act(states, explore=False)[1]
    np.testing.assert_allclose(found, values, rtol=1e-5)  # whatever the latency
    with pytest.raises(CheckpointError, match="features.latency: True there, False asked"):
        SpeedTrainer(config(f"begin_with={tmp_path / 'seeing'}"), tmp_path / "blind", threads=1)


def test_what_a_run_began_with_is_not_needed_any_more(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "first")
    settings = config(f"begin_with={tmp_path / 'first'}")
    SpeedTrainer(settings, tmp_path / "then", threads=1)
    shutil.rmtree(tmp_path / "first")
    agent = SpeedTrainer(settings, tmp_path / "then", resume=True, threads=1).learner.agent
    assert all(torch.equal(agent.network.state_dict()[name], tensor) for name, tensor in weights(whole).items())


def test_a_run_is_resumed_with_its_own_settings(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(whole, tmp_path / "run")
    assert speedtune(["train", "speed", "--out", str(tmp_path / "run"), "--resume", "--threads", "1"]) == 0
    assert f"run it with --speed rainbow:{tmp_path / 'run'}" in capsys.readouterr().out
    assert weights(tmp_path / "run").keys() == weights(whole).keys()
    with pytest.raises(ConfigError, match="resumed with its own settings; slots was 2, now 3"):
        speedtune(["train", "speed", "--out", str(tmp_path / "run"), "--resume", "--set", "slots=3"])


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
    executed = np.full(15, 3.0)
    executed[12] = np.nan
    with pytest.raises(InvalidInputError, match="episode 'e7', decision 1, control step 12: executed speed nan"):
        learner.add(dataclasses.replace(decisions, features=np.zeros((2, 33), np.float32)), executed, True, 0, "e7")


# https://daivdyuan.github.io/speed-tuning/, table of hyperparameters: V, width of the network
PAPER = {
    "paper": ((1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5), 256),
    "paper_learned": ((1.5, 2.0, 3.0, 4.5), 1024),
    "paper_slow": ((1.0, 1.5, 2.0, 2.5, 3.0), 256),
}


@pytest.mark.parametrize("preset", PAPER)
def test_presets_of_the_paper_are_blocks_of_the_file(preset: str) -> None:
    found = speed_config(None, [], preset)
    agent, reward, replay = found.agent, found.reward, found.agent.replay
    assert (found.speeds, agent.network.hidden) == PAPER[preset]
    assert (found.decisions, found.k_skip, found.features.k_stack) == (100_000, 10, 5)
    assert (agent.network.atoms, agent.batch, agent.learning_rate, agent.gradient_clip) == (121, 128, 1e-4, 10.0)
    assert (agent.steps, agent.one_step, agent.target_period, agent.target_mix) == (3, True, 50, 0.5)
    assert (replay.prioritised, replay.exponent, replay.capacity, agent.importance) == (True, 0.2, 1_000_000, 0.6)
    assert (reward.kind, reward.alpha, reward.beta, reward.success) == ("speed", 0.01, 2.0, 100.0)
    assert (reward.forfeit, found.guide.kind, agent.updates_per_decision) == (False, "none", 1.0)
    assert (found.features.markov, found.give_up) == (False, 0.0)  # not the paper's


def test_presets_of_rainbow_and_dqn_are_blocks_of_the_file() -> None:
    rainbow, dqn = (speed_config(None, [], name).agent for name in ("rainbow", "dqn"))
    assert (rainbow.learning_rate, rainbow.batch, rainbow.network.hidden, rainbow.steps) == (6.25e-5, 32, 512, 3)
    assert (rainbow.network.atoms, rainbow.network.sigma, rainbow.adam_epsilon) == (51, 0.5, 1.5e-4)
    assert (rainbow.replay.exponent, rainbow.importance) == (0.5, 0.4)
    assert rainbow.target_period / rainbow.updates_per_decision == 8_000  # decisions
    assert rainbow.warm_up == 20_000
    assert rainbow.double and rainbow.network.noisy and rainbow.network.duelling and rainbow.replay.prioritised
    assert not (dqn.double or dqn.network.noisy or dqn.network.duelling or dqn.replay.prioritised)
    assert (dqn.steps, dqn.network.atoms) == (1, 1)
    with pytest.raises(ConfigError, match="no parameters for 'papre'"):
        speed_config(None, [], "papre")


def test_what_is_paid_for_is_executed_speed(tmp_path: Path) -> None:
    """At 6x the velocity limits of real arms hold the motion back: nobody is paid for 6x."""
    settings = "speeds=[6.0]", "dynamics=hardware", "reward.forfeit=false", "slots=1"
    trainer = SpeedTrainer(config(*settings), tmp_path, threads=1)
    (result, gained), *_ = trainer.rollout.train([Episode("e", "transfer_cube", 200_000_000)])
    executed, reward = result.trace.speed, trainer.config.reward
    paid = reward.alpha * np.sum(executed**reward.beta) + reward.success * result.success
    assert gained == pytest.approx(paid) and executed.mean() < 5.0 < result.trace.ceiling.max()
    trainer.rollout.close()


@pytest.mark.parametrize(
    ("evaluations", "kept"),
    [
        ([(0.99, 2.0), (0.98, 3.0), (0.9, 4.0)], 1),  # the fastest that succeeds often enough
        ([(0.9, 2.0), (0.95, 1.5), (0.8, 4.0)], 1),  # none does: the surest
        ([(0.99, 2.0), (0.99, 2.0)], 0),
        ([(0.0, None), (0.5, 1.0)], 1),
    ],
)
def test_the_fastest_checkpoint_that_is_sure_enough_is_kept(
    evaluations: list[tuple[float, float | None]], kept: int
) -> None:
    scores = [score({"success_rate": rate, "acceleration": fast}, 0.98) for rate, fast in evaluations]
    assert scores.index(max(scores)) == kept


def test_what_looks_best_is_kept_if_it_is_on_more_scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = SpeedTrainer(config("confirm_episodes=2", "floor=1.0"), tmp_path, threads=1)
    asked, successes = [], iter([1, 1, 0, 1, 0, 0, 0])

    def evaluate(seeds: range) -> list[SimpleNamespace]:
        asked.append((seeds[0], seeds[-1]))
        return [
            SimpleNamespace(steps=100, success_step=80 if next(successes) else None, realised_speed=3.0) for _ in seeds
        ]

    monkeypatch.setattr(trainer.rollout, "evaluate", evaluate)
    rates = []
    for _ in range(3):  # the second is as sure on the first scene, and fails on both others
        trainer._evaluate(0.0)
        rates.append(read_content(tmp_path)["figures"]["success_rate"])
    assert rates == [pytest.approx(2 / 3)] * 3
    assert asked == [(9000, 9000), (9001, 9002), (9000, 9000), (9001, 9002), (9000, 9000)]
    assert read_content(tmp_path)["seeds"]["selection"] == [9000, 9002]
    trainer.rollout.close()
    with pytest.raises(ConfigError, match="evaluation_episodes . confirm_episodes: expected at most 1000, got 1001"):
        config("evaluation_episodes=1000", "confirm_episodes=1")


def test_time_inside_an_evaluation_is_counted_once() -> None:
    watch = Stopwatch()
    with watch.measure("evaluation", whole=True), watch.measure("physics"):
        pass
    assert set(watch.seconds) == {"evaluation"}
    with watch.measure("physics"):
        pass
    assert set(watch.seconds) == {"evaluation", "physics"}


def test_waiting_at_rest_lengthens_an_episode(tmp_path: Path) -> None:
    limits = []
    late = ("latency=0.3", "latencies=[0.0, 0.3]")
    for number, settings in enumerate([(), *(("inference=sync", each) for each in late)]):
        trainer = SpeedTrainer(config(*settings), tmp_path / str(number), threads=1)
        limits.append(trainer.learner.time_limit)
        assert all(timed.success_step for timed in trainer._baseline)  # the demonstrated motion gets to its end
        trainer.rollout.close()
    assert limits[1] > 1.5 * limits[0]
    assert limits[2] == limits[1]


def test_training_may_have_several_latencies(tmp_path: Path) -> None:
    def steps(name: str, setting: str) -> dict[int, int]:
        trainer = SpeedTrainer(config(setting), tmp_path / name, threads=1)
        found = {result.episode.seed: result.steps for result in trainer.rollout.run("constant:3", range(9000, 9004))}
        trainer.rollout.close()
        return found

    mixed = steps("mixed", "latencies=[0.0, 0.2]")
    prompt, late = steps("prompt", "latency=0.0"), steps("late", "latency=0.2")
    assert mixed == {seed: (late if seed % 2 else prompt)[seed] for seed in mixed} and prompt != late
    with pytest.raises(ConfigError, match="latencies: expected between 0.0 and 10.0, got -0.1"):
        config("latencies=[0.0, -0.1]")


@pytest.mark.parametrize("option", ["--minutes=0", "--minutes=nan", "--threads=-1"])
def test_a_number_that_trains_nothing_is_refused(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        speedtune(["train", "speed", "--out", str(tmp_path / "run"), option])
    name, value = option.split("=")
    assert re.search(f"argument {name}: expected a .*number .*, got '{value}'", capsys.readouterr().err)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--live sim --set chooses=targets", "--live: learns speeds"),
        ("--live sim --set latencies=[0.0,0.02]", "--live: learns speeds, at the latency the graph has"),
        ("--live sim --speed-limit 0", "--speed-limit: expected a number above 0, got 0"),
        ("--set agent.network.encoder.weights=a", "agent.network.encoder.weights a: expected vision.encoder own"),
        ("--set seed=1947", "seed: expected between 0 and 1946, got 1947"),
        ("--resume", "no training run to resume"),
    ],
)
def test_what_would_be_ignored_is_refused(words: str, message: str, tmp_path: Path) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        speedtune(["train", "speed", "--policy", "expert", "--out", str(tmp_path / "a"), *words.split()])
    assert not (tmp_path / "a").exists()


def test_an_option_for_a_running_graph_needs_one(tmp_path: Path) -> None:
    for words in (["--speed-limit", "2"], ["--lockstep"], ["--labels", "scripted"]):
        with pytest.raises(ConfigError, match=f"{words[0]}: belongs to a running graph; expected --live as well"):
            speedtune(["train", "speed", "--policy", "expert", "--out", str(tmp_path / "a"), *words])
    assert not (tmp_path / "a").exists()


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
