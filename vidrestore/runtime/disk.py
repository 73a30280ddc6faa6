"""Bring files to the disk, and give them names that last over a power cut."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

__all__ = ["rename_new", "sync_file", "sync_folder"]


def rename_new(temporary: Path, path: Path) -> None:
    """Rename without replacing, in one step where the file system can.

    Raises:
        FileExistsError: `path` exists.
    """
    if os.name == "nt":
        os.rename(temporary, path)  # refuses what exists there
        return
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # no hard links here (exFAT, some network shares)
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        os.rename(temporary, path)
        return
    os.unlink(temporary)


def sync_file(path: Path) -> None:
    """Bring a file's data to the disk."""
    file = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def sync_folder(folder: Path) -> None:
    """Make a rename last over a power cut, where folders can be synced."""
    with contextlib.suppress(OSError):
        file = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
