from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.typesys.store import Typestore

from speedtune_ros.aloha import JOINT_NAMES
from speedtune_ros.cli import run as speedtune
from speedtune_ros.data.bag_reader import Bag
from speedtune_ros.data.bags import BagWriter
from speedtune_ros.data.definitions import typestore
from speedtune_ros.errors import DataError
from speedtune_ros.report.bag_runs import runs_of_bag

MESSAGES = ("EpisodeStatus", "DriverStatus", "SimStatus", "SpeedCommand", "RetimeReport", "ActionChunk")
TYPES = {name: f"speedtune_msgs/msg/{name}" for name in MESSAGES}
TYPES |= {"JointState": "sensor_msgs/msg/JointState", "Image": "sensor_msgs/msg/Image"}
TOPICS = {
    "/episode_status": "EpisodeStatus",
    "/driver_status": "DriverStatus",
    "/sim_status": "SimStatus",
    "/speed_command": "SpeedCommand",
    "/retime_report": "RetimeReport",
    "/action_chunk": "ActionChunk",
    "/joint_states": "JointState",
    "/command": "JointState",
    "/camera/top/image_raw": "Image",
}
TICK = 20_000_000
SYSTEM = 1_700_000_000_000_000_000  # publication runs on another clock than stamps


class Graph:
    """Writes what a graph would say, field by field; what is left out is zero or empty."""

    def __init__(self, path: Path) -> None:
        self.store: Typestore = typestore(TYPES.values())
        self.writer = BagWriter(path, {"retimer": {"k_skip": 10}})
        for topic, name in TOPICS.items():
            self.writer.add_topic(topic, TYPES[name])

    def say(self, topic: str, stamp: int, published: int = 0, /, **fields: Any) -> None:
        name = TYPES[TOPICS[topic]]
        published = published or SYSTEM + stamp
        data = self.store.serialize_cdr(self._message(name, header=self._header(stamp), **fields), name)
        self.writer.write(topic, bytes(data), published, published)

    def _message(self, name: str, /, **fields: Any) -> Any:
        kind = self.store.types[name]
        zeros = {"str": "", "bool": False, "float": 0.0, "int": 0}
        values = {}
        for key, field in kind.__dataclass_fields__.items():
            if key.isupper() or key.startswith("_"):
                continue
            if key in fields:
                values[key] = fields[key]
            elif "Time" in str(field.type):
                values[key] = self._time(0)
            elif "ndarray" in str(field.type):
                size = 14 if key == "command" else 2 if key == "controllable_set" else 0
                values[key] = np.zeros(size, np.float32 if key == "targets" else np.float64)
            elif "list" in str(field.type):
                values[key] = []
            else:
                values[key] = next((zero for word, zero in zeros.items() if word in str(field.type)), 0)
        return kind(**values)

    def _header(self, stamp: int) -> Any:
        return self.store.types["std_msgs/msg/Header"](self._time(stamp), "")

    def _time(self, stamp: int) -> Any:
        return self.store.types["builtin_interfaces/msg/Time"](*divmod(stamp, 10**9))

    def episode(self, id: str, start: int, ticks: int, success_tick: int | None) -> None:
        """Ticks at twice the speed; the command is published 3 ms after the state, the 5th of each ten 1 ms late."""
        common = {"episode_id": id, "seed": 42, "start": self._time(start)}
        self.say("/episode_status", start, phase=2, **common)
        self.say("/speed_command", start, episode_id=id, speed=2.0, source="constant:2")
        shape = {"dt": 0.02, "horizon": 2, "dim": 14, "candidates": 1, "target_kind": "command"}
        shape |= {"joint_names": list(JOINT_NAMES), "targets": np.zeros(28, np.float32)}
        self.say("/action_chunk", start, episode_id=id, inference_latency=0.012, **shape)
        self.say("/retime_report", start, episode_id=id, binding_limit="policy", solve_time=0.0004, slip=0.03)
        self.say("/retime_report", start + (ticks - 1) * TICK, episode_id=id, sequence=1, slip=5.0)
        for i in range(ticks):
            stamp, late = start + i * TICK, 1_000_000 if i % 10 == 5 else 0
            joints = {"name": list(JOINT_NAMES), "position": np.full(14, 0.1 * i), "velocity": np.zeros(14)}
            self.say("/joint_states", stamp, **joints)
            self.say("/command", stamp, SYSTEM + stamp + 3_000_000 + late, **joints)
            command = np.full(14, 0.1 * i + 0.05)
            self.say("/driver_status", stamp, episode_id=id, command=command, progress=0.04 * i, speed=2.0)
            done = success_tick is not None and i >= success_tick
            self.say("/sim_status", stamp + TICK, episode_id=id, reward=4.0 if done else 1.0, success=done)
            if i % 2 == 0:
                pixels = np.full(4 * 4 * 3, 10 * i, np.uint8)
                self.say("/camera/top/image_raw", stamp, height=4, width=4, step=12, encoding="rgb8", data=pixels)
        end = {"phase": 3, "elapsed": ticks * TICK * 1e-9, "success": success_tick is not None}
        self.say("/episode_status", start + ticks * TICK, reason="success" if done else "time_limit", **common, **end)


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bags") / "bag"
    graph = Graph(path)
    graph.episode("a", 10**9, 20, success_tick=14)
    graph.episode("b", 5 * 10**9, 12, success_tick=None)
    graph.writer.close()
    return path


def test_runs_follow_the_driver_tick_by_tick(bag: Path) -> None:
    first, second = runs_of_bag(Bag(bag))
    assert (first.mode, first.seed, first.success, first.reason) == ("constant:2", 42, True, "success")
    assert first.duration == pytest.approx(15 * 0.02)  # the tick that succeeded included
    np.testing.assert_allclose(first.times, 0.02 * np.arange(20))
    np.testing.assert_allclose(first.commands[7], 0.75)
    np.testing.assert_allclose(first.reached[7], 0.7)
    np.testing.assert_allclose(first.progress[-1], 0.04 * 19)
    np.testing.assert_allclose(first.ceiling, 2.0)
    assert first.reward[[0, 14, 15]].tolist() == [1.0, 1.0, 4.0]
    assert first.binding_limits == {"policy": 1}
    assert first.realised_speed == pytest.approx(2.0 + 0.03 / (15 * 0.02))  # not the slip after success
    assert (second.success, second.duration, len(second.times)) == (False, pytest.approx(0.24), 12)


def test_timing_comes_from_publication_not_from_stamps(bag: Path) -> None:
    run = runs_of_bag(Bag(bag))[0]
    np.testing.assert_allclose(run.latencies["inference"], [0.012])
    np.testing.assert_allclose(run.latencies["re-timing"], [0.0004, 0.0])
    delays = run.latencies["observation to command"]
    assert (len(delays), delays.min(), delays.max()) == (20, pytest.approx(0.003), pytest.approx(0.004))
    assert sorted(np.round(run.periods, 6).tolist()) == [0.019] * 2 + [0.02] * 15 + [0.021] * 2


def test_frames_belong_to_their_episode(bag: Path) -> None:
    first, second = runs_of_bag(Bag(bag), "top")
    assert [len(first.frames), len(second.frames)] == [10, 6]
    assert first.frames[3].time == pytest.approx(6 * 0.02)
    assert abs(int(first.frames[3].pixels[0, 0, 0]) - 60) < 4
    assert not runs_of_bag(Bag(bag), "angle")[0].frames


def test_a_bag_without_arms_is_refused(tmp_path: Path) -> None:
    writer = BagWriter(tmp_path / "bag", {})
    writer.add_topic("/text", "std_msgs/msg/String")
    writer.close()
    with pytest.raises(DataError, match="expected an episode, joint states .*, found topics: /text"):
        runs_of_bag(Bag(tmp_path / "bag"))


def test_a_bag_of_joint_states_and_commands_alone_is_one_run(tmp_path: Path) -> None:
    graph = Graph(tmp_path / "bag")
    for i in range(30):
        joints = {"name": list(JOINT_NAMES), "position": np.full(14, 0.1 * i), "velocity": np.zeros(14)}
        graph.say("/joint_states", i * TICK, **joints)
        graph.say("/command", i * TICK, **joints)
    graph.writer.close()
    (run,) = runs_of_bag(Bag(tmp_path / "bag"))
    assert (run.title, run.duration) == ("All of the bag", pytest.approx(29 * 0.02))
    np.testing.assert_allclose(run.commands[7], 0.7)
    np.testing.assert_allclose(run.reached[7], 0.7)
    assert np.isnan(run.speed).all()
    assert speedtune(["bag", "report", str(tmp_path / "bag"), "--out", str(tmp_path / "page.html")]) == 0
    assert "All of the bag" in (tmp_path / "page.html").read_text()
    with pytest.raises(DataError, match="nothing to replay: no policy was asked"):
        speedtune(["bag", "replay", str(tmp_path / "bag")])


def test_bag_info_and_report_from_the_command_line(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert speedtune(["bag", "info", str(bag)]) == 0
    text = capsys.readouterr().out
    for words in ("/driver_status", "32  speedtune_msgs/msg/DriverStatus", "k_skip: 10", "seed 42: 0.40 s, success"):
        assert words in text
    assert "no success (time_limit)" in text
    assert speedtune(["bag", "report", str(bag), "--out", str(tmp_path / "page.html")]) == 0
    assert "1 of 2" in capsys.readouterr().out
    assert (tmp_path / "page.html").read_text().count("<video") == 2
    assert speedtune(["bag", "recover", str(bag), str(tmp_path / "copy")]) == 0
    assert Bag(tmp_path / "copy").topics == Bag(bag).topics
