"""The one threaded primitive: run an iterator ahead in a thread of its own.

    for frame in prefetch(decoded_frames, depth=8):
        ...

The order is kept, at most `depth` items wait, of at most so much weight, and an error in the
producer is raised in the consumer at the place where the item would have come. However the loop
ends, the producer is stopped, its iterator closed and its thread joined.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Generic, TypeVar

__all__ = ["prefetch"]

T = TypeVar("T")
_log = logging.getLogger(__name__)


class _Channel(Generic[T]):
    """A bounded queue that either side can close."""

    def __init__(self, depth: int, weigh: Callable[[T], float], most: float) -> None:
        self._depth, self._weigh, self._most = depth, weigh, most
        self._items: deque[T] = deque()
        self._weights: deque[float] = deque()
        self._state = threading.Condition()
        self._closed = False
        self._finished = False
        self._error: BaseException | None = None

    def send(self, item: T) -> bool:
        """Wait for room; False when nobody listens any more."""
        weight = self._weigh(item)
        with self._state:
            self._state.wait_for(lambda: self._closed or self._has_room(weight))
            if not self._closed:
                self._items.append(item)
                self._weights.append(weight)
                self._state.notify_all()
            return not self._closed

    def _has_room(self, weight: float) -> bool:
        """Whether one more item may wait; a first one always may."""
        fits = sum(self._weights) + weight <= self._most
        return not self._items or (len(self._items) < self._depth and fits)

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
                self._weights.popleft()
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


def prefetch(
    items: Iterable[T],
    depth: int,
    *,
    name: str = "items",
    weigh: Callable[[T], float] = lambda _: 0.0,
    most: float = 0.0,
) -> Generator[T, None, None]:
    """Run `items` ahead in a thread, at most `depth` items before the consumer.

    The thread starts with the first item asked for.

    Args:
        items: what runs ahead.
        depth: most items that wait.
        name: of the thread.
        weigh: what an item weighs.
        most: weight of all that wait, unless it is a single one.

    Raises:
        ValueError: if `depth` is below 1.
    """
    if depth < 1:
        raise ValueError(f"depth must be at least 1, got {depth}")
    return _prefetch(items, name, _Channel(depth, weigh, most))


def _prefetch(items: Iterable[T], name: str, channel: _Channel[T]) -> Generator[T, None, None]:
    thread = threading.Thread(
        target=_produce, args=(items, channel), name=f"vidrestore-{name}", daemon=True
    )
    thread.start()
    try:
        yield from channel.receive()
    finally:
        channel.close()
        thread.join()
