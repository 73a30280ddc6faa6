"""Numbers in messages."""

from __future__ import annotations

import pytest

from vidrestore.runtime.words import lasting, sized


@pytest.mark.parametrize(
    ("n_bytes", "told"),
    [
        (0, "0 kB"),
        (1, "1 kB"),
        (4514, "5 kB"),
        (999_000, "999 kB"),
        (999_001, "1.0 MB"),
        (14_000_000, "14.0 MB"),
        (999_950_000, "1.0 GB"),
        (3_210_000_000, "3.2 GB"),
    ],
)
def test_no_size_but_zero_reads_as_none(n_bytes: int, told: str) -> None:
    assert sized(n_bytes) == told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.6, "1 h 00 min"),
        (90_000, "25 h 00 min"),
    ],
)
def test_times_are_told_in_two_units_at_most(seconds: float, told: str) -> None:
    assert lasting(seconds) == told
