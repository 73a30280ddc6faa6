"""What a user means by a model's name; nothing is read or loaded for it.

A name is one of the zoo's (`vidrestore.models.zoo`), `auto`, or the path of a weights file.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from vidrestore.errors import WeightsError
from vidrestore.models import zoo
from vidrestore.models.weights import store as weights
from vidrestore.models.zoo import ModelSpec, Task
from vidrestore.runtime.inputs import require_file

__all__ = ["check_name", "require_installed", "resolve", "split_arch"]

logger = logging.getLogger(__name__)

_WEIGHTS_ENDINGS = (".pth", ".pt", ".safetensors", ".ckpt")


def resolve(name: str | Path, task: Task) -> ModelSpec | Path:
    """Find what a user means by a model's name.

    Args:
        name: As for `vidrestore.models.load.load_restorer`.
        task: What the model is to do.

    Returns:
        A row of the zoo, or the path of a weights file, which may not exist.

    Raises:
        UnknownModelError: If it is neither; the message suggests the nearest names.
    """
    if name == zoo.AUTO:
        return _best_installed(task)
    known = {spec.name for spec in zoo.MODELS}
    if isinstance(name, Path) or (name not in known and _looks_like_path(name)):
        return Path(os.path.expanduser(name))
    return zoo.find(name, task)[0]


def check_name(name: str | Path, task: Task) -> None:
    """Refuse a name that no model has, and a weights file that is not there.

    Raises:
        UnknownModelError: It is no name.
        WeightsError: It is the path of nothing, or of something that is no file.
    """
    chosen = zoo.AUTO if name == zoo.AUTO else resolve(name, task)
    if isinstance(chosen, Path):
        split_arch(chosen)


def require_installed(name: str | Path, task: Task) -> None:
    """Refuse a model that is not on this machine; nothing is downloaded.

    Raises:
        UnknownModelError: It is no name.
        WeightsError: It is not installed, or is the path of no file.
    """
    chosen = resolve(name, task)
    if isinstance(chosen, Path):
        split_arch(chosen)
    else:
        weights.ready(chosen)


def split_arch(path: Path) -> tuple[Path, str | None]:
    """Split `PATH#ARCH`, unless a file bears just that name; the file must exist.

    Raises:
        WeightsError: It does not, or is no file.
    """
    bare, _, arch = str(path).partition("#")
    if os.path.isfile(path):
        return path, None
    require_file(Path(bare), f"weights {bare}", WeightsError)
    return Path(bare), arch or None


def _best_installed(task: Task) -> ModelSpec:
    rows = [zoo.find(name, task)[0] for name in zoo.AUTO_ORDER[task]]
    best = next((spec for spec in rows if weights.is_installed(spec)), rows[-1])
    logger.info("%s 'auto': taking %s, the best one installed", task, best.name)
    return best


def _looks_like_path(name: str) -> bool:
    path = Path(name.partition("#")[0])
    separated = any(mark in name for mark in (os.sep, os.altsep) if mark)
    return separated or path.suffix in _WEIGHTS_ENDINGS or os.path.isfile(os.path.expanduser(name))
