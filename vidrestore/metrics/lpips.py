"""LPIPS, a learned distance between images (Zhang et al. 2018, arXiv:1801.03924).

The linear heads (version 0.1 of the authors) are data files of torchmetrics. The network below them
comes from torchvision's file on this machine, never from the net. 0 for equal images, larger is
worse. The authors advise AlexNet for measuring and VGG16 for training; papers use both, so say
which.

    distance = Lpips("alex", find_file(ALEXNET))(images, truth)
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from vidrestore.errors import NotAvailableError, WeightsError
from vidrestore.models.weights.checkpoint import Unfilled, read

__all__ = ["Lpips"]

_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Of red, green and blue in [-1, 1], before the network: ImageNet's statistics."""
_LAYERS = {"alex": (1, 4, 7, 9, 11), "vgg": (3, 8, 15, 22, 29)}
"""Numbers of the ReLU layers whose outputs are compared, in torchvision's `features`."""
_EPSILON = 1e-8


class Lpips(nn.Module):
    """The distance; differentiable with respect to the images.

    Args:
        network: "alex" or "vgg".
        weights: Torchvision's file of AlexNet or VGG16; only its convolutions are used.

    Raises:
        NotAvailableError: Torchmetrics or torchvision is not installed.
        WeightsError: the file is not that network's.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, network: Literal["alex", "vgg"], weights: Path) -> None:
        super().__init__()
        self._compared = _LAYERS[network]
        self.features = _load_features(network, weights)
        self.heads = _load_heads(network)
        for name, values in (("shift", _SHIFT), ("scale", _SCALE)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor, truth: Tensor) -> Tensor:
        """(N,) distances between images (N, 3, H, W), RGB in [0, 1], sides of 64 px or more."""
        one, other = ((2 * side - 1 - self.shift) / self.scale for side in (images, truth))
        distance = torch.zeros(len(images), device=images.device, dtype=images.dtype)
        heads = iter(self.heads)
        for number, layer in enumerate(self.features):
            one, other = layer(one), layer(other)
            if number in self._compared:
                gap = (_scale_to_unit(one) - _scale_to_unit(other)) ** 2
                distance = distance + next(heads)(gap).mean((1, 2, 3))
        return distance


def _scale_to_unit(features: Tensor) -> Tensor:
    """Divide each place's vector of channels by its length."""
    return features / torch.sqrt(_EPSILON + (features**2).sum(1, keepdim=True))


def _load_features(network: Literal["alex", "vgg"], weights: Path) -> nn.Sequential:
    """Build the convolutions up to the last compared layer, filled from torchvision's file."""
    try:
        from torchvision import models
    except ImportError as error:
        raise NotAvailableError(
            'not available: torchvision, pip install "vidrestore[train]"'
        ) from error
    with Unfilled():
        built = models.alexnet(weights=None) if network == "alex" else models.vgg16(weights=None)
    features: nn.Sequential = built.features[: _LAYERS[network][-1] + 1]
    state = read(weights).state
    try:
        features.load_state_dict(
            {name: state[f"features.{name}"] for name in features.state_dict()}
        )
    except (KeyError, RuntimeError) as error:
        raise WeightsError(f"weights {weights}: not of the network that LPIPS needs") from error
    return features


def _load_heads(network: str) -> nn.ModuleList:
    """Read the authors' weights of the channels, a 1x1 convolution for each compared layer."""
    package = find_spec("torchmetrics")
    if package is None or package.origin is None:
        raise NotAvailableError('not available: torchmetrics, pip install "vidrestore[eval]"')
    folder = Path(package.origin).parent / "functional" / "image" / "lpips_models"
    state = read(folder / f"{network}.pth").state
    heads = nn.ModuleList()
    for number in range(len(_LAYERS[network])):
        weight = state[f"lin{number}.model.1.weight"]
        with Unfilled():
            head = nn.Conv2d(weight.shape[1], 1, 1, bias=False)
        head.load_state_dict({"weight": weight})
        heads.append(head)
    return heads
