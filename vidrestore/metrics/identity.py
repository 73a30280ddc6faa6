"""Who a face is, as a vector: cosines of MobileFaceNet embeddings say how alike two faces are.

The same network serves training, where the layers before the embedding stand in for perceptual
features of a general network. The papers' identity distance is measured by ArcFace.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore import geometry
from vidrestore.models.nets.arcface_resnet18 import ArcFaceResNet18, grey_faces
from vidrestore.models.nets.mobilefacenet import MobileFaceNet, normalize
from vidrestore.models.templates import ARCFACE_112
from vidrestore.models.weights.checkpoint import fill, read

_SIZE = 112
_FEATURE_BLOCKS = (3, 9)
"""Bottlenecks after which features are taken: 28 px and 14 px maps."""


class FaceIdentity(nn.Module):
    """MobileFaceNet with the alignment it wants; differentiable with respect to the pictures.

    Args:
        weights: `mobilefacenet.pt`.
    """

    def __init__(self, weights: Path) -> None:
        super().__init__()
        self.network = MobileFaceNet()
        fill(self.network, read(weights), arch="MobileFaceNet")
        self.network.eval().requires_grad_(False)

    def align(self, images: Tensor, landmarks: Tensor) -> Tensor:
        """Cut out the faces.

        Args:
            images: (N, 3, H, W) RGB in [0, 1].
            landmarks: (N, 5, 2) in pixels of the images.

        Returns:
            (N, 3, 112, 112) in [0, 1].
        """
        points = landmarks.detach().cpu().numpy().astype(np.float64)
        faces = [
            geometry.warp_affine(
                image[None], geometry.similarity_from_points(ARCFACE_112, own), (_SIZE, _SIZE)
            )
            for image, own in zip(images, points, strict=True)
        ]
        return torch.cat(faces)

    def forward(self, faces: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Embeddings and inner features of aligned faces (N, 3, 112, 112) in [0, 1].

        Returns:
            (N, 128) of unit length, and maps (N, C, h, w) from fine to coarse.
        """
        x = self.network.dw_conv(self.network.conv1(normalize(faces)))
        inner = [x]
        for index, block in enumerate(self.network.features):
            x = block(x)
            if index in _FEATURE_BLOCKS:
                inner.append(x)
        embedding = self.network.bn(
            self.network.conv3(self.network.gdconv(self.network.conv2(x)))
        ).flatten(1)
        return F.normalize(embedding), inner


class ArcFaceIdentity(nn.Module):
    """ArcFace's ResNet-18, by which GFP-GAN and later papers measure identity.

    Args:
        weights: `arcface_resnet18.pth`.
    """

    def __init__(self, weights: Path) -> None:
        super().__init__()
        self.network = ArcFaceResNet18()
        fill(self.network, read(weights), arch="ArcFaceResNet18")
        self.network.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (N, 512) of unit length.

        Args:
            images: (N, 3, S, S) RGB in [0, 1], whole crops of the FFHQ alignment.
        """
        return F.normalize(self.network(grey_faces(images * 2 - 1)))


def identity_angle(cosines: Tensor) -> Tensor:
    """The papers' identity distance (Deg): the angle of cosines, in degrees, 0 to 180."""
    return torch.rad2deg(torch.arccos(cosines.clamp(-1, 1)))
