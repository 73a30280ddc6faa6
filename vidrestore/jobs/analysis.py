"""Analysis: everything about a video that outlasts a window, found once, before restoring.

Faces are detected and tracked, noise is measured, and every decoded picture is hashed. What was
found is stored in chunks (`vidrestore.jobs.chunks`); an analysis that was stopped reads the video
again from its beginning, which is cheap, since only so is its damage counted as a whole, and goes
on detecting and tracking behind the last chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

from vidrestore.config import RestoreConfig
from vidrestore.errors import JobError, VideoDecodeError
from vidrestore.job import Job
from vidrestore.jobs.chunks import Chunk, ChunkBuilder, NoiseKey, read_chunk, write_chunk
from vidrestore.jobs.following import Follower, Given, Seeker
from vidrestore.jobs.hashing import picture_hash
from vidrestore.jobs.known import KnownAnalysis
from vidrestore.jobs.networks import Networks, load_networks
from vidrestore.jobs.plan import job_of
from vidrestore.jobs.reach import shot_of, strengths_before
from vidrestore.jobs.readers import open_reader
from vidrestore.jobs.segments import plan_segments
from vidrestore.jobs.store import FolderStore, Store
from vidrestore.models.interfaces import FaceDetector
from vidrestore.pipeline import analysed_frames
from vidrestore.runtime.stage_clock import StageClock
from vidrestore.stages.apply_tracks import KnownTracks
from vidrestore.structs import Array, Frame, NoiseModel
from vidrestore.tracks import Tracks
from vidrestore.video.read.prefilter import prefiltered
from vidrestore.video.read.source import FrameSource

__all__ = ["CHUNK_S", "Analysis", "analyse", "complete_analysis"]

CHUNK_S = 10.0
"""Most seconds of video in a chunk."""


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
    networks = load_networks(job.config)
    complete_analysis(store, job, networks, progress=progress)


def complete_analysis(
    store: Store,
    job: Job,
    networks: Networks,
    clock: StageClock | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[KnownAnalysis, list[int]]:
    """Make or go on with the analysis of a job, unless it is there.

    Args:
        store: of the job.
        job: whose input is analysed.
        networks: the detector counts, and the restorer's crops.
        clock: books the time of each stage.
        progress: see `analyse`.

    Returns:
        What it found, and the first frame of every segment.

    Raises:
        VidRestoreError: for the input.
    """
    time_base, config = job.info.time_base, job.config
    summary = store.read("analysis")
    if summary is None:
        analysis = Analysis(store, config, time_base, networks.detector, job.tracks, clock)
        with open_reader(job) as reader:
            run = networks.run
            known = analysis.run(reader, run.template, run.size, progress, job.filters)
    else:
        known = KnownAnalysis(store, summary, time_base)
    segments = store.read("segments")
    if segments is None:
        borders = plan_segments(known.pts, time_base, known.cuts, config.job.segment_s)
        segments = {"first_frames": borders, "frames": len(known)}
        store.write("segments", segments)
    return known, segments["first_frames"]


class Analysis:
    """One analysis, begun or gone on with.

    Args:
        store: where chunks are kept.
        config: the run's.
        time_base: of the frames' times, in seconds.
        detector: finds the faces, unless tracks are given.
        tracks: faces that are known already.
        clock: books the time of each stage.
    """

    def __init__(
        self,
        store: Store,
        config: RestoreConfig,
        time_base: Fraction,
        detector: FaceDetector,
        tracks: Tracks | None = None,
        clock: StageClock | None = None,
    ) -> None:
        self._store, self._config, self._time_base = store, config, time_base
        self._clock = clock or StageClock()
        self._follower: Follower
        if tracks is None:
            self._follower = Seeker(detector, config, self._clock)
        else:
            name = str(config.track.file or "given")
            self._follower = Given(KnownTracks(tracks, config.decode.start, name))
        self._pts: list[int] = []
        self._hashes: dict[int, str] = {}
        """Of decoded frames that are not settled."""
        self._chunks: list[tuple[int, int]] = []
        """First frame and end of each."""
        self._cuts: list[int] = []
        self._repaired: list[int] = []
        self._noise: dict[NoiseKey, NoiseModel | None] = {}
        self._stored_noise = 0
        """How many of them are in chunks."""
        self._measured = 0
        """Frames whose noise is known."""
        self._decoded = 0
        """Frames from which the state goes on."""
        self._state: dict[str, Any] | None = None
        self._builder = ChunkBuilder(0, None)
        self._begun_at_pts: int | None = None
        """Time of the frame with which the present chunk began to be decoded."""
        self._old: list[Chunk] = []
        """Chunks that lead in, of an analysis that goes on."""
        self._resume()

    def run(
        self,
        source: FrameSource,
        template: Array,
        crop_px: int,
        progress: Callable[[int], None] | None = None,
        filters: Sequence[str] = (),
    ) -> KnownAnalysis:
        """Look at all frames of a source.

        Args:
            source: the whole video.
            template: (5, 2) of the restorer's crops, in its pixels.
            crop_px: their side.
            progress: called after each frame, with the number of those decoded.
            filters: of FFmpeg, before everything; see `prefiltered`.

        Raises:
            VideoDecodeError: too much of the video cannot be decoded, or a stopped analysis finds
                other pictures than before.
        """
        lead, first = self._lead()
        shot = shot_of(first, self._cuts)
        known = {track: one for (begin, track), one in self._noise.items() if begin == shot}
        frames = analysed_frames(
            self._hashed(prefiltered(source.frames(), filters)),
            lambda decoded: self._followed(decoded, lead, progress),
            self._config,
            template,
            crop_px,
            self._clock,
            first=first,
            known=known,
        )
        with closing(frames):
            for frame in frames:
                shot = frame.index if frame.is_cut else shot
                self._take_noise(frame, shot, first)
        self._save()
        summary = KnownAnalysis.summary(
            pts=self._pts,
            chunks=self._chunks,
            cuts=self._cuts,
            repaired=self._repaired,
            noise=self._noise,
            notes=source.notes,
            damaged=source.is_damaged,
        )
        self._store.write("analysis", summary)
        return KnownAnalysis(self._store, summary, self._time_base)

    def _resume(self) -> None:
        """Take what is stored: the chunks that the state is behind of."""
        stored = self._store.read("state")
        if stored is None:
            return
        chunks: list[Chunk] = []
        for number in range(stored["chunks"]):
            record = self._store.read(f"analysis/{number:05d}")
            if record is None:
                raise JobError(f"chunk {number} of the analysis is missing; add --restart")
            chunk = read_chunk(record)
            self._remember(chunk)
            chunks = [*chunks, chunk][-64:]
        self._old = chunks
        self._stored_noise = len(self._noise)
        self._state, self._decoded = stored["follower"], stored["decoded"]
        self._measured = stored["measured"]

    def _remember(self, chunk: Chunk) -> None:
        self._chunks.append((chunk.first, chunk.end))
        self._pts += chunk.pts
        self._cuts += chunk.cuts
        self._repaired += sorted(chunk.repaired)
        self._noise |= chunk.noise

    def _lead(self) -> tuple[int, int]:
        """The frame from which on frames are needed again, and that whose noise is unknown."""
        if self._state is None:
            return 0, 0
        settled = self._chunks[-1][1]
        first = min(self._measured, max(settled - 1, 0))
        lead = strengths_before(first, self._config, self._pts, self._time_base, self._cuts)
        return min(lead, *self._state["frames"], settled), self._measured

    def _hashed(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            self._hashes[frame.index] = picture_hash(frame.picture)
            yield frame

    def _followed(
        self, frames: Iterable[Frame], lead: int, progress: Callable[[int], None] | None
    ) -> Iterator[Frame]:
        """Frames with their faces, from `lead` on."""
        settled = self._chunks[-1][1] if self._chunks else 0
        kept: dict[int, Frame] = {}
        for frame in frames:
            if frame.index < settled:
                yield from self._again(frame, lead)
            if self._state is not None and frame.index in self._state["frames"]:
                kept[frame.index] = frame
            if frame.index == self._decoded - 1:
                assert self._state is not None
                self._follower.go_on(self._state, kept)
                kept = {}
            if frame.index >= self._decoded:
                yield from self._settled(self._follower.add(frame))
                self._save_if_due(frame)
            if progress is not None:
                progress(frame.index + 1)
        if self._state is not None and kept:
            raise VideoDecodeError("the input ends earlier than when the run began; add --restart")
        yield from self._settled(self._follower.finish())

    def _again(self, frame: Frame, lead: int) -> Iterator[Frame]:
        """A frame that chunks know."""
        picture_hash = self._hashes.pop(frame.index)
        chunk = next((one for one in self._old if one.first <= frame.index < one.end), None)
        if chunk is None:
            return
        if chunk.hashes[frame.index - chunk.first] != picture_hash:
            raise VideoDecodeError(
                f"frame {frame.index} is decoded otherwise than when the run began; add --restart"
            )
        known = chunk.apply(frame)
        if frame.index == chunk.end - 1:
            self._builder = ChunkBuilder(chunk.end, known)
        if frame.index >= lead:
            yield known

    def _settled(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            self._builder.add(frame, self._hashes.pop(frame.index))
            self._pts.append(frame.pts)
            if frame.is_cut and frame.index:
                self._cuts.append(frame.index)
            if frame.repaired:
                self._repaired.append(frame.index)
            yield frame

    def _save_if_due(self, frame: Frame) -> None:
        """Store a chunk once it is long enough."""
        if self._begun_at_pts is None:
            self._begun_at_pts = frame.pts
        lasts = (frame.pts - self._begun_at_pts) * frame.time_base
        if lasts >= min(CHUNK_S, self._config.job.segment_s) and self._builder.last is not None:
            self._save()
            state = {
                "chunks": len(self._chunks),
                "follower": self._follower.state(),
                "decoded": frame.index + 1,
                "measured": self._measured,
            }
            self._store.write("state", state)  # last: it tells which chunks count
            self._begun_at_pts = frame.pts

    def _save(self) -> None:
        new = dict(list(self._noise.items())[self._stored_noise :])
        self._stored_noise = len(self._noise)
        chunk = self._builder.finish(new)
        self._store.write(f"analysis/{len(self._chunks):05d}", write_chunk(chunk))
        self._chunks.append((chunk.first, chunk.end))
        self._builder = ChunkBuilder(chunk.end, self._builder.last)

    def _take_noise(self, frame: Frame, shot: int, first: int) -> None:
        if frame.index < first or not self._config.restore.measure_noise:
            return
        self._measured = frame.index + 1
        for face in frame.faces:
            if face.crop_from_frame is not None and face.strength > 0:
                self._noise.setdefault((shot, face.track_id), face.noise)
