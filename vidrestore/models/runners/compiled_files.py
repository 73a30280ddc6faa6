"""Networks as other programs want them, kept on disk: written in the first run, read in later ones.

Files lie in `VIDRESTORE_HOME/compiled`, else in the platform's cache directory, in a folder for
each part of a network. A file's name is a checksum of all that it was made of: weights, the source
of our networks, versions. A new one takes the place of those before.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import version
from pathlib import Path

import platformdirs
import torch
from torch import Tensor, nn

from vidrestore.errors import ModelError
from vidrestore.runtime.durable import publish, temporary_beside

__all__ = ["blob_folder", "compiled_folder", "kept_file", "part_key"]

logger = logging.getLogger(__name__)

_NETWORK_SOURCES = ("nets", "layers", "restorers", "detectors", "runners")


def compiled_folder() -> Path:
    """The folder of these files; it may not exist yet."""
    home = os.environ.get("VIDRESTORE_HOME")
    base = Path(home).expanduser() if home else platformdirs.user_cache_path("vidrestore", False)
    return base / "compiled"


def blob_folder() -> Path:
    """The folder in which OpenVINO keeps what it compiled."""
    return compiled_folder() / "openvino"


def part_key(module: nn.Module, examples: Iterable[Tensor]) -> str:
    """Checksum of all that a part's file is made of."""
    digest = hashlib.sha256(_sources())
    for package in ("torch", "onnx", "onnxscript"):
        digest.update(f"{package} {version(package)}\n".encode())
    for example in examples:
        digest.update(f"{tuple(example.shape)} {example.dtype}\n".encode())
    digest.update(repr(module).encode())
    for name, value in [*module.named_parameters(), *module.named_buffers()]:
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}\n".encode())
        digest.update(value.detach().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:32]


def kept_file(name: str, key: str, write: Callable[[Path], None]) -> Path:
    """The file of a part, written if it is not there.

    Args:
        name: of the part; others of that name are removed once this one is there.
        key: see `part_key`.
        write: writes the file under the name it is given.

    Raises:
        ModelError: the folder cannot be written.
    """
    plain = "".join(one if one.isalnum() or one in "-._" else "_" for one in name)
    path = compiled_folder() / plain[-80:] / f"{key}.onnx"
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_beside(path)
        try:
            write(temporary)
            publish(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        for other in path.parent.glob("*.onnx"):
            if other != path:
                other.unlink(missing_ok=True)
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be written ({error.strerror or error}); set VIDRESTORE_HOME to a "
            "folder that can, or choose the backend eager"
        ) from error
    logger.info("%s: written as ONNX, once", name)
    return path


@cache
def _sources() -> bytes:
    """Checksum of the source of all networks and of what prepares them."""
    models, digest = Path(__file__).parents[1], hashlib.sha256()
    for folder in _NETWORK_SOURCES:
        for path in sorted((models / folder).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.digest()
