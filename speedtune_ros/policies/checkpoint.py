"""Checkpoints: a folder with `model.safetensors` and `checkpoint.json`. Nothing in them is ever executed.

The JSON says what the weights are for (task, dynamics profile, policy, target kind), how to feed them, and how they
were made; it carries a hash over itself and the weights, so that neither can be truncated or altered unnoticed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speedtune_ros.errors import CheckpointError

if TYPE_CHECKING:
    import torch  # here and below only where weights are touched: the launch files read cards

WEIGHTS = "model.safetensors"
CARD = "checkpoint.json"


@dataclass(frozen=True)
class CheckpointCard:
    """What a checkpoint is for and how it came about.

    policy: the name in policies.policy.LOADERS; kind: `command` or `state`; cameras: [height, width] by name;
    normalisers: mean and std by name; config: the network's; command, training, data: how it was made.
    """

    task: str
    profile: str
    policy: str
    kind: str
    horizon: int
    dt: float
    cameras: Mapping[str, tuple[int, int]]
    normalisers: Mapping[str, Mapping[str, list[float]]]
    config: Mapping[str, Any]
    command: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    package_version: str = ""


def write_checkpoint(folder: str | Path, card: CheckpointCard, weights: Mapping[str, torch.Tensor]) -> None:
    """Write both files, each atomically; the weights in half precision, as they are to be used."""
    from safetensors.torch import save

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    blob = save({name: tensor.detach().cpu().half().contiguous() for name, tensor in weights.items()})
    content = asdict(card)
    content["hash"] = _hash(content, blob)
    _replace(folder / WEIGHTS, blob)
    _replace(folder / CARD, (json.dumps(content, indent=2) + "\n").encode())


def read_card(folder: str | Path) -> CheckpointCard:
    """The card alone, unverified against the weights: what is it for? Raises CheckpointError."""
    return _card(_read_json(Path(folder)), Path(folder))


def read_checkpoint(
    folder: str | Path, policy: str = "", task: str = "", profile: str = ""
) -> tuple[CheckpointCard, dict[str, torch.Tensor]]:
    """Card and weights (float32). A non-empty `policy`, `task` or `profile` must be the checkpoint's own.

    Raises CheckpointError if a file is missing, truncated or altered, or the checkpoint is for something else.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    folder = Path(folder)
    content = _read_json(folder)
    card = _card(content, folder)
    for what, wanted, found in (
        ("policy", policy, card.policy), ("task", task, card.task), ("profile", profile, card.profile),
    ):  # fmt: skip
        if wanted and wanted != found:
            raise CheckpointError(f"{folder}: expected a checkpoint of {what} '{wanted}', this one is of '{found}'")
    try:
        blob = (folder / WEIGHTS).read_bytes()
    except OSError as error:
        raise CheckpointError(f"{folder / WEIGHTS}: cannot be read: {error.strerror}") from error
    found_hash = _hash({key: value for key, value in content.items() if key != "hash"}, blob)
    if found_hash != content.get("hash"):
        raise CheckpointError(
            f"{folder}: truncated or altered: {CARD} says hash {content.get('hash')}, {WEIGHTS} "
            f"({len(blob)} bytes) and card give {found_hash}"
        )
    try:
        weights = load(blob)
    except SafetensorError as error:
        raise CheckpointError(f"{folder / WEIGHTS}: not safetensors: {error}") from error
    return card, {name: tensor.float() for name, tensor in weights.items()}


def _read_json(folder: Path) -> dict[str, Any]:
    path = folder / CARD
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise CheckpointError(f"{path}: truncated or not JSON: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: expected an object, found {type(content).__name__}")
    return content


def _card(content: dict[str, Any], folder: Path) -> CheckpointCard:
    known = {item.name for item in fields(CheckpointCard)}
    required = {"task", "profile", "policy", "kind", "horizon", "dt", "cameras", "normalisers", "config"}
    missing = sorted(required - set(content))
    if missing:
        raise CheckpointError(f"{folder / CARD}: expected {', '.join(sorted(required))}; missing {', '.join(missing)}")
    values = {key: value for key, value in content.items() if key in known}
    values["cameras"] = {name: (int(size[0]), int(size[1])) for name, size in content["cameras"].items()}
    return CheckpointCard(**values)


def _hash(content: Mapping[str, Any], blob: bytes) -> str:
    # Through JSON once, so that tuples written and lists read back hash alike.
    canonical = json.dumps(json.loads(json.dumps(content)), sort_keys=True).encode()
    return hashlib.sha256(canonical + hashlib.sha256(blob).digest()).hexdigest()


def _replace(path: Path, data: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(data)
    os.replace(partial, path)
