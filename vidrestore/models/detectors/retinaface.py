"""RetinaFace (arXiv:1905.00641) as facexlib builds it, with our own loading and a batched decoding
on tensors.

``build_retinaface`` makes the network without touching the net or a device; ``RetinaFaceDetector``
calls it. facexlib's own pre- and post-processing (one picture at a time, BGR, NumPy) is not used,
but gives the same boxes.

Conventions: anchors as the published weights expect them, which puts pixel ``i`` at ``i``; see
    `RetinaFaceDetector.__call__`.
"""

from __future__ import annotations

import warnings
from typing import Literal

import torch
from torch import Tensor, nn

from vidrestore.errors import UsageError
from vidrestore.models.detectors.suppression import detections_from_candidates, within_roll
from vidrestore.models.runners.backends import Backend, default_backend, is_onnx_backend
from vidrestore.models.runners.make import make_runner
from vidrestore.models.runners.runner import Part, RunnerFacts
from vidrestore.runtime.submodules import import_alone
from vidrestore.structs import Detections

__all__ = ["RetinaFaceDetector", "anchors", "build_retinaface"]

Backbone = Literal["mobile0.25", "resnet50"]

MEAN_RGB = (123.0, 117.0, 104.0)
"""Subtracted from 8-bit values before the network, as in its training."""

ANCHOR_SIZES_PX = {8: (16, 32), 16: (64, 128), 32: (256, 512)}
"""Square anchors by stride."""

VARIANCES = (0.1, 0.2)
"""Scale of predicted shifts and of predicted log-sizes."""


def build_retinaface(backbone: Backbone = "mobile0.25") -> nn.Module:
    """Build facexlib's network with random weights, on the CPU, in evaluation mode.

    Args:
        backbone: ``mobile0.25`` or ``resnet50``.

    Returns:
        A module from (N, 3, H, W) BGR minus the mean to boxes, softmaxed classes and landmarks of
        all anchors.
    """
    # Alone, since the package as a whole brings what it fetches, tracks and draws with.
    facexlib = import_alone("facexlib.detection.retinaface")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        network: nn.Module = facexlib.RetinaFace(backbone, device=torch.device("cpu"))
    return network.eval()


def anchors(height: int, width: int, *, device: torch.device | None = None) -> Tensor:
    """All anchors of a picture, in the network's order.

    Args:
        height: picture height in pixels, any.
        width: picture width in pixels, any.
        device: where the result lives.

    Returns:
        (P, 3) float: x, y of the centre and the side, in pixels.
    """
    grids = []
    for stride, sizes in ANCHOR_SIZES_PX.items():
        rows = (torch.arange(-(-height // stride), device=device) + 0.5) * stride
        columns = (torch.arange(-(-width // stride), device=device) + 0.5) * stride
        side = torch.tensor(sizes, dtype=torch.float32, device=device)
        y, x, side = torch.meshgrid(rows, columns, side, indexing="ij")
        grids.append(torch.stack([x, y, side], -1).reshape(-1, 3))
    return torch.cat(grids)


class RetinaFaceDetector:
    """A `FaceDetector` with a loaded RetinaFace."""

    name: str = "retinaface"
    """What it is, for reports; whoever loads the weights says which."""

    def __init__(
        self,
        network: nn.Module,
        *,
        score_threshold: float = 0.8,
        overlap: float = 0.4,
        device: torch.device | str = "cpu",
        backend: Backend | None = None,
    ) -> None:
        """Move the network to `device`.

        Args:
            network: from `build_retinaface`, with weights.
            score_threshold: least score of an answer; facexlib's usual value.
            overlap: boxes with a greater IoU than this are one face.
            device: where to run.
            backend: what computes the network, one of torch's; None for the default of the device.

        Raises:
            UsageError: the backend takes networks as ONNX.
        """
        self.network = network.to(device).to(memory_format=torch.channels_last).eval()
        self.score_threshold, self.overlap = score_threshold, overlap
        self.device = torch.device(device)
        backend = backend or default_backend(self.device.type)
        if is_onnx_backend(backend):
            raise UsageError(
                f"detect.backend {backend}: does not take RetinaFace (pictures of any size); "
                "use auto, eager or compiled"
            )
        part = Part(self.name, self.network, (3, None, None), tuple)
        self._runner = make_runner(part, backend=backend, device=self.device, precision="float32")

    @property
    def facts(self) -> RunnerFacts:
        """What computes the network, for plans and reports."""
        return self._runner.facts

    @torch.inference_mode()
    def __call__(
        self,
        images: Tensor,
        *,
        min_score: float | None = None,
        max_roll_degrees: float | None = None,
    ) -> list[Detections]:
        """Find faces in a batch.

        Args:
            images: (N, 3, H, W) float RGB in [0, 1].
            min_score: least score of an answer; None for the detector's own threshold.
            max_roll_degrees: heads that lean further are not answered; None for no limit.

        Returns:
            One `Detections` for each image, best first, in its pixels.
        """
        mean = torch.tensor(MEAN_RGB, device=self.device).view(1, 3, 1, 1)
        pictures = (images.to(self.device, torch.float32) * 255 - mean).flip(1)
        shifts, classes, points = self._runner.run(pictures)
        priors = anchors(*images.shape[2:], device=self.device)
        boxes, landmarks = decode(shifts, points, priors)
        least = self.score_threshold if min_score is None else min_score
        found = [
            detections_from_candidates(*answers, least, self.overlap)
            for answers in zip(classes[..., 1], boxes, landmarks, strict=True)
        ]
        if max_roll_degrees is None:
            return found
        return [within_roll(one, max_roll_degrees) for one in found]


def decode(shifts: Tensor, points: Tensor, priors: Tensor) -> tuple[Tensor, Tensor]:
    """Turn the network's regressions into pixels.

    Args:
        shifts: (N, P, 4) shifts of the centre and log-sizes.
        points: (N, P, 10) shifts of the landmarks.
        priors: (P, 3) from `anchors`.

    Returns:
        Boxes (N, P, 4) as x0, y0, x1, y1 and landmarks (N, P, 5, 2).
    """
    centre, side = priors[:, :2], priors[:, 2:]
    middle = centre + shifts[..., :2] * VARIANCES[0] * side
    half = side * torch.exp(shifts[..., 2:] * VARIANCES[1]) / 2
    landmarks = (
        centre[:, None] + points.reshape(*points.shape[:2], 5, 2) * VARIANCES[0] * side[:, None]
    )
    return torch.cat([middle - half, middle + half], -1), landmarks
