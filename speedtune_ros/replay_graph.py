"""The graph that replays a bag: today's stages in a namespace of their own, with no robot in it. No ROS is imported.

`ARGUMENTS` are what the user chooses, and `processes` what runs for them; `replay.launch.py` and `speedtune bag replay
--graph` both read it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from speedtune_ros.config import flat, merge, read_parameters
from speedtune_ros.data.bag_reader import Bag
from speedtune_ros.errors import ConfigError, UnknownNameError
from speedtune_ros.graph import SWITCH, Argument, Process
from speedtune_ros.inspection.replay_config import node_config
from speedtune_ros.share import share_path

NAMESPACE = "/replay"
ARGUMENTS = (
    Argument("bag", "", "rosbag2 folder or .mcap file to replay"),
    Argument("episode", "", "number of the episode in the bag, from 1, or its id; empty for all"),
    Argument("policy", "", "task policy; empty: as recorded"),
    Argument("speed", "", "speed policy, as constant:3; empty: as recorded, episode by episode"),
    Argument("retimer", "", "how chunks are re-timed; empty: as recorded"),
    Argument("dynamics", "", "profile whose limits and lag apply; empty: as recorded"),
    Argument("latency", "", "observation to hand-over [s]; empty: as recorded"),
    Argument("operator_limit", "", "the operator's ceiling on speed; empty: as recorded"),
    Argument("rate", "1.0", "recorded seconds a second, where the bag was recorded in real time"),
    Argument("clock", "false", "whether to publish /clock from the bag", SWITCH),
    Argument("out", "", "folder of the bag to record; empty for none"),
    Argument("namespace", NAMESPACE, "where everything runs; never a robot's own, which is /"),
    Argument("params", "", "a ROS parameter file laid over the recorded parameters"),
)


def processes(given: Mapping[str, str]) -> tuple[Process, ...]:
    """What runs. Raises ConfigError, UnknownNameError, and DataError for a bag that cannot be read."""
    known = {argument.name: argument for argument in ARGUMENTS}
    for name in given:
        if name not in known:
            raise UnknownNameError("launch argument", name, known)
    values = {name: given.get(name, argument.default) for name, argument in known.items()}
    if not re.fullmatch(r"(/[A-Za-z_]\w*)+", values["namespace"]):
        raise ConfigError(
            f"namespace: expected one of the replay's own, as {NAMESPACE}, got '{values['namespace']}': "
            "a robot may obey what is said in /"
        )
    if not values["bag"]:
        raise ConfigError("bag: expected a rosbag2 folder or .mcap file, got none; say bag:=FOLDER")
    bag = Bag(values["bag"])
    lockstep = bool(node_config(bag, "retimer").get("lockstep", False))
    found = [_stage(bag, name, values) for name in ("retimer", "speed_policy", "task_policy")]
    if values["out"]:
        found.append(_process("recorder", {"bag": values["out"], "cameras": [""]}, values))
    own = {"bag": values["bag"], "episode": values["episode"], "lockstep": lockstep, "rate": float(values["rate"])}
    own |= {"clock": values["clock"] == "true", "speed_modes": not values["speed"]}
    return (*found, _process("replay", own, values))


def _stage(bag: Bag, name: str, values: Mapping[str, str]) -> Process:
    """A stage with its recorded parameters, those that it still has, and what is to differ on top."""
    recorded = _known(node_config(bag, name), read_parameters(share_path(f"config/{name}.yaml"), name))
    return _process(name, flat(merge(recorded, _changes(name, values))), values)


def _changes(name: str, values: Mapping[str, str]) -> dict[str, Any]:
    said = {key: value for key, value in values.items() if value}
    if name == "speed_policy":
        return {key: said[key] for key in ("speed",) if key in said}
    changes: dict[str, Any] = {"profile": said["dynamics"]} if "dynamics" in said else {}
    if name == "task_policy":
        return {**changes, **({"policy": said["policy"]} if "policy" in said else {})}
    scheduler: dict[str, Any] = {}
    if "latency" in said:
        scheduler |= {"latency": float(said["latency"]), "measure_latency": False}
    if "operator_limit" in said:
        scheduler["operator_limit"] = float(said["operator_limit"])
    changes |= {"retimer": said["retimer"]} if "retimer" in said else {}
    return {**changes, "scheduler": scheduler} if scheduler else changes


def _process(name: str, parameters: Mapping[str, Any], values: Mapping[str, str]) -> Process:
    files = (str(share_path(f"config/{name}.yaml")), *filter(None, [values["params"]]))
    return Process(name, name, files, dict(parameters), namespace=values["namespace"])


def _known(recorded: Mapping[str, Any], today: Mapping[str, Any]) -> dict[str, Any]:
    """`recorded` without the keys that the node no longer has."""
    known = {}
    for key in recorded.keys() & today.keys():
        nested = isinstance(today[key], Mapping) and isinstance(recorded[key], Mapping)
        known[key] = _known(recorded[key], today[key]) if nested else recorded[key]
    return known
