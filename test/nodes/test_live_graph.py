"""Episodes on a running graph, judged by a script and by a person at the service, measured as in one process."""

from __future__ import annotations

import os
import pty
import threading
from functools import partial

import numpy as np
import pytest
from std_srvs.srv import Trigger

from speedtune_msgs.msg import EpisodeStatus
from speedtune_msgs.srv import LabelEpisode
from speedtune_ros.errors import ConfigError, SpeedtuneError
from speedtune_ros.evaluation.evaluation_config import EvaluationConfig
from speedtune_ros.evaluation.rollouts import run_episodes
from speedtune_ros.live.episode import EpisodeLimits, decisions
from speedtune_ros.live.keys import Terminal
from speedtune_ros.live.labels import KeyLabels, ScriptedLabels, ServiceLabels
from speedtune_ros.live.sweep import LiveSweep
from speedtune_ros.nodes.live_graph import LiveGraph

pytestmark = pytest.mark.ros
SEEDS = (9000, 9001)


@pytest.fixture(scope="module")
def nodes(graph, domain):
    graph.start("sim", lockstep=True, cameras=[""])
    graph.start("retimer", lockstep=True)
    graph.start("task_policy", lockstep=True, policy="expert")
    graph.start("speed_policy", lockstep=True)
    graph.start("episode", silence_timeout_s=20.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_DOMAIN_ID", str(domain))
        yield graph


@pytest.fixture
def said():
    return []


@pytest.fixture
def live(nodes, said):
    def make(labels):
        graph = LiveGraph(labels, said.append)
        made.append(graph)
        graph.join(task_policy__policy="expert", retimer__scheduler__k_skip=10)
        return graph

    made = []
    yield make
    for graph in made:
        graph.__exit__(None, None, None)


def test_a_sweep_measures_what_the_evaluation_in_one_process_does(live, said, tmp_path):
    graph = live(ScriptedLabels())
    assert graph.simulated and graph.limit() == 100.0
    config = EvaluationConfig(policy="expert")
    sweep = LiveSweep(graph, config, tmp_path, 10.0, False, said.append)
    first = sweep.run(["constant:1"], SEEDS[:1])
    rows = LiveSweep(graph, config, tmp_path, 10.0, False, said.append).run(
        ["constant:1", "constant:2"], SEEDS
    )  # goes on
    assert len(said) == 4 and first[0]["episodes"] == 1  # no episode was run twice
    assert [(row["speed"], row["episodes"], row["success_rate"]) for row in rows] == [
        ("constant:1", 2, 1.0), ("constant:2", 2, 1.0),
    ]  # fmt: skip
    assert 1.8 < rows[1]["acceleration"] < 2.1
    in_process = run_episodes(EvaluationConfig(policy="expert", speed="2"), 1, SEEDS)
    for expected, found in zip(in_process, rows[1]["samples"]):
        assert (found["seed"], found["steps"], found["success_step"]) == (expected.seed, expected.steps, expected.steps)
        assert found["realised_speed"] == pytest.approx(expected.realised_speed, abs=1e-6)
        assert found["tracking_error_rad_rms"] == pytest.approx(expected.tracking_error_rad_rms, rel=0.02)
        np.testing.assert_allclose(found["handover_jumps_rad"], expected.handover_jumps_rad, atol=1e-6)
    for name in ("sweep.csv", "sweep.json", "sweep.png", "constant-1.jsonl", "constant-2.json"):
        assert (tmp_path / name).is_file()
    with pytest.raises(ConfigError, match="holds another evaluation"):
        LiveSweep(graph, EvaluationConfig(policy="expert", k_skip=5), tmp_path, 10.0, False, said.append).run(
            ["constant:2"], SEEDS
        )


def test_a_person_judges_by_the_service_and_silence_is_no_verdict(live, client, said):
    graph = live(ServiceLabels())
    episode = graph.run(9002, "constant:3", EpisodeLimits(1.0))
    assert episode.reason == "time_limit"
    assert 50 <= episode.steps < 100  # it ends with the status that is heard, late on a busy machine
    assert graph.label(episode, 0.3) is None
    late = partial(client.call, LabelEpisode, "episode/label", episode_id=episode.id, reward=-0.5)
    threading.Timer(0.5, late).start()
    assert graph.label(episode, 20.0) == -0.5
    with pytest.raises(SpeedtuneError, match="does not tell what it saw"):
        decisions(episode, (3.0,), 1)  # of a constant speed nothing can be learned


@pytest.fixture
def keys(monkeypatch):
    """What presses keys on this process's terminal."""
    master, slave = pty.openpty()
    with os.fdopen(slave) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        yield lambda text: os.write(master, text)
    os.close(master)


def stop_in(client, keys, seed):
    """Press the stop while the episode of `seed` runs."""
    told = client.heard["episode_status"]
    client.until(lambda: any(s.seed == seed and s.phase == EpisodeStatus.RUNNING for s in told), "the episode")
    keys(b" ")


def test_a_person_judges_by_keys_says_when_and_stops(live, client, said, keys):
    def answer(line):  # asked once more where the episode node hears late that the stop was cleared
        said.append(line)
        if line.startswith("scene ready?"):
            keys(b"n")

    with Terminal() as terminal:
        graph = live(KeyLabels(terminal, answer))
        episode = graph.run(9003, "constant:3", EpisodeLimits(1.0))
        keys(b"r-0.25\n")
        assert graph.label(episode, 20.0) == -0.25
        episode = graph.run(9004, "constant:3", EpisodeLimits(1.0))
        keys(b"d")
        assert graph.label(episode, 20.0) is None
        client.hear("episode_status")
        threading.Thread(target=stop_in, args=(client, keys, 9005), daemon=True).start()
        assert graph.run(9005, "constant:0.2", EpisodeLimits(60.0)).reason == "stopped"
        assert client.call(Trigger, "driver/clear_stop").success
        episode = graph.run(9006, "constant:3", EpisodeLimits(1.0))
        keys(b"q")  # ends after this episode, which is not lost
        keys(b"s")
        assert graph.label(episode, 20.0) == 1.0
        assert graph.run(9007) is None
    assert any(line.startswith("STOP: holding") for line in said)


def test_at_a_latched_stop_nobody_attends_there_is_no_episode(live, client, said):
    graph = live(ScriptedLabels())
    client.call(Trigger, "driver/stop")
    with pytest.raises(SpeedtuneError, match="the episode did not take place: "):
        graph.run(9006, "constant:3", EpisodeLimits(1.0))
    assert any("no episode: " in line for line in said)
    assert client.call(Trigger, "driver/clear_stop").success


def test_a_graph_of_another_policy_is_refused_with_both_names(live):
    graph = live(ServiceLabels())
    with pytest.raises(ConfigError, match="task_policy.policy 'expert', expected 'act'"):
        graph.join(task_policy__policy="act")
    assert graph.limit(2.5) == 2.5
    with pytest.raises(SpeedtuneError, match="above 0 and at most 10"):
        graph.limit(11.0)
