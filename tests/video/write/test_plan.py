"""What can go wrong with an output is told before any work is done."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from videos import Audio, Chapter, Subtitle, make_video

from vidrestore.config import EncodeConfig
from vidrestore.errors import UsageError, VideoWriteError
from vidrestore.video.read.probe import probe
from vidrestore.video.write.plan import OutputPlan, plan_output


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    return make_video(folder / "plain.mp4", pts=range(3), audio=[Audio(seconds=0.2)])


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(
        tmp_path_factory.mktemp("rich") / "rich.mkv",
        pts=range(3),
        audio=[Audio(seconds=0.2), Audio("libopus", seconds=0.2)],
        subtitles=[Subtitle(language="fre")],
        chapters=[Chapter(0, 0.1, "one")],
        attachments=[("a.ttf", "application/x-truetype-font", b"font")],
    )


def plan(source: Path, destination: Path, **config: object) -> OutputPlan:
    return plan_output(probe(source), destination, EncodeConfig(**config))


def test_nothing_is_written(plain: Path, tmp_path: Path) -> None:
    settled = plan(plain, tmp_path / "out.mp4")
    assert settled.codec == "libx264"
    assert [stream.action for stream in settled.streams] == ["encode", "copy"]
    assert settled.notes == ()
    assert list(tmp_path.iterdir()) == []


def test_unknown_container(plain: Path, tmp_path: Path) -> None:
    with pytest.raises(VideoWriteError, match=r"'\.xyz' names no container"):
        plan(plain, tmp_path / "out.xyz")


def test_missing_folder(plain: Path, tmp_path: Path) -> None:
    with pytest.raises(VideoWriteError, match="does not exist; create it"):
        plan(plain, tmp_path / "nowhere" / "out.mp4")


def test_folder_without_permission(plain: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    if os.access(closed, os.W_OK):  # root may write there, but nobody may here
        closed = Path("/proc")
    with pytest.raises(VideoWriteError, match="no permission to write into the folder"):
        plan(plain, closed / "out.mp4")


def test_a_folder_is_no_file(plain: Path, tmp_path: Path) -> None:
    (tmp_path / "out.mp4").mkdir()
    with pytest.raises(VideoWriteError, match="is a folder"):
        plan(plain, tmp_path / "out.mp4")


def test_existing_outputs_are_kept_unless_told(plain: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    out.write_text("precious")
    with pytest.raises(VideoWriteError, match=r"exists.*--overwrite"):
        plan(plain, out)
    assert plan(plain, out, overwrite=True).destination == out
    assert out.read_text() == "precious"


@pytest.mark.parametrize("kind", ["itself", "dotted", "symbolic", "hard"])
def test_the_input_is_never_the_output(tmp_path: Path, kind: str) -> None:
    source = make_video(tmp_path / "clip.mp4", pts=range(2))
    out = {"itself": source, "dotted": tmp_path / "x" / ".." / "clip.mp4"}.get(
        kind, tmp_path / "link.mp4"
    )
    (tmp_path / "x").mkdir()
    if kind == "symbolic":
        out.symlink_to(source)
    elif kind == "hard":
        out.hardlink_to(source)
    with pytest.raises(VideoWriteError, match="is the input itself"):
        plan(source, out, overwrite=True)


def test_what_the_container_cannot_hold_is_named_with_one_that_can(
    rich: Path, tmp_path: Path
) -> None:
    with pytest.raises(VideoWriteError, match=r"subtitle stream 3 \(subrip, fre\); write \.mkv"):
        plan(rich, tmp_path / "out.mp4")
    with pytest.raises(
        VideoWriteError, match=r"attachment stream 4 \(a.ttf\); write \.mkv.*--drop"
    ):
        plan(rich, tmp_path / "out.mp4", drop=("subtitles",))


def test_drop_goes_on_and_says_so(rich: Path, tmp_path: Path) -> None:
    settled = plan(rich, tmp_path / "out.mp4", drop=("subtitles", "attachments"))
    assert [one.action for one in settled.streams] == ["encode", "copy", "copy", "drop", "drop"]
    assert len(settled.notes) == 2
    assert "subrip" in settled.notes[0]
    assert settled.with_chapters


def test_drop_keeps_what_the_container_can_hold(rich: Path, tmp_path: Path) -> None:
    settled = plan(rich, tmp_path / "out.mkv", drop=("subtitles", "attachments", "chapters"))
    assert [one.action for one in settled.streams] == ["encode", "copy", "copy", "copy", "attach"]
    assert settled.with_chapters


def test_chapters_need_a_container_for_them(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mkv", pts=range(3), chapters=[Chapter(0, 0.1, "one")])
    with pytest.raises(VideoWriteError, match=r"\.ts cannot hold the 1 chapter; write \.mp4"):
        plan(source, tmp_path / "out.ts")
    assert not plan(source, tmp_path / "out.ts", drop=("chapters",)).with_chapters


def test_sound_is_never_dropped(rich: Path, tmp_path: Path) -> None:
    drop = ("subtitles", "attachments", "chapters", "data")
    with pytest.raises(VideoWriteError, match=r"audio stream 1 \(aac\); write \.mp4"):
        plan(rich, tmp_path / "out.webm", drop=drop)


def test_a_turned_picture_needs_a_container_that_tells(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", pts=range(2), rotation=(90, False))
    with pytest.raises(VideoWriteError, match=r"turned by 90°.*write \.mp4"):
        plan(source, tmp_path / "out.ts")


def test_timed_text_of_mp4_does_not_fit_matroska(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", pts=range(25), subtitles=[Subtitle("mov_text")])
    with pytest.raises(VideoWriteError, match=r"subtitle stream 1 \(mov_text\).*\.mp4"):
        plan(source, tmp_path / "out.mkv")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"codec": "libx266"}, "unknown codec"),
        ({"codec": "ffv1", "crf": 20}, "ffv1 has no --crf"),
        ({"crf": 60}, "60 is too much for libx264: 0 to 51"),
        ({"speed": "medum"}, "did you mean 'medium'"),
    ],
)
def test_bad_encoder_settings(
    plain: Path, tmp_path: Path, config: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        plan(plain, tmp_path / "out.mkv", **config)
