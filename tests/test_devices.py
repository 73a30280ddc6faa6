"""What is restored does not depend on the device; on a GPU nothing waits inside a batch.

The cases of the CPU run everywhere. Those of a GPU are run by `tools/gpu_check.sh`.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from clips import decoded_planes, face_frames, write_clip
from gpu import DEVICES, needs_cuda

from vidrestore import Session
from vidrestore.models.interfaces import CropKey
from vidrestore.models.load import load_detector
from vidrestore.models.registry import build
from vidrestore.models.restorers.network import NetworkRestorer
from vidrestore.models.restorers.precision import drawn_face, run_network
from vidrestore.models.restorers.prepare import Precision
from vidrestore.models.restorers.style_memory import StyleMemory
from vidrestore.models.templates import landmark_template

SIZE = 64
NETWORKS: dict[str, dict[str, Any]] = {
    "gfpgan_clean": {"out_size": SIZE, "narrow": 0.125},
    "gfpgan": {"out_size": SIZE, "narrow": 0.125},
    "gfpgan_bilinear": {"out_size": SIZE, "narrow": 0.125},
    "gpen": {"size": SIZE, "narrow": 0.125},
    "compact_unet": {},
}
LEAST_PSNR_DB: dict[Precision, float] = {"float32": 70.0, "bfloat16": 25.0, "float16": 35.0}


def restorer(name: str, device: str, precision: Precision, batch_size: int = 2) -> NetworkRestorer:
    torch.manual_seed(0)
    network = build(name, **NETWORKS[name])
    return NetworkRestorer(
        network, size=SIZE, device=device, precision=precision, batch_size=batch_size
    )


def faces(count: int) -> torch.Tensor:
    face = drawn_face(landmark_template("ffhq", SIZE), SIZE)
    return torch.stack([(face * (1 - 0.1 * number)).clamp(0, 1) for number in range(count)])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", LEAST_PSNR_DB)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_gives_the_pictures_of_float32_on_the_cpu(
    name: str, precision: Precision, device: str
) -> None:
    if device == "cpu" and precision == "float16":
        precision = "bfloat16"  # CPUs have no convolutions in float16.
    wanted = restorer(name, "cpu", "float32")(faces(3))
    found = restorer(name, device, precision)(faces(3))
    error = float((found - wanted).square().mean())
    assert -10 * torch.log10(torch.tensor(max(error, 1e-12))) >= LEAST_PSNR_DB[precision]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ["gfpgan_clean", "gpen"])
def test_two_calls_agree_bit_for_bit(name: str, device: str) -> None:
    network = restorer(name, device, "bfloat16")
    assert torch.equal(network(faces(3)), network(faces(3)))


@pytest.mark.parametrize("device", DEVICES)
def test_a_detector_finds_the_same(device: str) -> None:
    image = torch.from_numpy(face_frames(1)[0]).permute(2, 0, 1)[None] / 255
    [wanted] = load_detector("embedded", device="cpu")(image)
    [found] = load_detector("embedded", device=device)(image)
    assert len(found) == len(wanted) == 1
    assert abs(found.landmarks - wanted.landmarks).max() < 0.2


@pytest.mark.parametrize("device", DEVICES)
def test_films_of_one_session_are_those_of_the_cpu(device: str, tmp_path: Path) -> None:
    """Two at once, from two threads."""
    clip = write_clip(tmp_path / "clip.mkv", face_frames(2), codec="ffv1")
    with Session(device="cpu") as session:
        session.video(clip, tmp_path / "wanted.mkv")
    outputs = [tmp_path / f"{number}.mkv" for number in range(2)]
    with Session(device=device) as session:
        threads = [
            threading.Thread(target=session.video, args=(clip, output)) for output in outputs
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    wanted, *found = (decoded_planes(path) for path in (tmp_path / "wanted.mkv", *outputs))
    for planes in found:
        pairs = [
            (one.int() - other.int()).abs().float()
            for frame, expected in zip(planes, wanted, strict=True)
            for one, other in zip(frame, expected, strict=True)
        ]
        assert max(float(apart.mean()) for apart in pairs) < 0.1
        assert max(float(apart.max()) for apart in pairs) <= (0 if device == "cpu" else 8)


@needs_cuda()
@pytest.mark.cuda
@pytest.mark.parametrize("name", NETWORKS)
def test_the_host_does_not_wait_inside_a_batch(name: str) -> None:
    network = restorer(name, "cuda", "bfloat16")
    crops = faces(2).cuda()
    run_network(network.network, crops)
    torch.cuda.set_sync_debug_mode("error")
    try:
        run_network(network.network, crops)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@needs_cuda()
@pytest.mark.cuda
def test_a_batch_that_does_not_fit_is_halved() -> None:
    network = restorer("gfpgan_clean", "cuda", "float32", batch_size=256)
    free, total = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction(0.3 * 2**30 / total)
    try:
        run = network.start_run()
        found = run(faces(4))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert found.shape == (4, 3, SIZE, SIZE) and free > 0
    assert any("out of memory" in note for note in run.notes)


@needs_cuda()
@pytest.mark.cuda
@pytest.mark.parametrize("name", NETWORKS)
def test_a_graph_gives_the_bits_of_torch(name: str) -> None:
    """A graph launches the kernels that torch launches one by one, from any stream."""
    found = []
    for backend in ("cuda_graph", "eager"):
        torch.manual_seed(0)
        network = build(name, **NETWORKS[name])
        shared = NetworkRestorer(
            network, size=SIZE, device="cuda", precision="bfloat16", backend=backend
        )
        with torch.cuda.stream(torch.cuda.Stream()):
            found.append([shared(faces(count)) for count in (1, 3, 16, 5, 1)])
    assert all(map(torch.equal, *found))


@needs_cuda()
@pytest.mark.cuda
def test_styles_do_not_make_the_host_wait() -> None:
    memory, codes = StyleMemory(0.9), torch.rand(4, 3, 8, device="cuda")
    keys = [CropKey(0, number % 2, number // 2) for number in range(4)]
    memory.steering(keys, "cuda")(codes)
    memory.commit()
    torch.cuda.set_sync_debug_mode("error")
    try:
        memory.steering(keys, "cuda")(codes)
    finally:
        torch.cuda.set_sync_debug_mode("default")
