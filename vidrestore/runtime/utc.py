"""The time as records of work write it: UTC, to the second."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["utc_now"]


def utc_now() -> str:
    """Return the time now, such as "2024-05-06T07:08:09+00:00"."""
    return datetime.now(UTC).isoformat(timespec="seconds")
