"""Checkpoints of task policies: weights, and a card that says what they are for and how they came about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speedtune_ros.data.checkpoint_folder import check_required, read_content, read_weights, write_folder
from speedtune_ros.errors import CheckpointError

if TYPE_CHECKING:
    import torch  # only where weights are touched: the launch files read cards

REQUIRED = {"task", "profile", "policy", "kind", "horizon", "dt", "cameras", "normalisers", "config"}


@dataclass(frozen=True)
class CheckpointCard:
    """What a checkpoint is for and how it came about.

    policy: the name in policies.policy.LOADERS; kind: `command` or `state`; cameras: [height, width] by name;
    normalisers: mean and std by name; config: the network's; command, training, data: how it was made;
    hash: over card and weights, as written.
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
    hash: str = ""


def write_checkpoint(folder: str | Path, card: CheckpointCard, weights: Mapping[str, torch.Tensor]) -> None:
    """Write both files, each atomically; the weights in half precision, as they are to be used."""
    write_folder(folder, asdict(card), {name: tensor.half() for name, tensor in weights.items()})


def read_card(folder: str | Path) -> CheckpointCard:
    """The card alone, unverified against the weights: what is it for? Raises CheckpointError."""
    return _card(read_content(folder), Path(folder))


def read_checkpoint(
    folder: str | Path, policy: str = "", task: str = "", profile: str = ""
) -> tuple[CheckpointCard, dict[str, torch.Tensor]]:
    """Card and weights (float32). A non-empty `policy`, `task` or `profile` must be the checkpoint's own.

    Raises CheckpointError if a file is missing, truncated or altered, or the checkpoint is for something else.
    """
    content = read_content(folder)
    card = _card(content, Path(folder))
    for what, wanted, found in (
        ("policy", policy, card.policy), ("task", task, card.task), ("profile", profile, card.profile),
    ):  # fmt: skip
        if wanted and wanted != found:
            raise CheckpointError(f"{folder}: expected a checkpoint of {what} '{wanted}', this one is of '{found}'")
    return card, read_weights(folder, content)


def _card(content: dict[str, Any], folder: Path) -> CheckpointCard:
    known = {item.name for item in fields(CheckpointCard)}
    check_required(folder, content, REQUIRED)
    values = {key: value for key, value in content.items() if key in known}
    values["cameras"] = {name: (int(size[0]), int(size[1])) for name, size in content["cameras"].items()}
    return CheckpointCard(**values)
