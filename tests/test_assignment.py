"""Pairs have the greatest sum, as SciPy finds it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from vidrestore.assignment import best_pairs


@pytest.mark.parametrize(("rows", "columns"), [(0, 3), (3, 0), (1, 1), (5, 5), (4, 9), (9, 4)])
def test_pairs_are_those_of_scipy(rows: int, columns: int) -> None:
    rng = np.random.default_rng(rows + 10 * columns)
    for _ in range(40):
        score = rng.normal(size=(rows, columns))
        expected = [
            (int(row), int(column))
            for row, column in zip(*linear_sum_assignment(score, maximize=True), strict=True)
        ]
        assert best_pairs(score) == expected


def test_equal_scores_give_the_greatest_sum() -> None:
    rng = np.random.default_rng(7)
    for _ in range(200):
        score = rng.integers(0, 3, size=rng.integers(1, 8, 2)).astype(float)
        pairs = best_pairs(score)
        assert len({row for row, _ in pairs}) == len({column for _, column in pairs})
        assert len(pairs) == min(score.shape)
        most = score[linear_sum_assignment(score, maximize=True)].sum()
        assert sum(score[pair] for pair in pairs) == most
