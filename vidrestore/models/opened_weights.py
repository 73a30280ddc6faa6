"""Weights that have been read, of the zoo or of a file, and the network that they are for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from vidrestore.errors import WeightsError
from vidrestore.models import zoo
from vidrestore.models.identify import identify
from vidrestore.models.names import split_arch
from vidrestore.models.registry import check_hyperparameters, full_name
from vidrestore.models.templates import NAMES_IN_FILES
from vidrestore.models.weights import store as weights
from vidrestore.models.weights.checkpoint import Checkpoint, Unfilled, fill, read
from vidrestore.models.weights.onnx_file import is_onnx
from vidrestore.models.zoo import ModelSpec

__all__ = ["TEMPLATES", "OpenedWeights", "open_weights"]

TEMPLATES = {
    "GFPGANv1Clean": "ffhq",
    "GFPGANv1": "ffhq",
    "GFPGANBilinear": "ffhq",
    "CompactUNet": "ffhq",
    "GPEN FullGenerator": "gpen",
}
"""The networks that restore, and the template of each one's crops where the file names none."""

_MOST_CROP_PX = 2048
_SPARE_VALUES = 1 << 24
"""What a network may hold that its file need not: it computes such buffers itself."""


@dataclass(frozen=True, slots=True)
class OpenedWeights:
    """Weights that have been read, and the network that they are for."""

    name: str
    """What it is, for reports: a name of the zoo or the path of a weights file."""
    arch: str
    """Name of the network, as `vidrestore.models.build` knows it."""
    hyperparameters: Mapping[str, object]
    """Keyword arguments of the network."""
    checkpoint: Checkpoint
    """The tensors, and what the file says of itself."""

    @property
    def crop_size(self) -> int:
        """Side of the crops in pixels; where a network takes any, the file says which it learnt."""
        told = {**self.checkpoint.metadata, **self.hyperparameters}
        size = str(told.get("out_size", told.get("size", "512")))
        if not size.isdecimal() or len(size) > 4 or not 16 <= int(size) <= _MOST_CROP_PX:
            raise self.error(
                f"says that its crops are {size[:20]} pixels wide; 16 to {_MOST_CROP_PX} can be"
            )
        return int(size)

    @property
    def template(self) -> str:
        """Alignment of the crops: what the file says, else what is usual for the network."""
        told = self.checkpoint.metadata.get("template")
        if told is None:
            return TEMPLATES[self.arch]
        known = {word: name for name, word in NAMES_IN_FILES.items()}
        if told not in known:
            raise self.error(
                f"says that its crops are aligned as {told!r}; known: {', '.join(known)}"
            )
        return known[told]

    def error(self, words: str) -> WeightsError:
        """An error that names the file."""
        return WeightsError(f"weights {self.checkpoint.path}: {words}")

    def network(self, make: Callable[..., nn.Module]) -> nn.Module:
        """The network with its weights; `make` takes its name and hyper-parameters."""
        try:
            check_hyperparameters(self.hyperparameters)
            with Unfilled(self.checkpoint.path.stat().st_size + _SPARE_VALUES):
                module = make(self.arch, **self.hyperparameters)
        except Exception as error:  # Numbers without sense can fail in any way.
            words = str(error).splitlines() or [type(error).__name__]
            raise self.error(
                f"no {self.arch} can be built as it asks ({words[0][:160]})"
            ) from error
        fill(module, self.checkpoint, arch=self.arch)
        return module


def open_weights(chosen: ModelSpec | Path, on_download: weights.OnDownload | None) -> OpenedWeights:
    """Read the weights of a model, which are downloaded where they are not installed.

    Args:
        chosen: a row of the zoo, or a file as `PATH` or `PATH#ARCH`.
        on_download: told of a download; see `weights.OnDownload`.

    Raises:
        WeightsError: they are missing, damaged, unsafe, or of no network that is known.
    """
    if isinstance(chosen, ModelSpec):
        return _from_zoo(chosen, on_download)
    path, arch = split_arch(chosen)
    if is_onnx(path):
        raise WeightsError(f"weights {path}: an ONNX file; only restorers are run from such")
    return _from_file(path, arch and full_name(arch))


def _from_zoo(spec: ModelSpec, on_download: weights.OnDownload | None) -> OpenedWeights:
    installed = spec.embedded or weights.path_of(spec).is_file()
    path = weights.ready(spec) if installed else weights.pull(spec, on_download=on_download)
    checkpoint = read(path, trusted=True)
    if spec.embedded:  # What ships may change; its files say what they are.
        return OpenedWeights(spec.name, *identify(checkpoint), checkpoint)
    return OpenedWeights(spec.name, spec.arch, spec.hyperparameters, checkpoint)


def _from_file(path: Path, arch: str | None) -> OpenedWeights:
    """Read a file that the user names; one of the zoo's is known by its checksum."""
    alike = [spec for spec in zoo.MODELS if spec.bytes == path.stat().st_size]
    found = weights.sha256_of(path) if alike else None
    for spec in alike:
        if spec.sha256 == found:
            return OpenedWeights(
                str(path), spec.arch, spec.hyperparameters, read(path, trusted=True)
            )
    checkpoint = read(path)
    return OpenedWeights(str(path), *identify(checkpoint, arch=arch), checkpoint)
