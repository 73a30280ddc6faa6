"""Tensors go to a device and come back, and the host does not wait for the device meanwhile.

On CUDA, copies go through pinned memory on a stream of their own. PyTorch's caching allocator hands
pinned blocks out again once the copies from them are over, so that they are a ring that grows to
what is needed. On other devices these are plain copies.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = [
    "Arriving",
    "Uploaded",
    "Uploader",
    "arrays_to_device",
    "pinned",
    "to_device",
    "to_host",
]

logger = logging.getLogger("vidrestore")


def to_device(values: npt.NDArray[Any] | Tensor, device: torch.device) -> Tensor:
    """Send values to a device, in order with what is computed there."""
    tensor = values if isinstance(values, Tensor) else torch.from_numpy(values)
    if device.type == "cuda":
        return pinned(tensor).to(device, non_blocking=True)
    return tensor.to(device)


def arrays_to_device(arrays: Sequence[npt.NDArray[Any]], device: torch.device) -> list[Tensor]:
    """Send several arrays in one copy, as float32."""
    together = np.concatenate([one.ravel() for one in arrays]).astype(np.float32)
    parts = to_device(together, device).split_with_sizes([one.size for one in arrays])
    return [part.view(one.shape) for part, one in zip(parts, arrays, strict=True)]


@dataclass(frozen=True, slots=True, eq=False)
class Uploaded:
    """Tensors that an `Uploader` has sent."""

    tensors: tuple[Tensor, ...]
    sent: torch.cuda.Event | None
    """When they are there; None where nothing has to be waited for."""

    def take(self) -> tuple[Tensor, ...]:
        """Give the tensors to what is computed from now on: the device waits for them, not the
        host.
        """
        if self.sent is not None:
            stream = torch.cuda.current_stream(self.tensors[0].device)
            stream.wait_event(self.sent)
            for tensor in self.tensors:
                tensor.record_stream(stream)
        return self.tensors


class Uploader:
    """Send tensors to a device beside what is computed there.

    Args:
        device: where to.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = torch.empty(0, device=device).device  # with its number
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def reaches(self, sent: Uploaded) -> bool:
        """Whether tensors are on the device already."""
        return all(tensor.device == self.device for tensor in sent.tensors)

    def __call__(self, *tensors: Tensor) -> Uploaded:
        """Send tensors of the host, of any strides; what is sent is contiguous."""
        if self._stream is None:
            return Uploaded(tuple(one.contiguous().to(self.device) for one in tensors), None)
        with torch.cuda.stream(self._stream):
            sent = tuple(pinned(one).to(self.device, non_blocking=True) for one in tensors)
            return Uploaded(sent, self._stream.record_event())


def pinned(tensor: Tensor) -> Tensor:
    """A copy in memory from which a device copies by itself, made at once whatever the strides."""
    return _pinned_like(tensor).copy_(tensor)


def _pinned_like(tensor: Tensor) -> Tensor:
    """Pinned memory; where there is no more, other memory, which is slower and as good."""
    try:
        return torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    except RuntimeError as error:  # torch has no class of its own for it
        _tell_of_pageable(str(error).partition("\n")[0])
        return torch.empty(tensor.shape, dtype=tensor.dtype)


@cache
def _tell_of_pageable(reason: str) -> None:
    """Once in a process."""
    logger.warning(
        "no more pinned memory (%s): copies to and from the device go through other memory, which "
        "is slower; lower --run.queue-frames, or raise the limit on locked memory (ulimit -l)",
        reason,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Arriving:
    """A tensor on its way to the host."""

    tensor: Tensor
    there: torch.cuda.Event | None

    def wait(self) -> Tensor:
        """Give the tensor once it is there."""
        if self.there is not None:
            self.there.synchronize()
        return self.tensor


def to_host(tensor: Tensor) -> Arriving:
    """Begin to copy a tensor to the host."""
    if tensor.device.type != "cuda":
        return Arriving(tensor.cpu(), None)
    host = _pinned_like(tensor)
    host.copy_(tensor, non_blocking=True)
    return Arriving(host, torch.cuda.current_stream(tensor.device).record_event())
