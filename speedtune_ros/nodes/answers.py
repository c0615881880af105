"""Whether an answer is the one that was asked for: its episode, its request, its observation."""

from __future__ import annotations

from speedtune_msgs.msg import ActionChunk, SpeedCommand
from speedtune_ros.nodes.conversions import to_ns
from speedtune_ros.nodes.refusal import Refused
from speedtune_ros.types import InferenceRequest


def check_answer(
    message: ActionChunk | SpeedCommand, episode_id: str, request: InferenceRequest | None, last: int
) -> None:
    """Raise Refused unless `message` answers `request` of the episode. last: sequence answered last, -1 for none."""
    what = type(message).__name__
    if message.episode_id != episode_id or not episode_id:
        running = f"'{episode_id}' runs" if episode_id else "no episode runs"
        raise Refused("other_episode", f"{what} of episode '{message.episode_id}' while {running}")
    if message.sequence <= last:
        reason = "repeated_sequence" if message.sequence == last else "backward_sequence"
        raise Refused(reason, f"{what} {message.sequence} after {last} was answered")
    if request is None or message.sequence != request.sequence:
        expected = "no request is open" if request is None else f"request {request.sequence} is open"
        early = request is not None and message.sequence < request.sequence
        raise Refused("backward_sequence" if early else "unrequested", f"{what} {message.sequence} while {expected}")
    stamp_ns = to_ns(message.header.stamp)
    if stamp_ns != request.stamp_ns:
        off = (stamp_ns - request.stamp_ns) * 1e-9
        reason = "future_stamp" if off > 0.0 else "old_stamp"
        raise Refused(reason, f"{what} {message.sequence}: stamp {off:+.3f} s from its observation's")
