"""OpenVINO, on the CPU, in float32 or bfloat16.

What it compiles for a processor is kept beside the network's ONNX file, so that only the first run
on a machine compiles.
"""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vidrestore.errors import ModelError, UsageError
from vidrestore.models.restorers.prepare import Precision
from vidrestore.models.runners.backends import version_of
from vidrestore.models.runners.compiled_files import blob_folder
from vidrestore.models.runners.onnx_export import onnx_file_of
from vidrestore.models.runners.runner import Outputs, Part, RunnerFacts, check_inputs

__all__ = ["OpenVinoRunner"]

_HINTS = {"float32": "f32", "bfloat16": "bf16"}


class OpenVinoRunner:
    """A `Runner` around a network that OpenVINO compiled.

    Args:
        part: what is run, prepared in float32 on the CPU.
        precision: number format that it computes in.

    Raises:
        UsageError: for a number format that it does not compute in.
    """

    def __init__(self, part: Part, precision: Precision) -> None:
        if precision not in _HINTS:
            raise UsageError(f"backend openvino: computes in float32 or bfloat16, not {precision}")
        self._part = part
        self.facts = RunnerFacts("openvino", version_of("openvino"), precision)
        self._request = _compile(part.name, onnx_file_of(part), precision)
        self._turn = threading.Lock()

    def run(self, *inputs: Tensor) -> Outputs:
        """Compute the part; see `Runner`."""
        check_inputs(self._part, inputs)
        given = [one.contiguous().numpy() for one in inputs]
        with self._turn:
            try:
                made = self._request.infer(given, share_inputs=True)
            except RuntimeError as error:
                raise ModelError(f"{self._part.name}: OpenVINO failed ({_first(error)})") from error
            return tuple(map(torch.from_numpy, made.to_tuple()))


@cache
def _core() -> Any:
    import openvino

    return openvino.Core()


def _compile(name: str, path: Path, precision: Precision) -> Any:
    settings = {
        "CACHE_DIR": str(blob_folder()),
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": _HINTS[precision],
    }
    try:
        return _core().compile_model(str(path), "CPU", settings).create_infer_request()
    except Exception as error:
        raise ModelError(f"{name}: OpenVINO refuses {path} ({_first(error)})") from error


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1][:200]
