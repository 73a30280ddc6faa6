"""Work on a device in portions, which become smaller where the device's memory runs out.

A stage makes one `Portions` for all its frames, so that what memory did not suffice for is tried
once. What cannot be divided is done inside `enough_memory`, which says what to do instead.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch

from vidrestore.errors import NotEnoughMemoryError

__all__ = ["Portions", "enough_memory"]

logger = logging.getLogger("vidrestore")

Item = TypeVar("Item")
Result = TypeVar("Result")


class Portions:
    """How many things are worked on at a time: half as many each time that memory runs out.

    Args:
        what: is done with one, for people, as in "to filter a face over time".
        advice: what a person can do where memory does not suffice for one.
        most: at a time, at first; 0 for all.
        notes: takes a line, each time.
    """

    def __init__(
        self, what: str, advice: str, *, most: int = 0, notes: list[str] | None = None
    ) -> None:
        self.most = most
        self._what, self._advice = what, advice
        self._notes = [] if notes is None else notes

    def __call__(
        self, items: Sequence[Item], work: Callable[[Sequence[Item]], Result]
    ) -> list[Result]:
        """Work on items, in order.

        Args:
            items: what to work on.
            work: on at most `most` of them; it is called again, with fewer, where memory ran out.

        Returns:
            What came of each portion.

        Raises:
            NotEnoughMemoryError: if memory does not suffice for one.
        """
        done: list[Result] = []
        begin = 0
        while begin < len(items):
            part = items[begin : begin + (self.most or len(items))]
            try:
                done.append(work(part))
                begin += len(part)
                continue
            except torch.OutOfMemoryError:
                pass  # Only behind this block the failed call's tensors are let go.
            self._halve(len(part))
        return done

    def _halve(self, count: int) -> None:
        if count == 1:
            raise NotEnoughMemoryError(_message(self._what, self._advice))
        torch.cuda.empty_cache()
        self.most = count // 2
        note = f"out of memory {self._what}: {count} at a time became {self.most}"
        self._notes.append(note)
        logger.warning("%s", note)


@contextmanager
def enough_memory(what: str, advice: str) -> Iterator[None]:
    """Do what cannot be divided.

    Args:
        what: is done, for people, as in "to send a frame".
        advice: what a person can do.

    Raises:
        NotEnoughMemoryError: if the device's memory does not suffice.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise NotEnoughMemoryError(_message(what, advice)) from error


def _message(what: str, advice: str) -> str:
    return f"not enough memory on the device {what}; {advice}"
