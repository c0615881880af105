"""Which answers count: that of the open request, once, for its observation."""

from __future__ import annotations

import pytest

from speedtune_msgs.msg import ActionChunk, SpeedCommand
from speedtune_ros.nodes.answers import check_answer
from speedtune_ros.nodes.conversions import to_stamp
from speedtune_ros.nodes.refusal import Refused
from speedtune_ros.types import InferenceRequest

REQUEST = InferenceRequest(5, 100)


def answer(kind=ActionChunk, episode_id="e", sequence=5, stamp_ns=100):
    message = kind(episode_id=episode_id, sequence=sequence)
    message.header.stamp = to_stamp(stamp_ns)
    return message


@pytest.mark.parametrize("kind", [ActionChunk, SpeedCommand])
def test_the_answer_asked_for(kind):
    check_answer(answer(kind), "e", REQUEST, 4)


@pytest.mark.parametrize(
    ("reason", "fields", "last"),
    [
        ("other_episode", {"episode_id": "f"}, 4),
        ("repeated_sequence", {}, 5),
        ("backward_sequence", {"sequence": 3}, 4),
        ("backward_sequence", {"sequence": 4}, 2),
        ("unrequested", {"sequence": 6}, 4),
        ("old_stamp", {"stamp_ns": 99}, 4),
        ("future_stamp", {"stamp_ns": 101}, 4),
    ],
)
def test_refusals(reason, fields, last):
    with pytest.raises(Refused) as caught:
        check_answer(answer(**fields), "e", REQUEST, last)
    assert caught.value.reason == reason


def test_nothing_counts_without_episode_or_request():
    with pytest.raises(Refused, match="no episode runs"):
        check_answer(answer(episode_id=""), "", REQUEST, -1)
    with pytest.raises(Refused, match="no request is open"):
        check_answer(answer(), "e", None, -1)
