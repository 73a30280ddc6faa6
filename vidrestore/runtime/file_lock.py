"""Locks of the operating system on open files, freed when their process dies in any way."""

from __future__ import annotations

import errno
import os
import sys
from typing import Any

__all__ = ["is_locked", "try_lock", "unlock"]

if sys.platform == "win32":
    import msvcrt

    def try_lock(file: int, offset: int = 0) -> bool | None:
        """Lock one byte of a file, at `offset`; see below."""
        os.lseek(file, offset, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def unlock(file: int, offset: int = 0) -> None:
        """Let go of the lock."""
        os.lseek(file, offset, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_UNLCK, 1)

    def is_locked(file: int, offset: int = 0) -> bool | None:
        """Whether another one holds the lock of an open file; see below."""
        if not try_lock(file, offset):
            return True
        unlock(file, offset)
        return False

else:
    try:
        import fcntl as _posix_fcntl
    except ImportError:  # A system with neither kind of lock.
        _posix_fcntl = None  # type: ignore[assignment]

    fcntl: Any = _posix_fcntl

    def try_lock(file: int, offset: int = 0) -> bool | None:
        """Lock an open file if nobody else on this machine holds it; never wait.

        Args:
            file: its descriptor.
            offset: the byte to lock on Windows, where locked bytes cannot be read by others; the
                whole file is locked elsewhere.

        Returns:
            Whether it is locked now; None if the system or the file system has no such locks.

        Raises:
            OSError: the lock failed for another reason.
        """
        if fcntl is None:
            return None
        return _flock(file, fcntl.LOCK_EX)

    def unlock(file: int, offset: int = 0) -> None:
        """Let go of the lock."""
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_UN)

    def is_locked(file: int, offset: int = 0) -> bool | None:
        """Whether another open file of this machine holds the lock; never wait.

        There is no asking without holding it for a moment. It is held as one of many, so that those
        who look never take each other for its holder; who wants the lock tries again
        (`OutputLock.acquire`).

        Returns:
            None if the system or the file system has no such locks.

        Raises:
            OSError: as `try_lock`.
        """
        if fcntl is None:
            return None
        if (held := _flock(file, fcntl.LOCK_SH)) is True:
            unlock(file, offset)
        return None if held is None else not held

    def _flock(file: int, kind: int) -> bool | None:
        """Whether a file is locked now; None without such locks."""
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                raise
            return None
        return True
