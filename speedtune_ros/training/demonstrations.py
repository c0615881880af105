"""Demonstrations: the scripted expert in simulation, written as ALOHA episode files."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speedtune_ros.aloha import ARMS, CONTROL_DT, NUM_JOINTS
from speedtune_ros.data.episode_file import EpisodeData, Origin, episode_path, read_origin, write_episode
from speedtune_ros.errors import ConfigError, DataError, SpeedtuneError
from speedtune_ros.registry import make_simulation, make_task
from speedtune_ros.robots.profiles import make_profile
from speedtune_ros.seeds import DEMONSTRATIONS, RETRIES, RETRY_STRIDE
from speedtune_ros.simulation import Simulation
from speedtune_ros.types import Episode

DISTURBANCE_TIME = 0.5  # [s] over which a disturbance is forgotten


@dataclass(frozen=True)
class Recording:
    """What to record.

    cameras: (height, width) by name, as pairs; jpeg_quality: None stores raw images; disturbance: spread of a smooth
    noise [rad] on what the arms are told, so that the expert's commands, which are stored, show how to recover.
    """

    task: str
    profile: str
    episodes: int
    seed: int
    cameras: tuple[tuple[str, tuple[int, int]], ...]
    folder: Path
    jpeg_quality: int | None = None
    disturbance: float = 0.0

    def __post_init__(self) -> None:
        make_task(self.task)
        make_profile(self.profile)
        if self.episodes < 1:
            raise ConfigError(f"episodes: expected at least 1, got {self.episodes}")
        if self.seed < 0 or self.seed + self.episodes - 1 > DEMONSTRATIONS.last:
            last = self.seed + self.episodes - 1
            raise ConfigError(f"seeds {self.seed} to {last}: demonstrations take seeds from 0 to {DEMONSTRATIONS.last}")
        if not 0.0 <= self.disturbance <= 0.1:
            raise ConfigError(f"disturbance: expected between 0 and 0.1 [rad], got {self.disturbance}")


def record(recording: Recording, workers: int = 1) -> Iterator[tuple[int, int]]:
    """Record the episodes that are not there yet; yields (index, failed attempts) as each is present, done or found.

    Raises DataError if the folder holds an episode of something else.
    """
    recording.folder.mkdir(parents=True, exist_ok=True)
    missing = []
    for index in range(recording.episodes):
        failed = _present(recording, index)
        if failed is None:
            missing.append(index)
        else:
            yield index, failed
    if min(workers, len(missing)) > 1:
        yield from _record_spawned(recording, missing, min(workers, len(missing)))
    elif missing:
        simulation = _simulation(recording)
        yield from ((index, _record_index(recording, simulation, index)) for index in missing)


def _record_spawned(recording: Recording, indices: list[int], workers: int) -> Iterator[tuple[int, int]]:
    # Spawned, not forked: an OpenGL context does not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start_worker, (recording,)) as pool:
        pending = {pool.submit(_work, index): index for index in indices}
        try:
            for future in as_completed(pending):
                yield pending[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def demonstrate(
    simulation: Simulation, episode: Episode, attempts: int = 1, disturbance: float = 0.0
) -> EpisodeData | None:
    """Run the expert's plan for `episode` and return what was seen and done, or None if it failed.

    The disturbance is that of DART (https://arxiv.org/abs/1703.09327): executed, but not part of the label.
    """
    simulation.reset(episode)
    plan = simulation.demonstration(episode)
    executed = plan + disturbance * smooth_noise(len(plan), np.random.default_rng([episode.seed, 2]))
    observations, efforts, success_step = [], [], -1
    for step, command in enumerate(executed, 1):
        observations.append(simulation.observe())
        efforts.append(simulation.robot.effort())
        simulation.step(command)
        if simulation.success and success_step < 0:
            success_step = step
    if not simulation.success:
        return None
    states = [observation.state for observation in (*observations, simulation.observe(images=False))]
    qpos, qvel = np.stack([state.qpos for state in states]), np.stack([state.qvel for state in states])
    task = simulation.task
    return EpisodeData(
        qpos=qpos[:-1],
        qvel=qvel[:-1],
        action=plan,
        images={camera: np.stack([o.images[camera] for o in observations]) for camera in observations[0].images},
        effort=np.stack(efforts),
        reached_qpos=qpos[1:],
        reached_qvel=qvel[1:],
        origin=Origin(
            task.name, simulation.profile.name, episode.seed, attempts, success_step, task.instruction, disturbance
        ),
    )


def smooth_noise(steps: int, rng: np.random.Generator) -> np.ndarray:
    """An Ornstein-Uhlenbeck process of unit spread for every arm joint, from 0: (steps, 14); grippers stay 0."""
    forgotten = CONTROL_DT / DISTURBANCE_TIME
    noise = np.zeros((steps + 1, NUM_JOINTS))
    kicks = np.sqrt(2.0 * forgotten) * rng.standard_normal((steps, len(ARMS)))
    for step, kick in enumerate(kicks):
        noise[step + 1, ARMS] = (1.0 - forgotten) * noise[step, ARMS] + kick
    return noise[:-1]


def _record_index(recording: Recording, simulation: Simulation, index: int) -> int:
    """Write episode `index`; returns how many seeds failed before one succeeded."""
    for failed in range(RETRIES):
        seed = recording.seed + index + RETRY_STRIDE * failed
        episode = Episode(f"demo-{index}", recording.task, seed)
        done = demonstrate(simulation, episode, failed + 1, recording.disturbance)
        if done is not None:
            write_episode(episode_path(recording.folder, index), done, recording.jpeg_quality)
            return failed
    raise SpeedtuneError(f"episode {index}: the expert failed on {RETRIES} seeds, the last {seed}")


def _present(recording: Recording, index: int) -> int | None:
    """Failed attempts before the episode that is there already, or None. Raises DataError if it is another one."""
    path = episode_path(recording.folder, index)
    if not path.exists():
        return None
    origin = read_origin(path)
    seeds = [recording.seed + index + RETRY_STRIDE * failed for failed in range(RETRIES)]
    expected = (recording.task, recording.profile, recording.disturbance)
    found = (origin.task, origin.profile, origin.disturbance)
    if found != expected or origin.seed not in seeds:
        raise DataError(
            f"{path}: exists already and is not overwritten: expected task, profile, disturbance {expected} and seed "
            f"{seeds[0]}, found {found} and seed {origin.seed}"
        )
    return origin.attempts - 1


def _simulation(recording: Recording) -> Simulation:
    return make_simulation(recording.task, recording.profile, dict(recording.cameras))


_worker: tuple[Recording, Simulation] | None = None  # of a worker process, set once by its initialiser


def _start_worker(recording: Recording) -> None:
    global _worker
    _worker = (recording, _simulation(recording))


def _work(index: int) -> int:
    assert _worker is not None
    return _record_index(*_worker, index)
