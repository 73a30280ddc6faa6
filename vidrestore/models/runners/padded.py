"""Any number of samples through a runner that has few fixed shapes."""

from __future__ import annotations

import torch
from torch import Tensor

from vidrestore.models.runners.runner import Outputs, Runner

__all__ = ["PaddedRunner"]


class PaddedRunner:
    """A `Runner` that calls another one with one of a few numbers of samples.

    Args:
        runner: what is called.
        sizes: numbers of samples, rising; more than the last are computed in several calls.
    """

    def __init__(self, runner: Runner, sizes: tuple[int, ...] = (1, 4, 16)) -> None:
        self._runner, self._sizes = runner, sizes
        self.facts = runner.facts

    def run(self, *inputs: Tensor) -> Outputs:
        """Compute the part; see `Runner`."""
        most = self._sizes[-1]
        calls = zip(*(torch.split(one, most) for one in inputs), strict=True)
        made = zip(*(self._call(part) for part in calls), strict=True)
        return tuple(torch.cat(one) if len(one) > 1 else one[0] for one in made)

    def _call(self, inputs: tuple[Tensor, ...]) -> Outputs:
        n = len(inputs[0])
        size = next(one for one in self._sizes if one >= n)
        padded = (torch.cat((one, one[-1:].expand(size - n, *one.shape[1:]))) for one in inputs)
        return tuple(one[:n] for one in self._runner.run(*padded))
