"""From a model's name, or a weights file, to something that restores or detects.

    restorer = load_restorer("gfpgan-1.4", device="cuda")
    restored = restorer(crops)

A name is one of the zoo's (`vidrestore.models.zoo`), and is downloaded if it is not installed;
`auto` is the best one installed. A path names a `.pth`, `.pt` or `.safetensors` file, whose network
is recognised by its contents, or an `.onnx` file, which holds its network. What was taken is in the
adapter's `name`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from vidrestore.errors import UsageError, WeightsError
from vidrestore.models import zoo
from vidrestore.models.detectors.compact import CompactFaceDetector
from vidrestore.models.detectors.retinaface import RetinaFaceDetector, build_retinaface
from vidrestore.models.identify import identify
from vidrestore.models.interfaces import FaceDetector, FaceRestorer
from vidrestore.models.names import check_contract, resolve, split_arch
from vidrestore.models.nets.compact_detector import CompactDetector
from vidrestore.models.registry import build, check_hyperparameters, full_name, picture_size
from vidrestore.models.restorers.adapt import Channels
from vidrestore.models.restorers.debug import DebugRestorer
from vidrestore.models.restorers.network import NetworkRestorer
from vidrestore.models.restorers.onnx import load_onnx
from vidrestore.models.runners.backends import Backend, BackendChoice, default_backend
from vidrestore.models.runners.choices import choices_file, find_choice
from vidrestore.models.templates import NAMES_IN_FILES
from vidrestore.models.weights import store as weights
from vidrestore.models.weights.checkpoint import Checkpoint, Unfilled, fill, read
from vidrestore.models.weights.onnx_file import is_onnx
from vidrestore.models.zoo import ModelSpec, Task
from vidrestore.runtime.devices import check_device

__all__ = [
    "Precision",
    "choose_detector",
    "choose_restorer",
    "load_detector",
    "load_restorer",
    "outline_restorer",
    "peak_device_memory_mib",
    "resolve_device",
    "settle_backend",
    "weights_sha256",
]

Precision = Literal["auto", "float32", "bfloat16", "float16"]

_TEMPLATES = {
    "GFPGANv1Clean": "ffhq",
    "GFPGANv1": "ffhq",
    "GFPGANBilinear": "ffhq",
    "CompactUNet": "ffhq",
    "GPEN FullGenerator": "gpen",
}
"""The networks that restore, and the template of each one's crops where the file names none."""

_DETECTORS: dict[str, tuple[Callable[..., nn.Module], Callable[..., FaceDetector]]] = {
    "RetinaFace": (build_retinaface, RetinaFaceDetector),
    "CompactDetector": (CompactDetector, CompactFaceDetector),
}
"""The networks that detect: how each one is made and how it is called."""


def load_restorer(
    name: str | Path = zoo.AUTO,
    *,
    device: str | torch.device = "auto",
    precision: Precision = "auto",
    batch_size: int = 0,
    backend: BackendChoice = "auto",
    template: str | None = None,
    value_range: tuple[float, float] | None = None,
    channels: Channels | None = None,
    on_download: weights.OnDownload | None = None,
) -> FaceRestorer:
    """Load a face restorer.

    Args:
        name: a name of the zoo, "auto" for the best one installed, or the path of a weights file.
            Where the file fits two networks, `PATH#ARCH` says which.
        device: where to run; see `resolve_device`.
        precision: number format of the network; "auto" picks one for the device.
        batch_size: crops in every call of the network; 0 picks one for the device.
        backend: what computes the network; see `settle_backend`.
        template: of an ONNX file; see `load_onnx`.
        value_range: of an ONNX file.
        channels: of an ONNX file.
        on_download: told of a download; see `weights.OnDownload`.

    Raises:
        UnknownModelError: if there is no such name.
        UsageError: if an ONNX file's template or value range is not known, or one is given for
            another model.
        WeightsError: if the weights are missing, damaged, unsafe, or not a restorer's.
    """
    check_contract(name, template=template, value_range=value_range, channels=channels)
    where = resolve_device(device)
    backend = settle_backend(name, "restorer", backend, where)
    chosen = resolve(name, "restorer")
    if isinstance(chosen, Path) and is_onnx(path := split_arch(chosen)[0]):
        if precision not in ("auto", "float32"):
            raise UsageError(f"restore.precision {precision}: an ONNX file has its own; use auto")
        return load_onnx(
            path,
            template=template,
            value_range=value_range,
            channels=channels,
            batch_size=batch_size,
            device=where,
            backend=backend,
        )
    if isinstance(chosen, ModelSpec) and not chosen.needs_file:
        return DebugRestorer(batch_size=batch_size or 4)
    source = _open(chosen, on_download)
    if source.arch not in _TEMPLATES:
        raise source.error(f"a {source.arch}, which does not restore faces")
    return NetworkRestorer(
        source.network(build),
        name=source.name,
        size=source.crop_size,
        template=source.template,
        device=where,
        precision=precision,
        batch_size=batch_size,
        backend=_named(backend),
        original=lambda: _open(chosen, None).network(build),
    )


def load_detector(
    name: str | Path = zoo.AUTO,
    *,
    device: str | torch.device = "auto",
    backend: BackendChoice = "auto",
    on_download: weights.OnDownload | None = None,
) -> FaceDetector:
    """Load a face detector.

    Args:
        name: a name of the zoo, "auto" for the best one installed, or the path of a weights file.
        device: where to run; see `resolve_device`.
        backend: what computes the network; see `settle_backend`.
        on_download: told of a download; see `weights.OnDownload`.

    Raises:
        NotAvailableError: if the backend's packages are not installed.
        UnknownModelError: if there is no such name.
        UsageError: if the backend does not take the network, or does not compute on the device.
        WeightsError: if the weights are missing, damaged, unsafe, or not a detector's.
    """
    where = resolve_device(device)
    source = _open(resolve(name, "detector"), on_download)
    if source.arch not in _DETECTORS:
        raise source.error(f"a {source.arch}, which does not detect faces")
    make_network, make_detector = _DETECTORS[source.arch]
    network = source.network(lambda arch, **hyperparameters: make_network(**hyperparameters))
    settled = settle_backend(name, "detector", backend, where)
    detector = make_detector(network, device=where, backend=_named(settled))
    detector.name = source.name
    return detector


def settle_backend(
    name: str | Path, task: Task, asked: BackendChoice, device: torch.device
) -> BackendChoice:
    """What computes a network where "auto" is asked for.

    Args:
        name: as for `load_restorer` or `load_detector`.
        task: "restorer" or "detector".
        asked: a backend, which is the answer then, or "auto".
        device: where it will run.

    Returns:
        What `vidrestore bench --choose` found for these weights on this device, else the default of
        its kind; "auto" for what has no network.

    Raises:
        UsageError: if what was found before cannot be read.
    """
    if asked != "auto":
        return asked
    chosen = resolve(name, task)
    if isinstance(chosen, ModelSpec) and not chosen.needs_file:
        return "auto"
    if isinstance(chosen, Path) and is_onnx(split_arch(chosen)[0]):
        return "onnxruntime"
    found = None
    if choices_file().is_file() and (sha256 := weights_sha256(chosen)) is not None:
        found = find_choice(sha256, device)
    return found or default_backend(device.type)


def weights_sha256(chosen: ModelSpec | Path) -> str | None:
    """Checksum of a model's weights; None where they are not installed."""
    path = weights.path_of(chosen) if isinstance(chosen, ModelSpec) else split_arch(chosen)[0]
    if isinstance(chosen, ModelSpec) and chosen.sha256 is not None:
        return chosen.sha256
    return weights.sha256_of(path) if path.is_file() else None


def _named(backend: BackendChoice) -> Backend | None:
    return None if backend == "auto" else backend


def outline_restorer(name: str | Path) -> tuple[nn.Module, int]:
    """The network of a restorer without the values of its weights, and the side of its crops.

    Nothing is downloaded: the zoo says of a model that is not installed how it is built.

    Args:
        name: a name of the zoo, or the path of a weights file.

    Raises:
        UnknownModelError: if there is no such name.
        UsageError: if it has no network that can be outlined (an ONNX file, or no weights at all).
        WeightsError: if a file is missing, damaged, unsafe, or not a restorer's.
    """
    chosen = resolve(name, "restorer")
    if isinstance(chosen, ModelSpec):
        if not chosen.needs_file:
            raise UsageError(f"{name} has no network; take another model")
        if not chosen.embedded:
            with torch.device("meta"):
                network = build(chosen.arch, **chosen.hyperparameters)
            size = picture_size(chosen.arch, chosen.hyperparameters)
            return network, int(str(size[1])) if size else 512
    elif is_onnx(split_arch(chosen)[0]):
        raise UsageError(f"{name}: an ONNX file is not counted; name the weights it was made of")
    source = _open(chosen, None)
    if source.arch not in _TEMPLATES:
        raise source.error(f"a {source.arch}, which does not restore faces")
    return source.network(build).to("meta"), source.crop_size


def choose_restorer(name: str | Path = zoo.AUTO) -> str:
    """Say which model `load_restorer(name)` takes, and what has to be downloaded for it.

    Raises:
        UnknownModelError: if there is no such name.
        WeightsError: if there is no such file.
    """
    return _describe(resolve(name, "restorer"))


def choose_detector(name: str | Path = zoo.AUTO) -> str:
    """Say which model `load_detector(name)` takes; see `choose_restorer`."""
    return _describe(resolve(name, "detector"))


def _describe(chosen: ModelSpec | Path) -> str:
    if isinstance(chosen, Path):
        return str(split_arch(chosen)[0])
    if chosen.embedded or weights.is_installed(chosen):
        return chosen.name
    size = "" if chosen.bytes is None else f" of {chosen.bytes / 1e6:.1f} MB"
    return f"{chosen.name} (not installed: a download{size}; licence: {chosen.licence})"


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """Find the device to run on.

    Args:
        device: "auto" (the first GPU, else the CPU), or a torch device such as "cpu" or "cuda:1".

    Raises:
        UsageError: if there is no such device on this machine.
    """
    check_device(str(device))
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=device).device
    except Exception as error:  # Each kind of device that torch lacks has an error of its own.
        raise UsageError(f"device {device}: not on this machine; try 'auto' or 'cpu'") from error


def device_kind(device: torch.device) -> str:
    """What a device is: networks may round differently on another kind.

    Returns:
        A GPU's name; of a CPU, the instructions that torch uses, too, such as "cpu (AVX512)".
    """
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        return f"cpu ({torch.backends.cpu.get_cpu_capability()})"
    return device.type


def peak_device_memory_mib(device: torch.device) -> float:
    """Largest memory that this process's tensors took on a GPU so far, in MiB; 0 on the CPU."""
    return torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else 0.0


_MOST_CROP_PX = 2048
_SPARE_VALUES = 1 << 24
"""What a network may hold that its file need not: it computes such buffers itself."""


@dataclass(frozen=True, slots=True)
class _Source:
    """Weights that have been read, and the network that they are for."""

    name: str
    arch: str
    hyperparameters: Mapping[str, object]
    checkpoint: Checkpoint

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
            return _TEMPLATES[self.arch]
        known = {word: name for name, word in NAMES_IN_FILES.items()}
        if told not in known:
            raise self.error(
                f"says that its crops are aligned as {told!r}; known: {', '.join(known)}"
            )
        return known[told]

    def error(self, words: str) -> WeightsError:
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


def _open(chosen: ModelSpec | Path, on_download: weights.OnDownload | None) -> _Source:
    if isinstance(chosen, ModelSpec):
        return _from_zoo(chosen, on_download)
    path, arch = split_arch(chosen)
    if is_onnx(path):
        raise WeightsError(f"weights {path}: an ONNX file; only restorers are run from such")
    return _from_file(path, arch and full_name(arch))


def _from_zoo(spec: ModelSpec, on_download: weights.OnDownload | None) -> _Source:
    installed = spec.embedded or weights.path_of(spec).is_file()
    path = weights.ready(spec) if installed else weights.pull(spec, on_download=on_download)
    checkpoint = read(path, trusted=True)
    if spec.embedded:  # What ships may change; its files say what they are.
        return _Source(spec.name, *identify(checkpoint), checkpoint)
    return _Source(spec.name, spec.arch, spec.hyperparameters, checkpoint)


def _from_file(path: Path, arch: str | None) -> _Source:
    """Read a file that the user names; one of the zoo's is known by its checksum."""
    alike = [spec for spec in zoo.MODELS if spec.bytes == path.stat().st_size]
    found = weights.sha256_of(path) if alike else None
    for spec in alike:
        if spec.sha256 == found:
            return _Source(str(path), spec.arch, spec.hyperparameters, read(path, trusted=True))
    checkpoint = read(path)
    return _Source(str(path), *identify(checkpoint, arch=arch), checkpoint)
