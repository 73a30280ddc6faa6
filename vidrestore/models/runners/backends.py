"""The backends by name, and what can be said of them without importing any.

The default is fixed per kind of device, so that two machines of a kind compute the same; what
`vidrestore bench --choose` measured on a machine comes first (`vidrestore.models.runners.choices`).
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Literal, get_args

from vidrestore.errors import UsageError
from vidrestore.runtime.extras import require_extra

__all__ = [
    "BACKENDS",
    "Backend",
    "BackendChoice",
    "default_backend",
    "is_onnx_backend",
    "require_backend",
    "version_of",
]

Backend = Literal["eager", "compiled", "cuda_graph", "onnxruntime", "openvino"]

BackendChoice = Literal["auto", "eager", "compiled", "cuda_graph", "onnxruntime", "openvino"]
"""What may be asked for; "auto" takes what was measured on this machine, else the default."""

BACKENDS: tuple[Backend, ...] = get_args(Backend)

_DEFAULTS: dict[str, Backend] = {"cuda": "cuda_graph"}
"""By kind of device; all others compute eagerly."""

_DISTRIBUTIONS = {"onnxruntime": "onnxruntime", "openvino": "openvino"}
"""Those of backends that are not torch's."""

_EXPORT_PACKAGES = ("onnx", "onnxscript")
"""What writes one of our networks as ONNX."""


def default_backend(device_kind: str) -> Backend:
    """The backend of a kind of device ("cpu", "cuda", …) on which nothing was measured."""
    return _DEFAULTS.get(device_kind, "eager")


def is_onnx_backend(backend: Backend) -> bool:
    """Whether a backend takes networks as ONNX."""
    return backend in _DISTRIBUTIONS


def require_backend(backend: BackendChoice, device_kind: str) -> None:
    """Refuse a backend that cannot run here.

    Args:
        backend: as it was asked for.
        device_kind: "cpu", "cuda", …; "auto" where that is not known yet.

    Raises:
        NotAvailableError: its packages are not installed.
        UsageError: it does not compute on that kind of device.
    """
    if backend == "cuda_graph" and device_kind not in ("cuda", "auto"):
        raise UsageError(f"backend cuda_graph: computes on cuda only, not on {device_kind}")
    if backend in _DISTRIBUTIONS:
        if device_kind not in ("cpu", "auto"):
            raise UsageError(f"backend {backend}: computes on the CPU only; add --device cpu")
        for package in (_DISTRIBUTIONS[backend], *_EXPORT_PACKAGES):
            require_extra(package, "cpu")


def version_of(backend: Backend) -> str:
    """Version of the package that computes; "" where it is not installed."""
    try:
        return version(_DISTRIBUTIONS.get(backend, "torch"))
    except PackageNotFoundError:
        return ""
