"""Which videos are meant by files, folders, patterns and manifests."""

from __future__ import annotations

from pathlib import Path

import pytest

from vidrestore.batch.inputs import list_inputs
from vidrestore.errors import VideoOpenError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    names = ["a.mp4", "B.MOV", "notes.txt", ".hidden.mp4", "sub/c.mkv", ".git/d.mp4", "out/e.mp4"]
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def listed(folder: Path, *arguments: str) -> list[str]:
    found = list_inputs([str(folder / one) for one in arguments], folder / "out", {})
    return [one.relative.as_posix() for one in found]


def test_a_folder_gives_its_videos_without_outputs_and_what_is_hidden(folder: Path) -> None:
    assert listed(folder, "") == ["B.MOV", "a.mp4", "sub/c.mkv"]


def test_each_is_listed_once_in_the_order_given(folder: Path) -> None:
    assert listed(folder, "sub/c.mkv", "a.mp4", "sub/c.mkv") == ["c.mkv", "a.mp4"]


def test_a_pattern_goes_into_folders_and_leaves_outputs_out(folder: Path) -> None:
    assert listed(folder, "**/*.m??") == ["a.mp4", "c.mkv"]
    assert listed(folder, "notes.*") == ["notes.txt"]  # what is asked for by name is taken


def test_a_manifest_is_read_beside_others(folder: Path) -> None:
    (folder / "list.csv").write_text("input,output\na.mp4,reel/one.mp4\n")
    [one, other] = list_inputs(
        [str(folder / name) for name in ("list.csv", "B.MOV")], folder / "out", {}
    )
    assert (one.source, one.output) == (folder / "a.mp4", Path("reel/one.mp4"))
    assert (other.source, other.output) == (folder / "B.MOV", None)


def test_what_is_missing_is_named_up_to_five(folder: Path) -> None:
    with pytest.raises(VideoOpenError, match=r"no such file: .*0\.mp4.* and 2 more; check"):
        listed(folder, *(f"none_{number}.mp4" for number in range(7)))
    with pytest.raises(VideoOpenError, match="no such file"):
        listed(folder, "*.webm")
