"""Networks made ready for inference compute the same, and stay open to graph compilers."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from vidrestore.models.layers.equalized import EqualLinear
from vidrestore.models.registry import build
from vidrestore.models.restorers.prepare import prepare_for_inference, to_clean

SIZES = {
    "GFPGANv1Clean": "out_size",
    "GFPGANv1": "out_size",
    "GFPGANBilinear": "out_size",
    "GPEN FullGenerator": "size",
}
SIZE = 16


def small(arch: str) -> nn.Module:
    """A small network whose every entry counts."""
    torch.manual_seed(0)
    network = build(arch, narrow=0.05, **{SIZES[arch]: SIZE}).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return network


@pytest.fixture
def faces():
    return torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("arch", SIZES)
def test_folding_changes_no_picture(arch, faces):
    network = small(arch)
    with torch.inference_mode():
        expected = network(faces)
        prepared = prepare_for_inference(network)
        torch.testing.assert_close(prepared(faces), expected, rtol=1e-4, atol=1e-4)
    assert not any(parameter.requires_grad for parameter in prepared.parameters())


@pytest.mark.parametrize("different_w", [True, False])
def test_conversion_to_a_clean_network_leaves_the_source_as_it_is(different_w, faces):
    torch.manual_seed(0)
    network = build(
        "GFPGANBilinear", out_size=SIZE, narrow=0.05, different_w=different_w, input_is_latent=False
    )
    before = copy.deepcopy(network.state_dict())
    clean = to_clean(network)
    with torch.inference_mode():
        torch.testing.assert_close(clean(faces), network(faces), rtol=1e-4, atol=1e-4)
        for parameter in clean.parameters():
            parameter.zero_()
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


@pytest.mark.parametrize("arch", SIZES)
def test_short_formats_leave_styles_and_pictures_in_float32(arch, faces):
    prepared = prepare_for_inference(small(arch), precision="bfloat16")
    linear = [m for m in prepared.modules() if isinstance(m, nn.Linear | EqualLinear)]
    assert linear and all(m.weight.dtype == torch.float32 for m in linear)
    convolutions = [m for m in prepared.modules() if isinstance(m, nn.Conv2d)]
    assert all(m.weight.dtype == torch.bfloat16 for m in convolutions)
    with torch.inference_mode():
        assert prepared(faces).dtype == torch.float32


@pytest.mark.parametrize("arch", ["GFPGANv1Clean", "GPEN FullGenerator"])
def test_a_compiler_sees_one_graph(arch, faces):
    prepared = prepare_for_inference(small(arch))
    compiled = torch.compile(prepared, backend="eager", fullgraph=True)
    with torch.inference_mode():
        torch.testing.assert_close(compiled(faces), prepared(faces), rtol=1e-4, atol=1e-4)
