"""Where the time goes: seconds spent inside each stage of a chain of generators."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

__all__ = ["StageClock"]

T = TypeVar("T")


class StageClock:
    """Measure stages that pull from one another.

    A stage's time includes what it pulls from the stage before; `seconds` takes that away again.
    """

    def __init__(self) -> None:
        self._inclusive: dict[str, float] = {}
        self._pulls_from: dict[str, str | None] = {}

    def timed(
        self, name: str, items: Iterable[T], pulls_from: str | None = None
    ) -> Generator[T, None, None]:
        """Pass `items` on and book the time each takes to come under `name`.

        `pulls_from` names the timed stage that runs inside this one, in the same thread.
        """
        self._inclusive[name] = 0.0
        self._pulls_from[name] = pulls_from
        return self._timed(name, items)

    def _timed(self, name: str, items: Iterable[T]) -> Generator[T, None, None]:
        iterator = iter(items)
        while True:
            begun = time.perf_counter()
            try:
                item = next(iterator)
            except StopIteration:
                return
            finally:
                self._inclusive[name] += time.perf_counter() - begun
            yield item
            del item

    def call(self, name: str, function: Callable[[], T], *, inside: str | None = None) -> T:
        """Run `function` and book its time under `name`, and not under that of `inside`."""
        begun = time.perf_counter()
        try:
            return function()
        finally:
            passed = time.perf_counter() - begun
            self._inclusive[name] = self._inclusive.get(name, 0.0) + passed
            self._pulls_from.setdefault(name, None)
            if inside is not None:
                self._inclusive[inside] -= passed

    def seconds(self) -> dict[str, float]:
        """Seconds inside each stage, without the stages it pulled from, in the order added."""
        return {
            name: max(0.0, total - self._inclusive.get(self._pulls_from[name] or "", 0.0))
            for name, total in self._inclusive.items()
        }
