"""What every source and every sink of frames keeps, ours and toy ones."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Self

import pytest
from clips import face_frames, frame_times, write_clip
from quick import QUICK
from surfaces import stand_in

import vidrestore
from vidrestore.config import DecodeConfig, EncodeConfig, resolve_config
from vidrestore.errors import VideoWriteError, VidRestoreError
from vidrestore.structs import Frame
from vidrestore.video.ffmpeg.sink import FfmpegWriter
from vidrestore.video.read.hardware_reader import HardwareReader
from vidrestore.video.read.probe import probe
from vidrestore.video.read.reader import VideoReader
from vidrestore.video.read.source import FrameSource
from vidrestore.video.read.window import Window
from vidrestore.video.sequence.info import sequence_info
from vidrestore.video.sequence.plan import plan_sequence
from vidrestore.video.sequence.sink import SequenceWriter
from vidrestore.video.sequence.source import SequenceReader
from vidrestore.video.write.plan import plan_output
from vidrestore.video.write.sink import FrameSink
from vidrestore.video.write.writer import VideoWriter

COUNT = 8


class Entered:
    """What toys do as context managers."""

    notes: tuple[str, ...] = ()
    is_damaged = False
    codec = "none"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        return None


class ListSource(Entered):
    """Frames that were read before."""

    def __init__(self, frames: list[Frame]) -> None:
        self._frames = frames

    def frames(self) -> Iterator[Frame]:
        yield from self._frames


class CountingSink(Entered):
    """Keeps times only."""

    def __init__(self) -> None:
        self.times: list[int] = []
        self.committed: list[int] | None = None

    def __exit__(self, *problem: object) -> None:
        self.times = []

    def write(self, frame: Frame) -> None:
        if self.times and frame.pts <= self.times[-1]:
            raise VideoWriteError(f"frame {frame.index} is late")
        self.times.append(frame.pts)

    def commit(self) -> None:
        if not self.times:
            raise VideoWriteError("no frame was written")
        self.committed = list(self.times)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "face.mp4", face_frames(COUNT))


def read(clip: Path) -> list[Frame]:
    with VideoReader(clip, DecodeConfig()) as reader:
        return list(reader.frames())


def pictures_of(clip: Path) -> SequenceReader:
    """The frames of the clip as PNG."""
    folder = clip.parent / "pictures"
    if not folder.exists():
        made = plan_sequence(probe(clip), folder / "p_%03d.png", EncodeConfig())
        with SequenceWriter(made, probe(clip), EncodeConfig(), Window()) as writer:
            for frame in read(clip):
                writer.write(frame)
            writer.commit()
    info = sequence_info(folder, DecodeConfig(fps=Fraction(25)))
    return SequenceReader(info, DecodeConfig(), Window())


def pictures_into(clip: Path, out: Path) -> SequenceWriter:
    info, pattern = probe(clip), out.parent / "pictures" / "p_%03d.png"
    return SequenceWriter(
        plan_sequence(info, pattern, EncodeConfig()), info, EncodeConfig(), Window()
    )


def through_ffmpeg(clip: Path, out: Path) -> FfmpegWriter:
    if shutil.which("ffmpeg") is None:
        pytest.skip("the program ffmpeg is not installed")
    arguments = "-c:v libx264 -preset ultrafast"
    config, info = EncodeConfig(sink="ffmpeg", ffmpeg_args=arguments), probe(clip)
    return FfmpegWriter(plan_output(info, out, config), info, config)


SOURCES: dict[str, Callable[[Path], FrameSource]] = {
    "a file": lambda clip: VideoReader(clip, DecodeConfig()),
    "a file by hardware": lambda clip: HardwareReader(
        lambda chosen: VideoReader(clip, DecodeConfig(), hardware=chosen), stand_in()
    ),
    "a list": lambda clip: ListSource(read(clip)),
    "pictures": pictures_of,
}
SINKS: dict[str, Callable[[Path, Path], FrameSink]] = {
    "a file": lambda clip, out: VideoWriter(out, probe(clip), EncodeConfig(speed="ultrafast")),
    "a counter": lambda clip, out: CountingSink(),
    "pictures": pictures_into,
    "FFmpeg": through_ffmpeg,
}
source = pytest.mark.parametrize("make", SOURCES.values(), ids=SOURCES)
sink = pytest.mark.parametrize("make", SINKS.values(), ids=SINKS)


def taken(sink: FrameSink, out: Path) -> int:
    """How many frames a sink holds for good."""
    if isinstance(sink, CountingSink):
        return len(sink.committed or ())
    if isinstance(sink, SequenceWriter):
        return len(list((out.parent / "pictures").glob("p_*.png")))
    return len(frame_times(out)) if out.exists() else 0


@source
def test_a_source_gives_every_frame_once_in_order(
    make: Callable[[Path], FrameSource], clip: Path
) -> None:
    one = make(clip)
    assert isinstance(one, FrameSource)
    with one as opened:
        frames = list(opened.frames())
    assert [frame.index for frame in frames] == list(range(COUNT))
    assert all(a.pts < b.pts for a, b in itertools.pairwise(frames))
    assert frames[0].is_cut
    assert all(frame.source is None and not frame.faces for frame in frames)
    assert {(frame.picture.width, frame.picture.height) for frame in frames} == {(320, 240)}
    assert not one.is_damaged and one.notes == ()


@source
def test_a_source_may_be_left_early(make: Callable[[Path], FrameSource], clip: Path) -> None:
    with make(clip) as opened:
        frames = opened.frames()
        first = next(frames)
    assert first.picture.planes[0].float().mean() > 0  # stays valid


@sink
def test_a_sink_keeps_what_is_committed(
    make: Callable[[Path, Path], FrameSink], clip: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.mp4"
    one = make(clip, out)
    assert isinstance(one, FrameSink)
    with one as opened:
        for frame in read(clip):
            opened.write(frame)
        opened.commit()
    assert taken(one, out) == COUNT
    assert one.codec and not one.is_damaged


@sink
@pytest.mark.parametrize("how", ["no commit", "error", "no frame", "late"])
def test_a_sink_gives_up_whole(
    make: Callable[[Path, Path], FrameSink], clip: Path, tmp_path: Path, how: str
) -> None:
    out, frames = tmp_path / "out.mp4", read(clip)
    one = make(clip, out)

    def use() -> None:
        with one as opened:
            if how == "no frame":
                opened.commit()
            for frame in frames:
                opened.write(frame)
            if how == "error":
                raise ArithmeticError
            if how == "late":
                opened.write(frames[3])

    if how == "no commit":
        use()
    else:
        with pytest.raises(ArithmeticError if how == "error" else VidRestoreError):
            use()
    assert taken(one, out) == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("source_name", SOURCES)
@pytest.mark.parametrize("sink_name", SINKS)
def test_any_source_to_any_sink(
    clip: Path, tmp_path: Path, source_name: str, sink_name: str
) -> None:
    out = tmp_path / "out.mp4"
    config = resolve_config(None, QUICK | {"detect.max_faces": 1})  # the detector is not judged
    with vidrestore.Session(config, model="debug") as session:
        one = SINKS[sink_name](clip, out)
        job = session.plan(clip)
        report = session.run(job, source=SOURCES[source_name](clip), sink=one)
    assert (report.frames, report.faces) == (COUNT, COUNT)
    assert taken(one, out) == COUNT
