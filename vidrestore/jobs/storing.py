"""Encode restored frames into segments, and store each as it is whole."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple, Self

import av

from vidrestore.job import Job
from vidrestore.jobs.networks import Networks
from vidrestore.jobs.samples import FaceSamples
from vidrestore.jobs.store import FolderStore
from vidrestore.models.load import device_kind, resolve_device
from vidrestore.report import Tally
from vidrestore.runtime.stage_clock import StageClock
from vidrestore.structs import Frame
from vidrestore.video.write.packet_file import PacketFile, PacketFileWriter
from vidrestore.video.write.segment_encoder import (
    EncoderSettings,
    SegmentEncoder,
    has_global_header,
)

__all__ = ["Place", "SegmentWriter", "encoder_settings", "place_behind_stored"]


class Place(NamedTuple):
    """Where segments go on."""

    number: int
    """Of the segment that comes next."""
    frame: int
    """With which it begins."""
    before: int | None
    """Time of the frame before it, in the encoder's ticks; None at the video's beginning."""


def place_behind_stored(store: FolderStore) -> Place:
    """Where to go on behind the segments that are stored without a gap.

    Raises:
        VideoWriteError: the last of them is not whole.
    """
    stored = store.stored_segments()
    count = next((n for n, number in enumerate(stored) if number != n), len(stored))
    if not count:
        return Place(0, 0, None)
    record = PacketFile(store.segment(count - 1)).record
    times = record["times"]
    return Place(count, record["first"] + len(times), times[-1])


def encoder_settings(job: Job) -> EncoderSettings:
    """What all encoders of a job's output are opened with."""
    assert job.output is not None
    config = job.config
    return EncoderSettings(job.output, job.filtered, config.encode, job.window, config.run.threads)


@dataclass(slots=True)
class _Segment:
    """A segment that is being encoded."""

    first: int
    encoder: SegmentEncoder
    context: av.VideoCodecContext
    file: PacketFileWriter
    tally: Tally
    samples: FaceSamples
    times: list[int | None] = field(default_factory=list)
    begun: float = field(default_factory=time.perf_counter)


class SegmentWriter:
    """Encode frames one after the other, each segment by a fresh encoder. A context manager.

    A segment has its name once all its packets are on the disk; what is not whole goes when the
    writer is left.

    Args:
        store: of the job.
        job: what is done.
        networks: that restore it.
        place: where the first segment begins.
        begins: whether a segment begins with a frame; asked of each.
        before: called before each segment, with its number and that of its first frame.
        notes: what a person should know of the frames so far.
        differing: hashes of frames so far that were decoded otherwise than in the analysis.
        clock: books the time of encoding.

    Raises:
        VideoWriteError: from all of it, for what cannot be encoded.
        OSError: a segment cannot be written; those before it are stored.
    """

    def __init__(
        self,
        store: FolderStore,
        job: Job,
        networks: Networks,
        place: Place,
        *,
        begins: Callable[[Frame], bool],
        before: Callable[[int, int], None],
        notes: Callable[[], Sequence[str]],
        differing: Callable[[], Mapping[int, str]],
        clock: StageClock,
    ) -> None:
        assert job.output is not None
        self._store, self._job, self._clock = store, job, clock
        self._networks = networks
        self._begins, self._before = begins, before
        self._notes, self._differing = notes, differing
        self._number, self._last_pts = place.number, place.before
        self._settings = encoder_settings(job)
        muxer = av.format.ContainerFormat(job.output.container.muxer, "w")
        self._global_header = has_global_header(muxer)
        self._segment: _Segment | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def add(self, frame: Frame) -> None:
        """Encode the next frame."""
        if self._begins(frame) or self._segment is None:
            self.finish()
            self._before(self._number, frame.index)
            self._segment = self._new_segment(frame.index)
        segment = self._segment
        packets = self._clock.call("encode", lambda: segment.encoder.encode(frame))
        segment.file.add(packets)
        segment.times.append(segment.encoder.last_pts)
        segment.tally.add(frame)
        segment.samples.add(frame)

    def finish(self) -> None:
        """Store the segment that is being encoded, if there is one: its last frame was there."""
        segment, self._segment = self._segment, None
        if segment is None:
            return
        encoder = segment.encoder
        segment.file.add(self._clock.call("encode", lambda: encoder.encode(None)))
        record = {
            "first": segment.first,
            "times": segment.times,
            "extradata": base64.b64encode(segment.context.extradata or b"").decode("ascii"),
            "lost_captions": encoder.lost_captions,
            "unmarked": encoder.unmarked,
            "tally": segment.tally.to_plain(),
            "notes": list(self._notes()),
            "differing": self._differing_in(segment),
            "samples": segment.samples.to_plain(),
            "origin": self._origin(),
            "seconds": round(time.perf_counter() - segment.begun, 3),
        }
        segment.file.publish(record)
        self._stack.close()
        self._number, self._last_pts = self._number + 1, encoder.last_pts

    def _differing_in(self, segment: _Segment) -> list[tuple[int, str]]:
        within = range(segment.first, segment.first + len(segment.times))
        found = list(self._differing().items())  # frames are decoded meanwhile
        return [(frame, picture_hash) for frame, picture_hash in found if frame in within]

    def _origin(self) -> dict[str, Any]:
        """By what a segment is restored."""
        networks, device = self._networks, resolve_device(self._job.config.run.device)
        return {
            "model": networks.run.name,
            "detector": networks.detector.name,
            "backends": networks.told_facts(),
            "torch_device": str(device),
            "device": device_kind(device),
            "precision": getattr(networks.restorer, "precision", None),
            "batch_size": networks.run.batch_size,
        }

    def _new_segment(self, first: int) -> _Segment:
        context = self._settings.new_context(global_header=self._global_header)
        encoder = SegmentEncoder(self._settings, context, self._last_pts)
        file = self._stack.enter_context(PacketFileWriter(self._store.segment(self._number)))
        strength = self._job.config.blend.strength
        return _Segment(first, encoder, context, file, Tally(strength), FaceSamples(strength))
