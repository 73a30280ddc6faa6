"""Speed of the networks alone, of what lies around them, and of whole runs, on a device; one JSON
file.

    python tools/gpu_speed.py --out gpu_check.json [--device cuda:0]

Networks have random weights. Faces a second are those of full batches that lie on the device, the
median of several calls; the share is that of a large matrix product measured on the same device.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from vidrestore.bench.runs import bench
from vidrestore.config import resolve_config
from vidrestore.demo.crowd import make_crowd
from vidrestore.job import make_job
from vidrestore.jobs.readers import open_reader
from vidrestore.models.cost import measure_ceiling, measure_cost
from vidrestore.models.load import load_detector, load_restorer, outline_restorer
from vidrestore.models.registry import build
from vidrestore.models.restorers.parts import NetworkParts
from vidrestore.models.restorers.precision import fast_precision
from vidrestore.models.restorers.prepare import prepare_for_inference
from vidrestore.models.runners.backends import Backend
from vidrestore.models.zoo import find
from vidrestore.pipeline import tracked_frames
from vidrestore.runtime.machine import describe_machine
from vidrestore.stages.blend import blend
from vidrestore.stages.restore import restore
from vidrestore.stages.temporal_filter import temporal_filter
from vidrestore.stages.upload import upload

NETWORKS = ("gfpgan-1.4", "gpen-512")


def network_speed(
    name: str, device: torch.device, backend: Backend, crops: int, calls: int
) -> dict[str, Any]:
    """Faces a second of one network behind a backend, and its share of the ceiling."""
    [spec] = find(name, "restorer")
    precision = fast_precision(device)
    network = prepare_for_inference(build(spec.arch, **spec.hyperparameters), device, precision)
    parts = NetworkParts(network, name, 512, backend, device, precision)
    pictures = torch.rand(crops, 3, 512, 512, device=device)
    begun = time.perf_counter()
    parts.run(pictures)
    start_s = time.perf_counter() - begun
    seconds = []
    for _ in range(calls + 2):
        begun = time.perf_counter()
        parts.run(pictures)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - begun)
    outline, size_px = outline_restorer(name)
    flops = measure_cost(outline, crops=crops, size_px=size_px).flops
    taken = statistics.median(seconds[2:])
    return {
        "backend": backend,
        "crops": crops,
        "start_s": start_s,
        "faces_per_s": crops / taken,
        "tflop_per_s": flops / taken / 1e12,
        "share_of_ceiling": flops / taken / measure_ceiling(device),
    }


def section_speed(device: torch.device, frames: int, size: tuple[int, int]) -> dict[str, float]:
    """Milliseconds a frame from uploaded planes to changed samples on the host, with the embedded
    network and one face: the section in which nothing waits for the host; and of its upload.
    """
    restorer = load_restorer("embedded", device=str(device))
    config = resolve_config(None, {})
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        make_crowd(clip, *size, 1, frames)
        detector = load_detector("embedded", device=str(device))
        job = make_job(clip, None, config)
        with open_reader(job) as reader:
            aligned = list(tracked_frames(reader.frames(), detector, config))
    run = restorer.start_run(style_strength=1.0)
    found: dict[str, float] = {}
    for _ in range(2):  # The first time fills caches.
        begun = time.perf_counter()
        sent = list(upload(aligned, device, restorer.size))
        found["upload_ms"] = 1e3 * (time.perf_counter() - begun) / frames
        begun = time.perf_counter()
        restored = restore(sent, run)
        filtered = temporal_filter(restored, config.temporal_filter, on_device=True)
        count = sum(1 for _ in blend(filtered, config.blend))
        found["section_ms"] = 1e3 * (time.perf_counter() - begun) / count
    return found


def decode_speed(device: torch.device, frames: int, size: tuple[int, int]) -> dict[str, Any]:
    """Milliseconds a frame of decoding H.264 by software and by NVDEC, on the clock and of the CPU;
    or why NVDEC is not taken.
    """
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        make_crowd(clip, *size, 1, frames)
        for name, hardware in (("software", None), ("nvdec", "nvdec")):
            values = {"decode.hardware": hardware, "run.device": str(device)}
            job = make_job(clip, None, resolve_config(None, values))
            if job.config.decode.hardware != hardware:
                return found | {name: list(job.warnings)}
            begun, used = time.perf_counter(), time.process_time()
            with open_reader(job) as reader:
                count = sum(1 for _ in reader.frames())
            seconds, cpu_s = time.perf_counter() - begun, time.process_time() - used
            found[name] = {"ms": 1e3 * seconds / count, "cpu_ms": 1e3 * cpu_s / count}
    return found


def whole_runs(
    device: str, frames: int, size: tuple[int, int], hardware: str | None = None
) -> dict[str, Any]:
    """A run of one face from file to file, with random weights of GFP-GAN 1.4.

    Args:
        device: where.
        frames: how many.
        size: width and height.
        hardware: what decodes; None for the CPU.
    """
    [spec] = find("gfpgan-1.4", "restorer")
    with tempfile.TemporaryDirectory() as folder:
        weights, clip = Path(folder) / "random.safetensors", Path(folder) / "clip.mp4"
        save_file(build(spec.arch, **spec.hyperparameters).state_dict(), weights)
        make_crowd(clip, *size, 1, frames)
        options = ["--model", str(weights)]
        options += ["--decode.hardware", hardware] if hardware else []
        result = bench(clip, frames=[frames], devices=[device], options=options)
    return dataclasses.asdict(result)


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--crops", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--backends", nargs="+", default=["eager", "cuda_graph", "compiled"])
    parser.add_argument("--calls", type=int, default=10)
    parser.add_argument("--frames", type=int, default=250)
    parser.add_argument("--size", type=int, nargs=2, default=[1920, 1080])
    parser.add_argument("--tests-code", type=int, help="exit code of the tests, kept in the file")
    given = parser.parse_args()
    device = torch.device(given.device)
    found: dict[str, Any] = {"machine": describe_machine(), "tests_code": given.tests_code}
    found["ceiling_tflop_per_s"] = measure_ceiling(device) / 1e12
    found["networks"] = {
        name: [
            network_speed(name, device, backend, crops, given.calls)
            for backend in given.backends
            for crops in (given.crops if backend != "compiled" else given.crops[-1:])
        ]
        for name in NETWORKS
    }
    found["section"] = section_speed(device, min(given.frames, 100), tuple(given.size))
    found["decode"] = decode_speed(device, min(given.frames, 100), tuple(given.size))
    found["run"] = whole_runs(given.device, given.frames, tuple(given.size))
    if "ms" in found["decode"]["nvdec"]:
        found["run_by_nvdec"] = whole_runs(given.device, given.frames, tuple(given.size), "nvdec")
    given.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(
        json.dumps(
            {k: found[k] for k in ("ceiling_tflop_per_s", "networks", "section", "decode")},
            indent=2,
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
