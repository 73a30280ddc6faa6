"""Restore segments of a job whose analysis is complete: one, or many in a row in one go."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from vidrestore.job import Job
from vidrestore.jobs.frames import AnalysedFrames
from vidrestore.jobs.known import KnownAnalysis
from vidrestore.jobs.networks import Networks
from vidrestore.jobs.reach import crops_before, frames_together, strengths_before
from vidrestore.jobs.readers import open_reader
from vidrestore.jobs.store import FolderStore
from vidrestore.jobs.storing import Place, SegmentWriter, encoder_settings
from vidrestore.models.interfaces import RestorerRun
from vidrestore.pipeline import restored_from_analysis
from vidrestore.runtime.stage_clock import StageClock
from vidrestore.runtime.words import counted
from vidrestore.structs import Frame

__all__ = ["Restoring"]


@dataclass(slots=True)
class Restoring:
    """What restoring any frames of a job takes."""

    job: Job
    known: KnownAnalysis
    borders: Sequence[int]
    """The first frame of every segment."""
    networks: Networks
    clock: StageClock = field(default_factory=StageClock)
    _run: RestorerRun | None = None
    _source: AnalysedFrames | None = None

    def bounds(self, number: int) -> tuple[int, int]:
        """The first frame of a segment, and the one behind its last."""
        return self.borders[number], [*self.borders, len(self.known)][number + 1]

    def frames(self, first: int, end: int) -> Generator[Frame, None, None]:
        """Restored frames [first, end), the same wherever they begin.

        Args:
            first: number of the first one.
            end: number behind the last one.
        """
        job, config, known = self.job, self.job.config, self.known
        run = self.networks.new_run(config)
        together = frames_together(run, config)
        crops_from = crops_before(first, config, run.batch_size, known.cuts, together=together)
        decode_from = strengths_before(crops_from, config, known.pts, known.time_base, known.cuts)
        source = AnalysedFrames(job, known, lambda: open_reader(job, keep_damaged=True))
        self._run, self._source = run, source
        frames = restored_from_analysis(
            source.frames(decode_from),
            known,
            run,
            config,
            self.clock,
            crops_from=crops_from,
            parser=self.networks.parser,
        )
        with closing(frames):
            for frame in frames:
                if frame.index >= first:
                    yield frame
                if frame.index == end - 1:
                    break

    @property
    def differing(self) -> dict[int, str]:
        """Hashes of those of the frames given last that were decoded otherwise than before."""
        return {} if self._source is None else self._source.differing

    @property
    def notes(self) -> list[str]:
        """What a person should know of the frames given last."""
        if self._run is None or self._source is None:
            return []
        notes, differing = list(self._run.notes), len(self.differing)
        if differing:
            notes.append(
                f"{counted(differing, 'frame')} decoded otherwise than in the analysis: the "
                "decoder conceals damage differently each time"
            )
        return notes

    def store(
        self,
        store: FolderStore,
        numbers: Sequence[int],
        each: Callable[[Frame], None],
        before: Callable[[int], None],
    ) -> None:
        """Restore segments that follow one another, and store each.

        Args:
            store: of the job.
            numbers: of the segments, without a gap.
            each: called with each frame.
            before: called before each segment, with its number.

        Raises:
            VidRestoreError: for the input and the networks.
            OSError: a segment cannot be written; those before it are stored.
        """
        first, end = self.bounds(numbers[0])[0], self.bounds(numbers[-1])[1]
        borders = frozenset(self.borders)
        segments = SegmentWriter(
            store,
            self.job,
            self.networks,
            Place(numbers[0], first, self._ticks_before(first)),
            begins=lambda frame: frame.index in borders,
            before=lambda number, _: before(number),
            notes=lambda: self.notes,
            differing=lambda: self.differing,
            clock=self.clock,
        )
        with segments, closing(self.frames(first, end)) as frames:
            for frame in frames:
                segments.add(frame)
                each(frame)
            segments.finish()

    def _ticks_before(self, first: int) -> int | None:
        """Time of the frame before a segment, in the encoder's ticks."""
        known, before = self.known, first - 1
        if not first:
            return None
        return encoder_settings(self.job).ticks_at(known.pts[before], known.time_base, before)
