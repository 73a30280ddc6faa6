"""A program lets idle threads sleep; a library leaves the environment as it is."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SHOW = "import os; print(os.environ.get('OMP_WAIT_POLICY'))"
COMMAND = "from vidrestore.cli import main; main(['--version']);"
LIBRARY = "import vidrestore; vidrestore.Session;"


@pytest.mark.parametrize(
    ("program", "given", "wanted"),
    [
        (COMMAND, None, "PASSIVE"),
        (COMMAND, "ACTIVE", "ACTIVE"),
        (LIBRARY, None, "None"),
    ],
)
def test_only_a_command_sets_how_threads_wait(program: str, given: str | None, wanted: str) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    if given is not None:
        environment["OMP_WAIT_POLICY"] = given
    done = subprocess.run(
        [sys.executable, "-c", program + SHOW],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == wanted
