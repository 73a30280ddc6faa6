"""Which backend computes a network fastest on this machine, and still the same pictures.

Every backend that is installed restores the same faces, or finds the faces of the same picture, in
turn. What differs from torch in float32 by more than a bound is not chosen, however fast, nor what
is not faster than the default by a margin.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

import vidrestore
from vidrestore.errors import ModelError, UsageError
from vidrestore.models.interfaces import FaceDetector
from vidrestore.models.load import (
    load_detector,
    load_restorer,
    resolve_device,
    weights_sha256,
)
from vidrestore.models.names import resolve, split_arch
from vidrestore.models.restorers.precision import MIN_PSNR_DB, drawn_face, psnr
from vidrestore.models.runners.backends import (
    BACKENDS,
    Backend,
    default_backend,
    require_backend,
)
from vidrestore.models.runners.choices import Choice, make_choice
from vidrestore.models.weights.onnx_file import is_onnx
from vidrestore.models.zoo import ModelSpec, Task

__all__ = ["Comparison", "Measured", "choose_backends", "describe_comparison"]

MOST_MEAN_255, MOST_MAX_255 = 1.0, 16.0
"""Largest accepted difference of restored crops to torch in float32, mean and anywhere."""

MOST_LANDMARK_PX, MOST_SCORE = 0.05, 0.005
"""Likewise of a detector's answers."""

LEAST_GAIN = 1.05
"""How many times faster than the default a backend must be."""

_ROUNDS = 7

_LEFT_OUT = {("compiled", "cpu")}
"""It compiles for minutes in the first run, and gains little over the other backends of the CPU."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One backend."""

    backend: Backend
    computes: str
    """Backend, version and precision; "" where it failed."""
    ms: float
    """Of a call, the median: of all processors on the CPU, else by the clock."""
    start_s: float
    """Loading and the first call, by the clock."""
    apart: dict[str, float]
    """Differences to torch in float32, by name and unit."""
    agrees: bool
    """Whether they are within the bounds."""
    why: str = ""
    """Why it was not measured."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """All backends of one network."""

    task: Task
    model: str
    device: str
    measured: tuple[Measured, ...]
    chosen: Backend
    default: Backend


def choose_backends(
    model: str, detector: str, device: str
) -> tuple[list[Comparison], list[Choice]]:
    """Compare all backends that are installed.

    Args:
        model: the restorer, by name or weights file.
        detector: likewise.
        device: where to run.

    Returns:
        What was measured, and what to store.

    Raises:
        UsageError: a model has no network of its own to choose for.
        VidRestoreError: for weights and models.
    """
    where = resolve_device(device)
    both: tuple[tuple[Task, str], ...] = (("restorer", model), ("detector", detector))
    compared, choices = [], []
    for task, name in both:
        chosen = resolve(name, task)
        if not _has_network(chosen):
            raise UsageError(f"--choose: {task} {name}: there is nothing to choose for it")
        one = _compare(task, name, where)
        sha256 = weights_sha256(chosen)
        assert sha256 is not None
        compared.append(one)
        choices.append(make_choice(one.model, sha256, where, one.chosen))
    return compared, choices


def _has_network(chosen: ModelSpec | Path) -> bool:
    """Whether a model is a network of ours, which several backends take."""
    if isinstance(chosen, ModelSpec):
        return chosen.needs_file
    return not is_onnx(split_arch(chosen)[0])


def _compare(task: Task, name: str, device: torch.device) -> Comparison:
    default = default_backend(device.type)
    probe = _restorer_probe if task == "restorer" else _detector_probe
    wanted, calls, found = probe(name, device, "eager", exact=True), {}, []
    for backend in BACKENDS:
        if (backend, device.type) in _LEFT_OUT:
            continue
        try:
            require_backend(backend, device.type)
            begun = time.perf_counter()
            one = probe(name, device, backend)
            start_s = time.perf_counter() - begun
        except (ModelError, UsageError) as error:
            found.append(Measured(backend, "", 0.0, 0.0, {}, False, str(error)))
            continue
        calls[backend] = one.call
        found.append(
            Measured(backend, one.computes, 0.0, start_s, *one.compare(one.answer, wanted.answer))
        )
    times = _time_in_turn(calls, device)
    measured = tuple(
        Measured(
            m.backend, m.computes, times.get(m.backend, 0.0), m.start_s, m.apart, m.agrees, m.why
        )
        for m in found
    )
    return Comparison(
        task, wanted.model, str(device), measured, _fastest(measured, default), default
    )


def _fastest(measured: tuple[Measured, ...], default: Backend) -> Backend:
    ms = {one.backend: one.ms for one in measured if one.agrees}
    best = min(ms, key=lambda backend: ms[backend], default=default)
    if default in ms and ms[default] < LEAST_GAIN * ms[best]:
        return default
    return best


def _time_in_turn(
    calls: dict[Backend, Callable[[], object]], device: torch.device
) -> dict[Backend, float]:
    """Median milliseconds of each call, one after the other in every round."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    taken: dict[Backend, list[float]] = {backend: [] for backend in calls}
    for _ in range(_ROUNDS):
        for backend, call in calls.items():
            begun = clock()
            call()
            taken[backend].append(1000 * (clock() - begun))
    return {backend: statistics.median(times) for backend, times in taken.items()}


@dataclass(frozen=True, slots=True)
class _Probe:
    """A network behind a backend, and what it makes of the test pictures."""

    model: str
    computes: str
    call: Callable[[], Any]
    answer: Any
    compare: Callable[[Any, Any], tuple[dict[str, float], bool]]


def _restorer_probe(
    name: str, device: torch.device, backend: Backend, exact: bool = False
) -> _Probe:
    restorer: Any = load_restorer(
        name, device=device, backend=backend, precision="float32" if exact else "auto"
    )
    face = drawn_face(restorer.template, restorer.size)
    picture = cv2.resize(_portrait(), (restorer.size, restorer.size), interpolation=cv2.INTER_AREA)
    photo = torch.from_numpy(picture).permute(2, 0, 1).float() / 255
    crops = torch.stack([face, photo, (face * 0.5).clamp(0, 1), photo.flip(2)])
    run = restorer.start_run
    answer: Tensor = run()(crops)
    return _Probe(restorer.name, str(restorer.facts), lambda: run()(crops), answer, _compare_crops)


def _compare_crops(found: Tensor, wanted: Tensor) -> tuple[dict[str, float], bool]:
    apart = (found - wanted).abs() * 255
    told = {
        "psnr_db": round(psnr(found, wanted), 2),
        "mean_255": float(apart.mean()),
        "max_255": float(apart.max()),
    }
    agrees = (
        told["psnr_db"] >= MIN_PSNR_DB
        and told["mean_255"] <= MOST_MEAN_255
        and told["max_255"] <= MOST_MAX_255
    )
    return told, agrees


def _detector_probe(
    name: str, device: torch.device, backend: Backend, exact: bool = False
) -> _Probe:
    detector: FaceDetector = load_detector(name, device=device, backend=backend)
    images = torch.from_numpy(_portrait()).permute(2, 0, 1)[None].contiguous().float() / 255
    computes = str(getattr(detector, "facts", backend))
    return _Probe(
        detector.name, computes, lambda: detector(images), detector(images)[0], _compare_faces
    )


def _compare_faces(found: Any, wanted: Any) -> tuple[dict[str, float], bool]:
    if len(found) != len(wanted):
        return {"faces": float(len(found) - len(wanted))}, False
    told = {
        "landmark_px": float(np.abs(found.landmarks - wanted.landmarks).max(initial=0)),
        "score": float(np.abs(found.scores - wanted.scores).max(initial=0)),
    }
    return told, told["landmark_px"] <= MOST_LANDMARK_PX and told["score"] <= MOST_SCORE


def _portrait() -> np.ndarray[Any, Any]:
    """A public-domain portrait, (512, 512, 3) uint8 RGB."""
    path = Path(vidrestore.__file__).parent / "demo" / "astronaut.png"
    picture = cv2.imread(str(path))
    assert picture is not None
    return np.ascontiguousarray(picture[..., ::-1])


def describe_comparison(one: Comparison) -> Iterator[str]:
    """What was measured, as lines for a person."""
    yield f"{one.task} {one.model} on {one.device}"
    for found in one.measured:
        if found.why:
            yield f"  {found.backend:<12} {found.why}"
            continue
        apart = ", ".join(f"{name} {value:.3g}" for name, value in found.apart.items())
        mark = "chosen" if found.backend == one.chosen else "" if found.agrees else "too far apart"
        yield (
            f"  {found.backend:<12}{found.ms:9.1f} ms a call, {found.start_s:6.1f} s to start; "
            f"{apart}{'; ' + mark if mark else ''} ({found.computes})"
        )
