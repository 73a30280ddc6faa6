"""What the tasks that restore faces share: held-out pairs, figures, sample pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from vidrestore.metrics import images as metrics
from vidrestore.training import degradations
from vidrestore.training.faces import Degrade, PairDataset, blind_pair
from vidrestore.training.losses.identity import open_identity
from vidrestore.training.losses.perceptual import IdentityFeatures
from vidrestore.training.machine import Machine
from vidrestore.training.recipe import GFPGANRecipe, GPENRecipe, Recipe
from vidrestore.training.tasks.task import (
    Data,
    Parts,
    Stretch,
    available,
    averaged,
    evenly,
    picture_grid,
)

__all__ = ["RestoringTask", "identity_network", "named_degradation", "whole_faces"]


class RestoringTask(Parts):
    """A task whose network turns degraded faces into restored ones.

    Args:
        recipe: What to do.
        data: What to learn from.
        machine: Where to run.
        network: The network, on its device.
        held_out: How held-out faces are degraded.
    """

    best_figure: ClassVar[str] = "psnr_db"
    larger_is_better: ClassVar[bool] = True

    def __init__(
        self, recipe: Recipe, data: Data, machine: Machine, network: nn.Module, held_out: Degrade
    ) -> None:
        super().__init__()
        self.data, self.machine, self.network = data, machine, network
        self.average = averaged(network)
        self._report, self._held_out, self._pairs = recipe.report, held_out, list[Any]()
        self.parts = {"network": network, "average": self.average}

    def restore(self, network: nn.Module, degraded: Tensor) -> Tensor:
        """Restore whole crops (N, 3, S, S) in [-1, 1] without randomness."""
        restored: Tensor = network(degraded)
        return restored

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """PSNR, SSIM and sharpness on luma, means over the held-out faces."""
        rows = [
            _figures((degraded[None] + 1) / 2, (restored + 1) / 2, (truth[None] + 1) / 2)
            for degraded, restored, truth in self._shown(self._report.held_out_faces)
        ]
        return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}

    @torch.no_grad()
    def sample_grid(self) -> Tensor:
        """A row for each face: degraded, restored, true."""
        shown = self._shown(self._report.sample_faces)
        return picture_grid([(degraded, restored[0], truth) for degraded, restored, truth in shown])

    def _shown(self, most: int) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Some held-out faces: degraded, restored by the average, (1, 3, S, S), and true."""
        if not self._pairs:
            places = evenly(len(self.data.held_out), self._report.held_out_faces)
            self._pairs = [blind_pair(self.data.held_out, self._held_out, i) for i in places]
        shown = []
        for degraded, truth in self._pairs[:most]:
            with self.machine.autocast():
                restored = self.restore(self.average, degraded[None].to(self.machine.device))
            shown.append((degraded, restored.float().cpu().clamp(-1, 1), truth))
        return shown


def _figures(given: Tensor, restored: Tensor, truth: Tensor) -> dict[str, float]:
    return {
        "input_psnr_db": metrics.psnr(given, truth).clamp(max=100).item(),
        "psnr_db": metrics.psnr(restored, truth).clamp(max=100).item(),
        "input_ssim": metrics.ssim(given, truth).item(),
        "ssim": metrics.ssim(restored, truth).item(),
        "sharpness": (metrics.sharpness(restored) / metrics.sharpness(truth)).item(),
    }


def whole_faces(recipe: GFPGANRecipe | GPENRecipe, data: Data, degrade: Degrade) -> list[Stretch]:
    """The course of a training on whole degraded faces, counted in steps."""
    images = recipe.steps * recipe.batch_size
    samples = PairDataset(
        data.train,
        degrade,
        window=recipe.data.size_px,
        samples=images,
        seed=recipe.seed,
        gray_share=recipe.data.gray_share,
        mirror_share=recipe.data.mirror_share,
    )
    return [Stretch(images, recipe.batch_size, samples)]


def named_degradation(name: str, size_px: int) -> Degrade:
    """The degradations of a recipe by its name or file, see `vidrestore degrade`, for pictures of a
    size: the papers' lengths are for 512 px, and scale."""
    return _NamedDegrade(degradations.load_recipe(name).for_size(size_px))


@dataclass(frozen=True)
class _NamedDegrade:
    """A recipe as a `Degrade`, that loader processes can be sent."""

    recipe: degradations.Recipe

    def __call__(self, image: degradations.Picture, rng: Any) -> degradations.Picture:
        return self.recipe.draw(rng).picture(image, rng)


def identity_network(
    weights: Path | None, recipe: Recipe, machine: Machine, term: str
) -> IdentityFeatures | None:
    """The face embedding of a term; None where it is not there and the recipe skips it."""
    found = available(lambda: open_identity(weights, option="weights.identity"), term, recipe)
    return None if found is None else IdentityFeatures(found).to(machine.device)
