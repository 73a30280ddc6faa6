"""Fréchet inception distance between two sets of pictures (Heusel et al. 2017).

Torchmetrics holds the sums and compares the two Gaussians; the features come from the network that
every published FID uses: TensorFlow's Inception of December 2015, in pytorch-fid's file. It is
torchvision's Inception v3 with 1008 classes, whose average pools leave the padding out and whose
last block pools by the maximum.

The distance depends on how many pictures there are: compare sets of one size, and do not trust a
few dozen.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.errors import NotAvailableError
from vidrestore.models.weights.checkpoint import Unfilled, fill, read
from vidrestore.runtime.extras import require_extra

__all__ = ["FrechetDistance", "InceptionFeatures", "build_inception"]

_SIZE = 299
_CLASSES = 1008


class InceptionFeatures(nn.Module):
    """From pictures to the (N, 2048) features that FID compares.

    Args:
        network: from `build_inception`, with weights.
    """

    num_features = 2048

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        network.fc = nn.Identity()
        self.network = network.eval().requires_grad_(False)

    @classmethod
    def load(cls, weights: Path) -> InceptionFeatures:
        """Fill the network with pytorch-fid's file.

        Raises:
            NotAvailableError: Torchvision is not installed.
            WeightsError: the file is damaged or another network's.
        """
        network = build_inception()
        fill(network, read(weights), arch="Inception v3 of FID")
        return cls(network)

    @torch.inference_mode()
    def forward(self, images: Tensor) -> Tensor:
        """Features of (N, 3, H, W) RGB in [0, 1], resized to 299 px without antialiasing."""
        size = (_SIZE, _SIZE)
        resized = F.interpolate(images, size, mode="bilinear", align_corners=False)
        features: Tensor = self.network(resized * 2 - 1)
        return features


class FrechetDistance:
    """The distance of several sets of pictures to one set of true ones.

    Args:
        features: a network as `InceptionFeatures`.

    Raises:
        NotAvailableError: torchmetrics is not installed.
    """

    def __init__(self, features: nn.Module) -> None:
        require_extra("torchmetrics", "eval")
        self._features = features
        self._true: list[Tensor] = []
        self._sets: dict[str, list[Tensor]] = {}

    def add_truth(self, images: Tensor) -> None:
        """Add true pictures, (N, 3, H, W) RGB in [0, 1]."""
        self._true.append(self._features(images))

    def add(self, name: str, images: Tensor) -> None:
        """Add pictures to the set of that name."""
        self._sets.setdefault(name, []).append(self._features(images))

    def compute(self) -> dict[str, float | None]:
        """Distances by name; None for sets of fewer than two pictures."""
        return {name: self._distance(torch.cat(parts)) for name, parts in self._sets.items()}

    def _distance(self, own: Tensor) -> float | None:
        from torchmetrics.image.fid import FrechetInceptionDistance

        true = torch.cat(self._true)
        if min(len(own), len(true)) < 2:
            return None
        metric = FrechetInceptionDistance(feature=_AsTheyAre(true.shape[1]))
        metric.set_dtype(torch.float64)
        metric.update(true, real=True)
        metric.update(own, real=False)
        return float(metric.compute())


class _AsTheyAre(nn.Module):
    """A stand-in where torchmetrics expects a network; what it is given are features already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features


def build_inception() -> nn.Module:
    """FID's Inception with unfilled weights, keys as in pytorch-fid's file.

    Raises:
        NotAvailableError: Torchvision is not installed.
    """
    try:
        from torchvision.models import inception as theirs
    except ImportError as error:
        raise NotAvailableError("not available: torchvision, pip install torchvision") from error

    blocks: list[Any] = [
        theirs.BasicConv2d,
        _pooling(theirs.InceptionA, _inner_mean),
        theirs.InceptionB,
        _pooling(theirs.InceptionC, _inner_mean),
        theirs.InceptionD,
        _pooling(theirs.InceptionE, _inner_mean),
        theirs.InceptionAux,
    ]
    with Unfilled():
        network: nn.Module = theirs.Inception3(
            _CLASSES, aux_logits=False, inception_blocks=blocks, init_weights=False
        )
        network.Mixed_7c = _pooling(theirs.InceptionE, _maximum)(2048)
    return network.eval()


def _pooling(block: Any, pool: Callable[[Tensor], Tensor]) -> Any:
    """The block (a class) with another pool in its last branch, under the same names."""

    def branches(self: Any, x: Tensor) -> list[Tensor]:
        return [*block._forward(self, x)[:-1], self.branch_pool(pool(x))]

    return type(block.__name__, (block,), {"_forward": branches})


def _inner_mean(x: Tensor) -> Tensor:
    """Mean over 3x3 pixels, of those that lie inside the map."""
    return F.avg_pool2d(x, kernel_size=3, stride=1, padding=1, count_include_pad=False)


def _maximum(x: Tensor) -> Tensor:
    return F.max_pool2d(x, kernel_size=3, stride=1, padding=1)
