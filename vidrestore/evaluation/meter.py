"""How pictures are measured: the networks that the wanted measures need, and what is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from vidrestore.errors import NotAvailableError
from vidrestore.evaluation.detector import detect_scaled
from vidrestore.evaluation.measures import (
    MAX_PSNR_DB,
    Values,
    json_number,
    load_identity,
    nearest_face,
)
from vidrestore.landmarks import eye_distances
from vidrestore.metrics import files, images
from vidrestore.metrics.fid import FrechetDistance, InceptionFeatures
from vidrestore.metrics.identity import ArcFaceIdentity, identity_angle
from vidrestore.metrics.landmarks import landmark_distance
from vidrestore.metrics.lpips import Lpips
from vidrestore.metrics.niqe import load_niqe
from vidrestore.models.interfaces import FaceDetector
from vidrestore.structs import Array

__all__ = ["PictureMeter", "Reference"]

T = TypeVar("T")

_LPIPS_NETWORKS: Mapping[str, tuple[Literal["alex", "vgg"], files.NetworkFile]] = {
    "lpips": ("alex", files.ALEXNET),
    "lpips_vgg": ("vgg", files.VGG16),
}


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """True pictures and what is known of them."""

    images: Tensor
    """(N, 3, S, S) RGB in [0, 1]."""
    landmarks: Tensor
    """(N, 5, 2) labelled, pixels."""
    embeddings: Tensor | None
    """(N, D), unit length; None where identity is not measured."""
    arcface: Tensor | None
    """The same of ArcFace."""
    found: Array | None
    """(N, 5, 2) as the detector sees them, NaN where it finds no face; None if not measured."""


class PictureMeter:
    """Measure pictures against their truths.

    Args:
        names: measures of `PICTURE_MEASURES`.
        detector: finds the landmarks of "lmd" and "lmd_px".
        identity: `mobilefacenet.pt`; None looks for the installed one.
        arcface: `arcface_resnet18.pth`; None looks for the installed one.
        has_reference: whether `add_reference` gives the pictures that FID compares with.
        device: where the networks run.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        detector: FaceDetector,
        identity: Path | None = None,
        arcface: Path | None = None,
        has_reference: bool = False,
        device: torch.device | str = "cpu",
    ) -> None:
        self.not_available: dict[str, str] = {}
        """Why a wanted measure cannot be had, by its name."""
        self._device, self._detector, self._has_reference = device, detector, has_reference
        self._wanted = set(names)
        self._identity = self._load(
            ("identity", "identity_deg"), lambda: load_identity(identity).to(device)
        )
        self._arcface = self._load(("arcface_deg",), lambda: _arcface(arcface).to(device))
        self._lpips = {
            name: self._load((name,), partial(_lpips, name, device)) for name in _LPIPS_NETWORKS
        }
        self._niqe = self._load(("niqe",), lambda: load_niqe(lambda: files.find_file(files.NIQE)))
        self._fid = self._load(("fid",), lambda: _fid(device))
        self.names = tuple(name for name in names if name not in self.not_available)
        """The measures that are taken."""

    def reference(self, truth: Tensor, landmarks: Tensor) -> Reference:
        """Look at true pictures (N, 3, S, S) in [0, 1] with landmarks (N, 5, 2)."""
        if not self._has_reference:
            self.add_reference(truth)
        return Reference(
            truth,
            landmarks,
            self._embed(truth, landmarks),
            self._embed_arcface(truth),
            self._find(truth, landmarks),
        )

    def add_reference(self, pictures: Tensor) -> None:
        """Add pictures (N, 3, H, W) in [0, 1] to those that FID compares with."""
        if self._fid is not None:
            self._fid.add_truth(pictures.to(self._device))

    def measure(self, model: str, pictures: Tensor, reference: Reference) -> list[Values]:
        """The measures of every picture; those of sets come with `finish`.

        Args:
            model: whose pictures these are.
            pictures: (N, 3, S, S) RGB in [0, 1].
            reference: their truths.
        """
        truth = reference.images
        columns: dict[str, Tensor | Array] = {
            "psnr_db": images.psnr(pictures, truth).clamp(max=MAX_PSNR_DB),
            "ssim": images.ssim(pictures, truth),
            "sharpness": images.sharpness(pictures) / images.sharpness(truth),
        }
        columns.update(self._identities(pictures, reference))
        columns.update(self._landmarks(pictures, reference))
        columns |= {
            name: metric(pictures.to(self._device), truth.to(self._device)).cpu()
            for name, metric in self._lpips.items()
            if metric is not None
        }
        if self._niqe is not None:
            columns["niqe"] = self._niqe(pictures)
        if self._fid is not None:
            self._fid.add(model, pictures.to(self._device))
        names = [name for name in self.names if name in columns]
        return [
            {name: json_number(float(columns[name][row])) for name in names}
            for row in range(len(pictures))
        ]

    def finish(self) -> dict[str, Values]:
        """Return the measures of whole sets, by model."""
        if self._fid is None:
            return {}
        return {model: {"fid": json_number(value)} for model, value in self._fid.compute().items()}

    def _load(self, names: Sequence[str], load: Callable[[], T]) -> T | None:
        """What some measures need, if one of them is wanted and it is there."""
        if not self._wanted.intersection(names):
            return None
        try:
            return load()
        except NotAvailableError as error:
            self.not_available |= {name: str(error) for name in names if name in self._wanted}
            return None

    def _identities(self, pictures: Tensor, reference: Reference) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        own = self._embed(pictures, reference.landmarks)
        if own is not None and reference.embeddings is not None:
            found["identity"] = (own * reference.embeddings).sum(1)
            found["identity_deg"] = identity_angle(found["identity"])
        own = self._embed_arcface(pictures)
        if own is not None and reference.arcface is not None:
            found["arcface_deg"] = identity_angle((own * reference.arcface).sum(1))
        return found

    def _embed(self, pictures: Tensor, landmarks: Tensor) -> Tensor | None:
        if self._identity is None:
            return None
        aligned = self._identity.align(pictures.to(self._device), landmarks)
        embeddings: Tensor = self._identity(aligned)[0].cpu()
        return embeddings

    def _embed_arcface(self, pictures: Tensor) -> Tensor | None:
        if self._arcface is None:
            return None
        embeddings: Tensor = self._arcface(pictures.to(self._device)).cpu()
        return embeddings

    def _landmarks(self, pictures: Tensor, reference: Reference) -> dict[str, Array]:
        if reference.found is None:
            return {}
        own = self._find(pictures, reference.landmarks)
        assert own is not None
        gaps = landmark_distance(own, reference.found)
        return {"lmd_px": gaps, "lmd": 100 * gaps / eye_distances(reference.found)}

    def _find(self, pictures: Tensor, landmarks: Tensor) -> Array | None:
        if not self._wanted.intersection(("lmd", "lmd_px")):
            return None
        known = landmarks.numpy().astype(np.float64)
        shown = (pictures.clamp(0, 1) * 255 + 0.5).to(torch.uint8).permute(0, 2, 3, 1).numpy()
        answers = (
            detect_scaled(self._detector, np.ascontiguousarray(picture), None) for picture in shown
        )
        return np.stack([nearest_face(a, k) for a, k in zip(answers, known, strict=True)])


def _lpips(name: str, device: torch.device | str) -> nn.Module:
    network, file = _LPIPS_NETWORKS[name]
    return Lpips(network, files.find_file(file)).to(device)


def _fid(device: torch.device | str) -> FrechetDistance:
    return FrechetDistance(InceptionFeatures.load(files.find_file(files.INCEPTION)).to(device))


def _arcface(weights: Path | None) -> ArcFaceIdentity:
    return ArcFaceIdentity(weights or files.installed_weights("arcface-resnet18"))
