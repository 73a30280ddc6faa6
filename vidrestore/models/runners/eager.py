"""torch, one operation after the other."""

from __future__ import annotations

import torch
from torch import Tensor

from vidrestore.models.restorers.prepare import Precision
from vidrestore.models.runners.backends import version_of
from vidrestore.models.runners.runner import (
    Outputs,
    Part,
    RunnerFacts,
    check_inputs,
    reproducible,
)

__all__ = ["EagerRunner", "call_part"]


class EagerRunner:
    """A `Runner` that calls the part.

    Args:
        part: what is run; its module is on the device.
        device: where it is.
        precision: number format it was prepared in.
    """

    def __init__(self, part: Part, device: torch.device, precision: Precision) -> None:
        self._part, self._device = part, device
        self.facts = RunnerFacts("eager", version_of("eager"), precision)

    def run(self, *inputs: Tensor) -> Outputs:
        """Compute the part; see `Runner`."""
        check_inputs(self._part, inputs)
        with torch.inference_mode(), reproducible(self._device):
            return call_part(self._part, inputs)


def call_part(part: Part, inputs: tuple[Tensor, ...]) -> Outputs:
    """Call a part's module; one output becomes a tuple of one."""
    made = part.module(*inputs)
    return (made,) if isinstance(made, Tensor) else tuple(made)
