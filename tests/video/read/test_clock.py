"""Files whose own clock starts anew, jumps or runs back are read on one clock, streams together."""

from __future__ import annotations

import random
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from videos import Audio, make_video, packets_of, times_of

from vidrestore.config import DecodeConfig, EncodeConfig
from vidrestore.errors import VideoDecodeError
from vidrestore.video.read.clock import Clock, Retimer
from vidrestore.video.read.joins import find_joins
from vidrestore.video.read.probe import probe
from vidrestore.video.read.reader import VideoReader
from vidrestore.video.write.writer import VideoWriter

TICKS = Fraction(1, 90000)


def part(path: Path, *, at_s: float = 0, frames: int = 25, seconds: float | None = None) -> Path:
    """A recording of its own, whose clock begins at `at_s`; every picture can be decoded."""
    begin = round(at_s * 25)
    sound = Audio("mp2", start_s=at_s, seconds=frames / 25 if seconds is None else seconds)
    return make_video(
        path,
        codec="mpeg2video",
        size=(32, 32),
        pts=range(begin, begin + frames),
        options={"bf": "2", "g": "12"},
        audio=[sound] if sound.seconds else [],
        muxer_options={"mpegts_copyts": "1"} if path.suffix == ".ts" else {},
    )


def joined(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(one.read_bytes() for one in parts))
    return path


def restored(source: Path, output: Path, **window: float) -> list[str]:
    decode = DecodeConfig(**window)
    with (
        VideoReader(source, decode, threads=2) as reader,
        VideoWriter(
            output, reader.info, EncodeConfig(speed="ultrafast"), window=reader.window
        ) as writer,
    ):
        for frame in reader.frames():
            writer.write(frame)
        writer.commit()
        return [*reader.notes, *writer.notes]


def sound_of(path: Path) -> list[float]:
    return [float(time or 0) for time, _ in packets_of(path, 1)]


@pytest.mark.parametrize("second_s", [0.0, 0.96, 3.0, 70.0, 300.0, 5000.0, 95443.0])
def test_parts_joined_byte_by_byte_go_on(tmp_path: Path, second_s: float) -> None:
    """The second one's clock is behind, a little behind, ahead, far ahead, and about to wrap."""
    one, two = part(tmp_path / "1.ts", at_s=70), part(tmp_path / "2.ts", at_s=second_s)
    source = joined(tmp_path / "joined.ts", one, two)
    notes = restored(source, tmp_path / "out.mkv")
    times = [float(time) for time in times_of(tmp_path / "out.mkv")]
    assert len(times) == 50
    steps = [after - before for before, after in pairwise(times)]
    assert sorted(steps)[-2] == pytest.approx(0.04, abs=0.0011)
    assert steps[24] < 0.13
    heard = sound_of(tmp_path / "out.mkv")
    assert len(heard) == len(sound_of(one)) + len(sound_of(two))
    assert all(after - before < 0.15 for before, after in pairwise(heard))
    assert min(after - before for before, after in pairwise(heard)) > 0.02
    for lead in (times[0] - heard[0], times[25] - heard[len(sound_of(one))]):
        assert lead == pytest.approx(0, abs=0.03)
    [note] = [note for note in notes if "clock jumps at 1." in note]
    assert notes == [note, *[note for note in notes if "broadcast's clock" in note]]


@pytest.mark.parametrize("suffix", [".ts", ".mpg", ".flv"])
def test_three_parts_of_every_format(tmp_path: Path, suffix: str) -> None:
    if suffix == ".flv":
        one = make_video(
            tmp_path / "1.flv", codec="flv1", pts=range(25), audio=[Audio("libmp3lame")]
        )
        parts = [one.read_bytes()] + [one.read_bytes()[13:]] * 2  # a header in the middle is none
        source = tmp_path / "joined.flv"
        source.write_bytes(b"".join(parts))
    else:
        one = part(tmp_path / f"1{suffix}", at_s=1)
        source = joined(tmp_path / f"joined{suffix}", one, one, one)
    notes = restored(source, tmp_path / "out.mkv")
    times = times_of(tmp_path / "out.mkv")
    assert len(times) == 75 and any("jumps at" in note and ", at 2." in note for note in notes)
    assert all(0 < after - before < 0.13 for before, after in pairwise(times))


def test_what_ffmpeg_leaves_unread_of_joined_files_is_a_loss(tmp_path: Path) -> None:
    one = make_video(tmp_path / "1.flv", codec="flv1", pts=range(25))
    source = joined(tmp_path / "joined.flv", one, one)
    with pytest.raises(VideoDecodeError, match=r"[45]\d% of the file behind its last packet"):
        restored(source, tmp_path / "out.mkv")


def test_a_window_counts_on_the_clock_of_the_whole(tmp_path: Path) -> None:
    one = part(tmp_path / "1.ts")
    source = joined(tmp_path / "joined.ts", one, one)
    info = probe(source)
    [join] = info.clock.joins
    assert restored(source, tmp_path / "out.mkv", start=float(join.at_s - info.start_s) + 0.2)
    times = times_of(tmp_path / "out.mkv")
    assert [round(float(time), 2) for time in times] == [i / 25 for i in range(20)]
    assert sound_of(tmp_path / "out.mkv")[0] < 0.03


def test_the_clock_wraps_at_33_bits(tmp_path: Path) -> None:
    source = part(tmp_path / "wraps.ts", at_s=95442.72, frames=50)
    restored(source, tmp_path / "out.mkv")
    steps = {after - before for before, after in pairwise(times_of(tmp_path / "out.mkv"))}
    assert len(times_of(tmp_path / "out.mkv")) == 50 and steps == {Fraction(1, 25)}
    assert probe(source).clock.joins == ()


def test_a_broadcast_that_was_lost_for_some_time_has_a_gap(tmp_path: Path) -> None:
    """It goes on within a group of pictures: that is no part of its own, whatever its length."""
    whole = part(tmp_path / "whole.ts", frames=800, seconds=32)
    data = whole.read_bytes()
    source = tmp_path / "lost.ts"
    cut = [len(data) * i // 10 // 188 * 188 for i in (2, 8)]
    source.write_bytes(data[: cut[0]] + data[cut[1] :])
    assert probe(source).clock.joins == ()


@dataclass
class Sample:
    """A packet as `find_joins` and `Retimer` see it."""

    index: int
    pts: int
    duration: int
    is_keyframe: bool = True
    pos: int | None = None
    size: int = 1
    time_base: Fraction = TICKS

    @property
    def dts(self) -> int:
        return self.pts

    @dts.setter
    def dts(self, value: int) -> None: ...

    @property
    def stream(self) -> Sample:
        return self


KINDS = {0: "video", 1: "audio"}


def samples(begin: int, pictures: int, lead: int = 0, key: int = 12) -> list[Sample]:
    """Pictures and sound of a part, interleaved by time; sound begins `lead` ticks earlier."""
    shown = [Sample(0, begin + 3600 * i, 3600, i % key == 0) for i in range(pictures)]
    heard = [Sample(1, begin - lead + 2160 * i, 2160) for i in range(pictures * 5 // 3)]
    return sorted([*shown, *heard], key=lambda one: one.pts)


def moved(packets: list[Sample]) -> tuple[Clock, list[int], list[int]]:
    clock = find_joins(packets, KINDS, 0)  # type: ignore[arg-type]
    retimer = Retimer(clock)
    for one in packets:
        retimer.move(one)  # type: ignore[arg-type]
    times = ([one.pts for one in packets if one.index == index] for index in (0, 1))
    return clock, *times


@settings(max_examples=60, deadline=None)
@given(
    starts=st.lists(st.integers(0, 2**33), min_size=1, max_size=5),
    lead=st.integers(-4000, 4000),
    late=st.integers(0, 6),
)
def test_parts_of_any_clock_follow_each_other(starts: list[int], lead: int, late: int) -> None:
    # Neither a gap, nor an overlap by less than what sound may step back without a join.
    assume(
        all(not -7_000 < b - a - 108_000 < 990_000 or b - a == 108_000 for a, b in pairwise(starts))
    )
    parts = [samples(begin + 10_000, 30, lead) for begin in starts]
    for place, one in enumerate(one for part in parts for one in part):
        one.pos = 188 * place
    packets = parts[0]
    for one in parts[1:]:  # a demuxer gives a stream's last packet of a part late
        last = packets.pop()
        until = next(i for i, other in enumerate(one) if other.index == last.index)
        packets = [*packets, *one[: min(late, until)], last, *one[min(late, until) :]]
    _, shown, heard = moved(packets)
    assert all(3600 <= b - a <= 3600 * 4 for a, b in pairwise(shown))
    assert all(b - a >= 2160 - 90 for a, b in pairwise(heard))
    assert all(abs((a - b) - lead) <= 1 for a, b in zip(shown[::30], heard[::50], strict=True))


@settings(max_examples=30, deadline=None)
@given(overlap=st.integers(1, 7_000), lead=st.integers(-4000, 4000))
def test_pictures_go_on_where_parts_overlap_by_less_than_sound_may(overlap: int, lead: int) -> None:
    """Whether such a place is a join or not; the writer tells of sound that goes back there."""
    parts = [samples(begin, 30, lead) for begin in (10_000, 10_000 + 108_000 - overlap)]
    packets = [one for part in parts for one in part]
    for place, one in enumerate(packets):
        one.pos = 188 * place
    _, shown, heard = moved(packets)
    assert len(shown) == 60 and all(a < b for a, b in pairwise(shown))
    assert all(b - a >= -4500 for a, b in pairwise(heard))


@pytest.mark.parametrize("wild", [10, 10**7, 2**33 - 1])
@pytest.mark.parametrize("index", [0, 1])
def test_a_single_wrong_time_is_no_join(wild: int, index: int) -> None:
    packets = samples(900_000, 60)
    packets[40].index, packets[40].pts = index, wild
    assert find_joins(packets, KINDS, 0).joins == ()  # type: ignore[arg-type]


def test_a_picture_that_stands_beside_sound_is_no_join() -> None:
    slides = [Sample(0, 1_800_000 * i, 3600) for i in range(6)]
    heard = [Sample(1, 2160 * i, 2160) for i in range(5000)]
    packets = sorted([*slides, *heard], key=lambda one: one.pts)
    assert find_joins(packets, KINDS, 0).joins == ()  # type: ignore[arg-type]
    assert find_joins(slides, {0: "video"}, 0).joins == ()  # type: ignore[arg-type]


def test_a_variable_rate_does_not_drift(tmp_path: Path) -> None:
    """Twenty minutes of one frame a second or so; three hours are in `tools/soak.sh`."""
    draw, times = random.Random(5), [0]
    while times[-1] < 1200 * 1000:
        times.append(times[-1] + draw.randint(300, 12_000))
    source = make_video(
        tmp_path / "long.mkv", codec="mpeg4", size=(16, 16), pts=times,
        time_base=Fraction(1, 1000), rate=25,
    )  # fmt: skip
    for suffix in (".mkv", ".mp4"):
        restored(source, tmp_path / f"out{suffix}")
        assert times_of(tmp_path / f"out{suffix}") == times_of(source)
