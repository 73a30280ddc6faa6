"""What is measured of a restored picture or video, as two tables.

`PICTURE_MEASURES` and `VIDEO_MEASURES` say for every measure what it is and which way is better.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np

from vidrestore.errors import NotAvailableError, UsageError, nearest
from vidrestore.landmarks import eye_distance
from vidrestore.metrics import files
from vidrestore.metrics.landmarks import landmark_distance
from vidrestore.structs import Array, Detections

if TYPE_CHECKING:
    from vidrestore.metrics.identity import FaceIdentity

__all__ = [
    "PICTURE_MEASURES",
    "VIDEO_MEASURES",
    "Measure",
    "Values",
    "json_number",
    "load_identity",
    "nearest_face",
    "require_available",
    "select_measures",
]

Values = dict[str, float | None]
"""Measures by name; None where there is no answer, such as no face found."""

MAX_PSNR_DB = 100.0
"""Stands for infinity, which JSON cannot say."""
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
        "identity_deg": Measure(
            "Deg (MobileFaceNet)", "the angle of that cosine, in degrees", "lower", 2
        ),
        "arcface_deg": Measure(
            "Deg (ArcFace)",
            "the papers' identity distance: the angle of the ArcFace ResNet-18 embeddings of face "
            "and truth, in degrees", "lower", 2,
        ),
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
            "FID", "Fréchet distance of the set's Inception features to the truths', or to those "
            "of the reference folder; depends on the number of pictures", "lower", 2,
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
        "identity_deg": Measure(
            "Deg (MobileFaceNet)", "mean angle of identity, in degrees", "lower", 2
        ),
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


def select_measures(names: Iterable[str] | None, table: Mapping[str, Measure]) -> tuple[str, ...]:
    """The wanted measures in the table's order; all of them for None.

    Raises:
        UsageError: there is no measure of that name.
    """
    if names is None:
        return tuple(table)
    wanted = set(names)
    for name in sorted(wanted - table.keys()):
        hint = nearest(name, table) or f"; known: {', '.join(table)}"
        raise UsageError(f"metrics: there is no {name!r}{hint}")
    return tuple(name for name in table if name in wanted)


def require_available(names: Iterable[str] | None, not_available: Mapping[str, str]) -> None:
    """Refuse measures that were asked for by name and cannot be had.

    Args:
        names: what was asked for; None where all that can be had was.
        not_available: why a measure cannot be had, by its name.

    Raises:
        NotAvailableError: names every one, and what it needs from where.
    """
    missing = [f"{name} {not_available[name]}" for name in names or () if name in not_available]
    if missing:
        raise NotAvailableError(f"metrics: {'; '.join(missing)}; or leave them out of the metrics")


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
        NotAvailableError: it is not installed.
        WeightsError: the file cannot be used.
    """
    from vidrestore.metrics.identity import FaceIdentity

    return FaceIdentity(weights or files.installed_weights("mobilefacenet"))


def json_number(value: float | None) -> float | None:
    """A value as JSON can say it: rounded, None for NaN."""
    return None if value is None or math.isnan(value) else round(value, 6)
