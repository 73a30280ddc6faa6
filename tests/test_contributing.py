"""CONTRIBUTING.md: its examples, applied to a copy of the package, pass their tests and ruff."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import vidrestore

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Block:
    """A block of the guide, without its line that names the file."""

    language: str
    path: str
    text: str


def blocks(guide: str) -> list[Block]:
    """All blocks, in order."""
    found = re.findall(r"^```(\w+)\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    return [_block(language, text) for language, text in found]


def _block(language: str, text: str) -> Block:
    if language == "diff":
        named = re.match(r"--- a/(\S+)\n\+\+\+ b/\1\n", text)
    else:
        named = re.match(r"# (\S+)\n", text)
    assert named, f"no file is named by the block that begins {text[:60]!r}"
    return Block(language, named[1], text[named.end() :])


def apply_diff(content: str, diff: str) -> str:
    """Apply hunks by their lines; each must fit exactly one place."""
    for hunk in re.split(r"^@@.*\n", diff, flags=re.MULTILINE)[1:]:
        lines = hunk.splitlines(keepends=True)
        old = "".join(line[1:] for line in lines if line[0] in " -")
        new = "".join(line[1:] for line in lines if line[0] in " +")
        assert content.count(old) == 1, f"found {content.count(old)} times:\n{old}"
        content = content.replace(old, new)
    return content


def write_block(block: Block, folder: Path) -> None:
    """Put a block where it goes; a file that is there is only ever changed by a diff."""
    path = folder / block.path
    if block.language == "diff":
        path.write_text(apply_diff(path.read_text("utf-8"), block.text), encoding="utf-8")
        return
    assert not path.exists(), f"{block.path} exists"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text, encoding="utf-8")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package and of what tests share, with the guide's examples applied."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(Path(vidrestore.__file__).parent, folder / "vidrestore")
    shutil.copytree(ROOT / "tests" / "support", folder / "tests" / "support")
    shutil.copy(ROOT / "tests" / "test_layers.py", folder / "tests")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for block in blocks(GUIDE):
        write_block(block, folder)
    return folder


def run(checkout: Path, *command: str) -> str:
    """Run a Python module in the copy; its output, which must tell of success."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_examples_do_what_their_tests_say(checkout: Path) -> None:
    tests = [block.path for block in blocks(GUIDE) if block.path.startswith("tests/")]
    assert len(tests) == 5
    said = run(checkout, "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "-rA", *tests)
    assert not [path for path in tests if f"PASSED {path}" not in said], said


def test_examples_follow_the_style(checkout: Path) -> None:
    paths = [block.path for block in blocks(GUIDE) if block.path.endswith(".py")]
    run(checkout, "ruff", "check", "--no-cache", *paths)
    run(checkout, "ruff", "format", "--no-cache", "--check", *paths)


def test_examples_keep_to_the_layers(checkout: Path) -> None:
    test = "tests/test_layers.py::test_imports_flow_one_way"
    assert f"PASSED {test}" in run(checkout, "pytest", "-p", "no:xdist", test, "-rA")


def test_a_hunk_that_fits_nowhere_is_told() -> None:
    with pytest.raises(AssertionError, match="found 0 times"):
        apply_diff("a\n", "@@ x\n-b\n+c\n")


def test_files_that_the_guide_names_are_there() -> None:
    named = set(
        re.findall(r"`((?:vidrestore|tests|tools|examples)/[\w/.]+)`|\]\(([\w/.]+)\)", GUIDE)
    )
    for path in {one or other for one, other in named}:
        assert (ROOT / path).exists(), path
