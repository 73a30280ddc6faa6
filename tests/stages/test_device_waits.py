"""On shapes alone: from planes to changed samples, nothing on a device waits for the host.

Torch's "meta" device stands in for a GPU: what would make the host wait for a value fails
there. What mixes tensors of host and device, outside of an upload, is told here; and kernels are
counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

import pytest
import torch
from aligned_faces import aligned, noisy
from gpu import needs_cuda
from moving_face import pan
from torch import Tensor, nn

from vidrestore.bench.section_cost import SectionCounter, measure_section, quick_sampling
from vidrestore.config import BlendConfig, TemporalFilterConfig
from vidrestore.models.load import outline_restorer
from vidrestore.models.registry import build
from vidrestore.models.restorers import network as network_module
from vidrestore.models.restorers.network import NetworkRestorer
from vidrestore.runtime.transfer import Arriving
from vidrestore.stages._blend_on_device import device_changes
from vidrestore.stages.blend import blend
from vidrestore.stages.restore import restore
from vidrestore.stages.temporal_filter import temporal_filter
from vidrestore.stages.upload import upload
from vidrestore.structs import Frame
from vidrestore.video.picture.coming_samples import pack_samples

META = torch.device("meta")
MOST_KERNELS, MOST_UPLOADS = 90, 2.5
"""Of a frame with one face that has grain, besides the network's; and for each two faces more."""


@lru_cache(maxsize=1)
def faces(count: int, size: int) -> tuple[Frame, ...]:
    """Frames with two faces each, and grain."""
    frames = noisy(aligned(pan(count), size))
    return tuple(
        replace(frame, faces=tuple(replace(frame.faces[0], track_id=n) for n in range(2)))
        for frame in frames
    )


def run_section(
    frames: list[Frame], restorer: NetworkRestorer, counter: SectionCounter
) -> Iterator[tuple[tuple[int, ...], int]]:
    """Give the numbers of frames that are put back together, and the bytes that come back."""
    run = restorer.start_run(style_strength=1.0)
    sent = list(upload(frames, META, restorer.size))
    with quick_sampling(), counter.mode:
        steps = temporal_filter(
            restore(sent, run), TemporalFilterConfig(reach_frames=3), on_device=True
        )
        for change in device_changes(list(steps), BlendConfig()):
            yield change.frames, pack_samples(change)[1].nbytes


SMALL: dict[str, dict[str, Any]] = {
    "gfpgan_clean": {"out_size": 64, "narrow": 0.125},
    "compact_unet": {},
}


@pytest.mark.parametrize("name", SMALL)
def test_nothing_waits_from_planes_to_changed_samples(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_section(build(name, **SMALL[name]), 64, monkeypatch)


@pytest.mark.soak
@pytest.mark.parametrize("name", ["gfpgan-1.4", "gpen-512", "embedded"])
def test_nothing_waits_with_networks_of_full_size(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_section(*outline_restorer(name), monkeypatch)


def check_section(network: nn.Module, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Tensor] = []

    def to_host(tensor: Tensor) -> Arriving:
        told.append(tensor)
        return Arriving(torch.ones(tensor.shape, dtype=tensor.dtype), None)

    monkeypatch.setattr(network_module, "to_host", to_host)
    restorer = NetworkRestorer(
        network, size=size, device="meta", precision="bfloat16", batch_size=4
    )
    frames = list(faces(3, size))
    list(run_section(frames[:1], restorer, SectionCounter()))  # Constants are sent at the start.
    told.clear()
    counter = SectionCounter()
    changed = Counter[int]()
    for numbers, returned in run_section(frames, restorer, counter):
        changed += Counter({number: returned for number in numbers})
    planes = sum(plane.nbytes for plane in frames[0].picture.planes)
    assert len(changed) == len(frames)
    assert all(0 < returned < planes for returned in changed.values())
    assert len(told) == 2 and all(one.nbytes == 4 for one in told), "one flag a crop"
    assert counter.uploads <= 24 and counter.uploaded_bytes < 2**20, "of one batch"


def test_kernels_and_uploads_of_a_frame_are_few_and_grow_with_faces() -> None:
    """Of frames that are filtered and put back together: not with each frame and each face."""
    one, four, eight = (measure_section(count) for count in (1, 4, 8))
    assert 30 < one.kernels <= MOST_KERNELS and 0 < one.uploads <= MOST_UPLOADS
    for cost in (four, eight):
        assert cost.kernels <= cost.n_faces / 2 * MOST_KERNELS
        assert cost.uploads <= cost.n_faces / 2 * MOST_UPLOADS
    assert eight.kernels - four.kernels == pytest.approx(four.kernels, rel=0.25)
    assert eight.traffic_bytes == pytest.approx(8 * one.traffic_bytes, rel=0.15)


def test_a_wait_is_found() -> None:
    values, counter = torch.empty(3, device="meta"), SectionCounter()
    for ask in (lambda: float(values.sum()), lambda: values[values > 0]):
        with pytest.raises((AssertionError, RuntimeError, NotImplementedError)), counter.mode:
            ask()
    with pytest.raises(AssertionError, match="mixes"), counter.mode:
        values[torch.tensor([0, 2])]


@needs_cuda()
@pytest.mark.cuda
@pytest.mark.parametrize("name", [*SMALL, "gpen"])
def test_a_gpu_is_not_waited_for(name: str) -> None:
    """But for events of batches and frames before, which are over."""
    options = SMALL.get(name, {"size": 64, "narrow": 0.125})
    restorer = NetworkRestorer(
        build(name, **options), size=64, device="cuda", precision="bfloat16", batch_size=4
    )
    frames = noisy(aligned(pan(20), 64))

    def changed() -> list[bytes]:
        sent = list(upload(frames, restorer.device, 64))
        run = restorer.start_run(style_strength=1.0)
        steps = temporal_filter(restore(sent, run), TemporalFilterConfig(), on_device=True)
        done = list(blend(steps, BlendConfig()))
        return [plane.numpy().tobytes() for frame in done for plane in frame.picture.planes]

    first = changed()
    torch.cuda.set_sync_debug_mode("error")
    try:
        again = changed()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert again == first
