"""Where frames go, as a protocol: a file, or anything else that takes them in order.

Every implementation passes the tests in `tests/video/test_conformance.py`.
"""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from vidrestore.structs import Frame

__all__ = ["FrameSink"]


@runtime_checkable
class FrameSink(Protocol):
    """Take the frames of one video, in order of presentation; a context manager."""

    @property
    def codec(self) -> str:
        """How pictures are stored, for the report."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know: what was left out or is missing."""
        ...

    @property
    def is_damaged(self) -> bool:
        """Whether more of what is copied is missing than accepted; known once committed."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give up what was not committed: nothing of it is left."""
        ...

    def write(self, frame: Frame) -> None:
        """Take the next frame; times must increase.

        Raises:
            VideoWriteError: it cannot be written.
        """
        ...

    def commit(self) -> None:
        """Finish: what was written is there from now on.

        Raises:
            VidRestoreError: that fails, or no frame was written; nothing is left then.
        """
        ...
