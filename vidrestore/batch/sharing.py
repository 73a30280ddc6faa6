"""Workers that share one video: who holds it asks for nobody, others take segments of it.

    vidrestore-batch/work/ID/
      wanted        made by a worker that found no video to take: it wants a part of this one
      leases/       of segments; being there, it says that the video is done by segments

Whoever holds the video looks for `wanted` as it works. It then goes over to segments, unless less
than two of them are left. From there on all are alike: each claims a segment (`leases`), restores
it, and goes on to the next one without a seam while that is free.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from vidrestore.batch.leases import Lease, LeaseFolder
from vidrestore.jobs.segment import OpenedJob
from vidrestore.jobs.store import FolderStore
from vidrestore.structs import Frame

__all__ = ["SharedVideo", "choose_start", "is_shared", "is_wanted", "want"]

_LEASES, _WANTED = "leases", "wanted"


def is_shared(work: Path) -> bool:
    """Whether a video is done by segments; `work` is its folder in the batch."""
    return (work / _LEASES).is_dir()


def is_wanted(work: Path) -> bool:
    """Whether a worker wants a part of the video."""
    return (work / _WANTED).exists()


def want(work: Path) -> None:
    """Ask who holds the video for a part of it."""
    with contextlib.suppress(OSError):  # it has ended meanwhile
        (work / _WANTED).touch()


class _Enough(Exception):
    """The next segment is done, or somebody else's."""


class SharedVideo:
    """The segments of a video whose analysis is complete, shared by leases.

    Args:
        work: the video's folder in the batch.
        job: the job's folder.
        leases: of the segments; others are for tests.
    """

    def __init__(self, work: Path, job: Path, *, leases: LeaseFolder | None = None) -> None:
        (work / _LEASES).mkdir(exist_ok=True)
        self._store = FolderStore(job)
        self._leases = leases or LeaseFolder(work / _LEASES)
        self._held: Lease | None = None

    def work(self, opened: OpenedJob, each: Callable[[Frame], None]) -> bool:
        """Restore what can be claimed in a row.

        Args:
            opened: the job.
            each: called with each restored frame.

        Returns:
            Whether there was any; if not, all segments are stored or held.

        Raises:
            VidRestoreError: as `OpenedJob.restore`.
        """
        first = self._claim_first(len(opened))
        if first is None:
            return False

        def before(number: int) -> None:
            if number != first and not self._claim_next(number):
                raise _Enough

        try:
            opened.restore(range(first, len(opened)), each, before)
        except _Enough:
            pass
        finally:
            self._let_go()
        return True

    def _claim_first(self, count: int) -> int | None:
        stored = set(self._store.stored_segments())
        left = [number for number in range(count) if number not in stored]
        free = [number for number in left if self._leases.holder(_key(number)) is None]
        start = choose_start(free, stored)
        # What is held is tried last: its holder may be dead, which only a claim finds out.
        tried = [*([] if start is None else [start]), *(n for n in left if n not in free)]
        return next((number for number in tried if self._claim(number)), None)

    def _claim_next(self, number: int) -> bool:
        self._let_go()
        return self._claim(number)

    def _claim(self, number: int) -> bool:
        self._held = self._leases.claim(_key(number))
        if self._held is not None and self._store.segment(number).exists():
            self._let_go()
        return self._held is not None

    def _let_go(self) -> None:
        if self._held is not None:
            self._held.release()
            self._held = None


def choose_start(free: Sequence[int], stored: set[int]) -> int | None:
    """Where a worker begins: in the longest row of free segments.

    It begins with the first one, or in the middle, if somebody is coming from the segment before.

    Args:
        free: segments that are neither stored nor held, rising.
        stored: those that are stored.
    """
    if not free:
        return None
    row = max(_rows(free), key=len)
    is_awaited = row[0] > 0 and row[0] - 1 not in stored
    return row[len(row) // 2] if is_awaited else row[0]


def _rows(numbers: Sequence[int]) -> Iterator[list[int]]:
    row: list[int] = []
    for number in numbers:
        if row and number != row[-1] + 1:
            yield row
            row = []
        row.append(number)
    yield row


def _key(number: int) -> str:
    return f"{number:05d}"
