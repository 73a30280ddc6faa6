"""What the tasks that restore faces share: held-out pairs, metrics, sample pictures.

The best checkpoint is the one of the highest `score` on the held-out faces: fidelity, sharpness and
identity in one number, see `vidrestore.metrics.score`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from vidrestore import degradations
from vidrestore.errors import NotAvailableError
from vidrestore.metrics import images as metrics
from vidrestore.metrics.identity import FaceIdentity
from vidrestore.metrics.score import restoration_score
from vidrestore.training.config import GFPGANConfig, GPENConfig, TrainingConfig
from vidrestore.training.data.pairs import Degrade, PairDataset, blind_pair
from vidrestore.training.distributed import Distributed
from vidrestore.training.losses.identity import open_identity
from vidrestore.training.losses.perceptual import IdentityFeatures
from vidrestore.training.tasks.task import (
    Data,
    Parts,
    Stage,
    load_or_skip,
    make_average,
    picture_grid,
    take_every_nth,
)

__all__ = ["RestoringTask", "identity_network", "named_degradation", "whole_faces"]

_logger = logging.getLogger(__name__)


class _Shown(NamedTuple):
    """A held-out face; pictures are (1, 3, S, S) in [-1, 1]."""

    degraded: Tensor
    restored: Tensor
    truth: Tensor
    landmarks: Tensor
    """(1, 5, 2) in pixels."""


class RestoringTask(Parts):
    """A task whose network turns degraded faces into restored ones.

    Args:
        config: what to do.
        data: what to learn from.
        distributed: where to run.
        network: the network, on its device.
        held_out: how held-out faces are degraded; a named recipe without its changes of colour.
    """

    larger_is_better: ClassVar[bool] = True

    def __init__(
        self,
        config: TrainingConfig,
        data: Data,
        distributed: Distributed,
        network: nn.Module,
        held_out: Degrade,
    ) -> None:
        super().__init__()
        self.data, self.distributed, self.network = data, distributed, network
        self.average = make_average(network)
        if isinstance(held_out, _NamedDegrade):
            held_out = held_out.without_colour_changes()
        self._report, self._held_out, self._pairs = config.report, held_out, list[Any]()
        self._likeness = _open_likeness(config, distributed)
        self.best_metric = "score" if self._likeness is not None else "score_without_identity"
        self.parts = {"network": network, "average": self.average}

    def restore(self, network: nn.Module, degraded: Tensor) -> Tensor:
        """Restore whole crops (N, 3, S, S) in [-1, 1] without randomness."""
        restored: Tensor = network(degraded)
        return restored

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """PSNR, SSIM and sharpness on luma, identity and score, means over the held-out faces."""
        rows = [self._metrics(shown) for shown in self._shown(self._report.held_out_faces)]
        return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}

    @torch.no_grad()
    def sample_grid(self) -> Tensor:
        """A row for each face: degraded, restored, true."""
        shown = self._shown(self._report.sample_faces)
        return picture_grid([(one.degraded[0], one.restored[0], one.truth[0]) for one in shown])

    def _shown(self, most: int) -> list[_Shown]:
        """Some held-out faces, restored by the average."""
        if not self._pairs:
            places = take_every_nth(len(self.data.held_out), self._report.held_out_faces)
            self._pairs = [self._held_out_pair(index) for index in places]
        shown = []
        for degraded, truth, landmarks in self._pairs[:most]:
            with self.distributed.autocast():
                restored = self.restore(self.average, degraded.to(self.distributed.device))
            shown.append(_Shown(degraded, restored.float().cpu().clamp(-1, 1), truth, landmarks))
        return shown

    def _held_out_pair(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        degraded, truth = blind_pair(self.data.held_out, self._held_out, index)
        landmarks = torch.from_numpy(self.data.held_out.face(index)[1])
        return degraded[None], truth[None], landmarks[None]

    def _metrics(self, shown: _Shown) -> dict[str, float]:
        given, restored, truth = ((picture + 1) / 2 for picture in shown[:3])
        ssim = metrics.ssim(restored, truth)
        sharpness = metrics.sharpness(restored) / metrics.sharpness(truth)
        found = {
            "input_psnr_db": metrics.psnr(given, truth).clamp(max=100).item(),
            "psnr_db": metrics.psnr(restored, truth).clamp(max=100).item(),
            "input_ssim": metrics.ssim(given, truth).item(),
            "ssim": ssim.item(),
            "sharpness": sharpness.item(),
        }
        cosine = None
        if self._likeness is not None:
            own, wanted = (self._embed(one, shown.landmarks) for one in (restored, truth))
            cosine = (own * wanted).sum(1)
            found["identity"] = cosine.item()
        return found | {self.best_metric: restoration_score(ssim, sharpness, cosine).item()}

    def _embed(self, pictures: Tensor, landmarks: Tensor) -> Tensor:
        """(N, D) of unit length, of pictures in [0, 1]."""
        assert self._likeness is not None
        faces = self._likeness.align(pictures.to(self.distributed.device), landmarks)
        embeddings: Tensor = self._likeness(faces)[0].cpu()
        return embeddings


def _open_likeness(config: TrainingConfig, distributed: Distributed) -> FaceIdentity | None:
    """The face embedding of the held-out metrics; None, said in the log, where it is not there."""
    named = config.weights.identity
    try:
        return open_identity(named, option="weights.identity").to(distributed.device)
    except NotAvailableError as error:
        if named is not None:
            raise
        _logger.warning("held-out faces: identity has no part in the score: %s", error)
        return None


def whole_faces(config: GFPGANConfig | GPENConfig, data: Data, degrade: Degrade) -> list[Stage]:
    """The stages of a training on whole degraded faces, counted in steps."""
    images = config.steps * config.batch_size
    samples = PairDataset(
        data.train,
        degrade,
        window=config.data.size_px,
        samples=images,
        seed=config.seed,
        gray_share=config.data.gray_share,
        mirror_share=config.data.mirror_share,
    )
    return [Stage(images, config.batch_size, samples)]


def named_degradation(name: str, size_px: int) -> Degrade:
    """The degradations of a recipe by its name or file, see `vidrestore degrade`, for pictures of a
    size: the papers' lengths are for 512 px, and scale.
    """
    return _NamedDegrade(degradations.load_recipe(name).for_size(size_px))


@dataclass(frozen=True)
class _NamedDegrade:
    """A recipe as a `Degrade`, that loader processes can be sent."""

    recipe: degradations.Recipe

    def without_colour_changes(self) -> _NamedDegrade:
        """The same for faces that are measured."""
        return _NamedDegrade(self.recipe.without_colour_changes())

    def __call__(self, image: degradations.Image, rng: Any) -> degradations.Image:
        return self.recipe.draw(rng).picture(image, rng)


def identity_network(
    weights: Path | None, config: TrainingConfig, distributed: Distributed, term: str
) -> IdentityFeatures | None:
    """The face embedding of a term; None where it is not there and the configuration skips it."""
    found = load_or_skip(lambda: open_identity(weights, option="weights.identity"), term, config)
    return None if found is None else IdentityFeatures(found).to(distributed.device)
