"""What a user means by a model's name; nothing is read or loaded for it.

A name is one of the zoo's (`vidrestore.models.zoo`), `auto`, or the path of a weights file.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from vidrestore.config import RestoreStageConfig
from vidrestore.errors import UnknownModelError, UsageError, WeightsError, nearest
from vidrestore.models import zoo
from vidrestore.models.registry import ARCHITECTURES, full_name
from vidrestore.models.weights import store as weights
from vidrestore.models.weights.file_check import check_file
from vidrestore.models.weights.onnx_file import is_onnx, read_onnx
from vidrestore.models.zoo import ModelSpec, Task
from vidrestore.runtime.inputs import is_bare_name, require_file

__all__ = [
    "check_contract",
    "check_name",
    "check_restorer",
    "require_installed",
    "resolve",
    "split_arch",
]

logger = logging.getLogger(__name__)

_REQUIRED = {
    "template": "--model-template (restore.template: ffhq or gpen)",
    "value_range": "--model-range (restore.value_range: such as -1,1 or 0,1)",
}
"""What must be known of an ONNX file, and the option that says it."""

_WEIGHTS_ENDINGS = (".pth", ".pt", ".safetensors", ".ckpt", ".onnx")


def resolve(name: str | Path, task: Task) -> ModelSpec | Path:
    """Find what a user means by a model's name.

    Args:
        name: as for `vidrestore.models.load.load_restorer`.
        task: what the model is to do.

    Returns:
        A row of the zoo, or the path of a weights file, which may not exist.

    Raises:
        UnknownModelError: if it is neither; the message suggests the nearest names.
    """
    if name == zoo.AUTO:
        return _best_installed(task)
    known = {spec.name for spec in zoo.MODELS}
    if isinstance(name, Path) or (name not in known and _looks_like_path(name)):
        return Path(os.path.expanduser(name))
    return zoo.find(name, task)[0]


def check_name(name: str | Path, task: Task) -> None:
    """Refuse a name that no model has, and weights that cannot be used, without torch.

    Raises:
        UnknownModelError: it is no name.
        WeightsError: it is the path of nothing, or of what is no weights file, or the installed
            file is not the right one.
    """
    if name == zoo.AUTO:
        return
    chosen = resolve(name, task)
    if isinstance(chosen, Path):
        path, arch = split_arch(chosen)
        if arch and full_name(arch) not in ARCHITECTURES:
            hint = nearest(arch, ARCHITECTURES) or f"; known: {', '.join(ARCHITECTURES)}"
            raise UnknownModelError(f"model {name}: unknown architecture {arch!r}{hint}")
        if all(spec.bytes != path.stat().st_size for spec in zoo.MODELS):
            check_file(path)  # One of the zoo's is told by its checksum.
    elif not chosen.embedded and weights.path_of(chosen).is_file():
        weights.ready(chosen)


def check_restorer(stage: RestoreStageConfig) -> None:
    """Refuse a restorer that is not there, and options that do not fit it.

    Raises:
        UnknownModelError: its name is no name.
        UsageError: see `check_contract`.
        WeightsError: it is the path of nothing, of something that is no file, or of a damaged ONNX
            file.
    """
    check_name(stage.model, "restorer")
    check_contract(
        stage.model,
        template=stage.template,
        value_range=stage.value_range,
        channels=stage.channels,
    )


def check_contract(name: str | Path, **contract: object) -> None:
    """Refuse an ONNX file's contract that is not known, and one for a model that knows its own.

    Args:
        name: as for `vidrestore.models.load.load_restorer`; it exists.
        **contract: `template`, `value_range` and `channels` as they were given, or None.

    Raises:
        UsageError: something is given for a model of another kind, or is missing.
        WeightsError: the ONNX file is damaged.
    """
    chosen = None if name == zoo.AUTO else resolve(name, "restorer")
    if isinstance(chosen, Path) and is_onnx(split_arch(chosen)[0]):
        known = read_onnx(split_arch(chosen)[0]).metadata
        missing = [part for part in _REQUIRED if contract[part] is None and part not in known]
        if missing:
            needed = " and ".join(_REQUIRED[part] for part in missing)
            raise UsageError(f"model {name}: the file does not say all about itself; add {needed}")
        return
    for part, value in contract.items():
        if value is not None:
            raise UsageError(
                f"restore.{part}: is for ONNX files; the model {str(name)!r} knows its own"
            )


def require_installed(name: str | Path, task: Task) -> None:
    """Refuse a model that is not on this machine; nothing is downloaded.

    Raises:
        UnknownModelError: it is no name.
        WeightsError: it is not installed, or is the path of no file.
    """
    chosen = resolve(name, task)
    if isinstance(chosen, Path):
        split_arch(chosen)
    else:
        weights.ready(chosen)


def split_arch(path: Path) -> tuple[Path, str | None]:
    """Split `PATH#ARCH`, unless a file bears just that name; the file must exist.

    Raises:
        WeightsError: it does not, or is no file.
    """
    if os.path.isfile(path):
        return path, None
    bare, arch = _without_arch(str(path))
    require_file(Path(bare), f"weights {bare}", WeightsError)
    return Path(bare), arch or None


def _without_arch(name: str) -> tuple[str, str]:
    """Cut `#ARCH` off; a `#` in the name of a folder is no such mark."""
    bare, mark, arch = name.rpartition("#")
    return (bare, arch) if mark and (not arch or is_bare_name(arch)) else (name, "")


def _best_installed(task: Task) -> ModelSpec:
    rows = [zoo.find(name, task)[0] for name in zoo.AUTO_ORDER[task]]
    best = next((spec for spec in rows if weights.is_installed(spec)), rows[-1])
    logger.info("%s 'auto': taking %s, the best one installed", task, best.name)
    return best


def _looks_like_path(name: str) -> bool:
    bare = _without_arch(name)[0]
    return (
        not is_bare_name(bare)
        or Path(bare).suffix.lower() in _WEIGHTS_ENDINGS
        or os.path.isfile(os.path.expanduser(bare))
    )
