"""Where a run keeps what it found: in files that outlive it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from vidrestore.errors import VideoWriteError
from vidrestore.runtime.durable import TEMPORARY_ENDING, write_durably
from vidrestore.runtime.output_lock import hashed_name

__all__ = ["JOB_ENDING", "FolderStore", "job_folder"]

JOB_ENDING = ".job"
"""Of the names of jobs' folders."""


class FolderStore:
    """JSON records by name, such as "analysis/00000", as files of a job's folder.

    Args:
        folder: the folder; `create` makes it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def create(self) -> None:
        """Make the folder, if it is not there.

        Raises:
            VideoWriteError: that fails.
        """
        if self.folder.is_symlink():
            raise VideoWriteError(
                f"{self.folder}: is a link where a job's folder belongs; remove it"
            )
        try:
            for part in ("analysis", "segments"):
                (self.folder / part).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise VideoWriteError(
                f"{self.folder}: cannot be made ({error.strerror}); name another place by --work, "
                "or give --no-resume"
            ) from error

    def read(self, name: str) -> Any | None:
        """Give a record; None where there is none. A file that is no JSON counts as none."""
        try:
            return json.loads(self._path(name).read_bytes())
        except (OSError, ValueError):
            return None

    def write(self, name: str, record: object) -> None:
        """Keep a record, whole or not at all.

        Raises:
            OSError: it cannot be written; what was there before is still there.
        """
        write_durably(self._path(name), json.dumps(record, separators=(",", ":")).encode())

    def segment(self, number: int) -> Path:
        """Where a segment's packets are, once they are."""
        return self.folder / "segments" / f"{number:05d}.packets"

    def stored_segments(self) -> list[int]:
        """Give the numbers of the segments that are stored, rising."""
        return sorted(int(path.stem) for path in self.folder.glob("segments/*.packets"))

    def remove_leftovers(self) -> None:
        """Remove what a killed run was writing. Nobody else may be at work here."""
        for path in self.folder.rglob(f"*{TEMPORARY_ENDING}"):
            path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the folder; its own files only, and never through a link."""
        if self.folder.is_symlink() or self.folder.suffix != JOB_ENDING:
            return
        self._path("plan").unlink(missing_ok=True)  # without it the rest is nothing
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def job_folder(output: Path, work: Path | None) -> Path:
    """Where the job of an output is kept.

    Args:
        output: the file to write.
        work: the folder for what runs store; None for that of the output.
    """
    if work is None:
        return output.absolute().parent / hashed_name(output.name, JOB_ENDING)
    return work.absolute() / hashed_name(os.fsdecode(os.path.realpath(output)), JOB_ENDING)
