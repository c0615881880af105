"""Who is gone, by beats."""

from __future__ import annotations

from speedtune_ros.nodes.stage_watch import StageWatch


def ticked(watch, count):
    for _ in range(count):
        watch.tick()
    return watch


def test_a_node_is_gone_after_too_many_ticks_and_back_with_its_next_beat():
    watch = StageWatch(5)
    watch.hear("retimer")
    assert ticked(watch, 5).gone(["retimer"]) == ()
    assert ticked(watch, 1).gone(["retimer"]) == ("retimer is gone",)
    watch.hear("retimer")
    assert ticked(watch, 1).gone(["retimer"]) == ()


def test_cameras_are_those_that_beat_now():
    watch = StageWatch(5)
    for node in ("retimer", "camera_top", "camera_low"):
        watch.hear(node)
    ticked(watch, 3).hear("camera_top")
    assert watch.cameras() == ("camera_top", "camera_low")
    assert ticked(watch, 3).cameras() == ("camera_top",)


def test_only_those_asked_for_and_heard_before_are_missed():
    watch = StageWatch(5)
    watch.hear("episode")
    assert ticked(watch, 99).gone(["retimer"]) == ()
    assert watch.gone(["retimer", "episode"]) == ("episode is gone",)
