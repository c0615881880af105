"""docs/topics.md says what the table says, and names every service and action."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from speedtune_ros.nodes import topics

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "topics.md").read_text()


def words(profile):
    reliable = "reliable" if profile.reliability == ReliabilityPolicy.RELIABLE else "best effort"
    latched = ", latched" if profile.durability == DurabilityPolicy.TRANSIENT_LOCAL else ""
    return f"{reliable} {profile.depth}{latched}"


@pytest.mark.parametrize("name", topics.TOPICS)
def test_each_topic_has_its_row(name):
    row = topics.TOPICS[name]
    kind = f"{row.type.__module__.split('.')[0]}/{row.type.__name__}"
    start = f"| `{name}` | {kind} | {words(row.offered)} | {words(row.requested)} |"
    assert any(line.startswith(start) for line in PAGE.splitlines()), start


def test_no_row_without_a_topic():
    table = PAGE.split("| topic |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)) == set(topics.TOPICS)


def test_each_service_and_action_has_its_row():
    sources = "".join(path.read_text() for path in (ROOT / "speedtune_ros" / "nodes").glob("*.py"))
    served = set(re.findall(r'create_service\(\w+, "([^"]+)"', sources)) | set(
        re.findall(r'self\._serve\(\w+, "([^"]+)"', sources)
    )
    assert len(served) >= 12
    assert served == set(re.findall(r"^\| `([^`]+)`", PAGE.split("## Services")[1], re.MULTILINE))
