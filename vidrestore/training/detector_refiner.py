"""Trains the detector's second look: `FaceRefiner`, on single faces cut from made-up scenes.

`train_refiner` runs one stage as a `RefinerRecipe` says, before or after the detector itself: the
two share no weights. `merge_refiner` puts the result into a detector's checkpoint.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from vidrestore.models.detector import (
    REFINER_MARGIN,
    REFINER_PX,
    FaceRefiner,
    mean_places,
    refiner_crops,
    refiner_frames,
)
from vidrestore.models.load import resolve_device
from vidrestore.models.protocols import FaceDetector
from vidrestore.training.detector import (
    learning_rate_factor,
    moved,
    save_state,
    scene_maker,
    update_average,
)
from vidrestore.training.faces import loader_context, one_thread
from vidrestore.training.scenes import Scene, SceneMaker
from vidrestore.training.teacher import load_teacher, taught

log = logging.getLogger(__name__)

CROPS_PER_SCENE = 8
LARGEST_PX = 340.0
"""Size of the largest faces. The teacher sees them so, the network smaller copies: what the teacher
says of a face depends on its size, and the large ones are where it is right."""
LARGE_SHARE = 0.7
"""Share of faces that the teacher sees large, whatever the network sees."""
LEAST_LARGE_PX = 150.0
LANDMARK_WEIGHT = 8.0
BFLOAT16_UNTIL = 0.85
"""Share of the schedule that uses bfloat16 autocast; the rest is float32."""
FRONTAL_EYES = 0.42
"""Distance between the eyes of a face seen from the front, in units of its size."""


class RefinerRecipe(BaseModel):
    """Everything that decides the result of a training run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    faces: Path
    """Folder with labels.csv and pictures."""
    textures: Path | None = None
    """scikit-image's data folder; None finds the installed one."""
    out: Path
    """Folder for the bank, the checkpoint and the log."""
    teacher: Path | None = None
    """RetinaFace weights whose answers replace the labels of faces that it finds, and decide which
    made-up faces count as faces; None keeps the labels of the made-up scenes."""
    start_from: Path | None = None
    """Checkpoint of an earlier stage whose averaged weights this run begins with."""
    batch_scenes: int = 12
    """Scenes in a batch; eight crops each."""
    n_scenes: int = 60_000
    """Length of the learning rate's schedule."""
    stop_at: int | None = None
    """End the stage after so many scenes already; None for all of them."""
    learning_rate: float = 2e-3
    """Peak rate of AdamW; 500 steps of warm-up, then a cosine to 1 % of it."""
    weight_decay: float = 1e-2
    ema_decay: float = 0.998
    seed: int = 40
    n_workers: int = 1
    """Loader processes, which make the crops."""
    device: str = "auto"


class FaceCrops(Dataset[dict[str, Any]]):
    """Eight crops of scene `i`: of one face, each badly centred in its own way, or of no face at
    all."""

    def __init__(
        self, maker: SceneMaker, seed: int, n_scenes: int, teacher: FaceDetector | None = None
    ) -> None:
        """Covers the scenes 0 to `n_scenes`."""
        self.maker, self.seed, self.n_scenes, self.teacher = maker, seed, n_scenes, teacher

    def __len__(self) -> int:
        return self.n_scenes

    def __getitem__(self, index: int) -> dict[str, Any]:
        rng = np.random.default_rng([self.seed, index])
        seen, size = _sizes(rng)
        maker = SceneMaker(
            self.maker.bank, self.maker.textures, size_px=32 * max(2, round(size * 2.4 / 32))
        )
        state = np.zeros(CROPS_PER_SCENE, np.int64)
        points = torch.zeros(5, 2)
        if rng.random() < 0.6:
            scene = maker.make_portrait(rng, size)
            if self.teacher is not None:
                scene = taught(self.teacher, scene)
            scene = _shrunk(scene, min(1.0, seen / size))
            state[:] = 1 if scene.wanted[0] else -1
            frames = _jittered(rng, scene.boxes_xyxy[0], scene.landmarks[0], state)
            points = torch.from_numpy(scene.landmarks[0])
        else:
            scene, places = maker.make_empty(rng)
            frames = _anywhere(rng, maker.size_px, places)
        picture = torch.from_numpy(scene.picture).permute(2, 0, 1).float() / 255
        crops = (refiner_crops(picture, frames) * 255).round().to(torch.uint8)
        inverse = torch.linalg.inv(frames[:, :, :2])
        targets = (points - frames[:, None, :, 2]) @ inverse.transpose(1, 2)
        return {"crops": crops, "landmarks": targets, "state": torch.from_numpy(state)}


def _sizes(rng: np.random.Generator) -> tuple[float, float]:
    """Sizes of a face as the network and as the teacher sees it, in pixels."""
    seen = float(np.exp(rng.uniform(np.log(14), np.log(130))))
    if rng.random() < LARGE_SHARE:
        return seen, float(np.exp(rng.uniform(np.log(LEAST_LARGE_PX), np.log(LARGEST_PX))))
    return seen, float(min(LARGEST_PX, seen * np.exp(max(0.0, rng.uniform(-0.6, 1.25)))))


def _shrunk(scene: Scene, factor: float) -> Scene:
    """A small copy, as detectors are shown of large frames, with its labels."""
    if factor > 0.95:
        return scene
    px = max(REFINER_PX, round(scene.picture.shape[0] * factor))
    factor = px / scene.picture.shape[0]
    return replace(
        scene,
        picture=cv2.resize(scene.picture, (px, px), interpolation=cv2.INTER_AREA),
        boxes_xyxy=(scene.boxes_xyxy + 0.5) * factor - 0.5,
        landmarks=(scene.landmarks + 0.5) * factor - 0.5,
    )


def _jittered(
    rng: np.random.Generator,
    box: np.ndarray[Any, Any],
    landmarks: np.ndarray[Any, Any],
    state: np.ndarray[Any, Any],
) -> Tensor:
    """Frames round a face as a hasty detector would place them.

    Every fifth is far off, turned away or on a part of the face alone, and then no face: `state`
        becomes 0.
    """
    frames = refiner_frames(torch.from_numpy(box)[None], torch.from_numpy(landmarks)[None])
    frame = frames[0].double().numpy()
    size = float(np.hypot(*frame[:, 0])) * REFINER_PX / REFINER_MARGIN
    centre = frame[:, :2] @ _MIDDLE + frame[:, 2]
    made = []
    for i in range(len(state)):
        angle, scale = rng.normal(0, 0.15), np.exp(rng.normal(0, 0.1))
        shift = rng.normal(0, 0.05, 2) * size
        kind = rng.random()
        if kind < 0.2:
            state[i] = 0
        if kind < 0.06:
            way = rng.uniform(0, 2 * np.pi)
            shift = shift + rng.uniform(0.6, 0.9) * size * np.array([np.cos(way), np.sin(way)])
            scale *= rng.choice([0.5, 1.0, 2.0])
        elif kind < 0.12:
            angle += rng.choice([-1, 1]) * rng.uniform(1.3, np.pi)
        elif kind < 0.2:
            shift = shift + rng.uniform(-0.65, 0.65, 2) * size
            scale *= rng.uniform(0.2, 0.45)
        made.append(_frame(frame[:, :2] @ _rotation(angle) * scale, centre + shift))
    return torch.from_numpy(np.stack(made)).float()


def _anywhere(
    rng: np.random.Generator, size_px: int, places: list[tuple[float, float, float]]
) -> Tensor:
    """Frames on things that are no faces, or on nothing in particular."""
    made = []
    for _ in range(CROPS_PER_SCENE):
        x, y, side = places[int(rng.integers(len(places)))]
        centre, side = np.array([x, y]) + rng.normal(0, 0.1, 2) * side, side * REFINER_MARGIN
        if rng.random() < 0.35:
            centre = rng.uniform(0.1, 0.9, 2) * size_px
            side = float(np.exp(rng.uniform(np.log(0.2), np.log(1.2)))) * size_px
        scale = side * float(np.exp(rng.normal(-0.2, 0.25))) / REFINER_PX
        made.append(_frame(_rotation(rng.normal(0, 0.4)) * scale, centre))
    return torch.from_numpy(np.stack(made)).float()


_MIDDLE = np.full(2, (REFINER_PX - 1) / 2)


def _rotation(angle: float) -> np.ndarray[Any, Any]:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _frame(linear: np.ndarray[Any, Any], centre: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.column_stack([linear, centre - linear @ _MIDDLE])


def refiner_losses(
    logits: Tensor, maps: Tensor, landmarks: Tensor, state: Tensor
) -> dict[str, Tensor]:
    """Cross-entropy of face or not, and L1 of the landmarks of faces in units of the face's size,
    up to three times as much for faces turned aside, whose eyes are close together.

    Args:
        logits: (K,).
        maps: (K, 5, n, n) log-probabilities of the landmarks' places.
        landmarks: (K, 5, 2) truth.
        state: (K,): 1 face, 0 none, -1 do not judge.
    """
    judged, face = state >= 0, state == 1
    score = F.binary_cross_entropy_with_logits(logits[judged], state[judged].float())
    error = (
        (mean_places(maps[face]) - landmarks[face]).abs().mean((1, 2)) * REFINER_MARGIN / REFINER_PX
    )
    eyes = (landmarks[face, 1] - landmarks[face, 0]).norm(dim=1) * REFINER_MARGIN / REFINER_PX
    weight = (FRONTAL_EYES / eyes.clamp(min=1e-3)).clamp(1, 3)
    n_faces = face.sum().clamp(min=1)
    spread = place_entropy(maps[face], landmarks[face])
    return {"score": score, "landmark": (weight * error + 2e-3 * spread).sum() / n_faces}


def place_entropy(maps: Tensor, landmarks: Tensor) -> Tensor:
    """(K,) cross-entropy between the maps and Gaussians of one cell around the landmarks."""
    n = maps.shape[-1]
    axis = (torch.arange(n, device=maps.device) + 0.5) * (REFINER_PX / n) - 0.5
    x, y = (
        torch.exp(-0.5 * ((axis - landmarks[..., i : i + 1]) * (n / REFINER_PX)).square())
        for i in (0, 1)
    )
    wanted = (y[..., :, None] * x[..., None, :]).flatten(2)
    wanted = wanted / wanted.sum(2, keepdim=True).clamp(min=1e-6)
    return -(wanted * maps.flatten(2).log_softmax(2)).sum(2).mean(1)


def train_refiner(recipe: RefinerRecipe) -> Path:
    """Runs a recipe to its end.

    Args:
        recipe: what to do.

    Returns:
        The checkpoint's path: averaged weights under ``average``, scenes under ``seen``.
    """
    recipe.out.mkdir(parents=True, exist_ok=True)
    maker = scene_maker(recipe.faces, recipe.out, recipe.textures, 128, workers=recipe.n_workers)
    torch.manual_seed(recipe.seed)
    device = resolve_device(recipe.device)
    network = FaceRefiner()
    if recipe.start_from:
        saved = torch.load(recipe.start_from, map_location="cpu", weights_only=True)
        network.load_state_dict(saved["average"])
    average = copy.deepcopy(network).to(device)
    network = network.to(device).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(
        network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    path, began, sums = recipe.out / "refiner.pt", time.monotonic(), np.zeros(2)
    for step, batch in enumerate(_batches(recipe, maker)):
        seen = (step + 1) * recipe.batch_scenes
        for group in optimiser.param_groups:
            share = seen / recipe.n_scenes
            group["lr"] = recipe.learning_rate * learning_rate_factor(share, step)
        bfloat16 = seen < BFLOAT16_UNTIL * recipe.n_scenes
        sums += _step(network, optimiser, moved(batch, device), bfloat16=bfloat16)
        update_average(average, network, min(recipe.ema_decay, (step + 1) / (step + 10)))
        if (step + 1) % 100 == 0:
            log.info(
                "%d scenes, %.0f s: score %.4f, landmark %.4f",
                seen, time.monotonic() - began, *(sums / 100),
            )  # fmt: skip
            sums[:] = 0
            save_state(path, {"average": average.state_dict(), "seen": seen})
    save_state(path, {"average": average.state_dict(), "seen": recipe.stop_at or recipe.n_scenes})
    return path


def _step(
    network: FaceRefiner,
    optimiser: torch.optim.Optimizer,
    batch: dict[str, Tensor],
    *,
    bfloat16: bool,
) -> np.ndarray[Any, Any]:
    network.train()
    crops = (
        batch["crops"].flatten(0, 1).float().div(255).contiguous(memory_format=torch.channels_last)
    )
    with torch.autocast(crops.device.type, torch.bfloat16, enabled=bfloat16):
        logits, maps = network.score_and_maps(crops)
    losses = refiner_losses(
        logits, maps, batch["landmarks"].flatten(0, 1), batch["state"].flatten()
    )
    optimiser.zero_grad(set_to_none=True)
    torch.autograd.backward([losses["score"] + LANDMARK_WEIGHT * losses["landmark"]])
    torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    optimiser.step()
    return np.array([float(losses["score"].detach()), float(losses["landmark"].detach())])


def _batches(recipe: RefinerRecipe, maker: SceneMaker) -> Iterator[dict[str, Tensor]]:
    stop, teacher = recipe.stop_at or recipe.n_scenes, load_teacher(recipe.teacher)
    crops = FaceCrops(maker, recipe.seed, stop, teacher)
    yield from DataLoader(
        crops,
        recipe.batch_scenes,
        num_workers=recipe.n_workers,
        prefetch_factor=8 if recipe.n_workers else None,
        worker_init_fn=one_thread,
        multiprocessing_context=loader_context(recipe.n_workers),
        drop_last=True,
    )


def merge_refiner(checkpoint: Path, refiner: Path, destination: Path) -> None:
    """Puts a refiner's weights into a detector's checkpoint.

    Args:
        checkpoint: what `train_detector` wrote.
        refiner: what `train_refiner` wrote.
        destination: the checkpoint to write, for `export_weights` or a further stage.
    """
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    saved["average"] = {
        name: value for name, value in saved["average"].items() if not name.startswith("refiner.")
    }
    for name, value in torch.load(refiner, map_location="cpu", weights_only=True)[
        "average"
    ].items():
        saved["average"][f"refiner.{name}"] = value
    save_state(destination, saved)
