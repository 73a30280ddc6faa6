"""Every declared dependency is imported by a module, or there is a reason to have it."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]

IMPORT_NAMES = {
    "ffmpeg-python": "ffmpeg",
    "opencv-python": "cv2",
    "pillow": "PIL",
    "PyYAML": "yaml",
    "scikit-image": "skimage",
}
"""Names of packages that differ from those of their distributions."""

USED_BY = {
    "av": "vidrestore/video/read/opening.py",
    "click": "vidrestore/cli/main.py",
    "facexlib": "vidrestore/models",
    "kornia": "vidrestore/metrics/images.py",
    "numpy": "vidrestore/geometry.py",
    "opencv-python": "vidrestore/stages/_motion.py",
    "platformdirs": "vidrestore/models/weights/store.py",
    "pydantic": "vidrestore/config/stage.py",
    "PyYAML": "vidrestore/settings.py",
    "safetensors": "vidrestore/models/weights/checkpoint.py",
    "scipy": "vidrestore/stages/track.py",
    "torch": "vidrestore/models/load.py",
    "tqdm": "vidrestore/cli/progress.py",
    "accelerate": "vidrestore/training/distributed.py",
    "torchvision": "vidrestore/training/losses/components.py",
    "jinja2": "vidrestore/records/page.py",
    "matplotlib": "vidrestore/visual/figures.py",
    "torchmetrics": "vidrestore/metrics/fid.py",
    "submitit": "vidrestore/batch/slurm.py",
    "ray": "vidrestore/batch/ray_tasks.py",
    "pyiqa": "vidrestore/metrics/niqe.py",
    "ffmpeg-python": "vidrestore/video/ffmpeg/command.py",
    "onnx": "vidrestore/training/export.py",
    "onnxruntime": "vidrestore/training/export.py",
    "openvino": "vidrestore/models/runners/openvino_runtime.py",
    "hypothesis": "tests/test_geometry.py",
    "nbclient": "tests/test_notebooks.py",
    "nbformat": "tests/test_notebooks.py",
    "pytest": "tests/conftest.py",
}
"""A module that imports each, its main one where there are several, or the folder of one."""

REASONS = {
    "scikit-image": "its pictures are backgrounds in the detector's training, read as files; tests "
    "compare with its metrics",
    "tensorboard": "torch.utils.tensorboard, which the training imports, writes with it",
    "onnxscript": "torch.onnx, which the export calls, builds graphs with it",
    "ipykernel": "runs the notebooks that tests/test_notebooks.py executes",
    "mypy": "checks types in .ci/run",
    "pillow": "matplotlib and torchvision read and write pictures with it",
    "pre-commit": "runs ruff and mypy before a commit, see .pre-commit-config.yaml",
    "pytest-xdist": "runs the tests in several processes",
    "ruff": "formats and lints in .ci/run",
    "types-PyYAML": "types of PyYAML for mypy",
    "types-tqdm": "types of tqdm for mypy",
    "vidrestore": "dev takes the other extras",
}
"""Of those that no module of the package imports by name."""


def declared() -> list[str]:
    texts = [*PROJECT["dependencies"], *(text for extra in EXTRAS.values() for text in extra)]
    return sorted({re.split(r"[^\w.-]", text)[0] for text in texts}, key=str.lower)


def packages_imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(str(node.module).partition(".")[0])
        elif isinstance(node, ast.Call) and "import" in ast.unparse(node.func) and node.args:
            named = node.args[0]  # Such as `import_module("package.part")`.
            if isinstance(named, ast.Constant):
                found.add(str(named.value).partition(".")[0])
    return found


@pytest.mark.parametrize("name", declared())
def test_a_dependency_is_imported_or_has_a_reason(name: str) -> None:
    assert (name in USED_BY) != (name in REASONS), f"{name}: list it in USED_BY or in REASONS"
    if name in USED_BY:
        place = ROOT / USED_BY[name]
        modules = [place] if place.is_file() else place.rglob("*.py")
        imported = {package for module in modules for package in packages_imported(module)}
        assert IMPORT_NAMES.get(name, name) in imported, f"{USED_BY[name]} does not import {name}"


def test_nothing_else_is_listed() -> None:
    assert sorted([*USED_BY, *REASONS], key=str.lower) == declared()


def test_what_the_package_imports_is_declared() -> None:
    importers = defaultdict(list)
    for path in (ROOT / "vidrestore").rglob("*.py"):
        for package in packages_imported(path):
            importers[package].append(path)
    # Two come with pydantic and with torch.
    known = {"vidrestore", "pydantic_core", "triton", *sys.stdlib_module_names}
    known |= {IMPORT_NAMES.get(name, name) for name in declared()}
    assert not {package: paths for package, paths in importers.items() if package not in known}


def test_third_parties_are_named_with_their_licences() -> None:
    text = (ROOT / "THIRD_PARTY.md").read_text(encoding="utf-8")
    groups = [PROJECT["dependencies"], *(group for name, group in EXTRAS.items() if name != "dev")]
    names = {re.split(r"[^\w.-]", one)[0] for group in groups for one in group}
    for name in names - {"vidrestore"}:
        assert re.search(rf"^\| {re.escape(name)} \| [^|]+ \|", text, re.MULTILINE), name
