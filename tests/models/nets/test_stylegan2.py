"""The generators have the published structure and are as random as they are told to be."""

from __future__ import annotations

import json

import pytest
import torch

from vidrestore.models.layers.fused import Tail, finish_by_torch
from vidrestore.models.nets.stylegan2 import (
    StyleGAN2Generator,
    StyleGAN2GeneratorClean,
    channels_at,
)

TINY = {"out_size": 16, "num_style_feat": 8, "num_mlp": 2, "narrow": 0.02}


@pytest.fixture(params=[StyleGAN2Generator, StyleGAN2GeneratorClean])
def generator(request):
    torch.manual_seed(0)
    network = request.param(**TINY).eval()
    for name, parameter in network.named_parameters():
        if parameter.shape == (1,) and name.endswith("weight"):
            torch.nn.init.constant_(parameter, 0.5)  # Noise starts without strength.
    return network


@pytest.mark.parametrize(
    ("network", "case", "size", "multiplier"),
    [
        (StyleGAN2Generator, "gfpgan_v1_512_cm1", 512, 1),
        (StyleGAN2GeneratorClean, "gfpgan_clean_512_cm2", 512, 2),
    ],
)
def test_keys_are_those_of_the_published_decoders(shared, network, case, size, multiplier):
    table = json.loads((shared / "reference" / f"{case}.json").read_text("utf-8"))["state_dict"]
    prefix = "stylegan_decoder."
    published = {
        name.removeprefix(prefix): shape for name, shape in table.items() if prefix in name
    }
    with torch.device("meta"):
        ours = network(size, channel_multiplier=multiplier).state_dict()
    assert {name: list(value.shape) for name, value in ours.items()} == published
    assert list(ours) == list(published)


def test_channels_follow_the_published_table():
    found = [channels_at(2**i, 2, 1) for i in range(2, 12)]
    assert found == [512, 512, 512, 512, 512, 256, 128, 64, 32, 16]


def test_draws_one_picture_for_each_vector(generator):
    z = torch.randn(3, 8)
    with torch.no_grad():
        pictures = generator(z)
        assert pictures.shape == (3, 3, 16, 16) and pictures.dtype == torch.float32
        torch.testing.assert_close(pictures[1:2], generator(z[1:2]))
        assert not torch.allclose(pictures[0], pictures[1])


def test_noise_is_the_stored_one_unless_given(generator):
    z = torch.randn(2, 8)
    with torch.no_grad():
        stored = generator(z)
        assert torch.equal(stored, generator(z))
        first, again, second = (
            generator(z, generator.fresh_noise(2, torch.Generator().manual_seed(seed)))
            for seed in (1, 1, 2)
        )
    assert torch.equal(first, again)
    assert not torch.allclose(first, second) and not torch.allclose(first, stored)


def test_every_layer_has_a_latent_of_its_own(generator):
    latents = torch.randn(1, generator.n_latents, 8)
    with torch.no_grad():
        picture = generator.synthesize(latents)
        for layer in range(generator.n_latents):
            other = latents.clone()
            other[:, layer] += 1
            assert not torch.allclose(generator.synthesize(other), picture)


@pytest.mark.parametrize("steered", [2, 4])
def test_features_are_steered_in_their_last_channels_only(steered):
    x, scale, shift = torch.randn(2, 4, 3, 3), *torch.randn(2, 2, steered, 3, 3)
    expected = x.clone()
    expected[:, 4 - steered :] = x[:, 4 - steered :] * scale + shift
    tail = Tail(scale=scale, shift=shift)
    torch.testing.assert_close(finish_by_torch(x.clone().requires_grad_(), tail), expected)
    with torch.inference_mode():
        torch.testing.assert_close(finish_by_torch(x.clone(), tail), expected)
