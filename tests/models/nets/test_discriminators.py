"""Discriminators: published sizes, independence of pictures, per-pixel logits, second gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidrestore.errors import ModelError
from vidrestore.models.nets.discriminators import (
    ComponentDiscriminators,
    StyleGAN2Discriminator,
    UNetDiscriminator,
    minibatch_deviation,
)
from vidrestore.training.losses.adversarial import r1_penalty

TINY = {"size": 16, "narrow": 1 / 64}


@pytest.fixture(autouse=True)
def _drawn_weights() -> None:
    torch.manual_seed(0)


def pictures(count: int, size: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize(("size", "parameters"), [(1024, 29_012_513), (512, 28_982_849)])
def test_the_widths_are_the_published_ones(size: int, parameters: int) -> None:
    """The parameter counts of the official StyleGAN2, whose widths are channel multiplier 2."""
    with torch.device("meta"):
        network = StyleGAN2Discriminator(size, channel_multiplier=2)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


def test_multipliers_scale_the_right_layers() -> None:
    with torch.device("meta"):
        plain, wide, narrow = (
            StyleGAN2Discriminator(128, channel_multiplier, narrow)
            for channel_multiplier, narrow in ((1, 1), (2, 1), (1, 0.5))
        )
    shapes = [
        {name: tuple(value.shape) for name, value in network.state_dict().items()}
        for network in (plain, wide, narrow)
    ]
    first, last = "from_rgb.0.weight", "final_linear.0.weight"
    assert [found[first][0] for found in shapes] == [128, 256, 64]
    assert [found[last][0] for found in shapes] == [512, 512, 256]


def test_features_are_given_on_request_from_fine_to_coarse() -> None:
    network = StyleGAN2Discriminator(32, narrow=1 / 64)
    plain = network(pictures(2, 32))
    verdict = network(pictures(2, 32), with_features=True)
    assert plain.features == ()
    assert torch.equal(plain.logits, verdict.logits)
    assert verdict.logits.shape == (2, 1)
    assert [tuple(part.shape) for part in verdict.features] == [
        (2, 8, 16, 16),
        (2, 8, 8, 8),
        (2, 8, 4, 4),
    ]


@settings(max_examples=20, deadline=None)
@given(count=st.integers(1, 6), index=st.integers(0, 5), seed=st.integers(0, 99))
def test_without_the_deviation_each_picture_is_judged_alone(
    count: int, index: int, seed: int
) -> None:
    torch.manual_seed(seed)
    network = StyleGAN2Discriminator(**TINY, minibatch_stddev=False)
    batch = pictures(count, 16, seed)
    one = batch[index % count, None]
    together = network(batch).logits[index % count, None]
    assert torch.allclose(together, network(one).logits, atol=1e-5)


def test_with_the_deviation_pictures_of_a_group_are_compared() -> None:
    network = StyleGAN2Discriminator(**TINY, stddev_group=2)
    batch = pictures(4, 16)
    changed = batch.clone()
    changed[2] = 0  # The mate of picture 0 in the strided groups (0, 2) and (1, 3).
    moved = (network(batch).logits - network(changed).logits).abs().flatten()
    assert moved[0] > 1e-6
    assert moved[1] == moved[3] == 0


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 9), group=st.integers(1, 5), seed=st.integers(0, 99))
def test_the_deviation_equals_numpys(count: int, group: int, seed: int) -> None:
    maps = np.random.default_rng(seed).normal(size=(count, 3, 4, 2)).astype(np.float32)
    found = minibatch_deviation(torch.from_numpy(maps), group)
    assert found.shape == (count, 1, 4, 2)
    members = max(size for size in range(1, min(group, count) + 1) if count % size == 0)
    groups = count // members
    for index in range(count):
        same = maps[index % groups :: groups]
        assert len(same) == members
        wanted = np.sqrt(same.var(axis=0) + 1e-8).mean()
        np.testing.assert_allclose(found[index].numpy(), wanted, rtol=1e-4)


def test_component_discriminators_see_two_scales_and_give_maps_of_logits() -> None:
    discriminators = ComponentDiscriminators(width=4)
    regions = (pictures(2, 80), pictures(2, 80, 1), pictures(2, 120, 2))
    verdicts = discriminators(regions, with_features=True)
    assert [tuple(v.logits.shape) for v in verdicts] == [
        (2, 1, 20, 20),
        (2, 1, 20, 20),
        (2, 1, 30, 30),
    ]
    assert [[tuple(part.shape[1:]) for part in v.features] for v in verdicts] == [
        [(8, 40, 40), (16, 20, 20)],
        [(8, 40, 40), (16, 20, 20)],
        [(8, 60, 60), (16, 30, 30)],
    ]
    both = discriminators((regions[0], regions[0], regions[2]))
    assert not torch.allclose(both[0].logits, both[1].logits), (
        "each region has its own discriminator"
    )


def test_components_of_published_width_have_a_plausible_size() -> None:
    with torch.device("meta"):
        discriminators = ComponentDiscriminators()
    per_region = sum(parameter.numel() for parameter in discriminators.parameters()) / 3
    convs = 9 * (3 * 64 + 64 * 128 + 128 * 128 + 128 * 256 + 256 * 256 + 256)
    biases = 64 + 128 + 128 + 256 + 256 + 1
    assert per_region == convs + biases


@pytest.mark.parametrize("patch", [1, 2])
def test_the_unet_judges_every_pixel(patch: int) -> None:
    network = UNetDiscriminator(width=8, levels=2, patch=patch)
    verdict = network(pictures(1, 48), with_features=True)
    assert verdict.logits.shape == (1, 1, 48, 48)
    sides = [part.shape[-1] * patch for part in verdict.features]
    assert sides == [48, 24, 12, 24, 48]
    assert verdict.logits.flatten().unique().numel() > 1000


def test_a_logit_of_the_unet_depends_most_on_its_surroundings() -> None:
    network = UNetDiscriminator(width=8, levels=2)
    batch = pictures(1, 64).requires_grad_()
    network(batch).logits[0, 0, 20, 40].backward()
    influence = batch.grad.abs().sum((0, 1))
    row, column = divmod(int(influence.argmax()), 64)
    assert abs(row - 20) <= 4
    assert abs(column - 40) <= 4
    assert influence[:, :8].max() < 0.05 * influence.max()


def test_spectral_normalisation_bounds_every_layer_but_the_last() -> None:
    network = UNetDiscriminator(width=8, levels=2)
    with torch.no_grad():
        for layer in (network.first, *network.downs, *network.ups, network.last):
            layer.parametrizations.weight.original.mul_(7)
        for _ in range(80):
            network(pictures(1, 16))
    for layer in (network.first, *network.downs, *network.ups, network.last):
        weight = layer.weight.detach().flatten(1).numpy()
        assert np.linalg.svd(weight, compute_uv=False)[0] == pytest.approx(1, abs=0.05)


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ModelError, match="the network takes"):
        StyleGAN2Discriminator(**TINY)(pictures(1, 32))
    with pytest.raises(ModelError, match="sides divisible by 8"):
        UNetDiscriminator(width=8, levels=2)(pictures(1, 20))


@pytest.mark.parametrize(
    "network",
    [StyleGAN2Discriminator(**TINY), UNetDiscriminator(width=8, levels=2)],
    ids=["stylegan2", "unet"],
)
def test_logits_are_float32_under_autocast(network: torch.nn.Module) -> None:
    network.eval()
    batch = pictures(4, 16)
    exact = network(batch).logits.detach()
    with torch.autocast("cpu", torch.bfloat16):
        short = network(batch).logits
    assert short.dtype == torch.float32
    assert torch.allclose(short, exact, atol=0.05 * float(exact.std()) + 0.02)


def test_the_gradient_of_the_gradient_is_right() -> None:
    """R1's own gradient, by the network's second derivatives, against a finite difference."""
    network = StyleGAN2Discriminator(8, narrow=1 / 64)
    batch = pictures(2, 8)
    parameters = list(network.parameters())
    direction = [torch.randn_like(parameter) for parameter in parameters]
    r1_penalty(lambda x: network(x).logits, batch).backward()
    slope = sum(float((p.grad * d).sum()) for p, d in zip(parameters, direction, strict=True))

    def moved(step: float) -> float:
        with torch.no_grad():
            for p, d in zip(parameters, direction, strict=True):
                p.add_(d, alpha=step)
        value = float(r1_penalty(lambda x: network(x).logits, batch).detach())
        with torch.no_grad():
            for p, d in zip(parameters, direction, strict=True):
                p.sub_(d, alpha=step)
        return value

    step = 1e-4  # Small enough to cross no kink of an activation.
    assert (moved(step) - moved(-step)) / (2 * step) == pytest.approx(slope, rel=0.02)
