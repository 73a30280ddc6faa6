"""Gradients of a training in this process, or in several that share each batch."""

from __future__ import annotations

import os
import socket
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.training.config import TrainingConfig
from vidrestore.training.data.faces import load_faces
from vidrestore.training.distributed import Distributed, leave_processes, process_environment
from vidrestore.training.tasks import open_task
from vidrestore.training.tasks.task import Data
from vidrestore.training.train import batch_schedule

_linear = F.linear

Gradients = list[Tensor]
"""One vector for each step of an optimiser, in order."""


def gradients(
    config: TrainingConfig, folder: Path, steps: int, distributed: Distributed
) -> Gradients:
    """What every step of every optimiser saw in the first steps of a training.

    Each sample is computed as if alone. Otherwise a layer rounds in another way in a larger batch,
    and what lies next to a rectifier's kink comes out on its other side: then gradients differ by
    more than rounding, for no fault of what is tested here.
    """
    with torch.backends.mkldnn.flags(enabled=False), patch.object(F, "linear", _row_by_row):
        return _gradients(config, folder, steps, distributed)


def _row_by_row(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return torch.cat([_linear(row[None], weight, bias) for row in x])


def _gradients(
    config: TrainingConfig, folder: Path, steps: int, distributed: Distributed
) -> Gradients:
    size = config.data.size_px
    data = Data(partial(load_faces, folder, size=size))
    task: Any = open_task(config, data, distributed)
    seen: Gradients = []

    def record(optimiser: torch.optim.Optimizer, *_: object) -> None:
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        seen.append(torch.cat([p.grad.flatten().clone() for p in parameters if p.grad is not None]))

    optimisers = [
        task.optimiser,
        getattr(task.discriminator, "optimiser", None),
        getattr(task, "component_optimiser", None),
    ]
    for optimiser in filter(None, optimisers):
        optimiser.register_step_pre_hook(record)
    for counters, batch, _ in batch_schedule(task.stages(), 0, distributed, 0):
        if counters.step == steps:
            break
        task.step(batch, counters)
    return seen


def gradients_of_two(
    configs: list[TrainingConfig], folder: Path, steps: int, results: Path
) -> list[Gradients]:
    """The same by two processes, from the first one."""
    from torch.multiprocessing.spawn import start_processes

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    arguments = (port, configs, folder, steps, results)
    start_processes(_part, arguments, nprocs=2, start_method="spawn")
    return torch.load(results, weights_only=True)


def _part(
    rank: int, port: int, configs: list[TrainingConfig], folder: Path, steps: int, results: Path
) -> None:
    os.environ.update(process_environment(rank, 2, port, 1))
    torch.set_num_threads(1)
    distributed = Distributed("cpu")
    assert (distributed.n_processes, distributed.rank) == (2, rank)
    found = [gradients(config, folder, steps, distributed) for config in configs]
    if distributed.is_main:
        torch.save(found, results)
    distributed.wait()
    leave_processes()
