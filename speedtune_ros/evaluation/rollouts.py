"""Episodes of an evaluation: the one loop with the stages its configuration names, and what an episode left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from speedtune_ros.evaluation.evaluation_config import EvaluationConfig
from speedtune_ros.evaluation.samples import EpisodeSample

if TYPE_CHECKING:
    from speedtune_ros.pipeline import Pipeline
    from speedtune_ros.pipeline_trace import EpisodeResult
    from speedtune_ros.speed.speed_policy import SpeedPolicy

NO_FRAMES = ("", 16, 16)


def run_episodes(config: EvaluationConfig, slots: int, seeds: Iterator[int]) -> Iterator[EpisodeSample]:
    """The episodes of `seeds`, `slots` of them at a time through one batched pipeline."""
    import torch

    from speedtune_ros.types import Episode

    torch.set_num_threads(1)  # one worker a core: more threads would fight each other
    pipeline = build_pipeline(config, slots)
    episodes = (Episode(f"{config.task}-{seed}", config.task, seed) for seed in seeds)
    for result in pipeline.run(episodes):
        yield to_sample(result)


def build_pipeline(
    config: EvaluationConfig,
    slots: int,
    frames: tuple[str, int, int] = NO_FRAMES,
    listen: Callable[[SpeedPolicy], SpeedPolicy] | None = None,
) -> Pipeline:
    """The one loop with the stages `config` names, over `slots` simulations.

    frames: of traces, camera and size; listen: puts a listener in the speed policy's place.
    """
    from speedtune_ros import registry
    from speedtune_ros.pipeline import Pipeline

    task = registry.make_task(config.task)
    policy = registry.make_policy(config.policy, task, config.dynamics)
    speed_policy = registry.make_speed_policy(config.speed, policy, config.k_skip, config.ensemble)
    if listen is not None:
        speed_policy = listen(speed_policy)
    simulations = [registry.make_simulation(task, config.dynamics, policy.info.cameras) for _ in range(slots)]
    camera, height, width = frames
    settings = config.pipeline(
        workers=1,  # processes share the cores
        frame_camera=camera,
        frame_height=height,
        frame_width=width,
        frame_every=2,
    )
    return Pipeline(simulations, policy, speed_policy, settings)


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


def _rounded(values: Any) -> tuple[float, ...]:
    return tuple(np.round(np.asarray(values, float), 6).tolist())
