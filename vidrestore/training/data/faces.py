"""Folders of face pictures as training samples.

A data folder holds pictures, and perhaps it (or the one it lies in) holds a ``labels.csv`` with the
columns ``file`` (relative to the labels) and, as far as they are known, ``split`` and five
landmarks (``left_eye_x`` … ``mouth_right_y``, pixels). Pictures with landmarks are warped to the
training's alignment, see `vidrestore.training.alignment`. Pictures without are taken to have an
alignment already (`data.unlabelled_template`), and are warped only where the training's is another
one. Without labels, all pictures of the folder count, every so many of them held out.

What fits is decoded once and kept in memory; larger sets are decoded when they are wanted. Pictures
that cannot be used are named and counted in the log and left out; the others are seen equally
often.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.datasets.images import find_pictures, read_picture
from vidrestore.datasets.labels import LANDMARKS, find_labels, labelled_landmarks
from vidrestore.errors import DataError, ImageOpenError
from vidrestore.training.alignment import Alignment

__all__ = [
    "FaceSource",
    "Faces",
    "FacesOnDisk",
    "load_faces",
    "open_faces",
]

_logger = logging.getLogger(__name__)
_T = TypeVar("_T")


class FaceSource(Protocol):
    """Square face pictures of one size, with landmarks."""

    @property
    def size(self) -> int:
        """Side of the pictures in pixels."""
        ...

    def __len__(self) -> int: ...

    def face(self, index: int, turn: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """(S, S, 3) RGB and (5, 2) landmarks in pixels.

        Args:
            index: which picture.
            turn: where it turns out to be of no use, another one is drawn, by this number.
        """
        ...


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

    @property
    def size(self) -> int:
        """Side of the pictures in pixels."""
        return int(self.images.shape[1])

    def face(self, index: int, turn: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """(S, S, 3) RGB and (5, 2) landmarks; all are usable."""
        return self.images[index], self.landmarks[index]


class _Entry(NamedTuple):
    """A picture that is said to be there."""

    name: str
    landmarks: NDArray[np.float64] | None
    """(5, 2) in pixels of the file; None where the template says it."""


@dataclass(frozen=True)
class FacesOnDisk:
    """Face pictures that are decoded when they are wanted, for sets larger than memory."""

    folder: Path
    entries: tuple[_Entry, ...]
    alignment: Alignment
    resize: bool
    """Whether pictures of another size are resampled."""
    refused: dict[int, str] = field(default_factory=dict, compare=False)
    """What is wrong with those that were found to be of no use, in this process."""

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def size(self) -> int:
        """Side of the pictures in pixels."""
        return self.alignment.size_px

    def face(self, index: int, turn: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """(S, S, 3) RGB and (5, 2) landmarks.

        In place of a picture that is of no use one of the others is drawn, each as likely, by the
        numbers given alone: so no picture is seen more often for lying behind a bad one.

        Raises:
            DataError: no picture can be used.
        """
        for place in self._tries(index, turn):
            if place in self.refused:
                continue
            entry = self.entries[place]
            found = _decode(self.folder, entry, self.alignment, self.resize)
            if not isinstance(found, str):
                return found
            self._refuse(place, f"{self.folder / entry.name}: {found}")
        raise DataError(
            f"training data {self.folder}: none of its {len(self)} pictures can be used, such as "
            f"{self.refused[index]}"
        )

    def _tries(self, index: int, turn: int) -> Iterator[int]:
        yield index
        yield from np.random.default_rng([index, turn]).permutation(len(self)).tolist()

    def _refuse(self, place: int, words: str) -> None:
        self.refused[place] = words
        count = len(self.refused)
        is_told = count.bit_count() == 1  # 1, 2, 4, 8, …: thousands of warnings help nobody.
        _logger.log(
            logging.WARNING if is_told else logging.INFO,
            "training data %s, left out (%d of %d so far)", words, count, len(self),
        )  # fmt: skip


def load_faces(
    folder: Path,
    split: str,
    *,
    size: int = 512,
    limit: int | None = None,
    resize: bool = False,
    held_out_every: int = 20,
    template: str = "ffhq",
    unlabelled_template: str = "ffhq",
) -> Faces:
    """Decode the faces of one split.

    Args:
        folder: pictures, and perhaps ``labels.csv``.
        split: faces of this split; without the column, ``val`` is every so many, ``train`` the
            others.
        size: side of the pictures in pixels.
        limit: take only so many.
        resize: resample square pictures of another size instead of leaving them out.
        held_out_every: every so many pictures are ``val`` where the labels do not say.
        template: alignment of the crops, "ffhq" or "gpen": faces with landmarks are warped to it.
        unlabelled_template: alignment that pictures without landmarks have already.

    Raises:
        DataError: no picture can be used.
    """
    alignment = Alignment(size, template, unlabelled_template)
    entries = _entries(folder, split, held_out_every, alignment)
    most = len(entries) if limit is None else min(limit, len(entries))
    # Filled as far as needed: a list that is stacked would need the memory twice.
    images = np.empty((most, size, size, 3), np.uint8)
    landmarks: list[NDArray[np.float64]] = []
    names: list[str] = []
    refused: list[str] = []
    for entry, found in _decoded(folder, entries, alignment, resize):
        if len(names) >= most:
            break
        if isinstance(found, str):
            refused.append(f"{folder / entry.name}: {found}")
            continue
        images[len(names)] = found[0]
        landmarks.append(found[1])
        names.append(entry.name)
    _name_refused(folder, refused)
    if not names:
        raise DataError(
            f"training data {folder}: no readable {size} px picture in split {split!r} "
            f"({len(refused)} cannot be used{', such as ' + refused[0] if refused else ''})"
        )
    return Faces(images[: len(names)], np.stack(landmarks), tuple(names))


def open_faces(
    folder: Path,
    split: str,
    *,
    size: int = 512,
    resize: bool = False,
    held_out_every: int = 20,
    template: str = "ffhq",
    unlabelled_template: str = "ffhq",
    memory_gib: float = 4.0,
) -> FaceSource:
    """The faces of one split, decoded now if they fit into memory, else when they are wanted.

    Args:
        folder: as for `load_faces`.
        split: as for `load_faces`.
        size: side of the pictures in pixels.
        resize: whether pictures of another size are resampled.
        held_out_every: as for `load_faces`.
        template: as for `load_faces`.
        unlabelled_template: as for `load_faces`.
        memory_gib: most memory for decoded pictures, in units of 2^30 bytes.

    Raises:
        DataError: there is no picture that can be used.
    """
    alignment = Alignment(size, template, unlabelled_template)
    entries = _entries(folder, split, held_out_every, alignment)
    if len(entries) * size**2 * 3 <= memory_gib * 2**30:
        return load_faces(
            folder,
            split,
            size=size,
            resize=resize,
            held_out_every=held_out_every,
            template=template,
            unlabelled_template=unlabelled_template,
        )
    faces = FacesOnDisk(folder, tuple(entries), alignment, resize)
    faces.face(0)
    return faces


def _entries(folder: Path, split: str, held_out_every: int, alignment: Alignment) -> list[_Entry]:
    """What a folder says it has."""
    if not folder.is_dir():
        raise DataError(f"training data {folder}: no such folder")
    known = find_labels(folder)
    if known is not None:
        found = _labelled(*known, split, held_out_every)
    else:
        names = [path.relative_to(folder).as_posix() for path in find_pictures(folder)]
        chosen = _split_of(names, split, held_out_every)
        found = [_Entry(name, None) for name in chosen]
        if not names:
            raise DataError(
                f"training data {folder}: neither labels.csv nor a picture in it; "
                "name a folder of face pictures"
            )
    if not found:
        raise DataError(f"training data {folder}: no picture in split {split!r}")
    _tell_unlabelled(folder, split, found, alignment)
    return found


def _tell_unlabelled(
    folder: Path, split: str, entries: Sequence[_Entry], alignment: Alignment
) -> None:
    count = sum(entry.landmarks is None for entry in entries)
    if not count:
        return
    done = "left as they are" if alignment.keeps(None) else f"warped to {alignment.template}"
    _logger.warning(
        "training data %s: %d pictures of the split %s have no landmarks in a labels.csv: they are "
        "taken to be aligned as %s already (data.unlabelled_template), and are %s",
        folder, count, split, alignment.unlabelled, done,
    )  # fmt: skip


def _labelled(
    labels: Path, rows: Sequence[dict[str, str]], split: str, held_out_every: int
) -> list[_Entry]:
    if "split" in rows[0]:
        rows = [row for row in rows if row["split"] == split]
    else:
        rows = _split_of(rows, split, held_out_every)
    return [_Entry(row["file"], _landmarks(row, labels)) for row in rows]


def _split_of(items: Sequence[_T], split: str, held_out_every: int) -> list[_T]:
    """Every so many items are ``val``, the others ``train``."""
    held_out = split == "val"
    return [x for place, x in enumerate(items) if (place % held_out_every == 0) == held_out]


def _landmarks(row: Mapping[str, str], labels: Path) -> NDArray[np.float64] | None:
    return labelled_landmarks(row, labels) if f"{LANDMARKS[0]}_x" in row else None


def _decoded(
    folder: Path,
    entries: Sequence[_Entry],
    alignment: Alignment,
    resize: bool,
) -> Iterator[tuple[_Entry, tuple[NDArray[np.uint8], NDArray[np.float64]] | str]]:
    """Entries with their pictures, in order, a few decoded at once."""

    def decode(entry: _Entry) -> tuple[NDArray[np.uint8], NDArray[np.float64]] | str:
        return _decode(folder, entry, alignment, resize)

    n_threads = min(4, os.cpu_count() or 1)
    with ThreadPoolExecutor(n_threads) as pool:
        for first in range(0, len(entries), 4 * n_threads):
            some = entries[first : first + 4 * n_threads]
            yield from zip(some, pool.map(decode, some), strict=True)


def _decode(
    folder: Path, entry: _Entry, alignment: Alignment, resize: bool
) -> tuple[NDArray[np.uint8], NDArray[np.float64]] | str:
    """A crop with its landmarks, or what is wrong with the picture."""
    size = alignment.size_px
    try:
        image = read_picture(folder / entry.name)
    except ImageOpenError:
        return "cannot be read"
    height, width = image.shape[:2]
    if height != width or not (resize or width == size):
        wanted = f"{size}x{size}" if not resize else "square"
        return f"is {width}x{height}, not {wanted}"
    if not alignment.keeps(entry.landmarks):
        return (
            alignment.crop(image, entry.landmarks) or "has its landmarks outside or at the border"
        )
    if width != size:
        method = cv2.INTER_AREA if size < width else cv2.INTER_CUBIC
        image = np.asarray(cv2.resize(image, (size, size), interpolation=method), np.uint8)
    return image, alignment.landmarks


def _name_refused(folder: Path, refused: Sequence[str]) -> None:
    """All of them in the log's details, the unreadable ones and a count as warnings."""
    for words in refused:
        level = logging.WARNING if words.endswith("cannot be read") else logging.INFO
        _logger.log(level, "training data %s, left out", words)
    if refused:
        _logger.warning(
            "training data %s: %d pictures left out, such as %s", folder, len(refused), refused[0]
        )
