"""Which files are a sequence, in which order, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidrestore.errors import VideoOpenError
from vidrestore.video.sequence.files import find_sequence, is_sequence


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


@settings(max_examples=40, deadline=None)
@given(
    begin=st.integers(0, 2000),
    step=st.integers(1, 12),
    count=st.integers(1, 25),
    width=st.integers(1, 6),
)
def test_numbers_order_the_pictures(
    tmp_path_factory: pytest.TempPathFactory, begin: int, step: int, count: int, width: int
) -> None:
    names = [f"a2_{begin + step * i:0{width}d}.png" for i in range(count)]
    folder = touch(tmp_path_factory.mktemp("s"), *names, ".hidden_1.png", "notes.txt")
    for path in (folder, folder / "a2_%06d.png"):
        found = find_sequence(path, "refuse")
        assert [one.name for one in found.files] == names and found.held == 0


def test_a_gap_is_refused_or_held(tmp_path: Path) -> None:
    folder = touch(tmp_path / "s", *(f"f_{i:04d}.dpx" for i in (10, 12, 14, 20, 22)))
    with pytest.raises(VideoOpenError, match=r"2 pictures missing: number 16, 18; .*--gaps hold"):
        find_sequence(folder, "refuse")
    held = find_sequence(folder, "hold")
    assert [one.name[2:6] for one in held.files] == [
        "0010",
        "0012",
        "0014",
        "0014",
        "0014",
        "0020",
        "0022",
    ]
    assert held.numbers == tuple(range(10, 24, 2)) and held.held == 2
    assert held.name_of(3) == "f_0016.dpx"


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["a_1.png", "b_1.png"], "2 sequences"),
        (["a_1.png", "a_1.tif"], "2 sequences"),
        (["a_1.png", "a_01.png"], "same number"),
        (["title.png"], "has no number"),
        (["a_1.exr"], "floating point.*oiiotool"),
        (["notes.txt"], "no pictures"),
        ([f"a_{i}.png" for i in (0, 2, 4, 5, 7, 9)], "numbers step by 2"),
    ],
)
def test_what_is_no_sequence_is_named(tmp_path: Path, names: list[str], told: str) -> None:
    with pytest.raises(VideoOpenError, match=told):
        find_sequence(touch(tmp_path / "s", *names), "refuse")


def test_patterns_and_folders_are_told_from_files(tmp_path: Path) -> None:
    touch(tmp_path, "real_%04d.png")
    assert is_sequence(tmp_path) and is_sequence(Path("out/f_%06d.dpx"))
    assert not is_sequence(tmp_path / "real_%04d.png") and not is_sequence(Path("f_%06d.mp4"))
    with pytest.raises(VideoOpenError, match="one number"):
        find_sequence(tmp_path / "a_%d_%d.png", "refuse")
    with pytest.raises(VideoOpenError, match="floating point"):
        find_sequence(tmp_path / "a_%04d.exr", "refuse")
