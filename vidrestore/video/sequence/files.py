"""The files of a picture sequence: `frame_%06d.dpx`, or a folder that holds one sequence.

Numbers order the pictures. They may begin anywhere and step by any amount that stays the same;
where one is missing the sequence is refused, or its place shows the picture before (`decode.gaps`).
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from vidrestore.errors import VideoOpenError
from vidrestore.runtime.words import counted

__all__ = ["ENDINGS", "PictureSequence", "find_sequence", "is_sequence", "pattern_of"]

ENDINGS = {
    ".dpx": "dpx",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".png": "png",
    ".jpg": "mjpeg",
    ".jpeg": "mjpeg",
}
"""File endings of pictures and FFmpeg's names of their codecs."""

_FLOATING = {".exr", ".hdr", ".pfm"}
"""Endings of pictures in floating point."""

_PATTERN = re.compile(r"%0?(\d*)d")
_MOST_NAMED = 5
_MOST_FILLED = 100_000


@dataclass(frozen=True, slots=True)
class PictureSequence:
    """The pictures of a sequence in order."""

    path: Path
    """As given: a pattern or a folder."""
    files: tuple[Path, ...]
    """One a frame; a gap that is held names the file before again."""
    numbers: tuple[int, ...]
    """Of the frames, those of missing pictures included."""
    held: int = 0
    """Frames that stand for missing pictures."""

    @property
    def ending(self) -> str:
        """Of all files, in lower case."""
        return self.files[0].suffix.lower()

    def name_of(self, index: int) -> str:
        """A frame's file name, also where its picture is missing."""
        name = self.files[index].name
        match = _last_number(name)
        if match is None or int(match["number"]) == self.numbers[index]:
            return name
        digits = f"{self.numbers[index]:0{len(match['number'])}d}"
        return match[1] + digits + match[3]


def is_sequence(path: Path) -> bool:
    """Whether a name means a sequence of pictures: a folder, or a pattern that is no file."""
    if os.path.isdir(path):  # unlike `Path.is_dir`, False also for names that cannot be
        return True
    is_picture = path.suffix.lower() in (*ENDINGS, *_FLOATING)
    return is_picture and _PATTERN.search(path.name) is not None and not os.path.isfile(path)


def pattern_of(path: Path) -> str:
    """A pattern's file name for `%` with a number.

    Raises:
        VideoOpenError: it has several places for a number.
    """
    if len(_PATTERN.findall(path.name)) != 1 or path.name.count("%") != 1:
        raise VideoOpenError(f"{path}: a pattern needs one number such as %06d")
    return path.name


def find_sequence(path: Path, gaps: str) -> PictureSequence:
    """List the pictures that a pattern or a folder names.

    Args:
        path: a pattern or a folder.
        gaps: 'refuse', or 'hold' to show the picture before a gap in its place.

    Raises:
        VideoOpenError: there are none, several sequences lie in the folder, or some are missing.
    """
    _refuse_floating(path, path.suffix)
    found = _of_folder(path) if path.is_dir() else _of_pattern(path)
    if not found:
        raise VideoOpenError(f"{path}: no pictures of that name; check the path")
    files = [found[number] for number in sorted(found)]
    if len(found) < 3:
        return PictureSequence(path, tuple(files), tuple(sorted(found)))
    return _with_gaps(path, found, gaps)


def _refuse_floating(path: Path, ending: str) -> None:
    if ending.lower() in _FLOATING:
        raise VideoOpenError(
            f"{path}: pictures in floating point ({ending}) are not read; convert them to 16 bit "
            "with an encoding for viewing, such as `oiiotool in.exr --tocolorspace sRGB -d uint16 "
            "-o out.tif`"
        )


def _of_pattern(path: Path) -> dict[int, Path]:
    before, after = _PATTERN.split(pattern_of(path))[::2]
    named = re.compile(re.escape(before) + r"(?P<number>\d+)" + re.escape(after))
    return _numbered(path, ((named.fullmatch(name), name) for name in _names(path.parent)))


def _numbered(path: Path, names: Iterable[tuple[re.Match[str] | None, str]]) -> dict[int, Path]:
    folder = path if path.is_dir() else path.parent
    found: dict[int, Path] = {}
    for match, name in names:
        if match is None:
            continue
        number = int(match["number"])
        if number in found:
            raise VideoOpenError(
                f"{path}: {found[number].name} and {name} have the same number; remove one"
            )
        found[number] = folder / name
    return found


def _names(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(folder) if entry.is_file()]
    except OSError as error:
        raise VideoOpenError(f"{folder}: cannot be read ({error.strerror})") from error


def _of_folder(path: Path) -> dict[int, Path]:
    """Pictures of a folder, hidden files and files of other kinds aside."""
    names = [name for name in _names(path) if not name.startswith(".")]
    for name in names:
        _refuse_floating(path, Path(name).suffix)
    pictures = [name for name in names if Path(name).suffix.lower() in ENDINGS]
    matches = [(_last_number(name), name) for name in pictures]
    bare = [name for match, name in matches if match is None]
    if bare:
        raise VideoOpenError(f"{path}: {bare[0]} has no number; name the pictures by a pattern")
    kinds = sorted({f"{match[1]}%d{match[3]}" for match, _ in matches if match})
    if len(kinds) > 1:
        shown = ", ".join(kinds[:_MOST_NAMED])
        raise VideoOpenError(f"{path} holds {len(kinds)} sequences ({shown}); name one by pattern")
    return _numbered(path, matches)


def _last_number(name: str) -> re.Match[str] | None:
    """The last number before the ending."""
    stem, ending = os.path.splitext(name)
    return re.fullmatch(
        r"(.*?)(?P<number>\d+)(\D*" + re.escape(ending) + ")", stem + ending, re.DOTALL
    )


def _with_gaps(path: Path, found: dict[int, Path], gaps: str) -> PictureSequence:
    numbers = sorted(found)
    steps = Counter(after - before for before, after in pairwise(numbers))
    step = min(steps, key=lambda one: (-steps[one], one))
    files, missing = [found[numbers[0]]], list[int]()
    for before, after in pairwise(numbers):
        lost = list(range(before + step, after, step))[:_MOST_FILLED]
        if (after - before) % step:
            raise VideoOpenError(
                f"{path}: numbers step by {step}, but {found[after].name} follows "
                f"{found[before].name}; give the pictures even numbers"
            )
        missing += lost
        files += [found[before]] * len(lost) + [found[after]]
    if missing and gaps != "hold":
        shown = ", ".join(map(str, missing[:_MOST_NAMED]))
        more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
        raise VideoOpenError(
            f"{path}: {counted(len(missing), 'picture')} missing: number {shown}{more}; add them, "
            "or show the one before in their place with --gaps hold"
        )
    every = tuple(sorted((*numbers, *missing)))
    return PictureSequence(path, tuple(files), every, len(missing))
