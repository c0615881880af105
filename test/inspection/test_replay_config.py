"""With what an episode is replayed."""

from __future__ import annotations

from pathlib import Path

import pytest

from speedtune_ros.data.bag_reader import Bag, BagEpisode
from speedtune_ros.data.bag_series import Decision, EpisodeSeries, Health
from speedtune_ros.data.bags import BagWriter
from speedtune_ros.errors import ConfigError, DataError
from speedtune_ros.inspection.replay_config import WhatIf, recorded_speed, replay_config
from speedtune_ros.types import SpeedChoice

CONFIG = {
    "task_policy": {"policy": "act", "task": "transfer_cube", "threads": 2},
    "speed_policy": {"speed": "constant:1"},
    "robot/retimer": {"profile": "identified", "lockstep": True, "scheduler": {"k_skip": 5, "measure_latency": True}},
}


def series(task: str, source: str, *modes: str) -> EpisodeSeries:
    """An episode whose speeds came from `source`, while its node named these modes."""
    found = EpisodeSeries(BagEpisode("e", task, 3, 1.0, True, "success"))
    found.decisions = [Decision(0, choice=SpeedChoice(0, 2.0, (2.0,), (), source))]
    found.health = [Health(i, "speed_policy", 0, "", {"mode": mode}) for i, mode in enumerate(modes)]
    return found


@pytest.fixture
def bag(tmp_path: Path) -> Bag:
    writer = BagWriter(tmp_path / "bag", CONFIG, provenance={"task_policy": {"checkpoint": "abc"}})
    writer.add_topic("/text", "std_msgs/msg/String")
    writer.close()
    return Bag(tmp_path / "bag")


def test_everything_is_as_recorded(bag: Bag) -> None:
    config = replay_config(bag, series("transfer_cube", "constant:2"))
    assert (config.task, config.policy, config.speed, config.profile) == (
        *("transfer_cube", "act", "constant:2", "identified"),
    )
    assert (config.scheduler.k_skip, config.lockstep, config.threads, config.digest) == (5, True, 2, "abc")


def test_what_is_given_comes_on_top(bag: Bag) -> None:
    what_if = WhatIf(policy="expert", speed="constant:3", latency=0.2, settings={"retiming": {"brake_time": 0.3}})
    config = replay_config(bag, series("transfer_cube", "constant:2"), what_if)
    assert (config.policy, config.speed, config.digest) == ("expert", "constant:3", "")
    assert (config.scheduler.latency, config.scheduler.measure_latency, config.scheduler.k_skip) == (0.2, False, 5)
    assert config.retiming.brake_time == 0.3
    assert set(what_if.said()) == {"policy", "speed", "latency", "settings"}
    with pytest.raises(ConfigError, match="did you mean 'brake_time'"):
        replay_config(bag, series("transfer_cube", ""), WhatIf(settings={"retiming": {"brake_tim": 1.0}}))


@pytest.mark.parametrize(
    ("source", "modes", "speed"),
    [
        ("constant:2", ("rainbow:runs/a",), "constant:2"),
        ("rainbow", ("constant:1", "rainbow:runs/a, exploring"), "rainbow:runs/a"),
        ("rainbow", (), "rainbow"),
        ("phase", ("phase:2,1",), "phase:2,1"),
        ("", ("constant:4",), "constant:1"),
    ],
)
def test_the_speed_policy_is_the_one_that_chose(source: str, modes: tuple[str, ...], speed: str) -> None:
    assert recorded_speed(series("transfer_cube", source, *modes), "constant:1") == speed


def test_without_a_task_nothing_can_be_replayed(tmp_path: Path) -> None:
    writer = BagWriter(tmp_path / "bag", {})
    writer.add_topic("/text", "std_msgs/msg/String")
    writer.close()
    with pytest.raises(DataError, match="says which task it is"):
        replay_config(Bag(tmp_path / "bag"), series("", ""))
