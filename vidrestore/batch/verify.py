"""Check outputs against the checksums of their records."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from vidrestore.batch.state import BatchFolder, Video, read_json
from vidrestore.errors import VidRestoreError
from vidrestore.records.fixity import read_back, sha256_of

__all__ = ["verify_batch"]


def verify_batch(
    folder: BatchFolder,
    *,
    frames: bool = False,
    step: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[int, dict[str, str]]:
    """Check every video that is done.

    Args:
        folder: of the batch.
        frames: decode outputs too, and compare the checksums of their frames.
        step: called with (videos checked, all that are done).

    Returns:
        How many are as they were written, and what is wrong with the others, by output.
    """
    done = [video for video in folder.videos() if video.status == "done"]
    wrong = {}
    for number, video in enumerate(done):
        step(number, len(done))
        if problem := _problem(folder, video, frames):
            wrong[video.output] = problem
    step(len(done), len(done))
    return len(done) - len(wrong), wrong


def _problem(folder: BatchFolder, video: Video, frames: bool) -> str | None:
    output, source = folder.output / video.output, Path(video.source)
    try:
        fixity = read_json(folder.file_of("records", video, ".json"))["fixity"]
        if not output.is_file():
            return "is missing"
        if sha256_of(output) != fixity["output_sha256"]:
            return "has changed: its sha256 is another one"
        known = fixity["input_sha256"]
        if known and source.is_file() and sha256_of(source) != known:
            return f"is whole, but its input {source} has changed since"
        return _frames_problem(folder, video, output) if frames else None
    except (VidRestoreError, KeyError, TypeError) as error:
        return f"cannot be checked: {error}"


def _frames_problem(folder: BatchFolder, video: Video, output: Path) -> str | None:
    stored = folder.file_of("records", video, ".framemd5")
    with tempfile.TemporaryDirectory() as place:
        again = Path(place) / "again.framemd5"
        read_back(output, again)
        if _sums(again) != _sums(stored):
            return "is whole, but its frames decode to other samples than when it was written"
    return None


def _sums(path: Path) -> list[str]:
    """The lines of frames; those before name the program."""
    return [line for line in path.read_text("ascii").splitlines() if line[:1] != "#"]
