"""Feature matching sums the layers' mean differences."""

from __future__ import annotations

import pytest
import torch

from vidrestore.models.nets.discriminators import UNetDiscriminator
from vidrestore.training.losses.feature_matching import feature_matching


def test_layers_count_alike_whatever_their_size() -> None:
    own = [torch.full((1, 2, 8, 8), 3.0), torch.full((1, 16, 2, 2), -1.0)]
    wanted = [torch.full((1, 2, 8, 8), 1.0), torch.full((1, 16, 2, 2), -1.5)]
    assert float(feature_matching(own, wanted)) == pytest.approx(2.5)


def test_equal_pictures_match_and_only_the_restored_one_learns() -> None:
    torch.manual_seed(0)
    discriminator = UNetDiscriminator(width=8, levels=1).eval()
    truth, restored = torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16, requires_grad=True)
    wanted = discriminator(truth, with_features=True).features
    assert float(feature_matching(wanted, wanted)) == 0
    feature_matching(discriminator(restored, with_features=True).features, wanted).backward()
    assert restored.grad.abs().sum() > 0


def test_a_missing_layer_is_an_error() -> None:
    with pytest.raises(ValueError, match="argument"):
        feature_matching([torch.zeros(1)], [])
