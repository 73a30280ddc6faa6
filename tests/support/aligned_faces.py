"""Faces that are aligned, restored and measured as the stages before would leave them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from moving_face import Moves, landmarks, moving_face

from vidrestore.geometry import compose, similarity_from_points
from vidrestore.models.templates import landmark_template
from vidrestore.stages.restore import with_source_crops
from vidrestore.structs import ComponentNoise, Face, Frame, NoiseModel
from vidrestore.video.picture.layouts import layout_of

__all__ = ["aligned", "noisy", "restored"]


def aligned(moves: Moves, size: int = 320, **options: object) -> list[Frame]:
    """Frames whose face has an alignment."""
    template = landmark_template("ffhq", size)
    frames = []
    for frame, points in zip(moving_face(moves, **options), landmarks(moves), strict=True):  # type: ignore[arg-type]
        affine = compose(similarity_from_points(template, points), frame.display.display_from_coded)
        box = np.concatenate([points.min(0), points.max(0)])
        face = Face(box, points, 1.0, track_id=0, crop_from_frame=affine)
        frames.append(replace(frame, faces=(face,)))
    return frames


def restored(frames: Iterable[Frame], size: int = 320) -> list[Frame]:
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


def noisy(frames: Iterable[Frame]) -> list[Frame]:
    """With a measured noise of 3 levels of 255."""
    correlation = np.zeros((5, 5))
    correlation[2, 1:4] = 0.3, 1, 0.3
    one = ComponentNoise(np.array([0.1, 0.6]), np.array([0.01, 0.02]), correlation)
    measured = []
    for frame in frames:
        count = len(layout_of(frame.picture.format).components)
        model = NoiseModel((one,) * count, detail=0.9, unrest=0.02)
        faces = tuple(replace(face, noise=model) for face in frame.faces)
        measured.append(replace(frame, faces=faces))
    return measured
