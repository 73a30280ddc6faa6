"""The pictures of the embedded pair's card, by a fixed rule: nothing is picked.

    python -m vidrestore.evaluation.card_pictures vidrestore/models/embedded

All are made from the demo's public-domain portrait. `generator.jpg` holds the first eight drawings
of the protocol `blind` with seed 0: what the network is given, its answer, and the portrait's crop.
`detector.jpg` holds the head turned aside, half hidden, tilted, small, in the dark: with the box
and the landmarks of every answer, or without where there is none.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from vidrestore.datasets.images import encode_jpeg
from vidrestore.demo.clip import portrait
from vidrestore.evaluation.conditions import CONDITIONS
from vidrestore.evaluation.detector import detect_scaled
from vidrestore.evaluation.protocols import find_protocol
from vidrestore.geometry import similarity_from_points
from vidrestore.models.interfaces import FaceDetector, FaceRestorer
from vidrestore.models.load import load_detector, load_restorer
from vidrestore.runtime.output_file import write_whole
from vidrestore.structs import Detections
from vidrestore.training.detector_data import BANK_PX, person_matte
from vidrestore.training.detector_data.profile_synthesis import rotate_head
from vidrestore.visual.label import draw_label

__all__ = ["detector_sheet", "generator_sheet"]

RGB = npt.NDArray[np.uint8]
_TILE_PX = 256
_YAWS = (-90, -60, -30, 30, 60, 90)
"""Degrees, positive to the picture's right."""


def generator_sheet(restorer: FaceRestorer, detector: FaceDetector, *, draws: int = 8) -> RGB:
    """Rows of input, answer and truth, two drawings side by side; (H, W, 3) RGB."""
    crop = _portrait_crop(restorer, detector)
    protocol = find_protocol("blind")
    tiles = []
    for index in range(draws):
        given = protocol.picture(crop, seed=0, index=index)
        batch = torch.from_numpy(np.ascontiguousarray(given.transpose(2, 0, 1)))[None]
        answer = restorer(batch)[0].numpy().transpose(1, 2, 0)
        row = [_shrunk(_bytes(picture)) for picture in (given, answer, crop)]
        tiles.append(np.concatenate(row, axis=1))
    return _in_columns(tiles, 2)


def detector_sheet(detector: FaceDetector) -> RGB:
    """Hard pictures with the detections drawn in, four side by side; (H, W, 3) RGB."""
    return _in_columns(
        [_draw_detections(detector, picture) for picture in _hard_pictures(detector)], 4
    )


def _portrait_crop(restorer: FaceRestorer, detector: FaceDetector) -> npt.NDArray[np.float32]:
    """(S, S, 3) in [0, 1], aligned as the restorer wants it."""
    picture = portrait()
    found = detect_scaled(detector, picture, None)
    matrix = similarity_from_points(restorer.template, found.landmarks[0])
    size = (restorer.size, restorer.size)
    crop = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_CUBIC)
    return np.asarray(crop, np.float32) / np.float32(255)


def _hard_pictures(detector: FaceDetector) -> Iterator[RGB]:
    """(256, 256, 3) each: six yaws, four halves hidden, two tilts, gray, dark, small, degraded."""
    picture = portrait()
    found = detect_scaled(detector, picture, None)
    box, points = found.boxes_xyxy[0], found.landmarks[0]
    side = 2.2 * float((box[2:] - box[:2]).max())
    low = (box[:2] + box[2:]) / 2 - side / 2
    scale = BANK_PX / side
    matrix = np.column_stack([np.eye(2) * scale, -low * scale])
    face = cv2.warpAffine(picture, matrix, (BANK_PX, BANK_PX), flags=cv2.INTER_CUBIC)
    box, points = (box - np.tile(low, 2)) * scale, (points - low) * scale
    box, points = box.astype(np.float32), points.astype(np.float32)
    matte = person_matte(face, box)
    for degrees in _YAWS:
        yield rotate_head(face, matte, box, points, float(np.deg2rad(degrees)))[0]
    x0, y0, x1, y1 = np.rint(box).astype(int)
    x, y = (x0 + x1) // 2, (y0 + y1) // 2
    for rows, columns in (
        (slice(None), slice(None, x)),
        (slice(None), slice(x, None)),
        (slice(y, None), slice(None)),
        (slice(None, y), slice(None)),
    ):
        hidden = face.copy()
        hidden[rows, columns] = (96, 112, 96)
        yield hidden
    for name in ("rotated-left", "rotated-right", "gray", "degraded"):
        condition = CONDITIONS[name]
        yield _shrunk(condition.rotate(condition.apply(face)))
    yield np.asarray(face * 0.12, np.uint8)
    small = np.full_like(face, 128)
    small[88:168, 88:168] = cv2.resize(face, (80, 80), interpolation=cv2.INTER_AREA)
    yield small


def _draw_detections(detector: FaceDetector, picture: RGB) -> RGB:
    """Draw the detections into the picture."""
    found: Detections = detect_scaled(detector, picture, None)
    drawn = np.ascontiguousarray(picture)
    for box, points, score in zip(found.boxes_xyxy, found.landmarks, found.scores, strict=True):
        x0, y0, x1, y1 = np.rint(box).astype(int).tolist()
        cv2.rectangle(drawn, (x0, y0), (x1, y1), (255, 160, 0), 1, cv2.LINE_AA)
        for x, y in np.rint(points).astype(int).tolist():
            cv2.circle(drawn, (x, y), 2, (0, 220, 255), -1, cv2.LINE_AA)
        draw_label(drawn, f"{score:.2f}", (x0, y0), scale=0.4, plate=(255, 160, 0))
    return drawn


def _in_columns(tiles: list[RGB], columns: int) -> RGB:
    tiles = tiles + [np.full_like(tiles[0], 255)] * (-len(tiles) % columns)
    edged = [np.pad(tile, ((0, 4), (0, 4), (0, 0)), constant_values=255) for tile in tiles]
    rows = [
        np.concatenate(edged[start : start + columns], axis=1)
        for start in range(0, len(edged), columns)
    ]
    return np.concatenate(rows)


def _shrunk(picture: RGB) -> RGB:
    """The picture inside a square of the tiles' side."""
    height, width = picture.shape[:2]
    scale = _TILE_PX / max(height, width)
    size = (round(width * scale), round(height * scale))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    tile = np.zeros((_TILE_PX, _TILE_PX, 3), np.uint8)
    tile[: size[1], : size[0]] = small
    return tile


def _bytes(picture: npt.NDArray[np.float32]) -> RGB:
    return np.asarray(np.rint(picture.clip(0, 1) * 255), np.uint8)


def _main() -> None:
    folder = Path(sys.argv[1])
    detector, restorer = load_detector("embedded"), load_restorer("embedded", precision="float32")
    sheets = {
        "generator.jpg": generator_sheet(restorer, detector),
        "detector.jpg": detector_sheet(detector),
    }
    for name, sheet in sheets.items():
        write_whole(folder / name, encode_jpeg(sheet, 88), overwrite=True)


if __name__ == "__main__":
    _main()
