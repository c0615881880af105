"""Who starts again, when, and with what."""

from __future__ import annotations

from speedtune_ros import graph
from speedtune_ros.restarts import Restarts


def running(**given: str) -> tuple[graph.Process, ...]:
    return graph.processes({"policy": "rehearsal", **given})


def test_what_holds_a_decision_never_starts_again_behind_anybody_s_back() -> None:
    found = running(robot="real", cameras="top", record="true")
    again = {process.name for process in found if process.restart}
    assert again == {"camera_top", "task_policy", "speed_policy", "recorder"}
    restarts = Restarts(found, 0.0)
    for process in found:
        assert (restarts.ended(process.name, -9, 100.0) is not None) == (process.name in again)
    assert restarts.ended("follower_left", -9, 100.0) is None  # another package's


def test_one_that_worked_starts_again_after_a_second_however_often() -> None:
    restarts = Restarts(running(), 0.0)
    for i in range(1, 12):
        again = restarts.ended("task_policy", -9, 20.0 * i)
        assert again is not None and again.delay_s == 1.0 and again.process.name == "task_policy"


def test_one_that_does_not_come_up_waits_twice_as_long_each_time() -> None:
    restarts, now, delays = Restarts(running(), 0.0), 0.0, []
    for _ in range(7):
        now += 2.0
        again = restarts.ended("task_policy", 1, now)
        assert again is not None
        delays.append(again.delay_s)
        now += again.delay_s
    assert delays == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    again = restarts.ended("task_policy", 1, now + 60.0)
    assert again is not None and again.delay_s == 1.0


def test_a_configuration_that_was_refused_is_not_tried_again() -> None:
    assert Restarts(running(), 0.0).ended("task_policy", 2, 50.0) is None


def test_nothing_starts_again_where_that_is_not_wanted() -> None:
    assert Restarts(running(), 0.0, enabled=False).ended("task_policy", -9, 50.0) is None


def test_a_recorder_that_starts_again_writes_another_bag() -> None:
    restarts = Restarts(running(record="true", bag="runs/a"), 0.0)
    bags = []
    for i in (1, 2):
        again = restarts.ended("recorder", -9, 50.0 * i)
        assert again is not None
        bags.append(again.process.parameters["bag"])
    assert bags == ["runs/a-2", "runs/a-3"]
    again = Restarts(running(record="true"), 0.0).ended("recorder", -9, 50.0)
    assert again is not None and "bag" not in again.process.parameters  # named by the time of day
