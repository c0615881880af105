"""An image encoder that is trained with the agent, in place of the task policy's frozen one.

Images are kept small and as bytes from observation to replay; only a batch on its way through the network becomes
floating point. Mnih et al. 2015, https://doi.org/10.1038/nature14236: values straight from pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from speedtune_ros.config import option
from speedtune_ros.data.shrink import shrink
from speedtune_ros.errors import CheckpointError, ConfigError, InvalidInputError
from speedtune_ros.types import Query

CHANNELS = 3  # RGB
KERNELS, STRIDES = (
    (4, 3, 3),
    (4, 2, 2),
)  # the first convolution looks at patches: a third of the cost of overlapping ones


@dataclass(frozen=True)
class OwnEncoderConfig:
    """The encoder. It exists where `shape` is given; training fills that in from the cameras it has."""

    shape: tuple[int, ...] = option(
        (), "cameras, height and width of the images it sees; none: no own encoder", minimum=1
    )
    widths: tuple[int, ...] = option((16, 32, 32), "channels after each of its three convolutions", minimum=1)
    size: int = option(32, "numbers an observation's images become", minimum=1)
    weights: str = option("", "safetensors file of an encoder trained before, to begin from; none: begin from nothing")
    frozen: bool = option(False, "leave the encoder as it begins")

    def __post_init__(self) -> None:
        if len(self.shape) not in (0, 3) or len(self.widths) != len(KERNELS):
            raise ValueError(
                f"encoder: expected a shape of cameras, height and width and {len(KERNELS)} widths, "
                f"got {self.shape} and {self.widths}"
            )

    @property
    def pixels(self) -> int:
        """Bytes an observation: cameras * height * width * 3, 0 without an own encoder."""
        return CHANNELS * int(np.prod(self.shape)) if self.shape else 0

    def encoded(self, features: int) -> int:
        """Numbers a decision after encoding, where there were `features`, pixels included."""
        return features - self.pixels + self.size if self.shape else features


class SmallImages:
    """The images of queries to bytes (B, ncam * height * width * 3), as FeatureStack takes them.

    cameras: (height, width) by name, all alike; height [px]: what they are shrunk to. Raises ConfigError for a height
    that does not divide theirs.
    """

    def __init__(self, cameras: Mapping[str, tuple[int, int]], height: int) -> None:
        sizes = set(cameras.values())
        if len(sizes) != 1:
            raise ConfigError(f"own encoder: expected cameras of one size, got {dict(cameras) or 'none'}")
        (self._size,) = sizes
        self._cameras = tuple(cameras)
        self._factor = self._size[0] // height if height else 0
        if not self._factor or self._factor * height != self._size[0] or self._size[1] % self._factor:
            raise ConfigError(f"own encoder: expected a height that divides {self._size} evenly, got {height}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Cameras, height and width."""
        return len(self._cameras), self._size[0] // self._factor, self._size[1] // self._factor

    def __call__(self, queries: Sequence[Query]) -> np.ndarray:
        """(B, P) uint8. Raises InvalidInputError for a missing or wrong image."""
        return np.stack([np.concatenate([self._image(query, name) for name in self._cameras]) for query in queries])

    def _image(self, query: Query, camera: str) -> np.ndarray:
        found = query.observation.images
        if camera not in found:
            raise InvalidInputError(f"image '{camera}': expected by the speed policy, got {', '.join(found) or 'none'}")
        image = found[camera]
        if image.shape != (*self._size, CHANNELS) or image.dtype != np.uint8:
            expected = f"{(*self._size, CHANNELS)} uint8"
            raise InvalidInputError(f"image '{camera}': expected {expected}, got {image.shape} {image.dtype}")
        return shrink(image, self._factor).ravel()


class OwnEncoder(nn.Module):
    """Pixels (n, P) 0 to 255 to numbers (n, size): three convolutions over each camera, one layer over all."""

    def __init__(self, config: OwnEncoderConfig) -> None:
        super().__init__()
        self._shape = config.shape
        layers: list[nn.Module] = []
        channels = CHANNELS
        for width, kernel, stride in zip(config.widths, KERNELS, STRIDES):
            layers += [nn.Conv2d(channels, width, kernel, stride, padding=(kernel - stride + 1) // 2), nn.ReLU()]
            channels = width
        self.convolutions = nn.Sequential(*layers, nn.Flatten())
        cameras, height, width = config.shape
        with torch.no_grad():
            flat = self.convolutions(torch.zeros(1, CHANNELS, height, width)).shape[1]
        # Normalised, so that images neither drown the joint state nor vanish beside it, whatever the scene's contrast.
        self.project = nn.Sequential(nn.Linear(cameras * flat, config.size), nn.LayerNorm(config.size))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        cameras, height, width = self._shape
        images = pixels.reshape(-1, height, width, CHANNELS).permute(0, 3, 1, 2) / 255.0 - 0.5
        return self.project(self.convolutions(images).reshape(len(pixels), -1))


class EncodedStates(nn.Module):
    """States (B, k, F + P) whose last P numbers are pixels to states (B, k, F + size)."""

    def __init__(self, config: OwnEncoderConfig) -> None:
        super().__init__()
        self._pixels = config.pixels
        self.encoder = OwnEncoder(config)
        if config.weights:
            load_encoder(self.encoder, config.weights)
        self.encoder.requires_grad_(not config.frozen)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        numbers, pixels = states[..., : -self._pixels], states[..., -self._pixels :]
        encoded = self.encoder(pixels.flatten(0, 1)).unflatten(0, states.shape[:2])
        return torch.cat([numbers, encoded], -1)


def load_encoder(encoder: nn.Module, path: str | Path) -> None:
    """Take over the weights in a safetensors file, under their own names or those of a speed policy's checkpoint.

    Raises CheckpointError if the file cannot be read or is of another encoder.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        found = load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: expected the weights of an image encoder: {error}") from error
    own = {name.rpartition("encoder.")[2]: tensor.float() for name, tensor in found.items()}
    try:
        encoder.load_state_dict({name: own[name] for name in encoder.state_dict() if name in own})
    except RuntimeError as error:
        raise CheckpointError(f"{path}: not the weights of this image encoder: {error}") from error
