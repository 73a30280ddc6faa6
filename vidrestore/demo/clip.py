"""A small old-looking clip with sound, made from one public-domain portrait.

The portrait is moved by a known affine per frame, then degraded as an old recording is: lost
detail, noise, strong compression. Same arguments, same frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from importlib import resources
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from vidrestore.geometry import compose, compose_similarity
from vidrestore.structs import Array
from vidrestore.video.write.x264 import set_x264_threads, x264_options

__all__ = ["make_clip", "motion", "portrait", "sharp_frames"]

Image = npt.NDArray[np.uint8]

WIDTH, HEIGHT = 640, 480
FACE_CENTRE = (222.0, 112.0)
"""Where the face lies in the portrait, in pixels."""
RATE = Fraction(25)
SAMPLE_RATE = 48_000


def portrait() -> Image:
    """The astronaut portrait, (H, W, 3) uint8 RGB. Provenance: PROVENANCE.md beside it."""
    data = resources.files("vidrestore.demo").joinpath("astronaut.png").read_bytes()
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if bgr is None:
        raise OSError("the demo's portrait is damaged; install the package again")
    return np.ascontiguousarray(bgr[..., ::-1])


def motion(index: int) -> Array:
    """(2, 3) `frame_from_portrait` of frame `index`: a slow sway, nod and zoom."""
    seconds = index / float(RATE)
    scale = 1.75 + 0.12 * np.sin(2 * np.pi * seconds / 4)
    angle = np.deg2rad(5) * np.sin(2 * np.pi * seconds / 3)
    centre = (
        WIDTH / 2 + 40 * np.sin(2 * np.pi * seconds / 5),
        HEIGHT / 2 + 18 * np.sin(2 * np.pi * seconds / 2.5),
    )
    to_origin = np.array([[1.0, 0.0, -FACE_CENTRE[0]], [0.0, 1.0, -FACE_CENTRE[1]]])
    return compose(compose_similarity(float(np.log(scale)), float(angle), centre), to_origin)


def sharp_frames(count: int) -> Iterator[Image]:
    """The moved portrait before degradation, (HEIGHT, WIDTH, 3) uint8 RGB."""
    picture = portrait()
    for index in range(count):
        yield cv2.warpAffine(
            picture,
            motion(index),
            (WIDTH, HEIGHT),
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REFLECT,
        )


def make_clip(path: Path, *, seconds: float = 4.0, shrink: float = 2.5, noise: float = 5.0) -> int:
    """Write the degraded clip, H.264 with AAC sound, and return its number of frames.

    Args:
        path: an mp4, mov or mkv file, replaced if it exists.
        seconds: length.
        shrink: detail is lost by making the picture this much smaller and larger again.
        noise: standard deviation of Gaussian noise, of 255.
    """
    count = max(1, round(seconds * float(RATE)))
    generator = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "vidrestore demo"
        options = {"crf": "27", **x264_options()}
        video = container.add_stream("libx264", rate=RATE, options=options)
        set_x264_threads(video.codec_context)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
        for samples in _sound_frames(count / float(RATE)):
            container.mux(sound.encode(samples))
        container.mux(sound.encode(None))
        for index, image in enumerate(sharp_frames(count)):
            frame = av.VideoFrame.from_ndarray(_degrade(image, shrink, noise, generator), "rgb24")
            frame.pts, frame.time_base = index, 1 / RATE
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return count


def _degrade(image: Image, shrink: float, noise: float, generator: np.random.Generator) -> Image:
    size = round(WIDTH / shrink), round(HEIGHT / shrink)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    small += generator.normal(0, noise, small.shape).astype(np.float32)
    large = cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    degraded: Image = np.clip(np.rint(large), 0, 255).astype(np.uint8)
    return degraded


def _sound_frames(seconds: float) -> Iterator[av.AudioFrame]:
    """A soft chord that swells once a second, in frames of 1024 samples."""
    count = round(seconds * SAMPLE_RATE)
    times = np.arange(count) / SAMPLE_RATE
    swell = 0.25 * np.sin(np.pi * times) ** 2
    left = swell * sum(np.sin(2 * np.pi * hertz * times) for hertz in (220.0, 277.2, 329.6)) / 3
    right = swell * sum(np.sin(2 * np.pi * hertz * times) for hertz in (220.0, 329.6, 440.0)) / 3
    samples = np.stack([left, right]).astype(np.float32)
    for begin in range(0, count, 1024):
        chunk = np.ascontiguousarray(samples[:, begin : begin + 1024])
        frame = av.AudioFrame.from_ndarray(chunk, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = SAMPLE_RATE, begin
        frame.time_base = Fraction(1, SAMPLE_RATE)
        yield frame
