"""Steady: where restored detail is filtered over time. Passes frames through for now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vidrestore.structs import Frame

__all__ = ["steady"]


def steady(frames: Iterable[Frame]) -> Iterator[Frame]:
    """The frames, unchanged."""
    yield from frames
