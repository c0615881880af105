"""Checkpoints: what is written is read, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from speedtune_ros.errors import CheckpointError
from speedtune_ros.policies.checkpoint import CheckpointCard, read_card, read_checkpoint, write_checkpoint

CARD = CheckpointCard(
    task="transfer_cube",
    profile="act",
    policy="act",
    kind="command",
    horizon=8,
    dt=0.02,
    cameras={"top": (24, 32)},
    normalisers={"states": {"mean": [0.1], "std": [1.0]}},
    config={"hidden": 16, "widths": (8, 16)},
    command="speedtune train act --data demos",
)
WEIGHTS = {"a.weight": torch.tensor([[0.5, -2.0], [0.25, 3.0]]), "b": torch.tensor([1.0])}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_checkpoint(tmp_path / "act", CARD, WEIGHTS)
    return tmp_path / "act"


def test_round_trip(folder: Path) -> None:
    card, weights = read_checkpoint(folder, "act", "transfer_cube", "act")
    assert (card.cameras, card.command, card.dt) == ({"top": (24, 32)}, CARD.command, 0.02)
    assert card.config["widths"] == [8, 16]
    assert {name: tensor.tolist() for name, tensor in weights.items()} == {n: t.tolist() for n, t in WEIGHTS.items()}
    assert all(tensor.dtype is torch.float32 for tensor in weights.values())
    assert read_card(folder) == card


def test_weights_are_stored_in_half_precision(folder: Path) -> None:
    assert (folder / "model.safetensors").stat().st_size < 4 * 5 + 300


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"task": "insertion"}, "expected a checkpoint of task 'insertion', this one is of 'transfer_cube'"),
        ({"profile": "hardware"}, "expected a checkpoint of profile 'hardware', this one is of 'act'"),
        ({"policy": "oft"}, "expected a checkpoint of policy 'oft', this one is of 'act'"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused_with_both_names(
    folder: Path, asked: dict[str, str], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(folder, **asked)


@pytest.mark.parametrize("keep", [0, 7, 100, -1])
def test_truncated_weights_are_refused(folder: Path, keep: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="truncated or altered: checkpoint.json says hash"):
        read_checkpoint(folder)


def test_one_altered_bit_is_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="truncated or altered"):
        read_checkpoint(folder)


def test_an_altered_card_is_refused(folder: Path) -> None:
    path = folder / "checkpoint.json"
    content = json.loads(path.read_text())
    content["normalisers"]["states"]["mean"] = [0.2]
    path.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="truncated or altered"):
        read_checkpoint(folder)


def test_a_truncated_card_is_refused(folder: Path) -> None:
    path = folder / "checkpoint.json"
    path.write_text(path.read_text()[:40])
    with pytest.raises(CheckpointError, match="checkpoint.json: truncated or not JSON"):
        read_checkpoint(folder)


def test_a_card_without_its_entries_is_refused(folder: Path) -> None:
    (folder / "checkpoint.json").write_text('{"task": "transfer_cube"}')
    with pytest.raises(CheckpointError, match="missing cameras, config, dt"):
        read_card(folder)


def test_missing_files_are_named(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(CheckpointError, match="none/checkpoint.json: cannot be read: No such file"):
        read_checkpoint(tmp_path / "none")
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="model.safetensors: cannot be read: No such file"):
        read_checkpoint(folder)
