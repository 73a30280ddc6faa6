"""What all backends have in common: a pure function of tensors, and something that computes it.

    runner = make_runner(part, backend="openvino", device=device)
    (picture,) = runner.run(crops)

A `Part` is a network, or the half of one, made ready for inference. It takes and gives tensors
alone: noise is an input, and style codes are the output of one part and an input of the next. A
`Runner` computes it, whatever the backend: `tests/models/test_runners.py` holds them all to that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from vidrestore.errors import ModelError
from vidrestore.models.restorers.prepare import Precision
from vidrestore.models.runners.backends import Backend

__all__ = [
    "Outputs",
    "Part",
    "Runner",
    "RunnerFacts",
    "check_inputs",
    "reproducible",
]

Outputs = tuple[Tensor, ...]


class RunnerFacts(NamedTuple):
    """What computes a network, for plans and reports."""

    backend: Backend
    version: str
    """Of the package that computes."""
    precision: Precision

    def __str__(self) -> str:
        return f"{self.backend} {self.version}, {self.precision}"


class Runner(Protocol):
    """Computes one part on one device; may be called from several threads."""

    facts: RunnerFacts

    def run(self, *inputs: Tensor) -> Outputs:
        """Compute the part.

        Args:
            inputs: on the runner's device, all with the same number of samples.

        Returns:
            The part's outputs on the same device, which belong to the caller.

        Raises:
            ModelError: an input has another shape than the part takes, or the backend fails.
            torch.OutOfMemoryError: the device's memory does not suffice.
        """
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """A pure function of tensors."""

    name: str
    """For messages and the names of stored files, such as "gfpgan-1.4 encoder"."""
    module: nn.Module
    """Prepared for inference; takes tensors, gives a tensor or a tuple of them."""
    takes: tuple[int | None, ...] | None
    """Shape of a sample of the first input, None for any length; None where what it is given is
    another part's output."""
    examples: Callable[[], tuple[Tensor, ...]]
    """Makes inputs of two samples."""
    multiples: Mapping[int, int] = field(default_factory=dict)
    """Dimensions of the first input that vary beside the number of samples, and what their lengths
    are multiples of."""


def check_inputs(part: Part, inputs: tuple[Tensor, ...]) -> None:
    """Refuse inputs that a part does not take.

    Raises:
        ModelError: the first one has another shape, or another number of samples than the others.
    """
    if part.takes is None:
        return
    first = inputs[0].shape
    fits = len(first) == len(part.takes) + 1 and all(
        wanted in (None, found) for wanted, found in zip(part.takes, first[1:], strict=True)
    )
    fits = fits and all(first[dim] % unit == 0 for dim, unit in part.multiples.items())
    if not fits or any(len(one) != len(inputs[0]) for one in inputs):
        units = {dim - 1: f"{unit}·n" for dim, unit in part.multiples.items()}
        sides = ", ".join(
            units.get(place, "any" if side is None else str(side))
            for place, side in enumerate(part.takes)
        )
        found = ", ".join(str(tuple(one.shape)) for one in inputs)
        raise ModelError(f"{part.name}: takes (N, {sides}), not {found}")


_flags_lock = threading.Lock()
_n_inside = 0
_flags_before: tuple[bool, bool, bool, bool] | None = None


@contextmanager
def reproducible(device: torch.device) -> Iterator[None]:
    """On GPUs, kernels that give the same in every run, and float32 that is float32, not TF32.

    torch's flags hold for the whole process: the first thread that comes in sets them, the last one
    that leaves sets them back.
    """
    if device.type != "cuda":
        yield
        return
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _n_inside, _flags_before
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    with _flags_lock:
        if not _n_inside:
            _flags_before = (
                cudnn.benchmark,
                cudnn.deterministic,
                cudnn.allow_tf32,
                matmul.allow_tf32,
            )
            _set_flags(False, True, False, False)
        _n_inside += 1


def _leave() -> None:
    global _n_inside
    with _flags_lock:
        _n_inside -= 1
        if not _n_inside:
            assert _flags_before is not None
            _set_flags(*_flags_before)


def _set_flags(benchmark: bool, deterministic: bool, conv_tf32: bool, matmul_tf32: bool) -> None:
    cudnn = torch.backends.cudnn
    cudnn.benchmark, cudnn.deterministic = benchmark, deterministic
    cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = conv_tf32, matmul_tf32
