"""Numbers in messages."""

from __future__ import annotations

import pytest

from vidrestore.runtime.words import sized


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
