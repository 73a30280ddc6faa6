"""The ground truth of an evaluation: 512 px crops of the FFHQ alignment, from a folder.

With a `labels.csv` (columns `file`, `split`, and five landmarks as `left_eye_x` …) in the folder or
in the one it lies in, the pictures of one split that are 512 px wide count, as they are. Without
one, every picture of the folder counts: those of 512x512 px as they are, of others the clearest
face is cut out by the detector's landmarks.
A second folder may hold degraded pictures under the same names: `pair_with_degraded`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from vidrestore import geometry
from vidrestore.datasets.images import find_pictures, read_picture
from vidrestore.datasets.labels import find_labels, labelled_landmarks, read_labels
from vidrestore.errors import DataError, ImageOpenError
from vidrestore.evaluation.detector import detect_scaled
from vidrestore.evaluation.restoring import FACE_SIZE
from vidrestore.models.interfaces import FaceDetector
from vidrestore.models.templates import landmark_template
from vidrestore.structs import Array

__all__ = ["GroundTruthFace", "Progress", "find_faces", "pair_with_degraded", "space_evenly"]

Progress = Callable[[str, int, int | None], None]
"""Told what is being done, and how much of it of how much in all; None where that is not known."""

_DETECTION_PX = 640
"""Longer side of the copy that the detector sees."""
_MAX_ENLARGEMENT = 1.5
"""A face that had to be enlarged by more is no truth."""
_MAX_LISTED = 20
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class GroundTruthFace:
    """One face that is known as it should be, and that can be read."""

    index: int
    """Its number among all pictures, used or not, which seeds its degradation."""
    name: str
    """File name relative to the folder."""
    path: Path
    landmarks: Array
    """(5, 2) in pixels of the crop."""
    crop_from_file: Array | None = None
    """(2, 3) where the face has to be cut out; None where the file is the crop."""
    source: str = ""
    """Where it comes from, by the labels' column `source`; empty where that is not known."""
    degraded: Path | None = None
    """The same picture, degraded, where it is given."""

    def read_truth(self) -> npt.NDArray[np.float32]:
        """The crop, (512, 512, 3) float32 RGB in [0, 1]."""
        return self._crop(_read_again(self.path))

    def read_degraded(self) -> npt.NDArray[np.float32]:
        """The crop of the degraded picture, at the same place."""
        assert self.degraded is not None
        return self._crop(_read_again(self.degraded))

    def _crop(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        if self.crop_from_file is not None:
            pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float()
            crop = geometry.warp_affine(pixels, self.crop_from_file, (FACE_SIZE, FACE_SIZE))
            return np.ascontiguousarray(crop[0].permute(1, 2, 0).numpy() / np.float32(255))
        return image.astype(np.float32) / np.float32(255)


def find_faces(
    folder: Path,
    *,
    split: str = "val",
    labels: Path | None = None,
    limit: int | None = None,
    detector: FaceDetector,
    progress: Progress | None = None,
) -> list[GroundTruthFace]:
    """Find the faces of a folder.

    What cannot be used is named in the log and left out.

    Args:
        folder: with pictures.
        split: which rows of the labels count, "all" for all of them.
        labels: the labels; None takes `labels.csv` in the folder, or in the one it lies in, if it
            is there.
        limit: take so many, evenly spaced over all.
        detector: for pictures without labels.
        progress: told how many pictures were looked at.

    Raises:
        DataError: nothing is left.
    """
    progress = progress or _ignore_progress
    known = find_labels(folder) if labels is None else (labels, read_labels(labels))
    if known is None:
        _log.info("faces %s: no labels.csv, so all pictures count, and no split", folder)
        faces = _unlabelled(folder, detector, progress)
    else:
        faces = _labelled(folder, *known, split, progress)
    if not faces:
        raise DataError(f"faces {folder}: no picture with a usable face (split {split!r})")
    return [faces[i] for i in space_evenly(len(faces), limit)] if limit is not None else faces


def pair_with_degraded(
    faces: Sequence[GroundTruthFace], truth: Path, degraded: Path
) -> list[GroundTruthFace]:
    """Pair the faces with their degraded pictures: those of the same path in another folder,
    whatever the ending.

    Pictures of either folder without a partner, and those that cannot be read, are named in the log
    and left out.

    Args:
        faces: of the folder `truth`.
        truth: folder of true pictures.
        degraded: folder of degraded ones.

    Raises:
        DataError: a degraded picture has another size than its truth, two pictures differ only in
            their endings, or nothing is left.
    """
    own, given = _by_stem(truth), _by_stem(degraded)
    _log_unpaired(truth, own, degraded, given)
    _log_unpaired(degraded, given, truth, own)
    stems = {path: stem for stem, path in own.items()}
    partners = [given.get(stems.get(face.path, "")) for face in faces]
    paired = [
        replace(face, degraded=partner)
        for face, partner in zip(faces, partners, strict=True)
        if partner is not None and _is_usable(partner, face.path)
    ]
    if not paired:
        raise DataError(
            f"pictures {truth} and {degraded}: no face has a partner; both need pictures of the "
            "same names"
        )
    return paired


def _log_unpaired(
    folder: Path, own: Mapping[str, Path], other: Path, partners: Mapping[str, Path]
) -> None:
    alone = [
        path.relative_to(folder).as_posix() for stem, path in own.items() if stem not in partners
    ]
    if alone:
        more = f" and {len(alone) - _MAX_LISTED} more" if len(alone) > _MAX_LISTED else ""
        _log.warning(
            "pictures %s: without a partner in %s, left out: %s%s",
            folder, other, ", ".join(alone[:_MAX_LISTED]), more,
        )  # fmt: skip


def _is_usable(degraded: Path, truth: Path) -> bool:
    """Whether a degraded picture can be read.

    Raises:
        DataError: it is not as large as the true one.
    """
    image = _read(degraded)
    if image is None:
        return False
    (height, width), (true_height, true_width) = image.shape[:2], _read_again(truth).shape[:2]
    if (height, width) != (true_height, true_width):
        raise DataError(
            f"picture {degraded}: {width}x{height}, its truth is {true_width}x{true_height}; "
            "bring it to that size"
        )
    return True


def _by_stem(folder: Path) -> dict[str, Path]:
    """The pictures of a folder by their paths in it without endings.

    Raises:
        DataError: two have one name.
    """
    found: dict[str, Path] = {}
    for path in find_pictures(folder):
        stem = path.relative_to(folder).with_suffix("").as_posix()
        if stem in found:
            raise DataError(
                f"pictures {folder}: {found[stem].name} and {path.name} have one name; keep one"
            )
        found[stem] = path
    return found


def space_evenly(count: int, wanted: int) -> list[int]:
    """At most `wanted` indices of `count`, evenly spaced, the first and the last among them."""
    return sorted({round(float(i)) for i in np.linspace(0, count - 1, min(count, wanted))})


def _ignore_progress(what: str, done: int, total: int | None) -> None:
    pass


def _labelled(
    folder: Path,
    labels: Path,
    rows: Sequence[Mapping[str, str]],
    split: str,
    progress: Progress,
) -> list[GroundTruthFace]:
    wanted = [
        (row["file"], row.get("source") or "", labelled_landmarks(row, labels))
        for row in rows
        if split == "all" or row.get("split", split) == split
    ]
    faces: list[GroundTruthFace] = []
    others: list[str] = []
    for number, (name, source, landmarks) in enumerate(wanted):
        image = _read(folder / name)
        progress("pictures read", number + 1, len(wanted))
        if image is not None and image.shape[:2] == (FACE_SIZE, FACE_SIZE):
            faces.append(GroundTruthFace(number, name, folder / name, landmarks, source=source))
        elif image is not None:
            others.append(f"{name} ({image.shape[1]}x{image.shape[0]})")
    if others:
        _log.warning(
            "faces %s: %d pictures that are not %dx%d left out, such as %s",
            folder, len(others), FACE_SIZE, FACE_SIZE, others[0],
        )  # fmt: skip
    return faces


def _unlabelled(folder: Path, detector: FaceDetector, progress: Progress) -> list[GroundTruthFace]:
    faces: list[GroundTruthFace] = []
    pictures = find_pictures(folder)
    for number, path in enumerate(pictures):
        image = _read(path)
        progress("pictures searched for faces", number + 1, len(pictures))
        if image is None:
            continue
        located = _locate(image, detector)
        if located is None:
            _log.warning("faces %s: no face that is large enough, left out", path)
        else:
            name = path.relative_to(folder).as_posix()
            faces.append(GroundTruthFace(number, name, path, *located))
    return faces


def _locate(
    image: npt.NDArray[np.uint8], detector: FaceDetector
) -> tuple[Array, Array | None] | None:
    """Landmarks in the crop, and the way there; None without a usable face."""
    found = detect_scaled(detector, image, _DETECTION_PX)
    if not len(found):
        return None
    landmarks = found.landmarks[0].astype(np.float64)
    if image.shape[:2] == (FACE_SIZE, FACE_SIZE):
        return landmarks, None
    crop_from_file = geometry.similarity_from_points(
        landmark_template("ffhq", FACE_SIZE), landmarks
    )
    if np.hypot(crop_from_file[0, 0], crop_from_file[1, 0]) > _MAX_ENLARGEMENT:
        return None
    return geometry.apply(crop_from_file, landmarks), crop_from_file


def _read_again(path: Path) -> npt.NDArray[np.uint8]:
    image = _read(path)
    if image is None:
        raise DataError(f"picture {path}: cannot be read any more")
    return image


def _read(path: Path) -> npt.NDArray[np.uint8] | None:
    """(H, W, 3) RGB; None, said in the log, where it cannot be read."""
    try:
        return read_picture(path)
    except ImageOpenError as error:
        _log.warning("faces: %s; left out", error)
        return None
