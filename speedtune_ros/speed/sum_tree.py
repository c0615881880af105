"""Sampling in proportion to weights, in logarithmic time.

Schaul et al. 2016, Prioritized Experience Replay, https://arxiv.org/abs/1511.05952, appendix B.2.1.
"""

from __future__ import annotations

import numpy as np

from speedtune_ros.errors import InvalidInputError


class SumTree:
    """`size` weights of at least 0, their total, and where a mark on the running total falls.

    A node is always exactly the sum of its two children, so the leaves alone determine the tree to the bit.
    """

    def __init__(self, size: int) -> None:
        self._first = 1 << max(size - 1, 0).bit_length()  # of the leaves: a power of two
        self._size = size
        self._nodes = np.zeros(2 * self._first)

    @property
    def total(self) -> float:
        return float(self._nodes[1])

    @property
    def weights(self) -> np.ndarray:
        """All weights (size,), a view."""
        return self._nodes[self._first : self._first + self._size]

    def set(self, indices: np.ndarray, weights: np.ndarray) -> None:
        """Change the weights (n,) at `indices` (n,). Raises InvalidInputError if one is not finite or below 0."""
        if not np.isfinite(weights).all() or (np.asarray(weights) < 0.0).any():
            raise InvalidInputError(f"weights: expected finite numbers of at least 0, got {weights}")
        nodes = np.asarray(indices, np.int64) + self._first
        self._nodes[nodes] = weights
        while nodes.size and nodes[0] > 1:  # all are at the same depth; a parent summed twice is summed alike
            nodes = nodes // 2
            self._nodes[nodes] = self._nodes[2 * nodes] + self._nodes[2 * nodes + 1]

    def find(self, marks: np.ndarray) -> np.ndarray:
        """The index (n,) whose share of [0, total) each mark (n,) falls in. Never one of weight 0."""
        marks = np.array(marks, np.float64)
        nodes: np.ndarray = np.ones(len(marks), np.int64)
        while nodes.size and nodes[0] < self._first:  # all are at the same depth
            left = self._nodes[2 * nodes]
            # Rounding may leave a mark at the very end of its share, where nothing is to the right.
            right = (marks >= left) & (self._nodes[2 * nodes + 1] > 0.0)
            marks = np.where(right, marks - left, marks)
            nodes = 2 * nodes + right
        return nodes - self._first
