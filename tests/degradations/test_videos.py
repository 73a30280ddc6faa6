"""A degraded video keeps its frames, times, sound and format."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from videos import Audio, make_video, packets_of, picture, times_of

from vidrestore.degradations import load_recipe
from vidrestore.degradations.recipe import Recipe
from vidrestore.degradations.recipe_files import parse_recipe
from vidrestore.degradations.videos import (
    degrade_video,
    degraded_frames,
    samples_of_rgb,
)
from vidrestore.structs import Frame
from vidrestore.video.picture.samples import picture_from_av, region_to_rgb

RATE = Fraction(1, 1000)
PTS = [0, 40, 75, 120, 160, 230, 240, 280, 320, 360]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten frames at uneven times, with sound."""
    path = tmp_path_factory.mktemp("videos") / "in.mp4"
    return make_video(path, pts=PTS, time_base=RATE, audio=[Audio(seconds=0.4)])


def degraded(src: Path, dst: Path, steps: Sequence[object], seed: int = 0) -> list[np.ndarray]:
    degrade_video(src, dst, parse_recipe({"steps": list(steps)}), seed=seed, threads=1)
    with av.open(str(dst)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.mark.parametrize("name", ["old_film", "vhs", "blind_video"])
def test_frames_times_and_sound_stay(video: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out.mp4"
    seen: list[tuple[int, int | None]] = []
    report = degrade_video(
        video, out, load_recipe(name), name=name, seed=2, threads=1,
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert times_of(out) == times_of(video)
    assert packets_of(out, 1) == packets_of(video, 1)
    assert report.frames == len(PTS) and [done for done, _ in seen] == list(range(1, 11))
    parse_recipe(report.drawn[0])


def test_the_same_seed_gives_the_same_bytes(video: Path, tmp_path: Path) -> None:
    steps = ["grain", "scratches", "flicker", "h264"]
    files = [tmp_path / f"{number}.mkv" for number in range(3)]
    for file, seed in zip(files, (5, 5, 6), strict=True):
        degrade_video(video, file, parse_recipe({"steps": steps}), seed=seed, threads=1)
    assert files[0].read_bytes() == files[1].read_bytes() != files[2].read_bytes()


def test_a_recipe_without_steps_keeps_every_sample(video: Path, tmp_path: Path) -> None:
    out = tmp_path / "same.mkv"
    from vidrestore.config import EncodeConfig

    degrade_video(video, out, Recipe(), encode=EncodeConfig(codec="ffv1"), threads=1)
    with av.open(str(video)) as a, av.open(str(out)) as b:
        for one, other in zip(a.decode(video=0), b.decode(video=0), strict=True):
            assert np.array_equal(one.to_ndarray(), other.to_ndarray())


def test_black_and_white_is_neutral(video: Path, tmp_path: Path) -> None:
    for frame in degraded(video, tmp_path / "bw.mp4", ["black_and_white", "grain"]):
        assert np.ptp(frame.astype(int), axis=2).max() <= 1


def test_codec_steps_see_the_whole_stream(video: Path, tmp_path: Path) -> None:
    fine = degraded(video, tmp_path / "fine.mp4", [{"h264": {"crf": 10, "preset": "fast"}}])
    bad = degraded(video, tmp_path / "bad.mp4", [{"h264": {"crf": 45, "preset": "fast"}}])
    with av.open(str(video)) as container:
        truth = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    for a, b, c in zip(fine, bad, truth, strict=True):
        assert np.abs(a - c.astype(float)).mean() < 4 < np.abs(b - c.astype(float)).mean()


def test_a_phones_video_is_degraded_upright(tmp_path: Path) -> None:
    """Fields are rows as shown, which are columns of the coded picture."""
    source = make_video(tmp_path / "phone.mp4", pts=range(4), rotation=(90, False))
    steps = [{"deinterlace": {"method": "double", "keep_top": True}}]
    for frame in degraded(source, tmp_path / "out.mp4", steps):
        image = frame.astype(float)
        across, down = image[:, 0::2] - image[:, 1::2], image[0::2] - image[1::2]
        assert np.abs(across).mean() < 0.5 * np.abs(down).mean()


@pytest.mark.parametrize(
    "pix_fmt",
    ["yuv420p", "yuvj444p", "nv12", "yuv422p10le", "p010le", "gray", "rgb24", "gbrp", "yuva420p"],
)
def test_samples_come_back_in_their_own_format(pix_fmt: str) -> None:
    like = picture_from_av(picture(0, 64, 48, pix_fmt))
    rgb, _ = region_to_rgb(like, 0, 0, 64, 48)
    image = np.ascontiguousarray(rgb.permute(1, 2, 0).numpy())
    back = samples_of_rgb(image, like)
    assert back.format == like.format
    again, _ = region_to_rgb(back, 0, 0, 64, 48)
    assert float((again - rgb).abs().mean()) < 0.02
    gray = np.full_like(image, 0.5)
    shown, _ = region_to_rgb(samples_of_rgb(gray, like), 0, 0, 64, 48)
    assert float((shown - 0.5).abs().max()) < 0.003
    assert torch.equal(like.planes[0], picture_from_av(picture(0, 64, 48, pix_fmt)).planes[0])


def test_memory_is_bounded(video: Path) -> None:
    """Frames leave while others still come in."""
    read = 0

    def endless():
        nonlocal read
        samples = picture_from_av(picture(0, 64, 48))
        for index in range(300):
            read += 1
            yield Frame(index, index, RATE, samples, None)  # type: ignore[arg-type]

    drawn = load_recipe("vhs").draw(np.random.default_rng(0))
    for given_back, frame in enumerate(degraded_frames(endless(), drawn, 0), start=1):
        assert frame.index == given_back - 1
        assert read - given_back < 80
        if given_back == 150:
            break
