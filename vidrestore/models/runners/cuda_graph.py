"""CUDA graphs: all kernels of a network are launched at once, without the host between them.

A graph is captured for each shape of the inputs, with buffers of its own that stay where they
are: inputs are copied in, the graph is replayed, outputs are copied out. Graphs share one pool of
memory, as they take turns.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from vidrestore.errors import ModelError, VidRestoreError
from vidrestore.models.restorers.prepare import Precision
from vidrestore.models.runners.backends import version_of
from vidrestore.models.runners.eager import call_part
from vidrestore.models.runners.runner import (
    Outputs,
    Part,
    RunnerFacts,
    check_inputs,
    reproducible,
)

__all__ = ["MOST_GRAPHS", "CudaGraphRunner"]

MOST_GRAPHS = 8
"""Graphs kept for one part; the one that was not used for longest makes room for another."""

_WARM_UPS = 3
"""Calls before the capture: libraries choose kernels and take their workspaces in the first."""

_Key = tuple[tuple[torch.Size, torch.dtype], ...]


class CudaGraphRunner:
    """A `Runner` that replays a graph for each shape.

    Args:
        part: what is run; its module is on the device, and never waits for it.
        device: where it is.
        precision: number format it was prepared in.
    """

    def __init__(self, part: Part, device: torch.device, precision: Precision) -> None:
        self._part, self._device = part, device
        self.facts = RunnerFacts("cuda_graph", version_of("cuda_graph"), precision)
        self._graphs: OrderedDict[_Key, _Graph] = OrderedDict()
        self._pool: Any = None
        self._turn = threading.Lock()
        self._order = _StreamOrder(device)

    def run(self, *inputs: Tensor) -> Outputs:
        """Compute the part; see `Runner`."""
        check_inputs(self._part, inputs)
        key = tuple((one.shape, one.dtype) for one in inputs)
        with self._turn, torch.inference_mode():
            graph = self._graphs.get(key)
            if graph is None:
                graph = self._graphs[key] = self._captured(inputs)
                if len(self._graphs) > MOST_GRAPHS:
                    self._graphs.popitem(last=False)
            self._graphs.move_to_end(key)
            with self._order:
                return graph.run(inputs)

    def _captured(self, inputs: tuple[Tensor, ...]) -> _Graph:
        buffers = tuple(one.clone() for one in inputs)
        try:
            with reproducible(self._device):
                replay, outputs, self._pool = capture(
                    lambda: call_part(self._part, buffers), self._device, self._pool
                )
        except (torch.OutOfMemoryError, VidRestoreError):
            raise
        except RuntimeError as error:
            words = str(error).strip().splitlines() or [type(error).__name__]
            raise ModelError(
                f"{self._part.name}: cannot be captured as a CUDA graph ({words[0][:160]}); "
                "choose the backend eager"
            ) from error
        return _Graph(buffers, outputs, replay)


class _Graph:
    """A captured graph with its buffers."""

    def __init__(self, inputs: Outputs, outputs: Outputs, replay: Callable[[], None]) -> None:
        self._inputs, self._outputs, self._replay = inputs, outputs, replay

    def run(self, inputs: tuple[Tensor, ...]) -> Outputs:
        """Copy in, replay, copy out."""
        for buffer, given in zip(self._inputs, inputs, strict=True):
            buffer.copy_(given, non_blocking=True)
        self._replay()
        return tuple(one.clone() for one in self._outputs)


def capture(
    function: Callable[[], Outputs], device: torch.device, pool: Any
) -> tuple[Callable[[], None], Outputs, Any]:
    """Capture what a function launches.

    Args:
        function: reads and writes the same memory in every call.
        device: a GPU.
        pool: memory of the graphs captured before, or None.

    Returns:
        What replays it, the outputs that each replay fills, and the pool.
    """
    with torch.cuda.device(device):
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UPS):
                function()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # The detector may allocate in another thread meanwhile, which is no fault of the capture.
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            outputs = function()
    return graph.replay, outputs, pool or graph.pool()


class _StreamOrder:
    """Let each use of the buffers wait for the one before, which may be on another stream."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._done: Any = None
        if device.type == "cuda":
            self._done = torch.cuda.Event()  # type: ignore[no-untyped-call]

    def __enter__(self) -> None:
        if self._done is not None:
            torch.cuda.current_stream(self._device).wait_event(self._done)

    def __exit__(self, *_: object) -> None:
        if self._done is not None:
            torch.cuda.current_stream(self._device).record_event(self._done)
