"""Weights in eight bits: close to what they were, and smaller."""

from __future__ import annotations

from pathlib import Path

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from vidrestore.models.weights.checkpoint import read
from vidrestore.models.weights.quantization import dequantize, quantize


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(1, 9), st.floats(1e-2, 1e2), st.integers(0, 10**6))
def test_no_weight_moves_by_more_than_half_a_step(
    outputs: int, inputs: int, size: float, seed: int
) -> None:
    """A step is the output's greatest weight over 127."""
    weight = torch.randn(outputs, inputs, 11, 11, generator=torch.Generator().manual_seed(seed))
    state = {"conv.weight": weight * size}
    back = dequantize(quantize(state))["conv.weight"]
    step = state["conv.weight"].flatten(1).abs().amax(1) / 127
    apart = (back - state["conv.weight"]).abs().flatten(1).amax(1)
    assert (apart <= (0.501 if weight.numel() >= 1024 else 0.1) * step).all()


def test_small_and_whole_numbers_are_not_quantized() -> None:
    state = {
        "norm.weight": torch.randn(64),
        "norm.count": torch.tensor(7),
        "gain": torch.ones(3, 5),
    }
    stored = quantize(state)
    assert set(stored) == set(state)
    assert stored["norm.count"].dtype == torch.int64
    for name, tensor in dequantize(stored).items():
        torch.testing.assert_close(tensor.to(state[name].dtype), state[name], atol=2e-3, rtol=1e-3)


def test_nothing_but_zeros_stays_zero() -> None:
    state = {"conv.weight": torch.zeros(32, 64)}
    assert torch.equal(dequantize(quantize(state))["conv.weight"], state["conv.weight"])


def test_a_file_is_read_in_full(tmp_path: Path) -> None:
    state = {"conv.weight": torch.randn(64, 128), "conv.bias": torch.randn(64)}
    whole, small = tmp_path / "whole.safetensors", tmp_path / "small.safetensors"
    save_file(state, whole)
    save_file(quantize(state), small)
    assert small.stat().st_size < 0.35 * whole.stat().st_size
    loaded = read(small).state
    assert set(loaded) == set(state)
    torch.testing.assert_close(loaded["conv.weight"], state["conv.weight"], atol=0.02, rtol=0)
