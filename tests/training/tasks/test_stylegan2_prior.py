"""Draws of the prior follow from seed and sample, whoever works on them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidrestore.models.nets.stylegan2 import StyleGAN2Generator
from vidrestore.training.config import AugmentConfig
from vidrestore.training.distributed import Distributed
from vidrestore.training.seeding import SeededDraws
from vidrestore.training.tasks.stylegan2_prior import (
    Augmentation,
    StyleGAN2Sampler,
    path_length_rows,
)

CPU = torch.device("cpu")


def draws(*indices: int, seed: int = 2) -> SeededDraws:
    return SeededDraws(seed, torch.tensor(indices), CPU)


@pytest.fixture(scope="module")
def generator() -> StyleGAN2Generator:
    torch.manual_seed(0)
    return StyleGAN2Generator(32, 16, 2, narrow=0.03125).eval()


@pytest.mark.parametrize("mixing_share", [0.0, 1.0])
@torch.no_grad()
def test_a_picture_follows_from_its_sample_alone(
    generator: StyleGAN2Generator, mixing_share: float
) -> None:
    sample = StyleGAN2Sampler(mixing_share)
    pictures, latents = sample(generator, draws(4, 5, 6), "z")
    assert pictures.shape == (3, 3, 32, 32) and len(latents) == 3
    alone, own = sample(generator, draws(5), "z")
    torch.testing.assert_close(alone[0], pictures[1], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(own[0], latents[1], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(sample(generator, draws(5), "other")[0], alone)


@given(st.integers(0, 50), st.integers(1, 8), st.sampled_from([0.25, 0.5, 1.0]))
@settings(max_examples=20, deadline=None)
def test_path_lengths_are_of_the_same_samples_however_batches_are_cut(
    first: int, count: int, share: float
) -> None:
    numbers = range(first, first + count)
    some, weight = path_length_rows(draws(*numbers), share, Distributed("cpu"))
    wanted = [number for number in numbers if number % round(1 / share) == 0]
    assert some.indices == (wanted or [first])
    if wanted:
        assert weight == 1


@pytest.mark.parametrize("kind", ["none", "diffaugment", "ada"])
def test_augmentations_are_of_the_samples_and_none_is_none(kind: str) -> None:
    augment = Augmentation(AugmentConfig.model_validate({"kind": kind}), Distributed("cpu"))
    augment.controller.probability = 0.9
    pictures = torch.rand(3, 3, 32, 32) * 2 - 1
    seen = augment(pictures, draws(1, 2, 3), "real")
    assert seen.shape == pictures.shape
    assert torch.equal(seen, pictures) == (kind == "none")
    torch.testing.assert_close(seen[1:2], augment(pictures[1:2], draws(2), "real"))
    assert ("ada_probability" in augment.metrics()) == (kind == "ada")
