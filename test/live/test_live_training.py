"""Learning on a graph, here the same stages in one process: verdicts, discards, crashes, limits."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from speedtune_ros import graph
from speedtune_ros.config import build
from speedtune_ros.data.checkpoint_folder import WEIGHTS
from speedtune_ros.errors import ConfigError, DataError, SpeedtuneError
from speedtune_ros.execution import ExecutionConfig
from speedtune_ros.live.episode import NO_LIMITS, EpisodeLimits, LiveEpisode
from speedtune_ros.live.learner import LearnerFactory, allowed, episode_limits
from speedtune_ros.live.run import _expected, _launch, within
from speedtune_ros.live.train import LiveTraining
from speedtune_ros.pipeline import Pipeline, PipelineConfig
from speedtune_ros.registry import make_policy, make_simulation, make_speed_policy
from speedtune_ros.speed.checkpoint import read_speed_card
from speedtune_ros.training.train_speed import TrainSpeedConfig
from speedtune_ros.types import Episode

pytest.importorskip("torch")
EPISODE_STEPS = 400  # of a demonstration of transfer_cube
SETTINGS = {
    "speeds": [2.0, 4.0],
    "features": {"images": False, "k_stack": 2},
    "guide": {"decisions": 10},
    "agent": {
        "warm_up": 10,
        "batch": 8,
        "network": {"hidden": 16, "atoms": 11},
        "replay": {"capacity": 1000},
    },
    "live": {"episodes": 5, "checkpoint_decisions": 25},
}


class InOneProcess:
    """Implements Graph by the pipeline. labels: the verdicts in order, None for none; success where they end."""

    def __init__(self, expert, simulation, labels=()):
        self._expert, self._simulation = expert, simulation
        self.labels, self.loaded, self.ran, self.dies_at = list(labels), [], [], None

    def load(self, folder, seed):
        self._speed = make_speed_policy(f"rainbow:{folder}", self._expert, 10)
        self._speed.try_out(seed)
        self.loaded.append(seed)

    def run(self, seed, mode="", limits=NO_LIMITS):
        if self.dies_at == len(self.ran):
            raise KeyboardInterrupt
        self.ran.append(seed)
        choices = []
        heard = _Heard(self._speed, choices)
        config = PipelineConfig(time_limit_steps=round(limits.time * 50), progress_limit=limits.progress, workers=1)
        episode = Episode(f"e{seed}", "transfer_cube", seed)
        (result,) = Pipeline([self._simulation], self._expert, heard, config).run([episode], trace=True)
        stamps = result.trace.stamps.tolist()
        return LiveEpisode(
            id=episode.id,
            seed=seed,
            start_ns=stamps[0],
            end_ns=stamps[-1] + 20_000_000,
            success=result.success,
            reason="success" if result.success else "progress_limit",
            speeds=dict(zip(stamps, result.trace.speed.tolist())),
            choices=tuple(choices),
        )

    def label(self, episode, timeout_s):
        return self.labels.pop(0) if self.labels else float(episode.success)


class _Heard:
    def __init__(self, policy, choices):
        self.reset, self._policy, self._choices = policy.reset, policy, choices

    def choose(self, queries):
        chosen = self._policy.choose(queries)
        self._choices += chosen.values()
        return chosen


@pytest.fixture(scope="module")
def stages():
    return make_policy("expert", "transfer_cube"), make_simulation("transfer_cube")


def training(graph, out, resume=False, attended=True, **changes):
    config = build(TrainSpeedConfig, {**SETTINGS, **changes})
    limits = episode_limits(config, EPISODE_STEPS)
    found = LiveTraining(graph, out, config, limits, attended, lambda text: None)
    found.begin(LearnerFactory(config, graph._expert, limits), resume)
    return found


def test_it_learns_from_labelled_episodes_and_drops_the_others(stages, tmp_path: Path):
    graph = InOneProcess(*stages, labels=[1.0, None, -0.5, 0.0])
    last = training(graph, tmp_path).run()
    assert len(graph.ran) == 6 and graph.ran == sorted(set(graph.ran)) == graph.loaded
    lines = [line for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert len(lines) == last["episodes"] == 5 and last["updates"] > 0
    assert [float(line.split('"label": ')[1].split(",")[0]) for line in lines[:3]] == [1.0, -0.5, 0.0]
    assert str(graph.ran[1]) not in "".join(lines)
    assert (tmp_path / "curves.png").is_file()
    make_speed_policy(f"rainbow:{tmp_path / 'latest'}", stages[0], 10)
    with pytest.raises(DataError, match="--resume"):
        training(graph, tmp_path)


@pytest.mark.parametrize("dies_at", [0, 1, 3, 4])
def test_a_crash_loses_the_episode_in_flight_alone(stages, tmp_path: Path, dies_at):
    whole = InOneProcess(*stages)
    training(whole, tmp_path / "whole").run()
    graph = InOneProcess(*stages)
    graph.dies_at = dies_at
    with pytest.raises(KeyboardInterrupt):
        training(graph, tmp_path / "cut").run()
    again = InOneProcess(*stages)
    training(again, tmp_path / "cut", resume=True).run()
    assert graph.ran + again.ran == whole.ran
    for name in (f"latest/{WEIGHTS}", "training/state.safetensors"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_what_was_not_heard_is_not_learned_and_too_much_of_it_ends_an_unattended_run(stages, tmp_path: Path):
    class Deaf(InOneProcess):
        def run(self, *arguments):
            return dataclasses.replace(super().run(*arguments), speeds={})

    graph = Deaf(*stages)
    with pytest.raises(SpeedtuneError, match="5 episodes in a row"):
        training(graph, tmp_path, attended=False).run()
    assert not list((tmp_path / "training" / "episodes").iterdir())


def test_other_settings_are_not_resumed(stages, tmp_path: Path):
    training(InOneProcess(*stages), tmp_path, live={"episodes": 1}).run()
    with pytest.raises(ConfigError, match="speeds was"):
        training(InOneProcess(*stages), tmp_path, resume=True, speeds=[2.0, 3.0])
    longer = training(InOneProcess(*stages), tmp_path, resume=True, live={"episodes": 2}).run()
    assert longer["episodes"] == 2


def test_speeds_above_the_operators_limit_are_not_tried():
    config = build(TrainSpeedConfig, {"speeds": [1.0, 2.0, 4.0]})
    assert allowed(config, 2.0).speeds == (1.0, 2.0)
    with pytest.raises(ConfigError, match="operator's limit is 0.5"):
        allowed(config, 0.5)


def test_speeds_above_the_operators_limit_are_not_measured():
    said = []
    specs = ["constant:1", "constant:2.5", "phase:3,1"]  # a table is clamped where it is too fast, as it is meant to be
    assert within(specs, 2.0, said.append) == ["constant:1", "phase:3,1"]
    assert said == ["above the operator's limit of 2, not tried: constant:2.5"]
    assert within(specs, 100.0, said.append) == specs and len(said) == 1
    with pytest.raises(ConfigError, match="constant:2.5: the operator's limit is 2, below all"):
        within(["constant:2.5"], 2.0, said.append)


def test_a_verdict_below_failure_is_told_from_failure(stages, tmp_path: Path):
    """The support reaches down to the worst verdict, also where failing costs nothing."""
    config = build(TrainSpeedConfig, {**SETTINGS, "reward": {"forfeit": False}})
    LearnerFactory(config, stages[0], episode_limits(config, EPISODE_STEPS)).make(None).write(tmp_path)
    assert read_speed_card(tmp_path).bounds[0] == -config.reward.success


def test_it_stops_in_time_and_an_own_encoder_needs_no_looking(stages, tmp_path: Path):
    graph = InOneProcess(*stages)
    assert training(graph, tmp_path).run(seconds=0.0) == {} and not graph.ran
    config = build(TrainSpeedConfig, {"vision": {"encoder": "own"}})
    seeing = make_policy("act", "transfer_cube")
    limits = episode_limits(config, EPISODE_STEPS)
    assert not LearnerFactory(config, seeing, limits).sees
    assert LearnerFactory(TrainSpeedConfig(), seeing, limits).sees


def test_limits_are_those_of_training_in_simulation():
    limits = episode_limits(build(TrainSpeedConfig, {"speeds": [0.5, 2.0], "give_up": 1.5}), EPISODE_STEPS)
    assert limits == EpisodeLimits(18.0, 12.0)  # 400 and 50 steps at half speed; one and a half demonstrations
    assert np.isclose(episode_limits(TrainSpeedConfig(), EPISODE_STEPS).time, 9.0)


@pytest.mark.parametrize("ensemble", [False, True])
def test_a_graph_is_launched_as_it_is_expected_to_run(ensemble):
    config = ExecutionConfig(task="tea_bag", policy="act", k_skip=15, ensemble=ensemble)
    given = {name: str(value) for name, value in _launch(config).items()}
    nodes = {process.name: process.parameters for process in graph.processes(given)}
    expected = {tuple(name.replace("__", ".").split(".", 1)): value for name, value in _expected(config).items()}
    told = {(node, name) for node, name in expected if name in nodes[node]}
    assert {("retimer", "scheduler.ensemble"), ("speed_policy", "ensemble"), ("speed_policy", "k_skip")} <= told
    assert {key: nodes[key[0]][key[1]] for key in told} == {key: expected[key] for key in told}
