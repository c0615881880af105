"""A policy's stand-in for a bench: the scripted expert, until it is told to answer badly."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import rclpy
from std_msgs.msg import Header

from speedtune_msgs.msg import ActionChunk, EpisodeStatus, InferenceRequest, SpeedCommand
from speedtune_ros.aloha import NUM_JOINTS
from speedtune_ros.errors import UnknownNameError
from speedtune_ros.nodes.cadence import Cadence
from speedtune_ros.nodes.conversions import chunk_to_message, request_from_message
from speedtune_ros.nodes.spinner import Spinner
from speedtune_ros.nodes.topics import TOPICS
from speedtune_ros.registry import make_policy
from speedtune_ros.types import Episode, Observation, Query, RobotState

_BEAT_S = 0.03
_LATE_S = 1.5  # longer than the retimer waits
_STILL = np.zeros(NUM_JOINTS)  # the expert looks at the request alone


def _no_number(message: Any) -> None:
    if isinstance(message, SpeedCommand):
        message.speed = math.nan
    else:
        message.targets[7] = math.nan


def _narrow(message: ActionChunk) -> None:
    message.dim = 13


SPOILT: Mapping[str, Callable[[Any], None]] = {
    "nan": _no_number,
    "narrow": _narrow,
    "late": lambda _: time.sleep(_LATE_S),
}


class StandIn:
    """In place of `stage`, which must not run: `task_policy` or `speed_policy`. A context; call after rclpy.init.

    Set `spoilt` to a name of SPOILT and every answer is bad from then on. Raises UnknownNameError.
    """

    def __init__(self, stage: str, task: str, profile: str, speed: float) -> None:
        answers = {"task_policy": ("action_chunk", self._chunk), "speed_policy": ("speed_command", self._choice)}
        if stage not in answers:
            raise UnknownNameError("stage to stand in for", stage, answers)
        topic, self._answer = answers[stage]
        self.spoilt = ""
        self._task, self._speed = task, speed
        self._policy = make_policy("expert", task, profile)
        self._episode: Episode | None = None
        self._node = rclpy.create_node(f"{stage}_stand_in")
        self._out = self._node.create_publisher(TOPICS[topic].type, topic, TOPICS[topic].offered)
        beats = self._node.create_publisher(Header, "alive", TOPICS["alive"].offered)
        self._beats = Cadence(_BEAT_S, functools.partial(beats.publish, Header(frame_id=stage)), "alive")
        for name, callback in (("episode_status", self._follow), ("inference_request", self._ask)):
            row = TOPICS[name]
            self._node.create_subscription(row.type, name, callback, row.requested)
        self._spinner = Spinner(self._node)

    def __enter__(self) -> StandIn:
        self._beats.start()
        self._spinner.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._spinner.close()
        self._beats.stop()
        self._node.destroy_node()

    def _follow(self, status: EpisodeStatus) -> None:
        if status.task and (self._episode is None or self._episode.id != status.episode_id):
            self._episode = Episode(status.episode_id, status.task, status.seed)
            self._policy.reset(self._episode)

    def _ask(self, request: InferenceRequest) -> None:
        if self._episode is None or request.episode_id != self._episode.id:
            return
        message = self._answer(request)
        if self.spoilt:
            SPOILT[self.spoilt](message)
        self._out.publish(message)

    def _chunk(self, message: InferenceRequest) -> ActionChunk:
        request = request_from_message(message)
        state = RobotState(request.stamp_ns, _STILL, _STILL)
        chunk = self._policy.infer({0: Query(Observation(state, {}), request)})[0]
        return chunk_to_message(chunk, message.episode_id, message.sequence)

    def _choice(self, message: InferenceRequest) -> SpeedCommand:
        answer = SpeedCommand(episode_id=message.episode_id, sequence=message.sequence, speed=self._speed)
        answer.header.stamp, answer.source = message.header.stamp, "stand-in"
        return answer
