"""A file is known again, and another one is told apart, by as little reading as asked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vidrestore.errors import VideoOpenError
from vidrestore.jobs.identity import file_change, file_identity

MEBIBYTE = 1 << 20


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "in.mov"
    path.write_bytes(bytes(3 * MEBIBYTE))
    os.utime(path, ns=(10**18, 10**18))
    return path


def write_at(path: Path, place: int, *, keep_time: bool) -> None:
    known = path.stat().st_mtime_ns
    with path.open("r+b") as file:
        file.seek(place)
        file.write(b"x")
    when = known if keep_time else known + 1
    os.utime(path, ns=(when, when))


@pytest.mark.parametrize(
    ("place", "keep_time", "partly", "wholly"),
    [
        (0, True, "its contents differ", "its contents differ"),
        (3 * MEBIBYTE - 1, True, "its contents differ", "its contents differ"),
        (3 * MEBIBYTE, True, "3145728 bytes became 3145729", "3145728 bytes became 3145729"),
        (MEBIBYTE + 5, False, "it was written to", "its contents differ"),
        (MEBIBYTE + 5, True, None, "its contents differ"),
    ],
)
def test_another_file_is_told_apart(
    file: Path, place: int, keep_time: bool, partly: str | None, wholly: str
) -> None:
    before, before_whole = file_identity(file), file_identity(file, whole=True)
    write_at(file, place, keep_time=keep_time)
    assert file_change(before, file_identity(file)) == partly
    assert file_change(before_whole, file_identity(file, whole=True)) == wholly


def test_a_copy_with_another_time_is_the_same_where_all_of_it_is_compared(file: Path) -> None:
    before = file_identity(file, whole=True)
    os.utime(file)
    assert file_change(before, file_identity(file, whole=True)) is None
    assert file_change(before, file_identity(file)) == "it was written to"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(VideoOpenError, match="none: cannot be read"):
        file_identity(tmp_path / "none")
