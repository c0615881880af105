"""The arm driver's end of the graph, over simulated arms and clocks that the test moves."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import rclpy
from std_msgs.msg import Header

from speedtune_msgs.msg import EpisodeStatus
from speedtune_ros.aloha import CONTROL_DT_NS, start_pose
from speedtune_ros.errors import InvalidInputError
from speedtune_ros.nodes import arm_driver, driver_port, simulated_arms
from speedtune_ros.nodes.arm_driver import ArmDriverNode
from speedtune_ros.nodes.conversions import to_stamp, trajectory_to_message
from speedtune_ros.nodes.refusal import Refused
from speedtune_ros.robots.driver import DriverState
from speedtune_ros.robots.staged_move import staged_move

pytestmark = pytest.mark.ros
T0 = 1_000_000_000_000


class Arms:
    """The node, its two clocks, and what the rest of the graph would tell it."""

    def __init__(self, monkeypatch):
        self.now_ns, self.steady = T0, 100.0
        clock = SimpleNamespace(time_ns=lambda: self.now_ns)
        for module in (arm_driver, simulated_arms):
            monkeypatch.setattr(module, "time", clock)
        monkeypatch.setattr(driver_port, "time", SimpleNamespace(monotonic=lambda: self.steady))
        self.node = ArmDriverNode()
        self.node._cadence.stop()
        self.port = self.node._port
        self.statuses = []
        publish = self.port._status.publish
        self.port._status.publish = lambda message: (self.statuses.append(message), publish(message))

    def tell(self, phase, episode_id="a", start_ns=0):
        self.port._follow(EpisodeStatus(episode_id=episode_id, phase=phase, start=to_stamp(start_ns)))

    def send(self, sequence=0, speed=0.5, episode_id="a"):
        """A second or more of motion from the next tick on."""
        goal = start_pose() + np.r_[0.3, np.zeros(13)]
        move = staged_move(self.tick().command, goal, speed, self.now_ns + CONTROL_DT_NS)
        message = trajectory_to_message(move, episode_id)
        message.header.frame_id = f"{episode_id}#{sequence}"
        self.port._take(message)
        return move

    def beat(self, name):
        self.port._hear(Header(frame_id=name))

    def tick(self, count=1):
        """Ticks of 20 ms on both clocks; the last."""
        for _ in range(count):
            self.now_ns += CONTROL_DT_NS
            self.steady += 0.02
            self.node._tick()
        return self.port.last


@pytest.fixture
def arms(domain, monkeypatch):
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    rclpy.init(args=["--ros-args", "-p", "backend:=mujoco", "-p", "profile:=act"], domain_id=domain)
    arms = Arms(monkeypatch)
    yield arms
    arms.node.close()
    arms.node.destroy_node()
    rclpy.shutdown()


def test_the_first_answer_is_taken_after_a_move_to_the_start(arms):
    """Both count from 0 in the same episode."""
    arms.tell(EpisodeStatus.PREPARING)
    move = arms.send()
    arms.tick(len(move.times) + 5)
    arms.tell(EpisodeStatus.RUNNING, start_ns=arms.now_ns)
    arms.send()
    assert arms.tick(5).state == DriverState.TRACKING
    with pytest.raises(Refused, match="trajectory 0 after 0"):
        arms.send()


def test_an_answer_that_overtakes_the_phase_is_kept(arms):
    arms.tell(EpisodeStatus.PREPARING)
    arms.send()
    arms.tell(EpisodeStatus.RUNNING, start_ns=arms.now_ns)
    assert arms.tick(5).state == DriverState.TRACKING
    assert arms.port.current.sequence == 0


def test_stale_states_hold_while_time_goes_on(arms, monkeypatch):
    arms.tell(EpisodeStatus.RUNNING)
    arms.send()
    arms.tick(10)
    old = arms.node._robot.state()
    monkeypatch.setattr(arms.node._robot, "state", lambda: old)
    assert arms.tick(10).state == DriverState.TRACKING  # 0.2 s
    held = arms.tick()
    assert (held.state, held.faults) == (DriverState.HOLDING, ("joint state 0.220 s old",))
    np.testing.assert_array_equal(arms.tick(5).command, held.command)
    stamp = arms.statuses[-1].header.stamp
    assert stamp == to_stamp(arms.now_ns)  # an episode's time limit must come nearer


def test_a_silent_episode_node_holds_a_running_episode_until_it_speaks(arms):
    arms.tell(EpisodeStatus.RUNNING)
    arms.send()
    assert arms.tick(49).state == DriverState.TRACKING
    held = arms.tick(3)  # one second and a little
    assert held.state == DriverState.HOLDING
    assert arms.node.counts["refused.episode_silent"] == 1
    with pytest.raises(Refused, match="the episode node is silent"):
        arms.send(1)
    np.testing.assert_array_equal(arms.tick(20).command, held.command)
    arms.tell(EpisodeStatus.RUNNING)
    arms.send(1, speed=0.2)
    assert arms.tick(5).state == DriverState.TRACKING


STAGES = ("episode", "retimer", "task_policy", "speed_policy")


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_is_gone_holds_a_running_episode_until_it_is_back(arms, stage):
    arms.tell(EpisodeStatus.RUNNING)
    arms.send()
    for name in STAGES:
        arms.beat(name)
    assert arms.tick(5).state == DriverState.TRACKING
    for name in set(STAGES) - {stage}:
        arms.beat(name)
    held = arms.tick(2)  # 0.14 s after its last beat
    assert (held.state, held.faults) == (DriverState.HOLDING, (f"{stage} is gone",))
    assert arms.node.counts["refused.stage_gone"] == 1
    with pytest.raises(InvalidInputError, match=f"the driver holds: {stage} is gone"):
        arms.send(1)
    for name in STAGES:
        arms.beat(name)
    np.testing.assert_array_equal(arms.tick(2).command, held.command)  # what was playing is dropped
    arms.send(2)
    assert arms.tick(2).state == DriverState.TRACKING


def test_a_camera_that_was_there_when_the_episode_began_is_missed(arms):
    arms.beat("camera_low")
    arms.tick(10)  # gone before: nobody waits for it
    arms.beat("camera_top")
    arms.tell(EpisodeStatus.RUNNING)
    arms.send()
    for name in (*STAGES, "camera_top"):
        arms.beat(name)
    assert arms.tick(5).state == DriverState.TRACKING
    for name in STAGES:
        arms.beat(name)
    assert arms.tick(2).faults == ("camera_top is gone",)
    for name in (*STAGES, "camera_top"):
        arms.beat(name)
    arms.send(1)
    assert arms.tick(2).state == DriverState.TRACKING


def test_a_move_needs_the_episode_node_alone(arms):
    arms.tell(EpisodeStatus.PREPARING)
    for name in STAGES:
        arms.beat(name)
    arms.send(speed=0.2)
    arms.tick(2)
    arms.beat("episode")
    assert arms.tick(4).state == DriverState.TRACKING  # policies and retimer are silent
    assert arms.tick(3).faults == ("episode is gone",)


def test_a_move_needs_no_word_from_the_episode_node(arms):
    arms.tell(EpisodeStatus.PREPARING)
    arms.send(speed=0.2)
    assert arms.tick(100).state == DriverState.TRACKING


@pytest.mark.parametrize("phase", [EpisodeStatus.IDLE, EpisodeStatus.PREPARING])
def test_another_episode_holds_and_begins_at_no_progress(arms, phase):
    arms.tell(EpisodeStatus.RUNNING)
    arms.send(sequence=3)
    moving = arms.tick(20)
    assert (moving.state, moving.trajectory) == (DriverState.TRACKING, 3)
    arms.port.driver._progress = 1.5  # a move's own is 0
    arms.tell(phase, "b")
    held = arms.tick(5)
    assert (held.state, held.trajectory, held.progress) == (DriverState.HOLDING, 0, 0.0)
    np.testing.assert_array_equal(held.command, moving.command)
