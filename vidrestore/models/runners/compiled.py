"""torch.compile: operations between convolutions become one kernel each.

On a GPU the compiled kernels are replayed as a CUDA graph, too. The first call for a number of
samples compiles, which takes a minute; torch keeps what it compiled for later processes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from vidrestore.errors import ModelError
from vidrestore.models.restorers.prepare import Precision
from vidrestore.models.runners.backends import version_of
from vidrestore.models.runners.cuda_graph import CudaGraphRunner
from vidrestore.models.runners.eager import EagerRunner
from vidrestore.models.runners.runner import Outputs, Part, Runner, RunnerFacts, check_inputs

__all__ = ["CompiledRunner"]


class CompiledRunner:
    """A `Runner` that calls the part compiled, once for each shape.

    Args:
        part: what is run; its module is on the device.
        device: where it is.
        precision: number format it was prepared in.
    """

    def __init__(self, part: Part, device: torch.device, precision: Precision) -> None:
        self._part = part
        self.facts = RunnerFacts("compiled", version_of("compiled"), precision)
        module = torch.compile(part.module, dynamic=False, fullgraph=True)
        compiled = replace(part, module=cast("nn.Module", module))
        self._runner: Runner = (
            CudaGraphRunner(compiled, device, precision)
            if device.type == "cuda"
            else EagerRunner(compiled, device, precision)
        )

    def run(self, *inputs: Tensor) -> Outputs:
        """Compute the part; see `Runner`."""
        check_inputs(self._part, inputs)
        try:
            return self._runner.run(*inputs)
        except (torch.OutOfMemoryError, ModelError):
            raise
        except Exception as error:  # Whatever a compiler raises.
            words = str(error).strip().splitlines() or [type(error).__name__]
            raise ModelError(
                f"{self._part.name}: torch.compile failed ({words[0][:160]}); it needs a C++ "
                "compiler; the backend eager needs none"
            ) from error
