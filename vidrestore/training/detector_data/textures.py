"""What made-up scenes are made of besides faces: textures, drawn patches, and decoys that look a
little like faces: fists, trinkets, stretched skin, shuffled faces.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.errors import NotAvailableError
from vidrestore.training.detector_data.face_bank import BANK_PX

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]


TEXTURE_NAMES = (
    "brick.png", "cell.png", "chelsea.png", "clock_motion.png", "coffee.png", "coins.png",
    "color.png", "grass.png", "gravel.png", "horse.png", "hubble_deep_field.jpg", "ihc.png",
    "moon.png", "motorcycle_left.png", "page.png", "retina.jpg", "rocket.jpg", "text.png",
)  # fmt: skip
"""Pictures without people that scikit-image carries (public domain or CC0, see its
data/README.txt)."""


def load_textures(folder: Path) -> list[Image]:
    """Read those of `TEXTURE_NAMES` that are in scikit-image's data folder, longer side at most
    640 px, as RGB.
    """
    textures = []
    for name in TEXTURE_NAMES:
        picture = cv2.imread(str(folder / name))
        if picture is not None:
            scale = min(1.0, 640 / max(picture.shape[:2]))
            small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            textures.append(np.ascontiguousarray(small[..., ::-1]))
    return textures


def texture_folder() -> Path:
    """scikit-image's pictures, see its data/README.txt.

    Raises:
        NotAvailableError: it is not installed.
    """
    from importlib.util import find_spec

    package = find_spec("skimage")
    if package is None or package.origin is None:
        raise NotAvailableError(
            "not available: the package scikit-image, whose pictures are backgrounds, is not "
            'installed; pip install "vidrestore[train]", or, for a training, name a folder of '
            "pictures without faces by --set textures=FOLDER"
        )
    return Path(package.origin).parent / "data"


def draw_blob_mask(rng: np.random.Generator, px: int) -> Image:
    """Mask with a smooth random outline."""
    field = cv2.resize(
        rng.normal(0, 1, (5, 5)).astype(np.float32), (px, px), interpolation=cv2.INTER_CUBIC
    )
    ramp = np.linspace(-1.5, 1.5, px, dtype=np.float32) ** 2
    field = field + 0.9 - ramp[:, None] - ramp[None, :]
    return np.asarray(np.clip(field * rng.uniform(100, 1500), 0, 255), np.uint8)


def draw_oval_mask(px: int) -> Image:
    """Draw a soft disc, (px, px) uint8."""
    mask = np.zeros((px, px), np.uint8)
    cv2.ellipse(mask, ((px / 2, px / 2), (px * 0.85, px * 0.85), 0.0), 255, -1)
    return np.asarray(cv2.blur(mask, (max(1, px // 6),) * 2), np.uint8)


def draw_noise(rng: np.random.Generator, px: int) -> Image:
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


def crop_and_resize(
    rng: np.random.Generator, source: Image, px: int, *, least: float = 0.15
) -> Image:
    """Cut a drawn square of a picture and resize it to (px, px); `least` is of the shorter side."""
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
    return retone(rng, crop, 0.4)


def retone(rng: np.random.Generator, picture: Image, amount: float) -> Image:
    """Random gain, offset and gamma for each channel, mostly in common."""
    common, own = rng.normal(0, amount, 3), rng.normal(0, amount / 3, (3, 3))
    ramp = np.arange(256, dtype=np.float32) / 255
    gain, offset, gamma = (common[:, None] + own).astype(np.float32)
    curve = ramp[:, None] ** np.exp(gamma) * np.exp(0.6 * gain) + 0.3 * offset
    table = np.clip(curve * 255, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(np.ascontiguousarray(picture), table.reshape(256, 1, 3)), np.uint8)


def light_from_side(rng: np.random.Generator, picture: Image) -> Image:
    """Little light, and most of it from one side: a head in the dark of a hall."""
    axis = np.linspace(-1, 1, picture.shape[0], dtype=np.float32)
    way, fall = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 1.1)
    ramp = np.cos(way) * axis[None, :] + np.sin(way) * axis[:, None]
    light = np.exp(fall * ramp + rng.uniform(-1.8, 0.2)).astype(np.float32)
    return np.asarray(np.clip(picture * light[..., None], 0, 255), np.uint8)


def shuffle_face(rng: np.random.Generator, face: Image, px: int) -> Image:
    """A face picture cut in tiles and dealt anew, some turned: a face's textures, no face."""
    tile = int(rng.choice([32, 64]))
    n = BANK_PX // tile
    tiles = face.reshape(n, tile, n, tile, 3).swapaxes(1, 2).reshape(n * n, tile, tile, 3)
    tiles = tiles[rng.permutation(n * n)]
    if rng.random() < 0.5:
        tiles = tiles[:, ::-1] if rng.random() < 0.5 else tiles.swapaxes(1, 2)
    mosaic = tiles.reshape(n, n, tile, tile, 3).swapaxes(1, 2).reshape(BANK_PX, BANK_PX, 3)
    return crop_and_resize(rng, mosaic, px, least=0.3)


def cut_surroundings(rng: np.random.Generator, face: Image) -> Image:
    """Background or clothes from the border of a face picture, mirrored into a square."""
    kind = int(rng.integers(3))
    if kind == 2:
        strip = np.rot90(face[212:], int(rng.choice([0, 2])))
        return np.ascontiguousarray(np.concatenate([strip, strip[::-1], strip, strip[::-1]]))
    strip = face[:, :40] if kind else face[:, -40:]
    return np.ascontiguousarray(np.concatenate([strip, strip[:, ::-1]] * 3, 1))


def draw_skin(rng: np.random.Generator, face: Image, px: int) -> Image:
    """Cheek, forehead or hair texture stretched to a square, softly shaded."""
    y, x = [(150, 80), (75, 110), (8, 100), (150, 150)][int(rng.integers(4))]
    piece = cv2.resize(
        np.ascontiguousarray(face[y : y + 24, x : x + 24]), (px, px), interpolation=cv2.INTER_CUBIC
    )
    shade = cv2.resize(
        rng.normal(0, 25, (3, 3, 1)).astype(np.float32), (px, px), interpolation=cv2.INTER_CUBIC
    )
    return np.asarray(np.clip(piece + shade.reshape(px, px, 1), 0, 255), np.uint8)


def draw_fist(rng: np.random.Generator, face: Image, px: int) -> Image:
    """Skin with a few dark creases, as between fingers."""
    patch = draw_skin(rng, face, px).copy()
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


def draw_trinket(rng: np.random.Generator, px: int) -> Image:
    """A patch with a few dark and bright spots anywhere: jewellery, pins, lamps."""
    base = rng.uniform(60, 255) * np.exp(rng.normal(0, 0.2, 3))
    patch = np.clip(base + draw_noise(rng, px) * 0.2 - 25, 0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(2, 8))):
        x, y = (int(v) for v in rng.uniform(0.15, 0.85, 2) * px)
        shade = tuple(int(c) for c in np.clip(base * rng.choice([0.15, 0.4, 1.6]), 0, 255))
        size = (int(px * rng.uniform(0.03, 0.15)) + 1, int(px * rng.uniform(0.03, 0.15)) + 1)
        cv2.ellipse(patch, (x, y), size, float(rng.uniform(0, 180)), 0, 360, shade, -1, cv2.LINE_AA)
    return np.asarray(cv2.blur(patch, (max(1, px // 14),) * 2), np.uint8)


def draw_strokes(rng: np.random.Generator, picture: Image) -> None:
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
