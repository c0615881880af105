"""TensorBoard's files, taken apart by hand."""

from __future__ import annotations

import struct
from pathlib import Path

from speedtune_ros.training.event_file import EventFile, crc32c


def records(data: bytes) -> list[bytes]:
    """The contents of each record, checks checked."""
    found = []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        content = data[12 : 12 + length]
        for checked, stored in ((data[:8], data[8:12]), (content, data[12 + length : 16 + length])):
            crc = (struct.unpack("<I", stored)[0] - 0xA282EAD8) & 0xFFFFFFFF
            assert ((crc >> 17) | (crc << 15)) & 0xFFFFFFFF == crc32c(checked)
        found.append(content)
        data = data[16 + length :]
    return found


def test_the_check_value_of_the_standard() -> None:
    assert crc32c(b"123456789") == 0xE3069283


def test_records_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "training" / "events.out.tfevents.0.x"
    EventFile(path).add(300, 1.5, {"loss": 0.25, "name": "no number", "none": None, "done": True})
    version, event = records(path.read_bytes())
    assert version.endswith(b"brain.Event:2")
    value = b"\x0a\x04loss" + b"\x15" + struct.pack("<f", 0.25)
    summary = b"\x0a" + bytes([len(value)]) + value
    assert event == b"\x09" + struct.pack("<d", 1.5) + b"\x10\xac\x02" + b"\x2a" + bytes([len(summary)]) + summary
    EventFile(path)  # begins anew
    assert len(records(path.read_bytes())) == 1
