"""From an ONNX file to a `FaceRestorer`, through ONNX Runtime.

    restorer = load_onnx("my.onnx", template="ffhq", value_range=(-1, 1))

The file's metadata may say `size`, `template`, `value_range` ("-1,1"), and `channels` ("rgb"), as
`vidrestore export` writes them; what is given wins over it. The network takes one batch of pictures
(N, 3, S, S) of float32 or float16, N fixed or free, and its first output is the restored batch.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidrestore.errors import ModelError, UsageError, WeightsError
from vidrestore.models.interfaces import FaceRestorer
from vidrestore.models.restorers.adapt import Channels, adapt_restorer
from vidrestore.models.restorers.prepare import Precision
from vidrestore.models.runners.backends import BackendChoice, version_of
from vidrestore.models.runners.runner import RunnerFacts
from vidrestore.models.weights.onnx_file import OnnxFile, read_onnx
from vidrestore.runtime.extras import require_extra

__all__ = ["load_onnx"]

logger = logging.getLogger(__name__)

_FORMATS: dict[str, npt.DTypeLike] = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
"""The number formats of inputs and outputs that are taken."""


def load_onnx(
    path: str | Path,
    *,
    template: str | npt.ArrayLike | None = None,
    value_range: tuple[float, float] | None = None,
    channels: Channels | None = None,
    size: int | None = None,
    batch_size: int = 0,
    device: torch.device | str = "cpu",
    backend: BackendChoice = "auto",
) -> FaceRestorer:
    """Load a face restorer from an ONNX file.

    Args:
        path: the file.
        template: see `adapt_restorer`; None for what the file says.
        value_range: see `adapt_restorer`; None for what the file says.
        channels: see `adapt_restorer`; None for what the file says, or RGB.
        size: side of the crops in pixels; None for what the file says.
        batch_size: crops in every call; 0 for the number that the network takes, or one.
        device: where ONNX Runtime computes.
        backend: "auto" or "onnxruntime": ONNX files are run by ONNX Runtime.

    Raises:
        ModelError: an argument, or what the file says of itself, is nothing that a network has.
        NotAvailableError: ONNX Runtime is not installed.
        UsageError: neither the file nor the caller says the template or the value range, the
            network takes another batch size, or another backend is asked for.
        WeightsError: the file is missing or damaged, or its network restores no crops.
    """
    if backend not in ("auto", "onnxruntime"):
        raise UsageError(
            f"restore.backend {backend}: the ONNX file {path} is run by onnxruntime; use auto"
        )
    file = read_onnx(Path(path))
    network = _OnnxNetwork(file, torch.device(device))
    told = file.metadata
    template = told.get("template") if template is None else template
    if value_range is None and "value_range" in told:
        value_range = _range_of(file)
    if template is None or value_range is None:
        raise UsageError(f"model {path}: give its template and value_range; the file does not")
    try:
        return adapt_restorer(
            network,
            size=_size(network, file, size),
            template=template,
            value_range=value_range,
            channels=channels or told.get("channels", "rgb"),  # type: ignore[arg-type]
            batch_size=_batch_size(network, file, batch_size),
            name=str(path),
        )
    except WeightsError:
        raise
    except ModelError as error:
        raise WeightsError(f"weights {path}: {error}") from error


class _OnnxNetwork:
    """An ONNX file that is called like a network: pictures in, pictures out.

    Args:
        file: the file.
        device: where ONNX Runtime computes; the pictures are on the CPU.
    """

    def __init__(self, file: OnnxFile, device: torch.device) -> None:
        self._path = file.path
        self._session = _open_session(file.path, device)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1:
            names = ", ".join(one.name for one in inputs)[:160]
            raise self._error(f"takes {len(inputs)} inputs ({names}); one batch of pictures")
        self._input, self._output = inputs[0], outputs[0]
        self.batch_size, self.size = self._checked(self._input, "takes")
        self._checked(self._output, "gives")
        self._format = _FORMATS[self._input.type]
        precision: Precision = "float16" if self._format == np.float16 else "float32"
        self.facts = RunnerFacts("onnxruntime", version_of("onnxruntime"), precision)

    def __call__(self, x: Tensor) -> Tensor:
        """Run the network on (N, 3, S, S) float32; gives the format of the file."""
        given = {self._input.name: x.numpy().astype(self._format, copy=False)}
        return torch.from_numpy(self._session.run([self._output.name], given)[0])

    def _checked(self, port: Any, does: str) -> tuple[int | None, int | None]:
        """Batch size and side of the pictures that an input or output has, None where any.

        Raises:
            WeightsError: it is no batch of pictures.
        """
        shape, kind = list(port.shape), port.type
        described = f"{does} {kind} of shape {shape}"
        if kind not in _FORMATS:
            raise self._error(f"{described}; float32 or float16")
        sides = {side for side in shape[2:] if isinstance(side, int)}
        # An output's shape may be unknown ([]); what comes is looked at in every call.
        unknown = does == "gives" and not shape
        is_batch = len(shape) == 4 and (shape[1] == 3 or not isinstance(shape[1], int))
        if not unknown and (not is_batch or len(sides) > 1):
            raise self._error(f"{described}; pictures (N, 3, S, S)")
        batch = shape[0] if shape and isinstance(shape[0], int) else None
        return batch, next(iter(sides), None)

    def _error(self, words: str) -> WeightsError:
        return WeightsError(f"weights {self._path}: {words} are expected of a restorer")


def _open_session(path: Path, device: torch.device) -> Any:
    require_extra("onnxruntime", "onnx")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=_providers(device))
    except Exception as error:  # A damaged file can fail in any way.
        words = str(error).strip().splitlines() or [type(error).__name__]
        raise WeightsError(f"weights {path}: ONNX Runtime refuses it ({words[0][:200]})") from error
    if device.type != "cpu" and session.get_providers()[0] == "CPUExecutionProvider":
        logger.warning(
            "%s: runs on the CPU, because the installed ONNX Runtime does not compute on %s",
            path,
            device,
        )
    return session


def _providers(device: torch.device) -> list[Any]:
    import onnxruntime

    own: list[Any] = []
    if device.type == "cuda" and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        own = [("CUDAExecutionProvider", {"device_id": device.index or 0})]
    return [*own, "CPUExecutionProvider"]


def _range_of(file: OnnxFile) -> tuple[float, float]:
    text = file.metadata["value_range"]
    try:
        low, high = map(float, text.split(","))
    except ValueError as error:
        raise WeightsError(
            f"weights {file.path}: says that its value range is {text[:40]!r}; "
            "two numbers are expected, such as '-1,1'"
        ) from error
    return low, high


def _size(network: _OnnxNetwork, file: OnnxFile, asked: int | None) -> int:
    """Side of the crops: the network's own, what is asked, or what the file says.

    Raises:
        WeightsError: none of them says it, or two of them differ.
    """
    told = file.metadata.get("size", "")
    size = asked or network.size or (int(told) if told.isdecimal() and len(told) < 6 else None)
    if size is None:
        raise WeightsError(
            f"weights {file.path}: neither its input nor its metadata says how large its crops "
            "are; export it with a fixed size"
        )
    if network.size not in (None, size):
        raise WeightsError(f"weights {file.path}: takes crops of {network.size} pixels, not {size}")
    return size


def _batch_size(network: _OnnxNetwork, file: OnnxFile, asked: int) -> int:
    if asked and network.batch_size not in (None, asked):
        raise UsageError(
            f"restore.batch_size {asked}: {file.path} takes {network.batch_size} at once; "
            "leave it at 0"
        )
    return asked or network.batch_size or 0
