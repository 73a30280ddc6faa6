"""Docstrings keep the one style, where ruff has no rule for it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import vidrestore

ROOT = Path(vidrestore.__file__).parent
NAMES = ("FFmpeg", "Jinja2", "Matplotlib", "ONNX", "OpenCV", "Pyiqa", "Torchmetrics", "Torchvision")
"""Which stay capital in the middle of a sentence, too."""
VERBS = {"Adds", "Applies", "Compares", "Copies", "Decodes", "Finds", "Follows", "Gathers", "Gives"}
VERBS |= {"Holds", "Keeps", "Looks", "Makes", "Reads", "Restores", "Says", "Sets", "Takes", "Tells"}
VERBS |= {"Turns", "Writes"}


def docstrings() -> Iterator[tuple[str, str]]:
    """Where each one is, and its text."""
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                text = ast.get_docstring(node)
                if text:
                    yield f"{path.relative_to(ROOT)}: {getattr(node, 'name', '')}", text


def entries(text: str) -> Iterator[str]:
    """What is said of every argument and every error."""
    section = ""
    for line in text.splitlines():
        if line and not line.startswith(" "):
            section = line
        told = re.match(r"    (?! )[^:]+: (.*)", line)
        if told and section in ("Args:", "Raises:"):
            yield told[1]


def test_entries_begin_in_lower_case() -> None:
    wrong = [
        f"{place}: {told}"
        for place, text in docstrings()
        for told in entries(text)
        if re.match(r"[A-Z][a-z]*\b", told) and not told.startswith(NAMES)
    ]
    assert not wrong


def test_nothing_is_told_in_the_third_person() -> None:
    wrong = [f"{place}: {text}" for place, text in docstrings() if text.split()[0] in VERBS]
    assert not wrong
