"""The node graph, described once: the launch files and `speedtune up` both read it. No ROS is imported.

`ARGUMENTS` (launch_arguments.py) are what the user chooses, `NODES` what runs, and `processes` resolves one with the
other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from speedtune_ros import bringup
from speedtune_ros.config import check_parameters
from speedtune_ros.errors import CheckpointError, ConfigError, UnknownNameError
from speedtune_ros.launch_arguments import ARGUMENTS as ARGUMENTS
from speedtune_ros.launch_arguments import SWITCH as SWITCH
from speedtune_ros.launch_arguments import Argument as Argument
from speedtune_ros.launch_arguments import arguments as arguments
from speedtune_ros.presets import Preset, read_preset, task_arguments
from speedtune_ros.registry import execution_needs, make_speed_policy, policy_cameras
from speedtune_ros.share import share_path
from speedtune_ros.speed.speed_policy import split_spec


@dataclass(frozen=True)
class Node:
    """One node of the graph: its executable, its parameters by launch argument, and when it runs.

    when: the value, or several, of launch arguments for which it runs, all of which must hold; parameters: the node's
    parameter -> the launch argument that sets it; per_camera: one such process for each camera; restart: whether one
    that ends may start again and know all it needs.
    """

    name: str
    executable: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    when: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    remappings: tuple[tuple[str, str], ...] = ()
    per_camera: bool = False
    restart: bool = False

    @property
    def parameter_file(self) -> str:
        """The shipped parameters, relative to the share folder."""
        return f"config/{self.executable}.yaml"


_SIM = {"robot": "sim"}
_REAL = {"robot": "real"}
_POLICIES = {"teleop": "false"}
_TASK_POLICY = {"policy": "policy", "task": "task", "profile": "dynamics", "lockstep": "lockstep"}

NODES = (
    Node(
        "sim",
        "sim",
        {
            "task": "task",
            "profile": "dynamics",
            "cameras": "cameras",
            "lockstep": "lockstep",
            "real_time_factor": "real_time_factor",
        },
        when=_SIM,
    ),
    Node(
        "xs_sim",
        "xs_sim",
        {"task": "scene", "cameras": "cameras", "camera_driver": "camera_driver"},
        when={**_REAL, "xs_sim": "true"},
    ),
    Node("arm_driver", "arm_driver", {"profile": "dynamics"}, when=_REAL),
    Node(
        "camera",
        "camera",
        {"driver": "camera_driver"},
        when={"camera_driver": bringup.CAMERA_DRIVERS},
        per_camera=True,
        restart=True,
    ),
    Node(
        "retimer",
        "retimer",
        {
            "retimer": "retimer",
            "profile": "dynamics",
            "lockstep": "lockstep",
            "scheduler.k_skip": "k_skip",
            "scheduler.ensemble": "ensemble",
        },
        when=_POLICIES,
    ),
    Node(
        "speed_policy",
        "speed_policy",
        {"speed": "speed", **_TASK_POLICY, "k_skip": "k_skip", "ensemble": "ensemble"},
        when=_POLICIES,
        restart=True,
    ),
    Node(
        "task_policy",
        "task_policy",
        _TASK_POLICY,
        when=_POLICIES,
        restart=True,
    ),
    Node("episode", "episode", {"robot": "robot", "task": "task", "profile": "dynamics"}, when=_POLICIES),
    Node("teleop", "teleop", {"task": "task", "profile": "dynamics"}, when={**_REAL, "teleop": "true"}),
    Node("leader_script", "leader_script", {"task": "scene"}, when={**_REAL, "leader_script": "true"}),
    Node(
        "recorder",
        "recorder",
        {"bag": "bag", "cameras": "cameras", "lossless": "lockstep"},
        when={"record": "true"},
        restart=True,
    ),
)


@dataclass(frozen=True)
class Process:
    """A node as it is started: parameter files in order, the later over the earlier, then single parameters.

    enclave: its SROS2 enclave, if it has one; restart: whether one that ends may start again.
    """

    name: str
    executable: str
    parameter_files: tuple[str, ...]
    parameters: Mapping[str, object]
    remappings: tuple[tuple[str, str], ...] = ()
    namespace: str = ""
    enclave: str = ""
    restart: bool = False


def resolve(given: Mapping[str, str]) -> dict[str, str]:
    """Every launch argument's value, defaults filled in, and the `scene` of simulated arms.

    Raises ConfigError, InvalidInputError, UnknownNameError.
    """
    known = {argument.name: argument for argument in ARGUMENTS}
    for name in given:
        if name not in known:
            raise UnknownNameError("launch argument", name, known)
    values = {name: given.get(name, argument.default) for name, argument in known.items()}
    for name, argument in known.items():
        if argument.choices and values[name] not in argument.choices:
            raise UnknownNameError(name, values[name], argument.choices)
    if values["dynamics"] == "auto":
        values["dynamics"] = "act" if values["robot"] == "sim" else "hardware"
    if values["robot"] == "sim" and values["xs_sim"] == "true":
        raise ConfigError("xs_sim: stands in for real arms; expected robot real, got sim")
    if values["robot"] == "sim" and values["teleop"] == "true":
        raise ConfigError("teleop: leaders lead real arms, or xs_sim's; expected robot real, got sim")
    if values["leader_script"] == "true" and (values["teleop"], values["xs_sim"]) != ("true", "true"):
        raise ConfigError("leader_script: moves simulated leaders; expected teleop and xs_sim true")
    values["camera_driver"] = bringup.camera_driver(values)
    bringup.check(values)
    if not re.fullmatch(r"(/\w+)*", values["enclave"]):
        raise ConfigError(f"enclave: expected a path of names as /speedtune, or none, got '{values['enclave']}'")
    if values["robot"] == "real" and values["lockstep"] == "true":
        raise ConfigError("lockstep: only a simulation can wait; expected robot sim, got real")
    if split_spec(values["speed"])[0] == "constant":
        make_speed_policy(values["speed"])  # refuses a bad speed before anything starts
    for path in _listed(values["params"]):
        check_parameters(path)
    preset = read_preset(values["preset"]) if values["preset"] else None
    values |= task_arguments(values, preset)
    if values["teleop"] == "false":
        _check_policy(values)
        needs = execution_needs(values["speed"], values["policy"], values["task"], values["dynamics"])
        values["k_skip"] = values["k_skip"] or str(needs.get("k_skip", ""))
        if values["ensemble"] == "auto":
            values["ensemble"] = str(needs.get("ensemble", "")).lower()
    if values["cameras"] == "auto":
        values["cameras"] = _seen(values, preset)
    return values


def _check_policy(values: Mapping[str, str]) -> None:
    """Refuse a policy that cannot drive these arms before anything starts. Raises ConfigError, UnknownNameError."""
    real = values["robot"] == "real"
    if real and values["policy"] == "expert" and values["xs_sim"] != "true":
        raise ConfigError(
            "policy 'expert': plans in a simulated scene, which real arms know nothing of; expected a checkpoint's "
            "path, or rehearsal, which only lifts and turns the arms (xs_sim:=true puts the scene in their place)"
        )
    try:
        policy_cameras(values["policy"], values["task"], values["dynamics"])
    except CheckpointError as error:
        others = "rehearsal, or with xs_sim:=true expert" if real else "expert"
        raise ConfigError(f"policy: {error}; expected a checkpoint's path, {others}") from error


def _seen(values: Mapping[str, str], preset: Preset | None) -> str:
    """What the policy sees and the preset has, as a launch argument; without policies `top` alone."""
    sizes = dict(cameras(",".join(preset.cameras))) if preset else {}
    try:
        sizes |= policy_cameras(values["policy"], values["task"], values["dynamics"])
    except (CheckpointError, UnknownNameError):
        sizes = sizes or {"top": None}
    return ",".join(name if size is None else f"{name}:{size[0]}x{size[1]}" for name, size in sizes.items()) or "none"


def processes(given: Mapping[str, str]) -> tuple[Process, ...]:
    """What runs for the launch arguments `given`. Raises as `resolve` does."""
    values = resolve(given)
    running: list[Process] = []
    for node in NODES:
        if any(values[name] not in _options(value) for name, value in node.when.items()):
            continue
        files = (str(share_path(node.parameter_file)), *filter(None, [values["preset"]]), *_listed(values["params"]))
        chosen = {name: _typed(argument, values[argument]) for name, argument in node.parameters.items()}
        process = Process(
            node.name,
            node.executable,
            files,
            {name: value for name, value in chosen.items() if value != ""},
            node.remappings,
            restart=node.restart,
        )
        running += _per_camera(process, values["cameras"]) if node.per_camera else [process]
    if values["enclave"]:
        running = [replace(process, enclave=f"{values['enclave']}/{process.name}") for process in running]
    return tuple(running)


def includes(given: Mapping[str, str]) -> tuple[bringup.Include, ...]:
    """What of the robot's own software starts for the launch arguments `given`. Raises as `resolve` does."""
    values = resolve(given)
    return bringup.includes(values, [name for name, _ in cameras(values["cameras"])])


def _options(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value


def _listed(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def cameras(text: str) -> list[tuple[str, tuple[int, int] | None]]:
    """(name, (height, width) or None where not given) of each camera in `top:96x96,angle`. Raises ConfigError."""
    found: list[tuple[str, tuple[int, int] | None]] = []
    for item in () if text in ("", "none") else text.split(","):
        name, size = camera(item.strip())
        if name in (earlier for earlier, _ in found):
            raise ConfigError(f"cameras: '{name}' is given twice")
        found.append((name, size))
    return found


def camera(text: str) -> tuple[str, tuple[int, int] | None]:
    """(name, (height, width) or None where not given) of `top:96x96` or `angle`. Raises ConfigError."""
    match = re.fullmatch(r"(\w+)(?::([1-9]\d*)x([1-9]\d*))?", text)
    if match is None:
        raise ConfigError(f"cameras: expected name or name:HEIGHTxWIDTH, as in top:96x96, got '{text}'")
    name, height, width = match.groups()
    return name, (int(height), int(width)) if height else None


def _per_camera(process: Process, text: str) -> Iterator[Process]:
    for name, size in cameras(text):
        shape = {} if size is None else {"height": size[0], "width": size[1]}
        parameters = {"name": name, **process.parameters, **shape}
        yield replace(process, name=f"{process.name}_{name}", parameters=parameters)


def _typed(argument: str, text: str) -> object:
    """A launch argument's text as the type of the parameters it sets."""
    if argument == "cameras":
        # ROS cannot tell the type of an empty list: one empty text stands for none.
        return [name if size is None else f"{name}:{size[0]}x{size[1]}" for name, size in cameras(text)] or [""]
    if argument in ("lockstep", "ensemble") and text:
        return text == "true"
    if argument == "real_time_factor":
        return _number(argument, text)
    if argument == "k_skip" and text:
        return _count(argument, text)
    return text


def _number(argument: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError(f"{argument}: expected a number, got '{text}'") from error


def _count(argument: str, text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"{argument}: expected a number of control ticks of at least 1, got '{text}'")
    return int(text)


# Fast DDS 2 (Humble, Jazzy) reads the first name and ignores the second, which is Fast DDS 3's:
# https://fast-dds.docs.eprosima.com/en/2.14.x/fastdds/env_vars/env_vars.html
FASTDDS_VARIABLE = "FASTRTPS_DEFAULT_PROFILES_FILE"
FASTDDS_3_VARIABLE = "FASTDDS_DEFAULT_PROFILES_FILE"


def environment(present: Mapping[str, str]) -> dict[str, str]:
    """What is to be set beside `present` for the graph's processes: the user's Fast DDS profile, or else ours."""
    names = (FASTDDS_VARIABLE, FASTDDS_3_VARIABLE)
    chosen = next((present[name] for name in names if present.get(name)), None) or str(share_path("config/fastdds.xml"))
    return {name: chosen for name in names if not present.get(name)}
