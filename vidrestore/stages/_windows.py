"""Shot by shot: what looks at frames before and after starts anew at every cut."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Protocol

from vidrestore.structs import Frame

__all__ = ["by_shot"]


class _Shot(Protocol):
    """The frames of one shot, held back until enough of those around them are there."""

    def add(self, frame: Frame) -> Iterator[Frame]:
        """Take the next frame; give those that are ready."""
        ...

    def finish(self) -> Iterator[Frame]:
        """Give the rest: the shot is over."""
        ...


def by_shot(frames: Iterable[Frame], begin: Callable[[], _Shot]) -> Generator[Frame, None, None]:
    """Pass frames through one `begin()` for each shot, so that nothing crosses a cut.

    Args:
        frames: in order.
        begin: called at the start and at every cut.
    """
    shot = begin()
    for frame in frames:
        if frame.is_cut:
            yield from shot.finish()
            shot = begin()
        yield from shot.add(frame)
    yield from shot.finish()
