"""Face identity: alignment, cosines, gradients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from vidrestore.metrics.identity import FaceIdentity
from vidrestore.models.nets.mobilefacenet import MobileFaceNet
from vidrestore.models.templates import ARCFACE_112


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> FaceIdentity:
    """The network with drawn weights; what is tested here does not depend on them."""
    path = tmp_path_factory.mktemp("weights") / "mobilefacenet.pt"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(MobileFaceNet().state_dict(), path)
    return FaceIdentity(path)


def spots(points: np.ndarray, size: int) -> torch.Tensor:
    y, x = np.mgrid[:size, :size]
    image = sum(np.exp(-((x - px) ** 2 + (y - py) ** 2) / 18) for px, py in points)
    return torch.from_numpy(np.float32(np.stack([image] * 3)))


def test_landmarks_come_to_lie_on_the_template(identity: FaceIdentity) -> None:
    turn = 1.5 * np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    points = (np.asarray(ARCFACE_112) - 56) @ turn.T + (130, 120)
    faces = identity.align(spots(points, 256)[None], torch.from_numpy(points)[None])
    assert faces.shape == (1, 3, 112, 112)
    for px, py in np.asarray(ARCFACE_112):
        near = faces[0, 0, round(py) - 4 : round(py) + 5, round(px) - 4 : round(px) + 5]
        assert near.max() > 0.6
        top = np.unravel_index(int(near.argmax()), near.shape)
        assert np.abs(np.array(top) - 4).max() <= 1


def test_pictures_get_gradients_and_the_network_none(identity: FaceIdentity) -> None:
    images = torch.rand(1, 3, 112, 112, requires_grad=True)
    embedding, inner = identity(images)
    assert embedding.norm().item() == pytest.approx(1, abs=1e-5)
    assert [part.shape[-1] for part in inner] == [56, 28, 14]
    (embedding.sum() + sum(part.mean() for part in inner)).backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0
    assert all(p.grad is None for p in identity.parameters())


def test_the_weights_tell_people_apart(shared: Path) -> None:
    from vidrestore.training.data.faces import load_faces

    identity = FaceIdentity(shared / "weights/mobilefacenet.pt")
    faces = load_faces(shared / "faces", "val", limit=6)
    images = torch.from_numpy(faces.images).permute(0, 3, 1, 2).float() / 255
    landmarks = torch.from_numpy(faces.landmarks)
    with torch.inference_mode():
        vectors, darker, others = (
            identity(identity.align(pictures, landmarks))[0]
            for pictures in (images, 0.8 * images, images.roll(1, 0))
        )
    own, other = (vectors * darker).sum(1), (vectors * others).sum(1)
    assert own.min() > 0.9
    assert other.mean() < 0.4
