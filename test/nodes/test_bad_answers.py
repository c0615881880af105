"""Bad chunks, speeds, states and trajectories at the seams: refused with a reason, counted, nothing moves."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

from speedtune_msgs.action import RunEpisode
from speedtune_msgs.msg import DriverStatus, SpeedCommand
from speedtune_ros.aloha import JOINT_NAMES, start_pose
from speedtune_ros.nodes.conversions import (
    chunk_to_message,
    joints_to_message,
    request_from_message,
    to_ns,
    to_stamp,
    trajectory_to_message,
)
from speedtune_ros.robots.staged_move import staged_move
from speedtune_ros.types import Chunk

pytestmark = pytest.mark.ros
HEARD = ("command", "driver_status", "retime_report", "inference_request", "trajectory", "/diagnostics", "joint_states")


class Answers:
    """The test in place of both policies: it knows the open request and a good answer to it."""

    def __init__(self, client):
        self.client = client
        self.chunks, self.speeds = client.speak("action_chunk"), client.speak("speed_command")
        self.trajectories, self.states = client.speak("trajectory"), client.speak("joint_states")

    @property
    def request(self):
        return self.client.heard["inference_request"][-1]

    def chunk(self):
        request = request_from_message(self.request)
        ramp = start_pose() + np.linspace(0.0, 0.2, 50)[:, None]
        return chunk_to_message(Chunk(request.stamp_ns, ramp, 0.02), self.request.episode_id, request.sequence)

    def speed(self, value=1.0):
        request = self.request
        message = SpeedCommand(episode_id=request.episode_id, sequence=request.sequence, speed=value, source="test")
        message.header.stamp = request.header.stamp
        return message


@pytest.fixture(scope="module")
def answers(graph, client):
    graph.start("sim", cameras=[""], episode_timeout_s=20.0)
    graph.start("retimer", answer_timeout_s=60.0, episode_timeout_s=20.0)
    graph.start("episode", start_timeout_s=600.0, stall_timeout_s=600.0)
    client.hear(*HEARD)
    for node in graph.processes:
        client.until(lambda node=node: client.diagnostics(node), f"diagnostics of {node}")
    answers = Answers(client)
    client.send(RunEpisode, "run_episode", seed=1, time_limit=3000.0)
    client.until(lambda: client.heard["inference_request"], "request")
    return answers


def assert_refused(client, node, reason, publish):
    """`publish` is counted under `reason`, said, and moves nothing."""
    before = client.counted(node, f"refused.{reason}")
    trajectories, command = len(client.heard["trajectory"]), np.array(client.heard["command"][-1].position)
    publish()
    client.until(lambda: client.counted(node, f"refused.{reason}") == before + 1, f"count of {reason}", 10.0)
    assert len(client.heard["trajectory"]) == trajectories
    assert client.heard["driver_status"][-1].state == DriverStatus.HOLDING
    np.testing.assert_array_equal(client.heard["command"][-1].position, command)


def shifted(message, seconds):
    message.header.stamp = to_stamp(to_ns(message.header.stamp) + round(seconds * 1e9))


CHUNKS = {
    "nan": ("not_finite", lambda m: m.targets.__setitem__(7, math.nan)),
    "infinite": ("not_finite", lambda m: m.targets.__setitem__(700 - 1, math.inf)),
    "dimension": ("wrong_dimension", lambda m: setattr(m, "dim", 13)),
    "short": ("wrong_dimension", lambda m: m.targets.pop()),
    "no_candidate": ("wrong_dimension", lambda m: setattr(m, "candidates", 0)),
    "horizon": ("wrong_dimension", lambda m: setattr(m, "horizon", 1)),
    "joint_names": ("joint_names", lambda m: setattr(m, "joint_names", ["elbow", *JOINT_NAMES[1:]])),
    "joint_order": ("joint_names", lambda m: setattr(m, "joint_names", list(reversed(JOINT_NAMES)))),
    "no_names": ("joint_names", lambda m: setattr(m, "joint_names", [])),
    "zero_dt": ("bad_dt", lambda m: setattr(m, "dt", 0.0)),
    "negative_dt": ("bad_dt", lambda m: setattr(m, "dt", -0.02)),
    "nan_dt": ("bad_dt", lambda m: setattr(m, "dt", math.nan)),
    "kind": ("target_kind", lambda m: setattr(m, "target_kind", "velocity")),
    "old_stamp": ("old_stamp", lambda m: shifted(m, -0.5)),
    "future_stamp": ("future_stamp", lambda m: shifted(m, 0.5)),
    "unrequested": ("unrequested", lambda m: setattr(m, "sequence", m.sequence + 5)),
    "other_episode": ("other_episode", lambda m: setattr(m, "episode_id", "yesterday")),
}


@pytest.mark.parametrize("name", CHUNKS)
def test_bad_chunk(client, answers, name):
    reason, spoil = CHUNKS[name]
    message = answers.chunk()
    spoil(message)
    assert_refused(client, "retimer", reason, lambda: answers.chunks.publish(message))


@pytest.mark.parametrize("speed", [0.0, -1.0, math.nan, math.inf])
def test_bad_speed(client, answers, speed):
    assert_refused(client, "retimer", "bad_speed", lambda: answers.speeds.publish(answers.speed(speed)))


def test_bad_joint_states(client, answers):
    good = client.heard["joint_states"][-1]
    names = copy.deepcopy(good)
    names.name = [f"gripper_{i}" for i in range(14)]
    nan = joints_to_message(to_ns(good.header.stamp), np.full(14, math.nan), np.zeros(14))
    old = joints_to_message(1, np.zeros(14), np.zeros(14))
    short = copy.deepcopy(good)
    short.velocity.pop()
    cases = (("joint_names", names), ("not_finite", nan), ("joint_shape", short), ("old_stamp", old))
    for reason, message in cases:
        assert_refused(client, "retimer", reason, lambda message=message: answers.states.publish(message))


def test_bad_trajectories(client, answers):
    status = client.heard["driver_status"][-1]
    start_ns = to_ns(status.header.stamp) + 100_000_000
    move = staged_move(np.array(status.command), start_pose(1.0), 0.5, start_ns)
    frame = status.episode_id
    spoilt = {
        "other_episode": lambda m: setattr(m.header, "frame_id", "yesterday#0"),
        "frame_id": lambda m: setattr(m.header, "frame_id", frame),
        "joint_names": lambda m: m.joint_names.pop(),
        "trajectory_shape": lambda m: m.points[3].positions.pop(),
        "not_finite": lambda m: m.points[3].positions.__setitem__(2, math.nan),
        "old_stamp": lambda m: shifted(m, -20.0),
        "future_stamp": lambda m: shifted(m, 20.0),
    }
    for reason, spoil in spoilt.items():
        message = trajectory_to_message(move, frame)
        spoil(message)
        before = client.counted("sim", f"refused.{reason}")
        command = np.array(client.heard["command"][-1].position)
        answers.trajectories.publish(message)
        client.until(lambda r=reason, b=before: client.counted("sim", f"refused.{r}") == b + 1, f"count of {reason}")
        np.testing.assert_array_equal(client.heard["command"][-1].position, command)


def test_the_node_lives_on_and_refuses_repeats(graph, client, answers):
    """After all of the above one good answer moves the arms; the same again, or an older one, does not."""
    chunk, speed = answers.chunk(), answers.speed(100.0)
    before = len(client.heard["retime_report"])
    answers.chunks.publish(chunk)
    answers.speeds.publish(speed)
    client.until(lambda: len(client.heard["retime_report"]) > before, "report")
    report = client.heard["retime_report"][-1]
    assert report.fallback_reason == "" and report.binding_limit == "latency"  # a speed of 100 is clamped, and named
    client.until(lambda: client.heard["driver_status"][-1].progress > 0.0, "motion")
    client.until(lambda: client.heard["driver_status"][-1].state == DriverStatus.HOLDING, "the stop at the chunk's end")
    client.until(lambda: answers.request.sequence == chunk.sequence + 1, "next request")
    assert_refused(client, "retimer", "repeated_sequence", lambda: answers.chunks.publish(chunk))
    second = answers.chunk()
    answers.chunks.publish(second)
    answers.speeds.publish(answers.speed())
    client.until(lambda: answers.request.sequence == second.sequence + 1, "third request")
    moved = lambda: any(  # noqa: E731 - the request may be heard before the arms move on
        (status.trajectory, status.state) == (second.sequence, DriverStatus.TRACKING)
        for status in client.heard["driver_status"]
    )
    client.until(moved, "motion on the second trajectory")
    client.until(lambda: client.heard["driver_status"][-1].state == DriverStatus.HOLDING, "rest")
    assert_refused(client, "retimer", "backward_sequence", lambda: answers.chunks.publish(chunk))
    assert all(process.poll() is None for process in graph.processes.values())
