"""Import one module of a package without the rest of it.

Some packages import everything they hold, and all that it depends on, as soon as one of their
modules is asked for. `import_alone` skips the `__init__` files on the way to that module.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from importlib.machinery import PathFinder
from threading import RLock
from types import ModuleType

__all__ = ["import_alone"]

_LOCK = RLock()


@cache
def import_alone(name: str) -> ModuleType:
    """Import a module without running the `__init__` files of the packages that hold it.

    Empty packages stand in for them while the module is imported. They are taken away afterwards,
    with all modules of the package that came with it, so that a later `import` of the package is
    as complete as ever. Where the package has already been imported, its own module is returned.

    Args:
        name: dotted name, such as `package.part.module`.

    Raises:
        ModuleNotFoundError: if there is no such module or package.
    """
    with _LOCK:
        if name in sys.modules:
            return sys.modules[name]
        top = name.partition(".")[0]
        before = {other: sys.modules.pop(other) for other in _of_package(top)}
        try:
            for package in _packages(name):
                sys.modules[package] = _stand_in(package)
            return import_module(name)
        finally:
            for other in _of_package(top):
                del sys.modules[other]
            sys.modules.update(before)


def _of_package(top: str) -> list[str]:
    return [name for name in sys.modules if name == top or name.startswith(f"{top}.")]


def _packages(name: str) -> list[str]:
    """`a` and `a.b` for `a.b.c`."""
    parts = name.split(".")[:-1]
    return [".".join(parts[: count + 1]) for count in range(len(parts))]


def _stand_in(package: str) -> ModuleType:
    """An empty package whose modules can be imported."""
    parent = package.rpartition(".")[0]
    spec = PathFinder.find_spec(package, list(sys.modules[parent].__path__) if parent else None)
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    module = ModuleType(package)
    module.__path__ = list(spec.submodule_search_locations)
    module.__spec__ = spec
    return module
