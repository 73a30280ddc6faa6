"""A small file is there whole, as it was or as it is, and no leftover beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vidrestore.runtime import durable
from vidrestore.runtime.durable import TEMPORARY_ENDING, temporary_beside, write_durably


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    for data in (b"first", b"", b"third"):
        write_durably(path, data)
        assert path.read_bytes() == data
    assert os.listdir(tmp_path) == ["state.json"]


def test_what_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.json"
    write_durably(path, b"before")

    def fail(*_: object) -> None:
        assert path.read_bytes() == b"before"
        raise OSError("no space")

    monkeypatch.setattr(durable, "sync_file", fail)
    with pytest.raises(OSError, match="no space"):
        write_durably(path, b"after")
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["state.json"]


def test_temporary_names_are_distinct_and_in_the_same_folder(tmp_path: Path) -> None:
    names = {temporary_beside(tmp_path / "a.bin") for _ in range(20)}
    assert len(names) == 20
    assert all(one.parent == tmp_path and one.suffix == TEMPORARY_ENDING for one in names)
