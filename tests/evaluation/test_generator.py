"""The evaluation of face restorers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from labelled_faces import write_faces

from vidrestore.errors import DataError
from vidrestore.evaluation.generator import describe, evaluate_generator
from vidrestore.models.templates import landmark_template


class Lightener:
    """A restorer that adds a constant; 0 leaves the crops as they are."""

    name, batch_size = "lightener", 1

    def __init__(self, amount: float, template: str = "ffhq", size: int = 512) -> None:
        self.amount, self.size, self.notes = amount, size, []
        self.template = landmark_template(template, size)
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, crops: torch.Tensor) -> torch.Tensor:
        self.shapes.append(tuple(crops.shape))
        return (crops + self.amount).clamp(0, 1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faces(tmp_path_factory.mktemp("data"), {"val": 2})


def test_doing_nothing_gains_nothing(data: Path) -> None:
    told: list[tuple[int, int]] = []
    scores = evaluate_generator(Lightener(0), data, progress=lambda *step: told.append(step))
    assert scores.n_faces == 2
    assert scores.gain_db == 0
    assert scores.ssim == scores.input_ssim < 1
    assert scores.sharpness == scores.input_sharpness
    assert scores.sharp_psnr_db == 100
    assert scores.identity is None
    assert told == [(1, 2), (2, 2)]


def test_doing_harm_is_seen(data: Path) -> None:
    scores = evaluate_generator(Lightener(0.1), data)
    assert scores.gain_db < -3
    assert scores.sharp_psnr_db == pytest.approx(20, abs=1.5)


def test_other_seeds_and_limits(data: Path) -> None:
    one = evaluate_generator(Lightener(0), data, limit=1)
    other = evaluate_generator(Lightener(0), data, limit=1, seed=1)
    assert one.n_faces == 1
    assert one.input_psnr_db != other.input_psnr_db
    assert one == evaluate_generator(Lightener(0), data, limit=1)


def test_restorers_with_another_template_see_their_own_crops(data: Path) -> None:
    restorer = Lightener(0, "gpen", 256)
    scores = evaluate_generator(restorer, data, limit=1)
    assert set(restorer.shapes) == {(1, 3, 256, 256)}
    assert 25 < scores.sharp_psnr_db < 60


def test_scores_can_be_read(data: Path) -> None:
    scores = evaluate_generator(Lightener(0), data, limit=1)
    text = describe(scores)
    assert "1 faces" in text
    assert text.count(f"{scores.psnr_db:.2f}") == 2
    assert "gain +0.00 dB" in text
    assert "identity" not in text


def test_missing_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"labels\.csv"):
        evaluate_generator(Lightener(0), tmp_path)


def test_identity_is_measured_on_real_faces(shared: Path) -> None:
    scores = evaluate_generator(
        Lightener(0),
        shared / "faces",
        limit=2,
        identity_weights=shared / "weights/mobilefacenet.pt",
    )
    assert scores.input_identity is not None
    assert scores.identity == pytest.approx(scores.input_identity)
    assert 0 < scores.input_identity < 1
    assert scores.sharp_identity == pytest.approx(1, abs=1e-5)
    assert np.isfinite(scores.psnr_db)
