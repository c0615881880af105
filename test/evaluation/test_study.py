"""Studies by their commands, with the smallest trainings there can be."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

import pytest
import torch

from speedtune_ros.cli import run as speedtune
from speedtune_ros.errors import ConfigError, DataError
from speedtune_ros.evaluation.study import evaluation_config
from speedtune_ros.evaluation.variants import read_variants
from speedtune_ros.share import share_path

torch.set_num_threads(1)
TINY = (
    "speeds=[4.5, 6.0]", "evaluation_episodes=1", "slots=1", "agent.batch=4", "agent.warm_up=5", "give_up=0.5",
    "agent.network={hidden: 8, layers: 1, atoms: 11}", "agent.replay.capacity=500", "confirm_episodes=0",
)  # fmt: skip
ABLATIONS = """
ablate:
  ros__parameters:
    beta:
      beta 0: {reward.beta: 0.0}
      beta 2: {reward.beta: 2.0}
    frame skip:
      every 10 steps: {}
      every 20 steps: {k_skip: 20}
"""


def common(out: Path, *settings: str) -> list[str]:
    evaluated = ["--episodes", "1", "--seed", "9000", "--workers", "1", "--slots", "1", "--out", str(out)]
    return ["--task", "transfer_cube", "--policy", "expert", *evaluated, "--set", *TINY, *settings]


def ablate(out: Path, *arguments: str) -> int:
    config = out.parent / "ablations.yaml"
    config.write_text(ABLATIONS)
    settings = common(out, "evaluate_every=10")
    return speedtune(["ablate", *arguments, "--config", str(config), "--decisions", "10", *settings])


def test_an_ablation_is_run_once_and_another_adds_to_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "study"
    assert ablate(out, "beta") == 0
    assert sorted(path.parent.parent.name for path in out.glob("*/*/row.json")) == ["full", "reward.beta=0.0"]
    rows = json.loads((out / "ablations.json").read_text())["ablations"]
    assert [(row["group"], row["name"], row["reference"]) for row in rows] == [
        ("", "full method", True), ("beta", "beta 0", False), ("beta", "beta 2", True),
    ]  # fmt: skip
    assert rows[0] == {**rows[2], "group": "", "name": "full method"} and rows[0]["seed_of_training"] == 0
    assert rows[1]["episodes"] == 1 and rows[1]["speed"].startswith("rainbow:") and "samples" not in rows[1]
    assert "| beta | beta 0 |" in (out / "ablations.md").read_text() and (out / "ablations.png").exists()

    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file() and "policy" in path.parts}
    capsys.readouterr()
    written = out / "full/seed-0/row.json"
    older = json.loads(written.read_text())
    del older["asked"]["training"]["begin_with"]  # by a version that did not have it
    written.write_text(json.dumps(older))
    lock = out / "k_skip=20/seed-0/lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert ablate(out) == 0
    assert "frame skip: every 20 steps: another process is at it" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in before} == before  # nothing was trained again
    assert not (out / "k_skip=20/seed-0/policy").exists()
    with pytest.raises(ConfigError, match=r"full/seed-0 holds another run \(.*give_up: 0.5 there, 0.4 asked"):
        speedtune(["ablate", "--decisions", "10", *common(out, "evaluate_every=10", "give_up=0.4")])


def test_a_killed_study_goes_on(tmp_path: Path) -> None:
    """Stopped in the middle of a training, and after it: what was done stays."""
    out = tmp_path / "study"
    marks = ["sample-efficiency", "--training-seeds", "0", *common(out, "evaluate_every=5")]
    assert speedtune([*marks, "--decisions", "5"]) == 0
    first = (out / "seed-0/at-5/row.json").stat().st_mtime_ns
    (out / "seed-0/at-10/policy").mkdir(parents=True)  # killed before its checkpoint was set aside
    assert speedtune([*marks, "--decisions", "5,10"]) == 0
    assert (out / "seed-0/at-5/row.json").stat().st_mtime_ns == first
    rows = json.loads((out / "sample-efficiency.json").read_text())["sample_efficiency"]
    assert [(row["decisions"], row["seed_of_training"]) for row in rows] == [(5, 0), (10, 0)]
    log = [json.loads(line) for line in (out / "seed-0/training/training/log.jsonl").open()]
    assert [row["episodes"] for row in log] == sorted({row["episodes"] for row in log})  # one training, not two
    assert (out / "sample-efficiency.png").exists() and "| 10 | 0 |" in (out / "sample-efficiency.md").read_text()
    assert speedtune([*marks, "--decisions", "5,10,20"]) == 0
    with pytest.raises(ConfigError, match="has 20 decisions, too many for mark 12"):
        speedtune([*marks, "--decisions", "12"])
    (out / "seed-0/at-5/row.json").write_text("{}")
    with pytest.raises(DataError, match="row.json: expected what a study writes"):
        speedtune([*marks, "--decisions", "5"])


def test_the_shipped_ablations_fit_the_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    from speedtune_ros.commands.train import speed_config
    from speedtune_ros.evaluation.variants import changed

    full = speed_config(None, ["task=tea_bag", "policy=act"])
    variants = read_variants(share_path("config/ablations.yaml"))
    configs = {(variant.group, variant.name): changed(full, variant) for variant in variants}
    evaluated = evaluation_config(configs["task policy", "scripted"], Path("here"))
    assert (evaluated.task, evaluated.policy, evaluated.speed) == ("tea_bag", "expert", "rainbow:here")
    assert evaluation_config(configs["frame skip", "25 steps"], Path("here")).k_skip == 25
    assert evaluation_config(configs["ensembling", "with ensembling"], Path("here")).ensemble
    scratch = evaluation_config(configs["from scratch", "joint targets"], Path("here"))
    assert (scratch.policy, scratch.speed) == ("here", "constant:1")
    agents = {name: config.agent for (group, name), config in configs.items() if group == "rainbow parts"}
    parts = {
        "all parts": full.agent, "no double": agents["no double"].double, "no n-step": agents["no n-step"].steps - 1,
        "no duelling": agents["no duelling"].network.duelling,
        "no noisy layers": agents["no noisy layers"].network.noisy,
        "no categorical": agents["no categorical"].network.atoms - 1,
        "no priorities": agents["no priorities"].replay.prioritised,
        "n-step return alone": agents["n-step return alone"].one_step,
    }  # fmt: skip
    assert agents.keys() == parts.keys() and [name for name, there in parts.items() if there] == ["all parts"]
    added = {name: config for (group, name), config in configs.items() if group == "additions"}
    assert not added["no Markov features"].features.markov and added["no guided episodes"].guide.kind == "none"
    assert added["no giving up"].give_up == 0.0 and not added["failures keep their pay"].reward.forfeit
    assert added["time-cost reward"].reward.kind == "time"
    bare = added["none of them"]
    assert (bare.guide.kind, bare.features.markov, bare.give_up, bare.reward.forfeit) == ("none", False, 0.0, False)
    assert not configs["images", "without images"].features.images
    assert configs["encoder", "own encoder"].vision.encoder == "own"
    for group, value in (("beta", "beta"), ("alpha", "alpha")):
        named = {name: config.reward for (found, name), config in configs.items() if found == group}
        assert all(getattr(reward, value) == float(name.split()[1]) for name, reward in named.items())
    assert speedtune(["ablate", "alpha", "--list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert len(listed) == 6 and listed[1].endswith("reward.kind=speed, reward.alpha=0.002")


def test_a_list_refuses_an_unknown_parameter(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("ablate: {ros__parameters: {mine: {quick: {reward.alfa: 1.0}}}}")
    with pytest.raises(ConfigError, match="mine: quick.*alfa"):
        speedtune(["ablate", "--config", str(file), "--list"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["ablate", "--training-seeds", "a"],
            "--training-seeds: expected whole numbers with commas between them, got 'a'",
        ),
        (
            ["sample-efficiency", "--decisions", "5,5"],
            r"marks: expected numbers of decisions that increase, got \[5, 5\]",
        ),
    ],
)
def test_what_is_no_study_is_refused(arguments: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        speedtune(arguments)
