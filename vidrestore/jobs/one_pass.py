"""One pass over the input: every frame is looked at, restored, encoded and stored on the way.

    decode | detect, track, align, gate | measure_noise … blend | encode

What was found is stored in chunks (`vidrestore.jobs.growing`), what was encoded in segments
(`vidrestore.jobs.storing`). Neither waits for the other, so that after a stop either may be ahead:
frames that chunks know are not detected again, those of stored segments not restored again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from vidrestore.job import Job
from vidrestore.jobs.growing import GrowingAnalysis
from vidrestore.jobs.networks import Networks
from vidrestore.jobs.readers import open_reader
from vidrestore.jobs.segments import Borders
from vidrestore.jobs.space import check_space_left
from vidrestore.jobs.store import FolderStore
from vidrestore.jobs.storing import Place, SegmentWriter
from vidrestore.pipeline import restored_from_analysis
from vidrestore.runtime.stage_clock import StageClock
from vidrestore.structs import Frame

__all__ = ["restore_in_one_pass"]


def restore_in_one_pass(
    store: FolderStore,
    job: Job,
    networks: Networks,
    clock: StageClock,
    place: Place,
    each: Callable[[Frame], None],
    *,
    read_again: Callable[[float], None],
) -> None:
    """Analyse the input of a job, and restore what comes behind its stored segments.

    Args:
        store: of the job, without a complete analysis.
        job: what to do.
        networks: of the run.
        clock: books the time of each stage.
        place: behind the segments that are stored.
        each: called with each restored frame.
        read_again: called with the share that was read again of frames of which a stopped run left
            nothing to do.

    Raises:
        VidRestoreError: for the input and the networks.
        OSError: a chunk or a segment cannot be written; what was stored before is kept.
    """
    config, run = job.config, networks.new_run(job.config)
    borders = Borders(config.job.segment_s)
    analysis = GrowingAnalysis(store, job, networks, clock)
    crops_from = analysis.lead_in(place.frame, run)
    segments = SegmentWriter(
        store,
        job,
        networks,
        place,
        begins=borders.begins_with,
        before=lambda _, first: check_space_left(
            store, job, first, max(job.expected_frames or 0, first + 1)
        ),
        notes=lambda: run.notes,
        differing=lambda: {},
        clock=clock,
    )
    with open_reader(job) as reader, segments:
        decoded = analysis.decoded(reader)
        analysis.pass_known(decoded, read_again)
        frames = restored_from_analysis(
            decoded,
            analysis,
            run,
            config,
            clock,
            crops_from=crops_from,
            parser=networks.parser,
        )
        with closing(frames):
            for frame in frames:
                if frame.index >= place.frame:
                    segments.add(frame)
                    each(frame)
        segments.finish()
