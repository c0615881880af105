"""`sim/reset`: sent twice it resets once, and it never clears what an operator must clear."""

from __future__ import annotations

import numpy as np
import pytest
import rclpy
from std_srvs.srv import Trigger

from speedtune_msgs.srv import SimReset
from speedtune_ros.aloha import start_pose
from speedtune_ros.nodes.sim import SimNode
from speedtune_ros.robots.driver import DriverState
from speedtune_ros.types import RobotState, Trajectory

pytestmark = pytest.mark.ros


@pytest.fixture(scope="module")
def sim(domain):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        parameters = ("lockstep:=true", "cameras:=['']", "profile:=hardware")
        flags = [flag for parameter in parameters for flag in ("-p", parameter)]
        rclpy.init(args=["--ros-args", *flags], domain_id=domain)
        node = SimNode()
        yield node
        node.close()
        node.destroy_node()
        rclpy.shutdown()


def reset(sim, episode_id, seed=1):
    return sim._reset(SimReset.Request(episode_id=episode_id, seed=seed), SimReset.Response())


def test_a_repeated_reset_answers_as_before_and_changes_nothing(sim):
    first = reset(sim, "a")
    for _ in range(5):
        sim._tick()
    again = reset(sim, "a")
    assert (again.success, again.stamp) == (True, first.stamp)
    assert sim._simulation.steps == 5
    assert reset(sim, "a", seed=2).stamp != first.stamp
    assert sim._simulation.steps == 0
    sim._tick()
    assert reset(sim, "").success and reset(sim, "").success  # by hand, without a name: always
    assert sim._simulation.steps == 0


def fault(sim):
    """Half a second of a target that runs away, which latches."""
    driver, now_ns = sim._port.driver, sim._simulation.now_ns
    far = start_pose() + np.r_[1.0, np.zeros(13)]
    still = np.zeros((1, 14))
    driver.load(Trajectory(now_ns, np.zeros(1), far[None], still, np.zeros(1), np.zeros(1)))
    for n in range(50):
        driver._guard._last = start_pose()
        driver.tick(RobotState(now_ns + n * 20_000_000, start_pose(), np.zeros(14)))


@pytest.mark.parametrize("state", [DriverState.STOPPED, DriverState.FAULT])
def test_a_latch_outlives_resets_until_it_is_cleared(sim, state):
    assert reset(sim, f"before-{state}").success
    with sim._port.lock:
        fault(sim) if state == DriverState.FAULT else sim._port._stop(Trigger.Request(), Trigger.Response())
    answer = reset(sim, f"after-{state}")
    assert not answer.success
    assert answer.message == f"the driver is {state.name.lower()}: clear it with driver/clear_stop first"
    assert sim._port.latched == state
    assert sim._port._clear_stop(Trigger.Request(), Trigger.Response()).success
    assert reset(sim, f"after-{state}").success
