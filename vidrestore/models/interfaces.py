"""What the stages ask of a network, whatever the network.

A `FaceRestorer` or `FaceDetector` adapts a network: it alone knows the value range, size, precision
and batch size of the network behind it. Crops and images are float32 RGB in [0, 1] on either side.

A restorer is loaded once and serves many runs, also at the same time from several threads; what a
run remembers (a person's style codes over a few frames, notes) is in the `RestorerRun` that it
starts. Every implementation passes the tests in `tests/models/test_conformance.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from torch import Tensor

from vidrestore.structs import Detections

__all__ = ["CropKey", "FaceDetector", "FaceRestorer", "Noise", "RestorerRun"]

Noise = Literal["fixed", "fresh"]
"""Of networks that have some: the one stored with the weights, or another in every crop."""


class CropKey(NamedTuple):
    """Whose crop it is, and when."""

    shot: int
    """Nobody is known from one shot to the next."""
    track: int
    """Number of the person's track."""
    frame: float
    """Number of the frame in the video, a half more for its later field."""


@runtime_checkable
class RestorerRun(Protocol):
    """One run of a restorer over the crops of one video, in the order of time."""

    name: str
    """As of the restorer."""
    size: int
    """As of the restorer."""
    template: npt.NDArray[np.float64]
    """As of the restorer."""
    batch_size: int
    """Most crops in a call of the network; shorter batches are padded. May shrink in a run."""
    notes: list[str]
    """What a person should know about the run so far, such as a halved batch."""

    def __call__(self, crops: Tensor, keys: Sequence[CropKey] = ()) -> Tensor:
        """Restore crops.

        Args:
            crops: (N, 3, S, S) float RGB in [0, 1], any N.
            keys: whose each crop is, in the order of time, for networks that follow a person's
                appearance or draw noise. What comes of a crop may depend on those of a few frames
                before it, and never on where the run began.

        Returns:
            (N, 3, S, S) float32 RGB in [0, 1], on the device and in the order of `crops`; NaN
            throughout where the network has no valid answer for a crop.
        """
        ...


@runtime_checkable
class FaceRestorer(Protocol):
    """Restore aligned face crops; remember nothing."""

    name: str
    """What it is, for reports: a name of the zoo or the path of a weights file."""
    size: int
    """Side S of the crops in pixels."""
    template: npt.NDArray[np.float64]
    """(5, 2): where the five landmarks lie in a crop, (x, y) in pixels, pixel centres at integers;
    order of `Detections.landmarks`."""

    def start_run(self, *, noise: Noise = "fixed", style_strength: float = 0.0) -> RestorerRun:
        """Begin a run with an empty memory.

        Args:
            noise: "fixed" for that stored with the weights; "fresh" for another in every crop, the
                same for the same frame and track (without keys, for the same number in the run).
                Networks without noise do not mind.
            style_strength: how strongly a person's style codes are averaged over time, 0 to 1;
                networks without such codes do not mind.
        """
        ...

    def __call__(self, crops: Tensor) -> Tensor:
        """Restore crops in a run of their own; see `RestorerRun`."""
        ...


@runtime_checkable
class FaceDetector(Protocol):
    """Find faces and their five landmarks; remember nothing."""

    name: str
    """What it is, for reports: a name of the zoo or the path of a weights file."""

    def __call__(
        self,
        images: Tensor,
        *,
        min_score: float | None = None,
        max_roll_degrees: float | None = None,
    ) -> list[Detections]:
        """Find the faces of each image.

        Args:
            images: (N, 3, H, W) float RGB in [0, 1].
            min_score: least score of an answer; None for the detector's own threshold.
            max_roll_degrees: heads that lean further to either side are not answered; None for the
                detector's own limit. Detectors without a limit do not mind.

        Returns:
            One `Detections` for each image, best first, in pixels of that image.
        """
        ...
