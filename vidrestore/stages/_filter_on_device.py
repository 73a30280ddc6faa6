"""The temporal filter on a device: what `temporal_filter` does face by face and neighbour by
neighbour, for all neighbours of all faces of a frame at once.

Every number that depends on a picture stays on the device, so nothing waits. Neighbours that a
track does not have count with a weight of 0: the number of operations is the same in every frame,
and sums are taken in the same order. Flow comes with the faces (`Face.flows`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vidrestore.config import TemporalFilterConfig
from vidrestore.luma import tensor_luma
from vidrestore.noise import kept_share
from vidrestore.runtime.portions import Portions
from vidrestore.runtime.transfer import to_device
from vidrestore.stages._device_pictures import (
    gaussian_blur,
    reduced_area,
    reflected,
    soft_step,
    warp_by_flow,
)
from vidrestore.stages._filter_weights import (
    COMPARED_PX,
    COMPARED_SIGMA,
    FINEST_SIGMA,
    MEMORY_FRAMES,
    NEW_DETAIL,
    OUTLIVES,
    OWN_DETAIL,
    OWN_SHARE,
    REDRAWN_SHARE,
    fade,
    middle,
    noise_level,
)
from vidrestore.structs import Face, Frame

__all__ = ["DeviceWindow", "filter_portions"]

_MOST_FACES = 4
"""That are filtered at a time: a face takes 250 MB with ten neighbours of 512 px."""
_BOX_PX = 5
"""Side of the box over which differences of inputs are averaged."""


@dataclass(frozen=True, slots=True, eq=False)
class _Crop:
    """One restored face with what is needed to lend it to its neighbours."""

    face: Face
    crop: Tensor
    """(3, S, S) restored."""
    source: Tensor
    """(3, S, S) as the network saw it."""
    smooth: Tensor
    """(1, COMPARED_PX, COMPARED_PX): blurred luma by which inputs are compared."""
    redrawn: Tensor
    """Scalar: amplitude of the finest octave that restoring changed, over that of the input."""
    flows: Tensor | None
    """(2, 2, COMPARED_PX, COMPARED_PX), see `Face.flows`; None at the beginning of a track."""


@dataclass(slots=True, eq=False)
class _Slot:
    """A frame that waits, or has been given and still lends its faces."""

    frame: Frame | None
    """None once it has been given: its picture is not kept alive."""
    crops: dict[int, _Crop] = field(default_factory=dict)
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
        self._slots: deque[_Slot] = deque()
        self._next = 0
        """Place in `_slots` of the next frame to give."""
        self._amplitudes: dict[int, deque[tuple[int, Tensor]]] = {}
        """By track, numbers of frames and (3, 2) amplitudes, see `_Strength` of the host."""
        self._given = 0

    def add(self, frame: Frame) -> Iterator[Frame]:
        """Take the next frame; give the one whose window is complete."""
        restored = [face for face in frame.faces if face.crop is not None]
        crops: dict[int, _Crop] = {}
        for part in self._portions(restored, _crops):
            crops |= part
        self._slots.append(_Slot(frame, crops))
        if len(self._slots) - self._next > self._config.reach_frames:
            yield self._give()

    def finish(self) -> Iterator[Frame]:
        """Give the rest."""
        while self._next < len(self._slots):
            yield self._give()

    def _give(self) -> Frame:
        slot = self._slots[self._next]
        frame, slot.frame = slot.frame, None
        assert frame is not None
        tracks = [face.track_id for face in frame.faces if face.track_id in slot.crops]
        filtered: dict[int, Tensor] = {}
        for part in self._portions(tracks, self._filtered):
            filtered |= part
        faces = tuple(
            replace(face, crop=filtered[face.track_id]) if face.track_id in filtered else face
            for face in frame.faces
        )
        self._given += 1
        if self._next == self._config.reach_frames:
            self._slots.popleft()
        else:
            self._next += 1
        return replace(frame, faces=faces)

    def _filtered(self, tracks: Sequence[int]) -> dict[int, Tensor]:
        """(3, S, S) of each track: crops of the present frame."""
        own = [self._slots[self._next].crops[track] for track in tracks]
        others, flows, shares = self._neighbours(tracks)
        count, size = len(tracks), own[0].crop.shape[-1]
        device = own[0].crop.device
        levels = np.array([noise_level(one.face) for one in own])
        noise = np.array(
            [1.0 if one.face.noise is None else kept_share(one.face.noise) for one in own]
        )
        numbers = np.concatenate([shares.ravel(), levels, noise]).astype(np.float32)
        sent = to_device(numbers, device)
        weight = sent[: shares.size].view(-1, 1, 1, 1)
        level, noise_share = sent[shares.size :].view(2, count)
        kept = self._kept(tracks) * noise_share

        moved = warp_by_flow(torch.stack([one.smooth for one in others]), flows, "bilinear")
        smooth = torch.stack([one.smooth for one in own]).repeat(len(shares), 1, 1, 1)
        apart = reflected((smooth - moved).abs(), _BOX_PX // 2)
        apart = functional.avg_pool2d(apart, _BOX_PX, stride=1)
        apart /= level.repeat(len(shares))[:, None, None, None]
        weight = _resized(weight / (1 + apart.square()).square(), size)

        kept_of_all = kept.repeat(len(shares))[:, None, None, None]
        lent = torch.stack([one.crop for one in others])
        lent -= kept_of_all * torch.stack([one.source for one in others])
        method = "bicubic" if size > COMPARED_PX else "bilinear"
        moved = warp_by_flow(lent, _resized(flows, size), method)
        crops = torch.stack([one.crop for one in own])
        single = crops - kept[:, None, None, None] * torch.stack([one.source for one in own])
        apart = (moved.view(-1, *single.shape) - single) * weight.view(-1, count, 1, size, size)
        change = apart.sum(0) / (1 + weight.view(-1, count, 1, size, size).sum(0))
        stronger = self._strengthened(tracks, single, single + change)
        return dict(zip(tracks, crops.add_(change).add_(stronger), strict=True))

    def _neighbours(
        self, tracks: Sequence[int]
    ) -> tuple[list[_Crop], Tensor, np.ndarray[tuple[int, int], np.dtype[np.float64]]]:
        """What lies around the present frame.

        Returns:
            The neighbours, by distance, side and track; (R * F, 2, COMPARED_PX, COMPARED_PX) flow
            to each; (R, F) their shares, 0 where there is none, R being twice the reach.
        """
        own = [self._slots[self._next].crops[track] for track in tracks]
        none = _no_flow(own[0].crop.device)
        ways = [self._way(track, step, none) for step in (1, -1) for track in tracks]
        reach = self._config.reach_frames
        flow = torch.stack([way[0][1] for way in ways])
        flows = [flow]
        for distance in range(1, reach):
            link = torch.stack([way[distance][1] for way in ways])
            flow = flow + warp_by_flow(link, flow, "bilinear")
            flows.append(flow)
        shares = [
            [
                self._config.strength * fade(distance + 1, reach) if way[distance][2] else 0.0
                for way in ways
            ]
            for distance in range(reach)
        ]
        others = [way[distance][0] for distance in range(reach) for way in ways]
        return others, torch.cat(flows), np.array(shares).reshape(2 * reach, len(tracks))

    def _way(self, track: int, step: int, none: Tensor) -> list[tuple[_Crop, Tensor, bool]]:
        """A track's crops to one side, the flow to each from the one before, and whether there is
        one; without it, the last crop again.
        """
        place = self._next
        crop = self._slots[place].crops[track]
        way: list[tuple[_Crop, Tensor, bool]] = []
        while len(way) < self._config.reach_frames:
            place += step
            beyond = not 0 <= place < len(self._slots)
            other = None if beyond else self._slots[place].crops.get(track)
            flows = None if other is None else (other if step > 0 else crop).flows
            if other is None or flows is None:
                break
            crop = other
            way.append((crop, flows[0 if step > 0 else 1], True))
        return way + [(crop, none, False)] * (self._config.reach_frames - len(way))

    def _kept(self, tracks: Sequence[int]) -> Tensor:
        """(F,) share of the input that is not averaged, as far as detail is its own."""
        redrawn = torch.stack(
            [
                torch.stack(
                    [slot.crops[track].redrawn for slot in self._slots if track in slot.crops]
                ).mean()
                for track in tracks
            ]
        )
        return 1 - (1 - REDRAWN_SHARE) * soft_step(redrawn, OWN_DETAIL, NEW_DETAIL)

    def _strengthened(self, tracks: Sequence[int], single: Tensor, averaged: Tensor) -> Tensor:
        """(F, 3, S, S) what to add to averages, see `_Strength` of the host."""
        own = [OWN_SHARE * octave for octave in _octaves(single - averaged)]
        pictures = torch.cat([single, averaged, averaged + own[0] + own[1]])
        amplitudes = _amplitudes(pictures).view(3, len(tracks), -1)
        of_single, of_average, of_sum = self._remembered(tracks, amplitudes).unbind(1)
        trust = soft_step(of_average / of_single.clamp(min=1e-6), *OUTLIVES)
        mixed = averaged + sum(_each(trust, k) * octave for k, octave in enumerate(own))
        of_mixed = of_average + trust * (of_sum - of_average)
        gains = trust * (of_single / of_mixed.clamp(min=1e-6) - 1).clamp(min=0)
        stronger = sum(_each(gains, k) * octave for k, octave in enumerate(_octaves(mixed)))
        return mixed - averaged + stronger

    def _remembered(self, tracks: Sequence[int], amplitudes: Tensor) -> Tensor:
        """(F, 3, 2): the mean of the last frames' amplitudes, with those of the present one."""
        means = []
        for track, present in zip(tracks, amplitudes.unbind(1), strict=True):
            seen = self._amplitudes.setdefault(track, deque())
            if not seen or seen[-1][0] != self._given:  # Else this is done again, with fewer faces.
                seen.append((self._given, present))
            while seen[0][0] <= self._given - MEMORY_FRAMES:
                seen.popleft()
            means.append(torch.stack([one for _, one in seen]).mean(0))
        return torch.stack(means)


def _crops(faces: Sequence[Face]) -> dict[int, _Crop]:
    """What is needed of restored faces, by track."""
    crops = torch.stack([face.crop for face in faces if face.crop is not None])
    sources = torch.stack([face.source_crop for face in faces if face.source_crop is not None])
    small = reduced_area(tensor_luma(sources), COMPARED_PX)
    smooth = gaussian_blur(small, COMPARED_SIGMA)
    changed, source = _amplitudes(torch.cat([crops - sources, sources]))[:, 0].view(2, -1)
    redrawn = changed / source.clamp(min=1e-6)
    return {
        face.track_id: _Crop(
            face,
            crops[place],
            sources[place],
            smooth[place],
            redrawn[place],
            None if face.flows is None else face.flows.take()[0],
        )
        for place, face in enumerate(faces)
    }


def _octaves(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """The two finest octaves of pictures, differences of Gaussians, finest first."""
    fine = gaussian_blur(pictures, FINEST_SIGMA)
    return pictures - fine, fine - gaussian_blur(fine, 2 * FINEST_SIGMA)


def _amplitudes(pictures: Tensor) -> Tensor:
    """(N, 2): mean size of each octave in the middle of pictures (N, 3, S, S)."""
    inside = middle(pictures.shape[-1])
    gray = tensor_luma(pictures[..., inside, inside])
    return torch.stack([one.abs().mean((1, 2, 3)) for one in _octaves(gray)], 1)


def _each(factors: Tensor, octave: int) -> Tensor:
    return factors[:, octave, None, None, None]


def _resized(fields: Tensor, size: int) -> Tensor:
    """(N, C, size, size) of fields (N, C, n, n)."""
    if fields.shape[-1] == size:
        return fields
    return functional.interpolate(fields, size=(size, size), mode="bilinear", align_corners=False)


def _no_flow(device: torch.device) -> Tensor:
    return torch.zeros(2, COMPARED_PX, COMPARED_PX, device=device)
