"""`speedtune record-demos` and `speedtune train act`, as typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from speedtune_ros import cli
from speedtune_ros.commands.record_demos import image_size
from speedtune_ros.commands.train import train_config
from speedtune_ros.errors import ConfigError, UnknownNameError
from speedtune_ros.policies.checkpoint import read_card

SMALL = (
    "steps=2 batch=4 validation_episodes=1 network.hidden=24 network.heads=2 network.widths=[8] network.stem_width=8"
)


def test_record_then_train_then_load(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demos, run = str(tmp_path / "demos"), str(tmp_path / "run")
    typed = f"record-demos --task transfer_cube --episodes 2 --out {demos} --size 24x32 --jpeg 90 --workers 1"
    assert cli.run(typed.split()) == 0
    assert "2 episodes of transfer_cube (act dynamics)" in capsys.readouterr().out
    typed = f"train act --data {demos} --out {run} --device cpu --threads 1 --set {SMALL}"
    assert cli.run(typed.split()) == 0
    assert "step 2 of 2" in capsys.readouterr().out
    assert read_card(run).cameras == {"top": (24, 32)}


@pytest.mark.parametrize(
    ("typed", "error", "message"),
    [
        ("--task transfer_cube --episodes -1", ConfigError, "episodes: expected at least 1, got -1"),
        ("--task transfer_cube --episodes 0", ConfigError, "episodes: expected at least 1, got 0"),
        ("--task juggle --episodes 1", UnknownNameError, "unknown task 'juggle'"),
        ("--task juggle --live sim", UnknownNameError, "unknown task 'juggle'"),
        ("--task transfer_cube --episodes 1 --dynamics moon", UnknownNameError, "unknown dynamics profile 'moon'"),
    ],
)
def test_bad_recordings_are_refused_before_any_bar(
    typed: str, error: type[Exception], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(error, match=message):
        cli.run(["record-demos", "--out", str(tmp_path / "demos"), *typed.split()])
    assert capsys.readouterr().err == ""
    assert not list(tmp_path.iterdir())


def test_settings_go_on_top_of_the_preset_and_the_file(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text("train_act:\n  ros__parameters:\n    batch: 16\n    kl_weight: 5.0\n    network: {heads: 4}\n")
    config = train_config("paper", path, ["network.latent=16", "kl_weight=2.0"])
    assert (config.batch, config.kl_weight) == (8, 2.0)  # the preset's, the single setting's
    assert (config.network.hidden, config.network.heads, config.network.latent) == (512, 8, 16)
    assert train_config("small", path, []).batch == 16


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["batchs=3"], "unknown key 'batchs'.*did you mean 'batch'"),
        (["network.hiden=3"], "unknown key 'hiden'.*did you mean 'hidden'"),
        (["batch"], "--set: expected KEY=VALUE, got 'batch'"),
        (["batch=many"], "batch: expected int, got str 'many'"),
        (["network.heads=5"], "hidden: expected a multiple of twice the heads"),
        (["kind=pose"], "kind: expected one of command, state, got 'pose'"),
    ],
)
def test_bad_settings_are_refused(settings: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        train_config("small", None, settings)


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown preset 'papre'; available: paper, small. Did you mean 'paper'"):
        train_config("papre", None, [])


def test_image_sizes_are_height_by_width() -> None:
    assert image_size("480x640") == (480, 640)
    for text in ("480", "480x", "0x640", "axb", "480x640x3", "-1x2"):
        with pytest.raises(ConfigError, match="image size: expected HEIGHTxWIDTH such as 480x640"):
            image_size(text)
