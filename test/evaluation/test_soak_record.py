"""What a long run leaves, from ticks made by hand: one every 20 ms, `M` tracking and `H` holding."""

from __future__ import annotations

import math

import pytest

from speedtune_ros.evaluation.soak_record import Hold, Tick, fraction, growth, holds
from speedtune_ros.robots.driver import DriverState

STATES = {"M": DriverState.TRACKING, "H": DriverState.HOLDING, "F": DriverState.FAULT}


def ticks(pattern, faults=()):
    """Progress is 0 until the first `M`."""
    moved, found = False, []
    for n, letter in enumerate(pattern):
        moved |= letter == "M"
        named = tuple(faults) if letter != "M" and moved else ()
        found.append(Tick(n * 20_000_000, "a", STATES[letter], float(moved), named))
    return found


def test_a_rest_between_motions_is_a_hold_and_those_at_the_ends_are_not():
    (hold,) = holds(ticks("HHMMHHHMMHH", ["retimer is gone"]), [], "time_limit")
    assert hold == Hold("a", pytest.approx(0.04), pytest.approx(0.04), ("retimer is gone",))


def test_a_hold_of_which_nobody_says_why_is_unexplained():
    (hold,) = holds(ticks("MMHHM"), [], "success")
    assert hold.reasons == ()


def test_a_refusal_shortly_before_explains_a_hold_and_one_long_ago_does_not():
    pattern = "M" * 60 + "HHM"
    (hold,) = holds(ticks(pattern), [(60 * 20_000_000 - 900_000_000, "refused: no answer")], "time_limit")
    assert hold.reasons == ("refused: no answer",)
    (hold,) = holds(ticks(pattern), [(60 * 20_000_000 - 1_100_000_000, "refused: no answer")], "time_limit")
    assert hold.reasons == ()


def test_the_rest_at_a_bad_end_is_a_hold_with_its_reason():
    (hold,) = holds(ticks("MMFFF", ["overload"]), [], "fault: overload")
    assert (hold.after_s, hold.reasons) == (pytest.approx(0.04), ("overload", "fault: overload"))


def test_arms_that_never_moved_did_not_hold():
    assert holds(ticks("HHH"), [], "fault: no first trajectory") == []


def test_growth_is_of_medians_of_the_first_and_the_last_tenth():
    assert growth({"retimer": [100.0] * 10 + [150.0] + [110.0] * 9}) == {"retimer": pytest.approx(0.1)}
    assert growth({"episode": []}) == {}


def test_missed_ticks_are_a_share_of_those_between():
    assert fraction({"ticks": "100", "missed_ticks": "5"}, {"ticks": "300", "missed_ticks": "7"}) == 0.01
    assert math.isnan(fraction({"ticks": "100", "missed_ticks": "5"}, {"ticks": "100", "missed_ticks": "5"}))
