"""One configuration over many seeds: what it achieves, how fast, and the samples behind it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speedtune_ros.aloha import CONTROL_DT
from speedtune_ros.config import option, to_dict
from speedtune_ros.errors import ConfigError
from speedtune_ros.evaluation import metrics
from speedtune_ros.evaluation.samples import EpisodeSample, SampleFile
from speedtune_ros.evaluation.workers import run_seeds
from speedtune_ros.speed.speed_policy import split_spec

if TYPE_CHECKING:
    from speedtune_ros.pipeline import Pipeline, PipelineConfig
    from speedtune_ros.pipeline_trace import EpisodeResult

NO_FRAMES = ("", 16, 16)

# Called with what is being run, the samples so far and how many there will be.
Progress = Callable[[str, Sequence[EpisodeSample], int], None]


@dataclass(frozen=True)
class EvaluationConfig:
    """What is evaluated; the seeds are given apart, so a run can be extended."""

    task: str = option("transfer_cube", "task")
    policy: str = option("act", "expert, act (the shipped checkpoint) or a checkpoint's path")
    speed: str = option("constant:1", "speed policy, as constant:2 or phase:3,1.5; a plain number is a constant speed")
    retimer: str = option("linear", "retimer")
    dynamics: str = option("act", "dynamics profile")
    inference: str = option("async", "whether motion continues during inference", choices=("async", "sync"))
    latency: float = option(0.0, "observation to hand-over [s]", minimum=0.0, maximum=10.0)
    handover: str = option("nearest", "where a new chunk is entered", choices=("nearest", "consumed"))
    ensemble: bool = option(False, "temporal ensembling")
    k_skip: int = option(10, "control steps between requests", minimum=1)

    def __post_init__(self) -> None:
        """One spelling a speed, so that `1`, `constant` and `constant:1.0` find the samples of `constant:1`."""
        kind, argument = split_spec(self.speed)
        if kind == "constant":
            try:
                object.__setattr__(self, "speed", f"constant:{float(argument or 1.0):g}")
            except ValueError as error:
                raise ConfigError(f"speed: expected a number after 'constant:', got '{argument}'") from error

    def demonstrated(self) -> EvaluationConfig:
        """The same at demonstrated speed: the baseline of `acceleration`."""
        return dataclasses.replace(self, speed="constant:1")

    def demonstration(self) -> EvaluationConfig:
        """The scripted expert at its own pace: the baseline of `demo_speedup`."""
        return EvaluationConfig(task=self.task, policy="expert", dynamics=self.dynamics)

    def commanded_speed(self, samples: Sequence[EpisodeSample]) -> float:
        """The speed of a constant policy; otherwise the mean of what it chose in `samples`, 1 if they do not say."""
        kind, _, argument = self.speed.partition(":")
        chosen = [sample.commanded_speed for sample in samples if sample.commanded_speed > 0.0]
        return float(argument) if kind == "constant" else metrics.mean(chosen) if chosen else 1.0


def evaluate(
    config: EvaluationConfig,
    seeds: Sequence[int],
    path: Path,
    workers: int = 1,
    slots: int = 4,
    progress: Progress | None = None,
    baselines: bool = True,
) -> dict[str, Any]:
    """Run what is not yet in the samples beside `path`, write the figures to `path`, return them.

    The baselines at 1x are cached beside it as well, shared by all evaluations of the folder.
    Raises ConfigError if the samples beside `path` belong to another configuration.
    """
    _check_names(config)
    run = partial(gather, seeds=seeds, workers=workers, slots=slots, progress=progress)
    samples = run(config, path=path.with_suffix(".jsonl"), label=config.speed)
    baseline = demonstrations = None
    if baselines:
        baseline = samples if config == config.demonstrated() else _baseline(run, config.demonstrated(), path)
        same = config.demonstrated() == config.demonstration()
        demonstrations = baseline if same else _baseline(run, config.demonstration(), path)
    result = summarise(config, seeds, samples, baseline, demonstrations)
    path.write_text(json.dumps(result, indent=1) + "\n")
    return result


def gather(
    config: EvaluationConfig,
    seeds: Sequence[int],
    path: Path,
    workers: int,
    slots: int,
    progress: Progress | None,
    label: str,
) -> list[EpisodeSample]:
    """The samples of `seeds` at `path`, those missing run and appended."""
    file = SampleFile(path, resolved(config))
    if progress:
        progress(label, file.samples(seeds), len(seeds))
    for sample in run_seeds(partial(run_episodes, config, slots), file.missing(seeds), workers):
        file.append(sample)
        if progress:
            progress(label, file.samples(seeds), len(seeds))
    return file.samples(seeds)


def run_episodes(config: EvaluationConfig, slots: int, seeds: Iterator[int]) -> Iterator[EpisodeSample]:
    """The episodes of `seeds`, `slots` of them at a time through one batched pipeline."""
    import torch

    from speedtune_ros.types import Episode

    torch.set_num_threads(1)  # one worker a core: more threads would fight each other
    pipeline = build_pipeline(config, slots)
    episodes = (Episode(f"{config.task}-{seed}", config.task, seed) for seed in seeds)
    for result in pipeline.run(episodes):
        yield to_sample(result)


def summarise(
    config: EvaluationConfig,
    seeds: Sequence[int],
    samples: Sequence[EpisodeSample],
    baseline: Sequence[EpisodeSample] | None,
    demonstrations: Sequence[EpisodeSample] | None,
) -> dict[str, Any]:
    """The figures of `samples`, every key of the JSON; what cannot be computed is None."""
    from speedtune_ros.registry import make_task

    rate = metrics.wilson(sum(s.success for s in samples), len(samples))
    nominal = make_task(config.task).episode_steps
    jumps = [jump for sample in samples for jump in sample.handover_jumps_rad]
    figures = {
        "success_rate": metrics.success_rate(samples),
        "wilson_low": rate.low,
        "wilson_high": rate.high,
        "acceleration": metrics.acceleration(baseline or (), samples),
        "demo_speedup": metrics.demo_speedup(demonstrations or (), samples),
        "mean_success_duration_s": metrics.mean(metrics.steps_to_success(samples)) * CONTROL_DT,
        "successes_per_minute": metrics.successes_per_minute(
            samples, CONTROL_DT, nominal, config.commanded_speed(samples)
        ),
        "realised_speed_mean": metrics.mean([s.realised_speed for s in samples]),
        "tracking_error_rad_rms": metrics.pooled_rms(
            [s.tracking_error_rad_rms for s in samples], [s.steps for s in samples]
        ),
        "handover_jump_rad_p99": metrics.percentile(jumps, 99),
    }
    return {
        **{key: getattr(config, key) for key in ("task", "policy", "speed", "retimer", "dynamics")},
        "episodes": len(seeds),
        "seed": seeds[0],
        **{key: value if math.isfinite(value) else None for key, value in figures.items()},
        "config": resolved(config),
        "troubles": dict(Counter(sample.trouble for sample in samples if sample.trouble)),
        "samples": [sample.to_dict() for sample in samples],
        "baseline_samples": _times(baseline),
        "demonstration_samples": _times(demonstrations),
    }


def build_pipeline(config: EvaluationConfig, slots: int, frames: tuple[str, int, int] = NO_FRAMES) -> Pipeline:
    """The one loop with the stages `config` names, over `slots` simulations; `frames` of traces: camera, size."""
    from speedtune_ros import registry
    from speedtune_ros.pipeline import Pipeline

    task = registry.make_task(config.task)
    policy = registry.make_policy(config.policy, task, config.dynamics)
    speed_policy = registry.make_speed_policy(config.speed)
    simulations = [registry.make_simulation(task, config.dynamics, policy.info.cameras) for _ in range(slots)]
    return Pipeline(simulations, policy, speed_policy, pipeline_config(config, frames))


def pipeline_config(config: EvaluationConfig, frames: tuple[str, int, int] = NO_FRAMES) -> PipelineConfig:
    """The loop's own settings."""
    from speedtune_ros.pipeline import PipelineConfig
    from speedtune_ros.retiming.handover import HandoverConfig
    from speedtune_ros.retiming.linear import RetimerConfig
    from speedtune_ros.retiming.scheduler import SchedulerConfig

    return PipelineConfig(
        retimer=config.retimer,
        retiming=RetimerConfig(handover=HandoverConfig(method=config.handover)),
        scheduler=SchedulerConfig(
            k_skip=config.k_skip,
            inference=config.inference,
            latency=config.latency,
            ensemble=config.ensemble,
        ),
        workers=1,  # processes share the cores
        frame_camera=frames[0],
        frame_height=frames[1],
        frame_width=frames[2],
        frame_every=2,
    )


def to_sample(result: EpisodeResult) -> EpisodeSample:
    """The sample of a pipeline's EpisodeResult."""
    return EpisodeSample(
        seed=result.episode.seed,
        steps=int(result.steps),
        success_step=None if result.success_step is None else int(result.success_step),
        max_reward=float(result.max_reward),
        realised_speed=round(float(result.realised_speed), 6),
        tracking_error_rad_rms=round(float(result.tracking_error_rms), 6),
        handover_jumps_rad=_rounded(result.handover_jumps),
        backward_steps_rad=_rounded(result.backward_steps),
        binding_limits={str(key): int(value) for key, value in result.binding_limits.items()},
        fallbacks=int(result.fallbacks),
        refused=int(result.refused),
        saturated=int(result.saturated),
        trouble=result.trouble,
        commanded_speed=round(float(result.commanded_speed), 6),
    )


def resolved(config: EvaluationConfig) -> dict[str, Any]:
    """The configuration as it is kept with results: with the checkpoint's digest."""
    return {**to_dict(config), "checkpoint": fingerprint(config)}


def fingerprint(config: EvaluationConfig) -> str:
    """A digest of the checkpoint's files, so that a retrained policy's figures are not mixed with the old ones'.

    Empty for policies without a checkpoint. Raises CheckpointError if a shipped one is missing.
    """
    from speedtune_ros.policies.policy import LOADERS
    from speedtune_ros.registry import shipped_checkpoint

    shipped = config.policy in LOADERS
    path = shipped_checkpoint(config.policy, config.task, config.dynamics) if shipped else Path(config.policy)
    digest = hashlib.sha256()
    files = sorted(file for file in path.rglob("*") if file.is_file())
    for file in files:
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:16] if files else ""


def parse_seeds(first: int, episodes: int) -> list[int]:
    """Seeds first .. first + episodes - 1."""
    if episodes < 1 or first < 0:
        raise ConfigError(f"seeds: expected a first seed of at least 0 and 1 episode, got {first} and {episodes}")
    return list(range(first, first + episodes))


def _check_names(config: EvaluationConfig) -> None:
    """Refuse unknown names, speeds and checkpoints here, in one line, rather than in every worker."""
    from speedtune_ros import registry
    from speedtune_ros.robots.profiles import make_profile

    task = registry.make_task(config.task)
    make_profile(config.dynamics)
    registry.make_speed_policy(config.speed)
    registry.make_retimer(config.retimer)
    registry.make_policy(config.policy, task, config.dynamics)


def _baseline(run: Callable[..., list[EpisodeSample]], config: EvaluationConfig, path: Path) -> list[EpisodeSample]:
    words = json.dumps(resolved(config), sort_keys=True)
    name = f"baseline-{Path(config.policy).name}-{hashlib.sha256(words.encode()).hexdigest()[:8]}.jsonl"
    return run(config, path=path.parent / name, label=f"{Path(config.policy).name} at 1x, for comparison")


def _times(samples: Iterable[EpisodeSample] | None) -> list[Mapping[str, Any]] | None:
    keys = ("seed", "steps", "success_step")
    return None if samples is None else [{key: getattr(sample, key) for key in keys} for sample in samples]


def _rounded(values: Any) -> tuple[float, ...]:
    return tuple(np.round(np.asarray(values, float), 6).tolist())
