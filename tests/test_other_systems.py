"""The package can be imported where a module or function of POSIX is missing, as on Windows."""

from __future__ import annotations

import ast
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import vidrestore
from vidrestore.errors import VideoOpenError, WeightsError
from vidrestore.models.names import check_name, resolve, split_arch
from vidrestore.runtime.inputs import is_bare_name
from vidrestore.video.read.opening import check_input

ROOT = Path(vidrestore.__file__).parent
POSIX_MODULES = {"fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty"}
POSIX_FUNCTIONS = {"fork", "forkpty", "getpgid", "getuid", "geteuid", "killpg", "mkfifo"} | {
    *("nice", "pread", "register_at_fork", "sched_getaffinity", "setsid", "sysconf", "uname"),
    *("statvfs", "chown", "mknod", "openpty", "wait3", "wait4", "posix_fallocate"),
}
MODULES = [
    found.name
    for found in pkgutil.walk_packages([str(ROOT)], "vidrestore.")
    if not found.name.endswith("__main__")
]

IMPORT_ALL = f"""
import builtins, importlib, os, sys, types
real = builtins.__import__
limited = types.ModuleType("os")
limited.__dict__.update({{k: v for k, v in vars(os).items() if k not in {POSIX_FUNCTIONS!r}}})

def importing(name, globals=None, *rest, **named):
    if not (globals or {{}}).get("__name__", "").startswith("vidrestore"):
        return real(name, globals, *rest, **named)
    if name.partition(".")[0] in {POSIX_MODULES!r}:
        raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
    return limited if name == "os" else real(name, globals, *rest, **named)

builtins.__import__ = importing
for name in sys.argv[1:]:
    importlib.import_module(name)
from vidrestore.runtime import output_file
with output_file.OutputFile(output_file.Path("out.bin")) as output:
    output.temporary.write_bytes(b"whole")
    output.publish()
print("imported", len(sys.argv) - 1, open("out.bin").read(), output_file.os is limited)
"""
"""Only our modules lack these; the libraries have versions of their own for other systems."""


def test_every_module_is_imported_and_an_output_written_without_posix(tmp_path: Path) -> None:
    command = [sys.executable, "-c", IMPORT_ALL, *MODULES]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == f"imported {len(MODULES)} whole True\n"
    assert len(MODULES) > 200


def _guarded(tree: ast.AST) -> set[ast.AST]:
    """All nodes inside a `try`, an `if` or a conditional expression."""
    guards = (ast.Try, ast.If, ast.IfExp)
    return {
        inner for node in ast.walk(tree) if isinstance(node, guards) for inner in ast.walk(node)
    }


def _posix_names(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names} & POSIX_MODULES
    if isinstance(node, ast.ImportFrom):
        return {str(node.module)} & POSIX_MODULES
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return {node.attr} & POSIX_FUNCTIONS if node.value.id == "os" else set()
    return set()


def test_what_only_posix_has_is_used_under_a_guard_within_functions_too() -> None:
    found = 0
    for path in ROOT.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        guarded = _guarded(tree)
        for node in ast.walk(tree):
            if names := _posix_names(node):
                found += 1
                assert node in guarded, f"{path}:{node.lineno}: {names} without a guard"  # type: ignore[attr-defined]
    assert found


@pytest.mark.parametrize(
    "name", ["C:w.pth", "C:\\nets\\w.pth", "nets\\mine", "C:\\a#b\\mine#GFPGANv1"]
)
def test_drives_and_backslashes_make_a_path_of_a_model(name: str) -> None:
    assert resolve(name, "restorer") == Path(name)
    with pytest.raises(WeightsError, match="no such file"):
        check_name(name, "restorer")


def test_the_last_mark_splits_off_the_network_and_none_within_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "take#1"
    folder.mkdir()
    (folder / "w.pth").touch()
    assert split_arch(folder / "w.pth#GPEN") == (folder / "w.pth", "GPEN")
    assert split_arch(folder / "w.pth") == (folder / "w.pth", None)
    with pytest.raises(WeightsError, match=r"take#1.none\.pth: no such file"):
        split_arch(folder / "none.pth")
    with pytest.raises(WeightsError, match=r"weights C:\\take#1\\w\.pth: no such file"):
        split_arch(Path("C:\\take#1\\w.pth#GPEN"))


@pytest.mark.parametrize(
    "name", ["C:\\x\\y.mp4", "C:/x/y.mp4", "c:y.mp4", "\\\\server\\share\\y.mp4"]
)
def test_a_drive_is_no_protocol(name: str) -> None:
    with pytest.raises(VideoOpenError, match="no such file") as caught:
        check_input(Path(name))
    assert "address" not in str(caught.value)


def test_names_without_a_folder() -> None:
    for text in ("old_film", "a.b", "x#y", "-"):
        assert is_bare_name(text)
    for text in ("", ".", "..", "a/b", "a\\b", "C:a", "C:\\a", "./a", "\\\\server\\share\\a"):
        assert not is_bare_name(text)
