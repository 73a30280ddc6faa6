"""A machine without OpenCV's libraries is told what to install, in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vidrestore.runtime.system_libraries import explain_import_error

APT = "apt-get install libgl1 libglib2.0-0"


@pytest.fixture
def bare_machine(tmp_path: Path) -> dict[str, str]:
    """An environment whose OpenCV fails as it does where a library of the system is missing."""
    message = "libGL.so.1: cannot open shared object file: No such file or directory"
    (tmp_path / "cv2.py").write_text(f"raise ImportError({message!r})", encoding="utf-8")
    path = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}


def test_the_command_line_and_python_say_what_to_install(
    bare_machine: dict[str, str], tmp_path: Path
) -> None:
    output = str(tmp_path / "out.mp4")
    code = f"from vidrestore.cli import main; print(main(['demo', {output!r}]))\n"
    code += "from vidrestore import restore_video"
    done = subprocess.run(
        [sys.executable, "-c", code], env=bare_machine, capture_output=True, text=True
    )
    assert (done.stdout, done.returncode) == ("1\n", 1)
    first, second, *_, last = done.stderr.splitlines()
    assert first.startswith("vidrestore: libGL.so.1, a library") and APT in first
    assert second.startswith("Traceback")  # of Python's own import, which comes after
    assert last.startswith("vidrestore.errors.NotAvailableError: ") and APT in last


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("libgthread-2.0.so.0: cannot open shared object file: No such file", f"{APT} (Debian"),
        ("libSM.so.6: cannot open shared object file: No such file", f"{APT} libsm6"),
        ("libfoo.so.3: cannot open shared object file: No such file", "that has libfoo.so.3"),
        ("DLL load failed while importing cv2: not found", "Media Feature Pack"),
    ],
)
def test_other_libraries(message: str, said: str) -> None:
    outer = RuntimeError("wrapped")
    outer.__cause__ = ImportError(message)
    assert said in str(explain_import_error(outer))


def test_other_errors_are_none_of_its_business() -> None:
    assert explain_import_error(ModuleNotFoundError("No module named 'x'")) is None
    assert explain_import_error(OSError("libGL.so.1: cannot open shared object file")) is None
