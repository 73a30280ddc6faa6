"""What networks ask of a device is counted on shapes alone, and does not grow unseen."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from vidrestore.models.cost import DEVICES, Cost, Operation, OperationCounter, measure_cost
from vidrestore.models.interfaces import CropKey
from vidrestore.models.load import outline_restorer
from vidrestore.models.registry import build
from vidrestore.models.restorers.lattice import without_lattice
from vidrestore.models.restorers.parts import Drawing, Reading
from vidrestore.models.restorers.precision import run_network
from vidrestore.models.restorers.prepare import prepare_for_inference
from vidrestore.models.restorers.style_memory import StyleMemory

MAKES_THE_HOST_WAIT = {
    "aten::_local_scalar_dense",
    "aten::nonzero",
    "aten::_linalg_check_errors",
    "aten::lift_fresh",
}


def refuse_the_host(name: str, given: list[Any], made: list[Any]) -> None:
    """An operation that waits for a device, or mixes a tensor of the host in."""
    on_host = [part for part in (*given, *made) if isinstance(part, Tensor) and not part.is_meta]
    if name in MAKES_THE_HOST_WAIT or on_host:
        raise AssertionError(f"{name} needs the host")


def test_operations_are_those_of_a_run() -> None:
    network = build("compact_unet", widths=(4, 4, 4))
    cost = measure_cost(network, crops=2, size_px=64, precision="float32")
    prepared = prepare_for_inference(network)
    with FlopCounterMode(display=False) as counter:
        prepared(torch.zeros(2, 3, 64, 64))
    assert cost.flops == counter.get_total_flops() > 0


@pytest.mark.parametrize(
    ("name", "gflop", "most_gb", "most_launches"),
    [
        ("gfpgan-1.4", 263.5, 1.87, 400),
        ("gfpgan-1.0", 81.2, 1.22, 420),
        ("gpen-512", 274.1, 1.6, 300),
        ("embedded", 13.38, 0.16, 100),
    ],
)
def test_a_crop_costs_no_more_than_it_did(
    name: str, gflop: float, most_gb: float, most_launches: int
) -> None:
    network, size_px = outline_restorer(name)
    cost = measure_cost(network, crops=16, size_px=size_px)
    assert cost.flops / 16 == pytest.approx(gflop * 1e9, rel=1e-3)
    assert cost.bytes / 16 <= most_gb * 1e9
    assert cost.launches <= most_launches


@pytest.mark.parametrize("name", ["gfpgan-1.4", "gfpgan-1.0", "gpen-512"])
def test_nothing_in_a_network_waits_for_the_device(name: str) -> None:
    network, size_px = outline_restorer(name)
    prepared = prepare_for_inference(network, "meta", "bfloat16")
    crops = torch.empty(1, 3, size_px, size_px, device="meta")
    memory = StyleMemory(0.9)
    memory.steering([CropKey(0, 7, 0)], "meta")(prepared.read(crops)[0])
    memory.commit()
    steer = memory.steering([CropKey(0, 7, 1)], "meta")
    with OperationCounter(refuse_the_host), torch.inference_mode():
        latents, *others = Reading(prepared)(crops)
        Drawing(prepared, 0)(steer(latents), *others)


def test_nothing_in_the_shipped_restorer_waits_for_the_device() -> None:
    network, size_px = outline_restorer("embedded")
    prepared = prepare_for_inference(network, "meta", "bfloat16")
    crops = torch.empty(1, 3, size_px, size_px, device="meta")
    without_lattice(crops, crops, 2)  # Constants are made once, at the start.
    with OperationCounter(refuse_the_host):
        without_lattice(run_network(prepared, crops), crops, 2)


def test_what_is_written_in_place_is_read_and_written() -> None:
    x, other = torch.empty(2, 100, device="meta")
    with OperationCounter() as counter, torch.inference_mode():
        torch.nn.functional.leaky_relu_(x, 0.2)
        torch.add(x, other, out=x)
        x.copy_(other)
        x.zero_()
    assert [one.bytes for one in counter.operations] == [800, 1200, 800, 400]


def test_a_network_that_asks_for_a_value_is_found() -> None:
    class Asking(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * float(x.mean())

    with pytest.raises(RuntimeError):
        measure_cost(Asking(), crops=1, size_px=8, precision="float32")


def test_the_slower_of_arithmetic_and_memory_bounds_each_kernel() -> None:
    device = DEVICES["h200"]
    one = Operation("aten::convolution", int(device.matrix_flops), 0)
    two = Operation("aten::add", 0, int(2 * device.bandwidth))
    assert Cost(1, (one, two)).seconds_on(device) == pytest.approx(3)
