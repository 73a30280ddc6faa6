"""Choose a network's number format: the fastest that still gives the pictures of float32.

Half the bits double the speed where the hardware has them, and cost some exactness, how much
depends on the weights. So it is measured: a drawn face goes through the network in both formats,
and the short one is taken where the two pictures agree to `MIN_PSNR_DB`. The drawing is fixed, and
so is the answer: it depends on the network and the machine, not on the video.
"""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vidrestore.landmarks import tensor_eye_distances
from vidrestore.models.restorers.parts import Whole
from vidrestore.models.restorers.prepare import Precision, prepare_for_inference
from vidrestore.models.runners.runner import reproducible

__all__ = [
    "MIN_PSNR_DB",
    "agrees",
    "drawn_face",
    "fast_precision",
    "prepare_fastest",
    "psnr",
    "run_network",
]

logger = logging.getLogger(__name__)

MIN_PSNR_DB = 45.0
"""Least agreement of a short format with float32, on pictures in [0, 1]."""


def prepare_fastest(
    network: nn.Module,
    device: torch.device,
    template: npt.NDArray[np.float64],
    size: int,
) -> tuple[nn.Module, Precision]:
    """Make a network ready for inference, in the fastest format that is exact enough.

    Args:
        network: a network from and to RGB in [-1, 1], with its weights; it is used up.
        device: where it will run.
        template: (5, 2) landmarks of its crops.
        size: side of its crops.

    Returns:
        The network and its format.
    """
    fast = fast_precision(device)
    if fast == "float32":
        return prepare_for_inference(network, device, fast), fast
    exact = prepare_for_inference(copy.deepcopy(network), device, "float32")
    candidate = prepare_for_inference(network, device, fast)
    face = drawn_face(template, size)[None].to(device)
    if agrees(fast, run_network(candidate, face), run_network(exact, face)):
        return candidate, fast
    return exact, "float32"


def agrees(precision: Precision, found: Tensor, exact: Tensor) -> bool:
    """Whether pictures in a short format are close enough to those in float32."""
    psnr_db = psnr(found, exact)
    logger.info("%s agrees with float32 to %.1f dB", precision, psnr_db)
    return psnr_db >= MIN_PSNR_DB


def fast_precision(device: torch.device) -> Precision:
    """The fastest format that a device computes in, be it exact enough or not."""
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(False) else "float16"
    if device.type == "cpu" and _cpu_has_bfloat16():
        return "bfloat16"
    return "float32"


def run_network(network: nn.Module, crops: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
    """Run a prepared network, as torch runs it.

    Args:
        network: from `prepare_for_inference`; it casts its input to its own format.
        crops: (N, 3, S, S) float RGB in [0, 1], on the network's device.
        noise: one map a layer, for networks that take noise; None for their own.

    Returns:
        (N, 3, S, S) float32 RGB, neither clamped nor checked.
    """
    with torch.inference_mode(), reproducible(crops.device):
        pictures: Tensor = Whole(network)(crops, *(noise or ()))
    return pictures


def drawn_face(template: npt.NDArray[np.float64], size: int) -> Tensor:
    """A simple face, soft blobs and a fine grain, where a crop would have it.

    Args:
        template: (5, 2) landmarks in pixels.
        size: side of the picture.

    Returns:
        (3, size, size) float32 RGB in [0, 1].
    """
    points = torch.from_numpy(template).float()
    eyes = float(tensor_eye_distances(points))
    axis = torch.arange(size, dtype=torch.float32)
    x, y = axis[None, :], axis[:, None]
    picture = torch.tensor((0.35, 0.40, 0.48))[:, None, None] + 0.2 * (y / size - 0.5)
    blobs = [(points.mean(0), (1.5, 2.1), (0.82, 0.62, 0.52))]
    blobs += [(eye, (0.28, 0.14), (0.12, 0.10, 0.10)) for eye in points[:2]]
    blobs += [(points[2], (0.2, 0.15), (0.70, 0.48, 0.40))]
    blobs += [(points[3:].mean(0), (0.5, 0.14), (0.62, 0.26, 0.26))]
    for centre, (width, height), colour in blobs:
        distance = ((x - centre[0]) / (width * eyes)) ** 2 + (
            (y - centre[1]) / (height * eyes)
        ) ** 2
        cover = torch.sigmoid(8 * (1 - distance))
        picture = picture + cover * (torch.tensor(colour)[:, None, None] - picture)
    grain = 0.02 * torch.sin(1.1 * x) * torch.sin(0.7 * y + 0.3 * x)
    return (picture + grain).clamp(0, 1)


def psnr(a: Tensor, b: Tensor) -> float:
    """Agreement in dB of pictures in [0, 1]; -inf where one is not finite."""
    error = float((a.clamp(0, 1) - b.clamp(0, 1)).double().square().mean())
    return -10 * math.log10(max(error, 1e-20)) if math.isfinite(error) else -math.inf


def _cpu_has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 in hardware; without that it is slower than float32."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in checks)
