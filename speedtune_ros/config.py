"""Configuration: frozen dataclasses filled from ROS parameter YAML, for nodes and offline commands alike.

A file looks as ROS 2 expects it, so one file serves `ros2 run --params-file` and `speedtune`:

    /**:
      ros__parameters:
        k_skip: 10
        handover: {method: nearest}

Unknown keys are errors that name the nearest known key. Nested dataclasses become nested keys.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

from speedtune_ros.errors import ConfigError

T = TypeVar("T")


def option(
    default: Any,
    doc: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Sequence[str] = (),
) -> Any:
    """A dataclass field with what a ROS parameter descriptor needs: a description and its range or choices."""
    metadata = {"doc": doc, "minimum": minimum, "maximum": maximum, "choices": tuple(choices)}
    if isinstance(default, (list, dict, set)):
        raise TypeError("mutable default: use a tuple")
    return dataclasses.field(default=default, metadata=metadata)


def read_parameters(path: str | Path, node: str = "") -> dict[str, Any]:
    """The parameters of `node` in a ROS parameter file: those under `/**`, then those under its own name."""
    path = Path(path)
    content = _content(path)
    merged: dict[str, Any] = {}
    for name in ("/**", node, f"/{node}"):
        block = content.get(name) if name.strip("/") else None
        if block is None:
            continue
        if not isinstance(block, dict) or set(block) != {"ros__parameters"}:
            raise ConfigError(f"{path}: expected 'ros__parameters' alone under '{name}'")
        parameters = block["ros__parameters"] or {}
        if not isinstance(parameters, dict):
            raise ConfigError(f"{path}: expected a mapping under '{name}', got {parameters!r}")
        merged = merge(merged, parameters)
    if not merged and not any(key in content for key in ("/**", node, f"/{node}")):
        raise ConfigError(f"{path}: no parameters for '{node or '/**'}'; found: {', '.join(map(str, content))}")
    return merged


def check_parameters(path: str | Path) -> None:
    """Refuse what is no ROS parameter file: node names, in namespaces or not, each with `ros__parameters`.

    Raises ConfigError. The parameters themselves are for the nodes to judge.
    """
    blocks = list(_content(Path(path)).items())
    while blocks:
        name, block = blocks.pop()
        inner = block.get("ros__parameters", block) if isinstance(block, dict) else None
        if not isinstance(inner, dict):
            raise ConfigError(f"{path}: expected 'ros__parameters' and a mapping under '{name}', got {block!r}")
        if inner is block:
            blocks += [(f"{name}/{key}", value) for key, value in block.items()]


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `over` on top, nested mappings merged."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(merged.get(key), Mapping) and isinstance(value, Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def load(cls: type[T], path: str | Path, node: str = "", overrides: Mapping[str, Any] | None = None) -> T:
    """A `cls` filled from a ROS parameter file, `overrides` (nested) on top. Raises ConfigError."""
    return build(cls, merge(read_parameters(path, node), overrides or {}), str(path))


def build(cls: type[T], values: Mapping[str, Any], source: str = "config") -> T:
    """A `cls` (a dataclass of `option` fields) from nested or dotted `values`. Raises ConfigError."""
    values = _nest(values)
    known = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    for key in values:
        if key not in known:
            raise ConfigError(f"{source}: unknown key '{key}'; known: {', '.join(known)}{_nearest(cls, str(key))}")
    filled = {key: _convert(hints[key], values[key], known[key], f"{source}: {key}") for key in values}
    missing = [name for name, f in known.items() if name not in filled and _required(f)]
    if missing:
        raise ConfigError(f"{source}: missing {', '.join(missing)}")
    try:
        return cls(**filled)
    except ValueError as error:
        raise ConfigError(f"{source}: {error}") from error


def leaves(cls: type, prefix: str = "") -> Iterator[tuple[str, Any, dataclasses.Field]]:
    """Each leaf of a configuration as (dotted name, type, field)."""
    hints = typing.get_type_hints(cls)
    for f in dataclasses.fields(cls):
        if dataclasses.is_dataclass(hints[f.name]):
            yield from leaves(hints[f.name], f"{prefix}{f.name}.")  # type: ignore[arg-type]
        else:
            yield prefix + f.name, hints[f.name], f


def to_dict(config: Any) -> dict[str, Any]:
    """A configuration as plain nested values, as YAML and JSON take them."""
    return _plain(dataclasses.asdict(config))


def flat(values: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Each value that is no mapping, under its dotted name."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """Where two nested mappings differ, as words: what is there, and what is asked here. Tuples are as lists."""
    found, asked = (flat(_plain(values)) for values in (there, here))
    keys = [key for key in {**found, **asked} if found.get(key) != asked.get(key)]
    return "; ".join(f"{key}: {found.get(key)!r} there, {asked.get(key)!r} asked" for key in keys)


def dump(config: Any, path: str | Path) -> None:
    """Write `config` as a ROS parameter file that `load` reads back."""
    Path(path).write_text(yaml.safe_dump({"/**": {"ros__parameters": to_dict(config)}}, sort_keys=False))


def _content(path: Path) -> dict[Any, Any]:
    try:
        content = yaml.safe_load(path.read_text())
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected a mapping of node names to ros__parameters, got {type(content).__name__}")
    return content


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _nest(values: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in values.items():
        for part in reversed(str(key).split(".")):
            value = {part: value}
        nested = merge(nested, value)
    return nested


def _nearest(cls: type, key: str) -> str:
    """The leaf that `key` may have meant, by its dotted name or its last part, as the end of a message."""
    names = [name for name, _, _ in leaves(cls)]
    spelled = {name.rpartition(".")[2]: name for name in names} | {name: name for name in names}
    spelled |= {f.name: f.name for f in dataclasses.fields(cls)}
    close = difflib.get_close_matches(key, spelled, n=1)
    return f"; did you mean '{spelled[close[0]]}'?" if close else ""


def _required(f: dataclasses.Field) -> bool:
    return f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING


def _convert(hint: Any, value: Any, f: dataclasses.Field, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where}: expected a mapping, got {value!r}")
        # What is left out stays as this field's own default has it, not as the class has it.
        default = None if f.default is dataclasses.MISSING else to_dict(f.default)
        return build(hint, merge(default or {}, _nest(value)), where)  # type: ignore[arg-type]
    converted = _typed(hint, value, where)
    _check_range(converted, f.metadata, where)
    return converted


def _typed(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _alternative(typing.get_args(hint), value, where)
    if origin is tuple:
        return _tuple(typing.get_args(hint), value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if not isinstance(value, hint) or (hint in (int, float) and isinstance(value, bool)):
        raise ConfigError(f"{where}: expected {hint.__name__}, got {type(value).__name__} {value!r}")
    return value


def _alternative(hints: tuple[Any, ...], value: Any, where: str) -> Any:
    """`value` as the first of `hints` it fits."""
    refusals = []
    for hint in hints:
        try:
            return _typed(hint, value, where)
        except ConfigError as error:
            refusals.append(error)
    if len(refusals) == 2 and types.NoneType in hints:
        raise refusals[hints.index(types.NoneType) - 1]  # of the other one
    names = " or ".join(getattr(hint, "__name__", str(hint)) for hint in hints)
    raise ConfigError(f"{where}: expected {names}, got {type(value).__name__} {value!r}")


def _tuple(items: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    """`value` as tuple[item, ...] or as a tuple of just these items."""
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"{where}: expected a list, got {value!r}")
    if items[-1] is Ellipsis:
        items = (items[0],) * len(value)
    if len(items) != len(value):
        raise ConfigError(f"{where}: expected {len(items)} values, got {len(value)}")
    return tuple(_typed(item, v, f"{where}[{i}]") for i, (item, v) in enumerate(zip(items, value)))


def _check_range(value: Any, metadata: Mapping[str, Any], where: str) -> None:
    if not metadata or value is None:
        return
    for item in value if isinstance(value, tuple) else (value,):
        if metadata["choices"] and item not in metadata["choices"]:
            raise ConfigError(f"{where}: expected one of {', '.join(metadata['choices'])}, got '{item}'")
        if isinstance(item, (int, float)) and not isinstance(item, bool):
            low, high = metadata["minimum"], metadata["maximum"]
            inside = (low is None or item >= low) and (high is None or item <= high)  # False for NaN
            if not inside or item != item:
                raise ConfigError(f"{where}: expected {_range(low, high)}, got {item}")


def _range(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return "a number"
    if low is None or high is None:
        return f"at most {high}" if low is None else f"at least {low}"
    return f"between {low} and {high}"
