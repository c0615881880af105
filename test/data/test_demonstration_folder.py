"""What becomes of a demonstration's bag: kept, dropped or set aside, also after a crash."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("speedtune_msgs", reason="speedtune_msgs is not built: run `make setup`")

from speedtune_msgs.msg import DriverStatus, EpisodeStatus
from speedtune_ros.aloha import start_pose
from speedtune_ros.data.bags import BagWriter
from speedtune_ros.data.definitions import typestore
from speedtune_ros.data.demonstration_folder import DemonstrationFolder
from speedtune_ros.data.episode_file import read_episode
from speedtune_ros.nodes.conversions import joints_to_message, to_stamp
from speedtune_ros.nodes.images import encode

pytestmark = pytest.mark.ros
TICK, TICKS = 20_000_000, 10
START = 1_000_000_000
TOPICS = {
    "/joint_states": "sensor_msgs/msg/JointState",
    "/driver_status": "speedtune_msgs/msg/DriverStatus",
    "/episode_status": "speedtune_msgs/msg/EpisodeStatus",
    "/camera/top/image_raw": "sensor_msgs/msg/Image",
}


def cdr(message) -> bytes:
    """A message as it comes over the wire; rclpy's own `serialize_message` pads it."""
    name = f"{type(message).__module__.split('.')[0]}/msg/{type(message).__name__}"
    store = typestore([name])

    def converted(value, field):
        _, detail = field
        if isinstance(detail, str) and detail.count("/") == 2:
            fields = store.fielddefs[detail][1]
            return store.types[detail](**{key: converted(getattr(value, key), kind) for key, kind in fields})
        plain = isinstance(value, (str, int, float)) or (isinstance(value, list) and "string" in str(detail))
        return value if plain else np.asarray(value)

    return bytes(store.serialize_cdr(converted(message, (None, name)), name))


def write_bag(path: Path, reason: str | None, image: bool = True) -> None:
    """Ten ticks of a demonstration that ended for `reason`, or was never ended."""
    writer = BagWriter(path, {"xs_sim": {}, "teleop": {"profile": "hardware"}})
    for topic, kind in TOPICS.items():
        writer.add_topic(topic, kind)

    def say(topic, message, stamp):
        writer.write(topic, cdr(message), stamp, stamp)

    def status(phase, elapsed, reason=""):
        return EpisodeStatus(
            episode_id="demo", task="wipe", phase=phase, start=to_stamp(START), elapsed=elapsed, reason=reason,
            success=reason == "success",
        )  # fmt: skip

    if image:
        say("/camera/top/image_raw", encode(np.full((8, 8, 3), 100, np.uint8), START), START)
    say("/episode_status", status(EpisodeStatus.RUNNING, 0.0), START)
    for tick in range(TICKS):
        stamp = START + tick * TICK
        qpos = start_pose() + 0.01 * tick
        say("/joint_states", joints_to_message(stamp, qpos, np.zeros(14)), stamp)
        message = DriverStatus(episode_id="demo", command=qpos + 0.005, state=DriverStatus.TRACKING)
        message.header.stamp = to_stamp(stamp)
        say("/driver_status", message, stamp)
    if reason is not None:
        say("/episode_status", status(EpisodeStatus.ENDED, TICKS * 0.02, reason), START + TICKS * TICK)
    writer.close()


@pytest.fixture
def folder(tmp_path: Path) -> DemonstrationFolder:
    return DemonstrationFolder(tmp_path, 95)


def test_a_success_becomes_an_episode_file(folder: DemonstrationFolder) -> None:
    write_bag(folder.bag(0), "success")
    assert folder.settle(0).startswith(f"kept {folder.path / 'episode_0.hdf5'}: 10 rows with top")
    episode = read_episode(folder.path / "episode_0.hdf5")
    np.testing.assert_allclose(episode.qpos, start_pose() + 0.01 * np.arange(TICKS)[:, None])
    np.testing.assert_allclose(episode.action, episode.qpos + 0.005)
    np.testing.assert_allclose(episode.images["top"], 100, atol=2)
    assert (episode.origin.task, episode.origin.profile, episode.simulated) == ("wipe", "hardware", True)
    assert episode.origin.success_step == TICKS
    assert (folder.kept(), folder.next_index()) == (1, 1)


def test_what_is_discarded_is_gone(folder: DemonstrationFolder) -> None:
    write_bag(folder.bag(0), "discarded")
    assert folder.settle(0) == f"discarded {folder.bag(0)}"
    assert list(folder.path.iterdir()) == [] and folder.next_index() == 0


@pytest.mark.parametrize(
    ("reason", "why"), [("stopped", "stopped"), (None, "it has no verdict"), ("fault: x", "fault: x")]
)
def test_everything_else_is_set_aside(folder: DemonstrationFolder, reason: str | None, why: str) -> None:
    write_bag(folder.bag(0), reason)
    assert f"no demonstration ({why}): its bag is {folder.path / 'unfinished' / '0'}" in folder.settle(0)
    assert (folder.path / "unfinished" / "0" / "metadata.yaml").is_file()
    assert folder.next_index() == 0


def test_without_cameras_it_is_a_demonstration_all_the_same(folder: DemonstrationFolder) -> None:
    write_bag(folder.bag(0), "success", image=False)
    assert "with no camera" in folder.settle(0) and folder.kept() == 1


def test_a_killed_recorder_s_bags_are_settled_by_the_next(folder: DemonstrationFolder) -> None:
    write_bag(folder.bag(0), "success")
    folder.settle(0)
    write_bag(folder.bag(1), "success")  # killed before its episode file was made
    write_bag(folder.bag(2), None)
    folder.bag(3).mkdir()  # killed as it was opened
    (folder.path / "episode_1.hdf5.partial").touch()
    said = list(folder.recover())
    assert [text.split(":")[0] for text in said] == [f"{folder.bag(n)} was left behind" for n in (1, 2, 3)]
    assert "kept" in said[0] and "no verdict" in said[1] and "expected a rosbag2 directory" in said[2]
    assert (folder.kept(), folder.next_index()) == (2, 2)
    assert not list(folder.path.glob("*.partial"))
    assert list(folder.recover()) == []
