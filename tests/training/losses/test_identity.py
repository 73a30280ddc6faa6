"""The identity term: distances, gradients, and people told apart by the real weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from vidrestore.errors import NotAvailableError
from vidrestore.models.nets.arcface_resnet18 import ArcFaceResNet18
from vidrestore.training.losses.identity import (
    identity_distance,
    identity_loss,
    open_arcface,
    open_identity,
)
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
    from vidrestore.training.data.faces import load_faces

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


def test_arcface_reads_the_public_layout_and_sees_grey_faces(tmp_path: Path) -> None:
    """The file's keys begin with `module.`; colour alone makes no difference."""
    file = tmp_path / "arcface_resnet18.pth"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = ArcFaceResNet18()
    torch.save({f"module.{name}": value for name, value in drawn.state_dict().items()}, file)
    embedder = open_arcface(file)
    source = torch.Generator().manual_seed(1)
    grey = (torch.rand(2, 1, 512, 512, generator=source) - 0.5).expand(-1, 3, -1, -1).contiguous()
    tinted = grey + torch.tensor([0.114, 0.0, -0.2989]).view(3, 1, 1)
    own, other = (embedder(pictures)["embedding"] for pictures in (grey, tinted))
    assert own.shape == (2, 512)
    torch.testing.assert_close(own, other, rtol=1e-3, atol=1e-3)
    small = F.interpolate(grey[:, :1], (128, 128), mode="bilinear", align_corners=False)
    torch.testing.assert_close(own, drawn.eval()(small * 0.9999), rtol=1e-3, atol=1e-3)


def test_arcface_has_the_size_of_the_public_file() -> None:
    """About 103 MB of 32 bit numbers."""
    with torch.device("meta"):
        network = ArcFaceResNet18()
    size = 4 * sum(value.numel() for value in network.state_dict().values())
    assert size == pytest.approx(103e6, rel=0.02)
