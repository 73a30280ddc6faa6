"""Small files of a run's state, written whole: a temporary name, the disk, then the final name.

A reader sees the file as it was or as it is, never half of it, whatever kills the writer.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from vidrestore.runtime.disk import rename_new, sync_file, sync_folder

__all__ = ["TEMPORARY_ENDING", "publish", "publish_new", "temporary_beside", "write_durably"]

TEMPORARY_ENDING = ".part"


def temporary_beside(path: Path) -> Path:
    """A name of its own for what will be `path`."""
    return path.with_name(f"{path.name}.{secrets.token_hex(4)}{TEMPORARY_ENDING}")


def publish(temporary: Path, path: Path) -> None:
    """Bring a file to the disk and give it its final name; one that has it is replaced.

    Raises:
        OSError: that fails.
    """
    sync_file(temporary)
    os.replace(temporary, path)
    sync_folder(path.parent)


def publish_new(temporary: Path, path: Path) -> None:
    """Bring a file to the disk and give it its final name, which no file has.

    Raises:
        FileExistsError: one has it, and was not replaced.
        OSError: that fails.
    """
    sync_file(temporary)
    rename_new(temporary, path)
    sync_folder(path.parent)


def write_durably(path: Path, data: bytes) -> None:
    """Write a file, completely or not at all.

    Raises:
        OSError: that fails; nothing is left then.
    """
    temporary = temporary_beside(path)
    try:
        temporary.write_bytes(data)
        publish(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
