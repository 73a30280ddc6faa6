"""Trains the embedded face detector on made-up scenes.

`train_detector` runs one stage as a `DetectorRecipe` says; `detector_run` runs them all. A
checkpoint (weights, their running average, optimiser, number of scenes seen) is written atomically
every few minutes and is resumed from when present. `export_weights` turns its averaged weights into
the file that ships.
"""

from __future__ import annotations

import copy
import json
import logging
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from vidrestore.models.compressed import compressed
from vidrestore.models.detector import STRIDES, CellAnswers, CompactDetector, cell_centres
from vidrestore.models.load import resolve_device
from vidrestore.models.protocols import FaceDetector
from vidrestore.training.faces import loader_context, one_thread
from vidrestore.training.scenes import (
    FaceBank,
    SceneMaker,
    build_face_bank,
    load_textures,
    scene_targets,
    turned_scene,
)
from vidrestore.training.teacher import load_teacher, taught

log = logging.getLogger(__name__)

LEVEL_SIZES_PX = ((0.0, 38.0), (28.0, 76.0), (56.0, 152.0), (112.0, math.inf))
"""Face sizes (square root of the box's area) that each stride learns; neighbours overlap."""


TURNED_SHARE = 0.3
"""Share of scenes that are turned about their middle, after the teacher has seen them upright."""


ZOOMED_SHARE = 0.3
"""Share of scenes that the teacher sees at twice their size."""


class DetectorRecipe(BaseModel):
    """Everything that decides the result of a training run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    faces: Path
    """Folder with labels.csv and pictures."""
    textures: Path | None = None
    """scikit-image's data folder; None finds the installed one."""
    teacher: Path | None = None
    """RetinaFace weights whose answers replace the scenes' own labels; None keeps those."""
    start_from: Path | None = None
    """Checkpoint of an earlier stage whose averaged weights this run begins with."""
    out: Path
    """Folder for the bank, checkpoints and the log."""
    scene_px: int = 320
    batch_size: int = 16
    n_scenes: int = 240_000
    """Length of the learning rate's schedule."""
    stop_at: int | None = None
    """End the stage after so many scenes already; None for all of them."""
    learning_rate: float = 2e-3
    """Peak rate of AdamW; 500 steps of warm-up, then a cosine to 1 % of it."""
    weight_decay: float = 1e-2
    ema_decay: float = 0.997
    bfloat16_until: float = 0.9
    """Share of the run that uses bfloat16 autocast; the rest is float32."""
    seed: int = 20
    n_workers: int = 1
    """Loader processes, which make the scenes."""
    device: str = "auto"
    checkpoint_every: int = 100
    """Steps between checkpoints."""


class Scenes(Dataset[dict[str, Any]]):
    """Scene `i` is made from the seed (run's seed, `i`), so a resumed run sees what an unbroken one
    would."""

    def __init__(
        self,
        maker: SceneMaker,
        seed: int,
        start: int,
        stop: int,
        teacher: FaceDetector | None = None,
    ) -> None:
        """Covers the scenes `start` to `stop`, the latter left out."""
        self.maker, self.seed, self.start, self.stop = maker, seed, start, stop
        self.teacher = teacher

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, index: int) -> dict[str, Any]:
        rng = np.random.default_rng([self.seed, self.start + index])
        scene = self.maker.make(rng)
        if self.teacher is not None:
            zoom = 2 if rng.random() < ZOOMED_SHARE else 1
            scene = taught(self.teacher, scene, zoom=zoom)
        return scene_targets(turned_scene(rng, scene) if rng.random() < TURNED_SHARE else scene)


def assign_cells(cells: Tensor, boxes: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Which face each cell learns.

    A cell is a face's when its centre lies within 1.5 strides of the box's centre and inside the
    box, and the face's size belongs to the cell's grid. The smallest such face wins.

    Args:
        cells: (P, 3) from `cell_centres`.
        boxes: (N, M, 4).
        state: (N, M): 1 learn, 0 ignore, -1 absent.

    Returns:
        owner: (N, P) int64, index of the face, -1 for none.
        ignored: (N, P) bool, cells inside a face to be ignored.
    """
    x, y, stride = (v[None, :, None] for v in cells.unbind(-1))
    x0, y0, x1, y1 = (v[:, None, :] for v in boxes.unbind(-1))
    inside = (x > x0) & (x < x1) & (y > y0) & (y < y1)
    near = torch.maximum((x - (x0 + x1) / 2).abs(), (y - (y0 + y1) / 2).abs()) < 1.5 * stride
    size = ((x1 - x0) * (y1 - y0)).clamp(min=0).sqrt()
    fits = torch.zeros_like(inside)
    for level_stride, (least, most) in zip(STRIDES, LEVEL_SIZES_PX, strict=True):
        fits |= (stride == level_stride) & (size >= least) & (size < most)
    mine = inside & near & fits & (state == 1)[:, None]
    cost = torch.where(mine, size, torch.inf)
    least_cost, owner = cost.min(-1)
    owner = torch.where(least_cost.isinf(), -1, owner)
    return owner, (inside & (state == 0)[:, None]).any(-1)


def box_overlap(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU (arXiv:1902.09630) of boxes (K, 4) pairwise by row."""
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    shared = (high - low).clamp(min=0).prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - shared
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(1)
    iou = shared / union.clamp(min=1e-6)
    return iou, iou - (hull - union) / hull.clamp(min=1e-6)


def detection_losses(
    answers: CellAnswers, cells: Tensor, boxes: Tensor, landmarks: Tensor, state: Tensor
) -> dict[str, Tensor]:
    """Quality focal loss (arXiv:2006.04388), generalised IoU and L1 of landmarks in units of the
    face's size.

    Args:
        answers: the network's.
        cells: (P, 3) from `cell_centres`.
        boxes: (N, M, 4) truth.
        landmarks: (N, M, 5, 2) truth.
        state: (N, M): 1 learn, 0 ignore, -1 absent.

    Returns:
        ``score``, ``box``, ``landmark``: scalars, to be added up with their weights.
    """
    owner, ignored = assign_cells(cells, boxes, state)
    sample, cell = (owner >= 0).nonzero(as_tuple=True)
    face = owner[sample, cell]
    true_box, true_points = boxes[sample, face], landmarks[sample, face]
    iou, giou = box_overlap(answers.boxes_xyxy[sample, cell], true_box)
    target = torch.zeros_like(answers.logits)
    target[sample, cell] = iou.detach().clamp(min=0.1).to(target.dtype)
    cross = F.binary_cross_entropy_with_logits(answers.logits, target, reduction="none")
    focal = (target - answers.logits.sigmoid()).square() * cross
    focal = focal.masked_fill(ignored & (owner < 0), 0.0)
    n = max(len(face), 1)
    size = (true_box[:, 2:] - true_box[:, :2]).prod(1).clamp(min=1).sqrt()
    error = (answers.landmarks[sample, cell] - true_points).abs().mean((1, 2)) / size
    return {"score": focal.sum() / n, "box": (1 - giou).sum() / n, "landmark": error.sum() / n}


LOSS_WEIGHTS = {"score": 1.0, "box": 1.0, "landmark": 8.0}


def learning_rate_factor(share: float, step: int) -> float:
    """Linear warm-up over 500 steps, then a cosine from 1 to 0.01 over the run."""
    return min(1.0, (step + 1) / 500) * (
        0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
    )


def train_detector(recipe: DetectorRecipe) -> Path:
    """Runs a recipe to its end, from its last checkpoint if there is one.

    Args:
        recipe: what to do.

    Returns:
        The checkpoint's path.
    """
    recipe.out.mkdir(parents=True, exist_ok=True)
    maker = scene_maker(
        recipe.faces, recipe.out, recipe.textures, recipe.scene_px, workers=recipe.n_workers
    )
    path = recipe.out / "checkpoint.pt"
    torch.manual_seed(recipe.seed)
    device = resolve_device(recipe.device)
    network = CompactDetector()
    if recipe.start_from and not path.exists():
        network.load_state_dict(torch.load(recipe.start_from, weights_only=True)["average"])
    average = copy.deepcopy(network).to(device)
    network = network.to(device).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(
        network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    seen = 0
    if path.exists():
        saved = torch.load(path, map_location=device, weights_only=True)
        network.load_state_dict(saved["network"])
        average.load_state_dict(saved["average"])
        optimiser.load_state_dict(saved["optimiser"])
        seen = saved["seen"]
    cells = cell_centres(recipe.scene_px, recipe.scene_px, device=device)
    began, sums = time.monotonic(), dict.fromkeys(LOSS_WEIGHTS, 0.0)
    for batch in _batches(recipe, maker, seen):
        step = seen // recipe.batch_size
        share = seen / recipe.n_scenes
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * learning_rate_factor(share, step)
        losses = train_step(
            network, optimiser, moved(batch, device), cells, bfloat16=share < recipe.bfloat16_until
        )
        update_average(average, network, min(recipe.ema_decay, (step + 1) / (step + 10)))
        seen += len(batch["picture"])
        for name, value in losses.items():
            sums[name] += value / 50
        if (step + 1) % 50 == 0:
            log.info("%d scenes, %.0f s: %s", seen, time.monotonic() - began, _rounded(sums))
            sums = dict.fromkeys(LOSS_WEIGHTS, 0.0)
        if (step + 1) % recipe.checkpoint_every == 0 or seen >= (recipe.stop_at or recipe.n_scenes):
            states = {"network": network.state_dict(), "average": average.state_dict()}
            save_state(
                path,
                {
                    **states,
                    "optimiser": optimiser.state_dict(),
                    "seen": seen,
                    "recipe": recipe.model_dump_json(),
                },
            )
    return path


def train_step(
    network: CompactDetector,
    optimiser: torch.optim.Optimizer,
    batch: dict[str, Tensor],
    cells: Tensor,
    *,
    bfloat16: bool,
) -> dict[str, float]:
    """One step of gradient descent; gives the losses before it."""
    network.train()
    pictures = (batch["picture"].float() / 255).contiguous(memory_format=torch.channels_last)
    with torch.autocast(pictures.device.type, torch.bfloat16, enabled=bfloat16):
        answers = network(pictures)
    answers = CellAnswers(answers.logits.float(), answers.boxes_xyxy, answers.landmarks)
    losses = detection_losses(answers, cells, batch["boxes"], batch["landmarks"], batch["state"])
    optimiser.zero_grad(set_to_none=True)
    total = torch.stack([weight * losses[name] for name, weight in LOSS_WEIGHTS.items()]).sum()
    torch.autograd.backward([total])
    torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
    optimiser.step()
    return {name: float(value.detach()) for name, value in losses.items()}


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Moves the running average of all weights and statistics towards the network, in place."""
    for mean, value in zip(
        average.state_dict().values(), network.state_dict().values(), strict=True
    ):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)


def export_weights(checkpoint: Path, destination: Path) -> None:
    """Writes a checkpoint's averaged weights as safetensors, compressed (see
    `vidrestore.models.compressed`), with the network's name and hyperparameters.

    Args:
        checkpoint: what `train_detector` wrote.
        destination: the file to write, replaced atomically.
    """
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    recipe = json.loads(saved["recipe"])
    notes = {
        name: recipe[name]
        for name in ("scene_px", "n_scenes", "batch_size", "learning_rate", "seed")
    }
    metadata = {
        "arch": "CompactDetector",
        "hyperparameters": "{}",
        "training": json.dumps({"scenes_seen": saved["seen"], **notes}),
    }
    partial = destination.with_name(destination.name + ".partial")
    save_file(compressed(saved["average"]), partial, metadata)
    partial.chmod(0o644)
    os.replace(partial, destination)


def scene_maker(
    faces: Path, out: Path, textures: Path | None, size_px: int, *, workers: int = 1
) -> SceneMaker:
    """Makes scenes of the training faces, from a bank in `out` that is built if it is not there.

    Args:
        faces: folder with labels.csv and pictures.
        out: folder of the run.
        textures: scikit-image's data folder; None finds the installed one.
        size_px: height and width of a scene.
        workers: processes that build the bank.
    """
    folder = out / "bank"
    if not (folder / "landmarks.npy").exists():
        build_face_bank(faces, "train", workers=max(1, workers)).save(folder)
    return SceneMaker(
        FaceBank.load(folder), load_textures(textures or _texture_folder()), size_px=size_px
    )


def _texture_folder() -> Path:
    import skimage

    return Path(skimage.__file__).parent / "data"


def _batches(recipe: DetectorRecipe, maker: SceneMaker, seen: int) -> Iterator[dict[str, Tensor]]:
    stop, teacher = recipe.stop_at or recipe.n_scenes, load_teacher(recipe.teacher)
    scenes = Scenes(maker, recipe.seed, seen, stop, teacher)
    loader: DataLoader[dict[str, Any]] = DataLoader(
        scenes,
        recipe.batch_size,
        num_workers=recipe.n_workers,
        prefetch_factor=8 if recipe.n_workers else None,
        worker_init_fn=one_thread,
        multiprocessing_context=loader_context(recipe.n_workers),
    )
    yield from loader


def moved(batch: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """A batch's tensors on a device."""
    return {name: value.to(device, non_blocking=True) for name, value in batch.items()}


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Writes a stage's checkpoint; the file of that name is the old or the new one."""
    partial = path.with_name(path.name + ".partial")
    torch.save(state, partial)
    os.replace(partial, path)


def _rounded(losses: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in losses.items())
