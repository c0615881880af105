"""A policy that sees images through the ROS processes: the same frames, so the same commands, as in one process."""

from __future__ import annotations

import numpy as np
import pytest
from sensor_msgs.msg import Image

from speedtune_msgs.msg import EpisodeStatus
from speedtune_ros.nodes.conversions import to_ns
from speedtune_ros.nodes.images import encode
from speedtune_ros.nodes.topics import IMAGE_OFFERED
from speedtune_ros.pipeline import Pipeline, PipelineConfig
from speedtune_ros.registry import make_policy, make_simulation, make_speed_policy
from speedtune_ros.types import Episode

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.ros
SIZE = (48, 64)
STEPS = 60


def test_same_commands_from_the_same_frames(graph, client, act_checkpoint):
    cameras = [f"{name}:{SIZE[0]}x{SIZE[1]}" for name in ("top", "left_wrist")]
    graph.start("sim", lockstep=True, cameras=cameras)
    graph.start("retimer", lockstep=True)
    graph.start("task_policy", lockstep=True, policy=act_checkpoint)
    graph.start("speed_policy", lockstep=True, speed="constant:2")
    graph.start("episode", silence_timeout_s=20.0)
    client.hear("command", "episode_status", "joint_states")
    client.until(lambda: client.heard["joint_states"], "state of the paused simulator")
    client.policies("task_policy", "speed_policy")
    outcome = client.run_episode(seed=1, time_limit=0.02 * STEPS)
    assert outcome.reason == "time_limit"
    running = next(s for s in client.heard["episode_status"] if s.phase == EpisodeStatus.RUNNING)
    start_ns = to_ns(running.start)
    expected = in_process(act_checkpoint).trace.commands
    assert np.ptp(expected, axis=0).max() > 0.05

    def sent():
        return [m.position for m in client.heard["command"] if to_ns(m.header.stamp) >= start_ns][:STEPS]

    client.until(lambda: len(sent()) == STEPS, "all commands")  # the last may come later than the result
    np.testing.assert_allclose(np.array(sent()), expected, atol=1e-6, rtol=0.0)


def in_process(act_checkpoint):
    torch.set_num_threads(1)
    simulation = make_simulation("transfer_cube", "act", {name: SIZE for name in ("top", "left_wrist")})
    policy = make_policy(str(act_checkpoint), "transfer_cube")
    config = PipelineConfig(time_limit_steps=STEPS, workers=1)
    pipeline = Pipeline([simulation], policy, make_speed_policy("constant:2"), config)
    (result,) = pipeline.run([Episode("parity", "transfer_cube", 1)], trace=True)
    return result


def test_checkpoints_of_others_and_truncated_ones_are_refused(graph, act_checkpoint, tmp_path):
    for path in act_checkpoint.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes()[: -100 if path.suffix == ".safetensors" else None])
    graph.start("task_policy", "policy_of_identified", policy=act_checkpoint, profile="identified")
    graph.start("task_policy", "policy_truncated", policy=tmp_path)
    assert graph.wait("policy_of_identified") == graph.wait("policy_truncated") == 2
    said = graph.log("policy_of_identified")
    assert "'act'" in said and "'identified'" in said and "Traceback" not in said
    assert str(tmp_path) in graph.log("policy_truncated") and "Traceback" not in graph.log("policy_truncated")


@pytest.mark.parametrize(
    ("reason", "cameras"),
    [
        ("image_size", ["top:24x32", "left_wrist:48x64"]),
        ("missing_image", ["top:48x64"]),
        ("stale_image", ["top:48x64"]),
    ],
)
def test_bad_images_are_refused_and_nothing_moves(graph, client, act_checkpoint, reason, cameras):
    """In real time: another size than the policy was trained with, a camera that hangs, one that is not there."""
    for process in graph.processes.values():
        process.terminate()
    for process in graph.processes.values():
        process.wait(20.0)
    graph.start("sim", "sim", cameras=cameras)
    graph.start("retimer", "retimer", answer_timeout_s=0.5)
    graph.start("task_policy", "task_policy", policy=act_checkpoint)
    graph.start("speed_policy", "speed_policy")
    graph.start("episode", "episode", start_timeout_s=2.0, silence_timeout_s=20.0)
    client.hear("/diagnostics", "command")
    client.heard.clear()
    for node in ("sim", "retimer", "task_policy", "speed_policy", "episode"):
        client.until(lambda node=node: client.diagnostics(node), f"diagnostics of {node}")
    if reason == "stale_image":  # a camera that hung long ago
        hung = client.create_publisher(Image, "camera/left_wrist/image_raw", IMAGE_OFFERED)
        client.until(hung.get_subscription_count, "a subscriber of the camera")
        old = encode(np.zeros((*SIZE, 3), np.uint8), 1, "left_wrist")
        # Again and again: the first may come before the subscriber knows of the publisher, and be lost.
        repeat = client.create_timer(0.1, lambda: hung.publish(old))
    outcome = client.run_episode(seed=1)
    if reason == "stale_image":
        repeat.cancel()
    assert outcome.reason.startswith("fault: no first trajectory")
    client.until(lambda: client.counted("task_policy", f"refused.{reason}") > 0, f"refusals for {reason}")
    sent = np.array([message.position for message in client.heard["command"]])
    np.testing.assert_array_equal(sent, np.tile(sent[0], (len(sent), 1)))
