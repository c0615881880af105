"""A speed policy learns from a running graph: an episode, a verdict, updates, new weights, the next episode.

The learner is a process of its own, not the speed policy's node: nothing it does can delay or end what moves the arms,
it may sit on another machine, and all that it learns from is on the wire, so that bags hold it as well.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from speedtune_ros.aloha import CONTROL_DT
from speedtune_ros.config import to_dict
from speedtune_ros.errors import DataError, SpeedtuneError
from speedtune_ros.live.curves import write_curves
from speedtune_ros.live.episode import SUCCESS, EpisodeLimits, Graph, LiveEpisode, decisions, executed
from speedtune_ros.live.journal import Journal, LabelledEpisode
from speedtune_ros.live.learner import LearnerFactory
from speedtune_ros.speed.projection import Projection
from speedtune_ros.training.run_folder import RunLog, begin_run, check_run
from speedtune_ros.training.state_file import STATE, read_tree, write_tree
from speedtune_ros.training.train_speed import CALIBRATION, TrainSpeedConfig

_DISCARDS = 5  # in a row, where nobody is there


class LiveTraining:
    """Learns on `graph` into the folder `out`: latest/ (the checkpoint), training/ (where it stands), log.jsonl and
    curves.png.

    config: the whole training's; limits: of its episodes; attended: whether a person is there to judge; say: what the
    operator is told; command: how it was started. Call `begin` first.
    """

    def __init__(
        self,
        graph: Graph,
        out: Path,
        config: TrainSpeedConfig,
        limits: EpisodeLimits,
        attended: bool = True,
        say: Callable[[str], None] = print,
        command: str = "",
    ) -> None:
        self._graph = graph
        self._out = out
        self._config = config
        self._live = config.live
        self._limits = limits
        self._attended = attended
        self._say = say
        self._command = command
        self._saved = 0  # decisions in the last state
        self._seed = self._live.first_seed

    @property
    def _state(self) -> Path:
        return self._out / "training" / STATE

    @property
    def _latest(self) -> Path:
        return self._out / "latest"

    def begin(self, factory: LearnerFactory, resume: bool = False) -> None:
        """Make the learner, or stand where the run in `out` stopped: its last state, and the labelled episodes since,
        learned again.

        Raises DataError if `out` holds a run that is not to be resumed, ConfigError if that has other settings.
        """
        free, fresh = ("decisions", "live"), not self._state.exists()
        check_run(self._out / "training", self._config, resume, free)
        self._journal = Journal(self._out / "training" / "episodes")
        if fresh:
            projection = None
            if factory.sees:
                first = self._live.first_seed + CALIBRATION
                projection = factory.calibrate(self._graph, self._out / "training" / "looking", first, self._say)
            self._learner = factory.make(projection)
            self._learner.begin()
        begin_run(self._out / "training", self._config, resume, free)
        log = self._out / "log.jsonl"
        if fresh:
            self._log = RunLog(log, "episodes", 0)
            self._save()
        tree = read_tree(self._state)
        found = tree["learner"]["projection"]
        self._learner = factory.make(found and Projection(**found))
        self._learner.set_state(tree["learner"])
        self._saved, learned = self._learner.agent.decisions, int(tree["episodes"])
        self._log = RunLog(log, "episodes", learned)
        for episode in self._journal.read(learned):
            self._learn(episode)
            self._seed = episode.seed + 1
        if learned and learned == len(self._journal):
            self._seed = next(self._journal.read(learned - 1)).seed + 1
        if resume:
            self._say(f"resumed: {len(self._journal)} episodes, {len(self._journal) - learned} of them learned again")

    def run(self, seconds: float = math.inf) -> dict[str, Any]:
        """Learn until there are enough episodes, the operator quits or `seconds` are over; the log's last line."""
        discarded, end = 0, time.monotonic() + seconds
        while len(self._journal) < self._live.episodes and time.monotonic() < end:
            self._push()
            episode = self._graph.run(self._seed, "", self._limits)
            if episode is None:
                break
            labelled = self._judged(episode)
            self._seed += 1
            discarded = 0 if labelled is not None else discarded + 1
            if labelled is None:
                self._check(discarded)
                continue
            self._journal.append(labelled)  # before anything is learned from it: a crash from here on loses nothing
            self._learn(labelled)
            if self._learner.agent.decisions - self._saved >= self._live.checkpoint_decisions:
                self._save()
        self._save()
        self._push(load=False)
        return self._log.rows[-1] if self._log.rows else {}

    def _push(self, load: bool = True) -> None:
        """The weights as they are, to the speed policy's node."""
        last = self._log.rows[-1] if self._log.rows else {}
        figures = {key: last[key] for key in ("episodes", "decisions") if last}
        seeds = {"training": [self._live.first_seed, self._seed - 1]} if last else {}
        self._learner.write(self._latest, figures, self._command, to_dict(self._config), seeds)
        if load:
            self._graph.load(str(self._latest.resolve()), self._seed)

    def _judged(self, episode: LiveEpisode) -> LabelledEpisode | None:
        """What can be learned from it; None without a verdict, or where too little was heard. Nothing is guessed."""
        label = self._graph.label(episode, self._live.label_timeout_s)
        if label is None:
            self._say(f"episode {episode.seed}: no verdict ({episode.reason}): discarded")
            return None
        try:
            made = decisions(episode, self._learner.config.speeds, self._learner.policy.size)
            speeds = executed(episode, int(made.stamps[0]))
        except DataError as error:
            self._say(f"{error}: discarded")
            return None
        left = max(round(self._limits.time / CONTROL_DT) - episode.steps, 0)
        return LabelledEpisode(episode.id, episode.seed, made, speeds, label, left)

    def _check(self, discarded: int) -> None:
        if discarded >= _DISCARDS and not self._attended:
            raise SpeedtuneError(f"{discarded} episodes in a row could not be learned from; see above")

    def _learn(self, episode: LabelledEpisode) -> None:
        began = time.monotonic()
        gained = self._learner.add(episode.decisions, episode.speeds, episode.label, episode.left, episode.name)
        updates = self._learner.learn()
        line = {
            "episodes": len(self._log.rows) + 1,
            "decisions": self._learner.agent.decisions,
            "updates": self._learner.agent.updates,
            "seed": episode.seed,
            "label": episode.label,
            "success": episode.label >= SUCCESS,
            "steps": len(episode.speeds),
            "realised_speed": float(np.mean(episode.speeds)),
            "return": gained,
            "update_seconds": time.monotonic() - began,
        }
        self._log.add(**line)
        recent = self._log.rows[-20:]
        rate, speed = (np.mean([float(row[key]) for row in recent]) for key in ("success", "realised_speed"))
        self._say(
            f"episode {line['episodes']}: labelled {episode.label:g}, {line['steps'] * CONTROL_DT:.2f} s at "
            f"{line['realised_speed']:.2f}x; {line['decisions']} decisions, {updates} updates; "
            f"last {len(recent)}: success {rate:.2f} at {speed:.2f}x"
        )

    def _save(self) -> None:
        write_tree(self._state, {"learner": self._learner.get_state(), "episodes": len(self._log.rows)})
        self._saved = self._learner.agent.decisions
        if self._log.rows:
            write_curves(self._log.rows, self._out / "curves.png")
