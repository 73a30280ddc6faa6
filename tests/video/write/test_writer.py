"""Read, write unchanged, compare: nothing but the picture's packets may differ."""

from __future__ import annotations

import resource
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from native import random_frame
from videos import (
    Audio,
    Chapter,
    Colour,
    Subtitle,
    make_video,
    packets_of,
    planes_of,
    times_of,
)

from vidrestore.config import DecodeConfig, EncodeConfig
from vidrestore.errors import VideoWriteError
from vidrestore.video.picture.samples import picture_from_av
from vidrestore.video.read.probe import probe
from vidrestore.video.read.reader import VideoReader
from vidrestore.video.write.writer import VideoWriter

QUICK = {"speed": "ultrafast"}


def pass_through(
    source: Path,
    destination: Path,
    *,
    start: float | None = None,
    end: float | None = None,
    **config: Any,
) -> Path:
    encode = EncodeConfig(**(QUICK | config))
    with (
        VideoReader(source, DecodeConfig(start=start, end=end), threads=2) as reader,
        VideoWriter(destination, reader.info, encode, window=reader.window, threads=2) as writer,
    ):
        for frame in reader.frames():
            writer.write(frame)
        writer.commit()
    return destination


def tags_of(path: Path) -> dict[str, Any]:
    """What must survive besides packets and times."""
    info = probe(path)
    kept = [one for one in info.streams if not one.is_made_by_muxer]
    return {
        "size": (info.width, info.height),
        "format": info.pix_fmt.replace("yuvj", "yuv"),
        "sar": info.sar,
        "matrix": info.display_matrix,
        "colour": replace(info.colour, range=info.colour.range or 1),  # untold is limited
        "interlaced": info.interlaced,
        "hdr": (info.mastering, info.light_level),
        "rate": info.average_rate,
        "chapters": [
            (float(one.start_s), float(one.end_s), one.metadata.get("title"))
            for one in info.chapters
        ],
        "timecode": info.timecode,
        "streams": [
            (one.type, one.language, one.title, one.metadata.get("name"), one.disposition)
            for one in kept
        ],
        "codecs": [one.codec for one in kept if one.index != info.stream_index],
        "metadata": {
            key.lower(): text
            for key, text in info.metadata.items()
            if key.lower() in ("title", "artist", "comment", "date", "com.example.key")
        },
    }


def attachments_of(path: Path) -> list[tuple[str, str, bytes]]:
    with av.open(str(path)) as container:
        return [
            (one.name, one.mimetype, one.data)
            for one in container.streams
            if one.type == "attachment"
        ]


def assert_kept(source: Path, output: Path) -> None:
    """Tags equal, frames at the same times to half a tick, other streams packet by packet."""
    assert tags_of(output) == tags_of(source)
    assert attachments_of(output) == attachments_of(source)
    info = probe(output)
    tick = max(info.time_base, probe(source).time_base)
    before, after = times_of(source), times_of(output)
    assert len(before) == len(after)
    assert max(abs(a - b) for a, b in zip(before, after, strict=True)) <= tick / 2
    for stream in info.streams:
        if stream.type not in ("audio", "subtitle") and not stream.is_cover:
            continue
        old, new = packets_of(source, stream.index), packets_of(output, stream.index)
        assert [data for _, data in new] == [data for _, data in old], stream
        for (was, _), (now, _) in zip(old, new, strict=True):
            assert was is None or now is None or abs(was - now) <= Fraction(1, 1000)


VARIABLE = [0, 1, 2, 5, 6, 20, 21, 22, 23, 60, 61, 63]
B_FRAMES = {"preset": "medium", "bf": "3"}
TAGS = {"title": "A title", "artist": "Änne", "comment": "words", "date": "1927"}
MASTER = (
    "log-level=none:pools=1:max-cll=1000,400:"
    "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
)

KINDS: dict[str, dict[str, Any]] = {
    "variable.mp4": {
        "pts": [37 * time + 11 for time in VARIABLE],
        "time_base": Fraction(1, 1000),
        "audio": [Audio(seconds=2)],
    },
    "variable.mkv": {
        "pts": [13 * time for time in VARIABLE],
        "time_base": Fraction(1, 1000),
        "audio": [Audio("libopus")],
    },
    "b_frames.mp4": {"pts": range(40), "options": B_FRAMES, "audio": [Audio(seconds=1.6)]},
    "b_frames.mkv": {"pts": range(40), "options": B_FRAMES, "audio": [Audio(seconds=1.6)]},
    "b_frames.ts": {"pts": range(40), "options": B_FRAMES, "audio": [Audio("mp2", seconds=1.6)]},
    "ntsc.mp4": {"rate": Fraction(30000, 1001), "time_base": Fraction(1001, 30000)},
    "ntsc.mkv": {"rate": Fraction(30000, 1001), "time_base": Fraction(1001, 30000)},
    "odd.mp4": {"codec": "libvpx-vp9", "size": (63, 47)},
    "odd.mkv": {"codec": "ffv1", "size": (63, 47)},
    "sound_first.mp4": {"pts": range(20, 45), "audio": [Audio(seconds=1.8)]},
    "sound_first.mkv": {"pts": range(20, 45), "audio": [Audio(seconds=1.8)]},
    "sound_last.mp4": {"audio": [Audio(start_s=0.5, seconds=0.6)]},
    "sound_last.mkv": {"audio": [Audio(start_s=0.5, seconds=0.6)]},
    "sound_before_zero.mp4": {"audio": [Audio(start_s=-0.2)]},
    "hdr.mp4": {
        "codec": "libx265",
        "pix_fmt": "yuv420p10le",
        "colour": Colour(1, 9, 9, 16),
        "options": {"x265-params": MASTER},
    },
    "hdr.mkv": {"codec": "libx265", "pix_fmt": "yuv420p10le", "colour": Colour(1, 9, 9, 16)},
    "prores.mov": {
        "codec": "prores_ks",
        "pix_fmt": "yuv422p10le",
        "rotation": (90, False),
        "audio": [Audio("pcm_s16le")],
    },
    "mpeg2.ts": {"codec": "mpeg2video", "options": {"bf": "2"}, "audio": [Audio("mp2")]},
    "late_clock.ts": {
        "pts": [126000 + 3600 * index for index in range(25)],
        "time_base": Fraction(1, 90000),
        "audio": [Audio(start_s=1.4)],
    },
    "vp9.webm": {"codec": "libvpx-vp9", "audio": [Audio("libopus")]},
    "rich.mkv": {
        "audio": [
            Audio(language="ger", title="Deutsch"),
            Audio("libopus", language="fre", title="Français", default=False),
        ],
        "subtitles": [
            Subtitle(language="ger", title="Untertitel", default=True),
            Subtitle("ass", lines=[(0.1, 0.3, "0,0,Default,,0,0,0,,hello")], language="eng"),
        ],
        "chapters": [Chapter(0, 0.5, "one"), Chapter(0.5, 1, "two")],
        "attachments": [
            ("a.ttf", "application/x-truetype-font", b"font"),
            ("b", "text/plain", b""),
        ],
        "metadata": TAGS | {"timecode": "01:02:03:04"},
    },
    "rich.mp4": {
        "audio": [Audio(language="ger", title="Ton"), Audio("libmp3lame", default=False)],
        "subtitles": [Subtitle("mov_text", language="ger")],
        "chapters": [Chapter(0, 0.5, "one"), Chapter(0.5, 1, "two")],
        "metadata": TAGS | {"timecode": "01:02:03:04"},
    },
    "rich.mov": {
        "audio": [Audio(language="ger"), Audio("pcm_s16le", default=False)],
        "chapters": [Chapter(0, 0.5, "one")],
        "metadata": TAGS | {"timecode": "01:02:03:04"},
    },
    "unusual_tags.mp4": {
        "metadata": {"title": "A title", "com.example.key": "value"},
        "muxer_options": {"movflags": "use_metadata_tags"},
    },
    "cover.mp4": {"cover": True, "audio": [Audio()]},
    "sar.mp4": {"sar": Fraction(64, 45)},
    "sar.mkv": {"sar": Fraction(8, 9), "codec": "ffv1"},
    "sar.webm": {"sar": Fraction(8, 9), "codec": "libvpx-vp9"},
    "turned.mkv": {"rotation": (-90, False)},
    "mirrored.mp4": {"rotation": (90, True)},
    "mirrored.mkv": {"rotation": (0, True)},
    "full_range.mp4": {"pix_fmt": "yuvj420p", "colour": Colour(2, 5, 5, 6)},
    "full_range.webm": {"codec": "libvpx-vp9", "colour": Colour(2, 5, 5, 6)},
    "bt709.mkv": {"colour": Colour(1, 1, 1, 1)},
    "interlaced.mp4": {"interlaced": True},
    "motion_jpeg.mov": {"codec": "mjpeg", "pix_fmt": "yuvj422p", "colour": Colour(2, 5, 2, 2)},
}


@pytest.mark.parametrize("name", KINDS)
def test_everything_else_is_kept(tmp_path: Path, name: str) -> None:
    source = make_video(tmp_path / name, **KINDS[name])
    assert_kept(source, pass_through(source, tmp_path / f"out_{name}"))


@pytest.mark.parametrize("clip", ["talk_1", "old_tv_two_faces", "phone_portrait"])
def test_shared_clips_are_kept(shared: Path, tmp_path: Path, clip: str) -> None:
    source = shared / "clips" / f"{clip}.mp4"
    assert_kept(source, pass_through(source, tmp_path / "out.mp4"))


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le", "yuv444p", "gray", "bgr0"])
def test_lossless_codecs_keep_every_sample(tmp_path: Path, pix_fmt: str) -> None:
    source = make_video(tmp_path / "in.mkv", codec="ffv1", pix_fmt=pix_fmt, pts=range(6))
    output = pass_through(source, tmp_path / "out.mkv", codec="ffv1")
    assert decoded(output) == decoded(source)
    assert tags_of(output) == tags_of(source)


def decoded(path: Path, pix_fmt: str | None = None) -> list[list[bytes]]:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    if frames[0].format.name == "bgr0":  # the fourth sample is padding
        frames = [frame.reformat(format="bgr24") for frame in frames]
    return [planes_of(frame) for frame in frames]


@pytest.mark.parametrize(
    ("pix_fmt", "fed"),
    [
        *(("rgb24", "bgr0"), ("bgr24", "bgr0"), ("gbrp", "bgr0"), ("nv12", "yuv420p")),
        *(("yuvj420p", "yuv420p"), ("yuvj444p", "yuv444p"), ("yuyv422", "yuv422p")),
        ("p010le", "yuv420p10le"),
    ],
)
def test_equal_layouts_lose_nothing(tmp_path: Path, pix_fmt: str, fed: str) -> None:
    """Random samples, in a codec with no layout of their own, come out as the same numbers."""
    output = tmp_path / "out.mkv"
    with VideoReader(make_video(tmp_path / "in.mp4", pts=range(1)), DecodeConfig()) as reader:
        info = replace(reader.info, pix_fmt=pix_fmt)
        frame = random_frame(pix_fmt, info.width, info.height)
        with VideoWriter(output, info, EncodeConfig(codec="ffv1")) as writer:
            assert writer.plan.pix_fmt == fed
            first = next(reader.frames())
            writer.write(replace(first, picture=picture_from_av(frame)))
            writer.commit()
    with av.open(str(output)) as container:
        got = next(container.decode(video=0))
        assert got.format.name == fed
    np.testing.assert_array_equal(_numbers(got), _numbers(frame))


def _numbers(frame: av.VideoFrame) -> np.ndarray[Any, Any]:
    """All components of a frame, in the order Y U V or R G B, one after the other."""
    data = [np.frombuffer(plane, np.uint8) for plane in planes_of(frame)]
    name, (width, height) = frame.format.name, (frame.width, frame.height)
    if name in ("rgb24", "bgr24", "bgr0"):
        packed = data[0].reshape(height, width, -1)[:, :, :3]
        return np.concatenate(
            [c.ravel() for c in np.moveaxis(packed[:, :, :: 1 if name == "rgb24" else -1], 2, 0)]
        )
    if name == "gbrp":
        return np.concatenate([data[2], data[0], data[1]])
    if name == "nv12":
        return np.concatenate([data[0], data[1][0::2], data[1][1::2]])
    if name == "yuyv422":
        return np.concatenate([data[0][0::2], data[0][1::4], data[0][3::4]])
    if name == "p010le":
        luma, chroma = data[0].view(np.uint16) >> 6, data[1].view(np.uint16) >> 6
        return np.concatenate([luma, chroma[0::2], chroma[1::2]])
    wide = [plane.view(np.uint16) if name.endswith("10le") else plane for plane in data]
    return np.concatenate(wide)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_two_runs_give_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    codec, sound = ("libvpx-vp9", "libopus") if suffix == ".webm" else ("libx264", "aac")
    source = make_video(tmp_path / f"in{suffix}", codec=codec, audio=[Audio(sound)], metadata=TAGS)
    one = pass_through(source, tmp_path / f"one{suffix}")
    two = pass_through(source, tmp_path / f"two{suffix}")
    assert one.read_bytes() == two.read_bytes()


increasing = st.lists(st.integers(1, 5000), min_size=1, max_size=12).map(
    lambda steps: [sum(steps[:n]) for n in range(len(steps) + 1)]
)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example(times=[0, 1, 2, 3], first=0)
@given(times=increasing, first=st.integers(0, 3000))
def test_any_increasing_times_survive(
    tmp_path: Path, suffix: str, times: list[int], first: int
) -> None:
    pts = [first + time for time in times]
    source = make_video(
        tmp_path / f"in{suffix}",
        size=(32, 32),
        pts=pts,
        time_base=Fraction(1, 1000),
        options={"bf": "2", "preset": "veryfast"},
    )
    output = pass_through(source, tmp_path / f"out{suffix}", overwrite=True, speed="veryfast")
    assert times_of(output) == [Fraction(time, 1000) for time in pts]


def test_matroska_keeps_fine_times_to_its_tick(tmp_path: Path) -> None:
    times = [0, 7, 100, 333, 511, 1200]
    source = make_video(tmp_path / "in.mp4", pts=times, time_base=Fraction(1, 12800))
    output = pass_through(source, tmp_path / "out.mkv")
    for exact, got in zip(times_of(source), times_of(output), strict=True):
        assert abs(exact - got) <= Fraction(1, 2000)


@pytest.mark.parametrize(("old", "new"), [(".ts", ".mp4"), (".ts", ".mkv"), (".mp4", ".ts")])
def test_containers_can_change(tmp_path: Path, old: str, new: str) -> None:
    """AAC has a header of its own in MPEG-TS, which MP4 and Matroska do not want."""
    source = make_video(tmp_path / f"in{old}", pts=range(25), audio=[Audio()])
    output = pass_through(source, tmp_path / f"out{new}")
    before, after = times_of(source), times_of(output)
    shift = after[0] - before[0]
    assert abs(shift) < Fraction(1, 20)
    assert all(abs(b - a - shift) <= Fraction(1, 1000) for a, b in zip(before, after, strict=True))
    with av.open(str(source)) as one, av.open(str(output)) as two:
        sounds = [
            np.concatenate([frame.to_ndarray() for frame in file.decode(audio=0)], axis=1)
            for file in (one, two)
        ]
    length = min(sound.shape[1] for sound in sounds)  # MP4 hides the encoder's warming up
    assert length > 40000
    np.testing.assert_array_equal(*(sound[:, -length:] for sound in sounds))


def test_a_broadcasts_clock_goes_on_in_transport_streams_only(tmp_path: Path) -> None:
    source = make_video(
        tmp_path / "in.ts",
        pts=[90000 * 50000 + 3600 * index for index in range(25)],
        time_base=Fraction(1, 90000),
        audio=[Audio(start_s=50000)],
    )
    assert times_of(pass_through(source, tmp_path / "out.ts"))[0] == 50000
    output = pass_through(source, tmp_path / "out.mp4")
    begin = probe(source).start_s
    assert abs(times_of(output)[0] - (50000 - begin)) <= Fraction(1, 90000)
    sound = packets_of(source, 1)[0][0], packets_of(output, 1)[0][0]
    assert sound[0] is not None and sound[1] is not None
    assert abs(sound[0] - begin - sound[1]) < Fraction(1, 1000)


def test_constant_rates_refuse_frames_off_the_beat(tmp_path: Path) -> None:
    steady = make_video(tmp_path / "steady.mp4")
    output = pass_through(steady, tmp_path / "out.mkv", codec="mpeg2video")
    assert times_of(output) == times_of(steady)
    uneven = make_video(tmp_path / "uneven.mp4", pts=VARIABLE, time_base=Fraction(1, 100))
    with pytest.raises(VideoWriteError, match=r"frame \d+ is off the constant rate.*write \.mkv"):
        pass_through(uneven, tmp_path / "uneven.avi")


def test_start_and_end_cut_all_streams(tmp_path: Path) -> None:
    source = make_video(
        tmp_path / "in.mkv",
        pts=range(50),
        audio=[Audio(seconds=2), Audio("libopus", seconds=2)],
        subtitles=[Subtitle(lines=[(0.1, 0.2, "gone"), (0.3, 0.6, "cut"), (1.0, 0.2, "kept")])],
        chapters=[Chapter(0, 0.4, "gone"), Chapter(0.4, 1, "cut"), Chapter(1, 2, "kept")],
        metadata={"timecode": "01:00:00:00"},
    )
    output = pass_through(source, tmp_path / "out.mkv", start=0.5, end=1.5)
    assert times_of(output)[0] == 0
    assert len(times_of(output)) == 25
    assert probe(output).timecode == "01:00:00:13"
    first = times_of(source)[13]
    for index in (1, 2):
        inside = [
            (time - first, data)
            for time, data in packets_of(source, index)
            if time is not None and first <= time < Fraction(3, 2)
        ]
        got = packets_of(output, index)
        assert [data for _, data in got] == [data for _, data in inside]
        assert all(
            now is not None and abs(now - was) <= Fraction(1, 1000)
            for (was, _), (now, _) in zip(inside, got, strict=True)
        )
    assert [data for _, data in packets_of(output, 3)] == [b"cut", b"kept"]
    assert packets_of(output, 3)[0][0] == 0
    chapters = [(float(one.start_s), one.metadata["title"]) for one in probe(output).chapters]
    assert chapters == [(0.0, "cut"), (0.48, "kept")]


def test_other_video_streams_are_copied(tmp_path: Path) -> None:
    small = make_video(tmp_path / "small.mkv", size=(32, 32), options=B_FRAMES)
    large = make_video(tmp_path / "large.mkv", size=(64, 64))
    both = tmp_path / "both.mkv"
    with (
        av.open(str(small)) as one,
        av.open(str(large)) as two,
        av.open(str(both), "w", container_options={"default_mode": "passthrough"}) as out,
    ):
        streams = [
            out.add_stream_from_template(file.streams.video[0], opaque=True) for file in (one, two)
        ]
        streams[0].disposition, streams[1].disposition = 0, 1
        packets = [
            (packet, stream)
            for file, stream in zip((one, two), streams, strict=True)
            for packet in file.demux(video=0)
            if packet.size
        ]
        for packet, stream in sorted(packets, key=lambda pair: pair[0].dts or 0):
            packet.stream = stream
            out.mux(packet)
    output = pass_through(both, tmp_path / "out.mkv")
    assert packets_of(output, 0) == packets_of(both, 0)
    assert [one.default for one in probe(output).streams] == [False, True]
    assert probe(output).width == 64


def test_cover_art_moves_into_matroska_as_an_attachment(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", cover=True)
    output = pass_through(source, tmp_path / "out.mkv")
    assert [one.type for one in probe(output).streams if not one.is_cover] == ["video"]
    covers = [one.index for one in probe(output).streams if one.is_cover]
    assert len(covers) == 1
    assert packets_of(output, covers[0])[0][1] == packets_of(source, 1)[0][1]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_until_commit_nothing_has_the_final_name(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", audio=[Audio()])
    output = tmp_path / "out.mp4"
    with (
        VideoReader(source, DecodeConfig()) as reader,
        VideoWriter(output, reader.info, EncodeConfig(**QUICK)) as writer,
    ):
        for frame in reader.frames():
            writer.write(frame)
            assert [n for n in names_in(tmp_path) if not n.startswith(".vr-")] == ["in.mp4"]
        writer.commit()
    assert names_in(tmp_path) == ["in.mp4", "out.mp4"]


@pytest.mark.parametrize("ending", [RuntimeError, KeyboardInterrupt, None])
def test_without_commit_nothing_is_left(tmp_path: Path, ending: type[BaseException] | None) -> None:
    source = make_video(tmp_path / "in.mp4", pts=range(60), audio=[Audio(seconds=2)])
    output = tmp_path / "out.mp4"
    output.write_text("precious")

    def run() -> None:
        with (
            VideoReader(source, DecodeConfig()) as reader,
            VideoWriter(output, reader.info, EncodeConfig(overwrite=True, **QUICK)) as writer,
        ):
            for frame in reader.frames():
                writer.write(frame)
                if frame.index == 30 and ending is not None:
                    raise ending("stop")

    if ending is None:
        run()
    else:
        with pytest.raises(ending):
            run()
    assert names_in(tmp_path) == ["in.mp4", "out.mp4"]
    assert output.read_text() == "precious"


def test_no_frames_make_no_file(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4")
    with (
        VideoWriter(tmp_path / "out.mp4", probe(source), EncodeConfig()) as writer,
        pytest.raises(VideoWriteError, match="no frame was written"),
    ):
        writer.commit()
    assert names_in(tmp_path) == ["in.mp4"]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize("room", [3_000, 20_000])
def test_no_room_on_the_disk_is_told(tmp_path: Path, suffix: str, room: int) -> None:
    """A limit on the size of files stands for a full disk, met early or late."""
    source = make_video(tmp_path / "in.mp4", pts=range(60), size=(320, 240), audio=[Audio()])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(VideoWriteError, match=r"cannot be written \(File too large\)"):
            pass_through(source, tmp_path / f"out{suffix}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names_in(tmp_path) == ["in.mp4"]


def test_frames_out_of_order_or_of_another_size_are_refused(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4")
    other = make_video(tmp_path / "other.mp4", size=(32, 32))
    with VideoReader(source, DecodeConfig()) as reader, VideoReader(other, DecodeConfig()) as wrong:
        frames = list(reader.frames())
        with VideoWriter(tmp_path / "out.mp4", reader.info, EncodeConfig(**QUICK)) as writer:
            writer.write(frames[1])
            with pytest.raises(VideoWriteError, match="does not come after"):
                writer.write(frames[0])
            with pytest.raises(VideoWriteError, match="is 32x32, the file 64x48"):
                writer.write(next(wrong.frames()))


def test_writing_leaves_the_decoders_pictures_alone(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", pts=range(30), options=B_FRAMES)
    expected = decoded(source)
    got = []
    with (
        VideoReader(source, DecodeConfig()) as reader,
        VideoWriter(tmp_path / "out.mp4", reader.info, EncodeConfig(**QUICK)) as writer,
    ):
        for frame in reader.frames():
            writer.write(frame)
            got.append(planes_of(frame.picture.handle))
        writer.commit()
    assert got == expected


def test_the_same_picture_twice_has_two_times(tmp_path: Path) -> None:
    """As the reader gives it where a frame could not be decoded."""
    source = make_video(tmp_path / "in.mp4", pts=range(4))
    with (
        VideoReader(source, DecodeConfig()) as reader,
        VideoWriter(tmp_path / "out.mp4", reader.info, EncodeConfig(**QUICK)) as writer,
    ):
        frames = list(reader.frames())
        for frame in frames:
            writer.write(replace(frame, picture=frames[0].picture))
        writer.commit()
    assert times_of(tmp_path / "out.mp4") == times_of(source)


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [("libx265", ".mp4"), ("libvpx-vp9", ".mkv"), ("ffv1", ".mkv"), ("prores_ks", ".mov")],
)
def test_codecs_can_be_named(tmp_path: Path, codec: str, suffix: str) -> None:
    pix_fmt = "yuv422p10le" if codec == "prores_ks" else "yuv420p"
    source = make_video(
        tmp_path / f"in{suffix}", codec="libx264", pix_fmt=pix_fmt, pts=range(6), audio=[Audio()]
    )
    output = pass_through(source, tmp_path / f"out{suffix}", codec=codec)
    assert_kept(source, output)
    assert probe(output).codec == {
        "libx265": "hevc",
        "libvpx-vp9": "vp9",
        "prores_ks": "prores",
    }.get(codec, codec)
