"""Copies to a device go on where no memory can be pinned any more, and it is told once."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from gpu import needs_cuda

from vidrestore.runtime import transfer
from vidrestore.runtime.transfer import Uploader, pinned, to_device, to_host


def refuse_to_pin(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = torch.empty

    def empty(*size: Any, pin_memory: bool = False, **options: Any) -> torch.Tensor:
        if pin_memory:
            raise RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported")
        return whole(*size, **options)

    monkeypatch.setattr(torch, "empty", empty)
    transfer._tell_of_pageable.cache_clear()


def test_other_memory_takes_its_place(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refuse_to_pin(monkeypatch)
    values = torch.arange(24).reshape(4, 6)
    with caplog.at_level(logging.WARNING):
        for one in (values, values.T, values[::2, 1:]):
            assert torch.equal(pinned(one), one)
    [told] = [record.getMessage() for record in caplog.records]
    assert told.startswith("no more pinned memory (CUDA error: out of memory): ")
    assert "--run.queue-frames" in told


@needs_cuda()
@pytest.mark.cuda
@pytest.mark.parametrize("can_pin", [True, False])
def test_what_goes_to_a_gpu_comes_back(can_pin: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not can_pin:
        refuse_to_pin(monkeypatch)
    device = torch.device("cuda")
    values = torch.arange(1 << 16, dtype=torch.int32).reshape(256, 256).T
    [sent] = Uploader(device)(values).take()
    for there in (sent, to_device(values, device)):
        assert there.device.type == "cuda"
        assert torch.equal(to_host(there).wait(), values)
