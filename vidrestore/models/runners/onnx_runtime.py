"""ONNX Runtime, on the CPU, in float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vidrestore.errors import ModelError
from vidrestore.models.runners.backends import version_of
from vidrestore.models.runners.onnx_export import onnx_file_of
from vidrestore.models.runners.runner import Outputs, Part, RunnerFacts, check_inputs

__all__ = ["OnnxRuntimeRunner"]


class OnnxRuntimeRunner:
    """A `Runner` around a session of ONNX Runtime.

    Args:
        part: what is run, prepared in float32 on the CPU.
    """

    def __init__(self, part: Part) -> None:
        self._part = part
        self.facts = RunnerFacts("onnxruntime", version_of("onnxruntime"), "float32")
        self._session = _open(part.name, onnx_file_of(part))
        self._names = [one.name for one in self._session.get_inputs()]

    def run(self, *inputs: Tensor) -> Outputs:
        """Compute the part; see `Runner`."""
        check_inputs(self._part, inputs)
        given = dict(zip(self._names, (one.contiguous().numpy() for one in inputs), strict=True))
        try:
            return tuple(map(torch.from_numpy, self._session.run(None, given)))
        except Exception as error:  # Its errors have no common base.
            raise ModelError(f"{self._part.name}: ONNX Runtime failed ({_first(error)})") from error


def _open(name: str, path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelError(f"{name}: ONNX Runtime refuses {path} ({_first(error)})") from error


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
