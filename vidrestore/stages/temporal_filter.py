"""Steady: what the generator invents is averaged over time, along the motion seen in the input.

A restoring network judges every frame anew, so hair, skin and teeth shimmer. In the crop's own
coordinates, where the head nearly rests, dense optical flow between the *input* crops says where
each spot of a face was in the frames before and after. The restored crops of those frames are moved
along it and averaged, each pixel weighted by how well the moved input agrees with the frame's own:
where a lid closes or a lip moves they differ, and the frame keeps what it has. This is the aim of
blind video consistency (Bonneel et al. 2015) with a symmetric window, so that nothing lags.

What differs from frame to frame partly cancels, so an average would be softer than its frames; its
finest octaves are brought back to what single frames have (`_detail_strength`).

What is averaged is the restored picture less a share of the input: with 1 the residual alone
(restored - input), so that all detail of the input stays, with 0 the whole picture, so that its
grain goes. Where the network hardly touches fine detail, as in a good recording, the share is 1;
where noise was measured it is that part of the detail that is not noise (`noise.NoiseModel`); where
the network draws the detail anew it is small. Which of them it is, the frames of the window tell.

Only differences from the frame's own are averaged: equal frames come out bit for bit. A window
never reaches across a cut or a gap of a track, and memory is bounded by the window.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt
import torch

from vidrestore.config import TemporalFilterConfig
from vidrestore.noise import kept_share
from vidrestore.ramps import smooth_step
from vidrestore.stages._detail_strength import DetailStrength, finest_amplitude
from vidrestore.stages._filter_on_device import DeviceWindow, filter_portions
from vidrestore.stages._filter_weights import (
    COMPARED_PX,
    COMPARED_SIGMA,
    NEW_DETAIL,
    OWN_DETAIL,
    REDRAWN_SHARE,
    fade,
    luma_bytes,
    noise_level,
    reduced_luma,
)
from vidrestore.stages._windows import by_shot
from vidrestore.structs import Face, Frame, NoiseModel

__all__ = ["temporal_filter"]

_Floats = npt.NDArray[np.float32]


def temporal_filter(
    frames: Iterable[Frame],
    config: TemporalFilterConfig,
    *,
    on_device: bool = False,
    notes: list[str] | None = None,
) -> Generator[Frame, None, None]:
    """Average the restored crops of each track over time.

    Args:
        frames: restored frames, in order.
        config: how many frames, how strongly.
        on_device: whether crops and `Face.flows` are on a device, and stay there.
        notes: takes what a person should know.

    Yields:
        The same frames in order, `reach_frames` later.

    Raises:
        NotEnoughMemoryError: if a device's memory does not suffice for one face.
    """
    if config.strength == 0 or config.reach_frames == 0:
        yield from frames
        return
    if on_device:
        portions = filter_portions(notes)
        yield from by_shot(frames, lambda: DeviceWindow(config, portions))
    else:
        yield from by_shot(frames, lambda: _Window(config))


@dataclass(slots=True, eq=False)
class _Crop:
    """One restored face with what is needed to lend it to its neighbours."""

    luma: npt.NDArray[np.uint8]
    """(COMPARED_PX, COMPARED_PX) of the input."""
    smooth: _Floats
    """The same in [0, 1], blurred: what inputs are compared by."""
    restored: _Floats
    """(S, S, 3) RGB."""
    source: _Floats
    """(S, S, 3) RGB of the input."""
    noise: NoiseModel | None
    least_apart: float
    """Difference of the smoothed input from which on it disagrees with another one."""
    redrawn: float
    """Amplitude of the finest octave that restoring changed, over that of the input."""
    to_next: _Floats | None = None
    """(COMPARED_PX, COMPARED_PX, 2) flow to the next frame's crop; None at the end of a track."""
    to_previous: _Floats | None = None


@dataclass(slots=True, eq=False)
class _Slot:
    """A frame that waits, or has been given and still lends its faces."""

    frame: Frame | None
    """None once it has been given: its picture is not kept alive."""
    crops: dict[int, _Crop] = field(default_factory=dict)
    """By track."""


class _Window:
    """The frames of a shot that are near enough to matter."""

    def __init__(self, config: TemporalFilterConfig) -> None:
        self._config = config
        self._slots: deque[_Slot] = deque()
        self._next = 0
        """Place in `_slots` of the next frame to give."""
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._strengths: dict[int, DetailStrength] = {}
        """By track."""
        self._given = 0
        """Frames given so far."""

    def add(self, frame: Frame) -> Iterator[Frame]:
        """Take the next frame; give the one whose window is complete."""
        crops = {face.track_id: _crop(face) for face in frame.faces if face.crop is not None}
        slot = _Slot(frame, crops)
        if self._slots:
            self._link(self._slots[-1], slot)
        self._slots.append(slot)
        if len(self._slots) - self._next > self._config.reach_frames:
            yield self._give()

    def finish(self) -> Iterator[Frame]:
        """Give the rest."""
        while self._next < len(self._slots):
            yield self._give()

    def _link(self, before: _Slot, after: _Slot) -> None:
        for track, crop in after.crops.items():
            if (previous := before.crops.get(track)) is not None:
                previous.to_next = self._flow.calc(previous.luma, crop.luma, None)
                crop.to_previous = self._flow.calc(crop.luma, previous.luma, None)

    def _give(self) -> Frame:
        slot = self._slots[self._next]
        frame, slot.frame = slot.frame, None
        assert frame is not None
        faces = tuple(
            self._steadied(face) if face.track_id in slot.crops else face for face in frame.faces
        )
        self._given += 1
        if self._next == self._config.reach_frames:
            self._slots.popleft()
        else:
            self._next += 1
        return replace(frame, faces=faces)

    def _steadied(self, face: Face) -> Face:
        own = self._slots[self._next].crops[face.track_id]
        kept = self._kept(face.track_id)
        lent = _lent(own, kept, np.empty_like(own.source))
        theirs, moved, change = np.empty_like(lent), np.empty_like(lent), np.zeros_like(lent)
        weights = np.ones(lent.shape[:2], np.float32)
        for other, flow, distance in self._neighbours(face.track_id):
            share = self._config.strength * fade(distance, self._config.reach_frames)
            weight = _enlarged(share * _agreement(own, other, flow), lent.shape[0])
            _moved(_lent(other, kept, theirs), flow, moved)
            cv2.subtract(moved, lent, dst=moved)
            cv2.accumulateProduct(moved, cv2.cvtColor(weight, cv2.COLOR_GRAY2RGB), change)
            weights += weight
        cv2.divide(change, cv2.cvtColor(weights, cv2.COLOR_GRAY2RGB), dst=change)
        strength = self._strengths.setdefault(face.track_id, DetailStrength())
        strength.strengthen(self._given, lent, change)
        return replace(face, crop=_tensor(cv2.add(own.restored, change, dst=change)))

    def _kept(self, track: int) -> float:
        """Share of the input that is not averaged in the next frame, as its window tells."""
        return _kept_share([slot.crops[track] for slot in self._slots if track in slot.crops])

    def _neighbours(self, track: int) -> Iterator[tuple[_Crop, _Floats, int]]:
        """Crops of a track near in time, the flow that leads to each, and how far off it is."""
        for step in (1, -1):
            place, flow = self._next, np.zeros((COMPARED_PX, COMPARED_PX, 2), np.float32)
            for distance in range(1, self._config.reach_frames + 1):
                crop = self._slots[place].crops[track]
                link = crop.to_next if step > 0 else crop.to_previous
                place += step
                if link is None or not 0 <= place < len(self._slots):
                    break
                flow = link if distance == 1 else flow + _moved(link, flow)
                yield self._slots[place].crops[track], flow, distance


def _lent(crop: _Crop, kept: float, out: _Floats) -> _Floats:
    """(S, S, 3): what a crop lends to a frame that does not average such a share of the input."""
    cv2.scaleAdd(crop.source, -kept, crop.restored, dst=out)
    return out


def _crop(face: Face) -> _Crop:
    assert face.crop is not None and face.source_crop is not None
    restored, source = _interleaved(face.crop), _interleaved(face.source_crop)
    gray = reduced_luma(source)
    changed, there = finest_amplitude(cv2.subtract(restored, source)), finest_amplitude(source)
    return _Crop(
        luma_bytes(gray),
        np.asarray(cv2.GaussianBlur(gray, (0, 0), COMPARED_SIGMA), np.float32),
        restored,
        source,
        face.noise,
        noise_level(face),
        changed / max(there, 1e-6),
    )


def _interleaved(crop: torch.Tensor) -> _Floats:
    """(S, S, 3) of a crop (3, S, S): a copy, in a seventh of the time of NumPy's."""
    return np.asarray(cv2.merge(list(crop.float().contiguous().numpy())), np.float32)


def _tensor(picture: _Floats) -> torch.Tensor:
    """(3, S, S) of (S, S, 3)."""
    planes = np.empty((3, *picture.shape[:2]), np.float32)
    cv2.split(picture, list(planes))
    return torch.from_numpy(planes)


def _agreement(own: _Crop, other: _Crop, flow: _Floats) -> _Floats:
    """(COMPARED_PX, COMPARED_PX) in [0, 1]: how alike the inputs are once moved (Geman-McClure)."""
    apart = cv2.blur(np.abs(own.smooth - _moved(other.smooth, flow)), (5, 5))
    return np.asarray(1 / (1 + (apart / own.least_apart) ** 2) ** 2, np.float32)


def _moved(picture: _Floats, flow: _Floats, out: _Floats | None = None) -> _Floats:
    """A neighbour's picture (S, S[, C]) as it lies in this frame; flow in `COMPARED_PX` pixels."""
    size = picture.shape[0]
    places = cv2.scaleAdd(_enlarged(flow, size), size / COMPARED_PX, _grid(size))
    method = cv2.INTER_CUBIC if size > COMPARED_PX else cv2.INTER_LINEAR
    moved = cv2.remap(picture, places, None, method, out, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32)


@lru_cache(maxsize=4)
def _grid(size: int) -> _Floats:
    """(size, size, 2): x and y of every pixel; treat as read-only."""
    return np.stack(np.meshgrid(*[np.arange(size, dtype=np.float32)] * 2), axis=-1)


def _enlarged(field_: _Floats, size: int) -> _Floats:
    if field_.shape[0] == size:
        return field_
    return np.asarray(cv2.resize(field_, (size, size), interpolation=cv2.INTER_LINEAR), np.float32)


def _kept_share(crops: Sequence[_Crop]) -> float:
    """Share of the input that is not averaged: 1 for detail that is the input's own, less where it
    is noise, and little where the network draws all detail anew.
    """
    redrawn = float(np.mean([crop.redrawn for crop in crops]))
    own = 1 - (1 - REDRAWN_SHARE) * float(smooth_step(redrawn, OWN_DETAIL, NEW_DETAIL))
    noise = crops[0].noise
    return own if noise is None else own * kept_share(noise)
