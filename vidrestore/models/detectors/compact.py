"""The embedded face detector, as the pipeline calls it.

``CompactFaceDetector`` pads, runs the networks of `vidrestore.models.nets.compact_detector` on a
batch, and turns their answers into ``Detections``; conventions are those of that module.
"""

from __future__ import annotations

import threading
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.landmarks import roll_degrees
from vidrestore.models.detectors.suppression import detections_from_candidates
from vidrestore.models.nets.compact_detector import (
    REFINER_PX,
    REFINER_ZOOMS,
    STRIDES,
    CompactDetector,
    fold_batch_norms,
    refiner_crops,
    refiner_frames,
)
from vidrestore.models.runners.backends import (
    Backend,
    default_backend,
    require_backend,
    version_of,
)
from vidrestore.models.runners.make import make_runner
from vidrestore.models.runners.padded import PaddedRunner
from vidrestore.models.runners.runner import Outputs, Part, Runner, RunnerFacts
from vidrestore.structs import Detections

__all__ = ["CompactFaceDetector"]

CLOSE_UP_PX = 180.0
"""Faces larger than this (square root of the box's area) are also looked for at half the size."""

CELL_LANDMARKS_SHARE = 0.2
"""Share of the cells' landmarks in the answer; the rest is the refiner's."""

REFINER_TEMPERATURE = 2.0
"""By which the refiner's logits are divided (Guo et al. 2017, arXiv:1706.04599): real blurs of
a crowd are harder to judge than the made-up ones that made it so sure."""

DEFAULT_SCORE_THRESHOLD = 0.62
"""Least score of an answer, chosen on clips and held-out scenes (see the model's card)."""

DEFAULT_MAX_ROLL_DEGREES = 65.0
"""Heads tilted further to the side are not answered: frames are shown upright, and a "face" that
lies on its side is nearly always a picture or an ornament."""


class CompactFaceDetector:
    """A `FaceDetector` with a loaded `CompactDetector`."""

    name: str = "compact"
    """What it is, for reports; whoever loads the weights says which."""

    def __init__(
        self,
        network: CompactDetector,
        *,
        score_threshold: float = DEFAULT_SCORE_THRESHOLD,
        cell_threshold: float = 0.3,
        overlap: float = 0.4,
        max_roll_degrees: float = DEFAULT_MAX_ROLL_DEGREES,
        device: torch.device | str = "cpu",
        backend: Backend | None = None,
    ) -> None:
        """Fold batch normalisation into the convolutions and move the network to `device`.

        Args:
            network: with weights; left unchanged.
            score_threshold: least score of an answer: the geometric mean of both networks' scores.
            cell_threshold: least score of the cells for the refiner to be run.
            overlap: boxes with a greater IoU than this are one face.
            max_roll_degrees: heads that lean further to either side are not answered.
            device: where to run.
            backend: what computes the networks; None for the default of the device.
        """
        folded = fold_batch_norms(network)
        self.network = folded.to(device).to(memory_format=torch.channels_last)
        self.score_threshold, self.cell_threshold = score_threshold, cell_threshold
        self.overlap, self.max_roll_degrees = overlap, max_roll_degrees
        self.device = torch.device(device)
        self._backend = backend or default_backend(self.device.type)
        require_backend(self._backend, self.device.type)
        self._runners: dict[str, Runner] = {}
        self._making = threading.Lock()

    @property
    def facts(self) -> RunnerFacts:
        """What computes the networks, for plans and reports."""
        return RunnerFacts(self._backend, version_of(self._backend), "float32")

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
            images: (N, 3, H, W) float RGB in [0, 1], any size.
            min_score: least score of an answer; None for the detector's own threshold.
            max_roll_degrees: heads that lean further are not answered; None for the own limit.

        Returns:
            One `Detections` for each image, best first, in its pixels.
        """
        height, width = images.shape[2:]
        closer = max(height, width) > CLOSE_UP_PX
        step = STRIDES[-1] * (2 if closer else 1)
        images = images.to(self.device, torch.float32)
        padded = F.pad(images, (0, -width % step, 0, -height % step), value=0.5)
        cells = self._cells(padded)
        if closer:
            pairs = zip(cells, self._close_ups(padded), strict=True)
            cells = _CellAnswers(*(torch.cat(pair, 1) for pair in pairs))
        least = self.score_threshold if min_score is None else min_score
        most = self.max_roll_degrees if max_roll_degrees is None else max_roll_degrees
        first = min(self.cell_threshold, least)
        found = [
            detections_from_candidates(*one, first, self.overlap, average=True)
            for one in zip(*cells, strict=True)
        ]
        return self._refined(padded, found, least, most)

    def _cells(self, padded: Tensor) -> _CellAnswers:
        given = padded.contiguous(memory_format=torch.channels_last)
        logits, boxes, landmarks = self._run("cells", given)
        return _CellAnswers(logits.sigmoid(), boxes, landmarks)

    def _close_ups(self, padded: Tensor) -> _CellAnswers:
        """The same from copies of half the size: faces larger than any it was trained with."""
        scores, boxes, landmarks = self._cells(F.avg_pool2d(padded, 2))
        boxes, landmarks = 2 * boxes + 0.5, 2 * landmarks + 0.5
        size = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(2).sqrt()
        return _CellAnswers(torch.where(size > CLOSE_UP_PX, scores, 0.0), boxes, landmarks)

    def _refined(
        self,
        images: Tensor,
        found: list[Detections],
        min_score: float,
        max_roll_degrees: float,
    ) -> list[Detections]:
        """Refine every face: its landmarks, and whether it is one.

        The refiner is asked twice, about crops of two sizes (`REFINER_ZOOMS`), as its first answer
        centres the crop for the second, which decides; the landmarks are the mean of both. The
        cells', which err more but in other ways, keep a share (`CELL_LANDMARKS_SHARE`).
        """
        counts = [len(one) for one in found]
        if not any(counts):
            return found
        first, boxes, landmarks = (
            torch.from_numpy(np.concatenate(parts)).to(images.device)
            for parts in zip(
                *((one.scores, one.boxes_xyxy, one.landmarks) for one in found), strict=True
            )
        )
        places = [landmarks]
        for zoom in REFINER_ZOOMS:
            frames = refiner_frames(boxes, places[-1], zoom)
            crops = torch.cat(
                [
                    refiner_crops(image, part)
                    for image, part in zip(images, frames.split_with_sizes(counts), strict=True)
                ]
            )
            logits, points = self._run(
                "refiner", crops.contiguous(memory_format=torch.channels_last)
            )
            places.append(points @ frames[:, :, :2].transpose(1, 2) + frames[:, None, :, 2])
        second = (logits / REFINER_TEMPERATURE).sigmoid()
        landmarks = torch.lerp(torch.stack(places[1:]).mean(0), landmarks, CELL_LANDMARKS_SHARE)
        scores = (first * second).sqrt().cpu().split_with_sizes(counts)
        parts = zip(found, scores, landmarks.cpu().split_with_sizes(counts), strict=True)
        return [
            _surest(one.boxes_xyxy, placed.numpy(), sure.numpy(), min_score, max_roll_degrees)
            for one, sure, placed in parts
        ]

    def _run(self, kind: str, given: Tensor) -> Outputs:
        with self._making:
            if kind not in self._runners:
                self._runners[kind] = self._runner(kind)
        return self._runners[kind].run(given)

    def _runner(self, kind: str) -> Runner:
        name, step = f"{self.name} {kind}", STRIDES[-1]
        module: nn.Module
        takes: tuple[int | None, ...]
        if kind == "cells":
            module, takes = _Cells(self.network).eval(), (3, None, None)
            sides, multiples = (2 * step, 3 * step), {2: step, 3: step}
        else:
            module, takes = _Refiner(self.network).eval(), (3, REFINER_PX, REFINER_PX)
            sides, multiples = (REFINER_PX, REFINER_PX), {}
        example = torch.linspace(0, 1, 6 * sides[0] * sides[1], device=self.device)
        part = Part(name, module, takes, lambda: (example.view(2, 3, *sides),), multiples)
        runner = make_runner(part, backend=self._backend, device=self.device, precision="float32")
        fixed = kind == "refiner" and self._backend in ("compiled", "cuda_graph")
        return PaddedRunner(runner) if fixed else runner


class _CellAnswers(NamedTuple):
    """What the cells of pictures say."""

    scores: Tensor
    """(N, P)."""
    boxes: Tensor
    """(N, P, 4) in pixels of the pictures."""
    landmarks: Tensor
    """(N, P, 5, 2), likewise."""


def _surest(
    boxes: npt.NDArray[np.float32],
    landmarks: npt.NDArray[np.float32],
    scores: npt.NDArray[np.float32],
    min_score: float,
    max_roll_degrees: float,
) -> Detections:
    """Answers that are sure and upright enough, best first."""
    order = np.argsort(-scores, kind="stable")
    upright = np.abs(roll_degrees(landmarks)) < max_roll_degrees
    order = order[(upright & (scores >= min_score))[order]]
    return Detections(boxes[order], landmarks[order], scores[order].astype(np.float32))


class _Cells(nn.Module):
    """The network that answers for all cells, as tensors in, tensors out."""

    def __init__(self, network: CompactDetector) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits, boxes, landmarks = self.network(images)
        return logits, boxes, landmarks


class _Refiner(nn.Module):
    """The network that looks at each face again, without its maps."""

    def __init__(self, network: CompactDetector) -> None:
        super().__init__()
        self.refiner = network.refiner

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        logits, landmarks, _ = self.refiner(crops)
        return logits, landmarks
