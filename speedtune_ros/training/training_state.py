"""Where a training run stands, as one safetensors file: weights, their average, optimiser, random numbers, step."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from speedtune_ros.errors import CheckpointError

STATE = "state.safetensors"


def write_state(
    folder: str | Path,
    step: int,
    network: torch.nn.Module,
    average: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
) -> None:
    """Write everything a run needs to go on exactly, atomically."""
    tensors = {"step": torch.tensor(step), "generator": generator.get_state()}
    for prefix, module in (("network", network), ("average", average)):
        tensors |= {f"{prefix}.{name}": value for name, value in module.state_dict().items()}
    for index, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{name}": value for name, value in moments.items()}
    path = Path(folder) / STATE
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(save({name: value.detach().cpu().contiguous() for name, value in tensors.items()}))
    os.replace(partial, path)


def read_state(
    folder: str | Path,
    network: torch.nn.Module,
    average: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
) -> int:
    """Put a run back where `write_state` left it and return its step. Raises CheckpointError if it does not fit."""
    path = Path(folder) / STATE
    try:
        tensors = load(path.read_bytes())
        for prefix, module in (("network.", network), ("average.", average)):
            named = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
            module.load_state_dict(named)
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith("optimiser."):
                _, index, moment = name.split(".")
                moments.setdefault(int(index), {})[moment] = value
        optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})
        generator.set_state(tensors["generator"])
        return int(tensors["step"])
    except OSError as error:
        raise CheckpointError(f"{path}: no training run to resume: {error.strerror}") from error
    except (SafetensorError, KeyError, RuntimeError) as error:
        raise CheckpointError(f"{path}: truncated, or of another configuration or device: {error}") from error
