"""What a run tells of itself: counted as frames pass by, put together at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from vidrestore.config import RestoreConfig
from vidrestore.errors import ModelError
from vidrestore.job import Job
from vidrestore.runtime.memory import peak_memory_mib
from vidrestore.runtime.printable import well_formed
from vidrestore.runtime.words import counted
from vidrestore.structs import FaceRecord, Frame, RestoreReport

__all__ = ["Done", "Tally", "check_failures", "make_report"]


_SCANS = {
    "progressive": "progressive",
    "top": "top_field_first",
    "bottom": "bottom_field_first",
}
_FLAGGED = {
    True: "flagged as interlaced, of one moment each: restored as whole frames",
    False: "flagged as progressive, of two fields each: restored field by field",
}
"""By whether they are progressive."""


@dataclass(slots=True)
class _Seen:
    """One person, as far as seen."""

    first: int
    last: int
    frames: int = 0
    restored: int = 0
    score: float = 0.0
    """Sum over frames."""
    strength: float = 0.0
    """Sum over frames."""
    gated_by: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Tally:
    """Count what passes by."""

    strength: float = 1.0
    """Of all faces: `blend.strength`."""
    frames: int = 0
    faces: int = 0
    faces_left_alone: int = 0
    faces_beyond_limit: int = 0
    faces_failed: int = 0
    frames_detected: int = 0
    scans: Counter[str] = field(default_factory=Counter)
    """Frames by `Frame.scan`, in the report's words."""
    not_as_flagged: Counter[str] = field(default_factory=Counter)
    """The same, of frames whose flags say otherwise."""
    repaired_s: list[float] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    tracks: dict[int, _Seen] = field(default_factory=dict)

    def add(self, frame: Frame) -> None:
        self.frames += 1
        self.frames_detected += frame.detected
        if frame.repaired:
            self.repaired_s.append(round(float(frame.pts * frame.time_base), 3))
        if frame.is_cut and frame.index:
            self.cuts.append(frame.index)
        scan = _SCANS[frame.scan]
        self.scans[scan] += 1
        flagged = bool(frame.picture.handle.interlaced_frame)
        self.not_as_flagged[scan] += flagged == (frame.scan == "progressive")
        self.faces_beyond_limit += frame.faces_ignored
        for face in frame.faces:
            wanted = face.strength * self.strength > 0
            restored = wanted and face.crop is not None
            self.faces += restored
            self.faces_failed += wanted and face.crop is None
            self.faces_left_alone += not wanted
            self.faces_beyond_limit += not wanted and "count" in face.gated_by
            seen = self.tracks.setdefault(face.track_id, _Seen(frame.index, frame.index))
            seen.last = frame.index
            seen.frames += 1
            seen.restored += restored
            seen.score += float(face.score)
            seen.strength += float(face.strength)
            seen.gated_by.update(face.gated_by)

    def join(self, later: Tally) -> None:
        """Take what was counted in the frames that follow."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(later, name))
        self.scans.update(later.scans)
        self.not_as_flagged.update(later.not_as_flagged)
        self.repaired_s += later.repaired_s
        self.cuts += later.cuts
        for track, theirs in later.tracks.items():
            ours = self.tracks.setdefault(track, _Seen(theirs.first, theirs.last))
            ours.last = theirs.last
            for name in ("frames", "restored", "score", "strength"):
                setattr(ours, name, getattr(ours, name) + getattr(theirs, name))
            ours.gated_by.update(theirs.gated_by)

    def to_plain(self) -> dict[str, Any]:
        """All of it as plain values, for JSON."""
        tracks = {key: _fields(seen) for key, seen in self.tracks.items()}
        return _fields(self) | {"tracks": tracks}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Tally:
        """Undo `to_plain`."""
        tracks = {
            int(key): _Seen(**{**seen, "gated_by": Counter(seen["gated_by"])})
            for key, seen in plain["tracks"].items()
        }
        counters = {name: Counter(plain[name]) for name in ("scans", "not_as_flagged")}
        return cls(**{**plain, **counters, "tracks": tracks})

    def notes(self) -> tuple[str, ...]:
        """What a person should know."""
        told = [
            f"{counted(number, 'frame')} {_FLAGGED[scan == 'progressive']}"
            for scan, number in sorted(self.not_as_flagged.items())
            if number
        ]
        if self.faces_beyond_limit:
            count = counted(self.faces_beyond_limit, "face")
            told.append(f"{count} beyond --max-faces left alone, the smallest of their frames")
        return tuple(told)

    def records(self) -> tuple[FaceRecord, ...]:
        return tuple(
            FaceRecord(
                track_id=track,
                first_frame=seen.first,
                last_frame=seen.last,
                frames=seen.frames,
                mean_score=round(seen.score / seen.frames, 6),  # in whatever parts it was summed
                restored_frames=seen.restored,
                mean_strength=round(seen.strength / seen.frames, 6),
                gated_by=dict(seen.gated_by),
            )
            for track, seen in sorted(self.tracks.items())
        )


def _fields(counts: Tally | _Seen) -> dict[str, Any]:
    """By name, counters as mappings; `dataclasses.asdict` would count a counter's pairs."""
    plain = {one.name: getattr(counts, one.name) for one in fields(counts)}
    return {k: dict(v) if isinstance(v, Counter) else v for k, v in plain.items()}


_COUNTS = (
    *("frames", "faces", "faces_left_alone", "faces_beyond_limit", "faces_failed"),
    "frames_detected",
)


def check_failures(tally: Tally, config: RestoreConfig) -> None:
    """Refuse a result in which the network failed for too many faces.

    Raises:
        ModelError: the share is above `run.max_failed_faces`.
    """
    tried = tally.faces + tally.faces_failed
    if tried and tally.faces_failed / tried > config.run.max_failed_faces:
        raise ModelError(
            f"the network gave no valid numbers for {tally.faces_failed} of "
            f"{counted(tried, 'face')}; try --restore.precision float32 or another --model"
        )


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a run."""

    tally: Tally
    model: str
    detector: str
    backends: dict[str, dict[str, str]]
    """What computes each network; see `RestoreReport`."""
    device: str
    """Torch's name of it."""
    peak_device_memory_mib: float
    frames: int
    """Restored by this run."""
    working_s: float
    """Seconds that these took, loading excluded."""
    codec: str
    notes: tuple[str, ...]
    damaged: bool


def make_report(
    job: Job, done: Done, seconds: float, stage_seconds: Mapping[str, float]
) -> RestoreReport:
    """The report of a run that ended.

    Args:
        job: of the run.
        done: what came of it.
        seconds: that it took.
        stage_seconds: the same of each stage.
    """
    config, tally = job.config, done.tally
    destination = None if job.output is None else job.output.destination
    return RestoreReport(
        source=well_formed(str(job.source)),
        output="" if destination is None else well_formed(str(destination)),
        model=done.model,
        detector=done.detector,
        device=done.device,
        backends=done.backends,
        codec=done.codec,
        frames=tally.frames,
        faces=tally.faces,
        faces_left_alone=tally.faces_left_alone,
        faces_beyond_limit=tally.faces_beyond_limit,
        faces_failed=tally.faces_failed,
        frames_detected=tally.frames_detected,
        frames_repaired=len(tally.repaired_s),
        repaired_s=tuple(tally.repaired_s),
        seconds=seconds,
        frames_per_s=done.frames / max(done.working_s, 1e-9),
        stage_seconds={name: round(value, 4) for name, value in stage_seconds.items()},
        peak_memory_mib=peak_memory_mib(),
        peak_device_memory_mib=done.peak_device_memory_mib,
        tracks=tally.records(),
        cuts=tuple(tally.cuts),
        scans=dict(tally.scans),
        notes=_unique(*job.warnings, *tally.notes(), *done.notes),
        damaged=done.damaged,
        config=config.record(),
    )


def _unique(*notes: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(notes))
