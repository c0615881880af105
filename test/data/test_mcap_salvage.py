"""Damaged bags: what can be read is read, and what cannot is said."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from mcap.reader import SeekingReader
from mcap.records import ChunkIndex

from speedtune_ros.cli import run as speedtune
from speedtune_ros.data.bag_reader import Bag, recover
from speedtune_ros.data.bags import BagWriter
from speedtune_ros.data.definitions import Definition
from speedtune_ros.errors import DataError

START = 1_700_000_000_000_000_000
SECOND = 10**9
CHUNKS, EACH = 5, 10
PROVENANCE = {"task_policy": {"version": "0.1.0", "checkpoint": "abc"}}


def text(number: int) -> bytes:
    word = f"{number:03d}".encode() + b"\0"
    return b"\x00\x01\x00\x00" + len(word).to_bytes(4, "little") + word


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    writer = BagWriter(tmp_path / "bag", {"task": "transfer_cube"}, provenance=PROVENANCE)
    writer.add_topic("/text", "std_msgs/msg/String", latched=True)
    for number in range(CHUNKS * EACH):
        writer.write("/text", text(number), START + number * SECOND // EACH, START)
        if number % EACH == EACH - 1:
            writer.flush()
    writer.close()
    return tmp_path / "bag" / "bag.mcap"


def chunks(file: Path) -> list[ChunkIndex]:
    with file.open("rb") as stream:
        summary = SeekingReader(stream).get_summary()
    assert summary is not None
    return list(summary.chunk_indexes)


def numbers(bag: Bag) -> list[int]:
    return [int(item.message.data) for item in bag.messages()]


def test_a_whole_bag_has_no_loss(bag: Path) -> None:
    opened = Bag(bag)
    assert (opened.loss, numbers(opened)) == ((), list(range(50)))
    assert opened.provenance == PROVENANCE


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.95])
def test_a_cut_bag_gives_every_whole_message_before_the_cut(bag: Path, share: float) -> None:
    third = chunks(bag)[2]
    bag.write_bytes(bag.read_bytes()[: third.chunk_start_offset + round(share * third.chunk_length)])
    opened = Bag(bag)
    found = numbers(opened)
    assert found == list(range(len(found)))
    assert 20 <= len(found) < 30
    assert (share < 0.9) or len(found) > 26
    assert len(opened.loss) == 1 and opened.loss[0].startswith("cut short")
    assert opened.config == {"task": "transfer_cube"} and opened.provenance == PROVENANCE
    assert opened.topics["/text"].count == len(found)
    assert opened.duration == pytest.approx((len(found) - 1) / EACH)


def test_a_damaged_chunk_is_left_out_and_named(bag: Path) -> None:
    data, third = bytearray(bag.read_bytes()), chunks(bag)[2]
    data[third.chunk_start_offset + third.chunk_length // 2] ^= 0xFF
    bag.write_bytes(data)
    opened = Bag(bag)
    assert numbers(opened) == [*range(20), *range(30, 50)]
    (loss,) = opened.loss
    assert "2.00 to 2.90 s after the first message, is damaged and left out: crc validation failed" in loss


def test_a_broken_chain_of_records_is_picked_up_where_the_index_says(bag: Path) -> None:
    data, third = bytearray(bag.read_bytes()), chunks(bag)[2]
    data[third.chunk_start_offset + 1 : third.chunk_start_offset + 9] = b"\xff" * 8  # the chunk's length
    bag.write_bytes(data)
    opened = Bag(bag)
    assert numbers(opened) == [*range(20), *range(30, 50)]
    assert len(opened.loss) == 1 and "are no MCAP records" in opened.loss[0]


def test_a_damaged_index_loses_no_message(bag: Path) -> None:
    bag.write_bytes(bag.read_bytes()[:-40] + bytes(40))
    opened = Bag(bag)
    assert numbers(opened) == list(range(50))
    assert opened.loss == ("the index at its end is missing or damaged",)


def test_what_is_no_mcap_file_is_refused(tmp_path: Path) -> None:
    for data, words in ((b"", "empty"), (b"hello, world", "no MCAP file"), (b"\x89MCAP0\r\n", "nothing of it can be")):
        (tmp_path / "x.mcap").write_bytes(data)
        with pytest.raises(DataError, match=words):
            Bag(tmp_path / "x.mcap")


def test_recover_keeps_qualities_of_service_and_says_the_loss(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = yaml.safe_load((bag.parent / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    bag.write_bytes(bag.read_bytes()[:-100])
    assert speedtune(["bag", "recover", str(bag.parent), str(tmp_path / "saved")]) == 0
    words = capsys.readouterr().out
    assert "50 messages saved" in words and "index at its end" in words
    after = yaml.safe_load((tmp_path / "saved" / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert after["topics_with_message_count"] == before["topics_with_message_count"]
    assert "durability: 1" in after["topics_with_message_count"][0]["topic_metadata"]["offered_qos_profiles"]
    saved = Bag(tmp_path / "saved")
    assert (saved.loss, numbers(saved), saved.provenance) == ((), list(range(50)), PROVENANCE)


def test_recover_keeps_a_message_type_as_it_was_recorded(tmp_path: Path) -> None:
    """Of a bag from before a field was added: today's definition would not fit its messages."""
    writer = BagWriter(tmp_path / "old", {})
    writer.copy_topic(
        "/label", "speedtune_msgs/msg/SpeedCommand", Definition("string data\n", "RIHS01_" + "0" * 64), ""
    )
    writer.write("/label", text(7), START, START)
    writer.close()
    recover(tmp_path / "old", tmp_path / "copy")
    assert numbers(Bag(tmp_path / "copy")) == [7]
    assert any(
        "speedtune_msgs/msg/SpeedCommand without header, episode_id" in said for said in Bag(tmp_path / "copy").absences
    )
