"""Absolute deadlines: no drift, no bursts, lateness counted."""

from __future__ import annotations

import threading
import time

import pytest

from speedtune_ros.nodes.cadence import Cadence, Pace


def run(tick, period_s, seconds):
    cadence = Cadence(period_s, tick, "test")
    cadence.start()
    time.sleep(seconds)
    cadence.stop()
    return cadence


def test_does_not_drift_by_what_a_tick_takes():
    cadence = run(lambda: time.sleep(0.01), 0.02, 1.0)
    assert cadence.ticks + cadence.missed >= 30  # 33 a second if the tick's own time were added
    assert len(cadence.take_lateness()) == cadence.ticks
    assert cadence.take_lateness() == []


def test_a_slow_tick_is_one_missed_tick_and_no_burst():
    begun = []

    def tick():
        begun.append(time.monotonic())
        if len(begun) == 3:
            time.sleep(0.33)

    cadence = run(tick, 0.1, 1.0)
    assert cadence.missed >= 1
    gaps = [later - earlier for earlier, later in zip(begun[3:], begun[4:])]
    assert sum(gap < 0.05 for gap in gaps) <= 1


def test_stop_waits_for_the_tick_under_way():
    entered, ended = threading.Event(), []

    def tick():
        entered.set()
        time.sleep(0.1)
        ended.append(True)

    cadence = Cadence(10.0, tick, "test")
    cadence.start()
    assert entered.wait(5.0)
    cadence.stop()
    assert ended == [True] and cadence.ticks == 1


@pytest.mark.parametrize("period_s", [0.02, 0.005])
def test_period(period_s):
    assert Cadence(period_s, lambda: None, "test").period_ns == round(period_s * 1e9)


def test_pace_is_simulated_time_over_real_time():
    pace = Pace(ticks=2)
    assert pace.mark(1_000, 50_000) == 0.0
    assert pace.mark(2_000, 50_500) == 2.0
    assert pace.mark(3_000, 52_000) == 1.0
    assert pace.mark(4_000, 52_500) == 1.0  # 2000 in 2000: the first mark is forgotten
    assert pace.mark(500, 60_000) == 0.0  # another episode's clock
