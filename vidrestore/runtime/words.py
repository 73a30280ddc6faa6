"""Numbers with their nouns and units, for messages."""

from __future__ import annotations

__all__ = ["counted", "lasting", "sized"]


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Return "1 face", "2 faces"; `plural` is for nouns that do more than add an s."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def lasting(seconds: float) -> str:
    """Return "0.4 s", "12 s", "3 min 20 s" or "2 h 05 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, rest_minutes = divmod(minutes, 60)
    return f"{hours} h {rest_minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def sized(n_bytes: int) -> str:
    """Return "3.2 GB", "14.0 MB" or "5 kB", so that no size but zero reads as none."""
    if n_bytes <= 999_000:
        return f"{-(-n_bytes // 1000)} kB"
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes < 999_950_000 else f"{n_bytes / 1e9:.1f} GB"
