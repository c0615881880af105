"""Sample efficiency: what a speed policy has learned after so many decisions, from one long training a seed.

A training is run to each mark in turn; the best checkpoint so far, which is what stopping there would have left, is
set aside and evaluated.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from speedtune_ros.data.checkpoint_folder import CARD, WEIGHTS, replace_file
from speedtune_ros.errors import ConfigError
from speedtune_ros.evaluation.study import Study, held
from speedtune_ros.training.run_folder import read_log


def run(study: Study, marks: Sequence[int]) -> Iterator[str]:
    """Train and evaluate each training seed up to each of `marks`; what became of each. Raises ConfigError."""
    for seed in study.training_seeds:
        folder = study.out / f"seed-{seed}"
        with held(folder) as mine:
            if not mine:
                yield f"seed {seed}: another process is at it"
                continue
            for mark in checked_marks(marks):
                _reach(study, mark, seed, folder)
                yield f"seed {seed}, {mark} decisions: done"


def rows(study: Study, marks: Sequence[int]) -> list[dict[str, Any]]:
    """The rows that are done: those of `evaluate`, with `decisions` and `seed_of_training`."""
    found = []
    for seed in study.training_seeds:
        for mark in marks:
            config = dataclasses.replace(study.config, decisions=mark, seed=seed)
            row = study.done(config, _folder(study.out / f"seed-{seed}", mark))
            if row is not None:
                found.append({"decisions": mark, "seed_of_training": seed, **row})
    return found


def checked_marks(marks: Sequence[int]) -> Sequence[int]:
    """As they are. Raises ConfigError unless they increase from at least 1."""
    if not marks or marks[0] < 1 or any(a >= b for a, b in zip(marks, marks[1:])):
        raise ConfigError(f"marks: expected numbers of decisions that increase, got {list(marks)}")
    return marks


def _reach(study: Study, mark: int, seed: int, folder: Path) -> None:
    config, at = dataclasses.replace(study.config, decisions=mark, seed=seed), _folder(folder, mark)
    if study.done(config, at) is not None:
        return
    if not (at / "policy" / CARD).exists():
        _check_not_past(mark, folder / "training")
        study.train(config, folder / "training")
        (at / "policy").mkdir(parents=True, exist_ok=True)
        for name in (WEIGHTS, CARD):  # the card last: it says that both are there
            replace_file(at / "policy" / name, (folder / "training" / name).read_bytes())
    study.measure(config, at / "policy", at)


def _check_not_past(mark: int, training: Path) -> None:
    """Raises ConfigError if training went on beyond `mark`: what it would have left there is gone."""
    reached = [row["decisions"] for row in read_log(training / "training" / "log.jsonl")]
    if len(reached) > 1 and reached[-2] >= mark:  # the last one may be of the mark itself
        raise ConfigError(f"{training} has {reached[-1]} decisions, too many for mark {mark}: name another --out")


def _folder(folder: Path, mark: int) -> Path:
    return folder / f"at-{mark}"
