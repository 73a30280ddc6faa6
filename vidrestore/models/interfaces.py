"""What the stages ask of a network, whatever the network: two small protocols.

An implementation is an adapter: it alone knows the value range, size, precision and batch size of
the network behind it. Crops and images are float32 RGB in [0, 1] on either side.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from torch import Tensor

from vidrestore.structs import Detections

__all__ = ["FaceDetector", "FaceRestorer"]


@runtime_checkable
class FaceRestorer(Protocol):
    """Restores aligned face crops."""

    name: str
    """What it is, for reports: a name of the zoo or the path of a weights file."""
    size: int
    """Side S of the crops in pixels."""
    template: npt.NDArray[np.float64]
    """(5, 2): where the five landmarks lie in a crop, (x, y) in pixels, pixel centres at integers;
    order of `Detections.landmarks`."""
    batch_size: int
    """Crops in every call of the network; shorter batches are padded to it. May shrink in a run."""
    notes: list[str]
    """What a person should know about the run so far, such as a halved batch."""

    def __call__(self, crops: Tensor, people: Sequence[Hashable] = ()) -> Tensor:
        """Restore crops.

        Args:
            crops: (N, 3, S, S) float RGB in [0, 1], any N.
            people: Whose each crop is, in the order of time, for networks that follow a person's
                looks; nobody is known from one shot to the next.

        Returns:
            (N, 3, S, S) float32 RGB in [0, 1], on the device and in the order of `crops`; NaN
            throughout where the network has no valid answer for a crop.
        """
        ...


@runtime_checkable
class FaceDetector(Protocol):
    """Finds faces and their five landmarks."""

    name: str
    """What it is, for reports: a name of the zoo or the path of a weights file."""

    def __call__(self, images: Tensor) -> list[Detections]:
        """Find the faces of each image.

        Args:
            images: (N, 3, H, W) float RGB in [0, 1].

        Returns:
            One `Detections` for each image, in pixels of that image.
        """
        ...
