"""Messages to types and back lose nothing."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message

from speedtune_ros import types
from speedtune_ros.aloha import JOINT_NAMES, NUM_JOINTS
from speedtune_ros.nodes import conversions
from speedtune_ros.nodes.refusal import Refused

RNG = np.random.default_rng(0)


def over_the_wire(message):
    return deserialize_message(serialize_message(message), type(message))


@pytest.mark.parametrize("stamp_ns", [0, 1, 999_999_999, 1_000_000_000, 1_800_000_000_123_456_789])
def test_stamps(stamp_ns):
    assert conversions.to_ns(conversions.to_stamp(stamp_ns)) == stamp_ns


def test_state():
    state = types.RobotState(5, RNG.normal(size=14), RNG.normal(size=14))
    back = conversions.state_from_message(over_the_wire(conversions.joints_to_message(5, state.qpos, state.qvel)))
    assert back.stamp_ns == 5
    np.testing.assert_array_equal(back.qpos, state.qpos)
    np.testing.assert_array_equal(back.qvel, state.qvel)


def test_state_in_another_order_among_others():
    message = conversions.joints_to_message(0, np.arange(14.0), -np.arange(14.0))
    message.name = ["torso", *reversed(message.name)]
    message.position, message.velocity = [9.0, *reversed(message.position)], [9.0, *reversed(message.velocity)]
    back = conversions.state_from_message(message)
    np.testing.assert_array_equal(back.qpos, np.arange(14.0))
    np.testing.assert_array_equal(back.qvel, -np.arange(14.0))


def test_state_without_a_joint_names_it():
    message = conversions.joints_to_message(0, np.zeros(14), np.zeros(14))
    message.name[3] = "left_knee"
    with pytest.raises(Refused, match="missing left_forearm_roll"):
        conversions.state_from_message(message)


@pytest.mark.parametrize("kind", list(types.TargetKind))
def test_chunk(kind):
    chunk = types.Chunk(7, RNG.normal(size=(3, 20, 14)), 0.02, kind, "act", 0.012)
    message = over_the_wire(conversions.chunk_to_message(chunk, "episode", 4))
    assert (message.episode_id, message.sequence, message.candidates, message.horizon) == ("episode", 4, 3, 20)
    assert message.joint_names == list(JOINT_NAMES)
    back = conversions.chunk_from_message(message)
    np.testing.assert_array_equal(back.targets, chunk.targets)
    assert (back.stamp_ns, back.dt, back.kind, back.policy, back.latency) == (7, 0.02, kind, "act", 0.012)


def test_request():
    committed = RNG.normal(size=(3, 14)).astype(np.float32)
    request = types.InferenceRequest(3, 60_000_000, 1.25, 2.5, committed, 0.03)
    message = over_the_wire(conversions.request_to_message(request, "episode", "lift"))
    assert (message.episode_id, message.instruction) == ("episode", "lift")
    back = conversions.request_from_message(message)
    assert (back.sequence, back.stamp_ns, back.progress, back.speed, back.latency) == (3, 60_000_000, 1.25, 2.5, 0.03)
    np.testing.assert_array_equal(back.committed, committed)


def test_request_with_half_a_row_is_refused():
    message = conversions.request_to_message(types.InferenceRequest(0, 0), "episode", "")
    message.committed = [0.0] * 15
    with pytest.raises(Refused, match="rows of 14, got 15"):
        conversions.request_from_message(message)


def test_request_of_an_old_bag_has_no_latency():
    message = conversions.request_to_message(types.InferenceRequest(1, 2, 0.5, 1.5), "episode", "")
    fields = set(message.get_fields_and_field_types()) - {"latency"}
    old = SimpleNamespace(**{name: getattr(message, name) for name in fields})
    assert conversions.request_from_message(old).latency == 0.0


@pytest.mark.parametrize("name", ["progress", "speed", "latency"])
def test_request_that_is_not_finite_is_refused(name):
    message = conversions.request_to_message(types.InferenceRequest(0, 0), "episode", "")
    setattr(message, name, float("nan"))
    with pytest.raises(Refused, match=f"{name} nan"):
        conversions.request_from_message(message)


def test_choice():
    choice = types.SpeedChoice(9, 2.0, (1.0, 2.0), (0.5, 0.75), "rainbow")
    assert conversions.choice_from_message(over_the_wire(conversions.choice_to_message(choice, "e", 1))) == choice


def test_trajectory():
    times = 0.02 * np.arange(5)
    positions, velocities = RNG.normal(size=(2, 5, NUM_JOINTS))
    given = types.Trajectory(40, times, positions, velocities, 2.0 * times, np.full(5, 2.0), sequence=6)
    message = over_the_wire(conversions.trajectory_to_message(given, "cube#1"))
    assert message.joint_names[-1] == "progress" and message.header.frame_id == "cube#1#6"
    episode_id, back = conversions.trajectory_from_message(message)
    assert (episode_id, back.start_ns, back.sequence) == ("cube#1", 40, 6)
    for name in ("times", "positions", "velocities", "progress", "speeds"):
        np.testing.assert_allclose(getattr(back, name), getattr(given, name), rtol=0.0, atol=1e-9)


def test_trajectory_that_goes_back_in_time_is_refused():
    times = 0.02 * np.arange(3)
    rest = np.zeros((3, NUM_JOINTS))
    message = conversions.trajectory_to_message(types.Trajectory(0, times, rest, rest, times, times), "e")
    message.points[2].time_from_start = message.points[1].time_from_start
    with pytest.raises(Refused, match="strictly increasing"):
        conversions.trajectory_from_message(message)


def test_report():
    figures = {"position_jump": 0.01, "backward_step": 0.002, "slip": -0.03}
    report = types.RetimeReport(8, 2, "linear", 3.0, 2.5, 2.75, 1.5, "operator", **figures)
    message = over_the_wire(conversions.report_to_message(report, "e", 28))
    assert (conversions.to_ns(message.header.stamp), conversions.to_ns(message.next_request)) == (8, 28)
    for name in ("sequence", "mode", "requested_speed", "mean_speed", "peak_speed", "duration", "binding_limit"):
        assert getattr(message, name) == getattr(report, name)
    assert (message.position_jump, message.backward_step, message.slip) == (0.01, 0.002, -0.03)
    assert list(message.controllable_set) == [0.0, float("inf")]
