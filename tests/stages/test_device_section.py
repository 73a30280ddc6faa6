"""Cutting out, filtering and putting back on a device gives what the host gives, within rounding.

The CPU stands in for the device: the code is that of a GPU, and its pictures have values.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
import torch
from moving_face import Moves, landmarks, moving_face, pan, shake
from torch import Tensor

from vidrestore.config import TemporalFilterConfig
from vidrestore.geometry import compose, similarity_from_points
from vidrestore.models.templates import landmark_template
from vidrestore.stages.restore import with_source_crops
from vidrestore.stages.temporal_filter import temporal_filter
from vidrestore.stages.upload import upload
from vidrestore.structs import Face, Frame

CPU = torch.device("cpu")
SIZE = 320
LEAST = 1 / 255


def aligned(moves: Moves, size: int = SIZE, **options: object) -> list[Frame]:
    """Frames whose face has an alignment."""
    template = landmark_template("ffhq", size)
    frames = []
    for frame, points in zip(moving_face(moves, **options), landmarks(moves), strict=True):  # type: ignore[arg-type]
        affine = compose(similarity_from_points(template, points), frame.display.display_from_coded)
        box = np.concatenate([points.min(0), points.max(0)])
        face = Face(box, points, 1.0, track_id=0, crop_from_frame=affine)
        frames.append(replace(frame, faces=(face,)))
    return frames


def restored(frames: Iterable[Frame], size: int = SIZE) -> list[Frame]:
    """With crops in which detail is drawn anew in each frame, all on the host."""
    draw = torch.Generator().manual_seed(0)

    def drawn(face: Face) -> Face:
        assert face.source_crop is not None
        noise = 0.05 * torch.randn(face.source_crop.shape, generator=draw)
        return replace(face, crop=(face.source_crop + noise).clamp(0, 1))

    return [
        replace(frame, faces=tuple(map(drawn, with_source_crops(frame, size).faces)))
        for frame in frames
    ]


def sent(frames: list[Frame], size: int = SIZE) -> list[Frame]:
    """The same as they are after restoring on a device."""
    return [
        replace(
            now,
            faces=tuple(
                replace(face, source_crop=known.source_crop, crop=known.crop)
                for face, known in zip(now.faces, before.faces, strict=True)
            ),
        )
        for before, now in zip(frames, upload(frames, CPU, size), strict=True)
    ]


def crops(frames: Iterable[Frame]) -> list[Tensor]:
    return [face.crop for frame in frames for face in frame.faces if face.crop is not None]


@pytest.mark.parametrize("size", [64, 320])
def test_the_temporal_filter_of_a_device_is_that_of_the_host(size: int) -> None:
    """Also where a face could not be restored, and at a cut."""
    frames = restored(aligned(shake(9), size), size)
    lost = replace(frames[5].faces[0], crop=None)
    frames[5] = replace(frames[5], faces=(lost,))
    frames[7] = replace(frames[7], is_cut=True)
    twice = [
        replace(frame, faces=(*frame.faces, *(replace(face, track_id=4) for face in frame.faces)))
        if frame.index > 1
        else frame
        for frame in frames
    ]
    config = TemporalFilterConfig(reach_frames=3)
    wanted = crops(temporal_filter(twice, config))
    found = crops(temporal_filter(sent(twice, size), config, on_device=True))
    before = crops(twice)
    assert len(found) == len(wanted) == len(before)
    for one, other, unfiltered in zip(found, wanted, before, strict=True):
        assert (one - other).abs().max() < LEAST / 4
        assert torch.equal(unfiltered, unfiltered.clamp(0, 1)), "crops of neighbours stay"
    assert max(float((a - b).abs().max()) for a, b in zip(wanted, before, strict=True)) > LEAST


def test_crops_without_neighbours_stay_as_they_are() -> None:
    [frame] = restored(aligned(pan(1)))
    [found] = temporal_filter(sent([frame]), TemporalFilterConfig(), on_device=True)
    assert torch.equal(crops([found])[0], crops([frame])[0])
