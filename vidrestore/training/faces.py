"""Aligned face pictures as training pairs.

A data folder holds pictures and a ``labels.csv`` with the columns ``file`` (relative to the
folder), ``source``, ``split`` and five landmarks (``left_eye_x`` … ``mouth_right_y``, pixels).
Pictures are decoded once and kept in memory.

Every sample is made from its own number, counted over the whole training, so that a run is the same
whatever the number of loader processes, and goes on after an interruption as if there were none.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from vidrestore.errors import DataError
from vidrestore.models.compact_unet import coordinate_grid
from vidrestore.training import degradations
from vidrestore.training.degradations import BlindVideo, Picture

_POINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Faces:
    """Decoded face crops of one size."""

    images: NDArray[np.uint8]
    """(N, S, S, 3) RGB."""
    landmarks: NDArray[np.float64]
    """(N, 5, 2) (x, y) in pixels: left eye, right eye (as seen in the picture), nose tip, mouth
    corners.
    """
    names: tuple[str, ...]
    """File names, relative to the data folder."""

    def __len__(self) -> int:
        return len(self.names)


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


def load_faces(folder: Path, split: str, *, size: int = 512, limit: int | None = None) -> Faces:
    """Decode the faces of one split that have the wanted size.

    Pictures that cannot be read are named in the log and left out; other sizes are left out.

    Raises:
        DataError: There is no ``labels.csv`` or no picture is left.
    """
    labels = folder / "labels.csv"
    if not labels.is_file():
        raise DataError(
            f"training data {folder}: no labels.csv in it; name a folder of labelled pictures"
        )
    with labels.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    images: list[NDArray[np.uint8]] = []
    kept: list[dict[str, str]] = []
    for row in rows:
        if limit is not None and len(kept) >= limit:
            break
        image = cv2.imread(str(folder / row["file"]), cv2.IMREAD_COLOR)
        if image is None:
            _logger.warning("training data %s: cannot be read, left out", folder / row["file"])
        elif image.shape[:2] == (size, size):
            images.append(image[..., ::-1])
            kept.append(row)
    if not kept:
        raise DataError(f"training data {folder}: no readable {size} px picture in split {split!r}")
    landmarks = np.array([_landmarks(row) for row in kept])
    return Faces(np.stack(images), landmarks, tuple(row["file"] for row in kept))


class PairDataset(Dataset[Pair]):
    """Windows of faces and their degraded versions; item ``i`` is the training's ``i``-th sample.

    Args:
        faces: The pictures.
        mixture: The degradations.
        window: Side of the window in pixels; the whole crop when it is as large as the picture.
        samples: Number of samples, the length of the training.
        seed: Another seed gives another training.
        gray_share: Share of samples turned black-and-white, input and truth.
        margin: Pixels around the window that are degraded with it, so that its border is no border
            to the blur.
    """

    def __init__(
        self,
        faces: Faces,
        mixture: BlindVideo,
        *,
        window: int,
        samples: int,
        seed: int = 0,
        gray_share: float = 0.1,
        margin: int = 32,
    ):
        self.faces, self.mixture, self.window = faces, mixture, window
        self.samples, self.seed, self.gray_share = samples, seed, gray_share
        self.size = faces.images.shape[1]
        self.region = min(self.size, window + 2 * margin)

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, index: int) -> Pair:
        rng = np.random.default_rng([self.seed, index])
        face = self._face_of(index)
        image, landmarks = self.faces.images[face], self.faces.landmarks[face]
        if rng.random() < 0.5:
            image, landmarks = image[:, ::-1], mirror_landmarks(landmarks, self.size)
        x, y = rng.integers(0, self.size - self.region, 2, endpoint=True)
        region = image[y : y + self.region, x : x + self.region].astype(np.float32) / np.float32(
            255
        )
        if rng.random() < self.gray_share:
            region = degradations.grayscale(region)
        degraded = degradations.apply(region, self.mixture.draw(rng), rng)
        dx, dy = rng.integers(0, self.region - self.window, 2, endpoint=True)
        cut = (slice(dy, dy + self.window), slice(dx, dx + self.window))
        origin = (float(x + dx), float(y + dy))
        return Pair(
            to_network(degraded[cut]),
            to_network(region[cut]),
            coordinate_grid(self.window, self.window, origin=origin, crop_size=self.size),
            torch.from_numpy((landmarks - np.array(origin)).astype(np.float32)),
        )

    def _face_of(self, index: int) -> int:
        """Every face once an epoch, in an order of the epoch's own."""
        epoch, place = divmod(index, len(self.faces))
        return int(np.random.default_rng([self.seed, epoch, 1]).permutation(len(self.faces))[place])


def mirror_landmarks(landmarks: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Landmarks (5, 2) of the picture mirrored left to right, in their usual order."""
    mirrored = landmarks[[1, 0, 2, 4, 3]].copy()
    mirrored[:, 0] = width - 1 - mirrored[:, 0]
    return mirrored


def to_network(image: Picture) -> Tensor:
    """(H, W, 3) in [0, 1] to (3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))) * 2 - 1


def _landmarks(row: Mapping[str, str]) -> list[list[float]]:
    return [[float(row[f"{point}_x"]), float(row[f"{point}_y"])] for point in _POINTS]
