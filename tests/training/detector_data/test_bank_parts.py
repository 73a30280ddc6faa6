"""A stop half-way costs the faces of one part at most, and damage only that part."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from vidrestore.training.detector_data.bank_parts import Entry, Parts

JOBS = list(range(70))


@pytest.fixture
def pool() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


class Maker:
    """Make a face of a number; every ninth cannot be used."""

    def __init__(self) -> None:
        self.made: list[int] = []

    def __call__(self, number: int) -> Entry | None:
        self.made.append(number)
        picture, matte = (np.full(shape, number, np.uint8) for shape in ((8, 8, 3), (8, 8)))
        points = np.full((5, 2), number, np.float32)
        return None if number % 9 == 0 else (picture, matte, points[:2].ravel(), points)


def numbers(found: list[Entry | None]) -> list[int | None]:
    return [None if entry is None else int(entry[3][0, 0]) for entry in found]


EXPECTED = [None if number % 9 == 0 else number for number in JOBS]


def test_what_is_kept_is_not_made_again(pool: Executor, tmp_path: Path) -> None:
    told: list[int] = []
    first, second = Maker(), Maker()
    assert numbers(Parts(tmp_path, "s").made(pool, first, JOBS, "read", told.append)) == EXPECTED
    assert sorted(first.made) == JOBS and told == [0, 32, 64, 70]
    assert numbers(Parts(tmp_path, "s").made(pool, second, JOBS, "read", told.append)) == EXPECTED
    assert not second.made
    assert numbers(Parts(None).made(pool, second, JOBS, "read", told.append)) == EXPECTED


@pytest.mark.parametrize("keep", [0, 100])
def test_a_damaged_part_is_made_again(
    pool: Executor, tmp_path: Path, keep: int, caplog: pytest.LogCaptureFixture
) -> None:
    parts, again = Parts(tmp_path, "s"), Maker()
    parts.made(pool, Maker(), JOBS, "read", lambda done: None)
    assert parts.folder is not None
    file = parts.folder / "read-32.npz"
    file.write_bytes(file.read_bytes()[:keep])
    assert numbers(parts.made(pool, again, JOBS, "read", lambda done: None)) == EXPECTED
    assert sorted(again.made) == JOBS[32:64] and "damaged" in caplog.text
    names = {f"read-{first}.npz" for first in (0, 32, 64)}
    assert {path.name for path in parts.folder.iterdir()} == names


def test_parts_of_another_source_go(pool: Executor, tmp_path: Path) -> None:
    old, new = Parts(tmp_path, "old"), Maker()
    old.made(pool, Maker(), JOBS, "read", lambda done: None)
    parts = Parts(tmp_path, "new")
    assert old.folder is not None and not old.folder.exists()
    parts.made(pool, new, JOBS, "read", lambda done: None)
    assert sorted(new.made) == JOBS
    parts.remove()
    assert list(tmp_path.iterdir()) == []
