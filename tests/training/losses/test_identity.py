"""The identity term: distances, gradients, and people told apart by the real weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vidrestore.errors import NotAvailableError
from vidrestore.training.losses.identity import identity_distance, identity_loss, open_identity
from vidrestore.training.losses.perceptual import IdentityFeatures


def test_distances_equal_their_formulas() -> None:
    own = torch.tensor([[3.0, 4.0], [0.0, 1.0]], requires_grad=True)
    wanted = torch.tensor([[4.0, 3.0], [0.0, 2.0]], requires_grad=True)
    assert float(identity_distance(own, wanted, "l1").detach()) == pytest.approx(3 / 4)
    cosine = identity_distance(own, wanted, "cosine")
    assert float(cosine.detach()) == pytest.approx((1 - 24 / 25) / 2, abs=1e-6)
    cosine.backward()
    assert own.grad is not None
    assert wanted.grad is None


def test_a_missing_file_is_told_with_its_source_and_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDRESTORE_HOME", str(tmp_path))
    with pytest.raises(NotAvailableError, match=r"mobilefacenet\.pt, https://.*identity\.weights"):
        open_identity(option="identity.weights")


def test_the_term_sees_who_it_is_and_teaches_the_picture(shared: Path) -> None:
    from vidrestore.training.faces import load_faces

    faces = load_faces(shared / "faces", "val", limit=2)
    truth = torch.from_numpy(faces.images).permute(0, 3, 1, 2).float() / 127.5 - 1
    landmarks = torch.from_numpy(faces.landmarks)
    embedder = IdentityFeatures(open_identity(shared / "weights/mobilefacenet.pt"))
    restored = (0.9 * truth).requires_grad_()
    loss = identity_loss(embedder, restored, truth, landmarks)
    loss.backward()
    assert restored.grad.isfinite().all()
    assert (restored.grad.abs().sum((1, 2, 3)) > 0).all()
    own = embedder(truth, landmarks)["embedding"]
    dark = embedder(restored.detach(), landmarks)["embedding"]
    assert float(loss.detach()) == pytest.approx(float(identity_distance(dark, own)), abs=1e-6)
    for distance in ("cosine", "l1"):
        other = float(identity_distance(own.roll(1, 0), own, distance))
        assert float(identity_distance(own, own, distance)) == pytest.approx(0, abs=1e-6)
        assert float(identity_distance(dark, own, distance)) < 0.5 * other
