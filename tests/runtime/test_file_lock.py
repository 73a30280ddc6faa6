"""A lock keeps others out until it is let go, and systems without locks say so."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from vidrestore.errors import DownloadError
from vidrestore.models.weights import download
from vidrestore.runtime import file_lock
from vidrestore.runtime.file_lock import try_lock, unlock

posix = pytest.mark.skipif(sys.platform == "win32", reason="fcntl is POSIX's")


def test_a_lock_keeps_others_out_until_it_is_let_go(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("a+b") as first, path.open("a+b") as second:
        assert try_lock(first.fileno()) is True
        assert try_lock(second.fileno()) is False
        unlock(first.fileno())
        assert try_lock(second.fileno()) is True


def _refusing(number: int) -> SimpleNamespace:
    def flock(file: int, how: int) -> None:
        raise OSError(number, os.strerror(number))

    return SimpleNamespace(flock=flock, LOCK_EX=2, LOCK_NB=4, LOCK_UN=8)


@posix
@pytest.mark.parametrize("fcntl", [None, _refusing(errno.ENOLCK)], ids=["system", "file system"])
def test_without_locks_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fcntl: object
) -> None:
    monkeypatch.setattr(file_lock, "fcntl", fcntl)
    with (tmp_path / "lock").open("a+b") as file:
        assert try_lock(file.fileno()) is None
    with (
        pytest.raises(DownloadError, match=r"cannot be locked .* VIDRESTORE_HOME"),
        download.locked(tmp_path / "lock"),
    ):
        pass


@posix
def test_other_errors_are_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_lock, "fcntl", _refusing(errno.EIO))
    with (tmp_path / "lock").open("a+b") as file, pytest.raises(OSError, match=os.strerror(5)):
        try_lock(file.fileno())
