"""The faces of made-up scenes: labelled pictures at 256 px with mattes, and their heads rotated."""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.datasets.images import read_picture
from vidrestore.datasets.labels import LANDMARKS, labelled_landmarks, labelled_numbers, read_labels
from vidrestore.errors import DataError, ImageOpenError
from vidrestore.runtime.output_file import write_whole
from vidrestore.training.detector_data.bank_parts import FIELDS, Entry, Parts
from vidrestore.training.detector_data.profile_synthesis import rotate_head

log = logging.getLogger(__name__)

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]
BANK_PX = 256

_BOX = ("box_x0", "box_y0", "box_x1", "box_y1")
"""Columns of labels.csv: the face's box, in pixels of its picture."""


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

    def save(self, folder: Path, source: str = "") -> None:
        """Write one ``.npy`` for each field, so that `load` can map them, and at last what it was
        made from, see `bank_source`. A bank that is mapped from the folder stays as it was.

        Raises:
            VideoWriteError: the folder cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _SOURCE).unlink(missing_ok=True)
        for name in FIELDS:
            array = getattr(self, name)
            write_whole(folder / f"{name}.npy", partial(np.save, arr=array), overwrite=True)
        write_whole(folder / _SOURCE, source.encode(), overwrite=True)

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
        """Map the files that `save` wrote into memory, read-only."""
        return cls(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in FIELDS))


_SOURCE = "source.txt"
_VERSION = 2
"""Raised whenever the same pictures give other banks."""


def bank_source(faces: Path, split: str) -> str:
    """A checksum of what a bank is made from: the rows of a split, their pictures' sizes, and how
    it is made.

    Raises:
        DataError: there are no labels with boxes and landmarks.
    """
    digest = hashlib.sha256(repr((_VERSION, BANK_PX, YAWS, PITCH_SPREAD)).encode())
    for row in _labels(faces):
        if row["split"] == split:
            path = faces / row["file"]
            size = path.stat().st_size if path.is_file() else None
            digest.update(repr((sorted(row.items()), size)).encode())
    return digest.hexdigest()


def is_kept_from(folder: Path, source: str) -> bool:
    """Whether a folder holds a whole bank that was made from this `bank_source`."""
    told = folder / _SOURCE
    return told.is_file() and told.read_text(encoding="utf-8") == source


YAWS = ((0.0, 0.9), (0.8, 1.57))
"""Least and greatest angle to the side, in radians, of the two rotated copies of every face."""


PITCH_SPREAD = 0.22
"""Standard deviation of their nods, in radians."""


def find_sources(faces: Path, split: str) -> list[str]:
    """The sources of a split's faces, in the order of the rows; "" where none is named.

    Raises:
        DataError: there are no labels with boxes and landmarks, or none of this split.
    """
    found = dict.fromkeys(_source(row) for row in _labels(faces) if row["split"] == split)
    if not found:
        raise DataError(f"labels {faces / 'labels.csv'}: no row with the split {split!r}")
    return list(found)


def _source(row: dict[str, str]) -> str:
    return row.get("source") or ""


def build_face_bank(
    faces: Path,
    split: str,
    *,
    source: str | None = None,
    workers: int = 1,
    parts: Parts | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> FaceBank:
    """Read the pictures of one split of a labelled folder, and turn the heads aside.

    Args:
        faces: folder with ``labels.csv`` (file, source, split, box, five landmarks).
        split: which rows to take, e.g. ``train``.
        source: of these, only those of this source, see `find_sources`; None takes all.
        workers: processes that work; the result does not depend on it.
        parts: where what is done is kept until all is; None keeps nothing.
        progress: told how many faces of how many are done.

    Returns:
        The bank, in the order of the rows, then once more for each of `YAWS`; pictures that cannot
        be read or are not square are logged and left out.

    Raises:
        DataError: there are no labels with boxes and landmarks, or no picture can be read.
    """
    rows = [
        row for row in _labels(faces) if row["split"] == split and source in (None, _source(row))
    ]
    parts, told = parts or Parts(None), progress or (lambda done, total: None)
    with _pool(workers) as pool:
        n_rotated = len(YAWS) * len(rows)
        found = parts.made(
            pool, partial(_entry, faces), rows, "read", lambda n: told(n, len(rows) + n_rotated)
        )
        for row, entry in zip(rows, found, strict=True):
            if entry is None:
                log.warning("left out %s: it cannot be read or is not square", row["file"])
        entries = [entry for entry in found if entry is not None]
        if not entries:
            raise DataError(
                f"training data {faces}: no readable picture in split {split!r}; is labels.csv "
                "beside the pictures?"
            )
        turns, n_read = _turns(entries), len(entries)
        total = n_read + len(turns)
        rotated = parts.made(pool, _rotate, turns, "rotated", lambda n: told(n_read + n, total))
        entries += [entry for entry in rotated if entry is not None]
    pictures, mattes, boxes, landmarks = zip(*entries, strict=True)
    return FaceBank(np.stack(pictures), np.stack(mattes), np.stack(boxes), np.stack(landmarks))


def _labels(faces: Path) -> list[dict[str, str]]:
    """The rows of labels.csv, which has all that is needed."""
    path = faces / "labels.csv"
    rows = read_labels(path)
    for name in ("split", *_BOX, *(f"{point}_{axis}" for point in LANDMARKS for axis in "xy")):
        if name not in rows[0]:
            raise DataError(
                f"labels {path}: no column {name!r}; scenes need every face's split, box and "
                "landmarks"
            )
    return rows


def _face(row: dict[str, str], labels: Path) -> tuple[Floats, Floats]:
    """The box and the landmarks of a row, in pixels of its picture.

    Raises:
        DataError: they are no face's.
    """
    box = labelled_numbers(row, _BOX, labels)
    if (box[2:] - box[:2] < 1).any():
        raise DataError(f"labels {labels}: {row['file']}: the box {box.tolist()} is empty")
    return box.astype(np.float32), labelled_landmarks(row, labels).astype(np.float32)


def _pool(workers: int) -> Executor:
    if workers == 1:
        return ThreadPoolExecutor(1)
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))


def _entry(faces: Path, row: dict[str, str]) -> Entry | None:
    """What the bank holds of one row of labels.csv; None if its picture is of no use."""
    try:
        picture = read_picture(faces / row["file"])
    except ImageOpenError:
        return None
    if picture.shape[0] != picture.shape[1]:
        return None
    scale = BANK_PX / picture.shape[0]
    small = cv2.resize(picture, (BANK_PX, BANK_PX), interpolation=cv2.INTER_AREA)
    box, landmarks = _face(row, faces / "labels.csv")
    box, landmarks = box * np.float32(scale), (landmarks + 0.5) * np.float32(scale) - 0.5
    return small, person_matte(small, box), box, landmarks


def _turns(entries: Sequence[Entry]) -> list[tuple[Entry, float, float]]:
    """Every head for each of `YAWS`, with a yaw and a pitch."""
    rng, n = np.random.default_rng(7), len(entries)
    yaws = np.concatenate([rng.uniform(*span, n) * rng.choice([-1, 1], n) for span in YAWS])
    pitches = rng.normal(0, PITCH_SPREAD, len(yaws)).clip(-0.5, 0.5)
    heads = list(entries) * len(YAWS)
    return list(zip(heads, yaws.tolist(), pitches.tolist(), strict=True))


def _rotate(turn: tuple[Entry, float, float]) -> Entry:
    entry, yaw, pitch = turn
    return rotate_head(*entry, yaw, pitch)


def person_matte(picture: Image, box_xyxy: Floats) -> Image:
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
    cv2.setRNGSeed(0)  # Of its own clusters: a matte must not depend on those made before it.
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
    canvas: Image, centre: tuple[float, float], axes: tuple[float, float], value: int
) -> None:
    """Fill an upright ellipse of `canvas` (H, W) with a value; lengths in pixels."""
    cv2.ellipse(canvas, (centre, (2 * axes[0], 2 * axes[1]), 0.0), value, -1)
