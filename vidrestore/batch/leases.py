"""Claims on videos by lease files, safe on a folder that several machines share.

    leases = LeaseFolder(folder)
    lease = leases.claim("tape-1a2b3c")   # None if somebody else works on it
    with lease:
        ...
        lease.require()                   # before a result gets its name

The leases of one video are numbered files, `KEY.1`, `KEY.2`, …, each created exclusively and never
removed or replaced; who made the highest one holds the video. A next one may be made when the
highest is released or its holder is dead, so a lease is lost exactly when a higher one exists, and
of several that want to make the next one file system lets one.

A holder counts up a heartbeat in its file. Clocks of machines may differ, so no time is compared:
a lease is dead when its bytes have not changed for `STALE_S` by the clock of the one who looks. On
the holder's own machine the operating system knows at once (`runtime.file_lock`).
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from vidrestore.errors import VideoOpenError, VideoWriteError
from vidrestore.runtime.file_lock import is_locked, try_lock
from vidrestore.runtime.host import Host, this_host
from vidrestore.runtime.utc import utc_now

__all__ = ["HEARTBEAT_S", "STALE_S", "Holder", "Lease", "LeaseFolder", "LeaseLostError"]

HEARTBEAT_S = 30.0
"""Seconds from one heartbeat of a lease to the next."""

STALE_S = 300.0
"""Seconds without an observed change after which the holder is dead."""

_MAX_BYTES = 1 << 12
_HELD, _RELEASED = b"held    ", b"released"


class LeaseLostError(Exception):
    """Somebody else has taken the video over: what was done here does not count."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who made a lease."""

    host: Host
    process: int
    since: str
    """UTC, for people."""
    number: int
    """Of the lease, from 1."""


class LeaseFolder:
    """The leases of many videos.

    Args:
        folder: where they lie; exists.
        host: this machine; other ones are for tests.
        clock: seconds on the observer's clock, which only ever goes forward.
        heartbeat_s: seconds from one heartbeat to the next.
        stale_s: see `STALE_S`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        host: Host | None = None,
        clock: Callable[[], float] = time.monotonic,
        heartbeat_s: float = HEARTBEAT_S,
        stale_s: float = STALE_S,
    ) -> None:
        self._folder = folder
        self._host = host or this_host()
        self._clock = clock
        self._heartbeat_s = heartbeat_s
        self._stale_s = stale_s
        self._highest: dict[str, int] = {}
        self._observed: dict[str, tuple[int, bytes, float]] = {}
        """By key: number and bytes of the lease seen last, and when it was seen so first."""

    def claim(self, key: str) -> Lease | None:
        """Take a video, unless somebody holds it.

        Raises:
            VideoWriteError: the folder cannot be written.
        """
        number = self._find_highest(key)
        if number and not self._is_free(key, number):
            return None
        path = self._path(key, number + 1)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
        try:
            file = os.open(path, flags, 0o666)
        except FileExistsError:
            return None
        except OSError as error:
            raise VideoWriteError(
                f"{path}: cannot be written ({error.strerror}); check the space and permissions "
                "of its folder"
            ) from error
        self._observed.pop(key, None)
        holder = Holder(self._host, os.getpid(), utc_now(), number + 1)
        return Lease(self._path(key, number + 2), path, file, holder, self._heartbeat_s)

    def highest(self) -> dict[str, int]:
        """The number of the highest lease by key, from one look at the folder.

        A video's file is changed only under a lease, so what had this number has changed only if it
        is held, or was when it was read.

        Raises:
            VideoOpenError: the folder cannot be read.
        """
        try:
            names = os.listdir(self._folder)
        except OSError as error:
            raise VideoOpenError(
                f"{self._folder}: cannot be read ({error.strerror}); see that its disk is there"
            ) from error
        found: dict[str, int] = {}
        for name in names:
            key, _, number = name.rpartition(".")
            if number.isdecimal():
                found[key] = max(found.get(key, 0), int(number))
        return found

    def holder(self, key: str) -> Holder | None:
        """Who works on a video, as far as its leases say; None for nobody.

        The holder may have died on another machine less than `STALE_S` ago.
        """
        number = self._find_highest(key)
        data = self._read(key, number) if number else b""
        if not number or data.endswith(_RELEASED) or self._is_dead_here(key, number, data):
            return None
        return _parse(data, number)

    def _path(self, key: str, number: int) -> Path:
        return self._folder / f"{key}.{number}"

    def _find_highest(self, key: str) -> int:
        number = self._highest.get(key, 0)
        while os.path.exists(self._path(key, number + 1)):
            number += 1
        self._highest[key] = number
        return number

    def _read(self, key: str, number: int) -> bytes:
        try:
            with self._path(key, number).open("rb") as file:
                return file.read(_MAX_BYTES)
        except OSError:
            return b""

    def _is_free(self, key: str, number: int) -> bool:
        data = self._read(key, number)
        if data.endswith(_RELEASED) or self._is_dead_here(key, number, data):
            return True
        now, seen = self._clock(), self._observed.get(key)
        if seen is None or seen[:2] != (number, data):
            self._observed[key] = (number, data, now)
            return False
        return now - seen[2] >= self._stale_s

    def _is_dead_here(self, key: str, number: int, data: bytes) -> bool:
        """Whether the holder was a process of this machine and is gone.

        A holder locks its file before it says who it is, so whoever is named had the lock.
        """
        holder = _parse(data, number)
        if holder is None or not holder.host.is_same(self._host):
            return False
        with contextlib.suppress(OSError):
            file = os.open(self._path(key, number), os.O_RDWR)
            try:
                return is_locked(file, _MAX_BYTES) is False
            finally:
                os.close(file)
        return False


class Lease:
    """A video that is held; a context manager that releases it.

    Args:
        next_path: the lease that would take this one over.
        path: of this one.
        file: its open descriptor; closed with the lease.
        holder: who holds it.
        heartbeat_s: seconds from one heartbeat to the next.
    """

    def __init__(
        self, next_path: Path, path: Path, file: int, holder: Holder, heartbeat_s: float
    ) -> None:
        self.holder = holder
        self._next, self._path, self._file = next_path, path, file
        self._heartbeat_s = heartbeat_s
        self._beats = 0
        self._guard = threading.Lock()
        self._ended = threading.Event()
        try_lock(file, _MAX_BYTES)
        said = {"host": asdict(holder.host), "process": holder.process, "since": holder.since}
        os.write(file, json.dumps(said).encode() + b"\n")
        self._tail = os.lseek(file, 0, os.SEEK_CUR)
        self._store(_HELD)
        self._thread = threading.Thread(target=self._run, name="lease-heartbeat", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def is_held(self) -> bool:
        """Whether nobody has taken the video over."""
        return not os.path.exists(self._next) and os.path.exists(self._path)

    def require(self) -> None:
        """Refuse to go on with a video that somebody else has taken over.

        Raises:
            LeaseLostError: somebody has.
        """
        if not self.is_held():
            raise LeaseLostError(str(self._path))

    def beat(self) -> None:
        """Show others that the holder lives."""
        self._beats += 1
        with contextlib.suppress(OSError):
            self._store(_HELD)
            os.fsync(self._file)  # else a network file system keeps it to itself

    def release(self) -> None:
        """Let others take the video."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._thread.join()
        with contextlib.suppress(OSError):
            self._store(_RELEASED)
        os.close(self._file)

    def _run(self) -> None:
        while not self._ended.wait(self._heartbeat_s):
            self.beat()

    def _store(self, word: bytes) -> None:
        """Write count and word, always of one length, over those before."""
        with self._guard:
            os.lseek(self._file, self._tail, os.SEEK_SET)
            os.write(self._file, b"%012d %s" % (self._beats, word))


def _parse(data: bytes, number: int) -> Holder | None:
    """Who a lease names; None where its holder has not said it yet."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        said = json.loads(data.partition(b"\n")[0])
        host = said["host"]
        named = Host(str(host["name"]), str(host["machine"]), str(host["boot"]))
        return Holder(named, int(said["process"]), str(said["since"]), number)
    return None
