"""ACT as a task policy: images and joint state in, a chunk of joint targets out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from speedtune_ros import config as configuration
from speedtune_ros.data.normaliser import Normaliser
from speedtune_ros.data.shrink import shrink
from speedtune_ros.errors import CheckpointError, ConfigError, InvalidInputError
from speedtune_ros.policies.act_network import ActConfig, ActNetwork
from speedtune_ros.policies.checkpoint import CheckpointCard, read_checkpoint
from speedtune_ros.policies.policy import PolicyInfo
from speedtune_ros.types import Chunk, Episode, Observation, Query, TargetKind


class ActPolicy:
    """A trained ActNetwork behind the Policy interface.

    Candidate 0 takes the style z = 0, ACT's choice at run time and the most typical; the others z ~ N(0, I) from a
    generator seeded by the episode.
    """

    def __init__(self, network: ActNetwork, card: CheckpointCard, device: str = "cpu") -> None:
        self._device = torch.device(device)
        self._network = network.eval().requires_grad_(False).to(self._device)
        self._states, self._targets = (Normaliser.from_dict(card.normalisers[name]) for name in ("states", "targets"))
        self._generators: dict[int, np.random.Generator] = {}
        self._seen: tuple[list[Observation], torch.Tensor] = [], torch.empty(0)
        self._info = PolicyInfo(
            name=card.policy,
            task=card.task,
            profile=card.profile,
            horizon=card.horizon,
            dt=card.dt,
            cameras=dict(card.cameras),
            kind=TargetKind(card.kind),
            stochastic=True,
            digest=card.hash,
        )

    @property
    def info(self) -> PolicyInfo:
        return self._info

    def reset(self, episode: Episode, slot: int = 0) -> None:
        self._generators[slot] = np.random.default_rng(episode.seed)

    def infer(self, queries: Mapping[int, Query], candidates: int = 1) -> dict[int, Chunk]:
        """A chunk (candidates, k, 14) for each slot's query. Raises InvalidInputError on a wrong image or slot."""
        if candidates < 1:
            raise InvalidInputError(f"candidates: expected at least 1, got {candidates}")
        if not queries:
            return {}
        qpos = torch.from_numpy(self._states.normalise(np.stack([q.observation.state.qpos for q in queries.values()])))
        latent = torch.from_numpy(np.concatenate([self._styles(slot, candidates) for slot in queries]))
        with torch.inference_mode():
            seen = self.see(list(queries.values())).repeat_interleave(candidates, 0)
            state = qpos.to(self._device).repeat_interleave(candidates, 0)
            chunks = self._network.decode(seen, state, latent.to(self._device)).float().cpu().numpy()
        targets = self._targets.restore(chunks).reshape(len(queries), candidates, *chunks.shape[1:])
        return {
            slot: Chunk(query.observation.stamp_ns, targets[row], self._info.dt, self._info.kind, self._info.name)
            for row, (slot, query) in enumerate(queries.items())
        }

    def see(self, queries: Sequence[Query]) -> torch.Tensor:
        """What the image encoder makes of each query's cameras: tokens (B, ncam * n, D), camera by camera, row by row.

        Those of the last batch are kept, so that a speed policy that sees the same queries costs no second pass.
        Raises InvalidInputError on a wrong image.
        """
        observations = [query.observation for query in queries]
        known, tokens = self._seen
        if len(known) == len(observations) and all(a is b for a, b in zip(known, observations)):
            return tokens
        images = torch.from_numpy(np.stack([self._images(query) for query in queries]))
        with torch.inference_mode():
            tokens = self._network.see(images.to(self._device))
        self._seen = observations, tokens
        return tokens

    def _images(self, query: Query) -> np.ndarray:
        """The cameras of one observation, shrunk and stacked: (ncam, h, w, 3) uint8."""
        found = query.observation.images
        for camera, (height, width) in self._info.cameras.items():
            if camera not in found:
                raise InvalidInputError(f"image '{camera}': expected by the policy, got {', '.join(found) or 'none'}")
            image = found[camera]
            if image.shape != (height, width, 3) or image.dtype != np.uint8:
                expected = f"({height}, {width}, 3) uint8"
                raise InvalidInputError(f"image '{camera}': expected {expected}, got {image.shape} {image.dtype}")
        return np.stack([shrink(found[camera], self._network.config.shrink) for camera in self._info.cameras])

    def _styles(self, slot: int, candidates: int) -> np.ndarray:
        """(candidates, latent): zeros, then samples."""
        latent = self._network.config.latent
        typical = np.zeros((1, latent), np.float32)
        if candidates == 1:
            return typical
        if slot not in self._generators:
            raise InvalidInputError(f"slot {slot}: expected reset() with an episode before its candidates are drawn")
        sampled = self._generators[slot].standard_normal((candidates - 1, latent), np.float32)
        return np.concatenate([typical, sampled])


def load(path: str | Path, task: str = "", profile: str = "", device: str = "cpu") -> ActPolicy:
    """The policy of a checkpoint folder, which must be of `task` and `profile` where these are given.

    Raises CheckpointError if it is truncated, altered, of another policy, task or profile, or does not fit.
    """
    card, weights = read_checkpoint(path, "act", task, profile)
    try:
        config = configuration.build(ActConfig, card.config, f"{path}: config")
        network = ActNetwork(config, len(card.cameras))
        network.load_state_dict(weights)
    except (ConfigError, RuntimeError) as error:
        raise CheckpointError(f"{path}: the weights do not fit the network: {error}") from error
    return ActPolicy(network, card, device)
