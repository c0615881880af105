"""The retimer against an episode node, a driver and policies that the test plays, on a clock that it moves."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import rclpy

from speedtune_msgs.msg import DriverStatus, EpisodeStatus
from speedtune_ros.aloha import CONTROL_DT_NS, start_pose
from speedtune_ros.nodes import retimer
from speedtune_ros.nodes.conversions import (
    choice_to_message,
    chunk_to_message,
    joints_to_message,
    to_ns,
    to_stamp,
    trajectory_from_message,
)
from speedtune_ros.sampling import sample
from speedtune_ros.types import Chunk, SpeedChoice

pytestmark = pytest.mark.ros
T0 = 1_000_000_000_000


class Retimer:
    """The node, and every message it would hear."""

    def __init__(self, monkeypatch):
        self.steady, self.now_ns, self.episode_speaks = 100.0, T0, True
        clock = SimpleNamespace(monotonic=lambda: self.steady, perf_counter=lambda: 0.0)
        monkeypatch.setattr(retimer, "time", clock)
        self.node = retimer.RetimerNode()
        self.requests, self.trajectories = [], []
        self.node._requests.publish = self.requests.append
        self.node._trajectories.publish = self.trajectories.append
        self.tick()

    def tick(self, count=1, **driver):
        """Ticks of 20 ms on both clocks, with a word of the episode node before each and what the driver says."""
        fields = {"state": DriverStatus.HOLDING, "command": start_pose(), **driver}
        for _ in range(count):
            self.now_ns += CONTROL_DT_NS
            self.steady += 0.02
            if self.episode_speaks:
                status = EpisodeStatus(episode_id="a", phase=EpisodeStatus.RUNNING, start=to_stamp(T0))
                self.node._follow(status)
            status = DriverStatus(episode_id="a", **fields)
            status.header.stamp = to_stamp(self.now_ns)
            self.node._keep_state(joints_to_message(self.now_ns, start_pose(), np.zeros(14)))
            self.node._keep_driver(status)

    def answer(self, begin=None):
        """A ramp of half a radian in a second from `begin` (the start pose) on, at demonstrated speed."""
        request = self.requests[-1]
        stamp_ns = to_ns(request.header.stamp)
        ramp = (start_pose() if begin is None else begin) + np.linspace(0.0, 0.5, 50)[:, None] * np.eye(14)[0]
        self.node._take_chunk(chunk_to_message(Chunk(stamp_ns, ramp, 0.02), "a", request.sequence))
        self.node._take_choice(choice_to_message(SpeedChoice(stamp_ns, 1.0), "a", request.sequence))
        return trajectory_from_message(self.trajectories[-1])[1]


def make(domain, monkeypatch, **parameters):
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    flags = [text for name, value in parameters.items() for text in ("-p", f"{name}:={value}")]
    rclpy.init(args=["--ros-args", *flags], domain_id=domain)
    return Retimer(monkeypatch)


@pytest.fixture(params=[{}])
def running(request, domain, monkeypatch):
    node = make(domain, monkeypatch, **request.param)
    yield node
    node.node.close()
    node.node.destroy_node()
    rclpy.shutdown()


@pytest.mark.parametrize("running", [{"answer_timeout_s": 60.0}], indirect=True)
def test_one_time_out_for_an_answer(running):
    running.tick(500)  # 10 s
    assert len(running.requests) == 1


def test_the_episode_starts_from_where_its_reset_put_the_arms(running):
    """A simulator tells the new episode's name, still at the end of the last one, before it is reset."""
    node, end_ns = running.node, running.now_ns + 60_000_000
    before, at_start = DriverStatus(episode_id="b", command=start_pose() + 0.5), DriverStatus(episode_id="b")
    before.header.stamp, at_start.header.stamp = to_stamp(end_ns - 2 * CONTROL_DT_NS), to_stamp(end_ns)
    at_start.command = start_pose()
    node._keep_driver(before)
    node._follow(EpisodeStatus(episode_id="b", phase=EpisodeStatus.RUNNING, start=to_stamp(end_ns)))
    node._keep_state(joints_to_message(end_ns, start_pose(), np.zeros(14)))
    assert not [request for request in running.requests if request.episode_id == "b"]
    node._keep_driver(at_start)
    assert running.requests[-1].episode_id == "b"
    np.testing.assert_array_equal(node._scheduler.setpoint(end_ns).position, start_pose())


def test_a_silent_episode_node_is_asked_nothing_more(running):
    running.answer()
    running.episode_speaks = False
    running.steady += 1.1
    running.tick(30, state=DriverStatus.TRACKING)
    assert len(running.requests) == 1
    assert running.node.counts["refused.episode_silent"] == 1
    running.episode_speaks = True
    running.tick(state=DriverStatus.TRACKING)
    assert [request.sequence for request in running.requests] == [0, 1]


@pytest.mark.parametrize("running", [{"lockstep": "true"}], indirect=True)
def test_lockstep_waits_longer_and_asks_at_the_same_paused_tick(running):
    running.answer()
    running.tick(9, state=DriverStatus.TRACKING)
    running.episode_speaks = False
    running.steady += 9.0
    assert len(running.requests) == 1
    running.steady += 2.0
    running.tick(state=DriverStatus.TRACKING)
    assert len(running.requests) == 1
    running.episode_speaks = True
    running.now_ns -= CONTROL_DT_NS  # the paused robot shows the same tick
    running.tick(state=DriverStatus.TRACKING)
    assert [request.sequence for request in running.requests] == [0, 1]


def test_starts_over_from_the_arms_when_the_driver_does_not_play_what_was_sent(running):
    running.answer()
    running.tick(11)  # the driver never takes it
    assert running.node.counts["refused.not_played"] == 1
    assert (running.requests[-1].progress, running.requests[-1].speed) == (0.0, 0.0)
    again = running.answer()
    np.testing.assert_allclose(again.positions[0], start_pose(), atol=1e-6)
    assert again.progress[0] == 0.0


def test_goes_on_from_an_older_trajectory_once_it_rests(running):
    """The second is refused while the first still moves."""
    running.answer()
    moving = {"state": DriverStatus.TRACKING, "speed": 1.0}
    running.tick(10, **moving)
    running.answer()
    running.tick(10, **moving)
    assert running.node.counts["refused.not_played"] == 1
    assert running.requests[-1].progress > 0.3  # as believed: where they are in motion is not known here
    there = start_pose() + np.r_[0.25, np.zeros(13)]
    running.tick(2, command=there, progress=0.5)
    third = running.answer(there)
    np.testing.assert_allclose(third.positions[0], there, atol=1e-6)
    assert third.progress[0] == 0.5


def test_a_trajectory_that_is_played_late_counts_again(running):
    first = running.answer()
    running.tick(5)
    running.tick(6, state=DriverStatus.TRACKING, speed=1.0)
    assert running.node.counts["refused.not_played"] == 1
    stamp_ns = to_ns(running.requests[-1].header.stamp)
    assert running.requests[-1].progress == pytest.approx(sample(first, stamp_ns).progress)


def test_nothing_is_doubted_where_all_is_played(running):
    for sequence in range(3):
        first = running.answer()
        running.tick(10, state=DriverStatus.TRACKING, speed=1.0, trajectory=sequence)
    running.tick(round(first.duration / 0.02), state=DriverStatus.TRACKING, speed=1.0, trajectory=2)
    running.tick(20, trajectory=2)  # at rest at its end
    assert running.node.counts["refused.not_played"] == 0


@pytest.mark.parametrize("running", [{"lockstep": "true"}], indirect=True)
def test_lockstep_counts_alone(running):
    running.answer()
    running.tick(11)
    assert running.node.counts["refused.not_played"] == 1
    assert running.requests[-1].progress > 0.1
