"""From a part of a network and the name of a backend to a `Runner`."""

from __future__ import annotations

import torch

from vidrestore.models.restorers.prepare import Precision
from vidrestore.models.runners.backends import Backend, require_backend
from vidrestore.models.runners.runner import Part, Runner

__all__ = ["make_runner"]


def make_runner(
    part: Part, *, backend: Backend, device: torch.device, precision: Precision
) -> Runner:
    """Make what computes a part.

    Args:
        part: on the device and in the number format; for a backend that takes ONNX, in float32.
        backend: what computes it.
        device: where.
        precision: number format.

    Raises:
        ModelError: the backend does not take the part.
        NotAvailableError: the backend's packages are not installed.
        UsageError: the backend does not compute on the device, or not in the format.
    """
    require_backend(backend, device.type)
    match backend:
        case "eager":
            from vidrestore.models.runners.eager import EagerRunner

            return EagerRunner(part, device, precision)
        case "compiled":
            from vidrestore.models.runners.compiled import CompiledRunner

            return CompiledRunner(part, device, precision)
        case "cuda_graph":
            from vidrestore.models.runners.cuda_graph import CudaGraphRunner

            return CudaGraphRunner(part, device, precision)
        case "onnxruntime":
            from vidrestore.models.runners.onnx_runtime import OnnxRuntimeRunner

            return OnnxRuntimeRunner(part)
        case "openvino":
            from vidrestore.models.runners.openvino_runtime import OpenVinoRunner

            return OpenVinoRunner(part, precision)
