"""Every frame once, at its own time, with its own samples, whatever the file went through."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from videos import Audio, make_video, planes_of, times_of

from vidrestore.config import DecodeConfig
from vidrestore.errors import VideoDecodeError, VideoOpenError
from vidrestore.structs import Frame
from vidrestore.video.read.reader import VideoReader
from vidrestore.video.read.window import window_of

B_FRAMES = {"preset": "medium", "bf": "3", "g": "10"}


def read(path: Path, **config: float) -> list[Frame]:
    with VideoReader(path, DecodeConfig(**config), threads=2) as reader:
        return list(reader.frames())


def seconds(frames: list[Frame]) -> list[Fraction]:
    return [frame.pts * frame.time_base for frame in frames]


def test_frames_come_in_order_at_their_own_times(tmp_path: Path) -> None:
    times = [0, 1, 3, 4, 9, 10, 30, 31, 33, 60]
    path = make_video(
        tmp_path / "vfr.mp4", pts=times, time_base=Fraction(1, 30), rate=30, options=B_FRAMES
    )
    frames = read(path)
    assert [frame.index for frame in frames] == list(range(10))
    assert seconds(frames) == [Fraction(time, 30) for time in times] == times_of(path)
    assert frames[0].is_cut


def test_samples_are_the_decoders_own(tmp_path: Path) -> None:
    path = make_video(tmp_path / "clip.mp4", options=B_FRAMES)
    with av.open(str(path)) as container:
        expected = [planes_of(frame) for frame in container.decode(video=0)]
    frames = read(path)
    assert [planes_of(frame.picture.handle) for frame in frames] == expected
    assert frames[3].picture.planes[0].numpy().tobytes() == expected[3][0]


def test_the_last_frames_are_not_lost(tmp_path: Path) -> None:
    path = make_video(tmp_path / "long.mkv", pts=range(120), options=B_FRAMES)
    assert len(read(path)) == 120


def test_frames_outlive_the_file(tmp_path: Path) -> None:
    frames = read(make_video(tmp_path / "clip.mp4", pts=range(3)))
    assert all(frame.picture.planes[0].numpy().any() for frame in frames)


def test_reading_on_after_close_ends(tmp_path: Path) -> None:
    reader = VideoReader(make_video(tmp_path / "clip.mp4"), DecodeConfig())
    frames = reader.frames()
    next(frames)
    reader.close()
    assert list(frames) == []


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (1.0, 1.2, range(25, 30)),
        (0.99, 1.2, range(25, 30)),
        (1.0, 1.21, range(25, 31)),
        (None, 0.2, range(5)),
        (1.8, None, range(45, 50)),
        (0.0, 0.08, range(2)),
    ],
)
def test_start_and_end_give_exactly_the_frames_between(
    tmp_path: Path, suffix: str, start: float | None, end: float | None, expected: range
) -> None:
    path = make_video(tmp_path / f"clip{suffix}", pts=range(50), options=B_FRAMES)
    whole = [planes_of(frame.picture.handle) for frame in read(path)]
    frames = read(path, start=start, end=end)
    assert [whole.index(planes_of(frame.picture.handle)) for frame in frames] == list(expected)
    assert frames[0].is_cut
    assert [frame.index for frame in frames] == list(range(len(expected)))
    if start:
        steps = [Fraction(index, 25) for index in range(len(expected))]
        assert seconds(frames) == steps


def test_without_a_start_times_stay(tmp_path: Path) -> None:
    path = make_video(
        tmp_path / "late.ts",
        pts=[126000 + 3600 * i for i in range(10)],
        time_base=Fraction(1, 90000),
    )
    assert seconds(read(path))[0] == Fraction(126000, 90000)
    assert seconds(read(path, end=0.2)) == [Fraction(7, 5) + Fraction(i, 25) for i in range(5)]


def test_a_start_past_the_end_is_refused(tmp_path: Path) -> None:
    path = make_video(tmp_path / "clip.mp4")
    with pytest.raises(VideoOpenError, match=r"no frame from 7.0 s on.*1.00 s long"):
        VideoReader(path, DecodeConfig(start=7.0))
    with pytest.raises(VideoOpenError, match="nothing between"):
        VideoReader(path, DecodeConfig(start=0.5, end=0.5))


def test_an_end_before_the_first_picture_is_told(tmp_path: Path) -> None:
    path = make_video(tmp_path / "late.mkv", pts=range(25, 50), audio=[Audio(seconds=2)])
    with pytest.raises(VideoDecodeError, match=r"no frame before 0\.2 s"):
        read(path, end=0.2)


@settings(max_examples=25, deadline=None)
@given(start=st.floats(0, 1.9), length=st.floats(0.05, 1))
def test_windows_hold_what_lies_in_them(
    tmp_path_factory: pytest.TempPathFactory, start: float, length: float
) -> None:
    path = _shared_clip(tmp_path_factory)
    times = times_of(path)
    low, high = Fraction(repr(start)), Fraction(repr(start + length))
    inside = [time for time in times if low <= time < high]
    if not inside:
        with pytest.raises(VideoOpenError):
            VideoReader(path, DecodeConfig(start=start, end=start + length))
        return
    frames = read(path, start=start, end=start + length)
    shift = inside[0] if start else 0
    assert seconds(frames) == [time - shift for time in inside]


def _shared_clip(factory: pytest.TempPathFactory) -> Path:
    path = factory.getbasetemp() / "window.mp4"
    if not path.exists():
        make_video(path, pts=range(50), size=(32, 32), options=B_FRAMES)
    return path


def test_window_and_reader_agree_on_the_first_frame(tmp_path: Path) -> None:
    path = make_video(tmp_path / "clip.mkv", pts=range(50), options=B_FRAMES)
    with VideoReader(path, DecodeConfig(start=0.5)) as reader:
        assert reader.window == window_of(reader.info, 0.5, None)
        assert reader.window.first_pts == 520


def _video_packets(path: Path) -> list[tuple[int, int, int, bool]]:
    """(position, size, time, key frame) in file order."""
    with av.open(str(path)) as container:
        return [
            (packet.pos or 0, packet.size, packet.pts or 0, packet.is_keyframe)
            for packet in container.demux(video=0)
            if packet.size
        ]


def _with_packets_zeroed(path: Path, choose: Callable[[int, bool], bool]) -> tuple[Path, list[int]]:
    """A copy in which some packets are zeros; times of those."""
    data = bytearray(path.read_bytes())
    times = []
    for number, (position, size, pts, is_key) in enumerate(_video_packets(path)):
        if choose(number, is_key):
            data[position : position + size] = bytes(size)
            times.append(pts)
    broken = path.with_stem(f"{path.stem}_broken")
    broken.write_bytes(data)
    return broken, sorted(times)


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(
        tmp_path_factory.mktemp("long") / "long.mp4",
        pts=range(100),
        options=B_FRAMES,
        audio=[Audio(seconds=4)],
        muxer_options={"movflags": "faststart"},
    )


def test_broken_frames_repeat_the_last_good_one(long_clip: Path) -> None:
    broken, times = _with_packets_zeroed(long_clip, lambda n, key: n in (47, 62) and not key)
    assert len(times) == 2
    with VideoReader(broken, DecodeConfig()) as reader:
        frames = list(reader.frames())
        assert reader.frames_repaired == 2
        assert "2 frames that could not be decoded" in reader.notes[0]
    assert seconds(frames) == times_of(long_clip)
    assert [frame.pts for frame in frames if frame.repaired] == times
    for before, frame in pairwise(frames):
        if frame.repaired:
            assert frame.picture is before.picture
            assert not frame.is_cut


def test_a_broken_first_frame_repeats_the_first_good_one(long_clip: Path) -> None:
    broken, _ = _with_packets_zeroed(long_clip, lambda n, key: n == 0)
    frames = read(broken, max_broken=0.5)
    assert len(frames) == 100
    assert frames[0].repaired
    assert frames[0].is_cut


def test_a_broken_last_frame_does_not_take_others_with_it(long_clip: Path) -> None:
    last = len(_video_packets(long_clip)) - 1
    broken, times = _with_packets_zeroed(long_clip, lambda n, key: n == last)
    frames = read(broken)
    assert seconds(frames) == times_of(long_clip)
    assert [frame.pts for frame in frames if frame.repaired] == times


def test_too_many_broken_frames_end_the_run(long_clip: Path) -> None:
    broken, _ = _with_packets_zeroed(long_clip, lambda n, key: n % 7 == 3)
    with (
        VideoReader(broken, DecodeConfig()) as reader,
        pytest.raises(VideoDecodeError, match=r"of 100 frames .* more than 5%"),
    ):
        list(reader.frames())
    assert len(read(broken, max_broken=1.0)) == 100


def _cut_off(path: Path, share: float) -> Path:
    data = path.read_bytes()
    cut = path.with_stem(f"{path.stem}_{share}")
    cut.write_bytes(data[: int(len(data) * share)])
    return cut


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_a_file_that_ends_early_gives_what_is_there(tmp_path: Path, suffix: str) -> None:
    whole = make_video(
        tmp_path / f"whole{suffix}",
        pts=range(100),
        options={"g": "10", "bf": "0"},
        muxer_options={"movflags": "faststart"} if suffix == ".mp4" else {},
    )
    with VideoReader(_cut_off(whole, 0.9), DecodeConfig(max_broken=0.2)) as reader:
        frames = list(reader.frames())
        assert 80 <= len(frames) < 100
        assert reader.frames_lost == pytest.approx(100 - len(frames), abs=1)
        assert "missing because the file ends early" in reader.notes[-1]
    assert not any(frame.repaired for frame in frames)
    with pytest.raises(VideoDecodeError, match=r"ends early.*more than 5%"):
        VideoReader(_cut_off(whole, 0.6), DecodeConfig())


def test_a_picture_that_changes_its_size_is_an_error(tmp_path: Path) -> None:
    small = make_video(tmp_path / "small.ts", pts=range(10))
    large = make_video(
        tmp_path / "large.ts",
        size=(96, 64),
        pts=[36000 + 3600 * i for i in range(10)],
        time_base=Fraction(1, 90000),
    )
    both = tmp_path / "both.ts"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    with (
        VideoReader(both, DecodeConfig()) as reader,
        pytest.raises(VideoDecodeError, match="changes from 64x48 yuv420p to 96x64"),
    ):
        list(reader.frames())


def test_repaired_or_not_times_increase(tmp_path: Path) -> None:
    """A stream that was cut and joined, whose clock jumps back."""
    one = make_video(tmp_path / "one.ts", pts=range(20, 40))
    two = make_video(tmp_path / "two.ts", pts=range(5, 25))
    joined = tmp_path / "joined.ts"
    joined.write_bytes(one.read_bytes() + two.read_bytes())
    times = seconds(read(joined, max_broken=1.0))
    assert len(times) >= 38
    assert all(a < b for a, b in pairwise(times))


def test_display_and_colours_reach_the_frames(tmp_path: Path) -> None:
    path = make_video(tmp_path / "turned.mp4", pts=range(2), rotation=(90, False))
    frame = read(path)[0]
    assert (frame.display.width, frame.display.height) == (48, 64)
    assert frame.picture.format == "yuv420p"
    np.testing.assert_array_equal(frame.display.display_from_coded[:, :2], [[0, 1], [-1, 0]])
