"""A lock beside an output, so that two runs never write the same file.

The lock is a small JSON file with a short hashed name in the output's folder. On one machine the
operating system decides whether its holder lives (`flock`, `msvcrt`): it frees the lock of a
process that dies in any way. Another machine that shares the folder may not see such locks, so the
holder also counts up a heartbeat; a lock whose heartbeat has stood still for `STALE_S`, by the
clock of the one who looks, is dead.

The file lists the run's temporary files. Whoever takes over a dead lock removes them.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import stat
import sys
import threading
import time
import unicodedata
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import platformdirs

from vidrestore.errors import OutputInUseError, VideoWriteError
from vidrestore.runtime.file_lock import is_locked, try_lock
from vidrestore.runtime.heartbeat import Heartbeat
from vidrestore.runtime.host import Host, this_host
from vidrestore.runtime.lock_record import MOST_BYTES, LockRecord, read_lock_record

__all__ = [
    "HEARTBEAT_S",
    "STALE_S",
    "OutputLock",
    "hashed_name",
    "is_temporary_name",
    "release_locks",
]

HEARTBEAT_S = 30.0
"""Seconds from one heartbeat of a held lock to the next."""

STALE_S = 600.0
"""Seconds without a new heartbeat after which a lock of another machine is dead."""

_TRY_FOR_S = 0.25
"""Who looks whether a lock is held holds it for a moment: no reason to refuse."""

_TEMPORARY = re.compile(r"\.vr-[0-9a-f]{12}(\.[A-Za-z0-9]{1,12})?")


def is_temporary_name(name: str) -> bool:
    """Whether a file's name is one that this program gives to its temporary files."""
    return _TEMPORARY.fullmatch(name) is not None


class OutputLock:
    """The right to write one output.

    Args:
        output: the file or folder that will be written. Its folder exists.
        host: this machine; other ones are for tests.
        clock: seconds on the observer's clock, for locks of other machines.

    Raises:
        OutputInUseError: from `acquire`, if another run holds it; names process, machine and start.
        VideoWriteError: from `acquire`, if the folder cannot be written.
    """

    def __init__(
        self,
        output: Path,
        *,
        host: Host | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._output = output
        self._folder = output.absolute().parent
        self._host = host or this_host()
        self._clock = clock
        self.path = self._folder / hashed_name(output.name, ".lock")
        self._file: int | None = None
        self._record: LockRecord | None = None
        self._guard = threading.Lock()

    def acquire(self) -> None:
        """Take the lock, and remove what a dead run left behind; see the class."""
        until = time.monotonic() + _TRY_FOR_S
        while self._file is None:
            file = self._open()
            try:
                locked = try_lock(file, MOST_BYTES)
                if locked is False:
                    if time.monotonic() > until:
                        self._refuse(read_lock_record(file))
                    time.sleep(0.01)
                    continue
                if not self._is_current(file):  # its holder removed it in this very moment
                    continue
                found = read_lock_record(file)
                if found is not None:
                    self._take_over(found, known_dead=locked is True)
                self._file, file = file, -1
            finally:
                if file >= 0:
                    os.close(file)
        self._record = LockRecord(
            self._host,
            os.getpid(),
            datetime.now().astimezone().isoformat(" ", "seconds"),
            self._output.name,
            0,
            [],
        )
        try:
            self._store()
        except OSError as error:
            self.release()
            raise VideoWriteError(
                f"{self._output}: cannot be written ({error.strerror}); choose another place"
            ) from error
        _heartbeat.add(self)

    def is_held(self) -> bool:
        """Whether a run on this machine holds it; changes nothing."""
        try:
            file = os.open(self.path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
        except OSError:
            return False
        try:
            return is_locked(file, MOST_BYTES) is True
        finally:
            os.close(file)

    def add_temporary(self, path: Path) -> None:
        """List a file of the lock's folder before it is created."""
        with self._guard:
            if self._record is not None:
                self._record.temporaries.append(path.name)
        self._store()

    def beat(self) -> None:
        """Show others that the holder lives."""
        with self._guard:
            if self._record is not None:
                self._record.heartbeat += 1
        with contextlib.suppress(OSError):
            self._store()

    def release(self) -> None:
        """Remove the lock; its temporaries must be gone."""
        with self._guard:
            file, self._file, self._record = self._file, None, None
            if file is not None:
                if os.name == "nt":  # where an open file cannot be removed
                    os.close(file)
                # Elsewhere it goes while it is held: nobody may lock a file that is about to go.
                with contextlib.suppress(OSError):
                    self.path.unlink()
                if os.name != "nt":
                    os.close(file)
        _heartbeat.discard(self)

    def forget(self) -> None:
        """Let go of the parent's lock in a forked process; the parent still holds it."""
        file, self._file, self._record = self._file, None, None
        self._guard = threading.Lock()
        if file is not None:
            os.close(file)

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        try:
            file = os.open(self.path, flags, 0o666)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise VideoWriteError(
                    f"{self.path}: is a link where a lock belongs; remove it"
                ) from error
            raise VideoWriteError(
                f"no permission to write into the folder {self._output.parent} ({error.strerror})"
            ) from error
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise VideoWriteError(f"{self.path}: is no file where a lock belongs; remove it")
        return file

    def _is_current(self, file: int) -> bool:
        try:
            return os.path.samestat(os.fstat(file), os.lstat(self.path))
        except OSError:
            return False

    def _take_over(self, found: LockRecord, *, known_dead: bool) -> None:
        """Accept a lock that nobody on this machine holds, if its holder is dead.

        Args:
            found: what its holder wrote.
            known_dead: whether a holder on this machine would have been seen.
        """
        if not (known_dead and found.host.is_same(self._host)):
            self._wait_for_other_host(found)
        for name in found.temporaries:
            if is_temporary_name(name):
                _remove_file(self._folder / name)

    def _wait_for_other_host(self, found: LockRecord) -> None:
        """Refuse unless the heartbeat has stood still long enough since it was seen first."""
        state = json.dumps([str(self.path), found.host.name, found.process, found.heartbeat])
        note = _observations() / hashlib.sha256(state.encode()).hexdigest()[:24]
        now = self._clock()
        try:
            seen = float(note.read_text())
        except (OSError, ValueError):
            seen = now
            with contextlib.suppress(OSError):
                note.parent.mkdir(parents=True, exist_ok=True)
                note.write_text(f"{now}\n")
        if not 0 <= now - seen < STALE_S:
            if now > seen:
                _remove_file(note)
                return
            with contextlib.suppress(OSError):  # the clock was set back: begin anew
                note.write_text(f"{now}\n")
        self._refuse(
            found,
            f"; if that run is dead, try again in {STALE_S / 60:.0f} minutes, or remove "
            f"{self.path}",
        )

    def _refuse(self, found: LockRecord | None, hint: str = "") -> None:
        who = "another run"
        if found is not None:
            who = f"process {found.process} on {found.host.name} since {found.since}"
        raise OutputInUseError(
            f"{self._output} is being written by {who}; wait for it, or choose another name{hint}"
        )

    def _store(self) -> None:
        with self._guard:
            if self._file is None or self._record is None:
                return
            data = self._record.to_bytes()
            os.lseek(self._file, 0, os.SEEK_SET)
            os.write(self._file, data)
            os.ftruncate(self._file, len(data))


def hashed_name(output: str, ending: str) -> str:
    """A short hidden name that belongs to an output's name."""
    if sys.platform in ("win32", "darwin"):  # their file systems ignore case and composition
        output = unicodedata.normalize("NFC", output).casefold()
    return f".vr-{hashlib.sha256(os.fsencode(output)).hexdigest()[:12]}{ending}"


def _remove_file(path: Path) -> None:
    """Remove a plain file, never a folder; a link goes, not what it leads to."""
    with contextlib.suppress(OSError):
        path.unlink()


def _observations() -> Path:
    """Where it is noted when the lock of another machine was seen."""
    home = os.environ.get("VIDRESTORE_HOME")
    return (Path(home) if home else platformdirs.user_cache_path("vidrestore")) / "locks-seen"


_heartbeat: Heartbeat[OutputLock] = Heartbeat(HEARTBEAT_S)


def release_locks() -> None:
    """Release all locks that this process holds."""
    for lock in _heartbeat.held():
        lock.release()


def _forget_after_fork() -> None:
    """A forked process owns none of its parent's locks, and must not keep them alive."""
    global _heartbeat
    for lock in _heartbeat.held():
        lock.forget()
    _heartbeat = Heartbeat(HEARTBEAT_S)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
