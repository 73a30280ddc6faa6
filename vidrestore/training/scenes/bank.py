"""The faces of made-up scenes: labelled pictures at 256 px with mattes, and their heads turned."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.errors import DataError
from vidrestore.labels import read_labels
from vidrestore.training.head_turn import turned_aside

log = logging.getLogger(__name__)

Picture = NDArray[np.uint8]
Floats = NDArray[np.float32]
Entry = tuple[Picture, Picture, Floats, Floats]
"""Picture, matte, box and landmarks of one face."""


BANK_PX = 256

_COLUMNS = tuple(
    f"{point}_{axis}"
    for point, axes in (
        ("box", ("x0", "y0", "x1", "y1")),
        *((name, "xy") for name in ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")),
    )
    for axis in axes
)
"""Of labels.csv: the face's box and five landmarks, in pixels of its picture."""


@dataclass(frozen=True)
class FaceBank:
    """Labelled face pictures, ready to be pasted."""

    pictures: NDArray[np.uint8]
    """(N, 256, 256, 3) RGB."""
    mattes: NDArray[np.uint8]
    """(N, 256, 256), 255 where the person is."""
    boxes_xyxy: Floats
    """(N, 4) face boxes, pixels of the 256 px picture."""
    landmarks: Floats
    """(N, 5, 2)."""

    def __post_init__(self) -> None:
        n = len(self.pictures)
        if not (n == len(self.mattes) == len(self.boxes_xyxy) == len(self.landmarks)):
            raise ValueError(
                f"a face bank needs equal lengths, got {n} pictures, {len(self.mattes)} mattes"
            )

    def save(self, folder: Path) -> None:
        """Writes one ``.npy`` for each field, so that `load` can map them."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("pictures", "mattes", "boxes_xyxy", "landmarks"):
            np.save(folder / f"{name}.npy", getattr(self, name))

    def entry(self, index: int) -> Entry:
        """A copy of one face's picture, matte, box and landmarks."""
        return (
            np.array(self.pictures[index]),
            np.array(self.mattes[index]),
            np.array(self.boxes_xyxy[index]),
            np.array(self.landmarks[index]),
        )

    @classmethod
    def load(cls, folder: Path) -> FaceBank:
        """Maps the files that `save` wrote into memory, read-only."""
        names = ("pictures", "mattes", "boxes_xyxy", "landmarks")
        return cls(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in names))


YAWS = ((0.0, 0.9), (0.8, 1.57))
"""Least and greatest angle to the side, in radians, of the two turned copies of every face."""


PITCH_SPREAD = 0.22
"""Standard deviation of their nods, in radians."""


def build_face_bank(faces: Path, split: str, *, workers: int = 1) -> FaceBank:
    """Reads the pictures of one split of a labelled folder, and turns the heads aside.

    Args:
        faces: folder with ``labels.csv`` (file, source, split, box, five landmarks).
        split: which rows to take, e.g. ``train``.
        workers: processes that work; the result does not depend on it.

    Returns:
        The bank, in the order of the rows, then once more for each of `YAWS`; unreadable pictures
        are logged and left out.

    Raises:
        DataError: There are no labels with boxes and landmarks, or no picture can be read.
    """
    rows = [row for row in _labels(faces) if row["split"] == split]
    with _pool(workers) as pool:
        found = list(pool.map(partial(_entry, faces), rows, chunksize=16))
        for row, entry in zip(rows, found, strict=True):
            if entry is None:
                log.warning("left out %s: it cannot be read", row["file"])
        entries = [entry for entry in found if entry is not None]
        if not entries:
            raise DataError(
                f"training data {faces}: no readable picture in split {split!r}; is labels.csv "
                "beside the pictures?"
            )
        entries += list(pool.map(_turned, *_turns(entries), chunksize=16))
    pictures, mattes, boxes, landmarks = zip(*entries, strict=True)
    return FaceBank(np.stack(pictures), np.stack(mattes), np.stack(boxes), np.stack(landmarks))


def _labels(faces: Path) -> list[dict[str, str]]:
    """The rows of labels.csv, which has all that is needed."""
    path = faces / "labels.csv"
    rows = read_labels(path)
    for name in ("split", *_COLUMNS):
        if name not in rows[0]:
            raise DataError(
                f"labels {path}: no column {name!r}; scenes need every face's split, box and "
                "landmarks"
            )
    return rows


def _numbers(row: dict[str, str], faces: Path) -> Floats:
    """(14,) the box and the landmarks of a row, in pixels of its picture."""
    try:
        return np.array([float(row[name]) for name in _COLUMNS], np.float32)
    except (TypeError, ValueError) as error:
        raise DataError(f"labels {faces / 'labels.csv'}: {row['file']}: {error}") from error


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))


def _entry(faces: Path, row: dict[str, str]) -> Entry | None:
    """What the bank holds of one row of labels.csv; None if its picture cannot be read."""
    picture = cv2.imread(str(faces / row["file"]))
    if picture is None:
        return None
    scale = BANK_PX / picture.shape[0]
    small = cv2.resize(picture, (BANK_PX, BANK_PX), interpolation=cv2.INTER_AREA)
    numbers = _numbers(row, faces)
    box = numbers[:4] * scale
    landmarks = (numbers[4:].reshape(5, 2) + 0.5) * scale - 0.5
    return np.ascontiguousarray(small[..., ::-1]), person_matte(small, box), box, landmarks


def _turns(entries: Sequence[Entry]) -> tuple[list[Entry], list[float], list[float]]:
    """Every head for each of `YAWS`, with a yaw and a pitch."""
    rng, n = np.random.default_rng(7), len(entries)
    yaws = np.concatenate([rng.uniform(*span, n) * rng.choice([-1, 1], n) for span in YAWS])
    pitches = rng.normal(0, PITCH_SPREAD, len(yaws)).clip(-0.5, 0.5)
    return list(entries) * len(YAWS), yaws.tolist(), pitches.tolist()


def _turned(entry: Entry, yaw: float, pitch: float) -> Entry:
    return turned_aside(*entry, yaw, pitch)


def person_matte(picture: Picture, box_xyxy: Floats) -> Picture:
    """Soft mask of the person around a face, by GrabCut at 96 px (Rother et al. 2004) started from
    the face's box.

    Args:
        picture: (256, 256, 3), any channel order.
        box_xyxy: face box.

    Returns:
        (256, 256) uint8, 255 inside; an ellipse around head and hair where GrabCut fails.
    """
    px = 96
    scale = px / BANK_PX
    small = cv2.resize(picture, (px, px), interpolation=cv2.INTER_AREA)
    x0, y0, x1, y1 = box_xyxy * scale
    centre, half = ((x0 + x1) / 2, (y0 + y1) / 2), ((x1 - x0) / 2, (y1 - y0) / 2)
    labels = np.full((px, px), cv2.GC_PR_BGD, np.uint8)
    labels[int(min(y1, px - 8)) :, int(px * 0.15) : int(px * 0.85)] = cv2.GC_PR_FGD
    fill_ellipse(labels, centre, (half[0] * 1.35, half[1] * 1.35), cv2.GC_PR_FGD)
    fill_ellipse(labels, centre, (half[0] * 0.9, half[1] * 0.9), cv2.GC_FGD)
    labels[: int(px * 0.3), :3] = labels[: int(px * 0.3), -3:] = cv2.GC_BGD
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(small, labels, None, models[0], models[1], 2, cv2.GC_INIT_WITH_MASK)
    person = ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).astype(np.uint8) * 255
    if not 0.25 < person.mean() / 255 < 0.92:
        person[:] = 0
        fill_ellipse(
            person, (centre[0], centre[1] - half[1] * 0.15), (half[0] * 1.3, half[1] * 1.3), 255
        )
    person = cv2.medianBlur(person, 5)
    return np.asarray(
        cv2.GaussianBlur(cv2.resize(person, (BANK_PX, BANK_PX)), (0, 0), 2.0), np.uint8
    )


def fill_ellipse(
    canvas: Picture, centre: tuple[float, float], axes: tuple[float, float], value: int
) -> None:
    cv2.ellipse(canvas, (centre, (2 * axes[0], 2 * axes[1]), 0.0), value, -1)
