"""Identity: the distance of face embeddings (GFP-GAN, arXiv:2101.04061, section 3.3; GPEN).

The papers take ArcFace (arXiv:1801.07698), GFP-GAN with a ResNet-18 on grey 128 px pictures
(`open_arcface`). `open_identity` is MobileFaceNet; its vectors have unit length, so their L1
distance is smaller than the papers' and wants a larger weight (`UNIT_LENGTH_SCALE`), while one
minus the cosine does not depend on the length. Anything that obeys `Embedder` can take their place.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal, Protocol

from torch import Tensor
from torch.nn import functional as F

from vidrestore.metrics.files import NetworkFile
from vidrestore.metrics.identity import FaceIdentity
from vidrestore.models import zoo
from vidrestore.training.losses.perceptual import ArcFaceFeatures, weights_file

__all__ = [
    "UNIT_LENGTH_SCALE",
    "Distance",
    "Embedder",
    "identity_distance",
    "identity_loss",
    "open_arcface",
    "open_identity",
]

Distance = Literal["l1", "cosine"]

UNIT_LENGTH_SCALE = math.sqrt(128)
"""How many times smaller the L1 distance of MobileFaceNet's vectors is than that of ArcFace's.

The last layer of ArcFace's ResNet-18, a batch normalisation, gives its 512 numbers a root mean
square near 1, its learnt gains aside; the 128 of a vector of unit length have 1 / sqrt(128).
At a given angle between two vectors the mean absolute difference goes with that number. On 40
held-out faces under GFP-GAN's degradations MobileFaceNet's was 0.072, so 0.81 at ArcFace's scale.
"""


class Embedder(Protocol):
    """Give an entry "embedding", (N, D), as `IdentityFeatures` does."""

    def __call__(self, pictures: Tensor, landmarks: Tensor) -> dict[str, Tensor]:
        """From (N, 3, H, W) RGB in [-1, 1] and (N, 5, 2) in pixels."""
        ...


def open_identity(path: Path | None = None, *, option: str = "identity weights") -> FaceIdentity:
    """Open the face embedding.

    Args:
        path: `mobilefacenet.pt`; None looks into the folder of weights.
        option: the option that gives `path`, for the message.

    Raises:
        NotAvailableError: the file is not there.
        WeightsError: the file is of another network.
    """
    return FaceIdentity(_published("mobilefacenet", path, option))


def open_arcface(path: Path | None = None, *, option: str = "arcface weights") -> ArcFaceFeatures:
    """Open GFP-GAN's own face embedding.

    Args:
        path: `arcface_resnet18.pth`; None looks into the folder of weights.
        option: the option that gives `path`, for the message.

    Raises:
        NotAvailableError: the file is not there.
        WeightsError: the file is of another network.
    """
    return ArcFaceFeatures(_published("arcface-resnet18", path, option))


def _published(name: str, path: Path | None, option: str) -> Path:
    """The file of a network of the zoo."""
    (spec,) = zoo.find(name, "identity")
    assert spec.url is not None and spec.sha256 is not None
    file = NetworkFile(spec.filename, spec.url, spec.sha256)
    return weights_file(file, path, option=option)


def identity_distance(own: Tensor, wanted: Tensor, distance: Distance = "cosine") -> Tensor:
    """Mean distance of embeddings, in float32.

    Args:
        own: (N, D), of restored pictures.
        wanted: (N, D), of the true ones; they get no gradient.
        distance: "l1", the mean absolute difference, or "cosine", one minus the cosine.
    """
    own, wanted = own.float(), wanted.detach().float()
    if distance == "l1":
        return F.l1_loss(own, wanted)
    return (1 - F.cosine_similarity(own, wanted)).mean()


def identity_loss(
    embedder: Embedder,
    restored: Tensor,
    truth: Tensor,
    landmarks: Tensor,
    distance: Distance = "cosine",
) -> Tensor:
    """The identity term on pictures.

    Where the embedder's inner layers serve another term too, call it once and `identity_distance`
    on its embeddings.

    Args:
        embedder: such as `IdentityFeatures`.
        restored: (N, 3, H, W) RGB in [-1, 1].
        truth: the same for the true pictures.
        landmarks: (N, 5, 2) in pixels.
        distance: see `identity_distance`.
    """
    wanted = embedder(truth.detach(), landmarks)["embedding"]
    own = embedder(restored, landmarks)["embedding"]
    return identity_distance(own, wanted, distance)
