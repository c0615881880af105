"""Action Chunking with Transformers: a conditional VAE whose decoder turns image tokens into a chunk.

Zhao et al. 2023, https://arxiv.org/abs/2304.13705, section IV and figure 4. Written for this package: layers
normalise before they act, there is no dropout (its random numbers took a third of a small network's step on a
CPU), and the backbone normalises by group because it is trained from nothing in small batches.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from speedtune_ros.aloha import NUM_JOINTS
from speedtune_ros.config import option


@dataclass(frozen=True)
class ActConfig:
    """Sizes of the network. The defaults are small: 15 ms an inference on one core is the bar."""

    horizon: int = option(100, "targets in a chunk", minimum=2)
    shrink: int = option(1, "images are averaged over squares of so many pixels before they are used", minimum=1)
    hidden: int = option(192, "width of every token", minimum=8)
    feedforward: int = option(512, "width inside the feed-forward blocks", minimum=8)
    heads: int = option(6, "attention heads", minimum=1)
    encoder_layers: int = option(3, "transformer layers over image tokens, joint state and style", minimum=1)
    decoder_layers: int = option(2, "transformer layers over the chunk's queries", minimum=1)
    style_layers: int = option(1, "transformer layers of the style encoder, used in training only", minimum=1)
    latent: int = option(32, "dimensions of the style variable z", minimum=1)
    stem_kernel: int = option(5, "kernel of the backbone's first convolution, which halves the image", minimum=3)
    stem_pool: bool = option(False, "halve the image once more by a maximum after the first convolution")
    stem_width: int = option(32, "channels after the first convolution", minimum=8)
    widths: tuple[int, ...] = option((64, 128), "channels of the backbone's stages, each halving the image", minimum=8)
    blocks: int = option(1, "residual blocks in each stage", minimum=1)

    def __post_init__(self) -> None:
        if self.hidden % (2 * self.heads):
            raise ValueError(f"hidden: expected a multiple of twice the heads ({2 * self.heads}), got {self.hidden}")
        if any(width % 8 for width in (self.stem_width, *self.widths)):
            raise ValueError(f"widths: expected multiples of 8, got {(self.stem_width, *self.widths)}")


class Attention(nn.Module):
    """Multi-head attention of `queries` (B, n, D) over `memory` (B, m, D); `keep` (B, m) False hides a token."""

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(hidden, hidden)
        self.key_value = nn.Linear(hidden, 2 * hidden)
        self.out = nn.Linear(hidden, hidden)

    def forward(self, queries: torch.Tensor, memory: torch.Tensor, keep: torch.Tensor | None = None) -> torch.Tensor:
        query = self._split(self.query(queries))
        key, value = (self._split(part) for part in self.key_value(memory).chunk(2, dim=-1))
        mask = None if keep is None else keep[:, None, None, :]
        # The fused kernel saves a sixth of an inference; its backward in bfloat16 on a CPU takes four times as long.
        mix = self._written_out if torch.is_grad_enabled() else functional.scaled_dot_product_attention
        return self.out(mix(query, key, value, mask).transpose(1, 2).flatten(2))

    @staticmethod
    def _written_out(
        query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        """(B, h, n, D/h) from queries (B, h, n, D/h), keys and values (B, h, m, D/h)."""
        scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5  # (B, h, n, m)
        if mask is not None:
            scores = scores.masked_fill(~mask, -math.inf)
        return torch.softmax(scores, -1) @ value

    def _split(self, tokens: torch.Tensor) -> torch.Tensor:
        return tokens.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class FeedForward(nn.Sequential):
    def __init__(self, hidden: int, inner: int) -> None:
        super().__init__(nn.LayerNorm(hidden), nn.Linear(hidden, inner), nn.ReLU(), nn.Linear(inner, hidden))


class EncoderLayer(nn.Module):
    def __init__(self, config: ActConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.hidden)
        self.attention = Attention(config.hidden, config.heads)
        self.feedforward = FeedForward(config.hidden, config.feedforward)

    def forward(self, tokens: torch.Tensor, keep: torch.Tensor | None = None) -> torch.Tensor:
        normed = self.norm(tokens)
        tokens = tokens + self.attention(normed, normed, keep)
        return tokens + self.feedforward(tokens)


class DecoderLayer(nn.Module):
    def __init__(self, config: ActConfig) -> None:
        super().__init__()
        self.norm, self.cross_norm = nn.LayerNorm(config.hidden), nn.LayerNorm(config.hidden)
        self.attention = Attention(config.hidden, config.heads)
        self.cross = Attention(config.hidden, config.heads)
        self.feedforward = FeedForward(config.hidden, config.feedforward)

    def forward(self, tokens: torch.Tensor, memory: torch.Tensor) -> torch.Tensor:
        normed = self.norm(tokens)
        tokens = tokens + self.attention(normed, normed)
        tokens = tokens + self.cross(self.cross_norm(tokens), memory)
        return tokens + self.feedforward(tokens)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, as in ResNet-18 (https://arxiv.org/abs/1512.03385)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.first_norm = nn.GroupNorm(8, outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.second_norm = nn.GroupNorm(8, outputs)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        inner = functional.relu(self.first_norm(self.first(maps)))
        return functional.relu(self.shortcut(maps) + self.second_norm(self.second(inner)))


class Backbone(nn.Module):
    """Images (B, 3, H, W) to tokens (B, n, D), one per cell of the last map, with their place in the image added."""

    def __init__(self, config: ActConfig) -> None:
        super().__init__()
        kernel, width = config.stem_kernel, config.stem_width
        layers: list[nn.Module] = [
            nn.Conv2d(3, width, kernel, 2, kernel // 2, bias=False),
            nn.GroupNorm(8, width),
            nn.ReLU(),
        ]
        if config.stem_pool:
            layers.append(nn.MaxPool2d(3, 2, 1))
        for stage, outputs in enumerate(config.widths):
            # As in ResNet, a stage right behind the pool keeps the size.
            stride = 1 if config.stem_pool and stage == 0 else 2
            for block in range(config.blocks):
                layers.append(ResidualBlock(width, outputs, stride if block == 0 else 1))
                width = outputs
        self.layers = nn.Sequential(*layers)
        self.project = nn.Conv2d(width, config.hidden, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.project(self.layers(images.contiguous(memory_format=torch.channels_last)))
        tokens = maps.flatten(2).transpose(1, 2)
        return tokens + place_code(maps.shape[2], maps.shape[3], tokens.shape[2], tokens.device).to(tokens)


def place_code(height: int, width: int, channels: int, device: torch.device) -> torch.Tensor:
    """Sines and cosines of row and column, half the channels each: (height * width, channels)."""
    quarter = channels // 4
    pace = torch.exp(
        -math.log(100.0) * torch.arange(quarter, device=device) / quarter
    )  # maps are at most tens of cells wide
    rows, columns = (torch.arange(n, device=device)[:, None] * pace for n in (height, width))
    row = torch.cat([rows.sin(), rows.cos()], 1)[:, None].expand(-1, width, -1)
    column = torch.cat([columns.sin(), columns.cos()], 1)[None].expand(height, -1, -1)
    return torch.cat([row, column], -1).flatten(0, 1)


class ActNetwork(nn.Module):
    """Normalised joint state, images and style in; normalised chunk out."""

    def __init__(self, config: ActConfig, cameras: int = 1) -> None:
        super().__init__()
        self.config = config
        hidden = config.hidden
        self.backbone = Backbone(config)
        self.camera_code = nn.Parameter(0.02 * torch.randn(cameras, 1, hidden))
        self.state_in = nn.Linear(NUM_JOINTS, hidden)
        self.no_state = nn.Parameter(0.02 * torch.randn(hidden))  # stands in where training hides the joint state
        self.latent_in = nn.Linear(config.latent, hidden)
        self.token_code = nn.Parameter(0.02 * torch.randn(2, hidden))  # of the joint state, of the style
        self.encoder = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))
        self.memory_norm = nn.LayerNorm(hidden)
        self.queries = nn.Parameter(0.02 * torch.randn(config.horizon, hidden))
        self.decoder = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        self.head = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, NUM_JOINTS))
        self.style = StyleEncoder(config)

    def see(self, images: torch.Tensor) -> torch.Tensor:
        """(B, ncam, H, W, 3) RGB, 0 to 255, to image tokens (B, ncam * n, D)."""
        batch, cameras = images.shape[:2]
        scaled = images.flatten(0, 1).permute(0, 3, 1, 2).float() / 127.5 - 1.0  # (B * ncam, 3, H, W)
        tokens = self.backbone(scaled).unflatten(0, (batch, cameras))  # (B, ncam, n, D)
        return (tokens + self.camera_code).flatten(1, 2)

    def decode(
        self, seen: torch.Tensor, qpos: torch.Tensor, latent: torch.Tensor, hidden_state: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Image tokens (B, n, D), joint state (B, 14) and style (B, latent) to a chunk (B, k, 14).

        hidden_state (B,): True where the joint state is withheld, so that the image must be read.
        """
        state = self.state_in(qpos)
        if hidden_state is not None:
            state = torch.where(hidden_state[:, None], self.no_state.to(state), state)
        own = torch.stack([state, self.latent_in(latent)], 1) + self.token_code
        memory = torch.cat([own, seen], 1)
        for layer in self.encoder:
            memory = layer(memory)
        memory = self.memory_norm(memory)
        chunk = self.queries.expand(len(qpos), -1, -1)
        for layer in self.decoder:
            chunk = layer(chunk, memory)
        return self.head(chunk)


class StyleEncoder(nn.Module):
    """The variational encoder: a joint state and the chunk that followed, to mean and log variance of z."""

    def __init__(self, config: ActConfig) -> None:
        super().__init__()
        self.state_in = nn.Linear(NUM_JOINTS, config.hidden)
        self.target_in = nn.Linear(NUM_JOINTS, config.hidden)
        self.summary = nn.Parameter(0.02 * torch.randn(config.hidden))
        self.places = nn.Parameter(0.02 * torch.randn(config.horizon + 2, config.hidden))
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.style_layers))
        self.out = nn.Linear(config.hidden, 2 * config.latent)

    def forward(
        self, qpos: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, 14), (B, k, 14) and mask (B, k) to (B, latent) twice."""
        summary = self.summary.expand(len(qpos), 1, -1)
        tokens = torch.cat([summary, self.state_in(qpos)[:, None], self.target_in(targets)], 1) + self.places
        keep = functional.pad(mask, (2, 0), value=True)
        for layer in self.layers:
            tokens = layer(tokens, keep)
        mean, log_variance = self.out(tokens[:, 0]).chunk(2, dim=-1)
        return mean, log_variance
