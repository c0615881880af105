"""Where a training run stands, as one safetensors file: arrays and tensors as they are, everything else as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from speedtune_ros.data.checkpoint_folder import replace_file
from speedtune_ros.errors import CheckpointError

STATE = "state.safetensors"  # its name in a run's folder
_ARRAY, _TENSOR, _ITEMS = "__array__", "__tensor__", "__items__"
_PLAN = "plan"


def write_tree(path: str | Path, tree: Mapping[str, Any]) -> None:
    """Write nested mappings and lists of arrays, tensors and plain values, whole or not at all."""
    from safetensors.torch import save

    tensors: dict[str, torch.Tensor] = {}
    plan = json.dumps(_pack(tree, tensors))
    replace_file(Path(path), save(tensors, {_PLAN: plan}))


def read_tree(path: str | Path) -> dict[str, Any]:
    """What `write_tree` wrote, equal to the bit. Raises CheckpointError if there is nothing, or it was truncated."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), "pt") as file:
            tensors = {name: file.get_tensor(name) for name in list(file.keys())}
            plan = json.loads((file.metadata() or {})[_PLAN])
    except OSError as error:
        raise CheckpointError(f"{path}: no training run to resume: {error}") from error
    except (SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(f"{path}: truncated, or no training state: {error}") from error
    return _unpack(plan, tensors)


def _pack(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """`value` as JSON; its arrays and tensors go into `tensors` and leave their name."""
    if isinstance(value, (np.ndarray, torch.Tensor)):
        name = str(len(tensors))
        if isinstance(value, np.ndarray):
            tensors[name] = torch.from_numpy(value.copy())  # no two may share memory
            return {_ARRAY: name}
        tensors[name] = value.detach().cpu().clone().contiguous()
        return {_TENSOR: name}
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value):
            return {key: _pack(item, tensors) for key, item in value.items()}
        return {_ITEMS: [[key, _pack(item, tensors)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_pack(item, tensors) for item in value]
    return value


def _unpack(value: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    if isinstance(value, list):
        return [_unpack(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if _TENSOR in value:
        return tensors[value[_TENSOR]]
    if _ARRAY in value:
        return tensors[value[_ARRAY]].numpy()
    if _ITEMS in value:
        return {key: _unpack(item, tensors) for key, item in value[_ITEMS]}
    return {key: _unpack(item, tensors) for key, item in value.items()}
