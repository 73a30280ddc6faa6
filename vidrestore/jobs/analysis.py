"""Analysis: everything about a video that outlasts a window, by itself, before any restoring.

Faces are detected and tracked, noise is measured, and every decoded picture is hashed. A run of one
process does the same while it restores (`vidrestore.jobs.one_pass`); whichever was stopped, the
other can go on with it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from vidrestore.config import RestoreConfig
from vidrestore.job import Job
from vidrestore.jobs.growing import GrowingAnalysis
from vidrestore.jobs.known import KnownAnalysis
from vidrestore.jobs.networks import Networks, load_networks
from vidrestore.jobs.plan import job_of
from vidrestore.jobs.readers import open_reader
from vidrestore.jobs.segments import plan_segments
from vidrestore.jobs.store import FolderStore
from vidrestore.pipeline import analysed_frames
from vidrestore.runtime.stage_clock import StageClock

__all__ = ["analyse", "complete_analysis", "known_analysis"]


def analyse(folder: Path, progress: Callable[[int], None] | None = None) -> None:
    """Analyse the input of a job; see `vidrestore.jobs`.

    Args:
        folder: the job's.
        progress: called after each frame, with the number of those decoded.

    Raises:
        JobError: the job is another one than planned.
        VidRestoreError: for files, weights and models.
    """
    job, store = job_of(folder), FolderStore(folder)
    complete_analysis(store, job, load_networks, progress)


def complete_analysis(
    store: FolderStore,
    job: Job,
    load: Callable[[RestoreConfig], Networks],
    progress: Callable[[int], None] | None = None,
) -> tuple[KnownAnalysis, list[int]]:
    """Make or go on with the analysis of a job, unless it is there.

    Args:
        store: of the job.
        job: whose input is analysed.
        load: gives the networks, if they are needed: the detector and the restorer's crops count.
        progress: see `analyse`.

    Returns:
        What it found, and the first frame of every segment.

    Raises:
        VidRestoreError: for the input.
    """
    found = known_analysis(store, job)
    if found is None:
        networks, clock = load(job.config), StageClock()
        analysis = GrowingAnalysis(store, job, networks, clock, progress)
        with open_reader(job) as reader:
            frames = analysed_frames(
                analysis.decoded(reader), analysis, job.config, networks.run.template, clock
            )
            with closing(frames):
                for _ in frames:
                    pass
        found = known_analysis(store, job)
    assert found is not None
    return found


def known_analysis(store: FolderStore, job: Job) -> tuple[KnownAnalysis, list[int]] | None:
    """Give a complete analysis, and the first frame of every segment; None where there is none.

    The borders are stored if they are not yet.
    """
    summary = store.read("analysis")
    if summary is None:
        return None
    known = KnownAnalysis(store, summary, job.info.time_base)
    segments = store.read("segments")
    if segments is None:
        borders = plan_segments(known.pts, known.time_base, known.cuts, job.config.job.segment_s)
        segments = {"first_frames": borders, "frames": len(known)}
        store.write("segments", segments)
    return known, segments["first_frames"]
