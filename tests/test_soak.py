"""tools/soak.sh refuses what it does not know before it runs anything."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(os.name != "posix", reason="tools/soak.sh needs a shell")


def soak(*arguments: str) -> tuple[int, str]:
    """Exit code and output."""
    command = ["bash", str(ROOT / "tools" / "soak.sh"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout + done.stderr


def test_usage_names_every_part_and_its_tool() -> None:
    code, said = soak("--help")
    assert code == 0
    tools = {
        line.split("(tools/")[1].split(",")[0] for line in said.splitlines() if "(tools" in line
    }
    assert tools == {
        "fuzz_damage.py",
        "hostile_table.py",
        "kill_runs.py",
        "long_clock.py",
        "many_files.py",
        "decoded_sums.py",
    }
    assert all((ROOT / "tools" / tool).is_file() for tool in tools)
    assert "pytest -m soak" in said


@pytest.mark.parametrize(
    "arguments,words",
    [
        (["fuz"], "no part or option 'fuz'"),
        (["--count", "many"], "--count needs a number, not 'many'"),
        (["--seed"], "--seed needs a value"),
        (["--sums", "nothing.txt"], "--sums nothing.txt is no file"),
    ],
)
def test_what_is_wrong_is_told(arguments: list[str], words: str, tmp_path: Path) -> None:
    code, said = soak("--out", str(tmp_path / "soak"), *arguments)
    assert code == 2 and words in said and "Traceback" not in said
    assert not (tmp_path / "soak").exists()
