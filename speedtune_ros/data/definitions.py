"""Message definitions as bags embed them, found without importing ROS."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from speedtune_ros.errors import DataError


class Definition(NamedTuple):
    """The text of a message type and all it contains, in `ros2msg` form, and its ROS 2 type hash (REP 2016)."""

    text: str
    digest: str


@cache
def definition(type_name: str) -> Definition:
    """The definition of `package/msg/Name`. Raises DataError with the places searched."""
    store = typestore((type_name,))
    text, _ = store.generate_msgdef(type_name, ros_version=2)
    return Definition(text, store.hash_rihs01(type_name))


@cache
def field_names(type_name: str) -> tuple[str, ...]:
    """The fields of `package/msg/Name` as it is defined today."""
    return tuple(name for name, _ in typestore((type_name,)).fielddefs[type_name][1])


def typestore(type_names: Iterable[str]) -> Typestore:
    """A store that serialises and deserialises `type_names` and the standard types."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for name in type_names:
        _register(store, name)
    return store


def _register(store: Typestore, name: str) -> None:
    if name in store.fielddefs:
        return
    found = get_types_from_msg(_text(name), name)
    for inner in _message_types(found[name][1]):
        _register(store, inner)
    store.register(found)


def _message_types(fields: Iterable[Any]) -> Iterator[str]:
    """The message types among fields, inside arrays and sequences too."""
    for _, descriptor in fields:
        stack = [descriptor]
        while stack:
            item = stack.pop()
            if isinstance(item, str) and item.count("/") == 2:
                yield item
            elif isinstance(item, tuple):
                stack.extend(item)


def _text(name: str) -> str:
    package, _, base = name.partition("/msg/")
    prefixes = [Path(p) for p in (*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix) if p]
    places = [prefix / "share" / package / "msg" / f"{base}.msg" for prefix in prefixes]
    if package == "speedtune_msgs":  # from a source tree, before the interface package is built
        places.append(Path(__file__).parents[2] / "msg" / "msg" / f"{base}.msg")
    for place in places:
        if place.is_file():
            return place.read_text()
    raise DataError(f"no definition of message type '{name}'; searched {', '.join(map(str, places))}")
