"""Shot by shot, and batch by batch: what looks at frames before and after starts anew at every cut,
and what is done on a device for many frames at once takes the same ones wherever a run begins.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Protocol

from vidrestore.structs import Frame

__all__ = ["BATCH_FRAMES", "by_shot", "ends_batch"]

BATCH_FRAMES = 8
"""Frames whose faces are filtered, and put back, together on a device: those from one multiple of
it to the next, within a shot. Kernels round differently for other shapes, so which frames they are
does not depend on where a run begins."""


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


def ends_batch(frame: Frame, frames: int) -> bool:
    """Whether a frame is the last one before a multiple of so many frames."""
    return (frame.index + 1) % frames == 0 and (frame.field is None or frame.field.is_later)
