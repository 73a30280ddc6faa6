"""A report says on what it was made."""

from __future__ import annotations

import platform
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import pytest

from vidrestore.runtime import machine
from vidrestore.runtime.machine import describe_machine
from vidrestore.runtime.utc import utc_now


def test_what_is_known_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpu").write_text("processor\t: 0\nmodel name\t: Some CPU\nmodel name\t: Other\n")
    (tmp_path / "mem").write_text("MemTotal:       16777216 kB\nMemFree: 1 kB\n")
    monkeypatch.setattr(machine, "_CPUINFO", tmp_path / "cpu")
    monkeypatch.setattr(machine, "_MEMINFO", tmp_path / "mem")
    facts = describe_machine()
    assert (facts["processor"], facts["memory"]) == ("Some CPU", "16 GiB")
    assert facts["torch"] == version("torch") and facts["python"] == platform.python_version()


def test_what_is_not_known_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_MEMINFO", tmp_path / "none")
    monkeypatch.setattr(machine, "_PACKAGES", ("no-such-package",))
    facts = describe_machine()
    assert "memory" not in facts and "no-such-package" not in facts
    assert all(facts.values())


def test_the_time_is_that_of_greenwich_to_the_second() -> None:
    told = datetime.fromisoformat(utc_now())
    assert told.utcoffset() == timedelta(0) and told.microsecond == 0
    assert abs(datetime.now(UTC) - told) < timedelta(seconds=5)
