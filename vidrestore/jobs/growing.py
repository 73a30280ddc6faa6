"""An analysis under way: faces followed and noise measured as frames come by, and stored in chunks.

It stands where a complete analysis does in the chain (`pipeline.restored_from_analysis`), so that
frames are restored as soon as they are looked at; or it is made alone (`pipeline.analysed_frames`).
One that was stopped reads the video again from its beginning, which is cheap, since only so is its
damage counted as a whole, and goes on detecting and tracking behind the last chunk.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from vidrestore.errors import VideoDecodeError
from vidrestore.job import Job
from vidrestore.jobs.chunks import (
    Chunk,
    ChunkBuilder,
    NoiseKey,
    StoredChunks,
    load_chunk,
    write_chunk,
)
from vidrestore.jobs.following import Follower, Given, Seeker
from vidrestore.jobs.hashing import picture_hash
from vidrestore.jobs.known import KnownAnalysis, is_measured, with_known_noise
from vidrestore.jobs.networks import Networks
from vidrestore.jobs.reach import crops_before, frames_together, shot_of, strengths_before
from vidrestore.jobs.store import FolderStore
from vidrestore.models.interfaces import RestorerRun
from vidrestore.runtime.stage_clock import StageClock
from vidrestore.stages.apply_tracks import KnownTracks
from vidrestore.stages.measure_noise import measure_noise
from vidrestore.structs import Frame, NoiseModel
from vidrestore.video.read.prefilter import prefiltered
from vidrestore.video.read.source import FrameSource

__all__ = ["CHUNK_S", "GrowingAnalysis"]

CHUNK_S = 10.0
"""Most seconds of video in a chunk."""

_NOTHING: dict[str, Any] = {"chunks": 0, "follower": None, "decoded": 0, "measured": 0}
"""The state of an analysis that was not begun: how many chunks count, what detecting and tracking
go on from and behind how many frames, and of how many frames noise is known."""


class GrowingAnalysis:
    """One analysis, begun or gone on with; complete when `with_noise` has given the last frame.

    `decoded`, `with_faces` and `with_noise` may run in a thread each.

    Args:
        store: where chunks are kept.
        job: whose input is analysed.
        networks: the detector counts, and the restorer's crops.
        clock: books the time of detecting.
        progress: called after each frame, with the number of those decoded.

    Raises:
        JobError: a chunk is missing.
    """

    def __init__(
        self,
        store: FolderStore,
        job: Job,
        networks: Networks,
        clock: StageClock,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self._store, self._job, self._config = store, job, job.config
        self._crop_px, self._progress = networks.run.size, progress
        self._follower = _follower(job, networks, clock)
        self._source: FrameSource | None = None
        self._pts: list[int] = []
        self._cuts: list[int] = []
        self._repaired: list[int] = []
        self._chunks: list[tuple[int, int]] = []
        """First frame and end of each."""
        self._hashes: dict[int, str] = {}
        """Of decoded frames that are not settled."""
        self._noise: dict[NoiseKey, NoiseModel | None] = {}
        self._passed = 0
        """Frames that `pass_known` let by."""
        self._turn = threading.Lock()
        """For noise, to which frames further on add while a chunk is stored."""
        self._begun_at_pts: int | None = None
        """Time of the frame with which the present chunk began to be decoded."""
        stored = store.read("state") or _NOTHING
        for number in range(stored["chunks"]):
            self._remember(load_chunk(store, number))
        self._stored_noise = len(self._noise)
        """How many of them are in chunks."""
        self._state: dict[str, Any] | None = stored["follower"]
        self._decoded: int = stored["decoded"]
        """Frames from which the state goes on."""
        self._measured: int = stored["measured"]
        """Frames whose noise is known."""
        self._settled = len(self._pts)
        """Frames that chunks knew at the beginning."""
        self._measured_before = self._measured
        self._old = StoredChunks(store, [first for first, _ in self._chunks])
        self._builder = ChunkBuilder(self._settled, None)
        self._lead = self._settled
        """The frame from which on frames leave `with_faces`."""
        if self._state is not None:
            self._begin_by(*self._state["frames"])
        if self._config.restore.measure_noise:
            self._begin_by(self._strengths_before(self._measured))

    def lead_in(self, frame: int, run: RestorerRun) -> int:
        """Begin early enough for restoring from a frame on; before anything is decoded.

        Args:
            frame: number of the first frame that is wanted.
            run: of the network.

        Returns:
            The first frame whose faces go through the network.
        """
        together = frames_together(run, self._config)
        crops_from = crops_before(
            frame, self._config, run.batch_size, self._cuts, together=together
        )
        self._begin_by(self._strengths_before(crops_from))
        return crops_from

    def decoded(self, source: FrameSource) -> Iterator[Frame]:
        """All frames of the input, whose pictures are hashed.

        Args:
            source: the whole video.
        """
        self._source = source
        compared_from = self._compared_from
        for frame in prefiltered(source.frames(), self._job.filters):
            if frame.index >= compared_from:
                self._hashes[frame.index] = picture_hash(frame.picture)
            yield frame

    def pass_known(self, frames: Iterator[Frame], read: Callable[[float], None]) -> None:
        """Let the first frames by, of which nothing is needed any more; before `with_faces`.

        Args:
            frames: of `decoded`.
            read: called after each, with the share of them that was read.
        """
        known = self._compared_from
        for frame in islice(frames, known):
            self._passed = frame.index + 1
            read(self._passed / known)

    def with_faces(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Give decoded frames their faces, and leave out those that nothing needs any more.

        Raises:
            VideoDecodeError: the pictures are others than those of the stopped analysis.
        """
        kept: dict[int, Frame] = {}
        wanted = set() if self._state is None else set(self._state["frames"])
        count = self._passed
        for frame in frames:
            count = frame.index + 1
            if self._compared_from <= frame.index < self._settled:
                yield from self._again(frame)
            if frame.index in wanted:
                kept[frame.index] = frame
            if self._state is not None and count == self._decoded:
                self._follower.go_on(self._state, kept)
                kept = {}
            if count > self._decoded:
                yield from self._settle(self._follower.add(frame))
                self._store_if_due(frame)
            if self._progress is not None:
                self._progress(count)
        if count < self._decoded:
            raise VideoDecodeError("the input ends earlier than when the run began; add --restart")
        yield from self._settle(self._follower.finish())

    def with_noise(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Give aligned and gated frames the noise around their faces; complete the analysis."""
        first, measures = self._measured_before, self._config.restore.measure_noise
        if measures:
            shot = shot_of(first, self._cuts)
            known = {track: one for (begin, track), one in self._noise.items() if begin == shot}
            frames = measure_noise(frames, self._crop_px, first, known)
        for frame in frames:
            shot = shot_of(frame.index, self._cuts)
            if frame.index < first:
                frame = with_known_noise(frame, shot, self._noise)
            elif measures:
                self._take_noise(frame, shot)
            yield frame
        self._complete()

    @property
    def _compared_from(self) -> int:
        """The first frame that must be the one that chunks know; the last of them always is."""
        return max(min(self._lead, self._settled - 1), 0)

    def _begin_by(self, *frames: int) -> None:
        """Let frames leave `with_faces` from each of these on, at the latest."""
        self._lead = min([self._lead, *frames])

    def _strengths_before(self, frame: int) -> int:
        """Where to begin for a frame, or for the last one whose time is known."""
        frame = min(frame, self._settled - 1)
        if frame <= 0:
            return 0
        time_base = self._job.info.time_base
        return strengths_before(frame, self._config, self._pts, time_base, self._cuts)

    def _remember(self, chunk: Chunk) -> None:
        self._chunks.append((chunk.first, chunk.end))
        self._pts += chunk.pts
        self._cuts += chunk.cuts
        self._repaired += sorted(chunk.repaired)
        self._noise |= chunk.noise

    def _again(self, frame: Frame) -> Iterator[Frame]:
        """A frame that chunks know."""
        if self._hashes.pop(frame.index) != self._old.picture_hash(frame.index):
            raise VideoDecodeError(
                f"frame {frame.index} is decoded otherwise than when the run began; add --restart"
            )
        known = self._old.of(frame.index).apply(frame)
        if frame.index == self._settled - 1:
            self._builder = ChunkBuilder(self._settled, known)
        if frame.index >= self._lead:
            yield known

    def _settle(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            self._builder.add(frame, self._hashes.pop(frame.index))
            self._pts.append(frame.pts)
            if frame.is_cut and frame.index:
                self._cuts.append(frame.index)
            if frame.repaired:
                self._repaired.append(frame.index)
            yield frame

    def _take_noise(self, frame: Frame, shot: int) -> None:
        with self._turn:
            self._measured = frame.index + 1
            for face in filter(is_measured, frame.faces):
                self._noise.setdefault((shot, face.track_id), face.noise)

    def _store_if_due(self, frame: Frame) -> None:
        """Store a chunk once it is long enough, and then what goes on behind it."""
        if self._begun_at_pts is None:
            self._begun_at_pts = frame.pts
        lasts = (frame.pts - self._begun_at_pts) * frame.time_base
        if lasts >= min(CHUNK_S, self._config.job.segment_s) and self._builder.last is not None:
            measured = self._store_chunk()
            state = {
                "chunks": len(self._chunks),
                "follower": self._follower.state(),
                "decoded": frame.index + 1,
                "measured": measured,
            }
            self._store.write("state", state)  # last: it tells which chunks count
            self._begun_at_pts = frame.pts

    def _store_chunk(self) -> int:
        """Store what is settled; the number of frames whose noise is stored by now."""
        with self._turn:
            new = dict(islice(self._noise.items(), self._stored_noise, None))
            self._stored_noise, measured = len(self._noise), self._measured
        chunk = self._builder.finish(new)
        self._store.write(f"analysis/{len(self._chunks):05d}", write_chunk(chunk))
        self._chunks.append((chunk.first, chunk.end))
        self._builder = ChunkBuilder(chunk.end, self._builder.last)
        return measured

    def _complete(self) -> None:
        assert self._source is not None
        self._store_chunk()
        summary = KnownAnalysis.summary(
            pts=self._pts,
            chunks=self._chunks,
            cuts=self._cuts,
            repaired=self._repaired,
            noise=self._noise,
            notes=self._source.notes,
            damaged=self._source.is_damaged,
        )
        self._store.write("analysis", summary)


def _follower(job: Job, networks: Networks, clock: StageClock) -> Follower:
    """What finds the faces, unless they are known."""
    if job.tracks is None:
        return Seeker(networks.detector, job.config, clock)
    name = str(job.config.track.file or "given")
    return Given(KnownTracks(job.tracks, job.config.decode.start, name))
