"""Gram matrices against numpy; style ignores places."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidrestore.training.losses.style import gram, gram_l1, style_l1


def maps(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=20, deadline=None)
@given(
    count=st.integers(1, 3),
    channels=st.integers(1, 5),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
)
def test_gram_equals_numpys(count: int, channels: int, height: int, width: int) -> None:
    features = maps(count, channels, height, width)
    array = features.numpy().astype(np.float64)
    wanted = np.einsum("nihw,njhw->nij", array, array) / (channels * height * width)
    np.testing.assert_allclose(gram(features).numpy(), wanted, rtol=1e-4, atol=1e-6)


def test_autocast_does_not_round_the_gram_matrix() -> None:
    features = maps(1, 8, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        found = gram(features)
    assert found.dtype == torch.float32
    assert torch.equal(found, gram(features))


def test_style_does_not_see_places() -> None:
    features = maps(2, 4, 6, 6)
    moved = features.flatten(2)[:, :, torch.randperm(36)].view_as(features)
    assert float(gram_l1(features, moved)) == pytest.approx(0, abs=1e-6)
    assert float(gram_l1(features, 2 * features)) > 0.1


def test_the_sum_is_weighted_and_the_truth_gets_no_gradient() -> None:
    own = {"a": maps(1, 2, 3, 3, seed=1).requires_grad_(), "b": maps(1, 4, 2, 2, seed=2)}
    wanted = {"a": maps(1, 2, 3, 3, seed=3).requires_grad_(), "b": maps(1, 4, 2, 2, seed=4)}
    loss = style_l1(own, wanted, {"a": 3.0, "b": 0.5})
    parts = [float(gram_l1(own[name], wanted[name])) for name in "ab"]
    assert float(loss) == pytest.approx(3 * parts[0] + 0.5 * parts[1], rel=1e-5)
    loss.backward()
    assert own["a"].grad is not None
    assert wanted["a"].grad is None
