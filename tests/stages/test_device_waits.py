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

from vidrestore.config import BlendConfig, TemporalFilterConfig
from vidrestore.models.cost import OperationCounter
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
UPLOADS = {"aten::_to_copy", "aten::copy_"}
VIEWS = frozenset(
    f"aten::{name}"
    for name in (
        *("alias", "as_strided", "detach", "expand", "permute", "select", "slice", "split"),
        *("squeeze", "t", "transpose", "unbind", "unfold", "unsqueeze", "view", "_unsafe_view"),
        *("empty", "new_empty", "empty_like"),
    )
)
"""What starts no kernel."""
ASKS = {"aten::_local_scalar_dense", "aten::nonzero", "aten::_linalg_check_errors"}


MOST_KERNELS = 500
"""Of a frame with two faces that touch and have grain, besides the network's."""


class Watched:
    """Operations on the device while a mode is active."""

    def __init__(self) -> None:
        self.kernels: Counter[str] = Counter()
        self.uploads = self.uploaded_bytes = 0
        self.mode = OperationCounter(self.check)

    def check(self, name: str, given: list[Any], made: list[Any]) -> None:
        tensors = [part for part in (*given, *made) if isinstance(part, Tensor)]
        on_host = [one for one in tensors if not one.is_meta]
        if len(on_host) == len(tensors):
            return
        assert name not in ASKS, f"{name} makes the host wait"
        if on_host:
            assert name in UPLOADS, f"{name} mixes host and device"
            self.uploads += 1
            self.uploaded_bytes += sum(one.nbytes for one in on_host)
        elif name not in VIEWS:
            self.kernels[name] += 1


@lru_cache(maxsize=1)
def faces(count: int, size: int) -> tuple[Frame, ...]:
    """Frames with two faces each, and grain."""
    frames = noisy(aligned(pan(count), size))
    return tuple(
        replace(frame, faces=tuple(replace(frame.faces[0], track_id=n) for n in range(2)))
        for frame in frames
    )


def run_section(
    frames: list[Frame], restorer: NetworkRestorer, watched: Watched
) -> Iterator[tuple[int, int]]:
    """Give the bytes that come back of each frame, and the kernels so far."""
    run = restorer.start_run(style_strength=1.0)
    sent = list(upload(frames, META, restorer.size))
    with watched.mode:
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
    list(run_section(frames[:1], restorer, Watched()))  # Constants are sent once, at the start.
    told.clear()
    watched = Watched()
    packed = list(run_section(frames, restorer, watched))
    assert len(packed) == len(frames)
    planes = sum(plane.nbytes for plane in frames[0].picture.planes)
    assert all(0 < changed < planes for changed, _ in packed)
    assert len(told) == 2 and all(one.nbytes == 4 for one in told), "one flag a crop"
    last = packed[-1][1] - packed[-2][1]
    assert 100 < last <= MOST_KERNELS, "of a frame that is filtered and put back"
    assert watched.uploads <= 12 * len(frames) and watched.uploaded_bytes < 2**20


def test_a_wait_is_found() -> None:
    values, watched = torch.empty(3, device="meta"), Watched()
    for ask in (lambda: float(values.sum()), lambda: values[values > 0]):
        with pytest.raises((AssertionError, RuntimeError, NotImplementedError)), watched.mode:
            ask()
    with pytest.raises(AssertionError, match="mixes"), watched.mode:
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
    frames = noisy(aligned(pan(8), 64))

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
