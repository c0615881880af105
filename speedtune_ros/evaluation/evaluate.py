"""One configuration over many seeds: what it achieves, how fast, and the samples behind it."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from speedtune_ros import seeds as seed_ranges
from speedtune_ros.aloha import CONTROL_DT
from speedtune_ros.evaluation import metrics
from speedtune_ros.evaluation.evaluation_config import EvaluationConfig
from speedtune_ros.evaluation.provenance import resolved
from speedtune_ros.evaluation.rollouts import run_episodes
from speedtune_ros.evaluation.samples import EpisodeSample, SampleFile
from speedtune_ros.evaluation.workers import run_seeds

# Called with what is being run, the samples so far and how many there will be.
Progress = Callable[[str, Sequence[EpisodeSample], int], None]


def evaluate(
    config: EvaluationConfig,
    seeds: Sequence[int],
    path: Path,
    workers: int = 1,
    slots: int = 4,
    progress: Progress | None = None,
    baselines: int | None = None,
    store: Path | None = None,
) -> dict[str, Any]:
    """Run what is not yet in the samples beside `path`, write the figures to `path`, return them.

    The runs at 1x that `acceleration` and `demo_speedup` need are kept in the folder `store` (beside `path` if None):
    all evaluations of the same task, policy and settings share them, and add the seeds that are missing.
    baselines: on how many of the `seeds`, from the first on; None all, 0 none, and then there are no ratios.
    Raises ConfigError if the samples beside `path` belong to another configuration.
    """
    check_names(config)
    kept = partial(_baseline_path, store or path.parent)
    compared = seeds[:baselines]
    run = partial(gather, workers=workers, slots=slots, progress=progress)
    demonstrated, demonstration = config.demonstrated(), config.demonstration()
    own = kept(config) if compared and config == demonstrated else path.with_suffix(".jsonl")
    samples = run(config, seeds, own, label=config.speed)
    baseline = demonstrations = None
    if compared:
        baseline = run(demonstrated, compared, kept(demonstrated), label=_compared(demonstrated))
        demonstrations = run(demonstration, compared, kept(demonstration), label=_compared(demonstration))
    result = summarise(config, seeds, samples, baseline, demonstrations)
    path.parent.mkdir(parents=True, exist_ok=True)
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
    if progress and file.missing(seeds):
        progress(label, file.samples(seeds), len(seeds))
    for sample in run_seeds(partial(run_episodes, config, slots), file.missing(seeds), workers):
        file.append(sample)
        if progress:
            progress(label, file.samples(seeds), len(seeds))
    return file.samples(seeds)


def summarise(
    config: EvaluationConfig,
    seeds: Sequence[int],
    samples: Sequence[EpisodeSample],
    baseline: Sequence[EpisodeSample] | None,
    demonstrations: Sequence[EpisodeSample] | None,
    nominal: int | None = None,
) -> dict[str, Any]:
    """The figures of `samples`, every key of the JSON; what cannot be computed is None.

    nominal: control steps of a demonstration, where the task is not a simulated one.
    """
    from speedtune_ros.registry import make_task

    rate = metrics.wilson(sum(s.success for s in samples), len(samples))
    nominal = nominal or make_task(config.task).episode_steps
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
        "seeds": seed_ranges.describe(seeds),
        **{key: value if math.isfinite(value) else None for key, value in figures.items()},
        "config": resolved(config),
        "troubles": dict(Counter(sample.trouble for sample in samples if sample.trouble)),
        "samples": [sample.to_dict() for sample in samples],
        "baseline_samples": _times(baseline),
        "demonstration_samples": _times(demonstrations),
    }


def check_names(config: EvaluationConfig) -> None:
    """Refuse unknown names, speeds and checkpoints here, in one line, rather than in every worker."""
    from speedtune_ros import registry
    from speedtune_ros.robots.profiles import make_profile

    task = registry.make_task(config.task)
    make_profile(config.dynamics)
    registry.make_retimer(config.retimer)
    policy = registry.make_policy(config.policy, task, config.dynamics)
    registry.make_speed_policy(config.speed, policy, config.k_skip, config.ensemble)


def _baseline_path(store: Path, config: EvaluationConfig) -> Path:
    """Named after all that the samples depend on, so that nothing else is ever found there."""
    words = json.dumps(resolved(config), sort_keys=True)
    name = f"{config.task}-{Path(config.policy).name}-{config.dynamics}"
    return store / f"baseline-{name}-{hashlib.sha256(words.encode()).hexdigest()[:8]}.jsonl"


def _compared(config: EvaluationConfig) -> str:
    return f"{Path(config.policy).name} at 1x, for comparison"


def _times(samples: Iterable[EpisodeSample] | None) -> list[Mapping[str, Any]] | None:
    keys = ("seed", "steps", "success_step")
    return None if samples is None else [{key: getattr(sample, key) for key in keys} for sample in samples]
