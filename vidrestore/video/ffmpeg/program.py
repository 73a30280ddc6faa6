"""The system's FFmpeg: whether it is there, which version it is, and one run of it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from typing import IO

from vidrestore.errors import NotAvailableError
from vidrestore.runtime.extras import require_extra

__all__ = ["EncoderProcess", "require_ffmpeg"]

_OLDEST = (5, 1)
_KEPT_LINES = 20
_TOLD_LINES = 3
_EMPTY_WORDS = ("Conversion failed!", "Error while filtering", "Last message repeated")


def require_ffmpeg() -> str:
    """The path of the program.

    Raises:
        NotAvailableError: it is not there, is too old, or the package ffmpeg-python is missing.
    """
    require_extra("ffmpeg", "ffmpeg")
    path = shutil.which("ffmpeg")
    if path is None:
        raise NotAvailableError(
            "--sink ffmpeg: the program ffmpeg is not on the PATH; install it (such as "
            "`apt install ffmpeg`, `brew install ffmpeg`, or from ffmpeg.org)"
        )
    version = _version(path)
    if version is not None and version < _OLDEST:
        raise NotAvailableError(
            f"--sink ffmpeg: {path} is of version {version[0]}.{version[1]}; install 5.1 or newer"
        )
    return path


@lru_cache(maxsize=4)
def _version(path: str) -> tuple[int, int] | None:
    """(major, minor); None of builds that are not numbered, which are new.

    Raises:
        NotAvailableError: the program cannot be run.
    """
    try:
        done = subprocess.run(
            [path, "-version"], capture_output=True, text=True, errors="replace", check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotAvailableError(
            f"--sink ffmpeg: {path} cannot be run ({error}); install it again"
        ) from error
    told = re.match(r"ffmpeg version n?(\d+)\.(\d+)", done.stdout)
    return None if told is None else (int(told[1]), int(told[2]))


class EncoderProcess:
    """One run, which reads from a pipe.

    Its messages are read while it works, so that neither side ever waits for the other.

    Args:
        command: the program and its arguments; `-progress pipe:1` tells the frames.
    """

    def __init__(self, command: Sequence[str]) -> None:
        # In a session of its own, Ctrl-C reaches this program only, which ends the other.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"SVT_LOG": "1"},  # of SVT-AV1: errors only
            start_new_session=True,
        )
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self.input = self._process.stdin
        """Takes the bytes that it encodes."""
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self.frames = 0
        """Encoded so far, as it says."""
        self._readers = [
            threading.Thread(target=read, args=(pipe,), name=name, daemon=True)
            for read, pipe, name in (
                (self._read_messages, self._process.stderr, "ffmpeg messages"),
                (self._read_progress, self._process.stdout, "ffmpeg progress"),
            )
        ]
        for reader in self._readers:
            reader.start()

    def finish(self) -> int:
        """Close the pipe, wait for the end, and give the exit code."""
        with contextlib.suppress(BrokenPipeError):
            self.input.close()
        code = self._process.wait()
        self._join()
        return code

    def kill(self) -> None:
        """End it at once; nothing where it has ended."""
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError, ValueError):
            self.input.close()
        self._join()

    @property
    def messages(self) -> str:
        """The end of what it said, on one line; '' where it said nothing."""
        lines = [line for line in dict.fromkeys(self._lines) if not line.startswith(_EMPTY_WORDS)]
        return "; ".join(lines[-_TOLD_LINES:])

    def _join(self) -> None:
        for reader in self._readers:
            reader.join()
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()

    def _read_messages(self, pipe: IO[bytes]) -> None:
        for line in pipe:
            text = re.sub(r"^\[[^]]*\] ", "", line.decode("utf-8", "replace").strip())
            if text:
                self._lines.append(text)

    def _read_progress(self, pipe: IO[bytes]) -> None:
        for line in pipe:
            name, _, value = line.decode("ascii", "replace").strip().partition("=")
            if name == "frame" and value.isdecimal():
                self.frames = int(value)
