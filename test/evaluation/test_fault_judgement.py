"""What a fault led to, from records made by hand: a tick every 20 ms, the fault 0.1 s after the first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from speedtune_ros.evaluation.fault_judgement import Observed, Record, Said, judge, passes
from speedtune_ros.evaluation.fault_matrix import Expected
from speedtune_ros.robots.driver import DriverState

TICK_NS = 20_000_000
T0 = 1_000_000_000_000
CAUSED_NS = T0 + 5 * TICK_NS - 1
HOLDS = Expected("holds", "retimer is gone", "fault: no new trajectory", 100.0)


def record(moving, ticks=50, state=DriverState.HOLDING, faults=("retimer is gone",), **fields):
    """Commands that move by 0.01 rad a tick for `moving` ticks; statuses that say so, and then `state`."""
    times = [T0 + TICK_NS * tick for tick in range(ticks)]
    places = [np.full(14, 0.01 * min(tick, moving - 1)) for tick in range(ticks)]
    said = [
        Said(at, DriverState.TRACKING, ()) if tick < moving else Said(at, state, tuple(faults))
        for tick, at in enumerate(times)
    ]
    ends = "fault: no new trajectory for 3.0 s"
    return Record(CAUSED_NS, times[-1], list(zip(times, places)), said, **{"ends": ends, **fields})


def test_a_hold_is_measured_to_the_last_command_that_moves():
    observed = judge(record(moving=9), HOLDS)  # ticks 5 to 8 still move
    assert (observed.driver, observed.says) == ("holds", "retimer is gone")
    assert observed.hold_ms == pytest.approx(60.0, abs=1e-3)
    assert observed.noticed_ms == pytest.approx(80.0, abs=1e-3)
    assert passes(observed, HOLDS)
    assert not passes(observed, replace(HOLDS, within_ms=59.0))
    assert not passes(observed, replace(HOLDS, says="episode is gone"))
    assert not passes(observed, replace(HOLDS, ends="stopped"))


def test_a_latched_state_counts_though_it_was_cleared():
    seen = record(moving=9, state=DriverState.FAULT, faults=("overload follower_left/elbow",))
    cleared = replace(seen, said=[*seen.said[:-3], *(Said(at, DriverState.HOLDING, ()) for at, *_ in seen.said[-3:])])
    assert judge(cleared, HOLDS).driver == "fault"


def test_a_driver_that_says_nothing_is_dead():
    seen = record(moving=9, ticks=9)
    assert judge(replace(seen, until_ns=seen.until_ns + 201_000_000), HOLDS).driver == "dead"
    assert judge(seen, HOLDS).driver == "moves"


def test_arms_that_go_on_have_no_hold():
    goes_on = Expected("moves", "refused.not_finite", "time_limit", None)
    observed = judge(record(moving=50, ends="time_limit", counts={"refused.not_finite": 1}), goes_on)
    assert observed == Observed("moves", "refused.not_finite", "time_limit", None, None, None)
    assert passes(observed, goes_on)


def test_nobody_is_left_to_end_the_episode():
    gone = replace(HOLDS, ends="")
    assert passes(judge(record(moving=9, ends=""), gone), gone)
    assert not passes(judge(record(moving=9), gone), gone)


def test_rest_comes_after_the_last_fast_joint_state():
    speeds = [(CAUSED_NS + 10_000_000 * n, 0.5 if n < 12 else 0.01) for n in range(40)]
    assert judge(record(moving=9, speeds=speeds), HOLDS).rest_ms == pytest.approx(110.0)
    falling = [(at, 0.5) for at, _ in speeds]
    assert judge(record(moving=9, speeds=falling), HOLDS).rest_ms is None
