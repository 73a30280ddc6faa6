"""How much a face restorer gains on unseen faces: a seeded, documented protocol.

Every face of the split is degraded by `BlindVideo` (blur, down, noise, H.264 or MPEG-2, JPEG, up)
with the seed (seed, index of the face), restored, and compared with the truth on luma. Besides,
the untouched face itself is restored: a sharp face should come out as it was. The same data and
seed give the same degraded faces, so two restorers meet the same task.

    scores = evaluate_generator(load_restorer("embedded"), Path("faces"))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vidrestore import geometry
from vidrestore.metrics import images as metrics
from vidrestore.metrics.identity import FaceIdentity, identity_cosine
from vidrestore.models.protocols import FaceRestorer
from vidrestore.models.templates import landmark_template
from vidrestore.training.degradations import BlindVideo
from vidrestore.training.faces import load_faces
from vidrestore.training.generator import blind_pair

__all__ = ["GeneratorScores", "describe", "evaluate_generator"]

_FACE_SIZE = 512
_SIZE = (_FACE_SIZE, _FACE_SIZE)


@dataclass(frozen=True, slots=True)
class GeneratorScores:
    """Means over the faces; pictures are compared with the truth on luma."""

    n_faces: int
    input_psnr_db: float
    psnr_db: float
    input_ssim: float
    ssim: float
    input_sharpness: float
    """Mean |Laplacian| over the truth's, 1 = as sharp."""
    sharpness: float
    sharp_psnr_db: float
    """Of restored sharp faces to themselves."""
    input_identity: float | None
    """Cosine of face embeddings to the truth's; absent without the embedding's weights."""
    identity: float | None
    sharp_identity: float | None

    @property
    def gain_db(self) -> float:
        """PSNR of the output over that of the input."""
        return self.psnr_db - self.input_psnr_db


def evaluate_generator(
    restorer: FaceRestorer,
    data: Path,
    *,
    split: str = "val",
    mixture: BlindVideo | None = None,
    seed: int = 0,
    limit: int | None = None,
    identity_weights: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> GeneratorScores:
    """Measure a restorer on the 512 px faces of a labelled folder.

    Args:
        restorer: What to measure; a template or size of its own is met by warping there and back.
        data: Folder with pictures and `labels.csv`.
        split: Faces of this split count.
        mixture: The degradations, `BlindVideo` without nearly clean inputs by default.
        seed: Seed of the degradations.
        limit: Take only so many faces.
        identity_weights: `mobilefacenet.pt`, to compare identities as well.
        progress: Told (faces done, faces in all).

    Raises:
        DataError: If there are no such faces.
    """
    faces = load_faces(data, split, size=_FACE_SIZE, limit=limit)
    identity = FaceIdentity(identity_weights) if identity_weights is not None else None
    rows = []
    for index in range(len(faces)):
        pair = blind_pair(faces, mixture or BlindVideo(), index, seed=seed)
        degraded, truth = ((side[None] + 1) / 2 for side in pair)
        landmarks = torch.from_numpy(faces.landmarks[index : index + 1])
        rows.append(_measure(restorer, degraded, truth, landmarks, identity))
        if progress is not None:
            progress(index + 1, len(faces))
    means = [float(value) for value in np.mean(np.array(rows, dtype=np.float64), axis=0)]
    return GeneratorScores(
        len(rows), *means[:7], *(means[7:] if identity is not None else (None, None, None))
    )


def describe(scores: GeneratorScores) -> str:
    """The scores as a small table for people."""
    rows = [
        ("PSNR dB", scores.input_psnr_db, scores.psnr_db, ".2f"),
        ("SSIM", scores.input_ssim, scores.ssim, ".4f"),
        ("sharpness", scores.input_sharpness, scores.sharpness, ".3f"),
        ("identity", scores.input_identity, scores.identity, ".4f"),
    ]
    lines = [f"{scores.n_faces} faces{'input':>14}{'restored':>12}"]
    lines += [
        f"{name:12}{before:>{12}{form}}{after:>{12}{form}}"
        for name, before, after, form in rows
        if before is not None and after is not None
    ]
    lines.append(
        f"gain {scores.gain_db:+.2f} dB; a sharp face to itself {scores.sharp_psnr_db:.1f} dB"
    )
    return "\n".join(lines)


@torch.inference_mode()
def _measure(
    restorer: FaceRestorer,
    degraded: Tensor,
    truth: Tensor,
    landmarks: Tensor,
    identity: FaceIdentity | None,
) -> list[float]:
    """One face's scores, in the order of the fields of `GeneratorScores`."""
    restored, sharp = _restore(restorer, degraded), _restore(restorer, truth)
    wanted_sharpness = metrics.sharpness(truth)
    values = [
        metrics.psnr(degraded, truth),
        metrics.psnr(restored, truth),
        metrics.ssim(degraded, truth),
        metrics.ssim(restored, truth),
        metrics.sharpness(degraded) / wanted_sharpness,
        metrics.sharpness(restored) / wanted_sharpness,
        metrics.psnr(sharp, truth).clamp(max=100.0),
    ]
    if identity is not None:
        values += [
            identity_cosine(identity, image, truth, landmarks)
            for image in (degraded, restored, sharp)
        ]
    return [value.item() for value in values]


def _restore(restorer: FaceRestorer, crop: Tensor) -> Tensor:
    """Restore a (1, 3, 512, 512) crop of the FFHQ alignment by any restorer."""
    own = landmark_template("ffhq", _FACE_SIZE)
    if restorer.size == _FACE_SIZE and np.allclose(restorer.template, own, atol=0.01):
        return restorer(crop).cpu()
    theirs_from_ours = geometry.similarity_from_points(restorer.template, own)
    size = (restorer.size, restorer.size)
    restored = restorer(geometry.warp_affine(crop, theirs_from_ours, size).clamp(0, 1)).cpu()
    ours_from_theirs = geometry.invert(theirs_from_ours)
    inside = geometry.warp_affine(torch.ones_like(restored), ours_from_theirs, _SIZE)
    back = geometry.warp_affine(restored, ours_from_theirs, _SIZE)
    return torch.where(inside > 0, back, crop)
