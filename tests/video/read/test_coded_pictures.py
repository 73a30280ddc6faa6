"""Pictures that packets promise by their headers, and files in which some packets have none."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest
from avi_files import write_avi
from hypothesis import given, settings
from hypothesis import strategies as st
from videos import make_video

from vidrestore.config import DecodeConfig
from vidrestore.errors import VideoDecodeError
from vidrestore.video.read.coded_pictures import picture_counter
from vidrestore.video.read.reader import VideoReader


def packets(path: Path) -> list[bytes]:
    """Of the picture, in order of decoding."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def times_and_notes(path: Path, threads: int = 1) -> tuple[list[Fraction], tuple[str, ...]]:
    with VideoReader(path, DecodeConfig(), threads=threads) as reader:
        times = [frame.pts * frame.time_base for frame in reader.frames()]
        return times, reader.notes


def not_coded(vop: bytes) -> bytes:
    """The plane's header with `vop_coded` cleared, which ends it; times are counted in 1/25 s."""
    seconds = 1
    while vop[4] >> (5 - seconds + 1) & 1:
        seconds += 1
    head = int.from_bytes(vop[4:8], "big")
    kept = 2 + seconds + 1 + 5 + 1  # type, seconds, marker, increment, marker
    return vop[:4] + ((head >> (32 - kept)) << (32 - kept) | 0x7F << (24 - kept)).to_bytes(4, "big")


def packed(chunks: list[bytes]) -> list[bytes]:
    """As DivX packs them: each B-frame before its time, with the picture it depends on."""
    result = list[bytes]()
    at = 0
    while at < len(chunks):
        has_b = at + 1 < len(chunks) and chunks[at + 1][4] >> 6 == 2
        result += [chunks[at] + chunks[at + 1]] if has_b else [chunks[at]]
        result += [not_coded(chunks[at])] if has_b else []
        at += 1 + has_b
    return result


def mpeg4_chunks(folder: Path, b_frames: int, count: int = 25) -> list[bytes]:
    """Chunks of a tagged stream: FFmpeg's decoder takes it for DivX's, which packs."""
    clip = make_video(
        folder / "clip.avi",
        codec="mpeg4",
        pts=range(count),
        options={"bf": str(b_frames), "g": "50"},
    )
    first, *others = packets(clip)
    at = first.index(b"\0\0\1\xb6")
    return [first[:at] + b"\0\0\1\xb2DivX503b1393p" + first[at:], *others]


@pytest.mark.parametrize("threads", [1, 3])
def test_packed_b_frames_play_at_their_speed(tmp_path: Path, threads: int) -> None:
    chunks = packed(mpeg4_chunks(tmp_path, b_frames=1))
    counter = picture_counter("mpeg4", None)
    counts = [counter.count(chunk) for chunk in chunks]
    assert {0, 1, 2} >= set(counts) > {0, 2} and sum(counts) == 25
    path = write_avi(tmp_path / "packed.avi", chunks, fourcc=b"DX50")
    times, notes = times_and_notes(path, threads)
    first = times[0]
    assert [time - first for time in times] == [Fraction(i, 25) for i in range(25)]
    assert notes == ()


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_packed_b_frames_that_were_copied_elsewhere_play_alike(tmp_path: Path, ending: str) -> None:
    """Each packet has the time of its place, as FFmpeg copies it from AVI."""
    chunks = packed(mpeg4_chunks(tmp_path, b_frames=1))
    original = write_avi(tmp_path / "packed.avi", chunks, fourcc=b"DX50")
    copy = tmp_path / f"copy{ending}"
    with av.open(str(original)) as source, av.open(str(copy), "w") as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.pts, packet.stream = packet.dts, stream
                sink.mux(packet)
    (times, notes), (others, _) = times_and_notes(original), times_and_notes(copy)
    assert [time - others[0] for time in others] == [time - times[0] for time in times]
    assert len(others) == 25 and notes == ()


@pytest.mark.parametrize("threads", [1, 3])
def test_planes_that_are_not_coded_are_no_loss(tmp_path: Path, threads: int) -> None:
    chunks = mpeg4_chunks(tmp_path, b_frames=0, count=20)
    empty = (5, 6, 11)
    chunks = [not_coded(one) if i in empty else one for i, one in enumerate(chunks)]
    path = write_avi(tmp_path / "still.avi", chunks, fourcc=b"DIVX")
    times, notes = times_and_notes(path, threads)
    assert times == [Fraction(i, 25) for i in range(20) if i not in empty]
    assert notes == ()


def test_a_chunk_that_decodes_to_nothing_is_still_a_loss(tmp_path: Path) -> None:
    chunks = mpeg4_chunks(tmp_path, b_frames=0, count=40)
    chunks[20] = bytes(len(chunks[20]))
    path = write_avi(tmp_path / "broken.avi", chunks, fourcc=b"DIVX")
    times, notes = times_and_notes(path)
    assert len(times) == 40 or notes
    assert any("could not be decoded" in note or "missing" in note for note in notes), notes


def test_empty_chunks_of_a_capture_are_no_loss(tmp_path: Path) -> None:
    clip = make_video(tmp_path / "m.mov", codec="mjpeg", pix_fmt="yuvj420p", pts=range(20))
    chunks = packets(clip)
    for index in (3, 4, 11):
        chunks[index] = b""
    path = write_avi(
        tmp_path / "capture.avi", chunks, fourcc=b"MJPG", sound=[bytes(640)] * 20,
        keys=frozenset(range(20)),
    )  # fmt: skip
    times, notes = times_and_notes(path)
    assert times == [Fraction(i, 25) for i in range(20) if chunks[i]] and notes == ()


FIELDS = "paff_mixed_refused_or_extra_frames"


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    ("name", "count"), [("paff_mixed.mp4", 60), ("paff_mixed.ts", 60), ("paff_sparse.ts", 100)]
)
def test_pictures_of_one_frame_and_of_two_fields_come_once(
    shared: Path, name: str, count: int, threads: int
) -> None:
    times, notes = times_and_notes(shared / "cases" / FIELDS / name, threads)
    assert len(times) == count and notes == ()


def bits(*parts: tuple[int, int] | int) -> bytes:
    """Headers bit by bit: (value, bits), or a number as an unsigned Exp-Golomb code."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            code = f"{part + 1:b}"
            text += "0" * (len(code) - 1) + code
        else:
            text += f"{part[0]:0{part[1]}b}"
    text += "1" + "0" * (-(len(text) + 1) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


SEQUENCE = b"\x67" + bits((77, 8), (0, 8), (30, 8), 0, 0, 2, 1, (0, 1), 3, 2, (0, 1))
"""Main profile, frame_num of 4 bits, fields allowed."""
PICTURE = b"\x68" + bits(0, 0)


def field(frame_num: int, is_bottom: int) -> bytes:
    return b"\x41" + bits(0, 5, 0, (frame_num, 4), (1, 1), (is_bottom, 1))


def frame(frame_num: int) -> bytes:
    return b"\x41" + bits(0, 5, 0, (frame_num, 4), (0, 1))


def stream_of(*units: bytes) -> bytes:
    return b"".join(b"\0\0\1" + unit for unit in units)


@pytest.mark.parametrize(
    ("packets", "counts"),
    [
        ([field(1, 0), field(1, 1), field(2, 1), field(2, 0), frame(3)], [1, 0, 1, 0, 1]),
        ([field(1, 0), field(2, 0), field(2, 1)], [1, 1, 0]),  # the second field is gone
        ([field(1, 0), field(1, 0), field(1, 1), field(1, 0)], [1, 1, 0, 1]),
        ([b"\x06\5\0", frame(1), b"\x0a"], [0, 1, 0]),  # a message and the end on their own
    ],
)
def test_a_second_field_is_told_by_its_header(packets: list[bytes], counts: list[int]) -> None:
    counter = picture_counter("h264", stream_of(SEQUENCE, PICTURE))
    assert [counter.count(stream_of(one)) for one in packets] == counts
    in_packet = picture_counter("h264", stream_of(SEQUENCE, PICTURE))
    assert in_packet.count(stream_of(*packets)) == sum(counts)


@pytest.mark.parametrize("data", [bytes(100), b"\0\0\1\x1f\0\0", b"\0\0\1\xe1\x88\0"])
def test_what_is_no_code_of_a_picture_is_one_that_is_lost(data: bytes) -> None:
    for codec in ("h264", "mpeg4", "hevc", "mpeg2video", "vp9", "av1"):
        assert picture_counter(codec, stream_of(SEQUENCE, PICTURE)).count(data) == 1


CODECS = ["h264", "hevc", "mpeg4", "mpeg1video", "mpeg2video", "vp9", "av1"]


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200), codec=st.sampled_from(CODECS))
def test_any_bytes_are_counted(data: bytes, codec: str) -> None:
    counter = picture_counter(codec, data[:50])
    assert 0 <= counter.count(data) <= len(data) + 1


@pytest.fixture(scope="module")
def open_groups(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """HEVC whose groups of pictures are open: leading pictures refer to the group before."""
    parameters = "log-level=none:open-gop=1:keyint=8:min-keyint=8:bframes=3:no-scenecut=1"
    return make_video(
        tmp_path_factory.mktemp("hevc") / "in.mp4",
        codec="libx265",
        pts=range(30),
        options={"x265-params": parameters},
    )


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".ts", ".hevc"])
def test_every_picture_of_hevc_is_promised(open_groups: Path, tmp_path: Path, ending: str) -> None:
    path = copy_of(open_groups, tmp_path / f"copy{ending}")
    with av.open(str(path)) as container:
        counter = picture_counter("hevc", container.streams.video[0].codec_context.extradata)
    assert counter.is_exact and sum(map(counter.count, packets(path))) == 30
    times, notes = times_and_notes(path)
    assert len(times) == 30 and notes == ()


def copy_of(source: Path, path: Path, first: int = 0) -> Path:
    """The packets of a video from one on, in another container."""
    with av.open(str(source)) as container, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(container.streams.video[0])
        for number, packet in enumerate(container.demux(video=0)):
            if packet.size and number >= first:
                packet.stream = stream
                out.mux(packet)
    return path


def kinds_of_hevc(path: Path) -> list[int]:
    """Of the first unit of each packet."""
    return [data[4] >> 1 for data in packets(path)]


def test_leading_pictures_without_their_group_are_no_loss(
    open_groups: Path, tmp_path: Path
) -> None:
    later = kinds_of_hevc(open_groups).index(21, 1)
    path = copy_of(open_groups, tmp_path / "cut.mkv", first=later)
    with av.open(str(path)) as container:
        counter = picture_counter("hevc", container.streams.video[0].codec_context.extradata)
    leading = sum(kind in (8, 9) for kind in kinds_of_hevc(path)[:8])
    counts = list(map(counter.count, packets(path)))
    assert leading and sum(counts) == len(counts) - leading
    times, notes = times_and_notes(path)
    assert len(times) == sum(counts) and notes == ()


def test_damaged_slices_of_hevc_are_counted(open_groups: Path, tmp_path: Path) -> None:
    """FFmpeg says nothing of a slice that names parameters which are not there."""
    data = open_groups.read_bytes()
    for packet in packets(open_groups)[9:13]:
        broken = packet[:6] + b"\x81" + bytes(len(packet) - 7)
        assert data.count(packet) == 1
        data = data.replace(packet, broken)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(data)
    with pytest.raises(VideoDecodeError, match="of 30 frames are missing or broken"):
        times_and_notes(path)


def mpeg2_picture(number: int, structure: int) -> bytes:
    """A picture's header and its extension, with the beginning of a slice."""
    head = b"\0\0\1\0" + (number << 6 | 1 << 3).to_bytes(2, "big") + b"\xff\xf8"
    return head + b"\0\0\1\xb5\x8f\xff" + bytes([0xF0 | structure, 0x80, 0]) + b"\0\0\1\1\x22"


TOP, BOTTOM, WHOLE = 1, 2, 3


@pytest.mark.parametrize(
    ("packets", "counts"),
    [
        ([(0, TOP), (0, BOTTOM), (1, WHOLE), (3, BOTTOM), (3, TOP)], [1, 0, 1, 1, 0]),
        ([(0, TOP), (1, TOP), (1, BOTTOM)], [1, 1, 0]),  # the second field is gone
        ([(0, TOP), (1, BOTTOM), (1, TOP)], [1, 1, 0]),
    ],
)
def test_two_fields_of_mpeg2_are_one_picture(
    packets: list[tuple[int, int]], counts: list[int]
) -> None:
    data = [mpeg2_picture(*one) for one in packets]
    counter = picture_counter("mpeg2video", None)
    assert list(map(counter.count, data)) == counts
    assert picture_counter("mpeg2video", None).count(b"".join(data)) == sum(counts)
    assert counter.count(b"\0\0\1\xb7") == 0  # the end of a sequence, on its own


def superframe(*frames: bytes) -> bytes:
    """Frames of VP9 in one packet, with their sizes in one byte each."""
    marker = bytes([0b11000000 | len(frames) - 1])
    return b"".join(frames) + marker + bytes(map(len, frames)) + marker


HIDDEN, SHOWN, AGAIN = b"\x84\0\0", b"\x86\0\0", b"\x88"
"""Frames between others, of profile 0; the last shows one that was decoded before."""


@pytest.mark.parametrize(
    ("packet", "count"),
    [
        (HIDDEN, 0), (SHOWN, 1), (AGAIN, 1), (b"\xb2\0", 0), (b"\xb3\0", 1),
        (superframe(HIDDEN, SHOWN), 1), (superframe(HIDDEN, HIDDEN), 0),
        (superframe(HIDDEN, AGAIN), 1),
    ],
)  # fmt: skip
def test_frames_of_vp9_that_are_hidden_promise_nothing(packet: bytes, count: int) -> None:
    assert picture_counter("vp9", None).count(packet) == count


def unit(kind: int, content: bytes) -> bytes:
    """An open bitstream unit of AV1 with its size."""
    return bytes([kind << 3 | 2, len(content)]) + content


@pytest.mark.parametrize(
    ("packet", "count"),
    [
        (unit(2, b"") + unit(6, b"\x30\0") + unit(3, b"\x80"), 1),  # hidden, then shown again
        (unit(6, b"\x30\0"), 1), (unit(6, b"\x20\0"), 0),
        (unit(6, b"\x20\0") + unit(9, b"\0"), 1), (unit(6, b"\x20\0")[:-1], 1),  # damaged
    ],
)  # fmt: skip
def test_units_of_av1_show_one_picture(packet: bytes, count: int) -> None:
    assert picture_counter("av1", None).count(packet) == count


HIDING = [
    ("libvpx-vp9", "webm", {"auto-alt-ref": "1", "lag-in-frames": "12", "cpu-used": "8"}),
    ("libsvtav1", "mp4", {"preset": "12"}),
    ("mpeg2video", "mkv", {"bf": "2"}),
]


@pytest.mark.parametrize(("codec", "ending", "options"), HIDING)
def test_what_is_zeroed_is_counted(
    tmp_path: Path, codec: str, ending: str, options: dict[str, str]
) -> None:
    clip = make_video(
        tmp_path / f"in.{ending}", codec=codec, size=(128, 96), pts=range(40), options=options
    )
    intact = [Fraction(i, 25) for i in range(40)]
    assert times_and_notes(clip) == (intact, ())
    data = clip.read_bytes()
    [lost] = [one for one in packets(clip)[20:] if data.count(one) == 1 and len(one) > 20][:1]
    clip.write_bytes(data.replace(lost, bytes(len(lost))))
    with VideoReader(clip, DecodeConfig(max_broken=0.5), threads=1) as reader:
        assert [frame.pts * frame.time_base for frame in reader.frames()] == intact
        assert any("could not be decoded" in note for note in reader.notes)
