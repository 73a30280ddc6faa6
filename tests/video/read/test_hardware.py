"""A hardware decoder gives the pictures of software, or software takes its place, and it is told.

`surfaces.stand_in` decodes in the place of a GPU; the cases with a GPU are in `test_nvdec.py`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from clips import empty_frames, write_clip
from surfaces import SURFACE_OF, stand_in

from vidrestore.config import DecodeConfig
from vidrestore.errors import VideoDecodeError
from vidrestore.structs import Frame
from vidrestore.video.read.hardware import Hardware, HardwareDoubt
from vidrestore.video.read.hardware_reader import HardwareReader
from vidrestore.video.read.hardware_trial import difference, try_hardware
from vidrestore.video.read.nvdec import check_input, find_nvdec
from vidrestore.video.read.probe import probe
from vidrestore.video.read.reader import VideoReader
from vidrestore.video.read.window import window_of

COUNT = 36
Change = Callable[[int, av.VideoFrame], av.VideoFrame]


def clip(
    path: Path,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    *,
    size: tuple[int, int] = (64, 48),
    count: int = COUNT,
    **options: str,
) -> Path:
    if codec == "libx264":
        options = {"preset": "veryfast", "g": "12", "bf": "2"} | options
    images = empty_frames(count, width=size[0], height=size[1])
    return write_clip(path, images, codec=codec, pix_fmt=pix_fmt, options=options)


def by_software(path: Path, **part: float) -> list[Frame]:
    with VideoReader(path, DecodeConfig(**part), threads=1) as reader:
        return list(reader.frames())


def reader_of(path: Path, hardware: Hardware, **part: float) -> HardwareReader:
    return HardwareReader(
        lambda chosen: VideoReader(path, DecodeConfig(**part), threads=1, hardware=chosen), hardware
    )


def check_same(found: list[Frame], wanted: list[Frame]) -> None:
    for one, other in zip(found, wanted, strict=True):
        assert (one.index, one.pts, one.is_cut) == (other.index, other.pts, other.is_cut)
        assert one.repaired == other.repaired and one.picture.format == other.picture.format
        assert difference(one.picture, other.picture) is None


X265 = {"x265-params": "log-level=none"}


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "suffix", "options"),
    [
        ("libx264", "yuv420p", ".mp4", {"x264-params": "colormatrix=bt470bg:range=tv"}),
        ("libx264", "yuvj420p", ".mkv", {}),
        ("libx264", "yuv420p", ".ts", {}),
        ("libx265", "yuv420p10le", ".mp4", X265),
        ("libx265", "yuv420p12le", ".mkv", X265),
        ("libvpx-vp9", "yuv420p", ".webm", {"deadline": "realtime"}),
        ("libsvtav1", "yuv420p10le", ".mkv", {"preset": "12"}),
    ],
)
def test_pictures_are_those_of_software(
    tmp_path: Path, codec: str, pix_fmt: str, suffix: str, options: dict[str, str]
) -> None:
    """On the host, and on the device, where they are there too."""
    path = clip(tmp_path / f"in{suffix}", codec, pix_fmt, count=14, **options)
    info = probe(path)
    check_input(info)
    try_hardware(info, window_of(info, None, None), stand_in(), threads=1)
    with reader_of(path, stand_in(), start=0.16) as reader:
        found = list(reader.frames())
        assert reader.notes == () and not reader.is_damaged
    check_same(found, by_software(path, start=0.16))
    for frame in found:
        assert frame.picture.decoded is not None
        planes = frame.picture.decoded.take()
        assert all(map(torch.equal, planes, frame.picture.planes))


def test_a_surface_goes_back_at_once(tmp_path: Path) -> None:
    """What the decoder writes into it later is in no frame, however long frames are held."""
    path, given = clip(tmp_path / "in.mp4", count=20), list[av.VideoFrame]()

    def overwrite(number: int, surface: av.VideoFrame) -> av.VideoFrame:
        for plane in given[-3].planes if number > 2 else ():
            np.frombuffer(plane, np.uint8).setflags(write=True)
            torch.frombuffer(plane, dtype=torch.uint8).fill_(99)
        given.append(surface)
        return surface

    with reader_of(path, stand_in(overwrite)) as reader:
        check_same(list(reader.frames()), by_software(path))
    assert set(bytes(given[0].planes[0])) == {99}


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (("libx264", "yuv422p", ".mkv"), "pixel format yuv422p"),
        (("libx264", "yuv420p10le", ".mkv"), None),
        (("libx264", "yuv420p", ".avi"), "AVI"),
        (("mpeg2video", "yuv420p", ".mkv"), "mpeg2video is not among"),
        (("ffv1", "yuv420p", ".mkv"), "ffv1 is not among"),
    ],
)
def test_what_nvdec_does_not_decode_is_refused(
    tmp_path: Path, made: tuple[str, str, str], words: str | None
) -> None:
    codec, pix_fmt, suffix = made
    info = probe(clip(tmp_path / f"in{suffix}", codec, pix_fmt, count=2))
    if words is None:  # some cards do; the trial tells
        check_input(info)
        return
    with pytest.raises(HardwareDoubt, match=words):
        check_input(info)


def test_odd_sizes_fields_and_parts_are_refused(tmp_path: Path) -> None:
    info = probe(clip(tmp_path / "in.mkv", size=(66, 50), count=2))
    check_input(info)
    for other, words in (
        (replace(info, width=65), "odd"),
        (replace(info, interlaced=True), "interlaced"),
    ):
        with pytest.raises(HardwareDoubt, match=words):
            check_input(other)


def test_a_cpu_has_none() -> None:
    with pytest.raises(HardwareDoubt, match="NVDEC needs a CUDA device"):
        find_nvdec(torch.device("cpu"))


def spoilt(number: int, surface: av.VideoFrame) -> av.VideoFrame:
    """One sample of the seventh picture is another."""
    if number == 6:
        plane = torch.frombuffer(surface.planes[1], dtype=torch.uint8)
        plane[surface.planes[1].line_size * 3 + 5] ^= 1
    return surface


def deeper(number: int, surface: av.VideoFrame) -> av.VideoFrame:
    return surface.reformat(format="p010le") if number == 6 else surface


def smaller(number: int, surface: av.VideoFrame) -> av.VideoFrame:
    return surface.reformat(width=32, height=32) if number == 6 else surface


def refused(number: int, surface: av.VideoFrame) -> av.VideoFrame:
    if number == 6:
        raise av.InvalidDataError(1, "no such profile")
    return surface


def full_range(number: int, surface: av.VideoFrame) -> av.VideoFrame:
    surface.color_range = 2 if number == 6 else surface.color_range
    return surface


def untimed(number: int, surface: av.VideoFrame) -> av.VideoFrame:
    surface.pts = 0 if number == 6 else surface.pts
    return surface


CHANGES = [
    (deeper, "gives p010le for yuv420p"),
    (smaller, "gives 32x32 for 64x48"),
    (refused, "refuses a packet"),
    (full_range, "range"),
    (untimed, "a packet gives no picture|times go back"),
]


@pytest.mark.parametrize(("change", "words"), [(spoilt, "another picture .*samples"), *CHANGES])
def test_a_trial_tells_a_difference(tmp_path: Path, change: Change, words: str) -> None:
    info = probe(clip(tmp_path / "in.mkv", count=12))
    with pytest.raises(HardwareDoubt, match=words):
        try_hardware(info, window_of(info, None, None), stand_in(change), threads=1)


@pytest.mark.parametrize(("change", "words"), CHANGES)
def test_software_goes_on_where_the_decoder_stops(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, change: Change, words: str
) -> None:
    path = clip(tmp_path / "in.mkv", count=20)
    with caplog.at_level(logging.WARNING), reader_of(path, stand_in(change)) as reader:
        check_same(list(reader.frames()), by_software(path))
        [note] = reader.notes
        assert not reader.is_damaged
    assert note.startswith("decoded on the CPU, for NVDEC stopped after")
    assert re.search(words, note)
    assert [one.getMessage() for one in caplog.records] == [note]


def test_frames_that_software_gives_otherwise_end_the_reading(tmp_path: Path) -> None:
    path = clip(tmp_path / "in.mkv", count=20)

    def change(number: int, surface: av.VideoFrame) -> av.VideoFrame:
        if number == 12:
            raise av.InvalidDataError(1, "damaged")
        return spoilt(number, surface)

    with (
        reader_of(path, stand_in(change)) as reader,
        pytest.raises(VideoDecodeError, match=r"gave other frames .* without --decode.hardware"),
    ):
        list(reader.frames())


def with_zeros(path: Path, number: int) -> Path:
    with av.open(str(path)) as container:
        packets = [one for one in container.demux(video=0) if one.size]
        at, size = packets[number].pos, packets[number].size
    data = bytearray(path.read_bytes())
    data[at : at + size] = bytes(size)
    broken = path.with_stem("broken")
    broken.write_bytes(data)
    return broken


def cut_off(path: Path) -> Path:
    cut = path.with_stem("cut")
    cut.write_bytes(path.read_bytes()[:-60])
    return cut


def with_a_hole(path: Path) -> Path:
    data = path.read_bytes()
    holed = path.with_stem("holed")
    middle = len(data) // 2 // 188 * 188
    holed.write_bytes(data[:middle] + data[middle + 188 :])
    return holed


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        (".mp4", lambda path: with_zeros(path, 20)),
        (".mp4", lambda path: with_zeros(path, COUNT - 1)),
        (".mkv", cut_off),
        (".ts", with_a_hole),
    ],
)
def test_what_is_damaged_is_read_by_software(
    tmp_path: Path, suffix: str, damage: Callable[[Path], Path]
) -> None:
    """With its counts and notes, whatever the decoder made of it."""
    path = damage(clip(tmp_path / f"in{suffix}"))
    with VideoReader(path, DecodeConfig(max_broken=0.5), threads=1) as reader:
        wanted, notes = list(reader.frames()), reader.notes
    with reader_of(path, stand_in(), max_broken=0.5) as hardware:
        check_same(list(hardware.frames()), wanted)
        assert hardware.notes[1:] == notes and notes
        assert re.match(
            r"decoded on the CPU, for NVDEC stopped after \d+ frames", hardware.notes[0]
        )


def test_film_grain_is_drawn_by_software(tmp_path: Path) -> None:
    options = {"preset": "12", "svtav1-params": "film-grain=20"}
    path = clip(tmp_path / "in.mkv", "libsvtav1", count=8, **options)
    info = probe(path)
    with pytest.raises(HardwareDoubt, match="film grain"):
        try_hardware(info, window_of(info, None, None), stand_in(), threads=1)


def test_every_surface_has_its_format() -> None:
    """The stand-in gives what FFmpeg's NVDEC gives."""
    assert set(SURFACE_OF.values()) == {"nv12", "p010le", "p016le"}
