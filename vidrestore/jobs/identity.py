"""Whether a file is the one that a run was begun with."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from vidrestore.errors import VideoOpenError

__all__ = ["file_change", "file_identity"]

_ENDS_BYTES = 1 << 20


def file_identity(path: Path, *, whole: bool = False) -> dict[str, Any]:
    """Size, time of the last change, and a hash of the first and the last megabyte.

    Args:
        path: the file.
        whole: whether all of it is hashed too.

    Raises:
        VideoOpenError: it cannot be read.
    """
    try:
        known = path.stat()
        with path.open("rb") as file:
            ends = hashlib.sha256(file.read(_ENDS_BYTES))
            file.seek(max(0, known.st_size - _ENDS_BYTES))
            ends.update(file.read(_ENDS_BYTES))
            identity = {
                "size": known.st_size,
                "changed_ns": known.st_mtime_ns,
                "ends_sha256": ends.hexdigest(),
                "sha256": None,
            }
            if whole:
                file.seek(0)
                identity["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
            return identity
    except OSError as error:
        raise VideoOpenError(f"{path}: cannot be read ({error.strerror})") from error


def file_change(before: dict[str, Any], now: dict[str, Any]) -> str | None:
    """What tells that a file is another one than before; None where nothing does.

    The time of the last change counts only where not all of the file was compared.
    """
    if before["size"] != now["size"]:
        return f"{before['size']} bytes became {now['size']}"
    if before["sha256"] and now["sha256"]:
        return None if before["sha256"] == now["sha256"] else "its contents differ"
    if before["ends_sha256"] != now["ends_sha256"]:
        return "its contents differ"
    return None if before["changed_ns"] == now["changed_ns"] else "it was written to"
