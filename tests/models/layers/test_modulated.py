"""Modulated convolution with one kernel for all samples equals its definition with one for each."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from vidrestore.models.layers.fused import Tail, finish_by_torch
from vidrestore.models.layers.modulated import ModulatedConv2d
from vidrestore.models.layers.resample import fir_kernel


def by_definition(conv: ModulatedConv2d, x: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
    """One sample after the other, each with a kernel of its own (arXiv:1912.04958, eq. 1 and 3)."""
    pictures = []
    for sample, scales in zip(x, conv.modulation(style), strict=True):
        kernel = conv.weight[0] * conv.scale * scales[None, :, None, None]
        if conv.demodulate:
            kernel = kernel / (kernel.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        pictures.append(plain(conv, sample[None], kernel))
    return torch.cat(pictures)


def plain(conv: ModulatedConv2d, x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    if conv.upsampling == "bilinear":
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    if conv.upsampling == "fir":
        y = F.conv_transpose2d(x, kernel.transpose(0, 1), stride=2)
        blur = fir_kernel(gain=4.0).to(y).expand(y.shape[1], 1, 4, 4)
        return F.conv2d(y, blur, padding=1, groups=y.shape[1])
    return F.conv2d(x, kernel, padding=kernel.shape[-1] // 2)


@pytest.fixture(params=[None, "bilinear", "fir"])
def upsampling(request):
    return request.param


@pytest.mark.parametrize("equalized", [False, True])
@pytest.mark.parametrize("demodulate", [False, True])
def test_equals_its_definition_for_a_batch(upsampling, demodulate, equalized):
    torch.manual_seed(1)
    conv = ModulatedConv2d(
        5, 4, 3, 6, demodulate=demodulate, upsampling=upsampling, equalized=equalized
    ).double()
    x, style = torch.randn(3, 5, 8, 6).double(), torch.randn(3, 6).double()
    expected = by_definition(conv, x, style)
    torch.testing.assert_close(conv(x, style), expected)
    conv.fold()
    with torch.inference_mode():
        torch.testing.assert_close(conv(x, style), expected)
        conv.freeze()
        torch.testing.assert_close(conv(x, style), expected)


def test_no_kernel_is_copied_for_each_sample(monkeypatch):
    calls = []
    conv2d = F.conv2d

    def watched(x, kernel, *args, **kwargs):
        calls.append((kernel.shape, kwargs.get("groups", 1)))
        return conv2d(x, kernel, *args, **kwargs)

    monkeypatch.setattr(F, "conv2d", watched)
    ModulatedConv2d(5, 4, 3, 6)(torch.randn(7, 5, 8, 8), torch.randn(7, 6))
    assert calls == [((4, 5, 3, 3), 1)]


def test_gradient_reaches_kernel_and_style(upsampling):
    torch.manual_seed(2)
    conv = ModulatedConv2d(2, 2, 3, 3, upsampling=upsampling).double()
    x = torch.randn(2, 2, 3, 3).double().requires_grad_()
    style = torch.randn(2, 3).double().requires_grad_()
    assert torch.autograd.gradcheck(conv, (x, style))


def test_finishing_in_place_changes_no_value():
    torch.manual_seed(3)
    y, factors = torch.randn(2, 4, 5, 5), torch.rand(2, 4)
    noise, strength, bias = torch.randn(1, 1, 5, 5), torch.rand(1), torch.randn(4)
    scaled = y * factors[:, :, None, None] + noise * strength
    expected = F.leaky_relu(scaled + bias[None, :, None, None], 0.2)
    tail = Tail(factors, noise, strength, bias, slope=0.2)
    torch.testing.assert_close(finish_by_torch(y.clone().requires_grad_(), tail), expected)
    with torch.inference_mode():
        torch.testing.assert_close(finish_by_torch(y.clone(), tail), expected)
