"""Training samples: windows of faces beside their degraded versions.

Every sample is made from its own number, counted over the whole training, so that a run is the same
whatever the number of loader processes, and goes on after an interruption as if there were none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from vidrestore import degradations
from vidrestore.degradations import BlindVideo, Image
from vidrestore.errors import DataError
from vidrestore.models.nets.compact_unet import coordinate_grid
from vidrestore.training.data.faces import FaceSource

__all__ = [
    "BlindDegrade",
    "Degrade",
    "Pair",
    "PairDataset",
    "blind_pair",
    "mirror_landmarks",
    "to_network",
]

Degrade = Callable[[Image, np.random.Generator], Image]
"""Makes a degraded picture of a true one, (H, W, 3) float32 RGB in [0, 1]."""


class Pair(NamedTuple):
    """One training sample, or a batch of them."""

    degraded: Tensor
    """(3, W, W) RGB in [-1, 1]."""
    truth: Tensor
    """(3, W, W) RGB in [-1, 1]."""
    coordinates: Tensor
    """(2, W, W), see `coordinate_grid`."""
    landmarks: Tensor
    """(5, 2) float32 in pixels of the window."""
    number: Tensor
    """() int64, which sample of the training it is."""

    def to(self, device: torch.device) -> Pair:
        """The batch on a device; the samples' numbers stay on the CPU."""
        moved = {
            name: part.to(device, non_blocking=True)
            for name, part in self._asdict().items()
            if name != "number"
        }
        return self._replace(**moved)


class PairDataset(Dataset[Pair]):
    """Windows of faces and their degraded versions; item ``i`` is the training's ``i``-th sample.

    Args:
        faces: the pictures.
        degrade: the degradations; None where nothing is degraded (then both pictures are one).
        window: side of the window in pixels; the whole crop when it is as large as the picture.
        samples: number of samples, the length of the training.
        seed: another seed gives another training.
        gray_share: share of samples turned black-and-white, input and truth.
        mirror_share: share of samples turned left to right.
        margin: pixels around the window that are degraded with it, so that its border is no border
            to the blur.
    """

    def __init__(
        self,
        faces: FaceSource,
        degrade: BlindVideo | Degrade | None,
        *,
        window: int,
        samples: int,
        seed: int = 0,
        gray_share: float = 0.1,
        mirror_share: float = 0.5,
        margin: int = 32,
    ):
        self.faces, self.window = faces, window
        self.degrade = BlindDegrade(degrade) if isinstance(degrade, BlindVideo) else degrade
        self.samples, self.seed = samples, seed
        self.gray_share, self.mirror_share = gray_share, mirror_share
        self.size = faces.size
        if window > self.size:
            raise DataError(f"windows of {window} px do not fit into pictures of {self.size} px")
        self.region = min(self.size, window + 2 * margin)
        self._epoch, self._order = -1, np.arange(0)

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, index: int) -> Pair:
        rng = np.random.default_rng([self.seed, index])
        image, landmarks = self.faces.face(self._face_of(index), index)
        if rng.random() < self.mirror_share:
            image, landmarks = image[:, ::-1], mirror_landmarks(landmarks, self.size)
        x, y = rng.integers(0, self.size - self.region, 2, endpoint=True)
        region = image[y : y + self.region, x : x + self.region].astype(np.float32) / np.float32(
            255
        )
        if rng.random() < self.gray_share:
            region = degradations.grayscale(region)
        degraded = region if self.degrade is None else self.degrade(region, rng)
        dx, dy = rng.integers(0, self.region - self.window, 2, endpoint=True)
        cut = (slice(dy, dy + self.window), slice(dx, dx + self.window))
        origin = (float(x + dx), float(y + dy))
        return Pair(
            to_network(degraded[cut]),
            to_network(region[cut]),
            coordinate_grid(self.window, self.window, origin=origin, crop_size=self.size),
            torch.from_numpy((landmarks - np.array(origin)).astype(np.float32)),
            torch.tensor(index),
        )

    def _face_of(self, index: int) -> int:
        """Every face once an epoch, in an order of the epoch's own."""
        epoch, place = divmod(index, len(self.faces))
        if epoch != self._epoch:
            source = np.random.default_rng([self.seed, epoch, 1])
            self._epoch, self._order = epoch, source.permutation(len(self.faces))
        return int(self._order[place])


def blind_pair(
    faces: FaceSource, mixture: BlindVideo | Degrade, index: int, *, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """A degraded and a true face, (3, S, S) in [-1, 1]; all follows from (seed, index)."""
    rng = np.random.default_rng([seed, index])
    degrade = BlindDegrade(mixture) if isinstance(mixture, BlindVideo) else mixture
    truth = faces.face(index)[0].astype(np.float32) / np.float32(255)
    return to_network(degrade(truth, rng)), to_network(truth)


def mirror_landmarks(landmarks: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Landmarks (5, 2) of the picture mirrored left to right, in their usual order."""
    mirrored = landmarks[[1, 0, 2, 4, 3]].copy()
    mirrored[:, 0] = width - 1 - mirrored[:, 0]
    return mirrored


def to_network(image: Image) -> Tensor:
    """(H, W, 3) in [0, 1] to (3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))) * 2 - 1


@dataclass(frozen=True)
class BlindDegrade:
    """`BlindVideo` as a `Degrade`, that loader processes can be sent."""

    mixture: BlindVideo

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:
        return degradations.apply(image, self.mixture.draw(rng), rng)
