"""Training ACT: sample, predict, L1 + KL, step. Everything that decides the result is in ActTrainConfig."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from torch.optim.swa_utils import get_ema_multi_avg_fn
from tqdm import tqdm

from speedtune_ros import __version__
from speedtune_ros import config as configuration
from speedtune_ros.aloha import CONTROL_DT, NUM_JOINTS
from speedtune_ros.config import option
from speedtune_ros.data.chunks import ChunkBatch, ChunkDataset, StepSampler
from speedtune_ros.data.episode_file import episode_paths, read_origin
from speedtune_ros.errors import CheckpointError, DataError
from speedtune_ros.policies.act_network import ActConfig, ActNetwork
from speedtune_ros.policies.checkpoint import CheckpointCard, write_checkpoint
from speedtune_ros.training.run_folder import RunLog, begin_run
from speedtune_ros.training.state_file import STATE, read_tree, write_tree
from speedtune_ros.types import TargetKind


@dataclass(frozen=True)
class ActTrainConfig:
    """How to train ACT. What made the shipped checkpoints is in config/train_act.yaml."""

    network: ActConfig = field(default_factory=ActConfig)
    cameras: tuple[str, ...] = option(("top",), "cameras the policy sees")
    kind: str = option(
        "command", "what is imitated: commands, or the states they reached", choices=("command", "state")
    )
    steps: int = option(5500, "gradient steps", minimum=1)
    batch: int = option(32, "samples a step", minimum=1)
    learning_rate: float = option(4e-4, "peak learning rate of AdamW", minimum=0.0)
    warmup: int = option(300, "steps of linear warm-up", minimum=0)
    decay: bool = option(True, "let the learning rate fall along a cosine to a hundredth")
    weight_decay: float = option(1e-4, "decoupled weight decay", minimum=0.0)
    gradient_clip: float = option(1.0, "largest norm of the gradient", minimum=0.0)
    kl_weight: float = option(10.0, "weight of the KL divergence beside the L1 loss", minimum=0.0)
    averaging: float = option(
        0.998, "decay of the running average of the weights, which is what is kept", minimum=0.0, maximum=1.0
    )
    state_noise: float = option(0.02, "noise on the joint state, in standard deviations of it", minimum=0.0)
    state_drop: float = option(
        0.2, "fraction of samples without joint state, so that the image is read", minimum=0.0, maximum=1.0
    )
    image_jitter: float = option(
        0.05, "spread of random brightness and contrast, as fractions of the range", minimum=0.0
    )
    early_steps: int = option(130, "control steps at an episode's start that are sampled more often", minimum=0)
    early_weight: float = option(2.0, "how much more often", minimum=0.0)
    hold_end: bool = option(True, "beyond an episode's end its last target is held and counts; otherwise it is masked")
    validation_episodes: int = option(10, "episodes held out, the last ones", minimum=0)
    validate_every: int = option(500, "steps between validations", minimum=1)
    save_every: int = option(500, "steps between saved states", minimum=1)
    bfloat16: bool = option(True, "run the network in bfloat16 where that is safe")
    seed: int = option(0, "of weights, samples and noise", minimum=0)


# https://github.com/tonyzhaozh/act, README.md: the command of the published simulation results.
PAPER = {
    "network": {
        "shrink": 1, "hidden": 512, "feedforward": 3200, "heads": 8,
        "encoder_layers": 4, "decoder_layers": 7, "style_layers": 4,
        "stem_kernel": 7, "stem_pool": True, "stem_width": 64, "widths": [64, 128, 256, 512], "blocks": 2,
    },
    "batch": 8, "learning_rate": 1e-5, "warmup": 0, "decay": False, "kl_weight": 10.0, "averaging": 0.0,
    "state_noise": 0.0, "state_drop": 0.0, "image_jitter": 0.0, "early_weight": 1.0, "hold_end": False, "steps": 80_000,
}  # fmt: skip
PRESETS: dict[str, Mapping[str, Any]] = {"small": {}, "paper": PAPER}


def losses(
    network: ActNetwork, batch: ChunkBatch, noise: torch.Tensor, hidden: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """L1 over the targets that count, and KL(q(z | qpos, targets) || N(0, I)) summed over z, averaged over B.

    noise: (B, latent) the sample behind z; hidden: (B,) True where the joint state is withheld.
    https://arxiv.org/abs/2304.13705, algorithm 1.
    """
    mean, log_variance = network.style(batch.qpos, batch.targets, batch.mask)
    mean, log_variance = mean.float(), log_variance.float()
    latent = mean + noise * (0.5 * log_variance).exp()
    predicted = network.decode(network.see(batch.images), batch.qpos, latent, hidden)
    kl = -0.5 * (1.0 + log_variance - mean.square() - log_variance.exp()).sum(1).mean()
    return masked_l1(predicted, batch), kl


def masked_l1(predicted: torch.Tensor, batch: ChunkBatch) -> torch.Tensor:
    """Mean absolute error over the targets with a true mask; predicted (B, k, 14)."""
    error = functional.l1_loss(predicted.float(), batch.targets, reduction="none").mean(-1)  # (B, k)
    return (error * batch.mask).sum() / batch.mask.sum()


class ActTrainer:
    """The parts of one training run: data, network, running average, optimiser, random numbers, step."""

    def __init__(self, config: ActTrainConfig, data: str | Path, device: str = "cpu", progress: bool = False) -> None:
        self.config, self.device = config, torch.device(device)
        paths = episode_paths(data)
        held_out = config.validation_episodes
        if len(paths) <= held_out:
            raise DataError(f"{data}: expected more than the {held_out} validation episodes, found {len(paths)}")
        network, kind = config.network, TargetKind(config.kind)
        sets = [
            ChunkDataset(part, config.cameras, network.horizon, kind, network.shrink, progress)
            for part in (paths[: len(paths) - held_out], paths[len(paths) - held_out :])
            if part
        ]
        self.states, self.targets = sets[0].normalisers()
        for dataset in sets:
            dataset.normalise(self.states, self.targets)
            dataset.to(self.device)
        self.data, self.validation = sets[0], sets[1] if len(sets) > 1 else None
        self.start()

    def start(self) -> None:
        """Step 0: fresh weights, optimiser and random numbers, all from the configured seed."""
        config, self.step = self.config, 0
        self.sampler = StepSampler(self.data, config.early_steps, config.early_weight, self.device)
        self.generator = torch.Generator(self.device).manual_seed(config.seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.network = ActNetwork(config.network, len(config.cameras)).to(self.device)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )

    def learning_rate(self, step: int) -> float:
        config = self.config
        warm = min(1.0, (step + 1) / max(1, config.warmup))
        done = min(1.0, step / config.steps)
        decayed = 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * done)) if config.decay else 1.0
        return config.learning_rate * warm * decayed

    def train_step(self) -> tuple[torch.Tensor, torch.Tensor]:
        """One gradient step: (L1, KL), still on the device."""
        batch, noise, hidden = self._draw()
        with self._precision():
            l1, kl = losses(self.network, batch, noise, hidden)
        self.optimiser.zero_grad(set_to_none=True)
        (l1 + self.config.kl_weight * kl).backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.gradient_clip)
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate(self.step)
        self.optimiser.step()
        self.step += 1
        self._average()
        return l1.detach(), kl.detach()

    def validation_l1(self) -> float:
        """L1 of the averaged weights with z = 0, as at run time, on every 20th held-out step; NaN without any."""
        if self.validation is None:
            return math.nan
        total, count = 0.0, 0
        every = torch.arange(0, len(self.validation), 20, device=self.device)
        for samples in every.split(64):
            batch = self._counting(self.validation.batch(samples))
            latent = torch.zeros(len(samples), self.config.network.latent, device=self.device)
            with torch.inference_mode(), self._precision():
                predicted = self.average.decode(self.average.see(batch.images), batch.qpos, latent)
            total += len(samples) * float(masked_l1(predicted, batch))
            count += len(samples)
        return total / count

    def _draw(self) -> tuple[ChunkBatch, torch.Tensor, torch.Tensor]:
        config, count = self.config, self.config.batch
        batch = self._counting(self.data.batch(self.sampler.draw(count, self.generator)))
        qpos = batch.qpos + config.state_noise * self._normal(count, NUM_JOINTS)
        noise = self._normal(count, config.network.latent)
        hidden = torch.rand(count, generator=self.generator, device=self.device) < config.state_drop
        # Brightness and contrast only: shifting the image would move the scene away from where the arms reach.
        jitter = config.image_jitter * self._normal(2, count, 1, 1, 1, 1)
        images = (batch.images.float() - 127.5) * (1.0 + jitter[0]) + 127.5 * (1.0 + jitter[1])
        return replace(batch, qpos=qpos, images=images), noise, hidden

    def _normal(self, *shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=self.generator, device=self.device)

    def _counting(self, batch: ChunkBatch) -> ChunkBatch:
        return replace(batch, mask=torch.ones_like(batch.mask)) if self.config.hold_end else batch

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bfloat16)

    def _average(self) -> None:
        # A short memory at first, so that the random start is forgotten.
        decay = min(self.config.averaging, self.step / (10 + self.step))
        get_ema_multi_avg_fn(decay)(list(self.average.parameters()), list(self.network.parameters()), self.step)

    def save(self, folder: Path) -> None:
        """Write everything that the run goes on from."""
        state = {name: part.state_dict() for name, part in self._parts.items()}
        write_tree(folder / STATE, {**state, "generator": self.generator.get_state(), "step": self.step})

    def restore(self, folder: Path) -> None:
        """Stand where `save` did. Raises CheckpointError if there is nothing, or it does not fit."""
        tree = read_tree(folder / STATE)
        try:
            for name, part in self._parts.items():
                part.load_state_dict(tree[name])
            self.generator.set_state(tree["generator"])
            self.step = tree["step"]
        except (KeyError, ValueError, RuntimeError) as error:
            first = " ".join(str(error).split("\n\t")[:2])  # of one line a weight
            raise CheckpointError(f"{folder / STATE}: of another configuration or device: {first}") from error

    @property
    def _parts(self) -> dict[str, Any]:
        return {"network": self.network, "average": self.average, "optimiser": self.optimiser}

    def card(self, command: str) -> CheckpointCard:
        config, origins = self.config, [read_origin(path) for path in self.data.paths]
        seeds = [origin.seed for origin in origins]
        return CheckpointCard(
            task=self.data.task,
            profile=self.data.profile,
            policy="act",
            kind=config.kind,
            horizon=config.network.horizon,
            dt=CONTROL_DT,
            cameras={camera: self.data.image_size for camera in config.cameras},
            normalisers={"states": self.states.to_dict(), "targets": self.targets.to_dict()},
            config=configuration.to_dict(config.network),
            command=command,
            training={**configuration.to_dict(config), "step": self.step},
            data={"episodes": len(seeds), "steps": len(self.data), "seeds": [min(seeds), max(seeds)]},
            package_version=__version__,
        )


def train(
    trainer: ActTrainer,
    out: str | Path,
    command: str = "",
    resume: bool = False,
    progress: bool = False,
    seconds: float = math.inf,
) -> float:
    """Run `trainer` to its last step, or for `seconds`, leaving a checkpoint in `out`; returns the last L1 validated.

    `out/training/` holds the log, the config and the state from which `resume` goes on exactly.
    Raises DataError if `out` holds a run already, ConfigError if it was made with other settings.
    """
    out, config = Path(out), trainer.config
    folder = out / "training"
    log = _begin(trainer, folder, resume)
    validation, started = math.nan, time.monotonic()
    bar = tqdm(total=config.steps, initial=trainer.step, desc="train act", unit="step", disable=not progress)
    while trainer.step < config.steps and time.monotonic() - started < seconds:
        l1, kl = trainer.train_step()
        bar.update()
        last = trainer.step == config.steps
        if trainer.step % config.validate_every == 0 or last:
            validation = trainer.validation_l1()
            log.add(step=trainer.step, l1=float(l1), kl=float(kl), validation_l1=validation)
        if trainer.step % 20 == 0:
            bar.set_postfix(l1=f"{l1:.4f}", kl=f"{kl:.4f}", validation=f"{validation:.4f}")
        if trainer.step % config.save_every == 0 and not last:
            _save(trainer, out, command)
    bar.close()
    _save(trainer, out, command)
    return validation


def _begin(trainer: ActTrainer, folder: Path, resume: bool) -> RunLog:
    """Make `folder` this run's, or put the trainer where the run in it stands."""
    if resume:
        trainer.restore(folder)
    begin_run(folder, trainer.config, resume)
    return RunLog(folder / "log.jsonl", "step", trainer.step)


def _save(trainer: ActTrainer, out: Path, command: str) -> None:
    trainer.save(out / "training")
    write_checkpoint(out, trainer.card(command), trainer.average.state_dict())
