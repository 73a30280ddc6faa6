"""What is measured of a restored picture or video, as two tables, and how pictures are measured.

`PICTURE_MEASURES` and `VIDEO_MEASURES` say for every measure what it is and which way is better;
`PictureMeter` loads the networks that the wanted ones need and names those that are not there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from vidrestore.errors import NotAvailableError, UsageError, nearest
from vidrestore.evaluation.detector import detect_scaled
from vidrestore.metrics import files, images
from vidrestore.metrics.fid import FrechetDistance, InceptionFeatures
from vidrestore.metrics.identity import FaceIdentity, identity_angle
from vidrestore.metrics.landmarks import eye_distance, landmark_distance
from vidrestore.metrics.lpips import Lpips
from vidrestore.metrics.niqe import load_niqe
from vidrestore.models.protocols import FaceDetector
from vidrestore.structs import Array, Detections

__all__ = [
    "PICTURE_MEASURES",
    "VIDEO_MEASURES",
    "Measure",
    "PictureMeter",
    "Reference",
    "Values",
    "choose",
    "load_identity",
    "nearest_face",
    "number",
]

T = TypeVar("T")

Values = dict[str, float | None]
"""Measures by name; None where there is no answer, such as no face found."""

MAX_PSNR_DB = 100.0
"""Stands for infinity, which JSON cannot say."""
_LPIPS_NETWORKS: Mapping[str, tuple[Literal["alex", "vgg"], files.NetworkFile]] = {
    "lpips": ("alex", files.ALEXNET),
    "lpips_vgg": ("vgg", files.VGG16),
}
_MAX_LANDMARK_GAP = 0.5
"""A detection farther than this from the known face, in eye distances, is of something else."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One row of the tables."""

    title: str
    meaning: str
    """Its formula or source, for people."""
    better: Literal["higher", "lower", "one", "none"]
    """Which way is better; "one" is nearness to 1."""
    decimals: int


PICTURE_MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        "psnr_db": Measure(
            "PSNR, dB", "-10 log₁₀ of the mean squared error of luma; at most 100", "higher", 2
        ),
        "ssim": Measure("SSIM", "of luma, Gaussian window 11, sigma 1.5", "higher", 4),
        "lpips": Measure("LPIPS (AlexNet)", "Zhang et al. 2018, version 0.1", "lower", 4),
        "lpips_vgg": Measure("LPIPS (VGG16)", "Zhang et al. 2018, version 0.1", "lower", 4),
        "identity": Measure(
            "identity, cosine", "cosine of the MobileFaceNet embeddings of face and truth",
            "higher", 4,
        ),
        "identity_deg": Measure("Deg", "the angle of that cosine, in degrees", "lower", 2),
        "lmd": Measure(
            "landmark distance, %",
            "mean distance of five detected landmarks to those detected in the truth, in percent "
            "of the distance between the eyes", "lower", 2,
        ),
        "lmd_px": Measure("LMD, px", "the same in pixels of the 512 px crop", "lower", 2),
        "sharpness": Measure(
            "sharpness", "mean absolute Laplacian of luma over the truth's; 1 is as sharp",
            "one", 3,
        ),
        "niqe": Measure("NIQE", "naturalness without a truth, Mittal et al. 2013", "lower", 2),
        "fid": Measure(
            "FID", "Fréchet distance of the set's Inception features to the truths'; depends on "
            "the number of pictures", "lower", 2,
        ),
    }
)  # fmt: skip

VIDEO_MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        "psnr_db": Measure("PSNR, dB", "of luma in the face's box, mean over frames", "higher", 2),
        "ssim": Measure("SSIM", "of luma in the face's box, mean over frames", "higher", 4),
        "sharpness": Measure(
            "sharpness", "mean absolute Laplacian of luma over the truth's; 1 is as sharp",
            "one", 3,
        ),
        "identity": Measure(
            "identity, cosine", "cosine of the embeddings of each frame and its truth, mean",
            "higher", 4,
        ),
        "identity_std": Measure(
            "identity's deviation",
            "standard deviation over time of the cosine to the median embedding of the truth",
            "lower", 4,
        ),
        "identity_deg": Measure("Deg", "mean angle of identity, in degrees", "lower", 2),
        "lmd": Measure(
            "landmark distance, %",
            "mean distance of five detected landmarks to those detected in the truth, in percent "
            "of the distance between the eyes", "lower", 2,
        ),
        "warping_error": Measure(
            "warping error * 1000",
            "squared change along the truth's flow over the pixels that both frames show "
            "(Lai et al. 2018); the truth has one too", "lower", 3,
        ),
        "temporal_difference": Measure(
            "temporal difference", "mean |Δclip - Δtruth| of luma, of 255", "lower", 3
        ),
        "flicker": Measure(
            "flicker", "mean change of the error (clip - truth) along the truth's flow, of 255",
            "lower", 3,
        ),
        "jitter_px": Measure(
            "landmark jitter, px",
            "median size of the second difference of the landmarks detected frame by frame",
            "lower", 3,
        ),
        "jitter": Measure("landmark jitter, %", "the same in percent of the eye distance",
            "lower", 3,
        ),
        "eyes": Measure(
            "openness of the eyes",
            "correlation over time with the truth's: of luma over height at both eyes, along the "
            "truth's first principal component, faces aligned by the truth's track", "higher", 4,
        ),
        "mouth": Measure(
            "openness of the mouth", "the same at the mouth", "higher", 4
        ),
    }
)  # fmt: skip


def choose(names: Iterable[str] | None, table: Mapping[str, Measure]) -> tuple[str, ...]:
    """The wanted measures in the table's order; all of them for None.

    Raises:
        UsageError: There is no measure of that name.
    """
    if names is None:
        return tuple(table)
    wanted = set(names)
    for name in sorted(wanted - table.keys()):
        hint = nearest(name, table) or f"; known: {', '.join(table)}"
        raise UsageError(f"metrics: there is no {name!r}{hint}")
    return tuple(name for name in table if name in wanted)


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """True pictures and what is known of them."""

    images: Tensor
    """(N, 3, S, S) RGB in [0, 1]."""
    landmarks: Tensor
    """(N, 5, 2) labelled, pixels."""
    embeddings: Tensor | None
    """(N, D), unit length; None where identity is not measured."""
    found: Array | None
    """(N, 5, 2) as the detector sees them, NaN where it finds no face; None if not measured."""


class PictureMeter:
    """Measures pictures against their truths.

    Args:
        names: Measures of `PICTURE_MEASURES`.
        detector: Finds the landmarks of "lmd" and "lmd_px".
        identity: `mobilefacenet.pt`; None looks for the installed one.
        device: Where the networks run.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        detector: FaceDetector,
        identity: Path | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.not_available: dict[str, str] = {}
        """Why a wanted measure cannot be had, by its name."""
        self._device, self._detector = device, detector
        self._wanted = set(names)
        self._identity = self._load(
            ("identity", "identity_deg"), lambda: load_identity(identity).to(device)
        )
        self._lpips = {
            name: self._load((name,), partial(_lpips, name, device)) for name in _LPIPS_NETWORKS
        }
        self._niqe = self._load(("niqe",), lambda: load_niqe(lambda: files.find_file(files.NIQE)))
        self._fid = self._load(("fid",), lambda: _fid(device))
        self.names = tuple(name for name in names if name not in self.not_available)
        """The measures that are taken."""

    def reference(self, truth: Tensor, landmarks: Tensor) -> Reference:
        """Look at true pictures (N, 3, S, S) in [0, 1] with landmarks (N, 5, 2)."""
        if self._fid is not None:
            self._fid.add_truth(truth.to(self._device))
        return Reference(
            truth, landmarks, self._embed(truth, landmarks), self._find(truth, landmarks)
        )

    def measure(self, model: str, pictures: Tensor, reference: Reference) -> list[Values]:
        """The measures of every picture; those of sets come with `finish`.

        Args:
            model: Whose pictures these are.
            pictures: (N, 3, S, S) RGB in [0, 1].
            reference: Their truths.
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
            {name: number(float(columns[name][row])) for name in names}
            for row in range(len(pictures))
        ]

    def finish(self) -> dict[str, Values]:
        """Measures of the whole sets, by model."""
        if self._fid is None:
            return {}
        return {model: {"fid": number(value)} for model, value in self._fid.compute().items()}

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
        if reference.embeddings is None:
            return {}
        own = self._embed(pictures, reference.landmarks)
        assert own is not None
        cosines = (own * reference.embeddings).sum(1)
        return {"identity": cosines, "identity_deg": identity_angle(cosines)}

    def _embed(self, pictures: Tensor, landmarks: Tensor) -> Tensor | None:
        if self._identity is None:
            return None
        aligned = self._identity.align(pictures.to(self._device), landmarks)
        embeddings: Tensor = self._identity(aligned)[0].cpu()
        return embeddings

    def _landmarks(self, pictures: Tensor, reference: Reference) -> dict[str, Array]:
        if reference.found is None:
            return {}
        own = self._find(pictures, reference.landmarks)
        assert own is not None
        gaps = landmark_distance(own, reference.found)
        return {"lmd_px": gaps, "lmd": 100 * gaps / eye_distance(reference.found)}

    def _find(self, pictures: Tensor, landmarks: Tensor) -> Array | None:
        if not self._wanted.intersection(("lmd", "lmd_px")):
            return None
        known = landmarks.numpy().astype(np.float64)
        shown = (pictures.clamp(0, 1) * 255 + 0.5).to(torch.uint8).permute(0, 2, 3, 1).numpy()
        answers = (
            detect_scaled(self._detector, np.ascontiguousarray(picture), None) for picture in shown
        )
        return np.stack([nearest_face(a, k) for a, k in zip(answers, known, strict=True)])


def nearest_face(found: Detections, known: Array) -> Array:
    """The detected landmarks (5, 2) nearest to known ones; NaN if none is about there."""
    missing = np.full((5, 2), np.nan)
    if not len(found):
        return missing
    gaps = landmark_distance(found.landmarks, known) / eye_distance(known)
    best = int(gaps.argmin())
    near = gaps[best] <= _MAX_LANDMARK_GAP
    return found.landmarks[best].astype(np.float64) if near else missing


def load_identity(weights: Path | None) -> FaceIdentity:
    """The face embedding from a file, or from the installed one.

    Raises:
        NotAvailableError: It is not installed.
        WeightsError: The file cannot be used.
    """
    return FaceIdentity(weights or files.identity_weights())


def number(value: float | None) -> float | None:
    """A value as JSON can say it: rounded, None for NaN."""
    return None if value is None or math.isnan(value) else round(value, 6)


def _lpips(name: str, device: torch.device | str) -> nn.Module:
    network, file = _LPIPS_NETWORKS[name]
    return Lpips(network, files.find_file(file)).to(device)


def _fid(device: torch.device | str) -> FrechetDistance:
    return FrechetDistance(InceptionFeatures.load(files.find_file(files.INCEPTION)).to(device))
