"""Random numbers over time follow from the seed and the frame's number alone."""

from __future__ import annotations

import numpy as np
import pytest

from vidrestore.degradations.timeline import Moment, Timeline

TIMES = Timeline((7, 0), 90, 120)


def test_frames_may_be_asked_for_in_any_order() -> None:
    forward = [Moment(TIMES, index).rng.random() for index in range(20)]
    backward = [Moment(TIMES, index).rng.random() for index in reversed(range(20))]
    assert forward == backward[::-1]
    assert len(set(forward)) == 20
    assert TIMES.of_stretch(-2).random() not in forward


def test_drift_is_smooth_and_of_unit_variance() -> None:
    values = np.array([TIMES.drift(index, 10.0, 8) for index in range(3000)])
    assert values.std() == pytest.approx(1, abs=0.05)
    assert np.abs(np.diff(values, axis=0)).mean() < 0.25
    assert abs(np.corrcoef(values[:-40, 0], values[40:, 0])[0, 1]) < 0.15


def test_another_seed_or_step_is_another_timeline() -> None:
    others = [Timeline((8, 0), 90, 120), Timeline((7, 1), 90, 120)]
    drifts = [float(times.drift(13, 5.0)[0]) for times in (TIMES, *others)]
    assert len(set(drifts)) == 3
