"""Random numbers that follow from what is being trained, not from what was drawn before.

Every draw has a name: (seed of the run, number of the sample over the whole training, stream), the
stream being a word such as "z" or "augment". So a run does not depend on the number of loader
processes or devices, and goes on after an interruption as if there had been none. Numbers are drawn
on the CPU, hence the same for every device.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

__all__ = ["SeededDraws", "draw_source"]


def draw_source(seed: int, index: int, stream: str) -> np.random.Generator:
    """The source of one named draw."""
    return np.random.default_rng([seed, index, zlib.crc32(stream.encode())])


class SeededDraws:
    """The draws of one batch: a row for each of its samples, which depends on that sample alone.

    Args:
        seed: seed of the run.
        indices: (N,) numbers of the samples, counted over the whole training.
        device: where the results go.
    """

    def __init__(self, seed: int, indices: Tensor, device: torch.device) -> None:
        self.seed, self.device = seed, device
        self.indices: list[int] = indices.tolist()

    def __len__(self) -> int:
        return len(self.indices)

    def sources(self, stream: str) -> list[np.random.Generator]:
        """A source for each sample."""
        return [draw_source(self.seed, index, stream) for index in self.indices]

    def generators(self, stream: str) -> list[torch.Generator]:
        """The same as torch's generators, on the CPU."""
        seeds = (int(source.integers(2**63)) for source in self.sources(stream))
        return [torch.Generator().manual_seed(seed) for seed in seeds]

    def normal(self, stream: str, shape: Sequence[int]) -> Tensor:
        """(N, *shape) standard normal."""
        rows = [source.standard_normal(shape, dtype=np.float32) for source in self.sources(stream)]
        return torch.from_numpy(np.stack(rows)).to(self.device)

    def normals(self, stream: str, shapes: Sequence[Sequence[int]]) -> list[Tensor]:
        """One (N, *shape) for each shape, standard normal."""
        rows = [
            [source.standard_normal(shape, dtype=np.float32) for shape in shapes]
            for source in self.sources(stream)
        ]
        stacked = (np.stack(column) for column in zip(*rows, strict=True))
        return [torch.from_numpy(column).to(self.device) for column in stacked]

    def uniform(self, stream: str, shape: Sequence[int] = ()) -> Tensor:
        """(N, *shape), uniform in [0, 1)."""
        rows = [source.random(shape, dtype=np.float32) for source in self.sources(stream)]
        return torch.from_numpy(np.stack(rows)).to(self.device)
