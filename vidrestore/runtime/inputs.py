"""Look at an input file before anything is loaded for it: it must be there, and be a file.

A pipe, device or socket is never opened, so nothing waits for it. Nothing heavy is imported here.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path, PureWindowsPath

from vidrestore.errors import UsageError, VidRestoreError

__all__ = ["is_bare_name", "read_bytes", "require_file"]

_KINDS = (
    (stat.S_ISFIFO, "a pipe (FIFO)"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def is_bare_name(text: str) -> bool:
    r"""Return whether a text names no folder: it has no `/`, no `\` and no drive such as `C:`.

    The same on every system, so that a command means the same everywhere.
    """
    return text not in ("", "..") and PureWindowsPath(text).name == text


def require_file(path: Path, named: str, error: type[VidRestoreError] = UsageError) -> int:
    """Refuse what is no regular file; a link to one is one.

    Args:
        path: the file.
        named: how messages call it, such as "tracks faces.json".
        error: what to raise.

    Returns:
        Its size in bytes.

    Raises:
        VidRestoreError: as `error`: nothing is there, or something that is not a file.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError as cause:
        raise error(f"{named}: no such file; check the path") from cause
    except (OSError, ValueError) as cause:  # ValueError: a NUL byte in the name.
        reason = getattr(cause, "strerror", None) or str(cause)
        raise error(f"{named}: {reason}; check the path") from cause
    if stat.S_ISDIR(found.st_mode):
        raise error(f"{named}: is a folder; name a file in it")
    kind = next((words for test, words in _KINDS if test(found.st_mode)), None)
    if kind is not None:
        raise error(
            f"{named}: is {kind}; the input must be a file, because it is read more than once"
        )
    return found.st_size


def read_bytes(
    path: Path, named: str, most_bytes: int, error: type[VidRestoreError] = UsageError
) -> bytes:
    """Read a small file whole, after `require_file`, which see.

    Args:
        path: the file.
        named: how messages call it.
        most_bytes: the largest size that is accepted.
        error: what to raise.

    Raises:
        VidRestoreError: as `error`: it is no file, is larger, or cannot be read.
    """
    size = require_file(path, named, error)
    if size <= most_bytes:
        try:
            with path.open("rb") as file:
                data = file.read(most_bytes + 1)
        except OSError as cause:
            raise error(f"{named}: {cause.strerror}; check the path") from cause
        size = max(size, len(data))
        if size <= most_bytes:
            return data
    raise error(f"{named}: {size} bytes, more than the {most_bytes} that such a file may have")
