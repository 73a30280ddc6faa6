"""Signals that end a run: hang-up, Ctrl-C, quit, termination.

The first one unwinds the program as Ctrl-C does, so that everything is closed and removed in order.
A second one, when that takes too long, removes the run's temporary files and ends the process at
once. A signal that was ignored when the program began, as `nohup` and background shells arrange,
stays ignored.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from vidrestore.runtime.output_file import abandon_outputs

__all__ = ["EndedBySignal", "end_on_signals"]

_ENDING = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM")


class EndedBySignal(BaseException):
    """A signal asks the program to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def exit_code(self) -> int:
        """What a shell shows for a program that this signal ended: 129, 130, 131 or 143."""
        return 128 + self.number


@contextmanager
def end_on_signals() -> Iterator[None]:
    """Raise `EndedBySignal` in the main thread at the first signal; end at once at the second."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    own = [getattr(signal, name) for name in _ENDING if hasattr(signal, name)]
    wanted = {number for number in own if signal.getsignal(number) != signal.SIG_IGN}
    process = os.getpid()

    def end(number: int, frame: FrameType | None) -> None:
        if os.getpid() != process:  # a forked worker process ends as if nothing were handled
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        for other in wanted:  # the clean-up is left in peace; the watching thread counts on
            signal.signal(other, _ignore)
        raise EndedBySignal(number)

    before = {number: signal.signal(number, end) for number in wanted}
    with _watched(wanted):
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _ignore(number: int, frame: FrameType | None) -> None:
    """Do nothing: the watching thread sees the signal."""


@contextmanager
def _watched(wanted: set[int]) -> Iterator[None]:
    """A thread sees every signal at once, also while the main thread is in native code."""
    read, write = socket.socketpair()
    write.setblocking(False)
    before = signal.set_wakeup_fd(write.fileno(), warn_on_full_buffer=False)
    thread = threading.Thread(target=_watch, args=(read, wanted), name="signals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        write.close()
        thread.join()
        read.close()


def _watch(read: socket.socket, wanted: set[int]) -> None:
    """End the process at the second signal; return when the other end is closed."""
    seen = 0
    while data := read.recv(64):
        for number in data:
            seen += number in wanted
            if seen > 1:
                _end_at_once(number)


def _end_at_once(number: int) -> None:
    abandon_outputs()
    os.write(2, b"vidrestore: ended at once; its temporary files were removed\n")
    os._exit(128 + number)


def _stop_watching_after_fork() -> None:
    """The parent's watching thread must not count signals of its worker processes."""
    if threading.current_thread() is threading.main_thread():
        signal.set_wakeup_fd(-1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_stop_watching_after_fork)
