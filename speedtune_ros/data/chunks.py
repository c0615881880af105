"""Demonstrations as training samples: one observation and the k targets that follow it.

All frames stay in memory as uint8 tensors, on the training device, and a batch is a handful of gathers: at these
image sizes a process pool of loaders would cost more than it feeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from speedtune_ros.data.episode_file import EpisodeData, read_episode
from speedtune_ros.data.normaliser import Normaliser
from speedtune_ros.data.shrink import shrink
from speedtune_ros.errors import DataError
from speedtune_ros.types import TargetKind


@dataclass(frozen=True)
class ChunkBatch:
    """B samples. images: (B, ncam, H, W, 3), 0 to 255; qpos (B, 14), targets (B, k, 14), both normalised;
    mask (B, k): False where the demonstration had ended and the target repeats the last one."""

    images: torch.Tensor
    qpos: torch.Tensor
    targets: torch.Tensor
    mask: torch.Tensor


class ChunkDataset:
    """Every step of some episodes as a sample. Holds frames (N, ncam, h, w, 3) uint8 and series (N, 14)."""

    def __init__(
        self,
        paths: Sequence[Path],
        cameras: Sequence[str],
        horizon: int,
        kind: TargetKind = TargetKind.COMMAND,
        shrinking: int = 1,
        progress: bool = False,
    ) -> None:
        self.paths, self.cameras, self.horizon, self.kind = tuple(paths), tuple(cameras), horizon, kind
        self.task, self.profile = "", ""
        images, qpos, targets, lengths = [], [], [], []
        size: tuple[int, int] | None = None
        for path in tqdm(self.paths, desc="read episodes", unit="ep", disable=not progress):
            episode = read_episode(path, self.cameras, size)
            self._same_origin(episode, path)
            size = next(iter(episode.images.values())).shape[1:3]
            frames = np.stack([shrink(episode.images[camera], shrinking) for camera in self.cameras], axis=1)
            images.append(torch.from_numpy(frames))
            qpos.append(episode.qpos)
            targets.append(_targets(episode, kind, path))
            lengths.append(episode.steps)
        assert size is not None
        self.image_size = size  # in the files
        self.images = torch.cat(images)
        self.qpos = torch.from_numpy(np.concatenate(qpos)).float()
        self.targets = torch.from_numpy(np.concatenate(targets)).float()
        ends = np.cumsum(lengths)
        self.last = torch.from_numpy(np.repeat(ends - 1, lengths))  # (N,) last step of each step's episode
        self.steps = torch.from_numpy(np.concatenate([np.arange(n) for n in lengths]))  # (N,) step in the episode

    def __len__(self) -> int:
        return len(self.qpos)

    def normalisers(self) -> tuple[Normaliser, Normaliser]:
        """Fitted to this set: (of joint states, of targets)."""
        return Normaliser.fit(self.qpos.cpu().numpy()), Normaliser.fit(self.targets.cpu().numpy())

    def normalise(self, states: Normaliser, targets: Normaliser) -> None:
        """Scale the stored series once, so that batches come out normalised."""
        self.qpos = torch.from_numpy(states.normalise(self.qpos.cpu().numpy()))
        self.targets = torch.from_numpy(targets.normalise(self.targets.cpu().numpy()))

    def to(self, device: torch.device) -> None:
        for name in ("images", "qpos", "targets", "last", "steps"):
            setattr(self, name, getattr(self, name).to(device))

    def batch(self, samples: torch.Tensor) -> ChunkBatch:
        """The samples with the given indices (B,) into all steps."""
        rows = samples[:, None] + torch.arange(self.horizon, device=samples.device)  # (B, k)
        last = self.last[samples][:, None]
        targets = self.targets[torch.minimum(rows, last)]
        return ChunkBatch(self.images[samples], self.qpos[samples], targets, rows <= last)

    def _same_origin(self, episode: EpisodeData, path: Path) -> None:
        origin = (episode.origin.task, episode.origin.profile)
        if path == self.paths[0]:
            self.task, self.profile = origin
        elif origin != (self.task, self.profile):
            expected = f"task '{self.task}' and profile '{self.profile}' as in {self.paths[0].name}"
            raise DataError(f"{path}: expected {expected}, found '{origin[0]}' and '{origin[1]}'")


def _targets(episode: EpisodeData, kind: TargetKind, path: Path) -> np.ndarray:
    if kind is TargetKind.COMMAND:
        return episode.action
    if episode.reached_qpos is None:
        raise DataError(f"{path}: /reached/qpos: expected shape ({episode.steps}, 14) to train on states, found none")
    return episode.reached_qpos


class StepSampler:
    """Draws steps with replacement, those before `early_steps` `early_weight` times as often."""

    def __init__(self, dataset: ChunkDataset, early_steps: int, early_weight: float, device: torch.device) -> None:
        weights = torch.where(dataset.steps.cpu() < early_steps, early_weight, 1.0).double()
        cumulative = torch.cumsum(weights, 0)
        self._cumulative = (cumulative / cumulative[-1]).float().to(device)

    def draw(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """(count,) indices."""
        uniform = torch.rand(count, generator=generator, device=self._cumulative.device)
        return torch.searchsorted(self._cumulative, uniform).clamp_(max=len(self._cumulative) - 1)
