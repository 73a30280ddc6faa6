"""Pictures to a video and back: equal samples, headers of DPX, sound, and what is refused."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from videos import Audio, make_video, packets_of, times_of

from vidrestore import restore_video
from vidrestore.cli import main
from vidrestore.config import resolve_config
from vidrestore.errors import VideoDecodeError, VideoOpenError, VideoWriteError, VidRestoreError
from vidrestore.job import make_job
from vidrestore.video.picture.samples import picture_from_av
from vidrestore.video.read.probe import probe
from vidrestore.video.read.reader import VideoReader
from vidrestore.video.read.source import FrameSource
from vidrestore.video.sequence.dpx import read_header, repack
from vidrestore.video.sequence.files import ENDINGS
from vidrestore.video.sequence.pictures import decode_picture, encode_picture, size_of
from vidrestore.video.sequence.plan import SEQUENCE
from vidrestore.video.sequence.sink import SequenceWriter
from vidrestore.video.sequence.source import SequenceReader
from vidrestore.video.write.sink import FrameSink
from vidrestore.video.write.writer import VideoWriter

SIZE = (48, 32)


def noise(pix_fmt: str, seed: int, size: tuple[int, int] = SIZE) -> av.VideoFrame:
    """A picture of random samples."""
    frame = av.VideoFrame(*size, pix_fmt)
    random, bits = np.random.default_rng(seed), frame.format.components[0].bits
    for plane in frame.planes:
        if bits == 8:
            plane.update(random.integers(0, 256, plane.buffer_size, np.uint8).tobytes())
        else:
            kind = ">u2" if pix_fmt.endswith("be") else "<u2"
            values = random.integers(0, 1 << bits, plane.buffer_size // 2)
            plane.update(values.astype(kind).tobytes())
    return frame


def write(folder: Path, ending: str, pix_fmt: str, count: int = 3, first: int = 7) -> Path:
    """A sequence of noise; its pattern."""
    folder.mkdir(exist_ok=True)
    for number in range(first, first + count):
        data = encode_picture(noise(pix_fmt, number), ENDINGS[ending], pix_fmt)
        (folder / f"f_{number:06d}{ending}").write_bytes(data)
    return folder / f"f_%06d{ending}"


@dataclass
class Done:
    """What a run without networks gave."""

    frames: int = 0
    frames_repaired: int = 0
    notes: list[str] = field(default_factory=list)


def restored(source: Path, output: Path, **options: Any) -> Done:
    """Frames from the source of a job to its sink, as a session takes them."""
    values = {name.replace("__", "."): value for name, value in options.items()}
    job = make_job(source, output, resolve_config(None, values))
    assert job.output is not None
    config, done = job.config, Done()
    is_sequence = job.info.sequence is not None
    reader: FrameSource = (
        SequenceReader(job.info, config.decode, job.window)
        if is_sequence
        else VideoReader(job.info, config.decode, threads=1, window=job.window)
    )
    sink: FrameSink = (
        SequenceWriter(job.output, job.info, config.encode, job.window)
        if job.output.container is SEQUENCE
        else VideoWriter(job.output, job.info, config.encode, window=job.window, threads=1)
    )
    with reader as opened, sink as writer:
        for frame in opened.frames():
            writer.write(frame)
            done.frames += 1
            done.frames_repaired += frame.repaired
        writer.commit()
    done.notes = [*job.warnings, *reader.notes, *sink.notes]
    return done


def samples_of(frame: av.VideoFrame) -> list[bytes]:
    """The samples in the program's own layout of them, planes of GBR as packed RGB."""
    picture = picture_from_av(frame)
    if picture.format.startswith("gbrp"):
        green, blue, red = (plane.numpy() for plane in picture.planes)
        return [np.stack([red, green, blue], -1).tobytes()]
    return [plane.numpy()[..., :3].tobytes() if plane.ndim == 3 and plane.shape[-1] == 4
            and picture.format in ("bgr0", "rgb0") else plane.numpy().tobytes()
            for plane in picture.planes]  # fmt: skip


def samples_in(path: Path) -> list[list[bytes]]:
    if path.is_dir():
        return [samples_of(decode_picture(one)) for one in sorted(path.iterdir())]
    with av.open(str(path)) as container:
        return [samples_of(frame) for frame in container.decode(video=0)]


KINDS = [
    (".dpx", "gbrp10be"),
    (".dpx", "gbrp12be"),
    (".dpx", "rgb48be"),
    (".dpx", "rgb24"),
    (".png", "rgb24"),
    (".png", "rgb48be"),
    (".png", "gray"),
    (".tif", "gray16le"),
    (".tif", "rgb48le"),
    (".tiff", "rgb24"),
]


@pytest.mark.parametrize(("ending", "pix_fmt"), KINDS)
def test_samples_come_back_through_a_video(tmp_path: Path, ending: str, pix_fmt: str) -> None:
    source = write(tmp_path / "in", ending, pix_fmt)
    video = tmp_path / "film.mkv"
    options = {"decode__fps": Fraction(24), "encode__codec": "ffv1"}
    assert restored(source, video, **options).frames == 3
    assert [round(float(time), 2) for time in times_of(video)] == [0, 0.04, 0.08]
    restored(video, tmp_path / "out" / f"b_%04d{ending}")
    restored(tmp_path / "in", tmp_path / "same", decode__fps=24)
    before = samples_in(tmp_path / "in")
    assert samples_in(tmp_path / "out") == before == samples_in(tmp_path / "same")
    assert [one.name for one in sorted((tmp_path / "same").iterdir())] == [
        one.name for one in sorted((tmp_path / "in").iterdir())
    ]


def test_jpeg_in_and_out_by_a_whole_run(tmp_path: Path) -> None:
    source = write(tmp_path / "in", ".jpg", "yuvj420p")
    config = {"decode": {"fps": 25}, "detect": {"every_frames": 1000}}
    report = restore_video(source, tmp_path / "out" / "a_%03d.jpg", model="debug", config=config)
    assert (report.frames, report.codec) == (3, "mjpeg")
    assert len(list((tmp_path / "out").iterdir())) == 3
    assert restored(tmp_path / "in", tmp_path / "film.mp4", decode__fps=25).frames == 3


def with_numbers(path: Path, order: str, **fields: tuple[int, str, float]) -> None:
    data = bytearray(path.read_bytes())
    for place, kind, value in fields.values():
        struct.pack_into(order + kind, data, place, value)
    path.write_bytes(data)


def film_dpx(folder: Path, count: int = 3, order: str = ">") -> Path:
    """Ten-bit film with a header of 2048 bytes: rate, frame, timecode, printing density."""
    pix_fmt = "gbrp10be" if order == ">" else "gbrp10le"
    write(folder, ".dpx", pix_fmt, count)
    for number, path in enumerate(sorted(folder.iterdir())):
        data = path.read_bytes()
        begin = struct.unpack_from(f"{order}I", data, 4)[0]
        head = data[:1664] + b"\xff" * 384
        path.write_bytes(head + data[begin:])
        with_numbers(
            path, order, offset=(4, "I", 2048), size=(16, "I", 2048 + len(data) - begin),
            position=(1712, "I", 1000 + number), rate=(1724, "f", 24.0), tv=(1940, "f", 24.0),
            timecode=(1920, "I", 0x01020300 + number), density=(801, "B", 1),
            colorimetric=(802, "B", 1), black=(784, "I", 95), gamma=(1948, "f", 0.6),
        )  # fmt: skip
        data = bytearray(path.read_bytes())
        data[260:266], data[1732:1740] = b"REEL 7", b"FRAME ID"
        path.write_bytes(data)
    return folder


def test_fields_of_film_television_and_colour_are_carried(tmp_path: Path) -> None:
    source = film_dpx(tmp_path / "in")
    report = restored(source, tmp_path / "out")  # the header tells the rate
    assert report.frames == 3
    for before, after in zip(
        sorted(source.iterdir()), sorted((tmp_path / "out").iterdir()), strict=True
    ):
        old, new = before.read_bytes(), after.read_bytes()
        for low, high in ((136, 660), (784, 788), (801, 803), (1408, 2048)):
            assert old[low:high] == new[low:high], low
        assert len(new) == struct.unpack_from(">I", new, 16)[0]
        assert old[2048:] == new[2048:]


def test_the_order_of_bytes_does_not_matter(tmp_path: Path) -> None:
    little = film_dpx(tmp_path / "little", order="<")
    restored(little, tmp_path / "out")
    for before, after in zip(
        sorted(little.iterdir()), sorted((tmp_path / "out").iterdir()), strict=True
    ):
        old, new = read_header(before.read_bytes()), read_header(after.read_bytes())
        assert old is not None and new is not None and old == new
        assert struct.unpack_from("<I", before.read_bytes(), 1712) == struct.unpack_from(
            ">I", after.read_bytes(), 1712
        )
    assert samples_in(little) == samples_in(tmp_path / "out")


def test_timecode_goes_into_a_video_and_out_of_it(tmp_path: Path) -> None:
    source = film_dpx(tmp_path / "in")
    restored(source, tmp_path / "film.mkv", encode__codec="ffv1")
    restored(tmp_path / "film.mkv", tmp_path / "back" / "b_%04d.dpx")
    codes = [read_header(one.read_bytes()) for one in sorted((tmp_path / "back").iterdir())]
    assert [one.timecode for one in codes if one] == [f"01:02:03:{i:02d}" for i in range(3)]


def test_ten_bits_of_method_b_are_packed_anew(tmp_path: Path) -> None:
    write(tmp_path / "in", ".dpx", "gbrp10be")
    before = samples_in(tmp_path / "in")
    for path in (tmp_path / "in").iterdir():
        data = path.read_bytes()
        begin = struct.unpack_from(">I", data, 4)[0]
        words = (np.frombuffer(data[begin:], ">u4") >> 2).astype(">u4")
        path.write_bytes(data[:804] + b"\0\2" + data[806:begin] + words.tobytes())
        assert repack(path.read_bytes())[begin:] == data[begin:]
    report = restored(tmp_path / "in", tmp_path / "out", decode__fps=24)
    assert samples_in(tmp_path / "out") == before
    assert any("packing method B" in note for note in report.notes)


def test_twelve_bits_of_method_b_are_packed_anew(tmp_path: Path) -> None:
    write(tmp_path / "in", ".dpx", "gbrp12be")
    before = samples_in(tmp_path / "in")
    for path in (tmp_path / "in").iterdir():
        data = path.read_bytes()
        begin = struct.unpack_from(">I", data, 4)[0]
        words = (np.frombuffer(data[begin:], ">u2") >> 4).astype(">u2")
        path.write_bytes(data[:804] + b"\0\2" + data[806:begin] + words.tobytes())
    report = restored(tmp_path / "in", tmp_path / "out", decode__fps=24)
    assert samples_in(tmp_path / "out") == before
    assert any("12-bit samples of packing method B" in note for note in report.notes)


def packed_tightly(image: bytes, width: int) -> bytes:
    """Samples of method A, three in a word, as a stream of bits that fills words from below."""
    lines = np.frombuffer(image, ">u4").reshape(-1, width)
    packed = b""
    for line in lines:
        number = at = 0
        for word in map(int, line):
            for place in (22, 12, 2):
                number |= (word >> place & 1023) << at
                at += 10
        count = -(-at // 32)
        words = [number >> 32 * place & 0xFFFFFFFF for place in range(count)]
        packed += struct.pack(f">{count}I", *words)
    return packed


def test_ten_bits_without_gaps_are_packed_anew(tmp_path: Path) -> None:
    write(tmp_path / "in", ".dpx", "gbrp10be")
    before = samples_in(tmp_path / "in")
    for path in (tmp_path / "in").iterdir():
        data = path.read_bytes()
        begin = struct.unpack_from(">I", data, 4)[0]
        image = packed_tightly(data[begin:], SIZE[0])
        assert len(image) < len(data) - begin
        path.write_bytes(data[:804] + b"\0\0" + data[806:begin] + image)
        assert repack(path.read_bytes())[begin:] == data[begin:]
    report = restored(tmp_path / "in", tmp_path / "out", decode__fps=24)
    assert samples_in(tmp_path / "out") == before
    assert any("10-bit samples packed tightly" in note for note in report.notes)


def test_data_of_the_user_is_carried(tmp_path: Path) -> None:
    source, own = film_dpx(tmp_path / "in"), b"SCANNER 5".ljust(32, b"\0") + bytes(range(200))
    for path in source.iterdir():
        data = path.read_bytes()
        path.write_bytes(data[:2048] + own + data[2048:])
        with_numbers(path, ">", offset=(4, "I", 2048 + len(own)), user=(32, "I", len(own)))
    restored(source, tmp_path / "out")
    for before, after in zip(
        sorted(source.iterdir()), sorted((tmp_path / "out").iterdir()), strict=True
    ):
        assert after.read_bytes()[2048:] == before.read_bytes()[2048:]
        assert struct.unpack_from(">I", after.read_bytes(), 32) == (len(own),)


def test_sound_goes_with_the_pictures(tmp_path: Path) -> None:
    source = write(tmp_path / "in", ".png", "rgb24", count=25)
    wav = make_video(tmp_path / "clip.mkv", audio=[Audio("pcm_s16le")])
    with av.open(str(tmp_path / "sound.wav"), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=48000, layout="mono")
        data = b"".join(packet for _, packet in packets_of(wav, 1))
        frame = av.AudioFrame.from_ndarray(np.frombuffer(data, np.int16)[None], layout="mono")
        frame.sample_rate = 48000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    options = {"decode__fps": 25, "encode__audio": str(tmp_path / "sound.wav")}
    restored(source, tmp_path / "film.mkv", encode__codec="ffv1", **options)
    heard = packets_of(tmp_path / "film.mkv", 1)
    assert b"".join(packet for _, packet in heard) == data and heard[0][0] == 0
    restored(source, tmp_path / "part.mkv", encode__codec="ffv1", decode__start=0.4, **options)
    assert len(times_of(tmp_path / "part.mkv")) == 15
    late = b"".join(packet for _, packet in packets_of(tmp_path / "part.mkv", 1))
    assert len(late) == pytest.approx(0.6 * len(data), abs=8192) and data.endswith(late)


def test_prores_becomes_dpx_with_its_timecode(tmp_path: Path) -> None:
    source = make_video(
        tmp_path / "in.mov",
        codec="prores_ks",
        pix_fmt="yuv422p10le",
        pts=range(4),
        metadata={"timecode": "10:00:00:24"},
    )
    report = restored(source, tmp_path / "out" / "f_%06d.dpx")
    files = sorted((tmp_path / "out").iterdir())
    headers = [read_header(one.read_bytes()) for one in files]
    assert report.frames == len(files) == 4
    assert [one.timecode for one in headers if one] == [
        "10:00:00:24", "10:00:01:00", "10:00:01:01", "10:00:01:02"
    ]  # fmt: skip
    assert all(one is not None and one.bits == 10 for one in headers)
    with av.open(str(source)) as container:
        truth = [frame.to_ndarray(format="rgb48le") for frame in container.decode(video=0)]
    for file, expected in zip(files, truth, strict=True):
        written = decode_picture(file).to_ndarray(format="rgb48le")
        assert np.abs(written.astype(int) - expected).mean() < 0.012 * 65535


def test_dpx_and_wave_become_a_film(tmp_path: Path) -> None:
    source = film_dpx(tmp_path / "in")
    wave = make_wave(tmp_path / "sound.wav", {})
    report = restored(source, tmp_path / "film.mkv", encode__audio=str(wave))
    assert report.frames == 3 and samples_in(source) == samples_in(tmp_path / "film.mkv")
    told = probe(tmp_path / "film.mkv")
    assert (told.codec, told.timecode, told.average_rate) == ("ffv1", "01:02:03:00", 24)
    assert [one.codec for one in told.streams] == ["ffv1", "pcm_s24le"]


def test_tags_of_broadcast_wave_go_with_the_pictures(tmp_path: Path) -> None:
    source = write(tmp_path / "in", ".png", "rgb24")
    heard = {"time_reference": "172800000", "originator_reference": "USID1"}
    wave = make_wave(tmp_path / "sound.wav", heard)
    options = {"decode__fps": 25, "encode__audio": str(wave)}
    restored(source, tmp_path / "film.mkv", encode__codec="ffv1", **options)
    told = {key.lower(): value for key, value in probe(tmp_path / "film.mkv").metadata.items()}
    assert told | heard == told
    values = {"decode.fps": 25, "encode.audio": str(wave), "encode.codec": "ffv1"}
    job = make_job(source, tmp_path / "film.mxf", resolve_config(None, values))
    assert job.output is not None
    assert any("tags of Broadcast Wave" in note for note in job.output.notes)


def make_wave(path: Path, tags: dict[str, str]) -> Path:
    """Silence of one second with a chunk `bext`."""
    with av.open(str(path), "w", container_options={"write_bext": "1"}) as out:
        out.metadata.update(tags)
        stream = out.add_stream("pcm_s24le", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 48000), np.int32), "s32", layout="mono")
        frame.sample_rate = 48000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def test_video_of_yuv_becomes_rgb_and_is_told(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mov", codec="prores_ks", pix_fmt="yuv422p10le", pts=range(3))
    report = restored(source, tmp_path / "out" / "f_%04d.dpx")
    assert any("yuv422p10le is converted to gbrp10be" in note for note in report.notes)
    header = read_header((tmp_path / "out" / "f_0001.dpx").read_bytes())
    assert header is not None and (header.bits, header.packing) == (10, 1)


def test_what_cannot_be_is_refused_before_work(tmp_path: Path) -> None:
    source = write(tmp_path / "in", ".png", "rgb24")
    deep = write(tmp_path / "deep", ".dpx", "gbrp10be")
    other = encode_picture(noise("rgb24", 1, (64, 32)), "png", "rgb24")
    mixed = write(tmp_path / "mixed", ".png", "rgb24").parent
    (mixed / "f_000010.png").write_bytes(other)
    cases: list[tuple[Path, Path, dict[str, Any], type[VidRestoreError], str]] = [
        (source, tmp_path / "a.mkv", {}, VidRestoreError, "--fps"),
        (mixed, tmp_path / "a.mkv", {"decode__fps": 24}, VideoOpenError, "f_000010.png is 64x32"),
        (deep, tmp_path / "a_%d.png", {"decode__fps": 24}, VideoWriteError, "holds no gbrp10le"),
        (source, tmp_path / "in", {"decode__fps": 24}, VideoWriteError, "the input itself"),
        (source, tmp_path / "deep" / "f_%06d.dpx", {"decode__fps": 24}, VideoWriteError, "exists"),
    ]
    for given, output, options, kind, told in cases:
        with pytest.raises(kind, match=told):
            restored(given, output, **options)
    assert not [one for one in tmp_path.iterdir() if one.name.startswith(".")]


def test_a_broken_picture_repeats_the_one_before(tmp_path: Path) -> None:
    source = write(tmp_path / "in", ".png", "rgb24", count=5).parent
    (source / "f_000009.png").write_bytes((source / "f_000009.png").read_bytes()[:200])
    with pytest.raises(VideoDecodeError, match=r"1 of 5 pictures.*--keep-damaged"):
        restored(source, tmp_path / "out", decode__fps=24)
    report = restored(source, tmp_path / "out", decode__fps=24, decode__max_broken=0.5)
    assert report.frames_repaired == 1
    shown = samples_in(tmp_path / "out")
    assert [a == b for a, b in pairwise(shown)] == [False, True, False, False]


def test_the_command_takes_a_folder(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "in", ".png", "rgb24")
    (tmp_path / "in" / "f_000008.png").unlink()
    (tmp_path / "in" / "f_000010.png").write_bytes((tmp_path / "in" / "f_000009.png").read_bytes())
    names = [str(tmp_path / "in"), str(tmp_path / "out"), "--fps", "30000/1001"]
    common = ["--model", "debug", "--dry-run"]
    assert main([*names, *common]) == 1
    assert "picture missing: number 8" in capfd.readouterr().err
    assert main([*names, *common, "--gaps", "hold"]) == 0
    assert "29.97 frames/s" in capfd.readouterr().out


@pytest.mark.parametrize(("ending", "pix_fmt"), [*KINDS, (".jpg", "yuvj420p")])
def test_sizes_are_read_from_headers(tmp_path: Path, ending: str, pix_fmt: str) -> None:
    source = write(tmp_path / "in", ending, pix_fmt, count=1).parent
    assert size_of(next(source.iterdir())) == SIZE
