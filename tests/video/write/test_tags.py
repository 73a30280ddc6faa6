"""What is said about a file goes along, moved with the part that is written."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rewriting import plan_job, rewrite
from videos import Audio, make_video
from videos import Chapter as MadeChapter

from vidrestore.video.read.info import Chapter, StreamInfo, VideoInfo
from vidrestore.video.read.probe import probe
from vidrestore.video.read.window import Window
from vidrestore.video.write.tags import chapters_for, container_tags, stream_tags

MS = Fraction(1, 1000)
times_ms = st.integers(0, 10_000)


@pytest.fixture(scope="module")
def info(tmp_path_factory: pytest.TempPathFactory) -> VideoInfo:
    return probe(
        make_video(
            tmp_path_factory.mktemp("tags") / "in.mkv",
            metadata={"title": "Home", "comment": "1974"},
            chapters=[MadeChapter(0, 0.4, "one"), MadeChapter(0.4, 1, "two")],
            audio=[Audio(language="ger", title="Ton")],
        )
    )


def test_titles_stay_and_what_muxers_write_is_left_to_them(info: VideoInfo) -> None:
    assert "ENCODER" in {key.upper() for key in info.metadata}
    tags = container_tags(info, Window())
    assert {key.lower(): text for key, text in tags.items()} == {"title": "Home", "comment": "1974"}


def test_the_timecode_is_that_of_the_first_frame_written(info: VideoInfo) -> None:
    source = replace(info, timecode="01:00:00:00")
    assert container_tags(source, Window())["timecode"] == "01:00:00:00"
    part = Window(first_pts=2000, time_base=MS)
    assert container_tags(source, part)["timecode"] == "01:00:02:00"


def sound(info: VideoInfo, **metadata: str) -> StreamInfo:
    [stream] = (one for one in info.streams if one.type == "audio")
    return replace(stream, metadata=stream.metadata | metadata)


def test_statistics_of_a_stream_go_where_its_packets_are_new(info: VideoInfo) -> None:
    stream = sound(info, BPS="64000", _STATISTICS_TAGS="BPS", encoder="Lavc aac", DURATION="1")
    new, copied = (stream_tags(stream, encoded=encoded) for encoded in (True, False))
    assert new == {"language": "ger", "title": "Ton"}
    assert copied == new | {"encoder": "Lavc aac"}


def test_the_title_that_mp4_reads_as_a_name_is_a_title_again(info: VideoInfo) -> None:
    stream = replace(sound(info), metadata={"name": "Ton"})
    assert stream_tags(stream, encoded=False) == {"name": "Ton", "title": "Ton"}


def test_chapters_of_the_whole_stay(info: VideoInfo) -> None:
    found = chapters_for(info, Window())
    assert [(one["start"], one["end"]) for one in found] == [(0, 400), (400, 1000)]
    assert [one["metadata"]["title"] for one in found] == ["one", "two"]
    assert [one["start"] for one in chapters_for(info, Window(), Fraction(-3))] == [3000, 3400]


@given(st.lists(st.tuples(times_ms, times_ms), max_size=5), times_ms, times_ms)
def test_chapters_are_clipped_to_the_part_and_moved_with_it(
    info: VideoInfo, spans: list[tuple[int, int]], first: int, length: int
) -> None:
    chapters = tuple(Chapter(min(s) * MS, max(s) * MS, {}) for s in spans)
    window = Window(first_pts=first, end_pts=first + length, time_base=MS)
    found = chapters_for(replace(info, chapters=chapters), window)
    inside = [
        (max(one.start_s, first * MS), min(one.end_s, (first + length) * MS)) for one in chapters
    ]
    expected = [(a / MS - first, b / MS - first) for a, b in inside if a < b]
    assert [(one["start"], one["end"]) for one in found] == expected
    assert [one["id"] for one in found] == list(range(1, len(found) + 1))


@pytest.mark.parametrize("ending", [".mov", ".mp4", ".mkv", ".mxf", ".nut"])
def test_the_reel_is_kept(tmp_path: Path, ending: str) -> None:
    source = make_video(
        tmp_path / "in.mov",
        pts=range(6),
        metadata={"timecode": "10:00:00:00"},
        video_metadata={"reel_name": "A001"},
    )
    assert rewrite(source, tmp_path / f"out{ending}") == ()
    written = probe(tmp_path / f"out{ending}")
    assert (written.timecode, written.reel_name) == ("10:00:00:00", "A001")


def test_tags_of_tape_that_a_container_cannot_tell_are_named_before_work(tmp_path: Path) -> None:
    source = make_video(
        tmp_path / "in.mov",
        pts=range(6),
        metadata={"timecode": "10:00:00:00"},
        video_metadata={"reel_name": "A001"},
    )
    output = plan_job(source, tmp_path / "out.ts").output
    assert output is not None
    lost = "cannot be told in this container and will be lost"
    assert output.notes == (f"the timecode 10:00:00:00 {lost}", f"the reel name A001 {lost}")
