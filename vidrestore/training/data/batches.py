"""Batches of training samples, shared by processes and made by loader processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from typing import TypeVar

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from vidrestore.errors import DataError

__all__ = ["batches"]

_T = TypeVar("_T")


class _ShareOfBatches(Sampler[list[int]]):
    """The part of every batch that one of several processes works on.

    Args:
        start: number of the first sample.
        stop: number behind the last one.
        batch_size: samples of a batch over all processes.
        rank: which process.
        n_processes: how many there are; the batch size is a multiple.
    """

    def __init__(self, start: int, stop: int, batch_size: int, rank: int, n_processes: int) -> None:
        self.start, self.stop, self.batch_size = start, stop, batch_size
        self.share = batch_size // n_processes
        self.offset = rank * self.share

    def __len__(self) -> int:
        return (self.stop - self.start) // self.batch_size

    def __iter__(self) -> Iterator[list[int]]:
        for first in range(self.start, self.stop - self.batch_size + 1, self.batch_size):
            own = first + self.offset
            yield list(range(own, own + self.share))


def batches(
    samples: Dataset[_T],
    start: int,
    stop: int,
    batch_size: int,
    *,
    workers: int = 0,
    rank: int = 0,
    n_processes: int = 1,
    pin: bool = False,
) -> Iterator[_T]:
    """Batches of the samples `start` to `stop`, the latter left out.

    Args:
        samples: item ``i`` is the training's ``i``-th sample.
        start: number of the first sample.
        stop: number behind the last one; what does not fill a batch is left out.
        batch_size: samples of a batch over all processes.
        workers: loader processes; 0 loads in this one. The result does not depend on it.
        rank: which process this is.
        n_processes: how many share every batch.
        pin: whether batches lie in memory that a GPU reads fast.

    Raises:
        DataError: the batch cannot be shared evenly.
    """
    if batch_size % n_processes:
        raise DataError(
            f"a batch of {batch_size} cannot be shared by {n_processes} processes; "
            "take a batch size that is a multiple"
        )
    loader: DataLoader[_T] = DataLoader(
        samples,
        batch_sampler=_ShareOfBatches(start, stop, batch_size, rank, n_processes),
        num_workers=workers,
        worker_init_fn=one_thread,
        prefetch_factor=4 if workers else None,
        pin_memory=pin,
        multiprocessing_context=loader_context(workers),
    )
    return iter(loader)


def loader_context(workers: int) -> str | None:
    """How loader processes start: by fork where there is one, also within training processes that
    were spawned, so that they share the faces in memory instead of being sent them.
    """
    return "fork" if workers and "fork" in multiprocessing.get_all_start_methods() else None


def one_thread(worker: int) -> None:
    """For loader processes: they share the cores with the network."""
    torch.set_num_threads(1)
