from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from speedtune_ros.cli import run as speedtune
from speedtune_ros.errors import DataError
from speedtune_ros.evaluation.compare import at_acceleration, compare, frontier


def row(speed: str, acceleration: float | None, rate: float, **more: Any) -> dict[str, Any]:
    found = {"task": "tea_bag", "policy": "act", "dynamics": "act", "speed": speed, "success_rate": rate}
    found |= {"wilson_low": max(rate - 0.1, 0.0), "wilson_high": min(rate + 0.1, 1.0), "acceleration": acceleration}
    found |= {"episodes": 100, "seed": 100_000, "demo_speedup": None, "successes_per_minute": 9.0}
    return found | more


CONSTANT = [row("constant:1", 1.0, 1.0), row("constant:3", 3.0, 0.4), row("constant:4", 3.8, 0.1)]
TABLES = [row("phase:3,2", 2.5, 0.9), row("phase:4,2", 3.1, 0.7), row("phase:4,1", 2.4, 0.6)]


def test_success_is_interpolated_at_the_same_acceleration() -> None:
    found = at_acceleration(CONSTANT, 2.5)
    assert found is not None
    assert found["success_rate"] == pytest.approx(1.0 + 0.75 * (0.4 - 1.0))
    assert found["wilson_low"] == pytest.approx(0.9 + 0.75 * (0.3 - 0.9))
    assert found["between"] == ["constant:1", "constant:3"]
    assert at_acceleration(CONSTANT, 1.0)["success_rate"] == 1.0  # type: ignore[index]


def test_an_acceleration_nobody_reached_has_no_rate() -> None:
    found = at_acceleration([*CONSTANT, row("constant:5", None, 0.0)], 4.0)
    assert found == {"success_rate": None, "wilson_low": None, "wilson_high": None, "between": [], "fastest": 3.8}
    assert at_acceleration([], 2.0) is None and at_acceleration(CONSTANT, None) is None


def test_tables_that_another_one_beats_are_left_out() -> None:
    assert [found["speed"] for found in frontier(TABLES)] == ["phase:3,2", "phase:4,2"]
    as_fast, as_sure = row("phase:9,1", 3.1, 0.6), row("phase:9,2", 2.4, 0.9)
    assert [found["speed"] for found in frontier([*TABLES, as_fast, as_sure])] == ["phase:3,2", "phase:4,2"]
    twins = [row("phase:1,1", 2.0, 0.5), row("phase:1,1,open=1", 2.0, 0.5)]
    assert frontier(twins) == twins  # neither beats the other


def test_a_policy_is_compared_with_its_own_task_policy_only() -> None:
    alien = row("constant:3", 3.0, 1.0, policy="expert")
    found = compare(row("rainbow", 3.0, 0.8), [*CONSTANT, *TABLES, alien])
    assert found["constant"]["success_rate"] == pytest.approx(0.4)
    assert 0.7 < found["phase"]["success_rate"] < 0.9
    assert found["paper"] == {"speed": 2.99, "success_rate": 0.742} and found["bar_held"] is True
    assert compare(row("rainbow", 2.9, 0.8), CONSTANT)["bar_held"] is False
    with pytest.raises(DataError, match="constant speeds of task tea_bag, policy act, .* got policy"):
        compare(row("rainbow", 3.0, 0.8), [alien])


@pytest.mark.parametrize("key", ["k_skip", "retimer", "checkpoint"])
def test_a_speed_is_compared_under_the_same_settings_only(key: str) -> None:
    under = [{**found, "config": {key: "a"}} for found in CONSTANT]
    assert compare(row("rainbow", 3.0, 0.8, config={key: "a"}), under)[key] == "a"
    with pytest.raises(DataError, match=f"got {key}.*a.*b"):
        compare(row("rainbow", 3.0, 0.8, config={key: "b"}), under)


def test_the_best_constant_speeds_count() -> None:
    poor = row("constant:2", 2.0, 0.1)  # between two better ones
    assert compare(row("rainbow", 2.0, 0.8), [*CONSTANT, poor])["constant"]["success_rate"] == pytest.approx(0.7)


def test_the_command_writes_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sweep.json").write_text(json.dumps({"evaluations": [*CONSTANT, *TABLES]}))
    (tmp_path / "ours.json").write_text(json.dumps(row("rainbow", 3.0, 0.8)))
    out = tmp_path / "table.md"
    assert speedtune(["compare", str(tmp_path / "ours.json"), "--against", str(tmp_path), "--out", str(out)]) == 0
    assert out.read_text().splitlines() == capsys.readouterr().out.splitlines()[:3]
    cells = [cell.strip() for cell in out.read_text().splitlines()[2].strip("|").split("|")]
    assert cells[3:5] == ["0.800 [0.700, 0.900], 100 episodes", "3.00x"]
    assert cells[6] == "0.400 [0.300, 0.500] (1 to 3)" and cells[8] == "0.742 at 2.99x"
    assert json.loads(out.with_suffix(".json").read_text())["compared"][0]["speed"] == "rainbow"
