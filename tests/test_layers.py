"""Imports flow one way, and `import vidrestore` is light."""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

import vidrestore

ROOT = Path(vidrestore.__file__).parent
LAYERS = [
    {"errors"},
    {"runtime", "settings"},
    {"structs", "config", "options"},
    {
        "geometry",
        "landmarks",
        "luma",
        "opencv_warp",
        "ramps",
        "datasets",
        "memory_estimate",
        "plain",
    },
    {"tracks", "track_bounds", "track_file", "track_units"},
    {"noise", "noise_measurement", "video", "models", "metrics"},
    {"degradations"},
    {"stages", "training"},
    {"pipeline", "visual", "demo"},
    {"job", "jobs", "report", "run"},
    {"session"},
    {"api"},
    {"records"},
    {"batch"},
    {"evaluation", "bench"},
    {"cli"},
]
"""Foundation first: a module imports from its own layer or from those before it."""
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
APART = [{"video", "models"}, {"training", "stages"}]
"""Neighbours that never import each other."""


def imports_of(path: Path) -> set[str]:
    """Top-level parts of the package that a file imports, `TYPE_CHECKING` blocks included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path}: relative import"
        names = [node.module] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        found |= {n.split(".")[1] for n in names if n and n.startswith("vidrestore.")}
    return found


def test_imports_flow_one_way() -> None:
    wrong = []
    for path in sorted(ROOT.rglob("*.py")):
        part = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if part[0] == "_":
            continue
        for imported in imports_of(path):
            if RANK[imported] > RANK[part] or {imported, part} in APART:
                wrong.append(f"{path.relative_to(ROOT)} imports {imported}")
    assert not wrong


def test_import_is_light() -> None:
    heavy = ["torch", "scipy", "cv2", "kornia", "facexlib", "av", "numpy"]
    code = f"import vidrestore, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_import_is_quick() -> None:
    def seconds(code: str) -> float:
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - begun

    added = [seconds("import vidrestore") - seconds("pass") for _ in range(5)]
    assert statistics.median(added) < 0.3


def test_public_names_are_sorted_and_exist() -> None:
    assert list(vidrestore.__all__) == sorted(vidrestore.__all__)
    for name in vidrestore.__all__:
        assert getattr(vidrestore, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'restor_video'"):
        vidrestore.restor_video  # noqa: B018
