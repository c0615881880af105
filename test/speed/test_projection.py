"""What is kept of an encoder's numbers."""

from __future__ import annotations

import numpy as np
import pytest

from speedtune_ros.errors import InvalidInputError
from speedtune_ros.speed.projection import Projection


def test_it_keeps_the_directions_of_largest_spread_by_hand() -> None:
    # Along (1, 1) the samples lie at +-2 sqrt(2), across it at +-1.
    along, across = np.array([1.0, 1.0]) / np.sqrt(2.0), np.array([1.0, -1.0]) / np.sqrt(2.0)
    corners = [a * 2.0 * np.sqrt(2.0) * along + b * across for a in (-1, 1) for b in (-1, 1)]
    samples = np.array([3.0, 4.0]) + np.array(corners)
    projection = Projection.fit(samples, 1)
    np.testing.assert_allclose(projection.mean, [3.0, 4.0])
    np.testing.assert_allclose(projection(samples)[:, 0], [-1.0, -1.0, 1.0, 1.0])
    assert (projection.size, Projection.fit(samples, 5).size) == (1, 2)


def test_what_comes_out_has_unit_spread_and_what_never_varies_stays_small() -> None:
    samples = np.random.default_rng(0).normal(size=(200, 6)) * [5.0, 1.0, 0.1, 3.0, 2.0, 0.0] + 7.0
    found = Projection.fit(samples, 6)(samples)
    np.testing.assert_allclose(found.mean(0), 0.0, atol=1e-9)
    np.testing.assert_allclose(np.cov(found.T, bias=True)[:5, :5], np.eye(5), atol=1e-9)
    assert np.abs(found[:, 5]).max() < 1e-6
    same = Projection.fit(np.full((3, 2), 4.0), 2)
    np.testing.assert_array_equal(same(np.full((1, 2), 4.0)), [[0.0, 0.0]])


def test_a_spread_far_below_the_largest_is_not_blown_up() -> None:
    ends = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]) * [200.0, 0.002]  # spreads 200 and .002
    found = Projection.fit(ends, 2)(ends)
    np.testing.assert_allclose(np.abs(found), np.tile([1.0, 0.002 / (1e-3 * 200.0)], (4, 1)), rtol=1e-6)


def test_wrong_ones_are_refused() -> None:
    for bad in (np.full((3, 2), np.nan), np.zeros((0, 2)), np.zeros(4)):
        with pytest.raises(InvalidInputError, match="encoded images: expected finite numbers"):
            Projection.fit(bad, 1)
    with pytest.raises(InvalidInputError, match=r"expected mean \(E,\) and matrix \(E, F\), got \(2,\) and \(3, 1\)"):
        Projection(np.zeros(2), np.zeros((3, 1)))
