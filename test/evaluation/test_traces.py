from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from speedtune_ros.cli import run as speedtune
from speedtune_ros.errors import ConfigError
from speedtune_ros.evaluation.evaluation_config import EvaluationConfig
from speedtune_ros.evaluation.traces import runs_with_key_frames

EXPERT = EvaluationConfig(policy="expert", speed="phase:3,1.5")


def test_choices_are_heard_at_their_progress_and_one_episode_has_frames() -> None:
    first, second = runs_with_key_frames(EXPERT, [9_000, 9_001], ("angle", 48, 64))
    assert [first.seed, second.seed] == [9_000, 9_001]
    assert len(first.frames) > 20 and not second.frames
    for run in (first, second):
        assert {choice.speed for choice in run.choices} == {1.5, 3.0}
        progress = [choice.progress for choice in run.choices]
        assert progress[0] == 0.0 and (np.diff(progress) > 0.0).all()
        assert run.success and 1.5 < run.realised_speed < 3.0


def test_the_command_draws_speeds_and_refuses_bad_shares(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "speed.svg"
    command = ["plot", "speed", "--policy", "expert", "--speed", "4", "phase:4,2", "--episodes", "1", "--out", str(out)]
    assert speedtune([*command, "--marks", "0,0.5,1"]) == 0
    words = "seeds 9000 to 9000 at constant:4, phase:4,2; key frames: seed 9000, which succeeds"
    assert words in capsys.readouterr().out
    assert out.read_text().count("data:image/png;base64,") == 3
    assert speedtune([*command[:5], "phase:4,2", "9", *command[7:], "--failure"]) == 0
    assert "at phase:4,2, constant:9; key frames: seed 9000, which fails" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="between 0 and 1, got '0,2'"):
        speedtune([*command, "--marks", "0,2"])
