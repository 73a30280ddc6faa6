"""Numbers with their nouns, for messages."""

from __future__ import annotations

__all__ = ["counted"]


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Return "1 face", "2 faces"; `plural` is for nouns that do more than add an s."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"
