"""Shot cuts are found where they are, and not where the light changes."""

from __future__ import annotations

import time
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest

from vidrestore.config import DecodeConfig
from vidrestore.video.picture.samples import picture_from_av
from vidrestore.video.read.reader import VideoReader
from vidrestore.video.read.shot_cuts import CutDetector, difference, thumbnail

THRESHOLD = DecodeConfig().cut_threshold


def scene(seed: int, width: int = 320, height: int = 180) -> npt.NDArray[np.float64]:
    """(height, width) luma 0 to 255 of an invented place: large soft shapes."""
    noise = np.random.default_rng(seed).uniform(0, 255, (6, 9))
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 255)


def shown(luma: npt.NDArray[np.float64], pix_fmt: str = "gray") -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(luma.clip(0, 255).astype(np.uint8), format="gray")
    return frame if pix_fmt == "gray" else frame.reformat(format=pix_fmt)


def cuts_of(pictures: list[npt.NDArray[np.float64]], pix_fmt: str = "gray") -> list[int]:
    detector = CutDetector(THRESHOLD)
    return [
        index
        for index, luma in enumerate(pictures)
        if detector.is_cut(picture_from_av(shown(luma, pix_fmt)))
    ]


@pytest.mark.parametrize("pix_fmt", ["gray", "yuv420p", "yuv420p10le", "gray16le", "rgb24", "nv12"])
def test_a_new_place_is_a_cut(pix_fmt: str) -> None:
    assert cuts_of([scene(0)] * 3 + [scene(1)] * 3 + [scene(2)], pix_fmt) == [0, 3, 6]


def test_flashes_fades_and_flicker_are_no_cuts() -> None:
    place = scene(3)
    flash = [place, place + 90, place * 0.4 + 150, place]
    fade = [place * level for level in (1.0, 0.7, 0.4, 0.2, 0.05, 0.0, 0.0, 0.05, 0.3, 1.0)]
    generator = np.random.default_rng(0)
    flicker = [place * generator.uniform(0.6, 1.2) + generator.uniform(-20, 20) for _ in range(20)]
    assert cuts_of(flash + fade + flicker) == [0]


def test_a_white_frame_is_no_cut() -> None:
    place = scene(4)
    assert cuts_of([place, np.full_like(place, 255.0), place]) == [0]


def test_noise_on_black_is_no_cut() -> None:
    generator = np.random.default_rng(1)
    assert cuts_of([generator.uniform(14, 20, (180, 320)) for _ in range(10)]) == [0]


def test_a_fast_pan_is_no_cut() -> None:
    wide = scene(5, width=960)
    assert cuts_of([wide[:, x : x + 320] for x in range(0, 600, 15)]) == [0]


def test_difference_is_a_share() -> None:
    a, b = (thumbnail(picture_from_av(shown(scene(seed)))) for seed in (6, 7))
    assert difference(a, a) == pytest.approx(0, abs=1e-6)
    assert 0 <= difference(a, b) <= 1
    assert difference(a, a * 0.5 + 0.2) == pytest.approx(0, abs=0.02)


def test_cuts_of_the_shared_clips(shared: Path) -> None:
    """Those of `crowd_cuts` are listed with the clips; `rotated` was looked at."""
    known = {"crowd_cuts": [20, 82, 211], "rotated": [90, 210]}
    for path in sorted((shared / "clips").glob("*.mp4")):
        with VideoReader(path, DecodeConfig()) as reader:
            cuts = [frame.index for frame in reader.frames() if frame.is_cut]
        assert cuts == [0, *known.get(path.stem, [])], path.name


def test_a_look_costs_little(shared: Path) -> None:
    with VideoReader(shared / "clips" / "hd720.mp4", DecodeConfig(end=0.2)) as reader:
        pictures = [frame.picture for frame in reader.frames()]
    detector = CutDetector(THRESHOLD)
    seconds = []
    for picture in pictures * 5:
        begun = time.perf_counter()
        detector.is_cut(picture)
        seconds.append(time.perf_counter() - begun)
    assert np.median(seconds) < 0.003, "1 ms on an idle machine, with room for a busy one"
