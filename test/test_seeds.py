from __future__ import annotations

import pytest

from speedtune_ros import seeds
from speedtune_ros.errors import ConfigError


def test_no_two_purposes_share_a_seed() -> None:
    ordered = sorted(seeds.RANGES, key=lambda found: found.first)
    assert ordered[0].first == 0
    for before, after in zip(ordered, ordered[1:]):
        assert before.first <= before.last < after.first


def test_demonstrations_retried_never_reach_selection() -> None:
    last = seeds.DEMONSTRATIONS.last
    used = {index + seeds.RETRY_STRIDE * failed for index in (0, last) for failed in range(seeds.RETRIES)}
    assert {seeds.range_of(seed).purpose for seed in used} == {"demonstrations"}
    assert max(used) < seeds.EVALUATION.first


def test_seeds_are_counted_from_the_first() -> None:
    assert seeds.parse_seeds(7, 3) == [7, 8, 9]
    assert seeds.parse_seeds(0, 1) == [0]


@pytest.mark.parametrize(
    ("first", "episodes", "words"),
    [
        (-1, 5, "got -1 and 5"),
        (7, 0, "got 7 and 0"),
        (8_990, 20, "8990 is for demonstrations .0 to 8999. and 9009 for selection .9000 to 9999."),
        (2**31 - 1, 2, "seed 2147483648: expected one of demonstrations 0 to 8999, selection 9000 to 9999"),
    ],
)
def test_bad_or_mixed_seeds_are_refused(first: int, episodes: int, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        seeds.parse_seeds(first, episodes)


@pytest.mark.parametrize(
    ("first", "purpose", "held_out", "words"),
    [
        (5, "demonstrations", False, "policies may have been trained on them"),
        (9_000, "selection", False, "settings were chosen on them"),
        (200_000_000, "speed training", False, "policies may have been trained on them"),
        (100_000, "evaluation", True, ""),
    ],
)
def test_a_result_says_what_its_seeds_are_for(first: int, purpose: str, held_out: bool, words: str) -> None:
    said = seeds.describe([first + 1, first])
    assert (said["first"], said["last"], said["purpose"]) == (first, first + 1, purpose)
    assert said["held_out"] is held_out
    assert ["evaluation", 100_000, 199_999_999] in said["ranges"]
    assert words in seeds.warning([first])
    assert bool(words) == bool(seeds.warning([first]))
