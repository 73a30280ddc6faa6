"""LPIPS, a learned distance between pictures (Zhang et al. 2018), by torchmetrics.

Torchmetrics brings the linear heads (version 0.1 of the authors); the network below them comes from
torchvision's file on this machine, never from the net. 0 for equal pictures, larger is worse. The
authors advise AlexNet for measuring and VGG16 for training; papers use both, so say which.

    distance = Lpips("alex", find_file(ALEXNET))(images, truth)
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from torch import Tensor, nn

from vidrestore.errors import NotAvailableError, WeightsError
from vidrestore.models.weights.checkpoint import Unfilled, read

__all__ = ["Lpips"]


class Lpips(nn.Module):
    """The distance; differentiable with respect to the pictures.

    Args:
        network: "alex" or "vgg".
        weights: Torchvision's file of AlexNet or VGG16; only its convolutions are used.

    Raises:
        NotAvailableError: Torchmetrics is not installed.
        WeightsError: The file is not that network's.
    """

    def __init__(self, network: Literal["alex", "vgg"], weights: Path) -> None:
        super().__init__()
        try:
            from torchmetrics.functional.image.lpips import _LPIPS
        except ImportError as error:
            raise NotAvailableError(
                'not available: torchmetrics, pip install "vidrestore[eval]"'
            ) from error
        with Unfilled():
            self.distance = _LPIPS(net=network, pnet_rand=True)
        _fill_features(self.distance.net, weights)
        self.distance.eval()

    def forward(self, images: Tensor, truth: Tensor) -> Tensor:
        """(N,) distances between pictures (N, 3, H, W), RGB in [0, 1], sides of 64 px or more."""
        distances: Tensor = self.distance(images, truth, normalize=True)
        return distances.flatten()


def _fill_features(network: nn.Module, weights: Path) -> None:
    """Put `features.I.weight` of a torchvision file into torchmetrics' `sliceS.I.weight`."""
    state = read(weights).state
    wanted = {name: "features." + name.partition(".")[2] for name in network.state_dict()}
    try:
        network.load_state_dict({name: state[theirs] for name, theirs in wanted.items()})
    except (KeyError, RuntimeError) as error:
        raise WeightsError(f"weights {weights}: not of the network that LPIPS needs") from error
