"""What the shipped generator promises on faces it has not seen."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vidrestore.evaluation.pictures import compare_pictures
from vidrestore.evaluation.results import summarise
from vidrestore.models.load import load_restorer
from vidrestore.training.data.faces import load_faces

MEASURES = ("psnr_db", "ssim", "identity")


def means(shared: Path, protocol: str, limit: int) -> tuple[dict[str, float], dict[str, float]]:
    """Measures of the input and of the shipped generator."""
    found = compare_pictures(
        ["embedded"],
        shared / "faces",
        protocol=protocol,
        limit=limit,
        metrics=MEASURES,
        samples=1,
        identity=shared / "weights/mobilefacenet.pt",
        device="cpu",
    )
    models = summarise(found)["models"]
    return models["input"]["all"]["mean"], models["embedded"]["all"]["mean"]


@pytest.mark.parametrize("limit", [8, pytest.param(20, marks=pytest.mark.soak)])
def test_degraded_faces_gain(shared: Path, limit: int) -> None:
    before, after = means(shared, "blind", limit)
    assert after["psnr_db"] >= before["psnr_db"] + 1.0
    assert after["ssim"] > before["ssim"] + 0.02
    assert after["identity"] > before["identity"]


def test_sharp_faces_stay(shared: Path) -> None:
    before, after = means(shared, "none", 2)
    assert before["psnr_db"] == 100
    assert after["psnr_db"] >= 34
    assert after["identity"] >= 0.97


def test_black_and_white_stays_neutral(shared: Path) -> None:
    restorer = load_restorer("embedded", device="cpu", precision="float32", batch_size=1)
    faces = load_faces(shared / "faces", "val", limit=3)
    images = torch.from_numpy(faces.images).permute(0, 3, 1, 2).float() / 255
    gray = torch.nn.functional.avg_pool2d(images.mean(dim=1, keepdim=True), 5, 1, 2)
    restored = restorer(gray.expand(-1, 3, -1, -1).contiguous())
    tint = (restored - restored.mean(dim=1, keepdim=True)).abs() * 255
    assert tint.mean() <= 1.0
    assert tint.flatten().kthvalue(int(0.99 * tint.numel())).values <= 4.0
