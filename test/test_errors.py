"""The error family: one base, and unknown names that say what exists."""

from __future__ import annotations

import pytest

from speedtune_ros import errors


def test_an_unknown_name_lists_what_exists_and_guesses() -> None:
    error = errors.UnknownNameError("retimer", "liner", ["time_optimal", "linear"])
    assert str(error) == "unknown retimer 'liner'; available: linear, time_optimal. Did you mean 'linear'?"


def test_no_guess_where_nothing_is_near_and_none_where_nothing_exists() -> None:
    assert str(errors.UnknownNameError("task", "xyz", ["cube"])) == "unknown task 'xyz'; available: cube."
    assert str(errors.UnknownNameError("task", "xyz", [])) == "unknown task 'xyz'; available: none."


@pytest.mark.parametrize(
    "name", [n for n, v in vars(errors).items() if isinstance(v, type) and issubclass(v, Exception)]
)
def test_all_are_one_family(name: str) -> None:
    assert issubclass(getattr(errors, name), errors.SpeedtuneError)


def test_a_bad_checkpoint_is_bad_data() -> None:
    assert issubclass(errors.CheckpointError, errors.DataError)
