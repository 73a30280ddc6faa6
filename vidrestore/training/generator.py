"""Training of the compact generator.

    python -m vidrestore.training.generator --data DIR --out DIR

A recipe (``configs/train/compact_generator.yaml``) is a network and a list of stages. A stage has
its own window, batch, learning rate and loss weights. The one counter is the number of images seen;
every sample and the learning rate follow from it, so `--resume` goes on where the run stopped. What
ships is the running average of the weights.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import yaml
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from vidrestore.errors import DataError
from vidrestore.metrics import images as metrics
from vidrestore.metrics.identity import FaceIdentity
from vidrestore.models.compact_unet import CompactUNet
from vidrestore.training import degradations
from vidrestore.training.degradations import BlindVideo
from vidrestore.training.faces import Faces, Pair, PairDataset, load_faces, to_network

_logger = logging.getLogger(__name__)
_CHARBONNIER_EPSILON = 1e-3
_GRADIENT_CLIP = 0.1
_CROP_SIZE = 512
_LOG_EVERY_STEPS = 100
_VALIDATE_EVERY_STEPS = 800
_VALIDATE_EVERY_NTH = 5
"""Every so many held-out faces are looked at in the run."""


@dataclass(frozen=True)
class Stage:
    """A stretch of the training with one setting."""

    images: int
    """Samples to see in this stage."""
    batch_size: int = 8
    window: int = 256
    """Side of the training window in pixels."""
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-5
    """Reached at the stage's end along half a cosine."""
    warmup_images: int = 0
    ema_half_life_images: int = 8000
    pixel_weight: float = 1.0
    """Charbonnier on RGB."""
    gradient_weight: float = 1.0
    """L1 on differences of luma, at distances of one and two pixels."""
    identity_weight: float = 0.0
    """One minus the cosine of face embeddings; whole crops only."""
    feature_weight: float = 0.0
    """L1 on the inner layers of the embedding network; whole crops only."""

    @property
    def looks_at_faces(self) -> bool:
        """Whether the stage needs the embedding network."""
        return bool(self.identity_weight or self.feature_weight)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the result, beside the data."""

    stages: tuple[Stage, ...]
    network: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments of `CompactUNet`."""
    mixture: BlindVideo = field(default_factory=lambda: BlindVideo(nearly_clean=0.08))
    gray_share: float = 0.1
    seed: int = 0
    bfloat16: bool = True
    """Convolutions in bfloat16, weights and losses in float32."""

    @classmethod
    def read(cls, path: Path) -> Recipe:
        """Read a recipe from YAML; keys are the field names."""
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        try:
            stages = tuple(Stage(**stage) for stage in content.pop("stages"))
            mixture = BlindVideo(**{k: _tuples(v) for k, v in content.pop("mixture", {}).items()})
            return cls(stages=stages, mixture=mixture, **content)
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"training recipe {path}: {error}") from error


@dataclass
class State:
    """What a checkpoint holds."""

    network: CompactUNet
    average: CompactUNet
    optimiser: torch.optim.Optimizer
    images_seen: int = 0

    @classmethod
    def fresh(cls, recipe: Recipe) -> State:
        """Networks and optimiser at the start of a recipe."""
        with torch.random.fork_rng():
            torch.manual_seed(recipe.seed)
            network = CompactUNet(**recipe.network)
        network = network.to(memory_format=torch.channels_last)
        average = CompactUNet(**recipe.network).to(memory_format=torch.channels_last)
        average.load_state_dict(network.state_dict())
        optimiser = torch.optim.AdamW(
            network.parameters(), betas=(0.9, 0.99), weight_decay=1e-4, fused=True
        )
        return cls(network, average.requires_grad_(False), optimiser)

    def save(self, path: Path, recipe: Recipe) -> None:
        """Write a checkpoint under a temporary name, then give it its own."""
        content = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "images_seen": self.images_seen,
            "recipe": asdict(recipe),
        }
        partial = path.with_suffix(".partial")
        torch.save(content, partial)
        os.replace(partial, path)

    def load(self, path: Path) -> None:
        """Take over a checkpoint's weights, optimiser and counter."""
        content = torch.load(path, map_location="cpu", weights_only=True)
        self.network.load_state_dict(content["network"])
        self.average.load_state_dict(content["average"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.images_seen = content["images_seen"]


class GeneratorLoss(nn.Module):
    """Weighted sum of the recipe's terms for one stage.

    Args:
        stage: Its weights are used; terms of weight 0 are not computed.
        identity: The network of the identity and feature terms, where they have weight.
    """

    def __init__(self, stage: Stage, identity: FaceIdentity | None = None):
        super().__init__()
        self.stage, self.identity = stage, identity

    def forward(self, restored: Tensor, batch: Pair) -> dict[str, Tensor]:
        """Terms by name, already weighted; their sum is the loss."""
        terms = {
            "pixel": self.stage.pixel_weight * charbonnier(restored, batch.truth),
            "gradient": self.stage.gradient_weight * gradient_difference(restored, batch.truth),
        }
        if self.stage.looks_at_faces:
            terms |= self._face_terms(restored, batch)
        return terms

    def _face_terms(self, restored: Tensor, batch: Pair) -> dict[str, Tensor]:
        """Distance of the embeddings, and of the layers before them (L1 over their mean size)."""
        assert self.identity is not None
        with torch.no_grad():
            wanted, wanted_inner = self.identity(
                self.identity.align((batch.truth + 1) / 2, batch.landmarks)
            )
        own, own_inner = self.identity(self.identity.align((restored + 1) / 2, batch.landmarks))
        inner = [
            (x - y).abs().mean() / y.abs().mean()
            for x, y in zip(own_inner, wanted_inner, strict=True)
        ]
        return {
            "identity": self.stage.identity_weight * (1 - (own * wanted).sum(dim=1)).mean(),
            "feature": self.stage.feature_weight * torch.stack(inner).mean(),
        }


def charbonnier(x: Tensor, y: Tensor) -> Tensor:
    """Mean of ``sqrt((x - y)^2 + e^2)`` with e = 0.001."""
    return torch.sqrt((x - y).square() + _CHARBONNIER_EPSILON**2).mean()


def gradient_difference(x: Tensor, y: Tensor) -> Tensor:
    """L1 between the horizontal and vertical differences of luma, at distances of one and two
    pixels.
    """
    error = metrics.luma(x - y)
    terms = [
        difference.abs().mean()
        for step in (1, 2)
        for difference in (
            error[..., step:, :] - error[..., :-step, :],
            error[..., :, step:] - error[..., :, :-step],
        )
    ]
    return torch.stack(terms).sum() / 4


def train(
    recipe: Recipe,
    data: Path,
    out: Path,
    *,
    resume: bool = False,
    workers: int = 1,
    identity_weights: Path | None = None,
) -> Path:
    """Run a recipe.

    Args:
        recipe: What to do.
        data: Folder with pictures and ``labels.csv``.
        out: Folder for ``checkpoint.pt`` and ``log.jsonl``, made where missing.
        resume: Go on from ``checkpoint.pt`` where there is one.
        workers: Loader processes; 0 loads in this one. The result does not depend on it.
        identity_weights: `mobilefacenet.pt`, for stages with an identity or feature term.

    Returns:
        Path of the last checkpoint.

    Raises:
        DataError: There is nothing to learn from, or a term's network is missing.
    """
    identity = _face_network(recipe, identity_weights)
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / "checkpoint.pt"
    state = State.fresh(recipe)
    if resume and checkpoint.exists():
        state.load(checkpoint)
    faces = load_faces(data, "train")
    val = load_faces(data, "val")
    held_out = [blind_pair(val, BlindVideo(), i) for i in range(0, len(val), _VALIDATE_EVERY_NTH)]
    _logger.info("%d faces to learn from, %d images seen", len(faces), state.images_seen)
    start = 0
    for index, stage in enumerate(recipe.stages):
        if state.images_seen < start + stage.images:
            losses = GeneratorLoss(stage, identity)
            _run_stage(recipe, index, start, state, losses, faces, held_out, out, workers)
        start += stage.images
    return checkpoint


def _face_network(recipe: Recipe, weights: Path | None) -> FaceIdentity | None:
    """The embedding network, if a stage needs it; such stages see whole crops."""
    needing = [stage for stage in recipe.stages if stage.looks_at_faces]
    if not needing:
        return None
    if weights is None:
        raise DataError("the recipe has an identity or feature term: name the embedding's weights")
    windows = {stage.window for stage in needing} - {_CROP_SIZE}
    if windows:
        raise DataError(f"identity and feature terms need whole crops, not windows of {windows} px")
    return FaceIdentity(weights)


def _run_stage(
    recipe: Recipe,
    index: int,
    start: int,
    state: State,
    losses: GeneratorLoss,
    faces: Faces,
    held_out: list[tuple[Tensor, Tensor]],
    out: Path,
    workers: int,
) -> None:
    stage = recipe.stages[index]
    sums: dict[str, float] = {}
    since, steps = time.monotonic(), 0
    for batch in _batches(recipe, stage, start, state.images_seen, faces, workers):
        _set_learning_rate(state.optimiser, stage, state.images_seen - start)
        terms = generator_step(state, batch, losses, recipe, stage)
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + value
        steps += 1
        if steps % _LOG_EVERY_STEPS == 0 or state.images_seen >= start + stage.images:
            rate = steps * stage.batch_size / (time.monotonic() - since)
            means = {name: round(value / steps, 5) for name, value in sums.items()}
            line = {
                "stage": index,
                "images": state.images_seen,
                "images_per_s": round(rate, 1),
                **means,
            }
            if (
                state.images_seen // stage.batch_size % _VALIDATE_EVERY_STEPS < _LOG_EVERY_STEPS
                or state.images_seen >= start + stage.images
            ):
                line |= validate(state.average, held_out)
            with (out / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
            _logger.info("%s", line)
            state.save(out / "checkpoint.pt", recipe)
            sums, steps, since = {}, 0, time.monotonic()


def generator_step(
    state: State, batch: Pair, losses: GeneratorLoss, recipe: Recipe, stage: Stage
) -> dict[str, float]:
    """One step of the optimiser and of the running average; gives the loss terms."""
    with _autocast(recipe.bfloat16):
        restored = state.network(
            batch.degraded.contiguous(memory_format=torch.channels_last), batch.coordinates
        )
    terms = losses(restored.float(), batch)
    state.optimiser.zero_grad(set_to_none=True)
    torch.autograd.backward(torch.stack(list(terms.values())).sum())
    torch.nn.utils.clip_grad_norm_(state.network.parameters(), _GRADIENT_CLIP)
    state.optimiser.step()
    count = batch.degraded.shape[0]
    state.images_seen += count
    half_life = min(stage.ema_half_life_images, 0.1 * state.images_seen)
    update_average(state.average, state.network, 0.5 ** (count / half_life))
    return {name: float(term.detach()) for name, term in terms.items()}


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, keep: float) -> None:
    """Move the running average towards the weights, keeping a share ``keep`` of it."""
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - keep)


@torch.inference_mode()
def validate(network: CompactUNet, pairs: list[tuple[Tensor, Tensor]]) -> dict[str, float]:
    """Mean PSNR and SSIM of input and output, and the output's sharpness, over held-out pairs in
    [-1, 1].
    """
    rows = []
    for degraded, truth in pairs:
        restored = (network(degraded[None]).clamp(-1, 1) + 1) / 2
        given, wanted = (degraded[None] + 1) / 2, (truth[None] + 1) / 2
        rows.append(
            (
                metrics.psnr(given, wanted).item(),
                metrics.psnr(restored, wanted).item(),
                metrics.ssim(given, wanted).item(),
                metrics.ssim(restored, wanted).item(),
                (metrics.sharpness(restored) / metrics.sharpness(wanted)).item(),
            )
        )
    names = ("input_psnr_db", "psnr_db", "input_ssim", "ssim", "sharpness")
    return {
        name: round(float(value), 4)
        for name, value in zip(names, np.mean(rows, axis=0), strict=True)
    }


def blind_pair(
    faces: Faces, mixture: BlindVideo, index: int, *, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """A degraded and a true face, (3, S, S) in [-1, 1]; all follows from (seed, index)."""
    rng = np.random.default_rng([seed, index])
    truth = faces.images[index].astype(np.float32) / np.float32(255)
    degraded = degradations.apply(truth, mixture.draw(rng), rng)
    return to_network(degraded), to_network(truth)


def export(checkpoint: Path, weights: Path) -> None:
    """Write a checkpoint's running average as safetensors: float16, with the network's arguments
    as metadata.
    """
    content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    state = {
        name: value.to(torch.float16).contiguous() for name, value in content["average"].items()
    }
    metadata = {
        "arch": "CompactUNet",
        "hyperparameters": json.dumps(content["recipe"]["network"], sort_keys=True),
        "images_seen": str(content["images_seen"]),
        "template": "gfpgan_512_ffhq",
        "size": "512",
    }
    partial = weights.with_suffix(".partial")
    save_file(state, partial, metadata)
    partial.chmod(0o644)  # Written for its owner alone; a package is for everybody.
    os.replace(partial, weights)


def _batches(
    recipe: Recipe, stage: Stage, start: int, seen: int, faces: Faces, workers: int
) -> Iterator[Pair]:
    """The stage's batches from image ``seen`` of the training on."""
    dataset = PairDataset(
        faces,
        recipe.mixture,
        window=stage.window,
        samples=start + stage.images,
        seed=recipe.seed,
        gray_share=recipe.gray_share,
    )
    loader = DataLoader(
        Subset(dataset, range(seen, start + stage.images)),
        batch_size=stage.batch_size,
        num_workers=workers,
        drop_last=False,
        worker_init_fn=_one_thread,
        prefetch_factor=4 if workers else None,
    )
    return iter(loader)


def _one_thread(worker: int) -> None:
    torch.set_num_threads(1)


def _set_learning_rate(optimiser: torch.optim.Optimizer, stage: Stage, seen: int) -> None:
    rate = learning_rate(stage, seen)
    for group in optimiser.param_groups:
        group["lr"] = rate


def learning_rate(stage: Stage, seen: int) -> float:
    """Rate after ``seen`` images of the stage: linear warm-up, then half a cosine."""
    warmup = min(1.0, (seen + 1) / stage.warmup_images) if stage.warmup_images else 1.0
    wave = 0.5 * (1 + np.cos(np.pi * seen / stage.images))
    return float(
        warmup
        * (stage.final_learning_rate + (stage.learning_rate - stage.final_learning_rate) * wave)
    )


def _autocast(enabled: bool) -> contextlib.AbstractContextManager[Any]:
    return torch.autocast("cpu", torch.bfloat16) if enabled else contextlib.nullcontext()


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def main() -> None:
    """Command line of the recipe."""
    parser = argparse.ArgumentParser(description="Train the compact generator.")
    parser.add_argument("--recipe", type=Path, default=Path("configs/train/compact_generator.yaml"))
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with pictures and labels.csv"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for checkpoints and the log"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the folder's checkpoint")
    parser.add_argument("--workers", type=int, default=1, help="loader processes")
    parser.add_argument("--threads", type=int, default=1, help="threads of the network")
    parser.add_argument("--identity-weights", type=Path, help="mobilefacenet.pt")
    parser.add_argument("--export", type=Path, help="write the checkpoint's weights here and stop")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)  # its thread pool does not survive the fork of the loader processes
    if options.export:
        export(options.out / "checkpoint.pt", options.export)
        return
    train(
        Recipe.read(options.recipe),
        options.data,
        options.out,
        resume=options.resume,
        workers=options.workers,
        identity_weights=options.identity_weights,
    )


if __name__ == "__main__":
    main()
