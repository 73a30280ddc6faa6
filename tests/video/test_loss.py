"""What a file promises is compared with what came of it: nothing is lost without a word."""

from __future__ import annotations

import contextlib
import io
import os
import random
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from videos import Audio, make_video

from vidrestore.config import DecodeConfig, EncodeConfig
from vidrestore.errors import VideoDecodeError, VideoOpenError, VidRestoreError
from vidrestore.video.boundary import av_boundary, unexpected
from vidrestore.video.read.damage import cut_within_packets
from vidrestore.video.read.opening import open_input
from vidrestore.video.read.reader import VideoReader
from vidrestore.video.write.remux import StreamCopier
from vidrestore.video.write.writer import VideoWriter

INTRA = {"g": "5", "bf": "0"}
TICKS = Fraction(1, 90000)


def restored(source: Path, output: Path, **options: float | bool) -> tuple[int, list[str], bool]:
    """(frames, notes, whether the input is damaged) of a run that changes nothing."""
    part = {name: options[name] for name in ("start", "end") if name in options}
    keep = bool(options.get("keep"))
    encode = EncodeConfig(speed="ultrafast", keep_damaged=keep)
    with (
        VideoReader(source, DecodeConfig(**part), threads=1, keep_damaged=keep) as reader,
        VideoWriter(output, reader.info, encode, window=reader.window, threads=1) as writer,
    ):
        count = 0
        for frame in reader.frames():
            writer.write(frame)
            count += 1
        writer.commit()
    return count, [*writer.notes, *reader.notes], reader.is_damaged or writer.is_damaged


def clip(path: Path, *, frames: int = 100, muxer_options: dict[str, str] | None = None) -> Path:
    return make_video(
        path,
        pts=range(frames),
        codec="mpeg4" if path.suffix == ".avi" else "libx264",
        options=INTRA,
        audio=[
            Audio(codec="mp2" if path.suffix in (".avi", ".ts") else "aac", seconds=frames / 25)
        ],
        muxer_options=muxer_options or {},
    )


FAST = {"movflags": "faststart"}
FRAGMENTED = {"movflags": "frag_keyframe+empty_moov"}


def cut(share: float) -> Callable[[bytes], bytes]:
    return lambda data: data[: int(len(data) * share)]


def blank(begin: float, end: float) -> Callable[[bytes], bytes]:
    """Zeros over a part of the file."""

    def change(data: bytes) -> bytes:
        one, two = int(len(data) * begin), int(len(data) * end)
        return data[:one] + bytes(two - one) + data[two:]

    return change


def noise(begin: float, end: float) -> Callable[[bytes], bytes]:
    """Noise over a part of the file."""

    def change(data: bytes) -> bytes:
        one, two = int(len(data) * begin), int(len(data) * end)
        return data[:one] + random.Random(1).randbytes(two - one) + data[two:]

    return change


def without(begin: float, end: float) -> Callable[[bytes], bytes]:
    """Whole transport packets are gone."""

    def change(data: bytes) -> bytes:
        one, two = (int(len(data) * part) // 188 * 188 for part in (begin, end))
        return data[:one] + data[two:]

    return change


LOSSES = [
    ("zeros.mkv", {}, blank(0.3, 0.6)),
    ("noise.mkv", {}, noise(0.3, 0.6)),
    ("no_beginning.mkv", {}, noise(0.05, 0.4)),
    ("cut.mkv", {}, cut(0.7)),
    ("cut.webm", {}, cut(0.7)),
    ("cut.avi", {}, cut(0.7)),
    ("cut.mp4", FAST, cut(0.7)),
    ("index_cut.mov", {}, cut(0.98)),
    ("packets_gone.ts", {}, without(0.4, 0.6)),
    ("noise.ts", {}, noise(0.4, 0.6)),
]


@pytest.mark.parametrize(("name", "options", "change"), LOSSES, ids=[one[0] for one in LOSSES])
def test_a_loss_is_refused_unless_the_rest_is_asked_for(
    tmp_path: Path, name: str, options: dict[str, str], change: Callable[[bytes], bytes]
) -> None:
    source = tmp_path / name
    if source.suffix == ".webm":
        make_video(source, codec="libvpx", pts=range(100), audio=[Audio("libopus", seconds=4)])
    else:
        clip(source, muxer_options=options)
    source.write_bytes(change(source.read_bytes()))
    output = tmp_path / f"out{source.suffix}"
    with pytest.raises((VideoDecodeError, VideoOpenError), match=f"{name}.*") as refused:
        restored(source, output)
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]
    if isinstance(refused.value, VideoOpenError):  # nothing of it can be read
        return
    assert "--keep-damaged" in str(refused.value)
    frames, notes, is_damaged = restored(source, output, keep=True)
    assert is_damaged and notes
    assert 0 < frames <= 100
    assert output.stat().st_size > 500


def test_a_stream_without_a_header_is_a_loss(tmp_path: Path) -> None:
    source = clip(tmp_path / "sound_gone.avi")
    data = source.read_bytes()
    second = data.index(b"strh", data.index(b"strh") + 4)
    source.write_bytes(data[: second - 20] + bytes(80) + data[second + 60 :])
    with pytest.raises((VideoDecodeError, VideoOpenError), match="sound_gone"):
        restored(source, tmp_path / "out.avi")
    _, notes, is_damaged = restored(source, tmp_path / "out.avi", keep=True)
    assert is_damaged
    assert any("streams that the header promises" in note for note in notes)


def test_sizes_beyond_the_file_are_followed_nowhere(tmp_path: Path) -> None:
    """A damaged size may be larger than any place in a file."""
    source = clip(tmp_path / "size.mkv")
    data = bytearray(source.read_bytes())
    at = data.index(b"\x11\x4d\x9b\x74") + 4  # SeekHead, the first element of the segment
    data[at : at + 8] = b"\x01" + bytes([0xFE] * 7)
    source.write_bytes(data)
    with contextlib.suppress(VidRestoreError):  # whatever is said, it is said on purpose
        restored(source, tmp_path / "out.mkv")


@pytest.mark.parametrize("entry", [4, 8, 12])
def test_frames_thrown_away_by_damaged_times_are_a_loss(tmp_path: Path, entry: int) -> None:
    """An edit list that is read by wild composition offsets drops most of the pictures."""
    reordered = {"preset": "ultrafast", "bf": "3", "b-pyramid": "none", "g": "20"}
    source = make_video(tmp_path / "wild.mp4", pts=range(50), options=reordered)
    data = bytearray(source.read_bytes())
    at = data.index(b"ctts") + 12 + 8 * entry + 4
    data[at : at + 4] = b"\x3f\xff\xff\xff"
    source.write_bytes(data)
    try:
        count, notes, _ = restored(source, tmp_path / "out.mkv")
    except VideoDecodeError:
        return
    assert count >= 48 or notes


def test_a_second_picture_without_packets_is_a_loss(tmp_path: Path) -> None:
    """A stream that states its length and gives nothing, whatever kind it has become."""
    source = clip(tmp_path / "kind.mkv")
    data = bytearray(source.read_bytes())
    number = b"\xd7\x81\x02"  # TrackNumber 2, the sound's: nothing belongs to number 3
    at = data.index(number)
    data[at + 2] = 3
    source.write_bytes(data)
    with pytest.raises((VideoDecodeError, VideoOpenError), match="kind"):
        restored(source, tmp_path / "out.mkv")


def test_a_track_of_no_kind_is_a_loss(tmp_path: Path) -> None:
    """FFmpeg makes no stream of a track whose kind is damaged, and says nothing."""
    source = clip(tmp_path / "kind.mkv")
    data = bytearray(source.read_bytes())
    at = data.index(b"\x83\x81\x02", data.index(b"\x16\x54\xae\x6b", 200))  # TrackType: sound
    data[at + 2] = 0x0A
    source.write_bytes(data)
    with pytest.raises(VideoDecodeError, match="1 of the streams that the header promises"):
        restored(source, tmp_path / "out.mkv")
    frames, _, is_damaged = restored(source, tmp_path / "out.mkv", keep=True)
    assert (frames, is_damaged) == (100, True)


@pytest.mark.parametrize("part", [{}, {"end": 0.8}, {"start": 0.8}])
def test_a_track_whose_tables_are_broken_is_a_loss(tmp_path: Path, part: dict[str, float]) -> None:
    """It states a length, and lists no packet."""
    source = clip(tmp_path / "tables.mp4")
    data = bytearray(source.read_bytes())
    sound = data.index(b"soun")
    for table in (b"stsc", b"stts", b"stsz"):
        at = data.index(table, sound)
        data[at : at + 4] = b"free"
    source.write_bytes(data)
    with pytest.raises(VideoDecodeError, match=r"all packets of audio stream 1 .*--keep-damaged"):
        restored(source, tmp_path / "out.mp4", **part)


def test_frames_are_counted_though_few_are_left(tmp_path: Path) -> None:
    """The usual step between those is a gap: the header's rate counts."""
    source = make_video(
        tmp_path / "few.mkv",
        pts=range(100),
        options={"g": "1", "bf": "0"},
        muxer_options={"cluster_time_limit": "1"},  # reading goes on at the next cluster
    )
    with av.open(str(source)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(source.read_bytes())
    for at, size in (one for number, one in enumerate(packets) if number not in {0, 1, 13, 26}):
        data[at - 6 : at + size] = bytes(size + 6)
    source.write_bytes(data)
    with VideoReader(source, DecodeConfig(), threads=1, keep_damaged=True) as reader:
        count = sum(1 for _ in reader.frames())
        assert 3 < count < 8
        assert count + reader.frames_lost == pytest.approx(100, abs=2)
        assert any("data of no stream" in note for note in reader.notes), reader.notes


def test_alpha_beside_packets_is_no_hole(tmp_path: Path) -> None:
    """In Matroska, the alpha of VP9 lies behind the picture's own packet."""

    def draw(index: int, width: int, height: int, pix_fmt: str) -> av.VideoFrame:
        noise = np.random.default_rng(index).integers(0, 256, (height, width, 4), np.uint8)
        return av.VideoFrame.from_ndarray(noise, "rgba").reformat(format=pix_fmt)

    source = make_video(
        tmp_path / "in.webm",
        codec="libvpx-vp9",
        pix_fmt="yuva420p",
        pts=range(4),
        video_metadata={"alpha_mode": "1"},
        draw=draw,
    )
    with VideoReader(source, DecodeConfig()) as reader:
        assert sum(1 for _ in reader.frames()) == 4
        assert not reader.is_damaged and reader.notes == ()


def test_a_broadcast_cut_within_a_packet_is_known(tmp_path: Path) -> None:
    source = clip(tmp_path / "cut.ts")
    data = source.read_bytes()
    assert cut_within_packets(source) == (False, False)
    source.write_bytes(data[: len(data) * 3 // 5 // 188 * 188 + 101])
    assert cut_within_packets(source) == (False, True)
    source.write_bytes(data[188 * 30 + 77 :])
    assert cut_within_packets(source) == (True, False)


def test_a_part_that_begins_in_a_hole(tmp_path: Path) -> None:
    source = clip(tmp_path / "hole.mkv")
    source.write_bytes(blank(0.2, 0.5)(source.read_bytes()))
    with pytest.raises((VideoDecodeError, VideoOpenError), match=r"hole.mkv.*--keep-damaged"):
        restored(source, tmp_path / "out.mkv", start=1.2)


def test_fragments_that_are_cut_off_are_noted(tmp_path: Path) -> None:
    """Nothing tells how many there were."""
    source = clip(tmp_path / "cut.mp4", muxer_options=FRAGMENTED)
    source.write_bytes(cut(0.6)(source.read_bytes()))
    _, notes, _ = restored(source, tmp_path / "out.mp4", keep=True)
    assert any("ends early" in note for note in notes)


def test_a_small_loss_is_noted_with_its_time(tmp_path: Path) -> None:
    source = clip(tmp_path / "tape.mkv")
    with av.open(str(source)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(source.read_bytes())
    at, size = packets[50]
    data[at - 2 : at + size] = bytes(size + 2)
    source.write_bytes(data)
    with VideoReader(source, DecodeConfig(max_broken=0.9)) as reader:
        count = sum(1 for _ in reader.frames())
        assert count + reader.frames_lost == pytest.approx(100, abs=1)
        assert count < 100
        assert any("missing that the file promises, the first at" in note for note in reader.notes)
        assert reader.shortfall.at_s is not None
        assert 1.5 < reader.shortfall.at_s < 2.5


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".avi"])
def test_a_part_of_a_cut_file_misses_only_what_it_lacks(tmp_path: Path, suffix: str) -> None:
    whole = clip(tmp_path / f"whole{suffix}", muxer_options=FAST if suffix == ".mp4" else {})
    source = tmp_path / f"cut{suffix}"
    source.write_bytes(cut(0.6)(whole.read_bytes()))
    frames, _, is_damaged = restored(source, tmp_path / f"early{suffix}", end=1.0)
    assert (frames, is_damaged) == (25, False)
    frames, notes, is_damaged = restored(whole, tmp_path / f"intact{suffix}", start=1.0, end=3.6)
    notes = [note for note in notes if "AVI has no times" not in note]
    assert (frames, notes, is_damaged) == (65, [], False)
    with pytest.raises(VideoDecodeError, match="--keep-damaged"):
        restored(source, tmp_path / f"late{suffix}", start=1.0, end=3.6)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".avi", ".ts"])
def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path, suffix: str) -> None:
    source = make_video(
        tmp_path / f"shrinks{suffix}",
        size=(256, 192),
        codec="mpeg4" if suffix == ".avi" else "libx264",
        pts=range(100),
        options={"g": "5", "bf": "0", "qp": "1", "b": "8000000"},
        muxer_options=FAST if suffix == ".mp4" else {},
    )
    with VideoReader(source, DecodeConfig(), threads=1) as reader:
        frames = reader.frames()
        next(frames)
        os.truncate(source, source.stat().st_size // 2)
        with pytest.raises(VideoDecodeError, match="--keep-damaged"):
            list(frames)
        assert any("shorter while it was read" in note for note in reader.notes)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".avi", ".ts"])
def test_garbage_after_the_end_is_no_loss(tmp_path: Path, suffix: str) -> None:
    source = clip(tmp_path / f"tail{suffix}")
    source.write_bytes(source.read_bytes() + random.Random(2).randbytes(3000))
    frames, _, is_damaged = restored(source, tmp_path / f"out{suffix}")
    assert (frames, is_damaged) == (100, False)


def test_sound_that_is_gone_counts_by_itself(tmp_path: Path) -> None:
    """All pictures are there: the end of the file, which is cut off, holds sound only."""
    source = make_video(
        tmp_path / "sound.mkv", pts=range(50), options=INTRA, audio=[Audio(seconds=6.0)]
    )
    source.write_bytes(cut(0.7)(source.read_bytes()))
    with VideoReader(source, DecodeConfig()) as reader:
        assert sum(1 for _ in reader.frames()) == 50
        assert not reader.is_damaged
    output = tmp_path / "out.mkv"
    with pytest.raises(VideoDecodeError, match=r"packets of audio stream 1 .*--keep-damaged"):
        restored(source, output)
    assert not output.exists()
    _, notes, is_damaged = restored(source, output, keep=True)
    assert is_damaged
    assert any("packets of audio stream 1" in note for note in notes)


def test_doubled_parts_are_told(tmp_path: Path) -> None:
    source = clip(tmp_path / "doubled.mp4", muxer_options=FRAGMENTED)
    data = source.read_bytes()
    first = data.index(b"moof") - 4
    source.write_bytes(data + data[first:])
    with VideoReader(source, DecodeConfig(max_broken=1.0), keep_damaged=True) as reader:
        list(reader.frames())
        assert any("their times went back" in note for note in reader.notes)


VARIABLE = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 30, 31, 32, 33, 34, 35, 36, 60, 61, 62, 63, 64, 65, 66]
"""A recording of a screen that stood still twice."""


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_pauses_of_an_intact_file_are_no_loss(tmp_path: Path, suffix: str) -> None:
    source = make_video(tmp_path / f"screen{suffix}", pts=VARIABLE, audio=[Audio(seconds=2.5)])
    frames, notes, is_damaged = restored(source, tmp_path / f"out{suffix}")
    assert (frames, notes, is_damaged) == (len(VARIABLE), [], False)


@pytest.mark.parametrize(
    "name",
    [
        "late_sound.mkv",
        "long_sound.mkv",
        "long_picture.ts",
        "fields.ts",
        "fragments.mp4",
        "plain.flv",
    ],
)
def test_intact_files_get_no_note(tmp_path: Path, name: str) -> None:
    sound = {
        "late_sound.mkv": Audio(start_s=1.0, seconds=1.0),
        "long_sound.mkv": Audio(seconds=5.0),
        "long_picture.ts": Audio("mp2", seconds=0.5),
    }.get(name, Audio(seconds=2.0))
    source = make_video(
        tmp_path / name,
        pts=range(50),
        options={"preset": "medium", "bf": "2", "g": "12"},
        audio=[sound],
        interlaced=name == "fields.ts",
        muxer_options=FRAGMENTED if name == "fragments.mp4" else {},
    )
    frames, notes, is_damaged = restored(source, tmp_path / f"out{source.suffix}")
    assert (frames, notes, is_damaged) == (50, [], False)


NULL_PACKET = bytes([0x47, 0x1F, 0xFF, 0x10]) + b"\xff" * 184


def test_a_stream_that_appears_midway_is_left_out(tmp_path: Path) -> None:
    """As in a broadcast, where the film has one sound track more than the news before."""

    def part(name: str, first: int, count: int, audio: list[Audio]) -> bytes:
        return make_video(
            tmp_path / name,
            size=(32, 32),
            rate=1,
            pts=[(first + i) * 90000 for i in range(count)],
            time_base=TICKS,
            audio=audio,
            muxer_options={"mpegts_copyts": "1"},
        ).read_bytes()

    before, after = part("before.ts", 0, 100, []), part("after.ts", 110, 10, [])
    among = part("among.ts", 100, 10, [Audio("mp2", start_s=100.0)])
    source = tmp_path / "broadcast.ts"  # looked at by FFmpeg at its first 5 MB and at its end
    source.write_bytes(before + NULL_PACKET * 29000 + among + NULL_PACKET * 2000 + after)
    frames, notes, is_damaged = restored(source, tmp_path / "out.mkv")
    assert (frames, is_damaged) == (120, False)
    [note] = [note for note in notes if "appears" in note]
    assert re.search(r"appears at (99|100)\.\d+ s .* \d\d packets", note), note


@pytest.mark.parametrize(
    "error", [IndexError("x"), UnicodeDecodeError("utf-8", b"\xe3", 0, 1, "bad"), MemoryError()]
)
def test_what_pyav_raises_names_the_file(error: Exception) -> None:
    for boundary in (av_boundary, unexpected):
        with (
            pytest.raises(VideoDecodeError, match=r"tape.ts: cannot be read \(\w+"),
            boundary(VideoDecodeError, "tape.ts: cannot be read"),
        ):
            raise error


BROKEN_UNIT = "sample_with_invalid_nalu.mp4"
"""One of its pictures cannot be decoded by anybody."""


def without_encoding(source: Path, part: dict[str, float]) -> tuple[int, list[object]]:
    """(frames, notes and shortfalls) of reading the picture and copying all sound."""
    with VideoReader(source, DecodeConfig(**part), threads=1) as reader:
        frames = sum(1 for _ in reader.frames())
        told: list[object] = list(reader.notes)
        window = reader.window
    with open_input(source) as container, av.open(io.BytesIO(), "w", format="matroska") as out:
        known = [one for one in container.streams.audio if one.codec_context is not None]
        streams = {one.index: out.add_stream_from_template(one, opaque=True) for one in known}
        if streams:
            out.start_encoding()
            copier = StreamCopier(container, streams, window, Fraction(0), source)
            copier.advance(None)
            told += [one for i in streams if (one := copier.shortfall(i, f"stream {i}"))]
            told += [i for i in streams if copier.went_back(i)]
    return frames, told


@pytest.mark.parametrize("folder", ["media", "clips", "damaged/intact"])
def test_shared_files_are_intact(shared: Path, folder: str) -> None:
    files = [path for path in sorted((shared / folder).iterdir()) if path.suffix != ".md"]
    assert len(files) > 10
    part = {"end": 2.0} if folder == "clips" else {}
    told = {path.name: without_encoding(path, part) for path in files}
    assert all(frames for frames, _ in told.values())
    noted = {name: notes for name, (_, notes) in told.items() if notes}
    expected = {BROKEN_UNIT: ["1 frame that could not be decoded, replaced by a neighbour"]}
    assert noted == (expected if folder == "media" else {})


@pytest.mark.parametrize("start", [0.37, 1.0])
def test_parts_of_shared_files_are_intact(shared: Path, start: float) -> None:
    for path in sorted((shared / "damaged" / "intact").iterdir()):
        frames, told = without_encoding(path, {"start": start, "end": 1.1})
        assert frames and told == [], path


def test_damaged_shared_files_are_not_silent(shared: Path, tmp_path: Path) -> None:
    files = sorted((shared / "damaged").glob("silent_*"))
    assert len(files) > 4
    for path in files:
        with VideoReader(path, DecodeConfig(), threads=1, keep_damaged=True) as reader:
            list(reader.frames())
            assert reader.notes, path
