"""When an episode is over: its time limit, at speeds below that of the demonstration."""

from __future__ import annotations

import pytest
from builtin_interfaces.msg import Time

from speedtune_msgs.msg import DriverStatus, RetimeReport
from speedtune_ros.nodes.episode_config import EpisodeConfig
from speedtune_ros.nodes.episode_watch import EpisodeWatch


class Listener:
    """Keeps the callbacks a node would register."""

    def __init__(self) -> None:
        self.callbacks = {}

    def listen(self, topic, callback):
        self.callbacks[topic] = callback


class Episode:
    """One that runs from 0 s, with a limit of 10 s."""

    def __init__(self, stretches: bool) -> None:
        self.node = Listener()
        self.watch = EpisodeWatch(self.node, EpisodeConfig(start_timeout_s=600.0, stall_timeout_s=600.0))
        self.watch.begin("e", 10.0, stretches=stretches)
        self.watch.start(Time())

    def report(self, **fields) -> None:
        self.node.callbacks["retime_report"](RetimeReport(episode_id="e", **fields))

    def over_after(self, second: int) -> bool:
        status = DriverStatus(episode_id="e", state=DriverStatus.TRACKING)
        status.header.stamp = Time(sec=second)
        self.node.callbacks["driver_status"](status)
        return self.watch.ended() == "time_limit"


@pytest.mark.parametrize(
    ("report", "limit_s"),
    [
        ({"requested_speed": 0.5, "peak_speed": 0.5}, 20),
        ({"requested_speed": 2.0, "peak_speed": 0.5, "binding_limit": "operator"}, 20),
        ({"requested_speed": 2.0, "peak_speed": 0.5, "binding_limit": "latency"}, 10),
        ({"requested_speed": 2.0, "peak_speed": 2.0}, 10),
        ({"requested_speed": 0.5, "fallback_reason": "refused: late"}, 10),
    ],
)
def test_who_is_asked_to_be_slow_has_more_time(report, limit_s):
    episode = Episode(stretches=True)
    episode.report(**report)
    assert not episode.over_after(limit_s - 1)
    assert episode.over_after(limit_s)


def test_a_limit_that_was_asked_for_stays():
    episode = Episode(stretches=False)
    episode.report(requested_speed=0.5, peak_speed=0.5)
    assert episode.over_after(10)
