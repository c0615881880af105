"""What trainings keep in their folders, and where their time goes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from speedtune_ros.config import option
from speedtune_ros.errors import ConfigError, DataError
from speedtune_ros.training.run_folder import RunLog, begin_run
from speedtune_ros.training.stopwatch import Stopwatch


@dataclass(frozen=True)
class Settings:
    steps: int = option(10, "steps")
    rate: float = option(0.1, "rate")


def test_a_run_goes_on_with_its_own_settings_but_those_that_are_free(tmp_path: Path) -> None:
    folder = tmp_path / "training"
    with pytest.raises(DataError, match="training: no training run to resume"):
        begin_run(folder, Settings(), resume=True)
    begin_run(folder, Settings(), resume=False)
    with pytest.raises(DataError, match="holds a training run already; continue it with --resume"):
        begin_run(folder, Settings(), resume=False)
    with pytest.raises(ConfigError, match="resumed with its own settings; rate was 0.1, now 0.2"):
        begin_run(folder, Settings(steps=20, rate=0.2), resume=True, free=("steps",))
    begin_run(folder, Settings(steps=20), resume=True, free=("steps",))
    with pytest.raises(ConfigError, match="steps was 20, now 10"):
        begin_run(folder, Settings(), resume=True)


def test_a_log_forgets_what_lies_beyond_the_point_resumed_from(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "log.jsonl", "step", 0)
    for step in (5, 10, 15):
        log.add(step=step, loss=1.0 / step)
    again = RunLog(tmp_path / "log.jsonl", "step", 10)
    assert [row["step"] for row in again.rows] == [5, 10]
    again.add(step=12)
    assert [row["step"] for row in RunLog(tmp_path / "log.jsonl", "step", 99).rows] == [5, 10, 12]


def test_a_log_survives_a_line_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 5}\n{"step": 1')
    RunLog(path, "step", 99).add(step=10)
    assert path.read_text() == '{"step": 5}\n{"step": 10}\n'
    path.write_text('{"st\n{"step": 10}\n')
    with pytest.raises(DataError, match="log.jsonl, line 1: expected a JSON object"):
        RunLog(path, "step", 99)


def test_a_stopwatch_adds_up_calls_even_those_that_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 1.0, 10.0, 13.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(now))

    class Worker:
        def work(self, fail: bool) -> str:
            if fail:
                raise ValueError
            return "done"

    watch, worker = Stopwatch(), Worker()
    watch.attach(worker, "work", "physics")
    assert worker.work(fail=False) == "done"
    with pytest.raises(ValueError):
        worker.work(fail=True)
    assert watch.seconds["physics"] == 4.0 and watch.shares() == {"physics": 1.0}
