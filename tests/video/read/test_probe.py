"""What `probe` finds, and the errors a person gets for files that are no videos."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest
from videos import Audio, Chapter, Colour, Subtitle, make_video

from vidrestore.errors import VideoOpenError
from vidrestore.video.read.describe import describe, describe_output
from vidrestore.video.read.probe import probe


def test_tells_what_the_file_holds(tmp_path: Path) -> None:
    path = make_video(
        tmp_path / "rich.mkv",
        codec="libx265",
        pix_fmt="yuv420p10le",
        colour=Colour(1, 9, 9, 16),
        sar=Fraction(64, 45),
        audio=[Audio(language="ger", title="Ton"), Audio("libopus", default=False)],
        subtitles=[Subtitle(language="fre")],
        chapters=[Chapter(0, 0.5, "one"), Chapter(0.5, 1, "two")],
        attachments=[("a.ttf", "application/x-truetype-font", b"font")],
        metadata={"title": "A title", "timecode": "01:00:00:00"},
    )
    info = probe(path)
    assert (info.width, info.height, info.pix_fmt, info.bit_depth) == (64, 48, "yuv420p10le", 10)
    assert (info.codec, info.sar, info.average_rate) == ("hevc", Fraction(64, 45), 25)
    assert info.time_base == Fraction(1, 1000)
    assert (info.duration_s, info.n_frames_estimate) == (1.0, 25)
    colour = info.colour
    assert (colour.range, colour.space, colour.primaries, colour.transfer) == (1, 9, 9, 16)
    kinds = [(stream.type, stream.codec, stream.language) for stream in info.streams]
    assert kinds[:4] == [
        ("video", "hevc", None),
        ("audio", "aac", "ger"),
        ("audio", "opus", None),
        ("subtitle", "subrip", "fre"),
    ]
    assert [stream.default for stream in info.streams[:4]] == [True, True, False, False]
    assert [chapter.metadata["title"] for chapter in info.chapters] == ["one", "two"]
    assert [one.metadata["filename"] for one in info.attachments] == ["a.ttf"]
    assert info.timecode == "01:00:00:00"
    assert info.auto_codec == "libx265"


def test_describe_names_everything_a_person_asks_for(tmp_path: Path) -> None:
    path = make_video(
        tmp_path / "clip.mp4",
        rotation=(90, False),
        audio=[Audio(language="ger")],
        metadata={"title": "A title"},
    )
    info = probe(path)
    told = "\n".join(describe(info))
    for part in ("h264", "64x48", "yuv420p", "25 frames", "48x64", "90°", "ger", "A title"):
        assert part in told
    assert describe_output(info) == "output      libx264 in .mp4 (codec auto)"


def test_colours_that_the_file_does_not_tell_stay_untold(tmp_path: Path) -> None:
    colour = probe(make_video(tmp_path / "plain.mp4", pts=range(2))).colour
    assert (colour.range, colour.space, colour.primaries, colour.transfer) == (0, 2, 2, 2)


def test_master_display_of_hdr_video_is_read(tmp_path: Path) -> None:
    master = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
    path = make_video(
        tmp_path / "hdr.mp4",
        codec="libx265",
        pix_fmt="yuv420p10le",
        pts=range(2),
        options={"x265-params": f"log-level=none:pools=1:{master}:max-cll=1000,400"},
    )
    info = probe(path)
    assert info.light_level == (1000, 400)
    assert info.mastering is not None
    assert info.mastering[:2] == (Fraction(34000, 50000), Fraction(16000, 50000))
    assert info.mastering[8:] == (Fraction(1, 10000), 1000)


def test_cover_art_is_no_video(tmp_path: Path) -> None:
    info = probe(make_video(tmp_path / "cover.mp4", cover=True))
    assert info.codec == "h264"
    assert [stream.is_cover for stream in info.streams] == [False, True]


def test_cover_art_alone_is_refused(tmp_path: Path) -> None:
    whole = make_video(tmp_path / "cover.mp4", cover=True, audio=[Audio()])
    alone = tmp_path / "alone.m4a"
    with av.open(str(whole)) as source, av.open(str(alone), "w", format="mp4") as out:
        kept = [source.streams.audio[0], source.streams.video[1]]
        streams = {one.index: out.add_stream_from_template(one, opaque=True) for one in kept}
        streams[kept[1].index].disposition = kept[1].disposition
        for packet in source.demux(kept):
            if packet.size:
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
    with pytest.raises(VideoOpenError, match="no video besides its cover art"):
        probe(alone)


def test_the_default_video_stream_is_chosen(tmp_path: Path) -> None:
    small = make_video(tmp_path / "small.mkv", size=(32, 32), pts=range(3))
    large = make_video(tmp_path / "large.mkv", size=(64, 64), pts=range(3))
    both = tmp_path / "both.mkv"
    with (
        av.open(str(small)) as one,
        av.open(str(large)) as two,
        av.open(str(both), "w", container_options={"default_mode": "passthrough"}) as out,
    ):
        first = out.add_stream_from_template(one.streams.video[0], opaque=True)
        second = out.add_stream_from_template(two.streams.video[0], opaque=True)
        first.disposition, second.disposition = 0, 1
        for source, stream in ((one, first), (two, second)):
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    out.mux(packet)
    info = probe(both)
    assert (info.stream_index, info.width) == (1, 64)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(VideoOpenError, match="no such file"):
        probe(tmp_path / "nothing.mp4")


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(VideoOpenError, match="is a folder"):
        probe(tmp_path)


@pytest.mark.parametrize("name", ["notes.txt", "notes.mp4", "notes"])
def test_text_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("Dear diary,\n" * 50)
    with pytest.raises(VideoOpenError, match="not a video"):
        probe(path)


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.mp4"
    path.touch()
    with pytest.raises(VideoOpenError, match="empty"):
        probe(path)


def test_sound_alone(tmp_path: Path) -> None:
    path = make_video(tmp_path / "sound.mp4", pts=[], audio=[Audio()])
    with pytest.raises(VideoOpenError, match="holds no video: only audio"):
        probe(path)


def test_no_frames(tmp_path: Path) -> None:
    path = make_video(tmp_path / "none.mkv", pts=[], audio=[Audio()])
    with pytest.raises(VideoOpenError, match="no frames"):
        probe(path)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi"])
def test_nothing_but_headers(tmp_path: Path, suffix: str) -> None:
    path = make_video(tmp_path / f"none{suffix}", pts=[])
    with pytest.raises(VideoOpenError, match=r"nothing to restore|holds no video|is empty"):
        probe(path)


def test_mp4_without_its_index(tmp_path: Path) -> None:
    path = make_video(tmp_path / "whole.mp4")
    data = path.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: data.index(b"moov") - 4])
    with pytest.raises(VideoOpenError, match=r"index \(moov\).*missing"):
        probe(cut)


def test_errors_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "notes.mkv"
    path.write_text("words\nand lines\n")
    with pytest.raises(VideoOpenError) as caught:
        probe(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_every_shared_clip_can_be_written_as_it_is(shared: Path) -> None:
    for path in sorted((shared / "clips").glob("*.mp4")):
        assert probe(path).auto_codec == "libx264", path.name


def test_reading_a_whole_file_tells_how_far_it_is(tmp_path: Path) -> None:
    pts = range(2500)
    source = make_video(tmp_path / "in.ts", codec="mpeg2video", size=(16, 16), pts=pts)
    shares: list[float] = []
    assert probe(source, shares.append).n_frames_estimate == 2500
    assert len(shares) == 3 and shares == sorted(shares) and 0.7 < shares[-1] <= 1
    assert probe(make_video(tmp_path / "in.mp4"), shares.append) and len(shares) == 3
