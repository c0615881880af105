from __future__ import annotations

import numpy as np
import pytest

from speedtune_ros.errors import InvalidInputError
from speedtune_ros.speed.sum_tree import SumTree


def test_marks_fall_into_shares() -> None:
    tree = SumTree(5)
    tree.set(np.arange(5), np.array([1.0, 0.0, 2.0, 3.0, 4.0]))
    assert tree.total == 10.0
    marks = np.array([0.0, 0.99, 1.0, 2.99, 3.0, 5.99, 6.0, 9.99])
    assert tree.find(marks).tolist() == [0, 0, 2, 2, 3, 3, 4, 4]
    tree.set(np.array([0, 4]), np.array([0.0, 0.5]))
    assert tree.total == 5.5 and tree.find(np.array([0.0, 5.4, 5.5])).tolist() == [2, 4, 4]


@pytest.mark.parametrize("size", [1, 2, 7, 64, 100])
def test_against_the_running_total(size: int) -> None:
    rng = np.random.default_rng(size)
    tree = SumTree(size)
    for _ in range(20):
        rows = rng.integers(0, size, 10)
        tree.set(rows, np.round(rng.exponential(size=10), 2)[rows % 10])
        weights = tree.weights
        assert tree.total == pytest.approx(weights.sum(), rel=1e-12)
        if tree.total > 0.0:
            marks = rng.random(50) * tree.total
            found = tree.find(marks)
            ends = np.cumsum(weights)[found]
            assert (marks <= ends + 1e-9).all() and (marks >= ends - weights[found] - 1e-9).all()
            assert (weights[found] > 0.0).all()


def test_leaves_determine_the_tree() -> None:
    rng = np.random.default_rng(0)
    tree, copy = SumTree(33), SumTree(33)
    for _ in range(50):
        rows = rng.permutation(33)[:4]
        tree.set(rows, rng.random(4))
    copy.set(np.arange(33), tree.weights)
    assert copy.total == tree.total
    assert (
        copy.find(np.linspace(0, 0.999, 500) * tree.total) == tree.find(np.linspace(0, 0.999, 500) * tree.total)
    ).all()


@pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf])
def test_an_impossible_weight_is_refused(weight: float) -> None:
    with pytest.raises(InvalidInputError, match="weights: expected finite numbers of at least 0"):
        SumTree(3).set(np.array([1]), np.array([weight]))
