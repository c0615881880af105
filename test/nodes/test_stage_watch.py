"""Who is gone, by beats."""

from __future__ import annotations

from speedtune_ros.nodes.stage_watch import StageWatch


def test_a_node_is_gone_after_the_timeout_and_back_with_its_next_beat():
    watch = StageWatch(0.1)
    watch.hear("retimer", 10.0)
    assert watch.gone(["retimer"], 10.1) == ()
    assert watch.gone(["retimer"], 10.11) == ("retimer is gone",)
    watch.hear("retimer", 10.12)
    assert watch.gone(["retimer"], 10.13) == ()


def test_only_those_asked_for_and_heard_before_are_missed():
    watch = StageWatch(0.1)
    watch.hear("episode", 10.0)
    assert watch.gone(["retimer"], 99.0) == ()
    assert watch.gone(["retimer", "episode"], 99.0) == ("episode is gone",)
