from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from speedtune_ros.cli import run as speedtune
from speedtune_ros.errors import ConfigError, DataError, SpeedtuneError, UnknownNameError
from speedtune_ros.evaluation.arguments import add_arguments, config_of
from speedtune_ros.evaluation.evaluate import EvaluationConfig, check_names, evaluate, summarise
from speedtune_ros.evaluation.provenance import digest
from speedtune_ros.evaluation.rollouts import build_pipeline
from speedtune_ros.evaluation.samples import EpisodeSample, SampleFile
from speedtune_ros.evaluation.workers import run_seeds
from speedtune_ros.registry import make_task

KEYS = [
    "task",
    "policy",
    "speed",
    "retimer",
    "dynamics",
    "episodes",
    "seed",
    "seeds",
    "success_rate",
    "wilson_low",
    "wilson_high",
    "acceleration",
    "demo_speedup",
    "mean_success_duration_s",
    "successes_per_minute",
    "realised_speed_mean",
    "tracking_error_rad_rms",
    "handover_jump_rad_p99",
    "config",
]
EXPERT_2X = EvaluationConfig(policy="expert", speed="constant:2")


def quick(seeds: Iterator[int]) -> Iterator[EpisodeSample]:
    for seed in seeds:
        yield EpisodeSample(seed, steps=100 + seed, success_step=100 + seed)


def failing(seeds: Iterator[int]) -> Iterator[EpisodeSample]:
    raise SpeedtuneError(f"no scene for seed {next(seeds)}")


def dying(seeds: Iterator[int]) -> Iterator[EpisodeSample]:
    raise SystemExit(3)


def test_the_expert_at_twice_the_speed(tmp_path: Path) -> None:
    result = evaluate(EXPERT_2X, [100_000, 100_001], tmp_path / "a.json", workers=1, slots=2)
    assert list(result)[: len(KEYS)] == KEYS
    assert json.loads((tmp_path / "a.json").read_text()) == result
    assert (result["success_rate"], result["episodes"], result["seed"]) == (1.0, 2, 100_000)
    # What the file says must follow from its own samples.
    steps = [sample["success_step"] for sample in result["samples"]]
    baseline = [sample["success_step"] for sample in result["baseline_samples"]]
    assert result["mean_success_duration_s"] == pytest.approx(0.02 * sum(steps) / 2)
    assert result["acceleration"] == pytest.approx(sum(baseline) / sum(steps))
    assert 1.8 < result["acceleration"] < 2.1
    assert result["demo_speedup"] == result["acceleration"]  # the expert is the demonstrator


def test_as_many_seeds_as_asked_run_at_1x(tmp_path: Path) -> None:
    result = evaluate(EXPERT_2X, [5, 6, 7], tmp_path / "a.json", slots=3, baselines=1)
    assert [sample["seed"] for sample in result["samples"]] == [5, 6, 7]
    assert [sample["seed"] for sample in result["baseline_samples"]] == [5]
    assert result["acceleration"] > 1.5


@pytest.mark.parametrize("count", ["0", "-1"])
def test_too_few_seeds_at_1x_are_refused(tmp_path: Path, count: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        speedtune(["eval", f"--baseline-episodes={count}", "--json", str(tmp_path / "a.json")])
    error = capsys.readouterr().err
    assert f"--baseline-episodes: expected a whole number of at least 1, got '{count}'" in error


def test_demonstrated_speed_accelerates_by_one_and_runs_once(tmp_path: Path) -> None:
    labels = set()

    def progress(label: str, samples: Sequence[EpisodeSample], total: int) -> None:
        labels.add(label)

    config = EvaluationConfig(policy="expert", speed="constant")
    result = evaluate(config, [100_000], tmp_path / "a.json", slots=1, progress=progress)
    assert (result["acceleration"], result["demo_speedup"]) == (1.0, 1.0)
    assert labels == {"constant:1"}


def test_an_interrupted_evaluation_continues_and_gives_the_same_figures(tmp_path: Path) -> None:
    whole = evaluate(EXPERT_2X, [5, 6], tmp_path / "whole.json", slots=2, baselines=0)
    evaluate(EXPERT_2X, [5], tmp_path / "part.json", slots=1, baselines=0)
    part = tmp_path / "part.jsonl"
    part.write_text(part.read_text() + '{"seed": 6, "ste')  # killed while it wrote
    ran = []
    resumed = evaluate(
        EXPERT_2X, [5, 6], tmp_path / "part.json", slots=1, baselines=0, progress=lambda _, s, n: ran.append(len(s))
    )
    assert ran == [1, 2]
    assert resumed == whole


def test_samples_of_another_configuration_are_refused(tmp_path: Path) -> None:
    SampleFile(tmp_path / "a.jsonl", {"speed": "constant:1", "task": "t"}).append(EpisodeSample(1, 9, 9))
    with pytest.raises(ConfigError, match="speed: 'constant:1' there, 'constant:2' asked"):
        SampleFile(tmp_path / "a.jsonl", {"speed": "constant:2", "task": "t"})
    (tmp_path / "b.jsonl").write_text("no json\n")
    with pytest.raises(DataError, match="expected a configuration and then one sample a line"):
        SampleFile(tmp_path / "b.jsonl", {})


def test_a_file_without_samples_belongs_to_nobody(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.jsonl"
    assert SampleFile(path, {"speed": "constant:1"}).missing([3]) == [3]
    assert not path.exists()
    path.parent.mkdir()
    path.write_text('{"config": {"speed": "constant:1"}}\n')
    SampleFile(path, {"speed": "constant:2"}).append(EpisodeSample(3, 9, 9))
    assert SampleFile(path, {"speed": "constant:2"}).missing([3]) == []
    with pytest.raises(ConfigError, match="speed: 'constant:2' there, 'constant:1' asked"):
        SampleFile(path, {"speed": "constant:1"})


def test_samples_survive_the_file(tmp_path: Path) -> None:
    sample = EpisodeSample(3, 120, None, 2, 1.5, 0.01, (0.1, 0.2), (0.0,), {"policy": 4}, 1, 2, 3)
    SampleFile(tmp_path / "a.jsonl", {}).append(sample)
    again = SampleFile(tmp_path / "a.jsonl", {})
    assert again.samples([3]) == [sample]
    assert again.missing([2, 3]) == [2]


@pytest.mark.parametrize(
    ("config", "error", "words"),
    [
        (EvaluationConfig(task="transfer_cubes"), UnknownNameError, "Did you mean 'transfer_cube'"),
        (EvaluationConfig(policy="README.md"), UnknownNameError, "no such checkpoint folder 'README.md'"),
        (EvaluationConfig(retimer="lineal"), UnknownNameError, "Did you mean 'linear'"),
        (EvaluationConfig(dynamics="real"), UnknownNameError, "identified"),
        (EvaluationConfig(speed="constant:-1"), SpeedtuneError, "above 0"),
        (EvaluationConfig(speed="nan"), SpeedtuneError, "above 0, got nan"),
    ],
)
def test_bad_names_are_refused_before_anything_runs(
    config: EvaluationConfig, error: type[Exception], words: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words):
        evaluate(config, [0], tmp_path / "a.json")
    assert not list(tmp_path.iterdir())


def test_bad_speeds_are_refused() -> None:
    with pytest.raises(ConfigError, match="expected a number after 'constant:', got 'fast'"):
        EvaluationConfig(speed="constant:fast")
    for spelling in ("2", "2.0", "constant:2.0"):
        assert EvaluationConfig(speed=spelling).speed == "constant:2"


def test_runs_at_1x_are_shared_and_extended(tmp_path: Path) -> None:
    ran: list[tuple[str, int]] = []

    def progress(label: str, samples: Sequence[EpisodeSample], total: int) -> None:
        ran.append((label, len(samples)))

    store = tmp_path / "store"
    evaluate(EXPERT_2X, [5, 6], tmp_path / "a.json", slots=2, store=store)
    result = evaluate(replace(EXPERT_2X, speed="3"), [5, 6, 7], tmp_path / "b.json", progress=progress, store=store)
    compared = [count for label, count in ran if "for comparison" in label]
    assert compared == [2, 3]  # two were there, one was added
    assert [sample["seed"] for sample in result["baseline_samples"]] == [5, 6, 7]
    assert len(list(store.iterdir())) == 1  # the expert at 1x is its own demonstrator
    ran.clear()
    evaluate(replace(EXPERT_2X, speed="1"), [6, 7], tmp_path / "c.json", progress=progress, store=store)
    assert ran == []  # a sweep's own run at 1x is the same one


def test_a_changed_scene_or_checkpoint_is_not_mixed_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate(EXPERT_2X, [5], tmp_path / "a.json", baselines=0)
    monkeypatch.setattr("speedtune_ros.evaluation.provenance.scene", lambda *_: "another")
    with pytest.raises(ConfigError, match="scene: .* there, 'another' asked"):
        evaluate(EXPERT_2X, [5], tmp_path / "a.json", baselines=0)


def test_only_the_task_policy_s_own_files_are_its_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.json").write_text("{}")
    before = digest(tmp_path)
    (tmp_path / "rainbow").mkdir()
    (tmp_path / "rainbow" / "checkpoint.json").write_text("{}")
    assert digest(tmp_path) == before
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    assert digest(tmp_path) != before


def test_processes_append_to_one_file_without_harm(tmp_path: Path) -> None:
    first, second = (SampleFile(tmp_path / "a.jsonl", {"speed": "constant:1"}) for _ in range(2))
    first.append(EpisodeSample(1, 9, 9))
    second.append(EpisodeSample(2, 9, None))
    with (tmp_path / "a.jsonl").open("a") as file:
        file.write('{"seed": 3, "st')  # a third one was killed
    first.append(EpisodeSample(4, 9, 9))
    found = SampleFile(tmp_path / "a.jsonl", {"speed": "constant:1"})
    assert [sample.seed for sample in found.samples(range(9))] == [1, 2, 4]


@pytest.mark.parametrize("workers", [1, 2])
def test_every_seed_is_run_once_whatever_the_workers(workers: int) -> None:
    samples = list(run_seeds(quick, range(7), workers))
    assert sorted(sample.seed for sample in samples) == list(range(7))


def test_a_failing_worker_is_reported_in_its_own_words() -> None:
    with pytest.raises(SpeedtuneError, match="a worker process failed: no scene for seed"):
        list(run_seeds(failing, range(4), 2))


def test_a_dead_worker_is_noticed() -> None:
    with pytest.raises(SpeedtuneError, match="ended with exit codes"):
        list(run_seeds(dying, range(4), 2))


def test_failures_are_charged_at_the_mean_speed_that_was_commanded() -> None:
    # 100 steps to success, a fault after 10: charged half the nominal steps, for 3x and 1x were asked for.
    samples = [EpisodeSample(0, 100, 100, commanded_speed=3.0), EpisodeSample(1, 10, None, commanded_speed=1.0)]
    phase = EvaluationConfig(policy="expert", speed="phase:4,1")
    nominal = make_task(phase.task).episode_steps
    figure = summarise(phase, [0, 1], samples, None, None)["successes_per_minute"]
    assert figure == pytest.approx(60.0 / (0.02 * (100 + nominal / 2.0)))
    assert phase.commanded_speed([EpisodeSample(2, 10, None)]) == 1.0  # samples that do not say
    assert EvaluationConfig(speed="constant:2.5").commanded_speed(samples) == 2.5


@pytest.mark.parametrize(
    ("typed", "k_skip", "ensemble"),
    [
        ("", 10, False),
        ("--speed rainbow:{folder}", 20, True),
        ("--speed rainbow:{folder} --no-ensemble", 20, False),
        ("--k-skip 5 --ensemble", 5, True),
    ],
)
def test_a_task_policy_runs_as_the_speed_policy_learned_it(
    typed: str, k_skip: int, ensemble: bool, tmp_path: Path
) -> None:
    (tmp_path / "checkpoint.json").write_text('{"k_skip": 20, "ensemble": true}')
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    found = config_of(parser.parse_args(typed.format(folder=tmp_path).split()))
    assert (found.k_skip, found.ensemble) == (k_skip, ensemble)


@pytest.mark.parametrize("begin", [check_names, lambda config: build_pipeline(config, 1)])
def test_a_speed_policy_learned_with_ensembling_is_refused_without(begin: Callable[[EvaluationConfig], object]) -> None:
    config = EvaluationConfig(task="tea_bag", policy="act", speed="rainbow", ensemble=True)
    begin(config)
    with pytest.raises(SpeedtuneError, match="temporal ensembling"):
        begin(replace(config, ensemble=False))
