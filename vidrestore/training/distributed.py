"""Where a training runs: devices, processes and number format, by `accelerate`.

A run on several processes is the run on one with the same batch: each takes its part of every
batch, and the parts' gradients are averaged before each step of an optimiser. The averaging is one
explicit call, `Distributed.average_gradients`, and not a wrapper round the networks: adversarial
training calls parts of a network, calls it several times a step, and differentiates gradients, of
which such wrappers support none.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from vidrestore.models.load import resolve_device
from vidrestore.runtime.extras import require_extra

if TYPE_CHECKING:
    from accelerate import PartialState

__all__ = ["Distributed", "Precision", "leave_processes", "process_environment"]

Precision = Literal["float32", "bfloat16"]
"""bfloat16: convolutions and matrix products in bfloat16, weights and losses in float32."""


class Distributed:
    """The devices and processes of a run.

    Args:
        device: "auto", "cpu", "cuda" or "cuda:1"; with several processes each takes its own.
        precision: number format of convolutions.

    Raises:
        UsageError: if there is no such device.
        NotAvailableError: if `accelerate` is not installed.
    """

    def __init__(self, device: str = "auto", precision: Precision = "float32") -> None:
        require_extra("accelerate")
        from accelerate import PartialState

        wanted = resolve_device(device)
        # One state a process, whatever the device and the number format of the runs in it.
        self.processes: PartialState = PartialState(cpu=wanted.type == "cpu")
        self.precision = precision
        self.device: torch.device = self.processes.device if self.n_processes > 1 else wanted
        if self.device.type == "cuda":
            torch.backends.cudnn.benchmark = True  # Batches have one shape for a stage.

    @property
    def n_processes(self) -> int:
        """Processes that share every batch."""
        return int(self.processes.num_processes)

    @property
    def rank(self) -> int:
        """Number of this process; 0 is the one that writes."""
        return int(self.processes.process_index)

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def autocast(self) -> AbstractContextManager[Any]:
        """Inside, networks compute in the run's number format."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace the gradients of all processes by their mean, in one message."""
        if self.n_processes == 1:
            return
        # A parameter may lack a gradient in one process only if it lacks it in all.
        gradients = [p.grad for p in parameters if p.grad is not None]
        if not gradients:
            return
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        flat = self.mean(flat)
        parts = torch.split(flat, [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a tensor over the processes."""
        if self.n_processes == 1:
            return value
        from accelerate.utils import reduce

        averaged: Tensor = reduce(value.contiguous(), reduction="mean")
        return averaged

    def gather(self, rows: Tensor) -> Tensor:
        """The rows (n, …) of all processes, (n * processes, …), in their order."""
        if self.n_processes == 1:
            return rows
        from accelerate.utils import gather

        gathered: Tensor = gather(rows.contiguous())
        return gathered

    def wait(self) -> None:
        """Wait until all processes are here."""
        self.processes.wait_for_everyone()


def leave_processes() -> None:
    """Leave the group of processes, if there is one; for a process that is about to end."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def process_environment(rank: int, n_processes: int, port: int, threads: int) -> dict[str, str]:
    """Environment variables by which `accelerate` finds the other processes of one machine."""
    return {
        **os.environ,
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(n_processes),
        "LOCAL_WORLD_SIZE": str(n_processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": str(max(1, threads)),
    }
