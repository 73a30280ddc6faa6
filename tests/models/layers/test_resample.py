"""Resampling equals its definition, the fast ways equal the plain ones."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from vidrestore.models.layers.fused import Tail
from vidrestore.models.layers.resample import (
    Filter,
    FilterDoubled,
    conv_of_doubled,
    double,
    edge_kernels,
    fir_kernel,
    halve,
    transposed_kernel,
)

sides = st.integers(2, 9)


def random(*shape: int, layout: torch.memory_format = torch.contiguous_format) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    values = torch.randn(shape, generator=generator, dtype=torch.float64)
    return values.contiguous(memory_format=layout)


def plain_double(x: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def fast(x: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    blur = Filter(gain=4.0, padding=1).double()
    return conv_of_doubled(
        x, transposed_kernel(kernel), edge_kernels(kernel), blur, Tail(bias=bias)
    )


@settings(max_examples=20, deadline=None)
@given(n=st.integers(1, 3), inputs=st.integers(1, 4), outputs=st.integers(1, 4), h=sides, w=sides)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_convolution_of_a_doubled_map(layout, n, inputs, outputs, h, w):
    x = random(n, inputs, h, w, layout=layout)
    kernel, bias = random(outputs, inputs, 3, 3), random(outputs)
    expected = F.conv2d(plain_double(x), kernel, bias, padding=1)
    with torch.inference_mode():
        torch.testing.assert_close(fast(x, kernel, bias), expected)


def test_gradients_of_the_convolution_of_a_doubled_map():
    x, kernel = random(2, 3, 5, 4).requires_grad_(), random(2, 3, 3, 3).requires_grad_()
    weights = random(2, 2, 10, 8)
    found = torch.autograd.grad((fast(x, kernel) * weights).sum(), (x, kernel))
    plain = F.conv2d(plain_double(x), kernel, padding=1)
    expected = torch.autograd.grad((plain * weights).sum(), (x, kernel))
    torch.testing.assert_close(found, expected)


@settings(max_examples=20, deadline=None)
@given(channels=st.integers(1, 5), h=sides, w=sides)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_doubling_and_halving_are_bilinear(layout, channels, h, w):
    x = random(2, channels, h, w, layout=layout)
    with torch.inference_mode():
        torch.testing.assert_close(double(x), plain_double(x))
    even = double(x)
    half = F.interpolate(even, scale_factor=0.5, mode="bilinear", align_corners=False)
    torch.testing.assert_close(halve(even), half)


def test_filtered_doubling_inserts_zeros_and_filters():
    x = random(1, 2, 5, 6)
    zeros_between = torch.zeros(1, 2, 10, 12, dtype=x.dtype)
    zeros_between[:, :, ::2, ::2] = x
    kernel = fir_kernel(gain=4.0).double().expand(2, 1, 4, 4)
    expected = F.conv2d(F.pad(zeros_between, (2, 1, 2, 1)), kernel, groups=2)
    torch.testing.assert_close(FilterDoubled(gain=4.0).double()(x), expected)


def test_kernel_sums_to_its_gain_and_is_stored_only_when_asked():
    assert fir_kernel((1, 3, 3, 1), 4.0).sum() == 4
    assert list(Filter(stored=True).state_dict()) == ["kernel"]
    assert not Filter().state_dict()
