"""The small detector that ships, in stages of its two networks, the cells and the refiner.

Both learn from made-up scenes (`training.detector_data`): faces of the data folder, cut out,
rotated, hidden and degraded, on backgrounds without faces. A stage with `use_teacher` takes boxes,
landmarks and what counts as a face from RetinaFace's answers (`training.detector_data.teacher`).

A stage begins with the running average of the one before and an optimiser without memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from vidrestore.errors import DataError
from vidrestore.metrics.detections import Agreement
from vidrestore.models.detectors.compact import CompactFaceDetector
from vidrestore.models.interfaces import FaceDetector
from vidrestore.models.nets.compact_detector import CellAnswers, CompactDetector, cell_centres
from vidrestore.structs import Detections
from vidrestore.training.config import CompactDetectorConfig, DetectorStage
from vidrestore.training.detector_data import (
    TEXTURE_NAMES,
    FaceBank,
    Scene,
    SceneComposer,
    bank_source,
    build_face_bank,
    is_kept_from,
    load_textures,
    texture_folder,
)
from vidrestore.training.detector_data.bank_parts import Parts as BankParts
from vidrestore.training.detector_data.held_out import HELD_OUT_PX, detect_in_scene
from vidrestore.training.detector_data.scene_data import (
    CropBatch,
    FaceCrops,
    SceneBatch,
    WholeScenes,
)
from vidrestore.training.detector_data.teacher import load_teacher
from vidrestore.training.distributed import Distributed
from vidrestore.training.losses.detection import cell_losses, refiner_losses
from vidrestore.training.tasks.task import (
    Counters,
    Parts,
    Stage,
    build_network,
    descend,
    load_or_skip,
    load_weights,
    make_average,
    picture_grid,
    set_rate,
)

__all__ = ["CompactDetectorTask", "SceneData", "learning_rate", "open_task", "scene_data"]

_MOST_NORM = {"cells": 10.0, "refiner": 5.0}
"""Longer gradients are shortened to this."""
_WARMUP_STEPS = 500
_LEAST_SHARE = 0.01
"""Of the learning rate, at the schedule's end."""


class SceneData:
    """What scenes are made of; the faces are opened when they are first wanted, see `Data`.

    Args:
        open_bank: gives the faces of "train" or "val".
        textures: pictures without faces.
    """

    def __init__(
        self, open_bank: Callable[[str], FaceBank], textures: Sequence[np.ndarray[Any, Any]]
    ) -> None:
        self._open_bank, self.textures = open_bank, textures

    @cached_property
    def faces(self) -> FaceBank:
        """The faces to learn from."""
        return self._open_bank("train")

    @cached_property
    def held_out(self) -> FaceBank:
        """The faces to be judged by."""
        return self._open_bank("val")

    def open(self) -> None:
        """Open both now."""
        _ = self.faces, self.held_out


class CompactDetectorTask(Parts):
    """See the module.

    Args:
        config: what to do.
        data: what to learn from.
        distributed: where to run.
        network: on its device.
        teacher: of the stages that use one; None leaves them the scenes' own labels.
    """

    best_metric: ClassVar[str] = "loss"
    larger_is_better: ClassVar[bool] = False

    def __init__(
        self,
        config: CompactDetectorConfig,
        data: SceneData,
        distributed: Distributed,
        network: CompactDetector,
        teacher: FaceDetector | None,
    ) -> None:
        super().__init__()
        self.config, self.data, self.distributed, self.teacher = config, data, distributed, teacher
        self.network, self.average = network, make_average(network)
        refiner = list(network.refiner.parameters())
        known = {id(parameter) for parameter in refiner}
        cells = [p for p in network.parameters() if id(p) not in known]
        self.optimisers = {
            name: torch.optim.AdamW(parameters, 0.0, weight_decay=config.weight_decay)
            for name, parameters in (("cells", cells), ("refiner", refiner))
        }
        self.parts = {"network": network, "average": self.average, **self.optimisers}

    def stages(self) -> Sequence[Stage]:
        """One a stage."""
        found, start = [], 0
        for stage in self.config.stages:
            start += stage.images
            composer = SceneComposer(self.data.faces, self.data.textures, size_px=stage.scene_px)
            samples = WholeScenes if stage.network == "cells" else FaceCrops
            teacher = self.teacher if stage.use_teacher else None
            made = samples(composer, self.config.seed, start, teacher)
            found.append(Stage(stage.images, stage.batch_size, made))
        return found

    def step(self, batch: SceneBatch | CropBatch, counters: Counters) -> dict[str, Tensor]:
        """One step of the stage's network."""
        stage = self.config.stages[counters.stage]
        optimiser = self.optimisers[stage.network]
        if counters.stage_images == 0:
            self.network.load_state_dict(self.average.state_dict())
            optimiser.state.clear()
        set_rate(optimiser, learning_rate(stage, counters.stage_images))
        self.network.train()
        coarse = counters.stage_images < stage.bfloat16_share * stage.images
        terms = self._terms(self.network, batch, bfloat16=coarse)
        total = torch.stack(list(terms.values())).sum()
        descend(total, optimiser, self.distributed, most_norm=_MOST_NORM[stage.network])
        done = counters.stage_images // stage.batch_size + 1
        _move_average(self.average, self.network, min(stage.average_keep, done / (done + 9)))
        return terms

    def _terms(
        self, network: CompactDetector, batch: SceneBatch | CropBatch, *, bfloat16: bool
    ) -> dict[str, Tensor]:
        """The weighted terms of either network."""
        low = torch.autocast(self.distributed.device.type, torch.bfloat16, enabled=bfloat16)
        if isinstance(batch, SceneBatch):
            pictures = _as_seen(batch.pictures)
            with low:
                answers = network(pictures)
            answers = CellAnswers(answers.logits.float(), answers.boxes_xyxy, answers.landmarks)
            cells = cell_centres(*pictures.shape[2:], device=pictures.device)
            truth = (batch.boxes, batch.landmarks, batch.state)
            losses, part = cell_losses(answers, cells, *truth), "cells"
        else:
            crops = _as_seen(batch.crops.flatten(0, 1))
            with low:
                refined = network.refiner(crops)
            points, state = batch.landmarks.flatten(0, 1), batch.state.flatten()
            losses, part = refiner_losses(refined, points, state), "refiner"
        terms = {f"{part}_{name}": value for name, value in losses.items()}
        weights = {name: getattr(self.config.losses, name) for name in terms}
        if not any(weights.values()):
            raise DataError(f"configuration: every loss term of the {part} is switched off")
        return {name: weights[name] * value for name, value in terms.items() if weights[name]}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """On scenes of the held-out faces: the terms of both networks and their sum, recall, the
        share of false positives, and the landmarks' distance in eye distances.
        """
        count = self.config.report.held_out_faces
        terms: dict[str, list[float]] = {}
        for samples in (WholeScenes, FaceCrops):
            made = samples(self._held_out(), self.config.seed, count)
            for index in range(count):
                one = made[index]
                batch = type(one)(*(part[None] for part in one)).to(self.distributed.device)
                for name, value in self._terms(self.average, batch, bfloat16=False).items():
                    terms.setdefault(name, []).append(float(value))
        metrics = {name: float(np.mean(values)) for name, values in terms.items()}
        metrics["loss"] = sum(metrics.values())
        agreed = sum((one for _, _, one in self._shown(count)), Agreement())
        metrics["false_positive_share"] = agreed.false_positive_share
        if agreed.n_reference:
            metrics["recall"] = agreed.recall
        if agreed.n_found:
            metrics["landmark_distance"] = agreed.landmark_distance
        return metrics

    @torch.no_grad()
    def sample_grid(self) -> Tensor:
        """Held-out scenes with the answers drawn in, four to a row."""
        pictures = [
            torch.from_numpy(_drawn(scene.picture, found)).permute(2, 0, 1) / 127.5 - 1
            for scene, found, _ in self._shown(self.config.report.sample_faces)
        ]
        across = min(4, len(pictures))
        whole = len(pictures) // across * across
        return picture_grid([pictures[i : i + across] for i in range(0, whole, across)])

    def _held_out(self) -> SceneComposer:
        return SceneComposer(self.data.held_out, self.data.textures, size_px=HELD_OUT_PX)

    def _shown(self, most: int) -> list[tuple[Scene, Detections, Agreement]]:
        """Held-out scenes, what the average finds in them, and how well that agrees."""
        detector = CompactFaceDetector(self.average, device=self.distributed.device)
        composer = self._held_out()
        return [detect_in_scene(detector, composer, self.config.seed, i) for i in range(most)]


def learning_rate(stage: DetectorStage, seen: int) -> float:
    """Rate after `seen` scenes of the stage: 500 steps of linear warm-up, then half a cosine to one
    per cent of it at the end of the schedule, which may be longer than the stage.
    """
    share = min(seen / (stage.schedule_images or stage.images), 1.0)
    warmup = min(1.0, (seen / stage.batch_size + 1) / _WARMUP_STEPS)
    wave = 0.5 * (1 + math.cos(math.pi * share))
    return stage.learning_rate * warmup * (_LEAST_SHARE + (1 - _LEAST_SHARE) * wave)


def scene_data(
    config: CompactDetectorConfig,
    folder: Path,
    cache: Path,
    workers: int,
    progress: Callable[[int, int], None] | None = None,
) -> SceneData:
    """The faces of a folder as scenes take them, cut out and turned aside, which takes minutes.

    Args:
        config: says where the textures are.
        folder: with labels.csv, which has boxes and landmarks, and pictures.
        cache: folder where what is made is kept, also when it is stopped half-way, and found again
            by whoever names the same data.
        workers: processes that work.
        progress: told how many faces of how many are made, of either split.

    Raises:
        DataError: the configuration's textures are not there.
        NotAvailableError: the usual ones are not. The data is looked at when it is opened.
    """
    textures = load_textures(config.textures or texture_folder())
    if config.textures is not None and not textures:
        raise DataError(
            f"textures {config.textures}: none of scikit-image's pictures is there, such as "
            f"{TEXTURE_NAMES[0]}; name a folder that holds them, or leave it out"
        )

    def open_bank(split: str) -> FaceBank:
        kept, source = cache / split, bank_source(folder, split)
        if not is_kept_from(kept, source):
            parts = BankParts(kept, source)
            bank = build_face_bank(
                folder, split, workers=max(1, workers), parts=parts, progress=progress
            )
            bank.save(kept, source)
            parts.remove()
        return FaceBank.load(kept)

    return SceneData(open_bank, textures)


def open_task(
    config: CompactDetectorConfig, data: SceneData, distributed: Distributed
) -> CompactDetectorTask:
    """The task of a configuration."""
    if distributed.n_processes > 1:
        raise DataError(
            "task compact_detector: its batch normalisation would see a part of each batch only; "
            "train it in one process"
        )
    network = build_network(config)
    assert isinstance(network, CompactDetector)
    if config.start_from is not None:
        load_weights(network, config.start_from, arch=config.arch)
    network = network.to(distributed.device).to(memory_format=torch.channels_last)
    return CompactDetectorTask(config, data, distributed, network, _open_teacher(config))


def _open_teacher(config: CompactDetectorConfig) -> FaceDetector | None:
    """None where no stage uses one, or the teacher is absent and the configuration skips it."""
    if not any(stage.use_teacher for stage in config.stages):
        return None
    return load_or_skip(lambda: load_teacher(config.teacher), "use_teacher", config)


def _as_seen(pictures: Tensor) -> Tensor:
    """(N, 3, H, W) uint8 to float in [0, 1], as the network takes it."""
    return (pictures.float() / 255).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def _move_average(average: nn.Module, network: nn.Module, keep: float) -> None:
    """Move the running average, of weights and of batch statistics, towards the network."""
    for mean, value in zip(
        average.state_dict().values(), network.state_dict().values(), strict=True
    ):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - keep)
        else:
            mean.copy_(value)


def _drawn(picture: np.ndarray[Any, Any], found: Detections) -> np.ndarray[Any, Any]:
    drawn = picture.copy()
    for box, points in zip(found.boxes_xyxy, found.landmarks, strict=True):
        low, high = np.rint(box).astype(int).reshape(2, 2).tolist()
        cv2.rectangle(drawn, low, high, (80, 255, 80), 1)
        for x, y in np.rint(points).astype(int).tolist():
            cv2.circle(drawn, (x, y), 1, (255, 255, 80), -1)
    return drawn
