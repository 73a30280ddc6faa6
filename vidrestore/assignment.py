"""Who belongs to whom: pairs of rows and columns with the greatest sum of scores.

    pairs = best_pairs(score)

The Hungarian method by shortest augmenting paths (Crouse, "On implementing 2D rectangular
assignment algorithms", IEEE TAES 52(4), 2016). SciPy has the same, whose import takes 45 MB and as
long as a few frames.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vidrestore.structs import Array

__all__ = ["best_pairs"]


def best_pairs(score: Array) -> list[tuple[int, int]]:
    """Pair each row with a column of its own, or each column with a row where there are fewer.

    Args:
        score: (M, N) finite: what each pair counts.

    Returns:
        min(M, N) pairs (row, column), in the order of rows; no others have a greater sum.
    """
    if score.shape[0] > score.shape[1]:
        return sorted((row, column) for column, row in best_pairs(score.T))
    solver = _Assignment(-np.asarray(score, np.float64))
    for row in range(len(score)):
        solver.add(row)
    return [(row, int(column)) for row, column in enumerate(solver.column_of)]


class _Assignment:
    """The rows added so far, paired at the least cost.

    Args:
        cost: (M, N), M at most N.
    """

    def __init__(self, cost: Array) -> None:
        rows, columns = cost.shape
        self._cost = cost
        self._row_price, self._column_price = np.zeros(rows), np.zeros(columns)
        """A pair costs at least the sum of both prices, and just so much where it is chosen."""
        self._row_of = np.full(columns, -1)
        self.column_of = np.full(rows, -1)
        """-1 for rows that were not added."""

    def add(self, row: int) -> None:
        """Pair one more row, changing other pairs along the cheapest path to a free column."""
        way = np.full(len(self._row_of), np.inf)
        came_from = np.full(len(self._row_of), -1)
        reached = np.zeros(len(self._row_of), bool)
        at, length = row, 0.0
        while True:
            further = length + self._cost[at] - self._row_price[at] - self._column_price
            shorter = ~reached & (further < way)
            way[shorter], came_from[shorter] = further[shorter], at
            column = int(np.argmin(np.where(reached, np.inf, way)))
            length = way[column]
            if self._row_of[column] < 0:
                break
            reached[column] = True
            at = self._row_of[column]
        self._row_price[row] += length
        self._row_price[self._row_of[reached]] += length - way[reached]
        self._column_price[reached] -= length - way[reached]
        self._turn_path(row, column, came_from)

    def _turn_path(self, row: int, column: int, came_from: npt.NDArray[np.int64]) -> None:
        while True:
            at = int(came_from[column])
            self._row_of[column] = at
            self.column_of[at], column = column, int(self.column_of[at])
            if at == row:
                return
