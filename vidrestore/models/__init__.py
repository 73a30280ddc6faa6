"""Networks, their weights, and what turns them into restorers and detectors."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vidrestore.models.load import load_detector, load_restorer
    from vidrestore.models.registry import build
    from vidrestore.models.restorers.adapt import adapt_restorer
    from vidrestore.models.restorers.onnx import load_onnx

__all__ = ["adapt_restorer", "build", "load_detector", "load_onnx", "load_restorer"]

_HOMES = {
    "adapt_restorer": "vidrestore.models.restorers.adapt",
    "build": "vidrestore.models.registry",
    "load_detector": "vidrestore.models.load",
    "load_onnx": "vidrestore.models.restorers.onnx",
    "load_restorer": "vidrestore.models.load",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
