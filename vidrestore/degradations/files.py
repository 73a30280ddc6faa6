"""Apply a recipe to a picture, a folder of pictures or a video.

A single picture is drawn with the generator of (seed, 0); in a folder, picture n of those sorted by
path with that of (seed, n), as the protocols of `evaluation` count them. Pictures keep their names,
and their places in folders within the folder; they are written without loss (PNG, BMP, TIFF, WebP)
or as nearly as JPEG can.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.config import DecodeConfig, EncodeConfig
from vidrestore.datasets.images import PICTURE_ENDINGS, find_pictures, read_picture
from vidrestore.degradations.pixels import from_bytes, to_bytes
from vidrestore.degradations.recipe import DrawnRecipe, Recipe
from vidrestore.degradations.videos import DegradeReport, degrade_video
from vidrestore.errors import ImageOpenError, UsageError, VideoWriteError
from vidrestore.runtime.output_file import check_outputs, write_whole

__all__ = ["degrade", "degrade_picture", "write_picture"]

_WRITING = {
    ".jpg": [
        cv2.IMWRITE_JPEG_QUALITY,
        100,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ],
    ".webp": [cv2.IMWRITE_WEBP_QUALITY, 101],  # above 100: without loss
}


def degrade(
    src: str | Path,
    dst: str | Path,
    recipe: Recipe,
    *,
    name: str = "",
    seed: int = 0,
    decode: DecodeConfig | None = None,
    encode: EncodeConfig | None = None,
    threads: int = 0,
    progress: Callable[[int, int | None], None] | None = None,
) -> DegradeReport:
    """Degrade a picture into a picture, a folder into a folder, a video into a video.

    Args:
        src: a folder, a file with one of the endings `PICTURE_ENDINGS`, or a video.
        dst: of the same kind. Nothing that exists is replaced unless ``encode.overwrite``.
        recipe: what to do.
        name: the recipe's name, for the report.
        seed: another seed draws other parameters and other noise.
        decode: which part of a video to read.
        encode: how a video is written.
        threads: for videos; 0 takes all.
        progress: told (pictures or frames done, expected) after each.

    Raises:
        VidRestoreError: for files that cannot be read or written.
    """
    src, dst = Path(src), Path(dst)
    overwrite = encode is not None and encode.overwrite
    if src.is_dir():
        return _degrade_folder(src, dst, recipe, name, seed, overwrite, progress)
    if src.suffix.lower() in PICTURE_ENDINGS:
        return _degrade_file(src, dst, recipe, name, seed, overwrite, progress)
    return degrade_video(
        src,
        dst,
        recipe,
        name=name,
        seed=seed,
        decode=decode,
        encode=encode,
        threads=threads,
        progress=progress,
    )


def degrade_picture(
    image: NDArray[np.uint8], recipe: Recipe, seed: tuple[int, ...]
) -> tuple[NDArray[np.uint8], DrawnRecipe]:
    """A picture through a recipe, (H, W, 3) uint8 RGB, and what was drawn."""
    rng = np.random.default_rng(list(seed))
    drawn = recipe.draw(rng)
    return to_bytes(drawn.picture(from_bytes(image), rng)), drawn


def write_picture(path: Path, image: NDArray[np.uint8], *, overwrite: bool = False) -> None:
    """Write (H, W, 3) uint8 RGB, completely or not at all; the ending chooses the format.

    Raises:
        VideoWriteError: if it cannot be written.
    """
    suffix = path.suffix.lower()
    options = _WRITING.get(".jpg" if suffix == ".jpeg" else suffix, [])
    try:
        data = cv2.imencode(suffix, np.ascontiguousarray(image[..., ::-1]), options)[1]
    except cv2.error as error:
        raise VideoWriteError(
            f"picture {path}: cannot be written (its size does not fit the format)"
        ) from error
    write_whole(path, data.tobytes(), overwrite=overwrite)


def _degrade_file(
    src: Path,
    dst: Path,
    recipe: Recipe,
    name: str,
    seed: int,
    overwrite: bool,
    progress: Callable[[int, int | None], None] | None,
) -> DegradeReport:
    begun = time.perf_counter()
    if dst.suffix.lower() not in PICTURE_ENDINGS:
        raise UsageError(f"{dst}: a picture needs one of the endings {', '.join(PICTURE_ENDINGS)}")
    check_outputs([dst], inputs=[src], overwrite=overwrite)
    degraded, drawn = degrade_picture(read_picture(src), recipe, (seed, 0))
    write_picture(dst, degraded, overwrite=overwrite)
    if progress is not None:
        progress(1, 1)
    record = ({"file": src.name, **drawn.record()},)
    return DegradeReport(str(src), str(dst), name, seed, 1, record, time.perf_counter() - begun)


def _degrade_folder(
    src: Path,
    dst: Path,
    recipe: Recipe,
    name: str,
    seed: int,
    overwrite: bool,
    progress: Callable[[int, int | None], None] | None,
) -> DegradeReport:
    begun = time.perf_counter()
    files = find_pictures(src)
    if dst.resolve() != src.resolve():  # An earlier result in the folder is none of its pictures.
        files = [path for path in files if dst.resolve() not in path.resolve().parents]
    if not files:
        raise ImageOpenError(f"{src}: no picture in it ({', '.join(PICTURE_ENDINGS)})")
    if dst.exists() and not dst.is_dir():
        raise VideoWriteError(f"{dst} is a file; name a folder for the pictures of {src}")
    _make_folder(dst, parents=False)
    for path in files:
        _make_folder((dst / path.relative_to(src)).parent)
    check_outputs(
        [dst / path.relative_to(src) for path in files], inputs=files, overwrite=overwrite
    )
    records, notes = [], []
    for number, path in enumerate(files):
        out = dst / path.relative_to(src)
        try:
            degraded, drawn = degrade_picture(read_picture(path), recipe, (seed, number))
        except ImageOpenError as error:
            notes.append(f"{error}; left out")
            continue
        write_picture(out, degraded, overwrite=overwrite)
        records.append({"file": path.relative_to(src).as_posix(), **drawn.record()})
        if progress is not None:
            progress(number + 1, len(files))
    if not records:
        raise ImageOpenError(f"{src}: none of its {len(files)} pictures can be read")
    seconds = time.perf_counter() - begun
    return DegradeReport(
        str(src), str(dst), name, seed, len(records), tuple(records), seconds, tuple(notes)
    )


def _make_folder(folder: Path, *, parents: bool = True) -> None:
    try:
        folder.mkdir(parents=parents, exist_ok=True)
    except OSError as error:
        raise VideoWriteError(f"folder {folder}: cannot be made ({error.strerror})") from error
