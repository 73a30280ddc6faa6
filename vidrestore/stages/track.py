"""Track: which face is whose, and where it is in every frame.

Detections of one person are joined into a track by the Hungarian method over predicted boxes and
appearance: where boxes of two people overlap, or somebody was lost for a while, looks decide.
Between two detections optical flow carries the landmarks from both sides, blended by distance in
time, so that neither drift nor a jump is left; where flow and detection disagree, the way between
is straight. A face that the detector misses for a while keeps its track, and the gap is filled if
flow leads across it. Nothing crosses a cut.

Convention: everything is in display pixels. A frame leaves once all faces in it are settled: at the
next look of the detector, or up to `max_gap_frames` later while a face is lost. It leaves on the
grid of `vidrestore.track_units`, so that a tracks file holds exactly what the next stages see.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from vidrestore.config import TrackConfig
from vidrestore.geometry import box_iou, invert
from vidrestore.plain import face_from_plain, face_to_plain
from vidrestore.stages._appearance import Vector, appearance, likeness
from vidrestore.stages._interpolation import Pose, blended_path, disagreement, straight_path
from vidrestore.stages._motion import face_motion
from vidrestore.stages._track_state import Slot, TrackedPerson, slot_from_plain, slot_to_plain
from vidrestore.structs import Array, Face, Frame
from vidrestore.track_units import round_face

__all__ = ["Tracker", "track"]

_TRUST_IN_LOST = 0.45
"""Where a lost face may be counts this much: someone else may stand there now."""
_PLACE_ALONE = 0.4
"""What the right place counts for somebody who looks like somebody else."""
_SPEED = 5.0
"""Widths of the face that somebody lost may have moved in a second."""


def track(frames: Iterable[Frame], config: TrackConfig) -> Generator[Frame, None, None]:
    """Give every frame its faces, with track ids and the motion since the frame before.

    Args:
        frames: frames of which some were looked at by the detector, the first of a shot always.
        config: how faces are followed.

    Yields:
        The same frames in order. Their faces are those detected or carried there, by track id.
    """
    tracker = Tracker(config)
    for frame in frames:
        yield from tracker.add(frame)
    yield from tracker.finish()


class Tracker:
    """Track frames that are pushed in one by one; what it remembers can be put down.

    Args:
        config: how faces are followed.
    """

    def __init__(self, config: TrackConfig) -> None:
        self._config = config
        self._ids = _Numbers()
        self._shot = _Shot(config, self._ids)

    def add(self, frame: Frame) -> Iterator[Frame]:
        """Take the next frame; give those that are settled."""
        if frame.is_cut:
            yield from self._shot.finish()
            self._shot = _Shot(self._config, self._ids)
        yield from self._shot.add(frame)

    def finish(self) -> Iterator[Frame]:
        """Give the rest."""
        yield from self._shot.finish()

    def state(self) -> dict[str, Any]:
        """Give what is remembered as plain values; its "frames" tell whose pictures it needs."""
        return {"next_id": self._ids.next, **self._shot.state()}

    def go_on(self, state: Mapping[str, Any], frames: Mapping[int, Frame]) -> None:
        """Go on from what `state` gave.

        Args:
            state: what was put down.
            frames: decoded anew, by number.
        """
        self._ids.next = state["next_id"]
        self._shot.go_on(state, frames)


class _Numbers:
    """The numbers of new tracks."""

    next = 0

    def take(self) -> int:
        self.next += 1
        return self.next - 1


class _Shot:
    """Follow faces through one shot."""

    def __init__(self, config: TrackConfig, ids: _Numbers) -> None:
        self._config = config
        self._ids = ids
        self._slots: deque[Slot] = deque()
        self._newest: Slot | None = None
        self._live: list[TrackedPerson] = []
        self._looked = -1
        """Number of the last slot the detector looked at."""
        self._given: dict[int, Face] = {}
        """The faces of the last frame that left, by track."""

    def add(self, frame: Frame) -> Iterator[Frame]:
        """Take the next frame of the shot; give those that are settled."""
        before = self._newest
        slot = self._newest = Slot(0 if before is None else before.number + 1, frame)
        self._slots.append(slot)
        if before is not None:
            self._carry(before, slot)
        if frame.detected:
            self._look(slot)
        yield from self._release(min([self._looked, *(one.seen for one in self._live)]))

    def state(self) -> dict[str, Any]:
        """See `Tracker.state`."""
        slots = [*self._slots]
        if self._newest is not None and (not slots or slots[-1] is not self._newest):
            slots.append(self._newest)
        return {
            "frames": [slot.frame.index for slot in slots],
            "slots": [slot_to_plain(slot) for slot in slots],
            "waiting": len(self._slots),
            "live": [one.to_plain() for one in self._live],
            "looked": self._looked,
            "given": [face_to_plain(face) for face in self._given.values()],
        }

    def go_on(self, state: Mapping[str, Any], frames: Mapping[int, Frame]) -> None:
        """See `Tracker.go_on`."""
        slots = [slot_from_plain(plain, frames) for plain in state["slots"]]
        self._slots = deque(slots[: state["waiting"]])
        self._newest = slots[-1] if slots else None
        self._live = [TrackedPerson.from_plain(plain) for plain in state["live"]]
        self._looked = state["looked"]
        faces = map(face_from_plain, state["given"])
        self._given = {face.track_id: face for face in faces}

    def finish(self) -> Iterator[Frame]:
        """Give all frames that still wait."""
        if self._newest is not None:
            for one in self._live:
                self._settle_tail(one, self._newest.number + 1)
            yield from self._release(self._newest.number)

    def _release(self, last: int) -> Iterator[Frame]:
        while self._slots and self._slots[0].number <= last:
            slot = self._slots.popleft()
            self._given = {
                key: round_face(slot.faces[key], self._given.get(key)) for key in sorted(slot.faces)
            }
            yield replace(slot.frame, faces=tuple(self._given.values()))

    def _slots_after(self, number: int) -> list[Slot]:
        """The slots from the one after `number` to the newest."""
        return [slot for slot in self._slots if slot.number > number]

    def _carry(self, before: Slot, after: Slot) -> None:
        """Take every live track one frame on, as far as flow can follow it."""
        for one in self._live:
            if (pose := before.carried.get(one.id)) is not None:
                motion = face_motion(before.frame, after.frame, pose.box_xyxy)
                if motion is not None:
                    after.carried[one.id] = pose.moved(motion)

    def _look(self, slot: Slot) -> None:
        """Join what the detector found in the newest slot to tracks."""
        self._drop_lost(slot)
        found = slot.frame.faces
        looks = [appearance(slot.frame, face.landmarks) for face in found]
        pairs = self._matched(slot, found, looks)
        for one in self._live:
            if one.id in pairs:
                one.remember(looks[pairs[one.id]])
                self._go_on(one, found[pairs[one.id]], slot)
            elif one.missed is None:
                one.missed = slot.number
        for index in sorted(set(range(len(found))) - set(pairs.values())):
            self._begin(found[index], looks[index], slot)
        self._looked = slot.number

    def _drop_lost(self, slot: Slot) -> None:
        """End tracks that were missed, and for too long."""
        for one in list(self._live):
            if one.missed is not None and slot.number - one.seen > self._config.max_gap_frames:
                self._settle_tail(one, slot.number)
                self._live.remove(one)

    def _matched(self, slot: Slot, found: tuple[Face, ...], looks: list[Vector]) -> dict[int, int]:
        """Which detection continues which track: {track id: index in `found`}."""
        boxes = np.array([face.box_xyxy for face in found]).reshape(-1, 4)
        score = np.zeros((len(self._live), len(found)))
        for row, one in enumerate(self._live):
            alike = np.array([likeness(one.looks, other) for other in looks])
            expected = one.expected_boxes(slot)
            if one.missed is None:
                place = box_iou(expected, boxes).max(0, initial=0)
            else:
                lost_s = float((slot.frame.pts - one.pts) * slot.frame.time_base)
                reach = 1 + _SPEED * lost_s
                place = _TRUST_IN_LOST * _nearness(expected, boxes, reach).max(0, initial=0)
            score[row] = place * (_PLACE_ALONE + (1 - _PLACE_ALONE) * alike)
        rows, columns = linear_sum_assignment(score, maximize=True)
        return {
            self._live[row].id: int(column)
            for row, column in zip(rows, columns, strict=True)
            if score[row, column] >= self._config.min_iou
        }

    def _begin(self, face: Face, looks: Vector, slot: Slot) -> None:
        """A person not seen before, who was already there since the detector last looked."""
        key = self._ids.take()
        self._settle_head(key, face, slot)
        one = TrackedPerson(key, slot.faces[key], slot.number, slot.frame.pts)
        one.remember(looks)
        self._live.append(one)

    def _go_on(self, one: TrackedPerson, face: Face, slot: Slot) -> None:
        """A person seen again: settles the frames between the two detections."""
        path = self._path(one, face, slot)
        if path:
            for between, pose in zip(self._slots_after(one.seen)[:-1], path[:-1], strict=True):
                early = 2 * between.number < one.seen + slot.number
                between.faces[one.id] = pose.face(one.id, one.face.score if early else face.score)
            slot.faces[one.id] = replace(face, track_id=one.id, motion=path[-1].motion)
            slot.carried[one.id] = Pose(face.box_xyxy, face.landmarks)
        else:
            self._settle_tail(one, slot.number)
            self._settle_head(one.id, face, slot)
        one.see(slot.faces[one.id], slot)

    def _path(self, one: TrackedPerson, face: Face, slot: Slot) -> list[Pose]:
        """Where the face was in every frame after its last detection, up to this one.

        Empty if nobody can tell: the detector missed it in between and flow does not lead across.
        """
        slots = self._slots_after(one.seen)
        shares = [(s.frame.pts - one.pts) / (slot.frame.pts - one.pts) for s in slots]
        forward = [s.carried[one.id] for s in slots if one.id in s.carried]
        if (
            len(forward) == len(slots)
            and disagreement(forward[-1], face) <= self._config.max_flow_error
        ):
            return blended_path(forward, face, shares)
        return straight_path(one.face, face, shares) if one.missed is None else []

    def _settle_tail(self, one: TrackedPerson, end: int) -> None:
        """Keep what flow carried on from the last detection until the detector missed it."""
        for slot in self._slots_after(one.seen):
            pose = slot.carried.get(one.id)
            if pose is None or slot.number >= min(end, one.missed or end):
                return
            slot.faces[one.id] = pose.face(one.id, one.face.score)

    def _settle_head(self, key: int, face: Face, slot: Slot) -> None:
        """Settle a first detection, and carry it back until the detector's last look."""
        slot.faces[key] = replace(face, track_id=key)
        slot.carried[key] = pose = Pose(face.box_xyxy, face.landmarks)
        after = slot
        for before in reversed(self._slots_after(self._looked)[:-1]):
            back = face_motion(after.frame, before.frame, pose.box_xyxy)
            if back is None:
                return
            after.faces[key] = replace(after.faces[key], motion=invert(back))
            pose = pose.moved(back)
            before.faces[key] = replace(pose.face(key, face.score), motion=None)
            after = before


def _nearness(expected: Array, boxes: Array, reach: float) -> Array:
    """(N, M) in [0, 1]: 1 for a box of the expected size in the expected place, a third for one
    that is `reach` widths off or of a third of the size.
    """
    places = [(b[..., :2] + b[..., 2:]) / 2 for b in (expected, boxes)]
    sizes = [np.sqrt(np.prod(b[..., 2:] - b[..., :2], axis=-1)) for b in (expected, boxes)]
    away = np.linalg.norm(places[0][:, None] - places[1][None], axis=-1) / sizes[0][:, None]
    grown = np.log(sizes[1][None] / sizes[0][:, None])
    nearness: Array = np.exp(-((away / reach) ** 2) - grown**2)
    return nearness
