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

Every sample is made from its own number, counted over the whole training, so that a run is the same
whatever the number of loader processes, and goes on after an interruption as if there were none.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from vidrestore import degradations
from vidrestore.datasets.images import find_pictures, read_picture
from vidrestore.datasets.labels import LANDMARKS, find_labels, labelled_landmarks
from vidrestore.degradations import BlindVideo, Image
from vidrestore.errors import DataError, ImageOpenError
from vidrestore.models.nets.compact_unet import coordinate_grid
from vidrestore.training.alignment import Alignment

__all__ = [
    "Degrade",
    "FaceSource",
    "Faces",
    "FacesOnDisk",
    "Pair",
    "PairDataset",
    "batches",
    "blind_pair",
    "load_faces",
    "mirror_landmarks",
    "open_faces",
    "to_network",
]

_logger = logging.getLogger(__name__)
_T = TypeVar("_T")

Degrade = Callable[[Image, np.random.Generator], Image]
"""Makes a degraded picture of a true one, (H, W, 3) float32 RGB in [0, 1]."""


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
            index: Which picture.
            turn: Where it turns out to be of no use, another one is drawn, by this number.
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
            DataError: No picture can be used.
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
        folder: Pictures, and perhaps ``labels.csv``.
        split: Faces of this split; without the column, ``val`` is every so many, ``train`` the
            others.
        size: Side of the pictures in pixels.
        limit: Take only so many.
        resize: Resample square pictures of another size instead of leaving them out.
        held_out_every: Every so many pictures are ``val`` where the labels do not say.
        template: Alignment of the crops, "ffhq" or "gpen": faces with landmarks are warped to it.
        unlabelled_template: Alignment that pictures without landmarks have already.

    Raises:
        DataError: No picture can be used.
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
        folder: As for `load_faces`.
        split: As for `load_faces`.
        size: Side of the pictures in pixels.
        resize: Whether pictures of another size are resampled.
        held_out_every: As for `load_faces`.
        template: As for `load_faces`.
        unlabelled_template: As for `load_faces`.
        memory_gib: Most memory for decoded pictures, in units of 2^30 bytes.

    Raises:
        DataError: There is no picture that can be used.
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


class PairDataset(Dataset[Pair]):
    """Windows of faces and their degraded versions; item ``i`` is the training's ``i``-th sample.

    Args:
        faces: The pictures.
        degrade: The degradations; None where nothing is degraded (then both pictures are one).
        window: Side of the window in pixels; the whole crop when it is as large as the picture.
        samples: Number of samples, the length of the training.
        seed: Another seed gives another training.
        gray_share: Share of samples turned black-and-white, input and truth.
        mirror_share: Share of samples turned left to right.
        margin: Pixels around the window that are degraded with it, so that its border is no border
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


class _ShareOfBatches(Sampler[list[int]]):
    """The part of every batch that one of several processes works on.

    Args:
        start: Number of the first sample.
        stop: Number behind the last one.
        batch_size: Samples of a batch over all processes.
        rank: Which process.
        n_processes: How many there are; the batch size is a multiple.
    """

    def __init__(self, start: int, stop: int, batch_size: int, rank: int, n_processes: int) -> None:
        self.start, self.stop, self.batch_size = start, stop, batch_size
        self.share = batch_size // n_processes
        self.offset = rank * self.share

    def __len__(self) -> int:
        return (self.stop - self.start) // self.batch_size

    def __iter__(self) -> Iterator[list[int]]:
        for first in range(self.start, self.stop - self.batch_size + 1, self.batch_size):
            own = first + self.offset
            yield list(range(own, own + self.share))


def batches(
    samples: Dataset[_T],
    start: int,
    stop: int,
    batch_size: int,
    *,
    workers: int = 0,
    rank: int = 0,
    n_processes: int = 1,
    pin: bool = False,
) -> Iterator[_T]:
    """Batches of the samples `start` to `stop`, the latter left out.

    Args:
        samples: Item ``i`` is the training's ``i``-th sample.
        start: Number of the first sample.
        stop: Number behind the last one; what does not fill a batch is left out.
        batch_size: Samples of a batch over all processes.
        workers: Loader processes; 0 loads in this one. The result does not depend on it.
        rank: Which process this is.
        n_processes: How many share every batch.
        pin: Whether batches lie in memory that a GPU reads fast.

    Raises:
        DataError: The batch cannot be shared evenly.
    """
    if batch_size % n_processes:
        raise DataError(
            f"a batch of {batch_size} cannot be shared by {n_processes} processes; "
            "take a batch size that is a multiple"
        )
    loader: DataLoader[_T] = DataLoader(
        samples,
        batch_sampler=_ShareOfBatches(start, stop, batch_size, rank, n_processes),
        num_workers=workers,
        worker_init_fn=one_thread,
        prefetch_factor=4 if workers else None,
        pin_memory=pin,
        multiprocessing_context=loader_context(workers),
    )
    return iter(loader)


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


def loader_context(workers: int) -> str | None:
    """How loader processes start: by fork where there is one, also within training processes that
    were spawned, so that they share the faces in memory instead of being sent them."""
    return "fork" if workers and "fork" in multiprocessing.get_all_start_methods() else None


def one_thread(worker: int) -> None:
    """For loader processes: they share the cores with the network."""
    torch.set_num_threads(1)


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
