"""Restore segments of a job whose analysis is complete: one, or many in a row in one go."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import av

from vidrestore.job import Job
from vidrestore.jobs.frames import AnalysedFrames
from vidrestore.jobs.known import KnownAnalysis
from vidrestore.jobs.networks import Networks
from vidrestore.jobs.reach import reach_before
from vidrestore.jobs.readers import open_reader
from vidrestore.jobs.samples import FaceSamples
from vidrestore.jobs.store import FolderStore
from vidrestore.models.interfaces import RestorerRun
from vidrestore.models.load import device_kind, resolve_device
from vidrestore.pipeline import restored_from_analysis
from vidrestore.report import Tally
from vidrestore.runtime.stage_clock import StageClock
from vidrestore.runtime.words import counted
from vidrestore.structs import Frame
from vidrestore.video.write.packet_file import PacketFileWriter
from vidrestore.video.write.segment_encoder import (
    EncoderSettings,
    SegmentEncoder,
    has_global_header,
)

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
        reach = reach_before(first, config, run.batch_size, known.pts, known.time_base, known.cuts)
        source = AnalysedFrames(job, known, lambda: open_reader(job, keep_damaged=True))
        self._run, self._source = run, source
        frames = restored_from_analysis(
            source.frames(reach.decode_from),
            known,
            run,
            config,
            self.clock,
            crops_from=reach.crops_from,
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
        with closing(self.frames(first, end)) as frames:
            for number in numbers:
                before(number)
                self._store_one(store, number, frames, each)

    def _store_one(
        self,
        store: FolderStore,
        number: int,
        frames: Iterator[Frame],
        each: Callable[[Frame], None],
    ) -> None:
        first, end = self.bounds(number)
        begun, times = time.perf_counter(), list[int | None]()
        strength = self.job.config.blend.strength
        tally, samples = Tally(strength), FaceSamples(strength)
        encoder, context = self._encoder(first)
        with PacketFileWriter(store.segment(number)) as file:
            for frame in frames:
                packets = self.clock.call("encode", lambda one=frame: encoder.encode(one))  # type: ignore[misc]
                file.add(packets)
                times.append(encoder.last_pts)
                tally.add(frame)
                samples.add(frame)
                each(frame)
                if frame.index == end - 1:
                    break
            file.add(self.clock.call("encode", lambda: encoder.encode(None)))
            record = {
                "first": first,
                "times": times,
                "extradata": base64.b64encode(context.extradata or b"").decode("ascii"),
                "lost_captions": encoder.lost_captions,
                "unmarked": encoder.unmarked,
                "tally": tally.to_plain(),
                "notes": self.notes,
                "differing": [one for one in self.differing.items() if first <= one[0] < end],
                "samples": samples.to_plain(),
                "origin": self._origin(),
                "seconds": round(time.perf_counter() - begun, 3),
            }
            file.publish(record)

    def _origin(self) -> dict[str, Any]:
        """By what a segment is restored."""
        restorer, device = self.networks.restorer, resolve_device(self.job.config.run.device)
        return {
            "model": self.networks.run.name,
            "detector": self.networks.detector.name,
            "torch_device": str(device),
            "device": device_kind(device),
            "precision": getattr(restorer, "precision", None),
            "batch_size": self.networks.run.batch_size,
        }

    def _encoder(self, first: int) -> tuple[SegmentEncoder, av.VideoCodecContext]:
        """A fresh encoder for the segment that begins with a frame."""
        job, known = self.job, self.known
        assert job.output is not None
        settings = EncoderSettings(
            job.output, job.filtered, job.config.encode, job.window, job.config.run.threads
        )
        muxer = av.format.ContainerFormat(job.output.container.muxer, "w")
        context = settings.new_context(global_header=has_global_header(muxer))
        before = None
        if first:
            before = settings.ticks_at(known.pts[first - 1], known.time_base, first - 1)
        return SegmentEncoder(settings, context, before), context
