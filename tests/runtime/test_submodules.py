"""One module of a package is imported without its package's heavy parts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vidrestore.runtime.submodules import import_alone

HEAVY = ["numba", "filterpy", "kornia", "torchvision", "facexlib.utils.misc"]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package whose every `__init__` fails unless the test allows it."""
    name = f"heavy_{tmp_path.name.replace('-', '_')}"
    for folder in (tmp_path / name, tmp_path / name / "part"):
        folder.mkdir()
        refuse = "import os\nif 'ALLOW' not in os.environ:\n    raise RuntimeError('heavy')\n"
        (folder / "__init__.py").write_text(refuse)
    (tmp_path / name / "part" / "one.py").write_text("from .two import TWO\nONE = TWO - 1\n")
    (tmp_path / name / "part" / "two.py").write_text("TWO = 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    return name


def loaded(name: str) -> list[str]:
    return sorted(one for one in sys.modules if one.partition(".")[0] == name)


def test_the_module_comes_without_its_packages(package: str) -> None:
    module = import_alone(f"{package}.part.one")
    assert module.ONE == 1
    assert import_alone(f"{package}.part.one") is module
    assert loaded(package) == []


def test_the_package_can_still_be_imported_whole(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = import_alone(f"{package}.part.one")
    monkeypatch.setenv("ALLOW", "1")
    whole = __import__(f"{package}.part.one")
    assert whole.part.one.ONE == 1 and whole.part.one is not alone
    assert import_alone(f"{package}.part.two") is whole.part.two
    for name in loaded(package):
        del sys.modules[name]


@pytest.mark.parametrize("name", ["no_such_package.part.one", "{}.other.one", "{}.part.three"])
def test_what_is_missing_is_said_and_nothing_is_left(package: str, name: str) -> None:
    with pytest.raises(ModuleNotFoundError, match="No module named"):
        import_alone(name.format(package))
    assert loaded(package) == []


RUNS: list[tuple[str, list[str]]] = [
    (
        "import numpy; from vidrestore import restore_image; "
        "restore_image(numpy.full((64, 64, 3), 90, numpy.uint8), model='debug', "
        "detector='embedded')",
        [],
    ),
    (
        "from vidrestore.models.parsing import build_parser; "
        "build_parser('ParseNet'); build_parser('BiSeNet', num_class=19)",
        [],
    ),
    (
        "from vidrestore.models.detectors.retinaface import build_retinaface; "
        "build_retinaface('mobile0.25')",
        ["torchvision"],
    ),
]
"""Code, and what is imported once it and all before it have run."""


def test_a_run_imports_no_heavy_package_that_it_does_not_use() -> None:
    look = f"import sys; print([m for m in {HEAVY} if m in sys.modules])"
    code = "\n".join(f"{run}; {look}" for run, _ in RUNS)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str(allowed) for _, allowed in RUNS]
