"""Restore a whole video in one process: analysis, segments, join; a stopped one goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
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
from vidrestore.jobs.analysis import complete_analysis
from vidrestore.jobs.join import Joined, decoded_hashes, join_segments
from vidrestore.jobs.known import KnownAnalysis
from vidrestore.jobs.networks import Networks
from vidrestore.jobs.plan import check_plan, plan_of
from vidrestore.jobs.restoring import Restoring
from vidrestore.jobs.samples import FaceSamples
from vidrestore.jobs.space import check_space, estimate_bytes
from vidrestore.jobs.store import FolderStore, MemoryStore, Store, job_folder
from vidrestore.jobs.writers import open_video_writer
from vidrestore.report import Tally, check_failures
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
    progress: Callable[[str, int, int], None]
    """The step, its frames that are done, and those of it that were done before the run."""
    tell: Callable[[str], None]
    """Sentences for a person."""


def restore_whole(
    job: Job, load: Callable[[RestoreConfig], Networks], clock: StageClock, callbacks: Callbacks
) -> Whole:
    """Restore a job's input into its output.

    Args:
        job: what to do; its restorer and detector are named, or nothing is stored on the way.
        load: gives the networks.
        clock: books the time of each stage.
        callbacks: what is told on the way.

    Raises:
        JobError: a stopped run cannot go on as it was begun.
        VidRestoreError: for files, weights and models; nothing has the output's name then.
    """
    assert job.output is not None
    config, output = job.config, job.output.destination
    is_stored = not (config.job.no_resume or job.model is None or job.detector is None)
    check_outputs([output], inputs=job.inputs, overwrite=config.encode.overwrite)
    with ExitStack() as stack:
        lock = OutputLock(output)
        lock.acquire()
        stack.callback(lock.release)
        networks = load(config)
        loaded = time.perf_counter()
        if not is_stored:
            known, borders = _analysed(MemoryStore(), job, networks, clock, callbacks)
            restoring = Restoring(job, known, borders, networks, clock)
            joined = _written(restoring, lock, callbacks)
            FolderStore(job_folder(output, config.job.work)).remove()  # of a run before
            return Whole(joined, known, networks, len(known), loaded)
        store = FolderStore(job_folder(output, config.job.work))
        with _kept_for_later(store):
            goes_on = check_plan(store, plan_of(job, networks), restart=config.job.restart)
            store.remove_leftovers()
            if not goes_on and job.expected_frames:
                least = estimate_bytes(job, job.expected_frames)
                check_space(output, store.folder, least, least)
            known, borders = _analysed(store, job, networks, clock, callbacks)
            restoring = Restoring(job, known, borders, networks, clock)
            restored = _stored(store, restoring, goes_on, callbacks)
            joined = clock.call("join", lambda: join_segments(store, job, known, borders, lock))
        store.remove()
        return Whole(joined, known, networks, restored, loaded)


@contextmanager
def _kept_for_later(store: FolderStore) -> Iterator[None]:
    """Keep the job's folder if the same command can go on, and say so; else remove it."""
    try:
        yield
    except JobError:
        raise
    except BaseException as error:
        told = error
        if isinstance(error, OSError) and not isinstance(error, VidRestoreError):
            told = VideoWriteError(
                f"{store.folder}: cannot be written ({error.strerror or error}); free some space"
            )
        will_fail = isinstance(error, _NEVER_BETTER) and not isinstance(error, NotEnoughMemoryError)
        if will_fail or not any((store.folder / "analysis").glob("*.json")):
            store.remove()
        else:
            told.add_note("what was done is kept, and the same command goes on from there")
        if told is error:
            raise
        raise told from error


def _analysed(
    store: Store, job: Job, networks: Networks, clock: StageClock, callbacks: Callbacks
) -> tuple[KnownAnalysis, list[int]]:
    return complete_analysis(
        store, job, networks, clock, lambda frames: callbacks.progress("analysis", frames, 0)
    )


def _stored(store: FolderStore, restoring: Restoring, goes_on: bool, callbacks: Callbacks) -> int:
    """Restore the segments that are missing; how many frames those have."""
    count = len(restoring.borders)
    done = set(store.stored_segments())
    undone = [number for number in range(count) if number not in done]
    bounds = [restoring.bounds(number) for number in undone]
    done_frames = len(restoring.known) - sum(end - first for first, end in bounds)
    if goes_on and undone:
        callbacks.tell(
            f"going on at segment {undone[0] + 1} of {count}"
            + (f" ({counted(count - len(undone), 'segment')} kept)" if done_frames else "")
        )
    restored = 0

    def each(frame: Frame) -> None:
        nonlocal restored
        restored += 1
        callbacks.each(frame)
        callbacks.progress("restoring", done_frames + restored, done_frames)

    for group in _in_a_row(undone):
        restoring.store(
            store, group, each, before=lambda number: _check_space(store, restoring, number)
        )
    return restored


def _in_a_row(numbers: Sequence[int]) -> Iterator[list[int]]:
    """Numbers in groups without a gap."""
    for _, group in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        yield [number for _, number in group]


def _check_space(store: FolderStore, restoring: Restoring, number: int) -> None:
    """Look before a segment whether the disk holds what is to come.

    Raises:
        VideoWriteError: it does not.
    """
    job, total = restoring.job, len(restoring.known)
    assert job.output is not None
    stored = store.stored_segments()
    bounds = [restoring.bounds(one) for one in stored]
    frames = sum(end - first for first, end in bounds)
    size = sum(store.segment(one).stat().st_size for one in stored)
    whole = round(size / frames * total) if frames else estimate_bytes(job, total)
    left = whole - size if frames else whole
    check_space(job.output.destination, store.folder, max(left, 0), whole)


def _written(restoring: Restoring, lock: OutputLock, callbacks: Callbacks) -> Joined:
    """Restore and encode all straight into the output; nothing is stored."""
    job, clock = restoring.job, restoring.clock
    assert job.output is not None
    strength = job.config.blend.strength
    tally, samples = Tally(strength), FaceSamples(strength)
    with (
        open_video_writer(job, lock=lock, borders=frozenset(restoring.borders)) as writer,
        closing(restoring.frames(0, len(restoring.known))) as frames,
    ):
        for frame in frames:
            clock.call("encode", lambda one=frame: writer.write(one))  # type: ignore[misc]
            tally.add(frame)
            samples.add(frame)
            callbacks.each(frame)
            callbacks.progress("restoring", tally.frames, 0)
        check_failures(tally, job.config)
        clock.call("encode", writer.commit)
        samples.hashes = decoded_hashes(restoring.known, restoring.differing)
        notes = (*writer.notes, *restoring.notes)
        return Joined(tally, samples, writer.codec, notes, writer.is_damaged)
