"""Laws of the soft step."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from vidrestore.ramps import smooth_step

moderate = st.floats(-50, 50)


@given(moderate, moderate, st.floats(0, 1))
def test_it_leads_from_0_to_1_evenly_about_its_middle(low: float, high: float, t: float) -> None:
    assume(abs(high - low) > 1e-3)
    way = high - low
    ends = smooth_step([low - way, low, (low + high) / 2, high, high + way], low, high)
    np.testing.assert_allclose(ends, [0, 0, 0.5, 1, 1], atol=1e-6)
    mirrored = 1 - smooth_step(high - t * way, low, high)
    np.testing.assert_allclose(smooth_step(low + t * way, low, high), mirrored, atol=1e-6)


def test_it_rises_and_is_flat_at_both_ends() -> None:
    values = smooth_step(np.linspace(0, 1, 1001), 0, 1)
    slopes = np.diff(values) * 1000
    assert values.shape == (1001,) and (slopes > 0).all()
    assert slopes[0] < 0.01 and slopes[-1] < 0.01 and abs(slopes.max() - 1.5) < 0.01
