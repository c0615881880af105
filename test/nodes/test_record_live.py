"""Demonstrations with leader arms, from the leaders to files that training reads: processes on simulated arms."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from std_srvs.srv import Trigger

from speedtune_msgs.msg import DriverStatus
from speedtune_msgs.srv import InjectFault
from speedtune_ros import cli
from speedtune_ros.aloha import ARMS
from speedtune_ros.data.bag_reader import Bag
from speedtune_ros.data.bag_rows import rows_of_series
from speedtune_ros.data.episode_file import read_episode
from speedtune_ros.data.series_of_bag import series_of_bag
from speedtune_ros.nodes.conversions import to_ns

pytest.importorskip("interbotix_xs_msgs", reason="interbotix_xs_msgs is not built: run `make xs_sim`")

pytestmark = [pytest.mark.ros, pytest.mark.slow]
ARM_COLUMNS = list(ARMS)


class Desk:
    """`speedtune record-demos --live` in a terminal of its own."""

    def __init__(self, graph, folder: Path, *options: str):
        self.graph, self.folder = graph, folder
        self._counts: dict[str, int] = {}
        self._master, slave = pty.openpty()
        command = [sys.executable, "-m", "speedtune_ros.cli", "record-demos", "--live", "--out", str(folder), *options]
        self.log = folder.with_name(f"desk_{time.monotonic_ns()}.log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, env=graph.environment, stdin=slave, stdout=log, stderr=log)
        os.close(slave)
        self.until("cameras: top")

    def press(self, key: str, answer: str) -> None:
        os.write(self._master, key.encode())
        self.until(answer)

    def begin(self, index: int) -> None:
        """Press start until it is taken: on a busy machine the driver holds now and then, and nothing starts then."""
        text = f"recording episode {index}"

        def begun() -> bool:
            os.write(self._master, b"n")
            time.sleep(3.0)
            return self.said.count(text) > self._seen(text)

        self.graph.client.until(begun, f"'{text}' in\n{self.said}", 300.0)
        self._counts[text] = self.said.count(text)

    def until(self, text: str) -> None:
        self.graph.client.until(lambda: self.said.count(text) > self._seen(text), f"'{text}' in\n{self.said}", 300.0)
        self._counts[text] = self.said.count(text)

    def _seen(self, text: str) -> int:
        return self._counts.get(text, 0)

    @property
    def said(self) -> str:
        return self.log.read_text()

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        status = self.process.wait(60.0)
        os.close(self._master)
        return status


@pytest.fixture(scope="module", autouse=True)
def running(graph, client):
    graph.start("xs_sim", cameras=["top:48x64"], camera_rate_hz=10.0)
    patient = {"interbotix__bring_up__timeout_s": 300.0, "interbotix__feedback__hold_s": 10.0}
    graph.start("arm_driver", episode_timeout_s=20.0, interbotix__feedback__fault_s=60.0, **patient)
    graph.start("teleop", hold_s=3.0, release_s=60.0, driver_s=10.0, following__rejoin_rad=3.0)
    graph.start("leader_script", rest_s=1.0)
    client.hear("driver_status", "leader_states", "joint_states", "command", "episode_status", "/diagnostics")
    client.until(lambda: state(client) == DriverStatus.HOLDING, "the driver", 300.0)
    client.until(lambda: client.diagnostics("leader_script").get("playing") == "True", "leaders that move", 300.0)


def state(client):
    return client.heard["driver_status"][-1].state if client.heard["driver_status"] else None


def following(client):
    client.until(lambda: client.diagnostics("teleop").get("mode") == "following", "followers that follow", 200.0)


def series(client, topic, since_ns):
    messages = [m for m in list(client.heard[topic]) if to_ns(m.header.stamp) > since_ns]
    return np.array([to_ns(m.header.stamp) for m in messages]), np.array([m.position for m in messages])


def test_marks_need_followers_that_follow(client):
    for name, message in (
        ("teleop/start", "no demonstration can start while released: not engaged yet"),
        ("teleop/success", "success: no demonstration is running"),
        ("teleop/discard", "discarded: no demonstration is running"),
    ):
        answer = client.call(Trigger, name)
        assert (answer.success, answer.message) == (False, message)
    client.until(lambda: len(client.heard["leader_states"]) > 50, "leaders that are heard")
    commands = {tuple(m.position) for m in list(client.heard["command"])[-50:]}
    assert len(commands) == 1  # the leaders move, the followers do not


def test_two_are_kept_and_one_is_discarded(graph, client, tmp_path_factory):
    folder = tmp_path_factory.mktemp("live") / "demos"
    desk = Desk(graph, folder, "--keys", "success=a,discard=b")
    desk.press("e", "approaching the leaders at 0.4 rad/s at most")
    following(client)
    begun = time.time_ns()
    desk.begin(0)
    time.sleep(6.0)
    desk.press("a", "kept")
    following(client)
    desk.begin(1)
    time.sleep(1.0)
    desk.press("b", "episode 1: discarded")
    client.until(lambda: client.call(Trigger, "teleop/start").success, "a start by service", 200.0)
    desk.until("recording episode 1")
    time.sleep(2.0)
    assert client.call(Trigger, "teleop/success").success
    desk.until("2 kept")
    assert desk.end(signal.SIGINT) == 0 and "2 demonstrations in" in desk.said
    names = {path.name for path in folder.iterdir()}
    assert names == {"episode_0", "episode_0.hdf5", "episode_1", "episode_1.hdf5"}
    check_following(client, begun)
    check_files(folder, tmp_path_factory.mktemp("again"))


def check_following(client, begun):
    """Commands are where the leaders were a moment ago; the arms are there a little later."""
    stamps, leaders = series(client, "leader_states", begun - 500_000_000)
    assert np.ptp(leaders[:, ARM_COLUMNS], axis=0).max() > 0.2  # they did move
    for topic, latest, tolerance in (("command", 0.2, 0.05), ("joint_states", 0.5, 0.12)):
        times, positions = series(client, topic, begun)
        times, positions = times[(times < begun + 6e9)], positions[(times < begun + 6e9)]
        errors = []
        for lag in np.arange(0.0, latest, 0.01):
            expected = np.array([np.interp(times - lag * 1e9, stamps, leaders[:, i]) for i in ARM_COLUMNS]).T
            errors.append(np.percentile(np.abs(positions[:, ARM_COLUMNS] - expected).max(axis=1), 90))
        assert min(errors) < tolerance, (topic, errors)


def check_files(folder: Path, again: Path):
    for index in range(2):
        episode = read_episode(folder / f"episode_{index}.hdf5")
        assert (episode.origin.task, episode.origin.profile, episode.simulated) == ("transfer_cube", "hardware", True)
        assert episode.images["top"].shape == (episode.steps, 48, 64, 3)
        assert episode.origin.success_step == episode.steps
        bag = Bag(folder / f"episode_{index}")
        (found,) = series_of_bag(bag)
        assert found.info.success and found.info.reason == "success" and bag.config["teleop"]["left"] == "leader_left"
        rows = rows_of_series(found)
        np.testing.assert_array_equal(episode.action, rows.action)
        assert all(frame.stamp_ns <= stamp for frame, stamp in zip(rows.images["top"], rows.stamps))
        assert abs(episode.steps * 0.02 - found.info.elapsed) < 0.5
        grippers = episode.action[:, [6, 13]]
        assert grippers.min() >= 0.0 and grippers.max() <= 1.0
        assert cli.run(["bag", "to-hdf5", str(folder / f"episode_{index}"), str(again), "--jpeg", "95"]) == 0
        converted = read_episode(again / f"episode_{index}.hdf5")
        for name in ("qpos", "qvel", "action", "reached_qpos"):
            np.testing.assert_allclose(getattr(converted, name), getattr(episode, name), atol=1e-9)
        np.testing.assert_array_equal(converted.images["top"], episode.images["top"])
    small = "steps=2 batch=4 validation_episodes=1 network.horizon=20 network.hidden=24 network.heads=2"
    options = f"train act --data {folder} --out {again / 'run'} --device cpu --threads 1 --set {small}"
    assert cli.run([*options.split(), "network.widths=[8]", "network.stem_width=8"]) == 0


def test_a_killed_recorder_loses_nothing_and_the_next_goes_on(graph, client, tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed") / "demos"
    following(client)
    desk = Desk(graph, folder)
    desk.begin(0)
    time.sleep(3.0)
    desk.end(signal.SIGKILL)
    desk = Desk(graph, folder)
    assert "episode_0 was left behind: no demonstration (it has no verdict)" in desk.said
    (lost,) = series_of_bag(Bag(folder / "unfinished" / "0"))
    assert len(lost.ticks) > 50
    desk.until("has been running for")
    desk.press("d", "discarded")
    following(client)
    desk.begin(0)
    time.sleep(1.0)
    assert desk.end(signal.SIGINT) == 0
    assert (folder / "unfinished" / "1").is_dir() and not (folder / "episode_0").exists()


def test_leaders_that_cannot_be_believed_hold_the_followers(client):
    following(client)
    request = {"arm": "leader_left", "fault": "nan_read"}
    assert client.call(InjectFault, "xs_sim/inject", active=True, **request).success
    client.until(lambda: client.diagnostics("teleop").get("mode") == "holding", "a hold", 30.0)
    assert "not_finite leader_left" in client.diagnostics("teleop")["reason"]
    time.sleep(0.5)
    assert len({tuple(m.position) for m in list(client.heard["command"])[-10:]}) == 1
    assert client.call(InjectFault, "xs_sim/inject", active=False, **request).success
    following(client)


def test_a_stop_latches(client):
    client.until(lambda: client.call(Trigger, "teleop/start").success, "a demonstration", 200.0)
    assert client.call(Trigger, "driver/stop").success
    client.until(lambda: client.diagnostics("teleop").get("mode") == "released", "a release", 30.0)
    ended = [m for m in client.heard["episode_status"] if m.phase == m.ENDED][-1]
    assert (ended.success, ended.reason) == (False, "stopped")
    answer = client.call(Trigger, "teleop/engage")
    assert (answer.success, answer.message) == (False, "not engaged: stopped")
    assert client.call(Trigger, "driver/clear_stop").success
    client.until(lambda: state(client) == DriverStatus.HOLDING, "a cleared stop")
    assert client.diagnostics("teleop")["mode"] == "released"
    assert client.call(Trigger, "teleop/engage").success
    following(client)
