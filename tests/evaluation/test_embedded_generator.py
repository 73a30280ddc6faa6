"""What the shipped generator promises on faces it has not seen."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vidrestore.evaluation.generator import evaluate_generator
from vidrestore.models.load import load_restorer
from vidrestore.models.protocols import FaceRestorer
from vidrestore.training.faces import load_faces


@pytest.fixture(scope="module")
def restorer() -> FaceRestorer:
    return load_restorer("embedded", device="cpu", precision="float32", batch_size=1)


def test_degraded_faces_gain_and_sharp_ones_stay(restorer: FaceRestorer, shared: Path) -> None:
    scores = evaluate_generator(
        restorer,
        shared / "faces",
        limit=20,
        identity_weights=shared / "weights/mobilefacenet.pt",
    )
    assert scores.gain_db >= 1.0
    assert scores.ssim > scores.input_ssim + 0.02
    assert scores.identity is not None
    assert scores.input_identity is not None
    assert scores.identity > scores.input_identity
    assert scores.sharp_psnr_db >= 34
    assert scores.sharp_identity is not None
    assert scores.sharp_identity >= 0.97


def test_black_and_white_stays_neutral(restorer: FaceRestorer, shared: Path) -> None:
    faces = load_faces(shared / "faces", "val", limit=3)
    images = torch.from_numpy(faces.images).permute(0, 3, 1, 2).float() / 255
    gray = torch.nn.functional.avg_pool2d(images.mean(dim=1, keepdim=True), 5, 1, 2)
    restored = restorer(gray.expand(-1, 3, -1, -1).contiguous())
    tint = (restored - restored.mean(dim=1, keepdim=True)).abs() * 255
    assert tint.mean() <= 1.0
    assert tint.flatten().kthvalue(int(0.99 * tint.numel())).values <= 3.0
