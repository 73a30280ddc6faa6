"""From a model's name, or a weights file, to something that restores or detects.

    restorer = load_restorer("gfpgan-1.4", device="cuda")
    restored = restorer(crops)

A name is one of the zoo's (`vidrestore.models.zoo`), and is downloaded if it is not installed;
`auto` is the best one installed. A path names a `.pth`, `.pt` or `.safetensors` file, whose network
is recognised by its contents, or an `.onnx` file, which holds its network. What was taken is in the
adapter's `name`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from vidrestore.errors import UsageError
from vidrestore.models import zoo
from vidrestore.models.detectors.compact import CompactFaceDetector
from vidrestore.models.detectors.retinaface import RetinaFaceDetector, build_retinaface
from vidrestore.models.interfaces import FaceDetector, FaceRestorer
from vidrestore.models.names import check_contract, resolve, split_arch
from vidrestore.models.nets.compact_detector import CompactDetector
from vidrestore.models.opened_weights import TEMPLATES, open_weights
from vidrestore.models.registry import build, picture_size
from vidrestore.models.restorers.adapt import Channels
from vidrestore.models.restorers.debug import DebugRestorer
from vidrestore.models.restorers.network import NetworkRestorer
from vidrestore.models.restorers.onnx import load_onnx
from vidrestore.models.runners.backends import Backend, BackendChoice, default_backend
from vidrestore.models.runners.choices import choices_file, find_choice
from vidrestore.models.weights import store as weights
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
    source = open_weights(chosen, on_download)
    if source.arch not in TEMPLATES:
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
        original=lambda: open_weights(chosen, None).network(build),
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
    source = open_weights(resolve(name, "detector"), on_download)
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
    source = open_weights(chosen, None)
    if source.arch not in TEMPLATES:
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
