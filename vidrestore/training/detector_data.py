"""Scenes that teach the face detector: cut-out faces on made-up backgrounds, spoiled as old video
spoils them.

No real clip is used. A `FaceBank` holds the labelled face pictures at 256 px with a matte (hair and
shoulders included) for each; `SceneMaker` composes a scene from it, with textures cut from
scikit-image's pictures and from the faces' surroundings, and hard negatives: single eyes and
mouths, shuffled faces, skin- and hair-coloured blobs, text. Everything random comes from one
``numpy.random.Generator`` per scene, so scene ``i`` of seed ``s`` is always the same.

Pictures are (H, W, 3) uint8 RGB; boxes ``x0, y0, x1, y1`` and landmarks (5, 2) are in pixels of
their picture.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.models.detector import MIRRORED_LANDMARKS
from vidrestore.training.head_turn import turned_aside

log = logging.getLogger(__name__)

Picture = NDArray[np.uint8]
Floats = NDArray[np.float32]

BANK_PX = 256
MAX_FACES = 12

TEXTURE_NAMES = (
    "brick.png", "cell.png", "chelsea.png", "clock_motion.png", "coffee.png", "coins.png",
    "color.png", "grass.png", "gravel.png", "horse.png", "hubble_deep_field.jpg", "ihc.png",
    "moon.png", "motorcycle_left.png", "page.png", "retina.jpg", "rocket.jpg", "text.png",
)  # fmt: skip
"""Pictures without people that scikit-image carries (public domain or CC0, see its
data/README.txt)."""


@dataclass(frozen=True)
class FaceBank:
    """Labelled face pictures, ready to be pasted."""

    pictures: NDArray[np.uint8]
    """(N, 256, 256, 3) RGB."""
    mattes: NDArray[np.uint8]
    """(N, 256, 256), 255 where the person is."""
    boxes_xyxy: Floats
    """(N, 4) face boxes, pixels of the 256 px picture."""
    landmarks: Floats
    """(N, 5, 2)."""

    def __post_init__(self) -> None:
        n = len(self.pictures)
        if not (n == len(self.mattes) == len(self.boxes_xyxy) == len(self.landmarks)):
            raise ValueError(
                f"a face bank needs equal lengths, got {n} pictures, {len(self.mattes)} mattes"
            )

    def save(self, folder: Path) -> None:
        """Writes one ``.npy`` for each field, so that `load` can map them."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("pictures", "mattes", "boxes_xyxy", "landmarks"):
            np.save(folder / f"{name}.npy", getattr(self, name))

    @classmethod
    def load(cls, folder: Path) -> FaceBank:
        """Maps the files that `save` wrote into memory, read-only."""
        names = ("pictures", "mattes", "boxes_xyxy", "landmarks")
        return cls(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in names))


YAWS = ((0.0, 0.9), (0.8, 1.57))
"""Least and greatest angle to the side, in radians, of the two turned copies of every face."""
PITCH_SPREAD = 0.22
"""Standard deviation of their nods, in radians."""


def build_face_bank(faces: Path, split: str) -> FaceBank:
    """Reads the pictures of one split of a labelled folder, and turns the heads aside.

    Args:
        faces: folder with ``labels.csv`` (file, source, split, box, five landmarks).
        split: which rows to take, e.g. ``train``.

    Returns:
        The bank, in the order of the rows, then once more for each of `YAWS`; unreadable pictures
        are logged and left out.
    """
    pictures, mattes, boxes, landmarks = [], [], [], []
    with (faces / "labels.csv").open(newline="", encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if row["split"] == split]
    for row in rows:
        picture = cv2.imread(str(faces / row["file"]))
        if picture is None:
            log.warning("left out %s: it cannot be read", row["file"])
            continue
        scale = BANK_PX / picture.shape[0]
        small = cv2.resize(picture, (BANK_PX, BANK_PX), interpolation=cv2.INTER_AREA)
        numbers = np.array([float(v) for v in list(row.values())[3:17]], np.float32)
        box = numbers[:4] * scale
        pictures.append(np.ascontiguousarray(small[..., ::-1]))
        mattes.append(person_matte(small, box))
        boxes.append(box)
        landmarks.append((numbers[4:].reshape(5, 2) + 0.5) * scale - 0.5)
    if not pictures:
        raise ValueError(
            f"no readable picture of split {split!r} in {faces}; is labels.csv beside the pictures?"
        )
    bank = FaceBank(np.stack(pictures), np.stack(mattes), np.stack(boxes), np.stack(landmarks))
    return _with_turned_heads(bank)


def _with_turned_heads(bank: FaceBank) -> FaceBank:
    rng, n = np.random.default_rng(7), len(bank.pictures)
    entries = list(zip(bank.pictures, bank.mattes, bank.boxes_xyxy, bank.landmarks, strict=True))
    yaws = np.concatenate([rng.uniform(*span, n) * rng.choice([-1, 1], n) for span in YAWS])
    pitches = rng.normal(0, PITCH_SPREAD, len(yaws)).clip(-0.5, 0.5)

    def turn(number: int) -> tuple[Picture, Picture, Floats, Floats]:
        face, matte, box, points = entries[number % n]
        return turned_aside(face, matte, box, points, float(yaws[number]), float(pitches[number]))

    with ThreadPoolExecutor() as pool:
        turned = entries + list(pool.map(turn, range(len(yaws))))
    pictures, mattes, boxes, landmarks = zip(*turned, strict=True)
    return FaceBank(np.stack(pictures), np.stack(mattes), np.stack(boxes), np.stack(landmarks))


def person_matte(picture: Picture, box_xyxy: Floats) -> Picture:
    """Soft mask of the person around a face, by GrabCut at 96 px (Rother et al. 2004) started from
    the face's box.

    Args:
        picture: (256, 256, 3), any channel order.
        box_xyxy: face box.

    Returns:
        (256, 256) uint8, 255 inside; an ellipse around head and hair where GrabCut fails.
    """
    px = 96
    scale = px / BANK_PX
    small = cv2.resize(picture, (px, px), interpolation=cv2.INTER_AREA)
    x0, y0, x1, y1 = box_xyxy * scale
    centre, half = ((x0 + x1) / 2, (y0 + y1) / 2), ((x1 - x0) / 2, (y1 - y0) / 2)
    labels = np.full((px, px), cv2.GC_PR_BGD, np.uint8)
    labels[int(min(y1, px - 8)) :, int(px * 0.15) : int(px * 0.85)] = cv2.GC_PR_FGD
    _fill_ellipse(labels, centre, (half[0] * 1.35, half[1] * 1.35), cv2.GC_PR_FGD)
    _fill_ellipse(labels, centre, (half[0] * 0.9, half[1] * 0.9), cv2.GC_FGD)
    labels[: int(px * 0.3), :3] = labels[: int(px * 0.3), -3:] = cv2.GC_BGD
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(small, labels, None, models[0], models[1], 2, cv2.GC_INIT_WITH_MASK)
    person = ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).astype(np.uint8) * 255
    if not 0.25 < person.mean() / 255 < 0.92:
        person[:] = 0
        _fill_ellipse(
            person, (centre[0], centre[1] - half[1] * 0.15), (half[0] * 1.3, half[1] * 1.3), 255
        )
    person = cv2.medianBlur(person, 5)
    return np.asarray(
        cv2.GaussianBlur(cv2.resize(person, (BANK_PX, BANK_PX)), (0, 0), 2.0), np.uint8
    )


def _fill_ellipse(
    canvas: Picture, centre: tuple[float, float], axes: tuple[float, float], value: int
) -> None:
    cv2.ellipse(canvas, (centre, (2 * axes[0], 2 * axes[1]), 0.0), value, -1)


def load_textures(folder: Path) -> list[Picture]:
    """Reads those of `TEXTURE_NAMES` that are in scikit-image's data folder, longer side at most
    640 px, as RGB."""
    textures = []
    for name in TEXTURE_NAMES:
        picture = cv2.imread(str(folder / name))
        if picture is not None:
            scale = min(1.0, 640 / max(picture.shape[:2]))
            small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            textures.append(np.ascontiguousarray(small[..., ::-1]))
    return textures


@dataclass(frozen=True)
class Scene:
    """One training picture and its faces."""

    picture: Picture
    """(S, S, 3) RGB."""
    boxes_xyxy: Floats
    """(M, 4)."""
    landmarks: Floats
    """(M, 5, 2)."""
    wanted: NDArray[np.bool_]
    """(M,) False for what is neither learnt nor punished: tiny, half-hidden or cut-off faces."""


class SceneMaker:
    """Makes scene after scene from a bank of faces; holds the textures, nothing that changes."""

    def __init__(self, bank: FaceBank, textures: Sequence[Picture], *, size_px: int = 320) -> None:
        """Keeps references only.

        Args:
            bank: faces to paste.
            textures: pictures without faces, for backgrounds.
            size_px: height and width of a scene.
        """
        self.bank, self.textures, self.size_px = bank, list(textures), size_px
        chances = asymmetry(bank.landmarks).clip(0.05, 0.5) * _share_of_copies(len(bank.pictures))
        self._chances = np.cumsum(chances) / chances.sum() * (1 + 1e-9)

    def make(self, rng: np.random.Generator) -> Scene:
        """Composes and spoils one scene."""
        picture = self._background(rng)
        for _ in range(rng.integers(0, 4)):
            self._paste_decoy(rng, picture)
        return self._finish(rng, picture, self._layout(rng))

    def make_portrait(self, rng: np.random.Generator, size: float) -> Scene:
        """A scene with one face in its middle.

        Args:
            rng: source of all choices.
            size: square root of the face box's area, in pixels.
        """
        picture = self._background(rng)
        x, y = self.size_px / 2 + rng.uniform(-0.1, 0.1, 2) * size
        return self._finish(rng, picture, [(x, y, size)])

    def make_empty(
        self, rng: np.random.Generator
    ) -> tuple[Scene, list[tuple[float, float, float]]]:
        """A scene full of what is no face, and where it lies (x, y and side, in pixels)."""
        picture = self._background(rng)
        places = [self._paste_decoy(rng, picture) for _ in range(rng.integers(1, 6))]
        return self._finish(rng, picture, []), places

    def _finish(
        self, rng: np.random.Generator, picture: Picture, layout: list[tuple[float, float, float]]
    ) -> Scene:
        boxes, landmarks, wanted = [], [], []
        owners = np.full(picture.shape[:2], -1, np.int16)
        for number, (x, y, size) in enumerate(layout):
            box, points = self._paste_face(rng, picture, owners, number, (x, y), size)
            boxes.append(box)
            landmarks.append(points)
        self._occlude(rng, picture, owners, boxes)
        if rng.random() < 0.12:
            _draw_bars(rng, picture, owners)
        for number, box in enumerate(boxes):
            wanted.append(self._is_wanted(owners, number, box, landmarks[number]))
        picture = spoil(rng, picture)
        return Scene(
            picture,
            np.clip(np.array(boxes, np.float32).reshape(-1, 4), -0.5, self.size_px - 0.5),
            np.array(landmarks, np.float32).reshape(-1, 5, 2),
            np.array(wanted, bool),
        )

    def _layout(self, rng: np.random.Generator) -> list[tuple[float, float, float]]:
        """Centres and sizes (square root of the box's area), small ones first: in a crowd, large
        heads hide those behind them."""
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
        picture: Picture,
        owners: NDArray[np.int16],
        number: int,
        centre: tuple[float, float],
        size: float,
    ) -> tuple[Floats, Floats]:
        index = int(np.searchsorted(self._chances, rng.random(), side="right"))
        face, matte = np.array(self.bank.pictures[index]), np.array(self.bank.mattes[index])
        box, points = np.array(self.bank.boxes_xyxy[index]), np.array(self.bank.landmarks[index])
        if rng.random() < 0.5:
            face, matte = face[:, ::-1], matte[:, ::-1]
            box = np.array([BANK_PX - 1 - box[2], box[1], BANK_PX - 1 - box[0], box[3]])
            points = points[list(MIRRORED_LANDMARKS)] * [-1, 1] + [BANK_PX - 1, 0]
        if rng.random() < 0.6:
            face, matte, points = _warped(rng, face, matte, box, points)
        if rng.random() < 0.3:
            face = np.repeat(
                cv2.cvtColor(np.ascontiguousarray(face), cv2.COLOR_RGB2GRAY)[..., None], 3, 2
            )
        if rng.random() < 0.5:
            face = _retone(rng, face, 0.22)
        affine = _face_affine(rng, box, centre, size)
        mask = self._shape_matte(rng, matte, box)
        if rng.random() < 0.7 and mask is not None:
            _draw_body(rng, picture, owners, face, affine, box)
        _paste(picture, face, mask, affine, owners, number)
        return _ellipse_box(box, affine), (points @ affine[:, :2].T + affine[:, 2]).astype(
            np.float32
        )

    def _shape_matte(self, rng: np.random.Generator, matte: Picture, box: Floats) -> Picture | None:
        """The person's matte, an ellipse round the head, or (None) the whole picture."""
        kind = rng.random()
        if kind < 0.65:
            return matte
        if kind < 0.80:
            return None
        centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2 - 0.08 * (box[3] - box[1]))
        grow = rng.uniform(0.5, 0.75)
        mask = np.zeros((BANK_PX, BANK_PX), np.uint8)
        _fill_ellipse(mask, centre, (grow * (box[2] - box[0]), grow * (box[3] - box[1])), 255)
        return np.asarray(cv2.blur(mask, (int(rng.integers(3, 15)),) * 2), np.uint8)

    def _occlude(
        self,
        rng: np.random.Generator,
        picture: Picture,
        owners: NDArray[np.int16],
        boxes: list[Floats],
    ) -> None:
        for box in boxes:
            if rng.random() > 0.35:
                continue
            width, height = box[2:] - box[:2]
            px = max(4, int(rng.uniform(0.3, 0.9) * max(width, height)))
            blob = _blob(rng, px) if rng.random() < 0.6 else np.full((px, px), 255, np.uint8)
            if rng.random() < 0.4:
                blob[:, : px // 3] = 0
            angle = rng.uniform(0, 2 * np.pi)
            x = (box[0] + box[2]) / 2 + np.cos(angle) * width * rng.uniform(0.35, 0.7)
            y = (box[1] + box[3]) / 2 + np.sin(angle) * height * rng.uniform(0.35, 0.7)
            shift = np.array([[1.0, 0, x - px / 2], [0, 1.0, y - px / 2]])
            _paste(picture, self._patch(rng, px), blob, shift, owners, -1)

    def _is_wanted(
        self, owners: NDArray[np.int16], number: int, box: Floats, points: Floats
    ) -> bool:
        x0, y0, x1, y1 = box
        inside = owners[max(0, int(y0)) : int(y1) + 1, max(0, int(x0)) : int(x1) + 1]
        area = (x1 - x0) * (y1 - y0)
        seen = np.count_nonzero(inside == number) / max(area, 1.0)
        in_frame = ((points > -2) & (points < self.size_px + 2)).all(1).mean()
        return bool(seen > 0.5 and in_frame >= 0.8 and min(x1 - x0, y1 - y0) >= 10)

    def _background(self, rng: np.random.Generator) -> Picture:
        s = self.size_px
        picture = self._patch(rng, s)
        for _ in range(int(rng.integers(0, 7))):
            px = int(rng.uniform(0.08, 0.8) * s)
            x, y = rng.uniform(-0.3 * px, s - 0.7 * px, 2)
            blob = _blob(rng, px) if rng.random() < 0.5 else None
            angle, stretch = rng.normal(0, 0.4), np.exp(rng.normal(0, 0.5))
            shift = _turn(angle, np.array([stretch, 1 / stretch]), px / 2, (x + px / 2, y + px / 2))
            _paste(picture, self._patch(rng, px), blob, shift)
        if rng.random() < 0.3:
            _draw_strokes(rng, picture)
        return picture

    def _patch(self, rng: np.random.Generator, px: int) -> Picture:
        """A square of texture without a whole face."""
        kind = rng.random()
        if kind < 0.30:
            return _noise_patch(rng, px)
        if kind < 0.55 and self.textures:
            return _crop_resized(rng, self.textures[int(rng.integers(len(self.textures)))], px)
        face = np.asarray(self.bank.pictures[int(rng.integers(len(self.bank.pictures)))])
        if kind < 0.75:
            return _shuffled(rng, face, px)
        if kind < 0.9:
            strip = _surroundings(rng, face)
            return _crop_resized(rng, strip, px, least=0.5)
        return _stretched_skin(rng, face, px)

    def _paste_decoy(
        self, rng: np.random.Generator, picture: Picture
    ) -> tuple[float, float, float]:
        """Something face-like that is none: an eye, an ear, a fist, a trinket, a bare head shape.

        Returns:
            x, y of its centre and its side, in pixels.
        """
        px = int(np.exp(rng.uniform(np.log(12), np.log(0.5 * self.size_px))))
        x, y = rng.uniform(0, self.size_px, 2)
        shift = _turn(rng.normal(0, 0.5), np.ones(2), px / 2, (x, y))
        index, kind = int(rng.integers(len(self.bank.pictures))), rng.random()
        face = np.asarray(self.bank.pictures[index])
        if kind < 0.4:
            _paste(picture, self._part(rng, index, px), _oval(px), shift)
        elif kind < 0.6:
            _paste(picture, _stretched_skin(rng, face, px), _blob(rng, px), shift)
        elif kind < 0.8:
            _paste(picture, _fist(rng, face, px), _blob(rng, px), shift)
        else:
            mask = _oval(px) if rng.random() < 0.5 else _blob(rng, px)
            _paste(picture, _trinket(rng, px), mask, shift)
        return float(x), float(y), float(px)

    def _part(self, rng: np.random.Generator, index: int, px: int) -> Picture:
        face, points = self.bank.pictures[index], self.bank.landmarks[index]
        box = self.bank.boxes_xyxy[index]
        ears = [(side, (box[1] + box[3]) / 2) for side in (box[0] - 8, box[2] + 8)]
        x, y = [*points, *ears][int(rng.integers(7))]
        half = rng.uniform(12, 30)
        x0, y0 = int(np.clip(x - half, 0, 196)), int(np.clip(y - half, 0, 196))
        part = face[y0 : y0 + int(2 * half), x0 : x0 + int(2 * half)]
        return np.asarray(cv2.resize(np.ascontiguousarray(part), (px, px)), np.uint8)


def asymmetry(landmarks: Floats) -> Floats:
    """(N,) how far the nose lies from between the eyes, in eye distances: 0 from the front."""
    apart = np.linalg.norm(landmarks[:, 1] - landmarks[:, 0], axis=1).clip(1e-3)
    along = (landmarks[:, 1] - landmarks[:, 0]) / apart[:, None]
    middle = landmarks[:, :2].mean(1)
    return np.asarray(np.abs(((landmarks[:, 2] - middle) * along).sum(1)) / apart)


def _share_of_copies(n: int) -> Floats:
    """(n,) weights by which heads as pictured, which are little asymmetric, make half of the faces,
    and `head_turn`'s copies the other; where the bank holds no copies, 1."""
    weights = np.ones(n, np.float32)
    if n % (1 + len(YAWS)) == 0:
        weights[: n // (1 + len(YAWS))] = 12.0
    return weights


def _warped(
    rng: np.random.Generator, face: Picture, matte: Picture, box: Floats, points: Floats
) -> tuple[Picture, Picture, Floats]:
    """Bends a face softly, so that where its parts lie is to be seen and not to be guessed from the
    others."""
    spread = float(rng.uniform(0.01, 0.07)) * float(box[2] - box[0])
    grid = rng.normal(0, spread, (5, 5, 2)).astype(np.float32)
    move = cv2.resize(grid, (BANK_PX, BANK_PX), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[:BANK_PX, :BANK_PX].astype(np.float32)
    bent = [
        cv2.remap(
            np.ascontiguousarray(picture), x - move[..., 0], y - move[..., 1],
            cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE,
        )
        for picture in (face, matte)
    ]  # fmt: skip
    column, row = np.clip(np.rint(points), 0, BANK_PX - 1).astype(int).T
    return bent[0], bent[1], (points + move[row, column]).astype(np.float32)


def _face_affine(
    rng: np.random.Generator, box: Floats, centre: tuple[float, float], size: float
) -> NDArray[np.float64]:
    """(2, 3) scene from picture: the box's centre goes to `centre`, its size to `size`, mostly
    upright, slightly squeezed."""
    angle = rng.uniform(-1.75, 1.75) if rng.random() < 0.25 else rng.normal(0, 0.2)
    own = float(np.sqrt((box[2] - box[0]) * (box[3] - box[1])))
    squeeze = np.exp(rng.normal(0, 0.07))
    scale = size / own * np.array([squeeze, 1 / squeeze])
    middle = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shear = np.array([[1.0, rng.normal(0, 0.1)], [0.0, 1.0]])
    linear = (turn * scale) @ shear
    return np.column_stack([linear, np.array(centre) - linear @ middle])


def _turn(
    angle: float, scale: NDArray[np.float64], middle: float, centre: tuple[float, float]
) -> NDArray[np.float64]:
    linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * scale
    return np.column_stack([linear, np.array(centre) - linear @ np.full(2, middle)])


def _ellipse_box(box: Floats, affine: NDArray[np.float64]) -> Floats:
    """Upright box around the ellipse inscribed in `box`, after `affine`: how a turned face is boxed
    by people."""
    middle = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
    half = np.array([(box[2] - box[0]) / 2, (box[3] - box[1]) / 2])
    reach = np.sqrt(((affine[:, :2] * half) ** 2).sum(1))
    centre = affine[:, :2] @ middle + affine[:, 2]
    return np.concatenate([centre - reach, centre + reach]).astype(np.float32)


def _paste(
    picture: Picture,
    source: Picture,
    mask: Picture | None,
    affine: NDArray[np.float64],
    owners: NDArray[np.int16] | None = None,
    number: int = 0,
) -> None:
    """Warps `source` by `affine` into `picture`, in place, through `mask` (None: all of it)."""
    height, width = source.shape[:2]
    corners = (
        np.array([[0, 0], [width, 0], [0, height], [width, height]]) @ affine[:, :2].T
        + affine[:, 2]
    )
    x0, y0 = np.maximum(np.floor(corners.min(0)), 0).astype(int)
    x1, y1 = np.minimum(np.ceil(corners.max(0)) + 1, [picture.shape[1], picture.shape[0]]).astype(
        int
    )
    if x1 <= x0 or y1 <= y0:
        return
    source, mask, local = _preshrunk(source, mask, affine)
    local[:, 2] -= [x0, y0]
    size = (int(x1 - x0), int(y1 - y0))
    warped = cv2.warpAffine(
        source, local, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    alpha = cv2.warpAffine(mask, local, size, flags=cv2.INTER_LINEAR)
    region = picture[y0:y1, x0:x1]
    weight = alpha.astype(np.float32) * np.float32(1 / 255)
    region[:] = cv2.blendLinear(warped, np.ascontiguousarray(region), weight, 1 - weight)
    if owners is not None:
        owners[y0:y1, x0:x1][alpha > 127] = number


def _preshrunk(
    source: Picture, mask: Picture | None, affine: NDArray[np.float64]
) -> tuple[Picture, Picture, NDArray[np.float64]]:
    """Shrinks by area first, where the affine would alias."""
    if mask is None:
        mask = np.full(source.shape[:2], 255, np.uint8)
    affine = affine.copy()
    scale = float(np.sqrt(abs(np.linalg.det(affine[:, :2]))))
    if scale < 0.6:
        px = max(4, round(source.shape[0] * scale))
        factor = source.shape[0] / px
        source = cv2.resize(np.ascontiguousarray(source), (px, px), interpolation=cv2.INTER_AREA)
        mask = cv2.resize(np.ascontiguousarray(mask), (px, px), interpolation=cv2.INTER_AREA)
        affine[:, 2] += affine[:, :2] @ np.full(2, factor / 2 - 0.5)
        affine[:, :2] *= factor
    return np.ascontiguousarray(source), np.ascontiguousarray(mask), affine


def _draw_body(
    rng: np.random.Generator,
    picture: Picture,
    owners: NDArray[np.int16],
    face: Picture,
    affine: NDArray[np.float64],
    box: Floats,
) -> None:
    """A torso below a face, in the colours of its picture's lower edge, so that shoulders do not
    end in mid-air."""
    edge = face[-6:]
    left, right = edge[:, :128].reshape(-1, 3).mean(0), edge[:, 128:].reshape(-1, 3).mean(0)
    colour = tuple(int(c) for c in (left if rng.random() < 0.5 else right) * rng.uniform(0.7, 1.2))
    middle = (box[0] + box[2]) / 2
    spread = rng.uniform(0.8, 1.6) * (box[2] - box[0])
    outline = [
        (middle - 45, 215),
        (middle + 45, 215),
        (middle + spread, 275),
        (middle + spread, 560),
    ]
    outline += [(middle - spread, 560), (middle - spread, 275)]
    points = np.array(outline) @ affine[:, :2].T + affine[:, 2]
    corners = [np.round(points).astype(np.int32)]
    cv2.fillPoly(picture, corners, tuple(min(c, 255) for c in colour))
    cv2.fillPoly(owners, corners, -1)


def _blob(rng: np.random.Generator, px: int) -> Picture:
    """Mask with a smooth random outline."""
    field = cv2.resize(
        rng.normal(0, 1, (5, 5)).astype(np.float32), (px, px), interpolation=cv2.INTER_CUBIC
    )
    ramp = np.linspace(-1.5, 1.5, px, dtype=np.float32) ** 2
    field = field + 0.9 - ramp[:, None] - ramp[None, :]
    return np.asarray(np.clip(field * rng.uniform(100, 1500), 0, 255), np.uint8)


def _oval(px: int) -> Picture:
    mask = np.zeros((px, px), np.uint8)
    cv2.ellipse(mask, ((px / 2, px / 2), (px * 0.85, px * 0.85), 0.0), 255, -1)
    return np.asarray(cv2.blur(mask, (max(1, px // 6),) * 2), np.uint8)


def _noise_patch(rng: np.random.Generator, px: int) -> Picture:
    """Colour gradient plus noise of a few octaves, sometimes striped."""
    full, px = px, max(8, px // 2)
    base = rng.uniform(0, 255, 3)
    total = np.zeros((px, px, 3), np.float32) + base.astype(np.float32)
    for cells in (2, 4, 9, 20, 48):
        if rng.random() < 0.55:
            amount = rng.uniform(5, 60)
            channels = 3 if rng.random() < 0.5 else 1
            grid = rng.normal(0, amount, (cells, cells, channels)).astype(np.float32)
            layer = cv2.resize(grid, (px, px), interpolation=cv2.INTER_CUBIC).reshape(px, px, -1)
            total += layer
    if rng.random() < 0.15:
        angle, pitch = rng.uniform(0, np.pi), rng.uniform(4, 40)
        y, x = np.mgrid[:px, :px].astype(np.float32)
        wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * (2 * np.pi / pitch))
        total += (np.sign(wave) if rng.random() < 0.5 else wave)[..., None] * rng.uniform(10, 70)
    small = np.asarray(np.clip(total, 0, 255), np.uint8)
    return np.asarray(cv2.resize(small, (full, full)), np.uint8)


def _crop_resized(
    rng: np.random.Generator, source: Picture, px: int, *, least: float = 0.15
) -> Picture:
    height, width = source.shape[:2]
    side = max(8, int(min(height, width) * rng.uniform(least, 1.0)))
    y, x = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    crop = np.ascontiguousarray(source[y : y + side, x : x + side])
    method = cv2.INTER_AREA if side > px else cv2.INTER_LINEAR
    crop = cv2.resize(crop, (px, px), interpolation=method)
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    if rng.random() < 0.2:
        crop = crop.transpose(1, 0, 2)
    return _retone(rng, crop, 0.4)


def _retone(rng: np.random.Generator, picture: Picture, amount: float) -> Picture:
    """Random gain, offset and gamma for each channel, mostly in common."""
    common, own = rng.normal(0, amount, 3), rng.normal(0, amount / 3, (3, 3))
    ramp = np.arange(256, dtype=np.float32) / 255
    gain, offset, gamma = (common[:, None] + own).astype(np.float32)
    curve = ramp[:, None] ** np.exp(gamma) * np.exp(0.6 * gain) + 0.3 * offset
    table = np.clip(curve * 255, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(np.ascontiguousarray(picture), table.reshape(256, 1, 3)), np.uint8)


def _shuffled(rng: np.random.Generator, face: Picture, px: int) -> Picture:
    """A face picture cut in tiles and dealt anew, some turned: a face's textures, no face."""
    tile = int(rng.choice([32, 64]))
    n = BANK_PX // tile
    tiles = face.reshape(n, tile, n, tile, 3).swapaxes(1, 2).reshape(n * n, tile, tile, 3)
    tiles = tiles[rng.permutation(n * n)]
    if rng.random() < 0.5:
        tiles = tiles[:, ::-1] if rng.random() < 0.5 else tiles.swapaxes(1, 2)
    mosaic = tiles.reshape(n, n, tile, tile, 3).swapaxes(1, 2).reshape(BANK_PX, BANK_PX, 3)
    return _crop_resized(rng, mosaic, px, least=0.3)


def _surroundings(rng: np.random.Generator, face: Picture) -> Picture:
    """Background or clothes from the border of a face picture, mirrored into a square."""
    kind = int(rng.integers(3))
    if kind == 2:
        strip = np.rot90(face[212:], int(rng.choice([0, 2])))
        return np.ascontiguousarray(np.concatenate([strip, strip[::-1], strip, strip[::-1]]))
    strip = face[:, :40] if kind else face[:, -40:]
    return np.ascontiguousarray(np.concatenate([strip, strip[:, ::-1]] * 3, 1))


def _stretched_skin(rng: np.random.Generator, face: Picture, px: int) -> Picture:
    """Cheek, forehead or hair texture stretched to a square, softly shaded."""
    y, x = [(150, 80), (75, 110), (8, 100), (150, 150)][int(rng.integers(4))]
    piece = cv2.resize(
        np.ascontiguousarray(face[y : y + 24, x : x + 24]), (px, px), interpolation=cv2.INTER_CUBIC
    )
    shade = cv2.resize(
        rng.normal(0, 25, (3, 3, 1)).astype(np.float32), (px, px), interpolation=cv2.INTER_CUBIC
    )
    return np.asarray(np.clip(piece + shade.reshape(px, px, 1), 0, 255), np.uint8)


def _fist(rng: np.random.Generator, face: Picture, px: int) -> Picture:
    """Skin with a few dark creases, as between fingers."""
    patch = _stretched_skin(rng, face, px).copy()
    shade = tuple(int(c) for c in patch.reshape(-1, 3).mean(0) * rng.uniform(0.3, 0.7))
    angle = rng.uniform(0, np.pi)
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    for place in np.arange(-2, 3) * rng.uniform(0.12, 0.22) + rng.normal(0, 0.03):
        bend = across * rng.normal(0, 0.08)
        path = [
            px * (0.5 + place * across + t * 0.3 * along + (1 - t * t) * bend) for t in (-1, 0, 1)
        ]
        points = np.round(np.array(path)).astype(np.int32)
        cv2.polylines(patch, [points], False, shade, max(1, px // 24), cv2.LINE_AA)
    return np.asarray(cv2.blur(patch, (max(1, px // 20),) * 2), np.uint8)


def _trinket(rng: np.random.Generator, px: int) -> Picture:
    """A patch with a few dark and bright spots anywhere: jewellery, pins, lamps."""
    base = rng.uniform(60, 255) * np.exp(rng.normal(0, 0.2, 3))
    patch = np.clip(base + _noise_patch(rng, px) * 0.2 - 25, 0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(2, 8))):
        x, y = (int(v) for v in rng.uniform(0.15, 0.85, 2) * px)
        shade = tuple(int(c) for c in np.clip(base * rng.choice([0.15, 0.4, 1.6]), 0, 255))
        size = (int(px * rng.uniform(0.03, 0.15)) + 1, int(px * rng.uniform(0.03, 0.15)) + 1)
        cv2.ellipse(patch, (x, y), size, float(rng.uniform(0, 180)), 0, 360, shade, -1, cv2.LINE_AA)
    return np.asarray(cv2.blur(patch, (max(1, px // 14),) * 2), np.uint8)


def _draw_strokes(rng: np.random.Generator, picture: Picture) -> None:
    """Lines, boxes, circles and words."""
    s = picture.shape[0]
    for _ in range(int(rng.integers(1, 8))):
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        x0, y0, x1, y1 = (int(v) for v in rng.integers(0, s, 4))
        width = int(rng.integers(1, 6))
        kind = int(rng.integers(4))
        if kind == 0:
            cv2.line(picture, (x0, y0), (x1, y1), colour, width)
        elif kind == 1:
            cv2.rectangle(picture, (x0, y0), (x1, y1), colour, width if rng.random() < 0.6 else -1)
        elif kind == 2:
            cv2.circle(
                picture,
                (x0, y0),
                int(rng.integers(2, 60)),
                colour,
                width if rng.random() < 0.6 else -1,
            )
        else:
            word = "".join(chr(c) for c in rng.integers(48, 123, int(rng.integers(2, 14))))
            font = int(rng.integers(0, 8))
            cv2.putText(
                picture, word, (x0 // 2, y0), font, float(rng.uniform(0.4, 2.5)), colour, width
            )


def spoil(rng: np.random.Generator, picture: Picture) -> Picture:
    """What lenses, film, broadcasting and compression do, each with its own probability.

    Args:
        rng: source of all choices.
        picture: (H, W, 3) RGB.

    Returns:
        A picture of the same size.
    """
    harm = float(rng.uniform(0, 1.5))
    steps: tuple[tuple[float, Callable[[np.random.Generator, Picture], Picture]], ...] = (
        (0.6, lambda r, p: _retone(r, p, 0.16)),
        (0.25, _darkened),
        (0.4, _monochrome),
        (0.4, _blurred),
        (0.35, _rescaled),
        (0.15, _vignetted),
        (0.4, _noisy),
        (0.12, _scratched),
        (0.6, _compressed),
    )
    for chance, step in steps:
        if rng.random() < chance * harm:
            picture = step(rng, picture)
    return np.ascontiguousarray(picture)


def _darkened(rng: np.random.Generator, picture: Picture) -> Picture:
    return np.asarray(picture * rng.uniform(0.1, 0.6), np.uint8)


def _monochrome(rng: np.random.Generator, picture: Picture) -> Picture:
    weights = rng.dirichlet([3.0, 6.0, 1.5]).astype(np.float32)
    grey = cv2.transform(picture, weights[None])
    tint = np.exp(rng.normal(0, 0.08, 3)) if rng.random() < 0.3 else np.ones(3)
    return np.asarray(np.clip(grey.reshape(*picture.shape[:2], 1) * tint, 0, 255), np.uint8)


def _blurred(rng: np.random.Generator, picture: Picture) -> Picture:
    if rng.random() < 0.7:
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.4, 2.2))), np.uint8)
    length = int(rng.integers(3, 10))
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    reach = np.array([np.cos(angle), np.sin(angle)]) * (length - 1) / 2
    ends = [np.round((length - 1) / 2 + sign * reach).astype(int) for sign in (-1, 1)]
    cv2.line(kernel, ends[0].tolist(), ends[1].tolist(), 1.0)
    return np.asarray(cv2.filter2D(picture, -1, kernel / kernel.sum()), np.uint8)


def _rescaled(rng: np.random.Generator, picture: Picture) -> Picture:
    """Down and up again: the softness of small originals."""
    s = picture.shape[0]
    px = int(s * rng.uniform(0.35, 0.9))
    down, up = (int(rng.choice([0, 1, 2, 3])) for _ in range(2))
    methods = (cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA)
    small = cv2.resize(picture, (px, px), interpolation=methods[max(down, 1)])
    return np.asarray(cv2.resize(small, (s, s), interpolation=methods[max(up, 1)]), np.uint8)


def _vignetted(rng: np.random.Generator, picture: Picture) -> Picture:
    ramp = np.linspace(-1, 1, picture.shape[0], dtype=np.float32) ** 2
    fall = 1 - rng.uniform(0.2, 0.5) * (ramp[:, None] + ramp[None, :])
    return np.asarray(np.clip(picture * fall[..., None], 0, 255), np.uint8)


def _noisy(rng: np.random.Generator, picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    coarse = int(rng.choice([1, 1, 2]))
    channels = 1 if rng.random() < 0.5 else 3
    table = rng.integers(-128, 128, (height // coarse, width // coarse, channels), dtype=np.int8)
    amount = float(np.exp(rng.uniform(np.log(2), np.log(28)))) / 74.0
    grain = cv2.resize(table.astype(np.float32) * amount, (width, height)).reshape(
        height, width, -1
    )
    return np.asarray(np.clip(picture + grain, 0, 255), np.uint8)


def _scratched(rng: np.random.Generator, picture: Picture) -> Picture:
    picture = picture.copy()
    s = picture.shape[0]
    for _ in range(int(rng.integers(1, 6))):
        x, value = int(rng.integers(s)), int(rng.choice([20, 235]))
        cv2.line(picture, (x, 0), (x + int(rng.integers(-4, 5)), s), (value,) * 3, 1)
    for _ in range(int(rng.integers(0, 12))):
        x, y = (int(v) for v in rng.integers(0, s, 2))
        cv2.circle(picture, (x, y), int(rng.integers(1, 4)), (int(rng.choice([15, 240])),) * 3, -1)
    return picture


def _draw_bars(rng: np.random.Generator, picture: Picture, owners: NDArray[np.int16]) -> None:
    """Black bars above and below, or left and right."""
    depth, shade = int(picture.shape[0] * rng.uniform(0.03, 0.14)), int(rng.integers(0, 24))
    upright = rng.random() < 0.6
    for canvas, value in ((picture, shade), (owners, -1)):
        view = canvas if upright else canvas.swapaxes(0, 1)
        view[:depth] = view[-depth:] = value


def _compressed(rng: np.random.Generator, picture: Picture) -> Picture:
    """JPEG, partly deblocked for some, as video decoders do."""
    quality = int(rng.uniform(12, 90))
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality]
    _, data = cv2.imencode(".jpg", picture, flags)
    coded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if quality < 40 and rng.random() < 0.6:
        coded = (
            cv2.bilateralFilter(coded, 5, 12, 3) if rng.random() < 0.5 else cv2.blur(coded, (2, 2))
        )
    return np.asarray(coded, np.uint8)


def scene_targets(scene: Scene) -> dict[str, NDArray[Any]]:
    """Pads a scene's faces to `MAX_FACES`, as the loader wants them.

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
