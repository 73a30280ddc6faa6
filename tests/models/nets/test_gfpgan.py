"""What all GFP-GANs have in common: same in, same out; latents can be steered, noise be given."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from vidrestore.errors import ModelError
from vidrestore.models.nets.gfpgan import GFPGAN, UNetWidths
from vidrestore.models.nets.gfpgan_clean import GFPGANv1Clean
from vidrestore.models.nets.gfpgan_v1 import GFPGANBilinear, GFPGANv1

SIZE = 32
ARGUMENTS: dict[str, Any] = {"out_size": SIZE, "num_style_feat": 16, "narrow": 0.0625, "num_mlp": 2}
KINDS = [GFPGANv1, GFPGANBilinear, GFPGANv1Clean]


def built(kind: type[GFPGAN], **arguments: Any) -> GFPGAN:
    torch.manual_seed(0)
    network = kind(**ARGUMENTS, **arguments).eval()
    for name, parameter in network.named_parameters():
        if "noise" not in name and name.endswith("conv1.weight") and "stylegan_decoder" in name:
            torch.nn.init.constant_(parameter, 0.5)
    return network


def faces(count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_pictures_depend_on_the_face_alone(kind: type[GFPGAN]) -> None:
    network, given = built(kind), faces()
    out = network(given)
    assert out.shape == given.shape and out.dtype == torch.float32
    torch.testing.assert_close(out[1:], network(given[1:]), atol=1e-4, rtol=1e-4)
    assert torch.equal(out, network(given)), "nothing is random"
    assert not torch.allclose(out[0], out[1])


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_latents_can_be_steered(kind: type[GFPGAN]) -> None:
    network, given = built(kind), faces()
    latents, *others = network.read(given)
    assert torch.equal(network.draw(latents, others), network(given))
    mean = latents.mean(0, keepdim=True).expand_as(latents)
    assert not torch.allclose(network.draw(mean, others), network(given))


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_features_have_a_picture_for_every_size(kind: type[GFPGAN]) -> None:
    network = built(kind)
    encoding = network.encode(faces())
    assert [one.shape[-1] for one in network.pyramid(encoding)] == [8, 16, 32]
    assert torch.equal(network.decode(encoding), network(faces()))


@pytest.mark.parametrize("kind", KINDS)
def test_other_sizes_are_refused(kind: type[GFPGAN]) -> None:
    with pytest.raises(ModelError, match=str(SIZE)):
        built(kind)(torch.zeros(1, 3, 2 * SIZE, 2 * SIZE))


@torch.no_grad()
def test_one_latent_can_serve_all_layers() -> None:
    network = built(GFPGANv1, different_w=False)
    assert network.encode(faces()).latents.shape[1] == 1
    assert network(faces()).shape == (2, 3, SIZE, SIZE)


@pytest.mark.parametrize("sft_half", [True, False])
def test_the_u_net_is_half_as_wide_as_the_decoder(sft_half: bool) -> None:
    widths = UNetWidths(64, 1, 1, sft_half)
    assert widths.down[-1][1] == widths.bottom == 256
    assert [width for _, width in widths.up] == [width for width, _ in widths.conditions]
    assert all(scales == (1 if sft_half else 2) * width for width, scales in widths.conditions)
