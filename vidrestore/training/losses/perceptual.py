"""Perceptual features, and L1 between them (Johnson et al., arXiv:1603.08155).

Two networks give features. `Vgg19Features` has the layers of GFP-GAN's code, from torchvision's
file, which users fetch themselves. `IdentityFeatures` works without any download but that of the
face embedding: the layers before the embedding, of aligned faces, and the embedding itself, so that
one pass serves the identity term too.

    extractor = Vgg19Features(weights_file(VGG19, path, option="weights.vgg19"))
    with torch.no_grad():
        wanted = extractor(truth, landmarks)
    own = extractor(restored, landmarks)
    loss = feature_l1(own, wanted, VGG19_WEIGHTS) + 50 * style_l1(own, wanted, VGG19_WEIGHTS)

Pictures are (N, 3, H, W) RGB in [-1, 1]; landmarks (N, 5, 2) in pixels. The networks are frozen,
and stay in inference mode whatever `train` is told.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, Self

import torch
from torch import Tensor, nn

from vidrestore.errors import NotAvailableError, WeightsError
from vidrestore.metrics.files import NetworkFile, find_file
from vidrestore.metrics.identity import FaceIdentity
from vidrestore.models.nets.arcface_resnet18 import ArcFaceResNet18, grey_faces
from vidrestore.models.nets.mobilefacenet import normalize
from vidrestore.models.weights.checkpoint import Checkpoint, fill, read

__all__ = [
    "IDENTITY_WEIGHTS",
    "VGG19",
    "VGG19_WEIGHTS",
    "ArcFaceFeatures",
    "FeatureExtractor",
    "IdentityFeatures",
    "Vgg19Features",
    "feature_l1",
    "relative_matching",
    "weights_file",
]

VGG19 = NetworkFile(
    "vgg19-dcbb9e9d.pth",
    "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
    "dcbb9e9d",
)
"""Torchvision's classifier trained on ImageNet."""

VGG19_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {"conv1_2": 0.1, "conv2_2": 0.1, "conv3_4": 1.0, "conv4_4": 1.0, "conv5_4": 1.0}
)
"""Layers and weights of GFP-GAN's perceptual and style terms."""

IDENTITY_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {"map56": 1 / 3, "map28": 1 / 3, "map14": 1 / 3}
)
"""Layers of `IdentityFeatures` for `feature_l1` with `relative`."""

_VGG19_BLOCKS = ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))
"""Convolutions and channels between poolings: configuration E of arXiv:1409.1556."""


class FeatureExtractor(Protocol):
    """Give maps of pictures by the names of layers."""

    def __call__(self, pictures: Tensor, landmarks: Tensor) -> dict[str, Tensor]:
        """From (N, 3, H, W) in [-1, 1] and (N, 5, 2) to (N, C, h, w) by name."""
        ...


class Vgg19Features(nn.Module):
    """VGG19 (Simonyan and Zisserman, arXiv:1409.1556): convolutions' outputs before their ReLU.

    Args:
        weights: Torchvision's `vgg19-dcbb9e9d.pth`; only its entries `features.*` are read.
        layers: convolutions to give, such as "conv3_4"; what lies behind the last is not computed.

    Raises:
        WeightsError: if the file is missing, damaged or of another network.
        ValueError: if there is no such layer.
    """

    def __init__(self, weights: Path, layers: tuple[str, ...] = tuple(VGG19_WEIGHTS)) -> None:
        super().__init__()
        self.layers = layers
        self.features = _vgg19(layers)
        fill(self, _only(read(weights), self.state_dict().keys()), arch="VGG19")
        self.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """Stay in inference mode."""
        return super().train(False)

    def forward(self, pictures: Tensor, landmarks: Tensor | None = None) -> dict[str, Tensor]:
        """Return the features by layer; `landmarks` are not looked at."""
        x = normalize((pictures + 1) / 2)
        maps = {}
        for name, layer in self.features.named_children():
            x = layer(x)
            if isinstance(layer, nn.Conv2d) and _LAYER_AT[int(name)] in self.layers:
                maps[_LAYER_AT[int(name)]] = x
        return maps


class IdentityFeatures(nn.Module):
    """Inner layers of the face embedding, in float32 under autocast too.

    Args:
        identity: the embedding.
    """

    def __init__(self, identity: FaceIdentity) -> None:
        super().__init__()
        self.identity = identity.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """Stay in inference mode."""
        return super().train(False)

    def forward(self, pictures: Tensor, landmarks: Tensor) -> dict[str, Tensor]:
        """Return the features of whole, aligned faces.

        Args:
            pictures: (N, 3, H, W) RGB in [-1, 1].
            landmarks: (N, 5, 2) in pixels of the pictures.

        Returns:
            "map56", "map28" and "map14", (N, C, side, side), and "embedding", (N, 128) of unit
            length.
        """
        with torch.autocast(pictures.device.type, enabled=False):
            faces = self.identity.align((pictures.float() + 1) / 2, landmarks)
            embedding, inner = self.identity(faces)
        return {f"map{part.shape[-1]}": part for part in inner} | {"embedding": embedding}


class ArcFaceFeatures(nn.Module):
    """GFP-GAN's own face embedding, in float32 under autocast too; see `ArcFaceResNet18`.

    Args:
        weights: `arcface_resnet18.pth`.

    Raises:
        WeightsError: if the file is missing, damaged or of another network.
    """

    def __init__(self, weights: Path) -> None:
        super().__init__()
        self.network = ArcFaceResNet18()
        fill(self.network, read(weights), arch="ArcFaceResNet18")
        self.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """Stay in inference mode."""
        return super().train(False)

    def forward(self, pictures: Tensor, landmarks: Tensor | None = None) -> dict[str, Tensor]:
        """Give "embedding", (N, 512), not of unit length; `landmarks` are not used."""
        with torch.autocast(pictures.device.type, enabled=False):
            return {"embedding": self.network(grey_faces(pictures.float()))}


def feature_l1(
    own: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    weights: Mapping[str, float],
    *,
    relative: bool = False,
) -> Tensor:
    """Weighted sum over layers of the mean absolute difference, in float32.

    Args:
        own: features of restored pictures by layer.
        wanted: features of the true ones; they get no gradient.
        weights: layers that count, and how much.
        relative: divide each layer's difference by the mean size of the picture's true features,
            for networks whose layers differ in scale.
    """
    terms = []
    for name, weight in weights.items():
        truth = wanted[name].detach().float()
        # Picture by picture, so that a batch shared by several processes has the same mean.
        difference = (own[name].float() - truth).abs().flatten(1).mean(1)
        if relative:
            difference = difference / truth.abs().flatten(1).mean(1).clamp_min(1e-8)
        terms.append(weight * difference.mean())
    return torch.stack(terms).sum()


def relative_matching(own: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """Mean over a discriminator's layers of the mean absolute difference over the mean size of the
    picture's true features: its layers differ in scale.

    Args:
        own: features of restored pictures, as in `Verdict.features`.
        wanted: features of the true ones; they get no gradient.
    """
    names = [str(layer) for layer in range(len(own))]
    return feature_l1(
        dict(zip(names, own, strict=True)),
        dict(zip(names, wanted, strict=True)),
        dict.fromkeys(names, 1 / len(names)),
        relative=True,
    )


def weights_file(file: NetworkFile, path: Path | None, *, option: str) -> Path:
    """Where a term's network lies.

    Args:
        file: the public file.
        path: where the user says it is; None looks into the folder of weights.
        option: the option that gives `path`, for the message.

    Raises:
        NotAvailableError: it is not there.
    """
    remedy = f"get it and name it with {option}, or turn the term off"
    if path is not None:
        if not path.is_file():
            raise NotAvailableError(
                f"not available: {path} ({option}): no such file; it is {file.filename} from "
                f"{file.url}: {remedy}"
            )
        return path
    try:
        return find_file(file)
    except NotAvailableError as error:
        raise NotAvailableError(f"{error}; {remedy}") from error


def _layer_names() -> dict[int, str]:
    """Names of the convolutions by their places in torchvision's `features`."""
    names, place = {}, 0
    for block, (count, _) in enumerate(_VGG19_BLOCKS, start=1):
        for number in range(1, count + 1):
            names[place] = f"conv{block}_{number}"
            place += 2  # The convolution and its ReLU.
        place += 1  # The pooling.
    return names


_LAYER_AT = _layer_names()


def _vgg19(layers: tuple[str, ...]) -> nn.Sequential:
    """Torchvision's `features` up to the last of `layers`."""
    unknown = set(layers) - set(_LAYER_AT.values())
    if unknown or not layers:
        raise ValueError(
            f"VGG19 has no layers {sorted(unknown)}; known: {list(_LAYER_AT.values())}"
        )
    end = max(place for place, name in _LAYER_AT.items() if name in layers)
    parts: list[nn.Module] = []
    channels = 3
    for count, width in _VGG19_BLOCKS:
        for _ in range(count):
            # Not in place: the map before it is what is wanted.
            parts += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        parts.append(nn.MaxPool2d(2))
    return nn.Sequential(*parts[: end + 1])


def _only(checkpoint: Checkpoint, names: Collection[str]) -> Checkpoint:
    """The entries of some names."""
    state = {name: value for name, value in checkpoint.state.items() if name in names}
    if not state:
        raise WeightsError(f"weights {checkpoint.path}: no VGG19 of torchvision")
    return Checkpoint(checkpoint.path, state, checkpoint.metadata)
