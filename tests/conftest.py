"""Fixtures that every test file may use."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

_BESIDE_OTHERS = "PYTEST_XDIST_WORKER" in os.environ
"""Whether these tests run beside those of other processes (`pytest -n`), which share the cores."""

if _BESIDE_OTHERS:
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def _shared_folder() -> Path | None:
    named = os.environ.get("VIDRESTORE_SHARED")
    for folder in ([Path(named)] if named else []) + [Path(__file__).parents[2] / "shared"]:
        if (folder / "clips").is_dir():
            return folder
    return None


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of clips, faces and reference outputs that lies beside the repository.

    Its tests skip, saying so, where it is absent; `VIDRESTORE_REQUIRE_SHARED=1` makes them fail.
    """
    folder = _shared_folder()
    if folder is None:
        message = "the folder 'shared' is not beside the repository (or set VIDRESTORE_SHARED)"
        if os.environ.get("VIDRESTORE_REQUIRE_SHARED") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return folder


@pytest.fixture(scope="session")
def system_ffmpeg() -> str:
    """The system's FFmpeg; tests that need it skip where it is not installed."""
    program = shutil.which("ffmpeg")
    if program is None or shutil.which("ffprobe") is None:
        pytest.skip("the programs ffmpeg and ffprobe are not installed")
    return program


@pytest.fixture(scope="session", autouse=True)
def _few_threads() -> None:
    """Small networks gain little by threads, and results do not depend on the machine."""
    import torch

    threads = os.environ.get("VIDRESTORE_TEST_THREADS", "1" if _BESIDE_OTHERS else "2")
    torch.set_num_threads(int(threads))
