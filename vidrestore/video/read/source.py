"""Where frames come from, as a protocol: a file, or anything else that gives them in order.

Every implementation passes the tests in `tests/video/test_conformance.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from vidrestore.structs import Frame

__all__ = ["FrameSource"]


@runtime_checkable
class FrameSource(Protocol):
    """Frames of one video, in order of presentation; a context manager."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of damage, so far."""
        ...

    @property
    def is_damaged(self) -> bool:
        """Whether more is missing than accepted; final once the frames have been given."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def frames(self) -> Iterator[Frame]:
        """Give the frames from the first on, once.

        Indices count from 0, times increase strictly, and the first frame is a cut. Pictures are
        read-only.

        Raises:
            VidRestoreError: what is missing is more than accepted.
        """
        ...
