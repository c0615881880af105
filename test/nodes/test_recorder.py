"""The recorder beside a lock-step episode: everything said is in the bag, which names what it was said with."""

from __future__ import annotations

import signal
import time

import pytest

from speedtune_ros.data.bag_reader import Bag
from speedtune_ros.policies.checkpoint import read_card
from speedtune_ros.provenance import version
from speedtune_ros.registry import shipped_checkpoint

pytestmark = pytest.mark.ros


def test_episode_in_a_bag_that_survives_a_kill(graph, client, tmp_path):
    path = tmp_path / "bag"
    graph.start("recorder", bag=path, cameras=["top"])
    graph.start("sim", lockstep=True, cameras=["top:192x192"])
    graph.start("retimer", lockstep=True)
    graph.start("task_policy", lockstep=True, policy="act")
    graph.start("speed_policy", lockstep=True, speed="constant:3")
    graph.start("episode")
    client.hear("/diagnostics", "command")
    for name in ("recorder", "sim", "retimer", "task_policy", "speed_policy", "episode"):
        client.until(lambda name=name: client.diagnostics(name), f"diagnostics of {name}")
    outcome = client.run_episode(seed=3, time_limit=1.0, record=True)
    assert outcome.reason == "time_limit" and outcome.bag == str(path)
    time.sleep(2.0)  # a killed recorder may lose the last second
    graph.processes["recorder"].send_signal(signal.SIGKILL)
    graph.wait("recorder")
    bag = Bag(path)
    counts = {name: topic.count for name, topic in bag.topics.items()}
    assert counts["/trajectory"] >= 5 and counts["/joint_states"] >= 50 and counts["/diagnostics"] >= 6
    assert [(episode.seed, episode.reason) for episode in bag.episodes()] == [(3, "time_limit")]
    assert counts["/command"] >= 50
    assert counts["/inference_request"] == counts["/action_chunk"] == counts["/speed_command"] >= 5
    assert counts["/camera/top/image_raw/compressed"] >= 5
    assert bag.config["speed_policy"]["speed"] == "constant:3"
    assert bag.config["retimer"]["scheduler"]["k_skip"] == 10
    assert bag.absences == () and bag.loss == ()
    assert bag.provenance["task_policy"]["version"] == bag.provenance["recorder"]["speedtune_ros"] == version()
    assert (
        bag.provenance["task_policy"]["checkpoint"] == read_card(shipped_checkpoint("act", "transfer_cube", "act")).hash
    )


def test_an_existing_folder_is_refused(graph, tmp_path):
    graph.start("recorder", "recorder_again", bag=tmp_path)
    assert graph.wait("recorder_again") == 2
    assert "never overwritten" in graph.log("recorder_again")
