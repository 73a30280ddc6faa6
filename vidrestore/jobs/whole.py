"""Restore a whole video in one process, and store what is done; a stopped run goes on."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from vidrestore.config import RestoreConfig
from vidrestore.errors import (
    JobError,
    ModelError,
    NotEnoughMemoryError,
    UsageError,
    VideoDecodeError,
    VideoOpenError,
    VideoWriteError,
    VidRestoreError,
)
from vidrestore.job import Job
from vidrestore.jobs.analysis import known_analysis
from vidrestore.jobs.join import Joined, join_segments
from vidrestore.jobs.known import KnownAnalysis
from vidrestore.jobs.networks import Networks
from vidrestore.jobs.one_pass import restore_in_one_pass
from vidrestore.jobs.plan import check_plan, plan_of
from vidrestore.jobs.restoring import Restoring
from vidrestore.jobs.space import check_space_left
from vidrestore.jobs.store import FolderStore, job_folder
from vidrestore.jobs.storing import place_behind_stored
from vidrestore.runtime.output_file import check_outputs
from vidrestore.runtime.output_lock import OutputLock
from vidrestore.runtime.stage_clock import StageClock
from vidrestore.runtime.words import counted
from vidrestore.structs import Frame

__all__ = ["Callbacks", "Whole", "restore_whole"]

_NEVER_BETTER = (ModelError, UsageError, VideoDecodeError, VideoOpenError)
"""After these the same command would fail again."""


@dataclass(frozen=True, slots=True)
class Whole:
    """What came of a run."""

    joined: Joined
    known: KnownAnalysis
    networks: Networks
    frames_restored: int
    """By this run; the others were stored before."""
    loaded: float
    """When the networks were there, by `time.perf_counter`."""


@dataclass(slots=True)
class Callbacks:
    """What is told on the way."""

    each: Callable[[Frame], None]
    """Each restored frame."""
    progress: Callable[[int], None]
    """The frames that are done, also before the run."""
    step: Callable[[str, float], None]
    """Another step than restoring, and the share of it that is done; see `run.Progress`."""
    tell: Callable[[str], None]
    """Sentences for a person."""


def restore_whole(
    job: Job, load: Callable[[RestoreConfig], Networks], clock: StageClock, callbacks: Callbacks
) -> Whole:
    """Restore a job's input into its output.

    Args:
        job: what to do; its restorer and detector are named, so that a later run can tell whether
            it restores with the same.
        load: gives the networks.
        clock: books the time of each stage.
        callbacks: what is told on the way.

    Raises:
        JobError: a stopped run cannot go on as it was begun.
        VidRestoreError: for files, weights and models; nothing has the output's name then.
    """
    assert job.output is not None
    config, output = job.config, job.output.destination
    check_outputs([output], inputs=job.inputs, overwrite=config.encode.overwrite)
    with ExitStack() as stack:
        lock = OutputLock(output)
        lock.acquire()
        stack.callback(lock.release)
        networks = load(config)
        loaded = time.perf_counter()
        store = FolderStore(job_folder(output, config.job.work))
        with _kept_for_later(store):
            goes_on = check_plan(store, plan_of(job, networks), restart=config.job.restart)
            store.remove_leftovers()
            run = _Run(store, job, networks, clock, callbacks, goes_on)
            known, borders = run.restore()
            step = partial(callbacks.step, "joining")
            joined = clock.call(
                "join", lambda: join_segments(store, job, known, borders, lock, step)
            )
        store.remove()
        return Whole(joined, known, networks, run.restored, loaded)


@contextmanager
def _kept_for_later(store: FolderStore) -> Iterator[None]:
    """Keep the job's folder if the same command can go on, and say so; else remove it."""
    kept = ("analysis/*.json", "segments/*.packets")
    try:
        yield
    except JobError:
        raise
    except BaseException as error:
        told = error
        if isinstance(error, OSError) and not isinstance(error, VidRestoreError):
            is_full = error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
            advice = (
                "free some space"
                if is_full
                else "see that its disk is there; the same command goes on from what it holds"
            )
            told = VideoWriteError(
                f"{store.folder}: cannot be written ({error.strerror or error}); {advice}"
            )
        will_fail = isinstance(error, _NEVER_BETTER) and not isinstance(error, NotEnoughMemoryError)
        if will_fail or not any(path for one in kept for path in store.folder.glob(one)):
            store.remove()
        else:
            told.add_note("what was done is kept, and the same command goes on from there")
        if told is error:
            raise
        raise told from error


@dataclass(slots=True)
class _Run:
    """Restoring what is missing."""

    store: FolderStore
    job: Job
    networks: Networks
    clock: StageClock
    callbacks: Callbacks
    goes_on: bool
    restored: int = 0
    """Frames restored so far."""
    _before: int = 0
    """Frames of segments that were stored before."""

    def restore(self) -> tuple[KnownAnalysis, list[int]]:
        """Store all segments; give the analysis, and the first frame of each segment."""
        store, job = self.store, self.job
        found = known_analysis(store, job)
        if found is None:
            place = place_behind_stored(store)
            self._begin(place.number, place.number, place.frame, job.expected_frames)
            restore_in_one_pass(
                store,
                job,
                self.networks,
                self.clock,
                place,
                self._each,
                read_again=partial(self.callbacks.step, "reading again"),
            )
            found = known_analysis(store, job)
            assert found is not None
        else:
            self._restore_missing(*found)
        return found

    def _restore_missing(self, known: KnownAnalysis, borders: Sequence[int]) -> None:
        """Restore segments with a complete analysis, wherever some are missing."""
        store, total = self.store, len(known)
        restoring = Restoring(self.job, known, borders, self.networks, self.clock)
        done = set(store.stored_segments()) & set(range(len(borders)))
        undone = [number for number in range(len(borders)) if number not in done]
        if not undone:
            return

        def frames_stored() -> int:
            stored = set(store.stored_segments()) & set(range(len(borders)))
            bounds = map(restoring.bounds, stored)
            return sum(end - first for first, end in bounds)

        self._begin(undone[0], len(done), frames_stored(), total)
        for group in _in_a_row(undone):
            restoring.store(
                store,
                group,
                self._each,
                before=lambda _: check_space_left(store, self.job, frames_stored(), total),
            )

    def _begin(self, number: int, kept: int, frames: int, total: int | None) -> None:
        """Say where the run goes on, and look whether the disk holds what is to come.

        Args:
            number: of the first segment that is missing.
            kept: how many are stored.
            frames: of these.
            total: of the output, where it is known.
        """
        self._before = frames
        if total:
            check_space_left(self.store, self.job, frames, max(total, frames))
        if self.goes_on:
            told = f" ({counted(kept, 'segment')} kept)" if kept else ""
            self.callbacks.tell(f"going on at segment {number + 1}{told}")
        if frames:
            self.callbacks.progress(frames)

    def _each(self, frame: Frame) -> None:
        self.restored += 1
        self.callbacks.each(frame)
        self.callbacks.progress(self._before + self.restored)


def _in_a_row(numbers: Sequence[int]) -> Iterator[list[int]]:
    """Numbers in groups without a gap."""
    for _, group in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        yield [number for _, number in group]
