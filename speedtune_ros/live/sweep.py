"""Success against speed on a running graph: SpeedTuning's protocol for real robots.

At each constant speed (any other speed policy counts as one more) the same number of episodes, each judged by a person (https://daivdyuan.github.io/speed-tuning/,
section "Real-world experiments"). The files are those of `speedtune sweep`, so the same figures are drawn of them.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from speedtune_ros.errors import SpeedtuneError
from speedtune_ros.evaluation.evaluate import summarise
from speedtune_ros.evaluation.evaluation_config import EvaluationConfig, file_words
from speedtune_ros.evaluation.provenance import resolved
from speedtune_ros.evaluation.samples import SampleFile
from speedtune_ros.evaluation.sweep import write
from speedtune_ros.live.episode import Graph, sample

_TRIES = 3  # of an episode without a verdict, where nobody is there to give one


class LiveSweep:
    """Measures on `graph` what `config` describes, at speed after speed, into `folder`; an interrupted one continues.

    label_timeout_s: after an episode's end; one without a verdict is run again. attended: whether a person is there to
    give one. say: what the operator is told.
    """

    def __init__(
        self,
        graph: Graph,
        config: EvaluationConfig,
        folder: Path,
        label_timeout_s: float,
        attended: bool,
        say: Callable[[str], None],
    ) -> None:
        self._graph = graph
        self._config = config
        self._folder = folder
        self._label_timeout_s = label_timeout_s
        self._attended = attended
        self._say = say

    def run(self, specs: Sequence[str], seeds: Sequence[int]) -> list[dict[str, Any]]:
        """One row a speed policy, as constant:2; those of an operator who quits as far as they came.

        Raises ConfigError if the folder holds samples of something else, SpeedtuneError if the graph fails.
        """
        rows: list[dict[str, Any]] = []
        for spec in specs:
            file = self._file(spec)
            complete = all(self._episode(spec, seed, file) for seed in file.missing(seeds))
            done = [sample.seed for sample in file.samples(seeds)]
            if done:
                rows.append(self._row(spec, done, file))
                write(rows, self._folder)
            if not complete:
                break
        return rows

    def _episode(self, spec: str, seed: int, file: SampleFile) -> bool:
        """Run one until it is judged; False if the operator quits."""
        for attempt in count(1):
            episode = self._graph.run(seed, spec)
            if episode is None:
                return False
            label = self._graph.label(episode, self._label_timeout_s)
            if label is not None:
                file.append(sample(episode, label))
                self._say(f"{spec}, seed {seed}: labelled {label:g} after {episode.duration:.2f} s")
                return True
            self._say(f"{spec}, seed {seed}: no verdict ({episode.reason}): discarded, and run again")
            if not self._attended and attempt == _TRIES:
                raise SpeedtuneError(f"{attempt} episodes of seed {seed} at {spec} ended without a verdict")
        return False

    def _path(self, spec: str) -> Path:
        return self._folder / f"{file_words(spec)}.json"

    def _at(self, spec: str) -> EvaluationConfig:
        return dataclasses.replace(self._config, speed=spec)

    def _file(self, spec: str) -> SampleFile:
        return SampleFile(self._path(spec).with_suffix(".jsonl"), {**resolved(self._at(spec)), "live": True})

    def _row(self, spec: str, seeds: Sequence[int], file: SampleFile) -> dict[str, Any]:
        baseline = self._file("constant:1").samples(seeds) or None
        steps = self._graph.episode_steps(self._config.task)
        row = summarise(self._at(spec), seeds, file.samples(seeds), baseline, None, steps)
        row["config"]["live"] = True
        self._path(spec).write_text(json.dumps(row, indent=1) + "\n")
        return row
