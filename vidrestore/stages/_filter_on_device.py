"""The temporal filter on a device: what `temporal_filter` does face by face and neighbour by
neighbour, for the faces of many frames at once, one distance of neighbours after the other.

Frames are filtered in the batches of `_windows.BATCH_FRAMES`, each once the frames behind it that
matter have come. Every number that depends on a picture stays on the device, so nothing waits.
Neighbours that a track does not have count with a weight of 0: the number of operations is the same
in every batch, and sums are taken in the same order. Flow comes with the faces (`Face.flows`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from vidrestore.config import TemporalFilterConfig
from vidrestore.models.runners.runner import reproducible
from vidrestore.noise import kept_share
from vidrestore.runtime.portions import Portions
from vidrestore.runtime.transfer import arrays_to_device
from vidrestore.stages._averaging_on_device import LentCrop, Neighbour, average, looks
from vidrestore.stages._detail_on_device import strengthened
from vidrestore.stages._device_pictures import soft_step
from vidrestore.stages._face_numbers import FaceNumbers
from vidrestore.stages._filter_weights import (
    COMPARED_PX,
    MEMORY_FRAMES,
    NEW_DETAIL,
    OWN_DETAIL,
    REDRAWN_SHARE,
    fade,
    noise_level,
)
from vidrestore.stages._windows import BATCH_FRAMES, ends_batch
from vidrestore.structs import Face, Frame

__all__ = ["DeviceWindow", "filter_portions"]

_MOST_FACES = 16
"""That are filtered at a time: a face takes 35 MB in crops of 512 px."""

_Key = tuple[int, int]
"""Number of a frame in its shot, and a track."""


@dataclass(slots=True, eq=False)
class _Slot:
    """A frame that waits, or has been given and still lends its faces."""

    frame: Frame | None
    """None once it has been given: its picture is not kept alive."""
    crops: dict[int, LentCrop] = field(default_factory=dict)
    """By track."""


def filter_portions(notes: list[str] | None = None) -> Portions:
    """How many faces are filtered at a time; for all windows of a run."""
    return Portions(
        "to filter a face over time",
        "lower --temporal-filter.reach-frames, or take another device",
        most=_MOST_FACES,
        notes=notes,
    )


class DeviceWindow:
    """The frames of a shot that are near enough to matter.

    Args:
        config: how many frames, how strongly.
        portions: how many faces at a time.
    """

    def __init__(self, config: TemporalFilterConfig, portions: Portions) -> None:
        self._config, self._portions = config, portions
        self._come: list[Frame] = []
        """Of the batch that is not complete yet."""
        self._batches: deque[int] = deque()
        """Frames of each batch that is complete and waits for frames behind it."""
        self._slots: dict[int, _Slot] = {}
        """By number of the frame in the shot, from 0 on without a gap."""
        self._first = 0
        """Number of the next frame to give."""
        self._redrawn = FaceNumbers()
        """Amplitude of the finest octave that restoring changed, over that of the input."""
        self._amplitudes = FaceNumbers()
        """(3, OCTAVES), see `_Strength` of the host."""

    def add(self, frame: Frame) -> Iterator[Frame]:
        """Take the next frame; give the batch whose window is complete."""
        self._come.append(frame)
        if ends_batch(frame, BATCH_FRAMES):
            self._take()
            last = self._first + sum(self._batches) - 1
            while self._first + self._batches[0] - 1 + self._config.reach_frames <= last:
                yield from self._give()

    def finish(self) -> Iterator[Frame]:
        """Give the rest."""
        if self._come:
            self._take()
        while self._batches:
            yield from self._give()

    def _take(self) -> None:
        """Prepare the crops of a batch."""
        first = self._first + sum(self._batches)
        frames, self._come = self._come, []
        keys = []
        for number, frame in enumerate(frames, first):
            self._slots[number] = _Slot(frame)
            keys += [(number, face) for face in frame.faces if face.crop is not None]
        self._batches.append(len(frames))
        self._portions(keys, self._prepare)

    def _prepare(self, faces: Sequence[tuple[int, Face]]) -> None:
        """Make what is needed of restored faces."""
        crops = torch.stack([face.crop for _, face in faces if face.crop is not None])
        sources = torch.stack(
            [face.source_crop for _, face in faces if face.source_crop is not None]
        )
        with reproducible(crops.device):
            smooth, redrawn = looks(crops, sources)
        # From here on nothing takes memory: no face is kept twice.
        for (number, face), one in zip(faces, smooth, strict=True):
            assert face.crop is not None and face.source_crop is not None
            flows = None if face.flows is None else face.flows.take()[0]
            crop = LentCrop(face, face.crop, face.source_crop, one, flows)
            self._slots[number].crops[face.track_id] = crop
        self._redrawn.add([(number, face.track_id) for number, face in faces], redrawn)

    def _give(self) -> Iterator[Frame]:
        first, end = self._first, self._first + self._batches.popleft()
        frames = [self._slots[number].frame for number in range(first, end)]
        keys = [
            (number, face.track_id)
            for number, frame in enumerate(frames, first)
            if frame is not None
            for face in frame.faces
            if face.track_id in self._slots[number].crops
        ]
        filtered: dict[_Key, Tensor] = {}
        for part in self._portions(keys, self._filtered):
            filtered |= part
        self._forget(first, end)
        for number, frame in enumerate(frames, first):
            assert frame is not None
            faces = tuple(
                replace(face, crop=filtered.get((number, face.track_id), face.crop))
                for face in frame.faces
            )
            yield replace(frame, faces=faces)

    def _forget(self, first: int, end: int) -> None:
        """Let go what the frames from `end` on do not need."""
        reach, self._first = self._config.reach_frames, end
        for number in range(first, end):
            self._slots[number].frame = None
        for number in [one for one in self._slots if one < end - reach]:
            del self._slots[number]
        self._redrawn.forget(end - reach)
        self._amplitudes.forget(end - MEMORY_FRAMES + 1)

    def _filtered(self, keys: Sequence[_Key]) -> dict[_Key, Tensor]:
        """(3, S, S) of each face: filtered crops."""
        with reproducible(self._slots[keys[0][0]].crops[keys[0][1]].crop.device):
            return self._filter(keys)

    def _filter(self, keys: Sequence[_Key]) -> dict[_Key, Tensor]:
        own = [self._slots[number].crops[track] for number, track in keys]
        reach, device = self._config.reach_frames, own[0].crop.device
        none = _no_flow(device)
        ways = [self._way(key, step, none) for step in (1, -1) for key in keys]
        fades = self._config.strength * np.array([fade(k + 1, reach) for k in range(reach)])
        shares = fades[:, None] * np.array([[one.is_there for one in way] for way in ways]).T
        levels = np.array([noise_level(one.face) for one in own])
        noise = [1.0 if one.face.noise is None else kept_share(one.face.noise) for one in own]
        near = self._redrawn.weights(keys, reach, reach)
        recent = self._amplitudes.weights(keys, MEMORY_FRAMES - 1, 0, also=keys)
        share, level, noise_share, near_weights, recent_weights = arrays_to_device(
            [shares, levels, np.array(noise), near, recent], device
        )
        redrawn = self._redrawn.means(near_weights)[:, 0]
        kept = 1 - (1 - REDRAWN_SHARE) * soft_step(redrawn, OWN_DETAIL, NEW_DETAIL)
        single, change = average(own, ways, share, level, kept * noise_share)
        stronger, present = strengthened(
            single, single + change, partial(self._amplitudes.means, recent_weights)
        )
        filtered = torch.stack([one.crop for one in own]).add_(change).add_(stronger)
        self._amplitudes.add(keys, present)
        return dict(zip(keys, filtered, strict=True))

    def _way(self, key: _Key, step: int, none: Tensor) -> list[Neighbour]:
        """A face's neighbours to one side, one for each distance."""
        (number, track), reach = key, self._config.reach_frames
        crop = self._slots[number].crops[track]
        way: list[Neighbour] = []
        while len(way) < reach:
            number += step
            slot = self._slots.get(number)
            other = None if slot is None else slot.crops.get(track)
            flows = None if other is None else (other if step > 0 else crop).flows
            if other is None or flows is None:
                break
            crop = other
            way.append(Neighbour(crop, flows[0 if step > 0 else 1], True))
        return way + [Neighbour(crop, none, False)] * (reach - len(way))


def _no_flow(device: torch.device) -> Tensor:
    return torch.zeros(2, COMPARED_PX, COMPARED_PX, device=device)
