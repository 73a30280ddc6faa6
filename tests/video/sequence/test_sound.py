"""Sound beside written pictures: every sample where it is heard, tags, names, what is refused."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from videos import Audio, Chapter, make_video

from vidrestore.config import resolve_config
from vidrestore.errors import UsageError, VideoWriteError
from vidrestore.job import make_job
from vidrestore.run import open_writer
from vidrestore.video.read.probe import probe
from vidrestore.video.read.reader import VideoReader


def into_pictures(source: Path, output: Path, **options: Any) -> list[str]:
    """Write a video as pictures, as a run does without restoring; its notes."""
    values = {name.replace("__", "."): value for name, value in options.items()}
    job = make_job(source, output, resolve_config(None, values))
    reader = VideoReader(job.info, job.config.decode, threads=1, window=job.window)
    with reader, open_writer(job) as writer:
        for frame in reader.frames():
            writer.write(frame)
        writer.commit()
    return list(writer.notes)


def heard(path: Path, stream: int = 0) -> npt.NDArray[Any]:
    """(samples,) of the first channel, in the order of decoding."""
    with av.open(str(path)) as container:
        frames = container.decode(container.streams.audio[stream])
        parts = [one.to_ndarray().reshape(one.layout.nb_channels, -1)[0] for one in frames]
    return np.concatenate(parts)


def test_every_stream_becomes_a_file(tmp_path: Path) -> None:
    sounds = [Audio("pcm_s16le"), Audio("pcm_s24le"), Audio("aac", sample_rate=44100)]
    source = make_video(tmp_path / "in.mov", audio=sounds, chapters=[Chapter(0, 1, "one")])
    notes = into_pictures(source, tmp_path / "out" / "f_%04d.png")
    names = ["f.wav", "f_2.wav", "f_3.wav"]
    assert sorted(one.name for one in (tmp_path / "out").glob("*.wav")) == names
    for number, codec in enumerate(["pcm_s16le", "pcm_s24le", "pcm_f32le"]):
        path = tmp_path / "out" / names[number]
        np.testing.assert_array_equal(heard(path), heard(source, number))
        with av.open(str(path)) as container:
            assert container.streams.audio[0].codec_context.name == codec
        assert any(f"written to {names[number]} as {codec}" in note for note in notes)
    assert any("chapters left out" in note for note in notes)
    assert not any(one.name.startswith(".") for one in tmp_path.iterdir())


@pytest.mark.parametrize(("late_s", "first"), [(0.3, 0), (0.0, 10)])
def test_the_first_sample_is_heard_with_the_first_picture(
    tmp_path: Path, late_s: float, first: int
) -> None:
    sound = Audio("pcm_s16le", start_s=late_s, seconds=2)
    source = make_video(tmp_path / "in.mkv", audio=[sound], pts=range(first, first + 25))
    into_pictures(source, tmp_path / "out" / "%04d.png")
    written, read = heard(tmp_path / "out" / "sound.wav"), heard(source)
    late = round((Fraction(str(late_s)) - Fraction(first, 25)) * 48000)
    assert not written[: max(0, late)].any()
    np.testing.assert_array_equal(written[max(0, late) :], read[max(0, -late) :])


@pytest.mark.parametrize("codec", ["pcm_s16le", "aac"])
def test_a_part_is_cut_to_the_sample(tmp_path: Path, codec: str) -> None:
    source = make_video(tmp_path / "in.mov", audio=[Audio(codec, seconds=2)], pts=range(50))
    part = {"decode__start": 0.61, "decode__end": 1.2}
    into_pictures(source, tmp_path / "out" / "f%04d.png", **part)
    first, last = round(0.64 * 48000), round(1.2 * 48000)  # of the pictures 16 to 29
    written, read = heard(tmp_path / "out" / "f.wav"), heard(source)
    assert len(list((tmp_path / "out").glob("*.png"))) == 14
    assert len(written) == last - first
    begin = begin_of(source)
    np.testing.assert_allclose(written, read[first - begin : last - begin], atol=1e-4)


def begin_of(path: Path) -> int:
    """Time of the first decoded sample, in samples."""
    with av.open(str(path)) as container:
        frame = next(container.decode(audio=0))
        assert frame.pts is not None and frame.time_base is not None
        return round(frame.pts * frame.time_base * frame.sample_rate)


def test_gaps_are_silent(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "in.mkv"), "w") as out:
        video = out.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = out.add_stream("pcm_s16le", rate=8000, layout="mono")
        for number in range(30):
            frame = av.VideoFrame.from_ndarray(
                np.full((48, 64), 9 * number % 200, np.uint8), "gray"
            )
            frame.pts, frame.time_base = number * 25, Fraction(1, 25)  # a picture a second
            out.mux(video.encode(frame))
        for second in [*range(5), *range(20, 25)]:
            samples = np.full((1, 8000), 1 + second, np.int16)
            frame = av.AudioFrame.from_ndarray(samples, "s16", "mono")
            frame.sample_rate, frame.pts = 8000, second * 8000
            out.mux(sound.encode(frame))
        for one in (video, sound):
            out.mux(one.encode(None))
    notes = into_pictures(tmp_path / "in.mkv", tmp_path / "out" / "f%04d.png")
    told = heard(tmp_path / "out" / "f.wav").reshape(-1, 8000)[:, 4000]
    assert told.tolist() == [1, 2, 3, 4, 5, *[0] * 15, 21, 22, 23, 24, 25]
    assert any("15.00 s of silence" in note for note in notes)


def test_a_broadcast_wave_has_the_time_of_its_first_sample(tmp_path: Path) -> None:
    tags = {"time_reference": "172800000", "originator": "SCANNER", "title": "Reel"}
    source = make_video(tmp_path / "in.mkv", audio=[Audio("pcm_s16le")], metadata=tags)
    notes = into_pictures(source, tmp_path / "out" / "f_%d.dpx", decode__start=0.4)
    assert not any("Broadcast Wave" in note for note in notes)
    data = (tmp_path / "out" / "f.wav").read_bytes()
    chunk = data[data.index(b"bext") + 8 :]
    assert chunk[256:263] == b"SCANNER"
    assert struct.unpack_from("<Q", chunk, 338) == (172800000 + round(0.4 * 48000),)
    assert probe_tags(tmp_path / "out" / "f.wav")["title"] == "Reel"


def probe_tags(path: Path) -> dict[str, str]:
    with av.open(str(path)) as container:
        return dict(container.metadata)


def test_what_is_asked_for_is_done(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mkv", audio=[Audio("pcm_s16le"), Audio()])
    into_pictures(source, tmp_path / "a" / "f_%d.png", encode__audio="flac")
    np.testing.assert_array_equal(heard(tmp_path / "a" / "f.flac"), heard(source))
    notes = into_pictures(source, tmp_path / "b" / "f_%d.png", encode__drop=("1",))
    assert [one.name for one in (tmp_path / "b").glob("*.wav")] == ["f.wav"]
    assert any("audio stream 1 (pcm_s16le) left out: as asked" in note for note in notes)
    into_pictures(source, tmp_path / "c" / "f_%d.png", encode__drop=("audio",))
    assert not list((tmp_path / "c").glob("*.wav"))


def test_what_cannot_be_is_refused_before_work(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mkv", audio=[Audio("pcm_s16le")])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "f.wav").write_bytes(b"mine")
    with pytest.raises(VideoWriteError, match=r"f\.wav exists; choose another name"):
        into_pictures(source, tmp_path / "out" / "f_%d.png")
    with pytest.raises(UsageError, match="numbered 0 to 1"):
        into_pictures(source, tmp_path / "b" / "f_%d.png", encode__drop=("7",))
    assert (tmp_path / "out" / "f.wav").read_bytes() == b"mine"


def test_the_sound_of_pictures_is_not_replaced(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mkv", audio=[Audio("pcm_s16le")], pts=range(3))
    into_pictures(source, tmp_path / "out" / "f_%d.png")
    folder = tmp_path / "out"
    values = {"decode.fps": 25, "encode.audio": str(folder / "f.wav"), "encode.overwrite": True}
    with pytest.raises(VideoWriteError, match="is the input itself"):
        make_job(folder / "f_%d.png", folder / "f_%d.jpg", resolve_config(None, values))
    job = make_job(folder, tmp_path / "back.mkv", resolve_config(None, values))
    assert job.output is not None and [one.action for one in job.output.streams] == [
        "encode", "copy"
    ]  # fmt: skip
    assert probe(source).streams[1].codec == "pcm_s16le"
