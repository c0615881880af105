"""Training a speed policy in simulation: episodes in parallel slots, updates between them, greedy evaluations.

A run is cut into segments of `evaluate_every` decisions. At the end of each all episodes have ended, so that where the
run stands is the learner's state and a count of episodes: from there it goes on to the bit.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from speedtune_ros.aloha import CONTROL_DT
from speedtune_ros.config import option, to_dict
from speedtune_ros.errors import ConfigError
from speedtune_ros.evaluation import metrics
from speedtune_ros.execution import ExecutionConfig
from speedtune_ros.live.config import LiveConfig
from speedtune_ros.pipeline_trace import EpisodeResult
from speedtune_ros.report.learning_figure import learning_figure
from speedtune_ros.seeds import SEEDS_A_RUN, SELECTION, SPEED_TRAINING
from speedtune_ros.training.event_file import EventFile
from speedtune_ros.training.run_folder import RunLog, begin_run, check_run
from speedtune_ros.training.speed_learner import LearnerConfig
from speedtune_ros.training.speed_rollout import SpeedRollout
from speedtune_ros.training.state_file import STATE, read_tree, write_tree
from speedtune_ros.types import Episode

CHOICES = ("speeds", "targets")
CALIBRATION = 900_000  # so far beyond a run's first scene are those it looks at before it learns
SELECTION_SEEDS = SELECTION.last + 1 - SELECTION.first
_WINDOW = 50  # training episodes the progress bar looks back


@dataclass(frozen=True)
class TrainSpeedConfig(LearnerConfig, ExecutionConfig):
    """How to train a speed policy. What made the shipped ones is in config/train_speed.yaml and their cards."""

    chooses: str = option("speeds", "speeds for a task policy, or joint targets from scratch", choices=CHOICES)
    policy: str = option("expert", "task policy: expert, act (the shipped checkpoint) or a checkpoint's path")
    latencies: tuple[float, ...] = option(
        (), "one of these an episode, in place of `latency`, by its scene [s]", minimum=0.0, maximum=10.0
    )
    decisions: int = option(20_000, "decisions to learn from", minimum=1)
    slots: int = option(8, "episodes that run side by side", minimum=1)
    evaluate_every: int = option(2_000, "decisions between evaluations and saved states", minimum=1)
    evaluation_episodes: int = option(100, "episodes of an evaluation", minimum=1, maximum=1000)
    confirm_episodes: int = option(
        100, "more of them before a checkpoint that looks best is kept", minimum=0, maximum=SELECTION_SEEDS
    )
    floor: float = option(
        0.98, "the checkpoint kept is the fastest that succeeds so often, else the surest", maximum=1.0
    )
    live: LiveConfig = field(default_factory=LiveConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        seen = self.evaluation_episodes + self.confirm_episodes
        if seen > SELECTION_SEEDS:
            raise ConfigError(f"evaluation_episodes + confirm_episodes: expected at most {SELECTION_SEEDS}, got {seen}")


class Timed(NamedTuple):
    """One episode as `metrics` takes it."""

    steps: int
    success_step: int | None


class SpeedTrainer:
    """One run in the folder `out`: the best checkpoint there, the newest in latest/, the state in training/.

    Raises DataError if `out` holds a run that is not to be resumed, ConfigError if it has other settings.
    """

    def __init__(
        self, config: TrainSpeedConfig, out: str | Path, command: str = "", resume: bool = False, threads: int = 0
    ) -> None:
        self.config, self.out, self._command = config, Path(out), command
        folder, free = self.out / "training", ("decisions",)
        check_run(folder, config, resume, free)
        self._state = folder / STATE
        found = read_tree(self._state) if resume and self._state.exists() else None
        calibration = self._episodes(config.seed * SEEDS_A_RUN + CALIBRATION)
        self.rollout = SpeedRollout(config, threads, calibration, found and found["learner"]["projection"])
        self.learner = self.rollout.learner
        if found is None:
            self.learner.begin()
        begin_run(folder, config, resume, free)
        self.recent: deque[EpisodeResult] = deque(maxlen=_WINDOW)
        self._started = time.monotonic()
        if found is None:
            self.episodes, self._seconds, self._best = 0, 0.0, [-math.inf, -math.inf]
            self._baseline = [_timed(result) for result in self.rollout.run("constant:1", self._selection)]
            self._save()
        else:
            self.learner.set_state(found["learner"])
            self.episodes, self._seconds, self._best = found["episodes"], found["seconds"], found["best"]
            self._baseline = [Timed(*pair) for pair in found["baseline"]]
            self.rollout.watch.seconds.update(found.get("spent", {}))
        self.log = RunLog(folder / "log.jsonl", "decisions", self.decisions)
        self._events = EventFile(folder / "events.out.tfevents.0.speedtune")
        for row in self.log.rows:
            self._draw(row)

    @property
    def decisions(self) -> int:
        """Decisions learned from so far."""
        return self.learner.agent.decisions

    def segment(self) -> Iterator[EpisodeResult]:
        """Train to the next evaluation, then evaluate, log and save; the results of training episodes on the way."""
        every = self.config.evaluate_every
        until = min((self.decisions // every + 1) * every, self.config.decisions)
        returns = []
        for result, gained in self.rollout.train(self._training_episodes(until)):
            self.recent.append(result)
            returns.append(gained)
            yield result
        self._evaluate(float(np.nanmean(returns)))
        self._save()

    def _training_episodes(self, until: int) -> Iterator[Episode]:
        for episode in self._episodes(self.config.seed * SEEDS_A_RUN + self.episodes):
            if self.decisions >= until:
                return
            self.episodes += 1
            yield episode

    def _episodes(self, first: int) -> Iterator[Episode]:
        task, seed = self.config.task, SPEED_TRAINING.first + first
        while True:
            yield Episode(f"{task}-{seed}", task, seed)
            seed += 1

    @property
    def _selection(self) -> range:
        return range(SELECTION.first, SELECTION.first + self.config.evaluation_episodes)

    @property
    def _more(self) -> range:
        return range(self._selection.stop, self._selection.stop + self.config.confirm_episodes)

    def _evaluate(self, gained: float) -> None:
        results = self.rollout.evaluate(self._selection)
        figures = summary(results, self._baseline)
        last = self.learner.last
        row = {
            "decisions": self.decisions,
            "episodes": self.episodes,
            "updates": self.learner.agent.updates,
            **figures,
            "training_return": gained,
            "loss": last and last.loss,
            "value": last and last.value,
            "seconds": self._seconds + time.monotonic() - self._started,
            "shares": self.rollout.watch.shares(),
        }
        self.log.add(**row)
        self._draw(row)
        words = f"{self.config.task}, {Path(self.config.policy).name}"
        learning_figure(self.log.rows, words).savefig(self.out / "curves.png", dpi=150)
        self._write(self.out / "latest", row)
        if score(figures, self.config.floor) > self._best:
            self._confirm(results, row)

    def _confirm(self, results: list[EpisodeResult], row: dict[str, Any]) -> None:
        """Keep the policy if it is the best one on more scenes too: of many looked at, the best was lucky as well."""
        figures = summary([*results, *self.rollout.evaluate(self._more)], self._baseline)
        reached = score(figures, self.config.floor)
        if reached > self._best:
            self._best = reached
            self._write(self.out, {**row, **figures})

    def _draw(self, row: Mapping[str, Any]) -> None:
        shares = {f"time/{part}": share for part, share in row["shares"].items()}
        self._events.add(row["decisions"], row["seconds"], {**row, **shares})

    def _write(self, folder: Path, row: dict[str, Any]) -> None:
        first = SPEED_TRAINING.first + self.config.seed * SEEDS_A_RUN
        seeds = {
            "training": [first, first + self.episodes - 1],
            "selection": [self._selection.start, self._more.stop - 1],
        }
        self.learner.write(folder, row, self._command, to_dict(self.config), seeds)

    def _save(self) -> None:
        state = {
            "learner": self.learner.get_state(),
            "episodes": self.episodes,
            "seconds": self._seconds + time.monotonic() - self._started,
            "spent": dict(self.rollout.watch.seconds),
            "best": self._best,
            "baseline": [list(pair) for pair in self._baseline],
        }
        write_tree(self._state, state)


def train_speed(
    config: TrainSpeedConfig,
    out: str | Path,
    command: str = "",
    resume: bool = False,
    progress: bool = False,
    seconds: float = math.inf,
    threads: int = 0,
) -> dict[str, Any]:
    """Train until `config.decisions`, or to the first evaluation after `seconds`; the log's last line.

    threads: that step physics, 0 one a core. Raises as SpeedTrainer does, and InvalidInputError that names the
    transition where a feature, a reward or a loss is not finite.
    """
    trainer = SpeedTrainer(config, out, command, resume, threads)
    started = time.monotonic()
    bar = tqdm(
        total=config.decisions,
        initial=trainer.decisions,
        desc=f"train speed {config.task}/{Path(config.policy).name}",
        unit="decision",
        disable=not progress,
        dynamic_ncols=True,
    )
    with bar:
        while trainer.decisions < config.decisions and time.monotonic() - started < seconds:
            for _ in trainer.segment():
                bar.set_postfix_str(_live(trainer), refresh=False)
                bar.update(trainer.decisions - bar.n)
            if progress:
                bar.write(describe(trainer.log.rows[-1])[0])
    trainer.rollout.close()
    return trainer.log.rows[-1] if trainer.log.rows else {}


def score(figures: Mapping[str, Any], floor: float) -> list[float]:
    """What checkpoints are kept by, in lexical order: sureness, which beyond `floor` counts no more, then speed."""
    return [min(figures["success_rate"], floor), figures["acceleration"] or 0.0]


def summary(results: Sequence[EpisodeResult], baseline: Sequence[Timed]) -> dict[str, Any]:
    """The figures of an evaluation; what cannot be computed is None."""
    runs = [_timed(result) for result in results]
    found = {
        "evaluated": len(runs),
        "success_rate": metrics.success_rate(runs),
        "acceleration": metrics.acceleration(baseline, runs),
        "realised_speed_mean": metrics.mean([result.realised_speed for result in results]),
        "mean_success_duration_s": metrics.mean(metrics.steps_to_success(runs)) * CONTROL_DT,
    }
    return {key: value if math.isfinite(value) else None for key, value in found.items()}


def _timed(result: EpisodeResult) -> Timed:
    return Timed(result.steps, result.success_step)


def _live(trainer: SpeedTrainer) -> str:
    """What the progress bar says of the last training episodes and of the best evaluation."""
    recent, last = trainer.recent, trainer.learner.last
    success = np.mean([result.success for result in recent])
    speed = np.mean([result.realised_speed for result in recent])
    words = f"exploring {success:.2f} at {speed:.2f}x"
    return f"{words}, loss {last.loss:.3f}" if last else words


def describe(row: Mapping[str, Any]) -> list[str]:
    """A line of the log in words: what was reached, and where the time went."""
    if not row:
        return ["nothing was trained"]
    fast = row["acceleration"] or math.nan
    shares = ", ".join(f"{part.replace('_', ' ')} {share:.0%}" for part, share in row["shares"].items())
    words = f"{row['decisions']:>7} decisions: success {row['success_rate']:.3f}, acceleration {fast:.2f}"
    return [words, f"{row['seconds']:.0f} s: {shares}"]
