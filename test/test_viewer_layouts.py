"""The viewers' layouts name topics and fields that bags have."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from speedtune_ros.aloha import JOINT_NAMES
from speedtune_ros.data.definitions import field_names

pytest.importorskip("speedtune_msgs", reason="speedtune_msgs is not built: run `make setup`")
from speedtune_ros.nodes.topics import TOPICS

CONFIG = Path(__file__).resolve().parent.parent / "config"
FOXGLOVE = json.loads((CONFIG / "foxglove_layout.json").read_text())
PLOTJUGGLER = ElementTree.parse(CONFIG / "plotjuggler_layout.xml").getroot()


def type_of(topic: str) -> str:
    """The message type that a bag has on `topic`. Raises KeyError for one that no node publishes."""
    if re.fullmatch(r"/camera/\w+/image_raw/compressed", topic):
        return "sensor_msgs/msg/CompressedImage"
    kind = (TOPICS[topic] if topic in TOPICS else TOPICS[topic.lstrip("/")]).type
    return f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"


def values(node: Any, keys: tuple[str, ...]) -> Iterator[str]:
    """Every text under one of `keys`, however deep."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if key in keys and isinstance(value, str):
            yield value
        yield from values(value, keys)


def test_foxglove_shows_topics_and_fields_that_exist() -> None:
    paths = [
        path for path in values(FOXGLOVE["configById"], ("value", "topicPath", "imageTopic", "topicToRender")) if path
    ]
    assert len(paths) > 25
    for path in paths:
        topic, _, field = path.partition(".")
        names = field_names(type_of(topic))
        assert not field or re.sub(r"\[\d+\]$", "", field) in names, path


def test_foxglove_s_layout_has_each_panel_once() -> None:
    shown = [panel for panel in values(FOXGLOVE["layout"], ("first", "second"))]
    assert sorted(shown) == sorted(FOXGLOVE["configById"])


def test_plotjuggler_draws_topics_and_fields_that_exist() -> None:
    curves = [curve.attrib["name"] for curve in PLOTJUGGLER.iter("curve")]
    assert len(curves) > 30
    for curve in curves:
        topic, _, field = curve[1:].partition("/")
        kind = type_of(topic)
        if kind == "sensor_msgs/msg/JointState":  # which PlotJuggler sorts by joint
            joint, _, field = field.partition("/")
            assert joint in JOINT_NAMES
        assert field in field_names(kind), curve


def test_plotjuggler_s_tabs_are_as_its_counts_say() -> None:
    for splitter in PLOTJUGGLER.iter("DockSplitter"):
        assert int(splitter.attrib["count"]) == len(splitter.findall("DockArea"))
        assert len(splitter.attrib["sizes"].split(";")) == len(splitter.findall("DockArea"))
