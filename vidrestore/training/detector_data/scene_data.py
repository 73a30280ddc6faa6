"""Samples for the embedded detector's two networks, made from scenes.

The cells learn from whole scenes, the refiner from crops of faces, and of what is none, as hasty
cells would place them. Where there is a teacher, labels are its answers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from vidrestore.models.interfaces import FaceDetector
from vidrestore.models.nets.compact_detector import (
    REFINER_MARGIN,
    REFINER_PX,
    REFINER_ZOOMS,
    refiner_crops,
    refiner_frames,
)
from vidrestore.training.detector_data import Scene, SceneComposer, assign_targets, rotate_scene
from vidrestore.training.detector_data.teacher import teach

__all__ = ["CROPS_PER_SCENE", "CropBatch", "FaceCrops", "SceneBatch", "WholeScenes", "jitter"]

CROPS_PER_SCENE = 4
"""For the refiner, from one scene."""
_LARGEST_PX = 360.0
"""Size of the largest faces that the teacher sees. It sees nearly all of them large, whatever the
network sees: what the teacher says of a face depends on its size, large ones are where it is right,
and one convention for all sizes keeps landmarks still while a person comes nearer."""
_LARGE_SHARE = 0.9
"""Share of faces that the teacher sees large."""
_LEAST_LARGE_PX = 205.0

_ROTATED_SHARE = 0.3
"""Share of scenes that are rotated about their middle, after the teacher has seen them upright."""
_ZOOMED_SHARE = 0.3
"""Share of scenes that the teacher sees at twice their size."""


class SceneBatch(NamedTuple):
    """One scene, or a batch of them."""

    pictures: Tensor
    """(3, S, S) uint8 RGB."""
    boxes: Tensor
    """(M, 4) in pixels."""
    landmarks: Tensor
    """(M, 5, 2) in pixels."""
    state: Tensor
    """(M,) int64: 1 wanted, 0 neither learnt nor punished, -1 none."""

    def to(self, device: torch.device) -> SceneBatch:
        """The batch on a device."""
        return SceneBatch(*(part.to(device, non_blocking=True) for part in self))


class CropBatch(NamedTuple):
    """The crops of one scene, or of a batch of them."""

    crops: Tensor
    """(4, 3, 160, 160) uint8 RGB."""
    landmarks: Tensor
    """(4, 5, 2) in pixels of the crops."""
    state: Tensor
    """(4,) int64: 1 a face, 0 none, -1 not judged."""

    def to(self, device: torch.device) -> CropBatch:
        """The batch on a device."""
        return CropBatch(*(part.to(device, non_blocking=True) for part in self))


_Batch = TypeVar("_Batch", SceneBatch, CropBatch)


class _Scenes(Dataset[_Batch]):
    """The scenes 0 to `count`; scene `i` follows from (seed, `i`)."""

    def __init__(
        self, composer: SceneComposer, seed: int, count: int, teacher: FaceDetector | None = None
    ) -> None:
        self.composer, self.seed, self.count, self.teacher = composer, seed, count, teacher

    def __len__(self) -> int:
        return self.count


class WholeScenes(_Scenes[SceneBatch]):
    """A scene each; see `_Scenes`."""

    def __getitem__(self, index: int) -> SceneBatch:
        rng = np.random.default_rng([self.seed, index])
        scene = self.composer.compose(rng)
        if self.teacher is not None:
            zoom = 2 if rng.random() < _ZOOMED_SHARE else 1
            scene = teach(self.teacher, scene, zoom=zoom)
        scene = rotate_scene(rng, scene) if rng.random() < _ROTATED_SHARE else scene
        return SceneBatch(*(torch.from_numpy(part) for part in assign_targets(scene).values()))


class FaceCrops(_Scenes[CropBatch]):
    """Four crops of a scene: of one face, each badly centred in its own way, or of no face at all;
    see `_Scenes`.
    """

    def __getitem__(self, index: int) -> CropBatch:
        rng = np.random.default_rng([self.seed, index])
        seen, size = _sizes(rng)
        composer = self.composer.of_size(32 * max(2, round(size * rng.uniform(1.8, 2.5) / 32)))
        state = np.zeros(CROPS_PER_SCENE, np.int64)
        points = torch.zeros(5, 2)
        if rng.random() < 0.6:
            scene = composer.compose_portrait(rng, size)
            if self.teacher is not None:
                scene = teach(self.teacher, scene)
            scene = _shrink(scene, min(1.0, seen / size))
            state[:] = 1 if scene.wanted[0] else -1
            frames = jitter(rng, scene, state)
            points = torch.from_numpy(scene.landmarks[0])
        else:
            scene, places = composer.compose_empty(rng)
            frames = _anywhere(rng, composer.size_px, places)
        picture = torch.from_numpy(scene.picture).permute(2, 0, 1).float() / 255
        crops = (refiner_crops(picture, frames) * 255).round().to(torch.uint8)
        inverse = torch.linalg.inv(frames[:, :, :2])
        targets = (points - frames[:, None, :, 2]) @ inverse.transpose(1, 2)
        return CropBatch(crops, targets, torch.from_numpy(state))


def _sizes(rng: np.random.Generator) -> tuple[float, float]:
    """Sizes of a face as the network and as the teacher sees it, in pixels."""
    seen = float(np.exp(rng.uniform(np.log(14), np.log(220))))
    if rng.random() < _LARGE_SHARE:
        least = max(seen, _LEAST_LARGE_PX)
        return seen, float(np.exp(rng.uniform(np.log(least), np.log(_LARGEST_PX))))
    return seen, float(min(_LARGEST_PX, seen * np.exp(max(0.0, rng.uniform(-0.6, 1.25)))))


def _shrink(scene: Scene, factor: float) -> Scene:
    """A small copy, as detectors are shown of large frames, with its labels."""
    if factor > 0.95:
        return scene
    px = max(32, round(scene.picture.shape[0] * factor))
    factor = px / scene.picture.shape[0]
    return replace(
        scene,
        picture=cv2.resize(scene.picture, (px, px), interpolation=cv2.INTER_AREA),
        boxes_xyxy=(scene.boxes_xyxy + 0.5) * factor - 0.5,
        landmarks=(scene.landmarks + 0.5) * factor - 0.5,
    )


def jitter(rng: np.random.Generator, scene: Scene, state: np.ndarray[Any, Any]) -> Tensor:
    """Frames round the scene's first face as a hasty detector would place them.

    Every fifth is far off, turned away or on a part of the face alone, and then no face, and
    `state` becomes 0; or -1 where another face is.

    Args:
        rng: source of all choices.
        scene: with one face or more.
        state: (K,) int64, of what each crop is; changed in place.

    Returns:
        (K, 2, 3) scene from crop, as `refiner_frames`.
    """
    box, points = (torch.from_numpy(part[:1]) for part in (scene.boxes_xyxy, scene.landmarks))
    frames = refiner_frames(box, points)
    others = scene.boxes_xyxy[1:]
    frame = frames[0].double().numpy()
    size = float(np.hypot(*frame[:, 0])) * REFINER_PX / REFINER_MARGIN
    centre = frame[:, :2] @ _MIDDLE + frame[:, 2]
    made = []
    for i in range(len(state)):
        angle, scale = rng.normal(0, 0.13), rng.choice(REFINER_ZOOMS) * np.exp(rng.normal(0, 0.09))
        shift = rng.normal(0, 0.045, 2) * size
        kind = rng.random()
        if kind < 0.2:
            state[i] = 0
        if kind < 0.06:
            way = rng.uniform(0, 2 * np.pi)
            shift = shift + rng.uniform(0.6, 0.9) * size * np.array([np.cos(way), np.sin(way)])
            scale *= rng.choice([0.5, 1.0, 2.0])
            inside = np.abs(others[:, :2] + others[:, 2:] - 2 * (centre + shift))
            if (inside < others[:, 2:] - others[:, :2]).all(1).any():
                state[i] = -1
        elif kind < 0.12:
            angle += rng.choice([-1, 1]) * rng.uniform(1.3, np.pi)
        elif kind < 0.2:
            shift = shift + rng.uniform(-0.65, 0.65, 2) * size
            scale *= rng.uniform(0.2, 0.45)
        made.append(_frame(frame[:, :2] @ _rotation(angle) * scale, centre + shift))
    return torch.from_numpy(np.stack(made)).float()


def _anywhere(
    rng: np.random.Generator, size_px: int, places: list[tuple[float, float, float]]
) -> Tensor:
    """Frames on things that are no faces, or on nothing in particular."""
    made = []
    for _ in range(CROPS_PER_SCENE):
        x, y, side = places[int(rng.integers(len(places)))]
        centre, side = np.array([x, y]) + rng.normal(0, 0.1, 2) * side, side * REFINER_MARGIN
        if rng.random() < 0.35:
            centre = rng.uniform(0.1, 0.9, 2) * size_px
            side = float(np.exp(rng.uniform(np.log(0.2), np.log(1.2)))) * size_px
        scale = side * float(np.exp(rng.normal(-0.1, 0.3))) / REFINER_PX
        made.append(_frame(_rotation(rng.normal(0, 0.4)) * scale, centre))
    return torch.from_numpy(np.stack(made)).float()


_MIDDLE = np.full(2, (REFINER_PX - 1) / 2)


def _rotation(angle: float) -> np.ndarray[Any, Any]:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _frame(linear: np.ndarray[Any, Any], centre: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.column_stack([linear, centre - linear @ _MIDDLE])
