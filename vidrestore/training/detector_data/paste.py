"""Placing faces in made-up scenes: affines, soft bending, pasting through masks, bodies, bars."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.training.detector_data.face_bank import BANK_PX
from vidrestore.training.detector_data.textures import draw_blob_mask, draw_fist, draw_skin

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]


def face_affine(
    rng: np.random.Generator, box: Floats, centre: tuple[float, float], size: float
) -> NDArray[np.float64]:
    """(2, 3) scene from picture: the box's centre goes to `centre`, its size to `size`, mostly
    upright, slightly squeezed.
    """
    angle = rng.uniform(-1.75, 1.75) if rng.random() < 0.06 else rng.normal(0, 0.2)
    own = float(np.sqrt((box[2] - box[0]) * (box[3] - box[1])))
    squeeze = np.exp(rng.normal(0, 0.07))
    scale = size / own * np.array([squeeze, 1 / squeeze])
    middle = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shear = np.array([[1.0, rng.normal(0, 0.1)], [0.0, 1.0]])
    linear = (turn * scale) @ shear
    return np.column_stack([linear, np.array(centre) - linear @ middle])


def turn(
    angle: float, scale: NDArray[np.float64], middle: float, centre: tuple[float, float]
) -> NDArray[np.float64]:
    """(2, 3) affine that turns by an angle in radians, scales, and moves `middle` to `centre`."""
    linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * scale
    return np.column_stack([linear, np.array(centre) - linear @ np.full(2, middle)])


def warp_face(
    rng: np.random.Generator, face: Image, matte: Image, box: Floats, points: Floats
) -> tuple[Image, Image, Floats]:
    """Bend a face softly, so that where its parts lie is to be seen and not to be guessed from the
    others.
    """
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
    moved = points
    for _ in range(4):  # What is at q came from q - move(q).
        column, row = np.clip(np.rint(moved), 0, BANK_PX - 1).astype(int).T
        moved = points + move[row, column]
    return bent[0], bent[1], moved.astype(np.float32)


def paste(
    picture: Image,
    source: Image,
    mask: Image | None,
    affine: NDArray[np.float64],
    owners: NDArray[np.int16] | None = None,
    number: int = 0,
) -> None:
    """Warp `source` by `affine` into `picture`, in place, through `mask` (None: all of it)."""
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
    source, mask, local = _shrink_first(source, mask, affine)
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


def _shrink_first(
    source: Image, mask: Image | None, affine: NDArray[np.float64]
) -> tuple[Image, Image, NDArray[np.float64]]:
    """Shrink by area first, where the affine would alias."""
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


def draw_body(
    rng: np.random.Generator,
    picture: Image,
    owners: NDArray[np.int16],
    face: Image,
    affine: NDArray[np.float64],
    box: Floats,
) -> None:
    """A torso below a face, in the colours of its picture's lower edge, so that shoulders do not
    end in mid-air.
    """
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


def draw_hand(
    rng: np.random.Generator,
    picture: Image,
    owners: NDArray[np.int16],
    face: Image,
    box: Floats,
) -> None:
    """A hand before chin or mouth, and its forearm below, with the skin of a face picture."""
    width, height = box[2:] - box[:2]
    px = max(4, int(rng.uniform(0.35, 0.65) * max(width, height)))
    x = (box[0] + box[2]) / 2 + rng.uniform(-0.35, 0.35) * width
    y = box[3] + rng.uniform(-0.15, 0.2) * height
    lean, reach = rng.normal(0, 0.5), rng.uniform(0.6, 1.6) * px
    elbow = (x - np.sin(lean) * reach, y + np.cos(lean) * reach)
    for patch, affine in (
        (draw_skin(rng, face, px), turn(lean, np.array([0.55, 1.6]), px / 2, elbow)),
        (draw_fist(rng, face, px), turn(lean, np.ones(2), px / 2, (x, y))),
    ):
        paste(picture, patch, draw_blob_mask(rng, px), affine, owners, -1)


def draw_bars(rng: np.random.Generator, picture: Image, owners: NDArray[np.int16]) -> None:
    """Black bars above and below, or left and right."""
    depth, shade = int(picture.shape[0] * rng.uniform(0.03, 0.14)), int(rng.integers(0, 24))
    upright = rng.random() < 0.6
    for canvas, value in ((picture, shade), (owners, -1)):
        view = canvas if upright else canvas.swapaxes(0, 1)
        view[:depth] = view[-depth:] = value
