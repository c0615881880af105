from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from rosbags.highlevel import AnyReader
from rosbags.typesys.store import Typestore

from speedtune_ros.data.bag_images import COMPRESSED, IMAGE, decode_image
from speedtune_ros.data.bag_reader import Bag
from speedtune_ros.data.bags import CONFIG_RECORD, BagWriter
from speedtune_ros.data.definitions import definition, typestore
from speedtune_ros.errors import DataError, InvalidInputError

CHUNK = "speedtune_msgs/msg/ActionChunk"
STATUS = "speedtune_msgs/msg/EpisodeStatus"
START = 1_700_000_000_000_000_000
CONFIG = {"retimer": {"k_skip": 10, "speeds": (1.0, 2.0)}, "task": "transfer_cube"}


@pytest.fixture(scope="module")
def store() -> Typestore:
    return typestore((IMAGE, COMPRESSED, CHUNK, STATUS))


def header(store: Typestore, stamp_ns: int) -> object:
    stamp = store.types["builtin_interfaces/msg/Time"](*divmod(stamp_ns, 10**9))
    return store.types["std_msgs/msg/Header"](stamp, "")


def chunk(store: Typestore, sequence: int) -> bytes:
    message = store.types[CHUNK](
        header=header(store, START),
        episode_id="e0",
        sequence=sequence,
        policy="expert",
        joint_names=["left_waist", "left_shoulder"],
        dt=0.02,
        horizon=2,
        dim=14,
        candidates=1,
        target_kind="command",
        targets=np.arange(2 * 14, dtype=np.float32) + sequence,
        inference_latency=0.001,
    )
    return bytes(store.serialize_cdr(message, CHUNK))


def image(store: Typestore, pixels: np.ndarray, step: int, encoding: str = "rgb8") -> bytes:
    height, width = pixels.shape[:2]
    rows = np.zeros((height, step), np.uint8)
    rows[:, : 3 * width] = pixels.reshape(height, -1)
    message = store.types[IMAGE](header(store, START), height, width, encoding, 0, step, rows.ravel())
    return bytes(store.serialize_cdr(message, IMAGE))


@pytest.fixture
def bag(tmp_path: Path, store: Typestore) -> Path:
    writer = BagWriter(tmp_path / "bag", CONFIG)
    writer.add_topic("/action_chunk", CHUNK)
    writer.add_topic("/camera/top/image_raw", IMAGE, reliable=False)
    writer.add_topic("/episode_status", STATUS, latched=True)
    pixels = np.full((12, 16, 3), (200, 30, 90), np.uint8)
    for i in range(5):
        stamp = START + i * 10**9
        writer.write("/action_chunk", chunk(store, i), stamp + 7, stamp)
        writer.write("/camera/top/image_raw", image(store, pixels, 64), stamp + 9, stamp)
        writer.flush()
    writer.close()
    return tmp_path / "bag"


def test_rosbags_reads_every_message_with_our_types(bag: Path) -> None:
    with AnyReader([bag]) as reader:
        assert {name: topic.msgcount for name, topic in reader.topics.items()} == {
            "/action_chunk": 5,
            "/camera/top/image_raw/compressed": 5,
            "/episode_status": 0,
        }
        chunks = [reader.deserialize(data, c.msgtype) for c, _, data in reader.messages() if c.topic == "/action_chunk"]
    assert [message.sequence for message in chunks] == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(chunks[3].targets, np.arange(28, dtype=np.float32) + 3)


def test_mcap_reads_it_with_valid_checksums(bag: Path) -> None:
    with (bag / "bag.mcap").open("rb") as stream:
        reader = make_reader(stream, validate_crcs=True, decoder_factories=[DecoderFactory()])
        decoded = [item.decoded_message for item in reader.iter_decoded_messages(topics=["/action_chunk"])]
        assert reader.get_summary().statistics.message_count == 10  # type: ignore[union-attr]
    assert [message.sequence for message in decoded] == [0, 1, 2, 3, 4]
    assert decoded[0].target_kind == "command"


def test_metadata_is_rosbag2s(bag: Path) -> None:
    information = yaml.safe_load((bag / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert information["storage_identifier"] == "mcap"
    assert information["relative_file_paths"] == ["bag.mcap"]
    assert information["message_count"] == 10
    assert information["duration"]["nanoseconds"] == 4 * 10**9 + 2  # first chunk received to last image
    chunk_topic = information["topics_with_message_count"][0]["topic_metadata"]
    assert chunk_topic["type_description_hash"] == definition(CHUNK).digest
    durability = [
        yaml.safe_load(topic["topic_metadata"]["offered_qos_profiles"])[0]["durability"]
        for topic in information["topics_with_message_count"]
    ]
    assert durability == [2, 2, 1]  # only episode_status is latched


def test_our_reader_gives_times_configuration_and_images(bag: Path) -> None:
    opened = Bag(bag)
    assert opened.config == {"retimer": {"k_skip": 10, "speeds": [1.0, 2.0]}, "task": "transfer_cube"}
    assert opened.duration == pytest.approx(4.0, abs=1e-6)
    first, *rest = opened.messages(["/camera/top/image_raw/compressed"])
    assert (first.publish_ns, first.log_ns, len(rest)) == (START, START + 9, 4)
    pixels = decode_image(first.message.data)
    assert pixels.shape == (12, 16, 3)
    np.testing.assert_allclose(pixels.astype(int), np.broadcast_to((200, 30, 90), pixels.shape), atol=4)


def test_episodes_come_from_their_last_status(tmp_path: Path, store: Typestore) -> None:
    writer = BagWriter(tmp_path / "bag", {})
    writer.add_topic("/episode_status", STATUS, latched=True)
    time0 = store.types["builtin_interfaces/msg/Time"](0, 0)
    for id, phase, elapsed, success, reason in (
        ("", 0, 0.0, False, ""), ("e0", 1, 0.0, False, ""), ("e0", 2, 3.0, False, ""), ("e0", 3, 5.5, True, "success"),
        ("e1", 2, 1.0, False, ""),
    ):  # fmt: skip
        values = {
            "header": header(store, 0), "episode_id": id, "task": "t", "instruction": "", "phase": phase, "seed": 4,
            "start": time0, "elapsed": elapsed, "progress": 0.0, "reward": 0.0, "success": success, "reason": reason,
            "labelled": False, "label": 0.0,
        }  # fmt: skip
        message = store.types[STATUS](**values)
        writer.write("/episode_status", bytes(store.serialize_cdr(message, STATUS)), START, START)
    writer.close()
    ended, cut = Bag(tmp_path / "bag").episodes()
    assert (ended.id, ended.seed, ended.elapsed, ended.success, ended.reason) == ("e0", 4, 5.5, True, "success")
    assert (cut.id, cut.success, cut.reason) == ("e1", False, "")


@pytest.mark.parametrize(
    ("encoding", "step", "words"),
    [("mono8", 48, "expected rgb8 or bgr8, got 'mono8'"), ("rgb8", 40, "step >= 48")],
)
def test_a_bad_image_is_refused_and_the_bag_goes_on(
    tmp_path: Path, store: Typestore, encoding: str, step: int, words: str
) -> None:
    writer = BagWriter(tmp_path / "bag", {})
    writer.add_topic("/image", IMAGE)
    bad = store.types[IMAGE](header(store, START), 12, 16, encoding, 0, step, np.zeros(12 * step, np.uint8))
    with pytest.raises(InvalidInputError, match=words):
        writer.write("/image", bytes(store.serialize_cdr(bad, IMAGE)), START, START)
    writer.write("/image", image(store, np.zeros((12, 16, 3), np.uint8), 48), START, START)
    writer.close()
    assert Bag(tmp_path / "bag").topics["/image/compressed"].count == 1


def test_refusals_name_what_is_wrong(bag: Path, tmp_path: Path, store: Typestore) -> None:
    with pytest.raises(DataError, match="exists already"):
        BagWriter(bag, {})
    writer = BagWriter(tmp_path / "other", {})
    with pytest.raises(DataError, match="no definition of message type 'nowhere_msgs/msg/Thing'; searched .*Thing.msg"):
        writer.add_topic("/thing", "nowhere_msgs/msg/Thing")
    with pytest.raises(InvalidInputError, match="'/thing' was not added; added: none"):
        writer.write("/thing", b"", 0, 0)
    with pytest.raises(DataError, match="expected a rosbag2 directory with one .mcap file, found: no such directory"):
        Bag(tmp_path / "missing")


RECORD = """
import sys, time
from speedtune_ros.data.bags import CONFIG_RECORD, BagWriter
writer = BagWriter(sys.argv[1], {"task": "transfer_cube"})
writer.add_topic("/text", "std_msgs/msg/String")
data = b"\\x00\\x01\\x00\\x00" + (2000).to_bytes(4, "little") + b"x" * 1999 + b"\\x00"
flushed = time.monotonic()
for i in range(10**9):
    writer.write("/text", data, time.time_ns(), time.time_ns())
    time.sleep(0.0005)
    if time.monotonic() - flushed > 0.02:
        writer.flush()
        flushed = time.monotonic()
        print(i + 1, flush=True)
"""


def test_a_killed_recorder_loses_only_what_was_not_flushed(tmp_path: Path) -> None:
    path = tmp_path / "bag"
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(RECORD), path], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    lines = [process.stdout.readline() for _ in range(10)]
    time.sleep(0.031)  # somewhere between two flushes
    process.send_signal(signal.SIGKILL)
    promised = max(map(int, [*lines, *process.stdout.read().split()]))
    process.wait()
    opened = Bag(path)
    if not opened.loss:  # else it was killed within the write itself
        with AnyReader([path]) as reader:
            assert sum(1 for _ in reader.messages()) == opened.topics["/text"].count
    assert opened.topics["/text"].count >= promised > 0
    assert opened.config == {"task": "transfer_cube"}


def test_quality_0_keeps_every_pixel(tmp_path: Path, store: Typestore) -> None:
    writer = BagWriter(tmp_path / "bag", {}, jpeg_quality=0)
    writer.add_topic("/image", IMAGE)
    pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    writer.write("/image", image(store, pixels, 48), START, START)
    writer.close()
    (item,) = Bag(tmp_path / "bag").messages()
    assert "png" in item.message.format
    np.testing.assert_array_equal(decode_image(item.message.data), pixels)


def test_the_configuration_may_grow_while_recording(tmp_path: Path) -> None:
    writer = BagWriter(tmp_path / "bag", {"recorder": {"bag": "x"}})
    writer.flush()
    writer.embed(CONFIG_RECORD, {"recorder": {"bag": "x"}, "sim": {"task": "transfer_cube"}})
    writer.flush()
    assert Bag(tmp_path / "bag").config == {"recorder": {"bag": "x"}, "sim": {"task": "transfer_cube"}}
    writer.close()
