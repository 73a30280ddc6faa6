"""What shows other machines that the holder of a lock lives: a count that goes on rising."""

from __future__ import annotations

import threading
from typing import Generic, Protocol, TypeVar

__all__ = ["Heartbeat"]


class _Beating(Protocol):
    def beat(self) -> None: ...


B = TypeVar("B", bound=_Beating)


class Heartbeat(Generic[B]):
    """One thread that beats for all locks of the process, while there are any.

    Args:
        interval_s: seconds from one beat to the next.
    """

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._guard = threading.Lock()
        self._held: set[B] = set()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, lock: B) -> None:
        """Beat for a lock, too."""
        with self._guard:
            self._held.add(lock)
            if self._thread is None:
                self._stop.clear()
                self._thread = threading.Thread(
                    target=self._run, name="lock-heartbeat", daemon=True
                )
                self._thread.start()

    def discard(self, lock: B) -> None:
        """Beat for it no longer."""
        with self._guard:
            self._held.discard(lock)
            if not self._held:
                self._stop.set()

    def held(self) -> tuple[B, ...]:
        """The locks that it beats for."""
        return tuple(self._held)

    def _run(self) -> None:
        while True:
            stopped = self._stop.wait(self._interval_s)
            with self._guard:
                if not self._held:
                    self._thread = None
                    return
                if stopped:
                    self._stop.clear()
                locks = self.held()
            for lock in locks:
                lock.beat()
