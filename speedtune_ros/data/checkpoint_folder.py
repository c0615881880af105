"""Checkpoint folders: `model.safetensors` and `checkpoint.json`. Nothing in them is ever executed.

The JSON says what the weights are for and how they were made; it carries a hash over itself and the weights, so that
neither can be truncated or altered unnoticed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speedtune_ros.errors import CheckpointError

if TYPE_CHECKING:
    import torch  # here and below only where weights are touched: the launch files read cards

WEIGHTS = "model.safetensors"
CARD = "checkpoint.json"


def write_folder(folder: str | Path, content: Mapping[str, Any], weights: Mapping[str, torch.Tensor]) -> None:
    """Write both files, each atomically: `content` with its hash, and the weights as they are."""
    from safetensors.torch import save

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    blob = save({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()})
    card = {key: value for key, value in content.items() if key != "hash"}
    replace_file(folder / WEIGHTS, blob)
    replace_file(folder / CARD, (json.dumps({**card, "hash": _hash(card, blob)}, indent=2) + "\n").encode())


def read_content(folder: str | Path) -> dict[str, Any]:
    """The JSON alone, unverified against the weights. Raises CheckpointError."""
    path = Path(folder) / CARD
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise CheckpointError(f"{path}: truncated or not JSON: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: expected an object, found {type(content).__name__}")
    return content


def read_weights(folder: str | Path, content: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The weights (float32) that belong to `content`. Raises CheckpointError if they were truncated or altered."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    path = Path(folder) / WEIGHTS
    try:
        blob = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
    found = _hash({key: value for key, value in content.items() if key != "hash"}, blob)
    if found != content.get("hash"):
        raise CheckpointError(
            f"{folder}: truncated or altered: {CARD} says hash {content.get('hash')}, {WEIGHTS} "
            f"({len(blob)} bytes) and card give {found}"
        )
    try:
        weights = load(blob)
    except SafetensorError as error:
        raise CheckpointError(f"{path}: not safetensors: {error}") from error
    return {name: tensor.float() for name, tensor in weights.items()}


def check_required(folder: str | Path, content: Mapping[str, Any], required: set[str]) -> None:
    """Raise CheckpointError that names which of the `required` keys are missing."""
    missing = sorted(required - set(content))
    if missing:
        path = Path(folder) / CARD
        raise CheckpointError(f"{path}: expected {', '.join(sorted(required))}; missing {', '.join(missing)}")


def replace_file(path: Path, data: bytes) -> None:
    """Write `data` to `path` whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(data)
    os.replace(partial, path)


def _hash(content: Mapping[str, Any], blob: bytes) -> str:
    # Through JSON once, so that tuples written and lists read back hash alike.
    canonical = json.dumps(json.loads(json.dumps(content)), sort_keys=True).encode()
    return hashlib.sha256(canonical + hashlib.sha256(blob).digest()).hexdigest()
