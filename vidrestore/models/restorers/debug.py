"""A restorer without weights for tests: fast, plainly visible, the same everywhere.

It sharpens and adds a little contrast with elementwise arithmetic alone, so a crop's result
depends neither on its batch nor on the number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.models.interfaces import CropKey, Noise
from vidrestore.models.templates import landmark_template

__all__ = ["DebugRestorer"]

_SHARPENING = 0.8
_CONTRAST = 1.08


class DebugRestorer:
    """A `FaceRestorer` and, as it has no memory, its own `RestorerRun`; see the module."""

    def __init__(self, *, size: int = 256, batch_size: int = 4) -> None:
        """Make the restorer.

        Args:
            size: side of the crops in pixels.
            batch_size: what it says it takes at once; any number of crops will do.
        """
        self.name = "debug"
        self.size = size
        self.template = landmark_template("ffhq", size)
        self.batch_size = batch_size
        self.notes: list[str] = []

    def start_run(self, *, noise: Noise = "fixed", style_strength: float = 0.0) -> DebugRestorer:
        """Begin a run; there is nothing to remember."""
        return DebugRestorer(size=self.size, batch_size=self.batch_size)

    def __call__(self, crops: Tensor, keys: Sequence[CropKey] = ()) -> Tensor:
        """Sharpen crops.

        Args:
            crops: (N, 3, S, S) float RGB in [0, 1].
            keys: not used.

        Returns:
            (N, 3, S, S) float32 RGB in [0, 1]; NaN throughout for a crop with a NaN in it.
        """
        crops = crops.float()
        valid = torch.isfinite(crops).all(3, keepdim=True).all(2, keepdim=True).all(1, keepdim=True)
        padded = F.pad(crops, (1, 1, 1, 1), mode="replicate")
        rows = padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1]
        columns = padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]
        sharp = crops + _SHARPENING * (crops - (rows + columns) / 4)
        bright = ((sharp - 0.5) * _CONTRAST + 0.5).clamp(0, 1)
        return torch.where(valid, bright, torch.nan)
