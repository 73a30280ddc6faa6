"""What to call the things that are compared, so that no two have one name."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["distinct_names"]


def distinct_names(*ways: Sequence[str]) -> list[str]:
    """The first way of naming in which no two things have one name.

    Args:
        ways: from short names to long ones; each names all things, in one order.

    Returns:
        The names of that way; where there is none, those of the last one with numbers.
    """
    for names in ways:
        if len(set(names)) == len(names):
            return list(names)
    return [f"{name} ({number})" for number, name in enumerate(ways[-1], start=1)]
