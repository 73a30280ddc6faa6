"""Face parsing: which pixels of an aligned crop are face, by facexlib's ParseNet and BiSeNet.

    parser = load_parser("parsenet", device="cuda")
    shares = parser(crops)

Both networks tell 19 classes apart, those of CelebAMask-HQ. Skin, brows, eyes, nose, mouth, lips
and ears are face; hair, hats, glasses, jewellery, neck, clothes and whatever is in front of the
face are not. The networks are facexlib's classes, filled by our own loading; its downloader is not
used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional

from vidrestore.errors import ModelError, WeightsError
from vidrestore.models.identify import identify
from vidrestore.models.names import resolve, split_arch
from vidrestore.models.runners.eager import EagerRunner
from vidrestore.models.runners.runner import Part
from vidrestore.models.weights import store as weights
from vidrestore.models.weights.checkpoint import Checkpoint, Unfilled, fill, read
from vidrestore.models.zoo import ModelSpec
from vidrestore.runtime.submodules import import_alone

__all__ = ["FaceParser", "NetworkParser", "build_parser", "load_parser"]

_SIZE_PX = 512
"""Side of the crops that the networks are trained on."""
_GPU_BATCH = 8
"""Crops in a call on a GPU. On a CPU it is one: more are not quicker, and each takes 0.5 GiB."""
_SPARE_VALUES = 1 << 20
"""What a network may hold that its file need not."""


@runtime_checkable
class FaceParser(Protocol):
    """Tell the face from what is beside and before it; remember nothing."""

    name: str
    """What it is, for reports: a name of the zoo or the path of a weights file."""
    batch_size: int
    """Crops that are best given at once."""

    def __call__(self, crops: Tensor) -> Tensor:
        """Parse crops.

        Args:
            crops: (N, 3, S, S) float RGB in [0, 1].

        Returns:
            (N, T, T) float32 in [0, 1] on the CPU, any T: how surely a place is face.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Family:
    """What there is to know about one of facexlib's networks."""

    module: str
    network: str
    face_classes: Sequence[int]
    mean: tuple[float, float, float]
    """RGB, subtracted from values in [0, 1]."""
    std: tuple[float, float, float]


_CLASSES = 19
_FAMILIES = {
    # 0 background, 1 skin, 2 nose, 3 glasses, 4-5 eyes, 6-7 brows, 8-9 ears, 10 mouth, 11-12 lips,
    # 13 hair, 14 hat, 15 earring, 16 necklace, 17 neck, 18 clothes.
    "ParseNet": _Family(
        "facexlib.parsing.parsenet",
        "ParseNet",
        (1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12),
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    ),
    # 0 background, 1 skin, 2-3 brows, 4-5 eyes, 6 glasses, 7-8 ears, 9 earring, 10 nose, 11 mouth,
    # 12-13 lips, 14 neck, 15 necklace, 16 clothes, 17 hair, 18 hat.
    "BiSeNet": _Family(
        "facexlib.parsing.bisenet",
        "BiSeNet",
        (1, 2, 3, 4, 5, 7, 8, 10, 11, 12, 13),
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    ),
}
"""By the name of the network; the order of the classes is that of the published weights."""


def build_parser(arch: str, **hyperparameters: object) -> nn.Module:
    """Build facexlib's network with random weights, on the CPU, in evaluation mode.

    Args:
        arch: "ParseNet" or "BiSeNet".
        **hyperparameters: arguments of its class.

    Returns:
        A module from (N, 3, H, W) RGB, less the mean and over the deviation, to a tuple whose first
        entry are the scores of the classes, (N, 19, H, W).
    """
    family = _FAMILIES[arch]
    network: nn.Module = getattr(import_alone(family.module), family.network)(**hyperparameters)
    return network.eval()


class NetworkParser:
    """A `FaceParser` with a loaded network."""

    def __init__(
        self, network: nn.Module, arch: str, *, name: str, device: torch.device | str = "cpu"
    ) -> None:
        """Move the network to a device.

        Args:
            network: from `build_parser`, with weights.
            arch: which one it is.
            name: what it is called in reports.
            device: where to run.
        """
        self.name = name
        self._device = torch.device(device)
        self.batch_size = 1 if self._device.type == "cpu" else _GPU_BATCH
        part = Part(name, network.to(self._device).eval(), (3, None, None), tuple)
        self._runner = EagerRunner(part, self._device, "float32")
        family = _FAMILIES[arch]
        self._face_classes = list(family.face_classes)
        self._mean = torch.tensor(family.mean, device=self._device).view(1, 3, 1, 1)
        self._std = torch.tensor(family.std, device=self._device).view(1, 3, 1, 1)

    @torch.inference_mode()
    def __call__(self, crops: Tensor) -> Tensor:
        """Parse crops; see `FaceParser`.

        Raises:
            ModelError: if the network gives no valid numbers.
        """
        return torch.cat([self._parse(batch) for batch in torch.split(crops, self.batch_size)])

    def _parse(self, crops: Tensor) -> Tensor:
        images = crops.to(self._device, torch.float32)
        if images.shape[-1] != _SIZE_PX:
            images = functional.interpolate(
                images, size=(_SIZE_PX, _SIZE_PX), mode="bilinear", antialias=True
            )
        # A call of one size, so that a crop's answer does not depend on how many come with it.
        missing = self.batch_size - len(images)
        images = torch.cat([images, images[-1:].expand(missing, -1, -1, -1)])
        scores = self._runner.run((images - self._mean) / self._std)[0][: len(crops)]
        shares: Tensor = scores.float().softmax(1)[:, self._face_classes].sum(1).clamp(max=1).cpu()
        if not bool(torch.isfinite(shares).all()):
            raise ModelError(
                f"face parsing {self.name}: its network gives no valid numbers; "
                "try another --blend.parser, or --mask crop"
            )
        return shares


def load_parser(name: str | Path = "parsenet", *, device: torch.device | str = "cpu") -> FaceParser:
    """Load a face parser.

    Args:
        name: a name of the zoo, or the path of a weights file. Nothing is downloaded.
        device: where to run.

    Raises:
        UnknownModelError: if there is no such name.
        WeightsError: if the weights are missing, damaged, unsafe, or no face parser's.
    """
    chosen = resolve(name, "parsing")
    trusted = isinstance(chosen, ModelSpec)
    path = weights.ready(chosen) if isinstance(chosen, ModelSpec) else split_arch(chosen)[0]
    checkpoint = read(path, trusted=trusted)
    arch, hyperparameters = (
        (chosen.arch, dict(chosen.hyperparameters))
        if isinstance(chosen, ModelSpec)
        else identify(checkpoint)
    )
    network = _filled(checkpoint, arch, hyperparameters)
    return NetworkParser(network, arch, name=str(name), device=device)


def _filled(checkpoint: Checkpoint, arch: str, hyperparameters: dict[str, object]) -> nn.Module:
    """The network with its weights."""
    if arch not in _FAMILIES:
        raise WeightsError(f"weights {checkpoint.path}: a {arch}, which does not parse faces")
    classes = hyperparameters.get("parsing_ch", hyperparameters.get("num_class"))
    if classes != _CLASSES:
        raise WeightsError(
            f"weights {checkpoint.path}: a {arch} for {classes} classes; only those of "
            f"CelebAMask-HQ, {_CLASSES}, are known"
        )
    try:
        with Unfilled(checkpoint.path.stat().st_size + _SPARE_VALUES):
            network = build_parser(arch, **hyperparameters)
    except (TypeError, ValueError, ArithmeticError, RuntimeError, AssertionError) as error:
        raise WeightsError(
            f"weights {checkpoint.path}: no {arch} can be built as it asks ({str(error)[:160]})"
        ) from error
    fill(network, checkpoint, arch=arch)
    return network
