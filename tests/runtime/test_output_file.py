"""Nothing that exists is destroyed, and nothing half-written gets its final name."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from vidrestore.errors import UsageError, VideoWriteError
from vidrestore.runtime import output_file
from vidrestore.runtime.output_file import (
    OutputFile,
    abandon_outputs,
    after_writing,
    check_outputs,
    write_whole,
)
from vidrestore.runtime.output_lock import is_temporary_name


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_until_published_only_hidden_files_are_there(tmp_path: Path) -> None:
    with OutputFile(tmp_path / "a.json") as output:
        output.temporary.write_bytes(b"new")
        assert is_temporary_name(output.temporary.name)
        assert output.temporary.suffix == ".json"
        assert not (tmp_path / "a.json").exists()
        output.publish()
    assert names_in(tmp_path) == ["a.json"]
    assert (tmp_path / "a.json").read_bytes() == b"new"


def test_what_exists_is_refused_before_work(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("edited by hand")
    with pytest.raises(VideoWriteError, match=r"exists.*--overwrite"):
        write_whole(tmp_path / "a.json", b"new")
    assert (tmp_path / "a.json").read_text() == "edited by hand"
    write_whole(tmp_path / "a.json", b"new", overwrite=True)
    assert (tmp_path / "a.json").read_bytes() == b"new"
    assert names_in(tmp_path) == ["a.json"]


@pytest.mark.parametrize("has_links", [True, False])
def test_what_appears_during_a_run_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    if not has_links:

        def refuse(*args: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(output_file.os, "link", refuse)
    with OutputFile(tmp_path / "a.mp4") as output:
        (tmp_path / "a.mp4").write_text("somebody else's")
        with pytest.raises(VideoWriteError, match="appeared during the run"):
            output.publish()
    assert (tmp_path / "a.mp4").read_text() == "somebody else's"
    assert names_in(tmp_path) == ["a.mp4"]
    write_whole(tmp_path / "b.mp4", b"new")
    assert (tmp_path / "b.mp4").read_bytes() == b"new"


@pytest.mark.parametrize("how", ["same", "symbolic", "hard", "folder", "dangling"])
def test_an_input_is_never_replaced(tmp_path: Path, how: str) -> None:
    source = tmp_path / "in.mp4"
    source.write_text("precious")
    target = tmp_path / "out.mp4"
    if how == "same":
        target = source
    elif how == "symbolic":
        target.symlink_to(source)
    elif how == "hard":
        os.link(source, target)
    elif how == "folder":
        (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
        target = tmp_path / "link" / "in.mp4"
    else:
        source.unlink()
        target.symlink_to(source)
        with pytest.raises(VideoWriteError, match="exists"):
            write_whole(target, b"new")
        return
    with pytest.raises(VideoWriteError, match="input"):
        write_whole(target, b"new", inputs=[tmp_path / "other.yaml", source], overwrite=True)
    assert source.read_text() == "precious"


def test_an_input_that_comes_to_lie_there_is_not_replaced(tmp_path: Path) -> None:
    source = tmp_path / "in.mp4"
    source.write_text("precious")
    with OutputFile(tmp_path / "out.mp4", inputs=[source], overwrite=True) as output:
        os.link(source, tmp_path / "out.mp4")
        with pytest.raises(VideoWriteError, match="input"):
            output.publish()
    assert source.read_text() == "precious"


def test_two_outputs_of_one_name(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    with pytest.raises(UsageError, match="two outputs"):
        check_outputs([tmp_path / "a", tmp_path / "sub" / ".." / "a"])


@pytest.mark.parametrize("kind", ["folder", "fifo", "missing folder"])
def test_places_that_are_no_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "out.json"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path = tmp_path / "none" / "out.json"
    with pytest.raises(VideoWriteError):
        check_outputs([path], overwrite=True)


def test_a_link_at_the_temporary_name_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    precious = tmp_path / "in.mp4"
    precious.write_text("precious")
    output = OutputFile(tmp_path / "out.mp4")
    output.temporary.symlink_to(precious)
    monkeypatch.setattr(output_file, "_check_writable", lambda folder: None)
    with pytest.raises(VideoWriteError), output:
        pytest.fail("it was entered")
    assert precious.read_text() == "precious"


def test_failing_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(RuntimeError), OutputFile(tmp_path / "a", overwrite=True) as output:
        output.temporary.write_text("half")
        raise RuntimeError
    assert (tmp_path / "a").read_text() == "old"
    assert names_in(tmp_path) == ["a"]


def test_abandoning_removes_everything_unfinished(tmp_path: Path) -> None:
    with OutputFile(tmp_path / "a"), OutputFile(tmp_path / "b"):
        assert len(names_in(tmp_path)) == 4
        abandon_outputs()
        assert names_in(tmp_path) == []


def test_a_late_error_says_what_is_complete(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("old")
    with (
        pytest.raises(VideoWriteError, match=r"report.json exists.*out\.mp4 was written"),
        after_writing(Path("out.mp4")),
    ):
        write_whole(tmp_path / "report.json", b"new")


def test_a_full_disk_names_the_space(tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    with (
        pytest.raises(VideoWriteError, match=r"No space left on device.*free some space"),
        output_file._told(tmp_path / "out.json"),
        open("/dev/full", "w") as file,
    ):
        file.write("x" * 10000)


def test_a_function_writes_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "numbers.npy"
    write_whole(path, lambda file: np.save(file, np.arange(3)))

    def fail_halfway(file: BinaryIO) -> None:
        file.write(b"half")
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.raises(VideoWriteError, match=r"numbers\.npy: cannot be written \(Input/output"):
        write_whole(path, fail_halfway, overwrite=True)
    assert np.load(path).tolist() == [0, 1, 2]
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "a", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
