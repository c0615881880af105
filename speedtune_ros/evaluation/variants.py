"""Which ablations there are: what each one changes of the configuration that speed policies are trained with."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from speedtune_ros.config import build, flat, merge, read_parameters, to_dict
from speedtune_ros.errors import ConfigError, UnknownNameError

NODE = "ablate"
FULL = "full method"
LONGEST = 120  # characters of a folder's name


@dataclass(frozen=True)
class Variant:
    """One row of the table: changes (nested) of the training configuration, none for the full method itself."""

    group: str
    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)


def read_variants(path: Path) -> list[Variant]:
    """All of a file: groups of named changes, the full method before them. Raises ConfigError."""
    groups = read_parameters(path, NODE)
    variants = [Variant("", FULL)]
    for group, members in groups.items():
        if not isinstance(members, Mapping) or not members:
            raise ConfigError(f"{path}: {group}: expected variants by name, got {members!r}")
        for name, changes in members.items():
            if not isinstance(changes or {}, Mapping):
                raise ConfigError(f"{path}: {group}: {name}: expected parameters by name, got {changes!r}")
            variants.append(Variant(str(group), str(name), nested(changes or {})))
    return variants


def select(variants: Sequence[Variant], groups: Sequence[str]) -> list[Variant]:
    """Those of `groups` and the full method they are compared with; all if no group is named.

    Raises UnknownNameError.
    """
    known = list(dict.fromkeys(variant.group for variant in variants if variant.group))
    for group in groups:
        if group not in known:
            raise UnknownNameError("ablation", group, known)
    return [variant for variant in variants if not groups or variant.group in ("", *groups)]


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with dotted names taken apart, at every depth."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        inner = nested(value) if isinstance(value, Mapping) else value
        for part in reversed(str(key).split(".")):
            inner = {part: inner}
        result = merge(result, inner)
    return result


def changed(config: Any, variant: Variant) -> Any:
    """`config`, a configuration, as `variant` has it. Raises ConfigError that names the variant."""
    where = f"{variant.group}: {variant.name}" if variant.group else variant.name
    return build(type(config), merge(to_dict(config), variant.changes), where)


def label(full: Any, config: Any) -> str:
    """A name for a folder that says how `config` differs from `full`; `full` if it does not.

    Two variants that come to the same configuration get the same name, and so are trained once.
    """
    before, after = flat(to_dict(full)), flat(to_dict(config))
    words = ",".join(f"{key}={after[key]}" for key in after if after[key] != before.get(key))
    text = re.sub(r"[^\w.=,-]+", "-", words).strip("-") or "full"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}-{hashlib.sha256(words.encode()).hexdigest()[:8]}"
