"""The one threaded primitive: run an iterator ahead in a thread of its own.

    for frame in prefetch(decoded_frames, depth=8):
        ...

The order is kept, at most `depth` items wait, and an error in the producer is raised in the
consumer at the place where the item would have come. However the loop ends, the producer is
stopped, its iterator closed and its thread joined.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from typing import Generic, TypeVar

__all__ = ["prefetch"]

T = TypeVar("T")
_log = logging.getLogger(__name__)


class _Channel(Generic[T]):
    """A bounded queue that either side can close."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._items: deque[T] = deque()
        self._state = threading.Condition()
        self._closed = False
        self._finished = False
        self._error: BaseException | None = None

    def send(self, item: T) -> bool:
        """Wait for room; False when nobody listens any more."""
        with self._state:
            self._state.wait_for(lambda: self._closed or len(self._items) < self._depth)
            if not self._closed:
                self._items.append(item)
                self._state.notify_all()
            return not self._closed

    def finish(self, error: BaseException | None) -> None:
        with self._state:
            if error is not None and self._closed:
                _log.debug("error after the consumer had left", exc_info=error)
            self._finished, self._error = True, error
            self._state.notify_all()

    def receive(self) -> Iterator[T]:
        while True:
            with self._state:
                self._state.wait_for(lambda: self._items or self._finished)
                if not self._items:
                    break
                item = self._items.popleft()
                self._state.notify_all()
            yield item
            del item
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        with self._state:
            self._closed = True
            self._items.clear()
            self._state.notify_all()


def _produce(items: Iterable[T], channel: _Channel[T]) -> None:
    error: BaseException | None = None
    iterator = iter(items)
    try:
        for item in iterator:
            if not channel.send(item):
                break
            del item  # a waiting producer would keep one item more alive than `depth`
    except BaseException as raised:
        error = raised
    try:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()
    except BaseException as raised:
        error = error or raised
    channel.finish(error)


def prefetch(items: Iterable[T], depth: int, *, name: str = "items") -> Generator[T, None, None]:
    """Run `items` ahead in a thread, at most `depth` items before the consumer.

    The thread starts with the first item asked for.

    Raises:
        ValueError: if `depth` is below 1.
    """
    if depth < 1:
        raise ValueError(f"depth must be at least 1, got {depth}")
    return _prefetch(items, depth, name)


def _prefetch(items: Iterable[T], depth: int, name: str) -> Generator[T, None, None]:
    channel: _Channel[T] = _Channel(depth)
    thread = threading.Thread(
        target=_produce, args=(items, channel), name=f"vidrestore-{name}", daemon=True
    )
    thread.start()
    try:
        yield from channel.receive()
    finally:
        channel.close()
        thread.join()
