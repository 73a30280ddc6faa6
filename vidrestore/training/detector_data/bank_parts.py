"""What is done of a face bank in the making, kept so that a stop loses little of it."""

from __future__ import annotations

import logging
import shutil
import zipfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vidrestore.runtime.output_file import write_whole

__all__ = ["FIELDS", "Entry", "Parts"]

Entry = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]
"""Picture, matte, box and landmarks of one face."""

FIELDS = ("pictures", "mattes", "boxes_xyxy", "landmarks")
"""Of a face bank, in the order of an `Entry`."""
_FACES = 32
"""Of one part."""
_log = logging.getLogger(__name__)
_Job = TypeVar("_Job")


class Parts:
    """Files of some faces each, which appear whole or not at all.

    Args:
        folder: where they lie; those of another source are removed. None keeps nothing.
        source: of the bank, see `bank_source`.
    """

    def __init__(self, folder: Path | None, source: str = "") -> None:
        self.folder = folder and folder / f"parts-{source[:16]}"
        for old in folder.glob("parts-*") if folder else ():
            if old != self.folder:
                shutil.rmtree(old)

    def made(
        self,
        pool: Executor,
        make: Callable[[_Job], Entry | None],
        jobs: Sequence[_Job],
        name: str,
        told: Callable[[int], None],
    ) -> list[Entry | None]:
        """What the jobs give, in their order; what is kept is not made again.

        Args:
            pool: where they run.
            make: does a job; None for a face that cannot be used.
            jobs: what to do.
            name: of these jobs' files.
            told: gets the number of those that are done.
        """
        found: list[Entry | None] = []
        told(0)
        for first in range(0, len(jobs), _FACES):
            file = self.folder and self.folder / f"{name}-{first}.npz"
            some = _read(file) if file else None
            if some is None:
                some = list(pool.map(make, jobs[first : first + _FACES], chunksize=4))
                if file:
                    _write(file, some)
            found += some
            told(len(found))
        return found

    def remove(self) -> None:
        """Remove them, the bank being whole."""
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


def _write(file: Path, entries: Sequence[Entry | None]) -> None:
    usable = np.array([entry is not None for entry in entries])
    columns: Iterable[tuple[NDArray[np.generic], ...]] = zip(
        *(entry for entry in entries if entry is not None), strict=True
    )
    arrays = {name: np.stack(rows) for name, rows in zip(FIELDS, columns, strict=False)}
    arrays["usable"] = usable
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, lambda stream: np.savez(stream, allow_pickle=False, **arrays), overwrite=True)


def _read(file: Path) -> list[Entry | None] | None:
    """The entries of a part; None where there is no such part."""
    if not file.is_file():
        return None
    try:
        with np.load(file) as arrays:
            usable = arrays["usable"]
            columns = [arrays[name] for name in FIELDS] if usable.any() else []
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        _log.warning("%s: damaged (%s), made again", file, error)
        return None
    rows = iter(zip(*columns, strict=True))
    return [next(rows) if is_usable else None for is_usable in usable]
