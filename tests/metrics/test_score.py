"""The score by which trainings choose their best checkpoint."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vidrestore.metrics.score import restoration_score


def scores(ssim: float, sharpness: float, identity: float | None) -> float:
    parts: list[Tensor | None] = [
        None if value is None else torch.tensor([value]) for value in (ssim, sharpness, identity)
    ]
    return float(restoration_score(*parts))  # type: ignore[arg-type]


def test_the_truth_has_one_and_parts_have_equal_say() -> None:
    assert scores(1, 1, 1) == 1
    assert scores(0.8, 0.5, 0.9) == pytest.approx((0.8 * 0.5 * 0.9) ** (1 / 3))
    assert scores(0.8, 0.5, None) == pytest.approx((0.8 * 0.5) ** (1 / 2))


def test_too_sharp_is_as_bad_as_too_soft_and_nothing_is_below_zero() -> None:
    assert scores(0.8, 2.0, 0.9) == pytest.approx(scores(0.8, 0.5, 0.9))
    assert scores(-0.2, 1, 1) == scores(1, 1, -0.3) == scores(1, 0, 1) == 0


def test_a_sharp_likeness_is_above_a_soft_one_and_above_noise() -> None:
    soft, sharp, noise, another = (
        scores(0.85, 0.50, 0.91),
        scores(0.80, 0.90, 0.90),
        scores(0.40, 1.00, 0.70),
        scores(0.80, 0.90, 0.50),
    )
    assert sharp > soft > noise
    assert sharp > another
