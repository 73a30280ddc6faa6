"""Compose made-up scenes: cut-out faces and decoys on backgrounds, with their labels."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.geometry import apply, ellipse_box
from vidrestore.landmarks import eye_distances
from vidrestore.luma import gray_picture
from vidrestore.models.nets.compact_detector import MIRRORED_LANDMARKS
from vidrestore.training.detector_data.augment import augment_image
from vidrestore.training.detector_data.face_bank import BANK_PX, YAWS, FaceBank, fill_ellipse
from vidrestore.training.detector_data.morph import find_similar_entry, morph
from vidrestore.training.detector_data.paste import (
    draw_bars,
    draw_body,
    draw_hand,
    face_affine,
    paste,
    turn,
    warp_face,
)
from vidrestore.training.detector_data.textures import (
    crop_and_resize,
    cut_surroundings,
    draw_blob_mask,
    draw_fist,
    draw_noise,
    draw_oval_mask,
    draw_skin,
    draw_strokes,
    draw_trinket,
    light_from_side,
    retone,
    shuffle_face,
)

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]


MAX_FACES = 12
MOST_TURN_RAD = 1.2
PLAIN_SHARE = 0.4
"""Share of portraits with no thing before the face and no more than a third of the harm: most films
show faces so, and what is learnt of them is to be finest."""
FRONT_SHARE = 0.3
"""Share of portraits with another head before the face, which hides a part of it."""


@dataclass(frozen=True)
class Scene:
    """One training picture and its faces."""

    picture: Image
    """(S, S, 3) RGB."""
    boxes_xyxy: Floats
    """(M, 4)."""
    landmarks: Floats
    """(M, 5, 2)."""
    wanted: NDArray[np.bool_]
    """(M,) False for what is neither learnt nor punished: tiny, half-hidden or cut-off faces."""


class SceneComposer:
    """Make scene after scene from a bank of faces; hold the textures, nothing that changes."""

    def __init__(self, bank: FaceBank, textures: Sequence[Image], *, size_px: int = 320) -> None:
        """Keep references only.

        Args:
            bank: faces to paste.
            textures: pictures without faces, for backgrounds.
            size_px: height and width of a scene.
        """
        self.bank, self.textures, self.size_px = bank, list(textures), size_px
        chances = asymmetry(bank.landmarks).clip(0.05, 0.5) * _share_of_copies(len(bank.pictures))
        self._chances = np.cumsum(chances) / chances.sum() * (1 + 1e-9)

    def of_size(self, size_px: int) -> SceneComposer:
        """The same faces and textures for scenes of another height and width."""
        composer = copy.copy(self)
        composer.size_px = size_px
        return composer

    def compose(self, rng: np.random.Generator) -> Scene:
        """Compose and augment one scene."""
        picture = self._background(rng)
        for _ in range(rng.integers(0, 4)):
            self._paste_decoy(rng, picture)
        return self._finish(rng, picture, self._layout(rng))

    def compose_portrait(self, rng: np.random.Generator, size: float) -> Scene:
        """A scene with a face in its middle, the first of its labels; see `PLAIN_SHARE` and
        `FRONT_SHARE`.

        Args:
            rng: source of all choices.
            size: square root of the face box's area, in pixels.
        """
        picture = self._background(rng)
        x, y = self.size_px / 2 + rng.uniform(-0.1, 0.1, 2) * size
        layout = [(x, y, size)]
        if rng.random() < FRONT_SHARE:
            nearer = size * float(np.exp(rng.normal(0.15, 0.3)))
            way, apart = rng.uniform(0, 2 * np.pi), rng.uniform(0.35, 0.7) * (size + nearer)
            layout.append((x + np.cos(way) * apart, y + np.sin(way) * apart, nearer))
        plain = bool(rng.random() < PLAIN_SHARE)
        return self._finish(rng, picture, layout, plain=plain)

    def compose_empty(
        self, rng: np.random.Generator
    ) -> tuple[Scene, list[tuple[float, float, float]]]:
        """A scene full of what is no face, and where it lies (x, y and side, in pixels)."""
        picture = self._background(rng)
        places = [self._paste_decoy(rng, picture) for _ in range(rng.integers(1, 6))]
        return self._finish(rng, picture, []), places

    def _finish(
        self,
        rng: np.random.Generator,
        picture: Image,
        layout: list[tuple[float, float, float]],
        *,
        plain: bool = False,
    ) -> Scene:
        boxes, landmarks, wanted = [], [], []
        owners = np.full(picture.shape[:2], -1, np.int16)
        for number, (x, y, size) in enumerate(layout):
            box, points = self._paste_face(rng, picture, owners, number, (x, y), size)
            boxes.append(box)
            landmarks.append(points)
        if not plain:
            self._occlude(rng, picture, owners, boxes)
            if rng.random() < 0.12:
                draw_bars(rng, picture, owners)
        for number, box in enumerate(boxes):
            wanted.append(self._is_wanted(owners, number, box, landmarks[number]))
        picture = augment_image(rng, picture, most=0.5 if plain else 1.5)
        return Scene(
            picture,
            np.clip(np.array(boxes, np.float32).reshape(-1, 4), -0.5, self.size_px - 0.5),
            np.array(landmarks, np.float32).reshape(-1, 5, 2),
            np.array(wanted, bool),
        )

    def _layout(self, rng: np.random.Generator) -> list[tuple[float, float, float]]:
        """Centres and sizes (square root of the box's area), small ones first: in a crowd, large
        heads hide those behind them.
        """
        s = self.size_px
        kind = rng.random()
        if kind < 0.12:
            return []
        if kind < 0.32:
            size = s * float(np.exp(rng.uniform(np.log(0.3), np.log(1.0))))
            return [(s * rng.uniform(0.3, 0.7), s * rng.uniform(0.35, 0.65), size)]
        top = float(np.exp(rng.uniform(np.log(18), np.log(150))))
        room = float(rng.choice([0.75, 0.5, 0.3], p=[0.45, 0.3, 0.25]))
        faces: list[tuple[float, float, float]] = []
        for _ in range(int(rng.integers(2, MAX_FACES + 1))):
            size = float(np.clip(top * np.exp(rng.normal(0, 0.35)), 13, 0.6 * s))
            x, y = rng.uniform(0.3 * size, s - 0.3 * size), rng.uniform(0.3 * size, s - 0.3 * size)
            if all(np.hypot(x - a, y - b) > room * (size + c) for a, b, c in faces):
                faces.append((x, y, size))
        return sorted(faces, key=lambda face: face[2])

    def _paste_face(
        self,
        rng: np.random.Generator,
        picture: Image,
        owners: NDArray[np.int16],
        number: int,
        centre: tuple[float, float],
        size: float,
    ) -> tuple[Floats, Floats]:
        index = int(np.searchsorted(self._chances, rng.random(), side="right"))
        face, matte, box, points = self.bank.entry(index)
        if rng.random() < 0.4:
            other = self.bank.entry(find_similar_entry(rng, self.bank, index))
            face, matte, box, points = morph(rng, (face, matte, box, points), other)
        if rng.random() < 0.5:
            face, matte = face[:, ::-1], matte[:, ::-1]
            box = np.array([BANK_PX - 1 - box[2], box[1], BANK_PX - 1 - box[0], box[3]], np.float32)
            points = points[list(MIRRORED_LANDMARKS)]
            points[:, 0] = BANK_PX - 1 - points[:, 0]
        if rng.random() < 0.6:
            face, matte, points = warp_face(rng, face, matte, box, points)
        if rng.random() < 0.3:
            face = gray_picture(face)
        if rng.random() < 0.5:
            face = retone(rng, face, 0.22)
        if rng.random() < 0.25:
            face = light_from_side(rng, face)
        affine = face_affine(rng, box, centre, size)
        mask = self._shape_matte(rng, matte, box)
        if rng.random() < 0.7 and mask is not None:
            draw_body(rng, picture, owners, face, affine, box)
        paste(picture, face, mask, affine, owners, number)
        return (
            ellipse_box(box, affine).astype(np.float32),
            apply(affine, points).astype(np.float32),
        )

    def _shape_matte(self, rng: np.random.Generator, matte: Image, box: Floats) -> Image | None:
        """The person's matte, an ellipse round the head, or (None) the whole picture."""
        kind = rng.random()
        if kind < 0.65:
            return matte
        if kind < 0.80:
            return None
        centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2 - 0.08 * (box[3] - box[1]))
        grow = rng.uniform(0.5, 0.75)
        mask = np.zeros((BANK_PX, BANK_PX), np.uint8)
        fill_ellipse(mask, centre, (grow * (box[2] - box[0]), grow * (box[3] - box[1])), 255)
        return np.asarray(cv2.blur(mask, (int(rng.integers(3, 15)),) * 2), np.uint8)

    def _occlude(
        self,
        rng: np.random.Generator,
        picture: Image,
        owners: NDArray[np.int16],
        boxes: list[Floats],
    ) -> None:
        for box in boxes:
            if rng.random() < 0.12:
                draw_hand(rng, picture, owners, self._any_face(rng), box)
            if rng.random() > 0.35:
                continue
            width, height = box[2:] - box[:2]
            px = max(4, int(rng.uniform(0.3, 0.9) * max(width, height)))
            blob = (
                draw_blob_mask(rng, px) if rng.random() < 0.6 else np.full((px, px), 255, np.uint8)
            )
            if rng.random() < 0.4:
                blob[:, : px // 3] = 0
            angle = rng.uniform(0, 2 * np.pi)
            x = (box[0] + box[2]) / 2 + np.cos(angle) * width * rng.uniform(0.35, 0.7)
            y = (box[1] + box[3]) / 2 + np.sin(angle) * height * rng.uniform(0.35, 0.7)
            shift = np.array([[1.0, 0, x - px / 2], [0, 1.0, y - px / 2]])
            paste(picture, self._draw_texture(rng, px), blob, shift, owners, -1)

    def _is_wanted(
        self, owners: NDArray[np.int16], number: int, box: Floats, points: Floats
    ) -> bool:
        x0, y0, x1, y1 = box
        inside = owners[max(0, int(y0)) : int(y1) + 1, max(0, int(x0)) : int(x1) + 1]
        area = (x1 - x0) * (y1 - y0)
        seen = np.count_nonzero(inside == number) / max(area, 1.0)
        in_frame = ((points > -2) & (points < self.size_px + 2)).all(1).mean()
        return bool(seen > 0.5 and in_frame >= 0.8 and min(x1 - x0, y1 - y0) >= 10)

    def _background(self, rng: np.random.Generator) -> Image:
        s = self.size_px
        picture = self._draw_texture(rng, s)
        for _ in range(int(rng.integers(0, 7))):
            px = int(rng.uniform(0.08, 0.8) * s)
            x, y = rng.uniform(-0.3 * px, s - 0.7 * px, 2)
            blob = draw_blob_mask(rng, px) if rng.random() < 0.5 else None
            angle, stretch = rng.normal(0, 0.4), np.exp(rng.normal(0, 0.5))
            shift = turn(angle, np.array([stretch, 1 / stretch]), px / 2, (x + px / 2, y + px / 2))
            paste(picture, self._draw_texture(rng, px), blob, shift)
        if rng.random() < 0.3:
            draw_strokes(rng, picture)
        return picture

    def _any_face(self, rng: np.random.Generator) -> Image:
        return np.asarray(self.bank.pictures[int(rng.integers(len(self.bank.pictures)))])

    def _draw_texture(self, rng: np.random.Generator, px: int) -> Image:
        """A square of texture without a whole face."""
        kind = rng.random()
        if kind < 0.30:
            return draw_noise(rng, px)
        if kind < 0.55 and self.textures:
            return crop_and_resize(rng, self.textures[int(rng.integers(len(self.textures)))], px)
        face = self._any_face(rng)
        if kind < 0.75:
            return shuffle_face(rng, face, px)
        if kind < 0.9:
            strip = cut_surroundings(rng, face)
            return crop_and_resize(rng, strip, px, least=0.5)
        return draw_skin(rng, face, px)

    def _paste_decoy(self, rng: np.random.Generator, picture: Image) -> tuple[float, float, float]:
        """Something face-like that is none: an eye, an ear, a fist, a trinket, a bare head shape.

        Returns:
            x, y of its centre and its side, in pixels.
        """
        px = int(np.exp(rng.uniform(np.log(12), np.log(0.5 * self.size_px))))
        x, y = rng.uniform(0, self.size_px, 2)
        shift = turn(rng.normal(0, 0.5), np.ones(2), px / 2, (x, y))
        index, kind = int(rng.integers(len(self.bank.pictures))), rng.random()
        face = np.asarray(self.bank.pictures[index])
        if kind < 0.4:
            paste(picture, self._part(rng, index, px), draw_oval_mask(px), shift)
        elif kind < 0.6:
            paste(picture, draw_skin(rng, face, px), draw_blob_mask(rng, px), shift)
        elif kind < 0.8:
            paste(picture, draw_fist(rng, face, px), draw_blob_mask(rng, px), shift)
        else:
            mask = draw_oval_mask(px) if rng.random() < 0.5 else draw_blob_mask(rng, px)
            paste(picture, draw_trinket(rng, px), mask, shift)
        return float(x), float(y), float(px)

    def _part(self, rng: np.random.Generator, index: int, px: int) -> Image:
        face, points = self.bank.pictures[index], self.bank.landmarks[index]
        box = self.bank.boxes_xyxy[index]
        ears = [(side, (box[1] + box[3]) / 2) for side in (box[0] - 8, box[2] + 8)]
        x, y = [*points, *ears][int(rng.integers(7))]
        half = rng.uniform(12, 30)
        x0, y0 = int(np.clip(x - half, 0, 196)), int(np.clip(y - half, 0, 196))
        part = face[y0 : y0 + int(2 * half), x0 : x0 + int(2 * half)]
        return np.asarray(cv2.resize(np.ascontiguousarray(part), (px, px)), np.uint8)


def rotate_scene(rng: np.random.Generator, scene: Scene) -> Scene:
    """A scene with its labels, turned by up to 70 degrees about its middle.

    Detectors' answers for tilted faces are poor, those for upright ones good: whoever is taught by
    one is shown its answers for the upright scene, turned along.

    Args:
        rng: source of the angle and of what the corners are filled with.
        scene: any.
    """
    px = scene.picture.shape[0]
    angle = rng.uniform(-MOST_TURN_RAD, MOST_TURN_RAD)
    matrix = turn(angle, np.ones(2), (px - 1) / 2, ((px - 1) / 2,) * 2)
    border = (cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE)[int(rng.integers(2))]
    shade = int(rng.choice([0, 0, 255, 128]))
    picture = cv2.warpAffine(
        scene.picture, matrix, (px, px), flags=cv2.INTER_LINEAR, borderMode=border,
        borderValue=(shade,) * 3,
    )  # fmt: skip
    landmarks = apply(matrix, scene.landmarks).astype(np.float32)
    boxes = np.array([ellipse_box(box, matrix) for box in scene.boxes_xyxy], np.float32)
    outside = ((landmarks < 0) | (landmarks > px - 1)).any(2).sum(1)
    return Scene(
        np.asarray(picture, np.uint8),
        np.clip(boxes.reshape(-1, 4), -0.5, px - 0.5),
        landmarks.reshape(-1, 5, 2),
        scene.wanted & (outside <= 1),
    )


def asymmetry(landmarks: Floats) -> Floats:
    """(N,) how far the nose lies from between the eyes, in eye distances: 0 from the front."""
    apart = eye_distances(landmarks).clip(1e-3)
    along = (landmarks[:, 1] - landmarks[:, 0]) / apart[:, None]
    middle = landmarks[:, :2].mean(1)
    return np.asarray(np.abs(((landmarks[:, 2] - middle) * along).sum(1)) / apart)


def _share_of_copies(n: int) -> Floats:
    """(n,) weights by which heads as pictured, which are little asymmetric, make half of the faces,
    and `profile_synthesis`' copies the other; where the bank holds no copies, 1.
    """
    weights = np.ones(n, np.float32)
    if n % (1 + len(YAWS)) == 0:
        weights[: n // (1 + len(YAWS))] = 12.0
    return weights


def assign_targets(scene: Scene) -> dict[str, NDArray[Any]]:
    """Pad a scene's faces to `MAX_FACES`, as the loader wants them.

    Returns:
        ``picture`` (3, S, S) uint8, ``boxes`` (12, 4), ``landmarks`` (12, 5, 2), ``state`` (12,)
        int64: 1 wanted, 0 ignore, -1 none.
    """
    n = min(len(scene.boxes_xyxy), MAX_FACES)
    boxes, points = np.zeros((MAX_FACES, 4), np.float32), np.zeros((MAX_FACES, 5, 2), np.float32)
    state = np.full(MAX_FACES, -1, np.int64)
    boxes[:n], points[:n], state[:n] = scene.boxes_xyxy[:n], scene.landmarks[:n], scene.wanted[:n]
    picture = np.ascontiguousarray(scene.picture.transpose(2, 0, 1))
    return {"picture": picture, "boxes": boxes, "landmarks": points, "state": state}
