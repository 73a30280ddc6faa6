"""What a network asks of a device: operations, traffic and launches, counted without running it.

    cost = measure_cost(network, crops=16, size_px=512, precision="bfloat16")
    seconds = cost.seconds_on(DEVICES["h200"])

The network runs on torch's "meta" device, where tensors have a shape and no content. Each operation
that reaches a kernel is counted: its multiply-adds by `torch.utils.flop_counter` (two operations
each), the bytes of the tensors that it reads and writes, and itself as one launch. The roofline
(Williams et al., 2009) bounds its time by the slower of arithmetic and memory. Nothing on the meta
device has a value, so a network that asks for one, and would make a GPU wait, fails here.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from vidrestore.models.restorers.precision import fast_precision, run_network
from vidrestore.models.restorers.prepare import DTYPES, Precision, prepare_for_inference

__all__ = [
    "DEVICES",
    "Cost",
    "Device",
    "Operation",
    "OperationCounter",
    "describe_cost",
    "measure_ceiling",
    "measure_cost",
]


@dataclass(frozen=True, slots=True)
class Device:
    """What a device can do at most, by its data sheet."""

    name: str
    matrix_flops: float
    """Dense 16-bit matrix products with float32 sums, operations a second."""
    bandwidth: float
    """Bytes of device memory a second."""


DEVICES = {
    "h200": Device("NVIDIA H200", 989e12, 4.8e12),
    "h100": Device("NVIDIA H100 SXM", 989e12, 3.35e12),
    "a100": Device("NVIDIA A100 80 GB SXM", 312e12, 2.04e12),
    "l40s": Device("NVIDIA L40S", 362e12, 0.864e12),
    "l4": Device("NVIDIA L4", 121e12, 0.3e12),
    "t4": Device("NVIDIA T4", 65e12, 0.32e12),
}
"""By a short name."""

_FREE = {"aten::_unsafe_view", "aten::empty", "aten::new_empty", "aten::empty_like"}
"""Operations that touch no memory and are not marked as views."""

_OVERWRITES = {"aten::copy_", "aten::fill_", "aten::zero_"}
"""Operations that do not read what they write."""

_SKIMS = {"vidrestore::double_edges"}
"""Operations that read a small part of what they are given."""

_WHOLE = {"aten::upsample_bilinear2d", "aten::upsample_nearest2d", "aten::grid_sampler"}
"""Operations with a kernel of their own, though they can be made of others."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One kernel."""

    name: str
    """Such as "aten::convolution"."""
    flops: int
    bytes: int
    """Read and written."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one call of a network asks of a device."""

    crops: int
    operations: tuple[Operation, ...]

    @property
    def flops(self) -> int:
        """Operations of matrix products and convolutions, a multiply-add being two."""
        return sum(one.flops for one in self.operations)

    @property
    def bytes(self) -> int:
        """Traffic, if nothing stays in a cache between kernels."""
        return sum(one.bytes for one in self.operations)

    @property
    def launches(self) -> int:
        """Kernels."""
        return len(self.operations)

    def seconds_on(self, device: Device) -> float:
        """Least time on a device: of each kernel the slower of arithmetic and memory."""
        return sum(
            max(one.flops / device.matrix_flops, one.bytes / device.bandwidth)
            for one in self.operations
        )


class OperationCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Record what reaches kernels while it is active.

    Args:
        check: called with each operation's name, its arguments and what it gives; may raise.
    """

    def __init__(self, check: Callable[[str, list[Any], list[Any]], None] | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[Operation] = []
        self._check = check

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func not in flop_registry and func._schema.name not in _WHOLE:
            # What is made of other operations is counted as those.
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        name = func._schema.name
        result = func(*args, **kwargs)
        if name == "aten::convolution":
            result = _as_cudnn_lays_it(result, args[0])
        given, made = tree_leaves((args, kwargs)), tree_leaves(result)
        if self._check is not None:
            self._check(name, given, made)
        if not func.is_view and name not in _FREE:
            flops = _flops(func, args, kwargs, result)
            self.operations.append(Operation(name, flops, _traffic(func, args, kwargs, made)))
        return result


def measure_cost(
    network: nn.Module, *, crops: int, size_px: int, precision: Precision = "bfloat16"
) -> Cost:
    """Count what one call of a network asks of a device.

    Args:
        network: from and to RGB in [-1, 1]; it stays as it is.
        crops: in one call.
        size_px: side of a crop.
        precision: number format of its feature maps.

    Raises:
        RuntimeError: the network asks for the value of a tensor.
    """
    prepared = prepare_for_inference(copy.deepcopy(network).to("meta"), "meta", precision)
    pictures = torch.empty(crops, 3, size_px, size_px, device="meta")
    with OperationCounter() as counter:
        run_network(prepared, pictures)
    return Cost(crops, tuple(counter.operations))


def measure_ceiling(device: torch.device) -> float:
    """Operations a second of a large matrix product on a device, in the fastest format it has."""
    side = 8192 if device.type == "cuda" else 2048
    dtype = DTYPES[fast_precision(device)]
    one = torch.ones(side, side, device=device, dtype=dtype)
    best = 0.0
    for _ in range(5):
        _wait_for(device)
        begun = time.perf_counter()
        torch.mm(one, one)
        _wait_for(device)
        best = max(best, 2 * side**3 / (time.perf_counter() - begun))
    return best


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def describe_cost(name: str, cost: Cost, size_px: int, precision: Precision) -> list[str]:
    """The cost, and the least time on each of `DEVICES`, as lines for a person."""
    lines = [
        f"{name}: {cost.crops} crops of {size_px} px in {precision}",
        f"a crop: {cost.flops / cost.crops / 1e9:.1f} GFLOP (multiply-adds count twice), "
        f"{cost.bytes / cost.crops / 1e9:.2f} GB of traffic between kernels",
        f"a call: {cost.launches} kernels",
    ]
    for device in DEVICES.values():
        seconds = cost.seconds_on(device) / cost.crops
        share = cost.flops / cost.crops / device.matrix_flops / seconds
        lines.append(
            f"  {device.name:<23}{1e3 * seconds:8.2f} ms a crop at least, "
            f"{1 / seconds:6.0f} crops/s, {100 * share:3.0f} % of its matrix ceiling"
        )
    return lines


def _flops(func: Any, args: Any, kwargs: dict[str, Any], result: Any) -> int:
    count = flop_registry.get(func.overloadpacket)
    return 0 if count is None else int(count(*args, **kwargs, out_val=result))


def _as_cudnn_lays_it(result: Tensor, x: Tensor) -> Tensor:
    """The meta device forgets that a convolution of maps that are channels last gives such."""
    if result.is_meta and x.is_contiguous(memory_format=torch.channels_last):
        return torch.empty_like(result, memory_format=torch.channels_last)
    return result


def _traffic(func: Any, args: Any, kwargs: dict[str, Any], made: Sequence[Any]) -> int:
    """Bytes that an operation reads, and those that it writes, in place or not."""
    names = [one.name for one in func._schema.arguments]
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    read: list[Any] = []
    written = [*made]
    for one in func._schema.arguments:
        found = tree_leaves(given.get(one.name))
        is_written = one.alias_info is not None and one.alias_info.is_write
        written += found if is_written else ()
        is_output = is_written and (one.name == "out" or func._schema.name in _OVERWRITES)
        read += () if is_output or func._schema.name in _SKIMS else found
    return sum(sum(map(_bytes, _distinct(part))) for part in (read, written))


def _distinct(parts: Sequence[Any]) -> list[Tensor]:
    return list({id(part): part for part in parts if isinstance(part, Tensor)}.values())


def _bytes(tensor: Tensor) -> int:
    """Of the memory behind a tensor; an expanded one is read once."""
    shape = zip(tensor.shape, tensor.stride(), strict=True)
    count = 1
    for size, stride in shape:
        count *= size if stride or size == 1 else 1
    return count * tensor.element_size() if tensor.numel() else 0
