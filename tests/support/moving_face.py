"""Makes videos in which a public-domain face moves by known affines.

The portrait that the package ships is cut out softly and drawn over a textured background, at
every frame where `display_from_portrait` puts it; so the truth is known to a fraction of a
pixel. Frames come as the decode stage would give them, in any coded orientation and pixel shape.

    moves = pan(75)
    frames = moving_face(moves, 1280, 720)
    truth = landmarks(moves)
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

import vidrestore
from vidrestore.geometry import apply, compose, compose_similarity, display_from_coded, invert
from vidrestore.stages._interpolation import moved_box
from vidrestore.structs import Array, Display, Face, Frame
from vidrestore.video.picture.samples import picture_from_av

__all__ = [
    "LANDMARKS",
    "PORTRAIT",
    "Moves",
    "landmarks",
    "looked_at",
    "moving_face",
    "pan",
    "placed",
    "shake",
    "still",
    "turn",
    "visit",
    "zoom",
]

PORTRAIT = Path(vidrestore.__file__).parent / "demo" / "astronaut.png"
"""336x336 RGB; see PROVENANCE.md beside it."""

LANDMARKS = np.array(
    [(147.2, 103.0), (190.0, 103.8), (168.7, 129.6), (145.9, 139.3), (190.0, 139.9)]
)
"""(5, 2): left eye, right eye, nose tip, mouth corners in pixels of the portrait."""

FACE_BOX = np.array([121.5, 56.0, 214.5, 177.0])
"""(4,) `xyxy` of the face in pixels of the portrait."""

Moves = list[Array]
"""One (2, 3) similarity `display_from_portrait` a frame."""

_HEAD = (168.0, 118.0)
"""Middle of the head in pixels of the portrait."""

_UPSIDE_DOWN = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 2 * _HEAD[1]]])


def placed(x: float, y: float, *, scale: float = 1.8, angle: float = 0.0) -> Array:
    """`display_from_portrait` with the middle of the head at (x, y), `angle` in radians."""
    move = compose_similarity(np.log(scale), angle, (0.0, 0.0))
    move[:, 2] = np.array([x, y]) - apply(move, _HEAD)
    return move


def still(count: int, x: float = 320, y: float = 240, scale: float = 1.8) -> Moves:
    """Nothing moves."""
    return [placed(x, y, scale=scale)] * count


def pan(count: int, speed_px: float = 3.0, x: float = 220, y: float = 240) -> Moves:
    """The face goes right, and slightly down, at a constant speed in pixels a frame."""
    return [placed(x + speed_px * t, y + 0.17 * speed_px * t) for t in range(count)]


def zoom(count: int, total: float = 1.8, x: float = 320, y: float = 240) -> Moves:
    """The face grows to `total` times its size at a constant rate."""
    return [placed(x, y, scale=1.3 * total ** (t / (count - 1))) for t in range(count)]


def shake(count: int, size_px: float = 12.0, x: float = 320, y: float = 240) -> Moves:
    """A hand-held camera: sines of 1 to 3 Hz at 25 frames a second."""
    seconds = np.arange(count) / 25
    dx = size_px * (np.sin(2 * np.pi * 1.1 * seconds) + 0.5 * np.sin(2 * np.pi * 2.7 * seconds))
    dy = size_px * (np.cos(2 * np.pi * 1.5 * seconds) + 0.4 * np.sin(2 * np.pi * 3.0 * seconds))
    angle = 0.03 * np.sin(2 * np.pi * 1.3 * seconds)
    return [placed(x + dx[t], y + dy[t], angle=angle[t]) for t in range(count)]


def turn(count: int, degrees: float = 25.0, x: float = 320, y: float = 240) -> Moves:
    """The head leans to one side and to the other, once in two seconds at 25 frames a second."""
    angle = np.radians(degrees) * np.sin(2 * np.pi * np.arange(count) / 50)
    return [placed(x, y, angle=a) for a in angle]


def visit(
    count: int, begin: int, frames: int, *, width: int = 640, y: float = 180, scale: float = 1.0
) -> Moves:
    """A face comes in at the right border and leaves again; it is away (infinitely far) before the
    frame `begin` and after `frames` of them, and in the middle of these its head is in the picture.
    """
    half = 95 * scale
    depth = 2 * half * np.sin(np.pi * (np.arange(count) - begin + 1) / (frames + 1))
    there = (np.arange(count) >= begin) & (np.arange(count) < begin + frames)
    return [
        placed(width + half - depth[t], y, scale=scale) if there[t] else np.full((2, 3), np.inf)
        for t in range(count)
    ]


def landmarks(moves: Sequence[Array]) -> Array:
    """True landmarks, (T, 5, 2) in display pixels."""
    return np.stack([apply(move, LANDMARKS) for move in moves])


def moving_face(
    moves: Sequence[Array] | Sequence[Sequence[Array]],
    width: int = 640,
    height: int = 480,
    *,
    sar: float = 1.0,
    matrix: Array | None = None,
    noise: float = 1.5,
    fps: float = 25,
    cuts: Sequence[int] = (),
    strangers: Sequence[int] = (),
    drift_px: tuple[float, float] = (0.0, 0.0),
    format: str = "yuv420p",
) -> list[Frame]:
    """Frames of one or several moving faces, as decoding would give them.

    Args:
        moves: `display_from_portrait` of every frame; or a list of such for several faces, the
            last one in front.
        width: coded width in pixels, even.
        height: coded height, even.
        sar: sample aspect ratio; the coded picture is squeezed so that it looks right.
        matrix: (2, 2) display matrix; the coded picture is turned so that it looks right.
        noise: standard deviation of the camera's noise, in 8-bit units; seeded.
        fps: frames per second.
        cuts: frames at which a new shot begins, besides the first; its background differs.
        strangers: numbers of the faces that look like somebody else: the portrait is drawn upside
            down and in other colours.
        drift_px: x and y by which the background moves from frame to frame, in display pixels.
        format: pixel format.
    """
    faces = [moves] if np.ndim(moves[0]) == 2 else list(moves)
    shown, display_width, display_height = display_from_coded(width, height, sar=sar, matrix=matrix)
    display = Display(display_width, display_height, shown)
    rng = np.random.default_rng(7)
    scene, frames = 0, []
    for index in range(len(faces[0])):
        scene += index in cuts
        placed_faces = [(face[index], number in strangers) for number, face in enumerate(faces)]
        # From the middle of the background, so that its ends do not come into the picture.
        away = index * np.array(drift_px) - 400.0 * any(drift_px)
        drifted = np.column_stack([np.eye(2), away])
        rgb = _drawn(placed_faces, invert(shown), width, height, scene, drifted)
        rgb = np.rint(rgb + rng.normal(0, noise, rgb.shape) if noise else rgb)
        video_frame = av.VideoFrame.from_ndarray(rgb.clip(0, 255).astype(np.uint8), format="rgb24")
        picture = picture_from_av(video_frame.reformat(format=format))
        time_base = Fraction(1, 90000)
        pts = round(index / Fraction(fps).limit_denominator(1001) / time_base)
        is_cut = index == 0 or index in cuts
        frames.append(Frame(index, pts, time_base, picture, display, is_cut=is_cut))
    return frames


def _drawn(
    moves: Sequence[tuple[Array, bool]],
    coded_from_display: Array,
    width: int,
    height: int,
    scene: int,
    drifted: Array,
) -> npt.NDArray[np.float32]:
    """(H, W, 3) coded picture, 0-255: faces over the background."""
    coded_from_background = compose(coded_from_display, drifted)
    canvas = _warped(_background(scene), coded_from_background, (0, 0, width, height))
    for move, is_stranger in moves:
        if np.isfinite(move).all():
            _draw_face(canvas, compose(coded_from_display, move), is_stranger)
    return canvas


def _draw_face(
    canvas: npt.NDArray[np.float32], coded_from_portrait: Array, is_stranger: bool
) -> None:
    portrait, mask = _portrait()
    if is_stranger:
        portrait = np.ascontiguousarray(portrait[..., ::-1])
        coded_from_portrait = compose(coded_from_portrait, _UPSIDE_DOWN)
    height, width = mask.shape
    corners = apply(coded_from_portrait, [(0, 0), (width, 0), (0, height), (width, height)])
    x0, y0 = np.clip(np.floor(corners.min(0)), 0, canvas.shape[1::-1]).astype(int)
    x1, y1 = np.clip(np.ceil(corners.max(0)), 0, canvas.shape[1::-1]).astype(int)
    if x1 <= x0 or y1 <= y0:
        return
    alpha = _warped(mask, coded_from_portrait, (x0, y0, x1, y1))[..., None]
    face = _warped(portrait, coded_from_portrait, (x0, y0, x1, y1))
    canvas[y0:y1, x0:x1] += alpha * (face - canvas[y0:y1, x0:x1])


def _warped(
    image: npt.NDArray[np.float32], move: Array, region: tuple[int, int, int, int]
) -> npt.NDArray[np.float32]:
    x0, y0, x1, y1 = region
    inside = compose(np.array([[1.0, 0, -x0], [0, 1.0, -y0]]), move)
    drawn = cv2.warpAffine(image, inside, (int(x1 - x0), int(y1 - y0)), flags=cv2.INTER_CUBIC)
    return np.asarray(drawn, np.float32)


@functools.cache
def _portrait() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The picture, (336, 336, 3) 0-255, and a soft mask of the head, (336, 336) 0-1."""
    bgr = cv2.imread(str(PORTRAIT), cv2.IMREAD_COLOR)
    assert bgr is not None, f"{PORTRAIT} is missing"
    y, x = np.mgrid[: bgr.shape[0], : bgr.shape[1]]
    radius = np.hypot((x - 169) / 84, (y - 104) / 100)
    mask = np.clip((1.04 - radius) / 0.08, 0, 1)
    return bgr[..., ::-1].astype(np.float32), mask.astype(np.float32)


@functools.cache
def _background(scene: int) -> npt.NDArray[np.float32]:
    """(1500, 1500, 3) smooth clouds with fine texture, another one for each scene."""
    rng = np.random.default_rng(100 + scene)
    picture = np.full((1500, 1500, 3), rng.uniform(70, 160, 3), np.float32)
    for cell, strength in ((300, 45), (60, 22), (12, 9)):
        cells = 1500 // cell + 2
        coarse = strength * (
            rng.normal(size=(cells, cells, 1)) + rng.normal(0, 0.2, (cells, cells, 3))
        )
        picture += cv2.resize(
            coarse.astype(np.float32), (1500, 1500), interpolation=cv2.INTER_CUBIC
        )
    return picture.clip(0, 255)


def looked_at(
    frames: Sequence[Frame],
    *faces: Sequence[Array],
    every: int = 5,
    noise_px: float = 0.0,
    missed: Sequence[tuple[int, int]] = (),
    seed: int = 0,
) -> list[Frame]:
    """The frames as the detect stage would leave them, with a detector that knows the truth.

    Args:
        frames: from `moving_face`.
        faces: the `moves` of each face.
        every: looks at one in so many frames, from the last cut on.
        noise_px: standard deviation of its error, for each coordinate of each landmark.
        missed: (frame, number of the face) that it does not see.
        seed: of the noise.
    """
    rng = np.random.default_rng(seed)
    since, seen = 0, []
    for index, frame in enumerate(frames):
        since = 0 if frame.is_cut else since + 1
        found = []
        for number, moves in enumerate(faces):
            error = rng.normal(0, 1, (5, 2)) * noise_px
            if np.isfinite(moves[index]).all() and (index, number) not in missed:
                box = moved_box(FACE_BOX, moves[index])
                found.append(Face(box, apply(moves[index], LANDMARKS) + error, 0.9))
        look = since % every == 0
        seen.append(replace(frame, detected=look, faces=tuple(found) if look else ()))
    return seen
