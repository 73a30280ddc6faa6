"""Build any network of vidrestore by the name of its architecture.

    network = build("GFPGANv1Clean", out_size=512, channel_multiplier=2)

An architecture has the name that the public checkpoints' code gives it, and a short one, as in
`build("gfpgan_clean")`. Hyper-parameters are the constructor's arguments; their names and the
state-dict keys are those of the public checkpoints. A network comes with random weights, in
training mode.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from vidrestore.errors import ModelError, nearest
from vidrestore.settings import shown

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "ARCHITECTURES",
    "SHORT_NAMES",
    "build",
    "check_hyperparameters",
    "full_name",
    "picture_size",
]

_MOST_HYPERPARAMETER = 1 << 16
_MOST_HYPERPARAMETERS = 256


def _gfpgan_clean() -> type[nn.Module]:
    from vidrestore.models.nets.gfpgan_clean import GFPGANv1Clean

    return GFPGANv1Clean


def _gfpgan_v1() -> type[nn.Module]:
    from vidrestore.models.nets.gfpgan_v1 import GFPGANv1

    return GFPGANv1


def _gfpgan_bilinear() -> type[nn.Module]:
    from vidrestore.models.nets.gfpgan_v1 import GFPGANBilinear

    return GFPGANBilinear


def _gpen() -> type[nn.Module]:
    from vidrestore.models.nets.gpen import GPENFullGenerator

    return GPENFullGenerator


def _stylegan2() -> type[nn.Module]:
    from vidrestore.models.nets.stylegan2 import StyleGAN2Generator

    return StyleGAN2Generator


def _stylegan2_clean() -> type[nn.Module]:
    from vidrestore.models.nets.stylegan2 import StyleGAN2GeneratorClean

    return StyleGAN2GeneratorClean


def _stylegan2_discriminator() -> type[nn.Module]:
    from vidrestore.models.nets.discriminators import StyleGAN2Discriminator

    return StyleGAN2Discriminator


def _mobilefacenet() -> type[nn.Module]:
    from vidrestore.models.nets.mobilefacenet import MobileFaceNet

    return MobileFaceNet


def _arcface_resnet18() -> type[nn.Module]:
    from vidrestore.models.nets.arcface_resnet18 import ArcFaceResNet18

    return ArcFaceResNet18


def _compact_unet() -> type[nn.Module]:
    from vidrestore.models.nets.compact_unet import CompactUNet

    return CompactUNet


def _compact_detector() -> type[nn.Module]:
    from vidrestore.models.nets.compact_detector import CompactDetector

    return CompactDetector


ARCHITECTURES: Mapping[str, Callable[[], type[nn.Module]]] = MappingProxyType(
    {
        "GFPGANv1Clean": _gfpgan_clean,
        "GFPGANv1": _gfpgan_v1,
        "GFPGANBilinear": _gfpgan_bilinear,
        "GPEN FullGenerator": _gpen,
        "StyleGAN2Generator": _stylegan2,
        "StyleGAN2GeneratorClean": _stylegan2_clean,
        "StyleGAN2Discriminator": _stylegan2_discriminator,
        "MobileFaceNet": _mobilefacenet,
        "CompactUNet": _compact_unet,
        "ArcFaceResNet18": _arcface_resnet18,
        "CompactDetector": _compact_detector,
    }
)
"""Every architecture by name, and what imports its class when it is wanted."""

SHORT_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "gfpgan": "GFPGANv1",
        "gfpgan_clean": "GFPGANv1Clean",
        "gfpgan_bilinear": "GFPGANBilinear",
        "gpen": "GPEN FullGenerator",
        "stylegan2": "StyleGAN2Generator",
        "stylegan2_clean": "StyleGAN2GeneratorClean",
        "stylegan2_discriminator": "StyleGAN2Discriminator",
        "mobilefacenet": "MobileFaceNet",
        "compact_unet": "CompactUNet",
        "arcface_resnet18": "ArcFaceResNet18",
        "compact_detector": "CompactDetector",
    }
)
"""Names that are easier to type, and the architecture of each."""


def full_name(arch: str) -> str:
    """The architecture that a name, short or full, stands for; an unknown one stays as it is."""
    return SHORT_NAMES.get(arch, arch)


def picture_size(arch: str, hyperparameters: Mapping[str, object]) -> tuple[str, object] | None:
    """The side of a network's pictures, without building it.

    Args:
        arch: as for `build`.
        hyperparameters: as for `build`.

    Returns:
        Name and value of the hyper-parameter that says it; None where the network takes any size.
    """
    known = inspect.signature(ARCHITECTURES[full_name(arch)]()).parameters
    for name in ("out_size", "size"):
        if name in known:
            return name, hyperparameters.get(name, known[name].default)
    return None


def check_hyperparameters(given: Mapping[str, object]) -> None:
    """Refuse numbers that no network has, before one is built with them.

    Args:
        given: hyper-parameters by name, nested or not.

    Raises:
        ValueError: it names the first one that is too large or no number, or there are too many.
    """
    left = _MOST_HYPERPARAMETERS
    parts: list[tuple[str, object]] = list(given.items())
    while parts:
        name, value = parts.pop(0)
        left -= 1
        if left < 0:
            raise ValueError(f"more than {_MOST_HYPERPARAMETERS} values")
        if isinstance(value, Mapping):
            parts += [(f"{name}.{key}", part) for key, part in value.items()]
        elif isinstance(value, list | tuple):
            parts += [(f"{name}.{place}", part) for place, part in enumerate(value)]
        elif isinstance(value, int | float) and not abs(value) <= _MOST_HYPERPARAMETER:
            most = _MOST_HYPERPARAMETER
            raise ValueError(f"{name}: must lie in -{most} to {most}, not {shown(value)}")


def build(arch: str, **hyperparameters: object) -> nn.Module:
    """Build a network with random weights.

    Args:
        arch: a key of `ARCHITECTURES` or of `SHORT_NAMES`.
        **hyperparameters: arguments of the network's class; what is left out has its default.

    Raises:
        ModelError: if there is no such architecture.
        ModelError: if a hyper-parameter has a wrong name or value.
    """
    if full_name(arch) not in ARCHITECTURES:
        known = [*SHORT_NAMES, *ARCHITECTURES]
        hint = nearest(arch, known) or f"; known: {', '.join(known)}"
        raise ModelError(f"unknown architecture {arch!r}{hint}")
    network = ARCHITECTURES[full_name(arch)]()
    known = list(inspect.signature(network).parameters)
    for name in hyperparameters:
        if name not in known:
            hint = nearest(name, known) or f"; known: {', '.join(known) or 'none'}"
            raise ModelError(f"{arch} has no hyper-parameter {name!r}{hint}")
    try:
        return network(**hyperparameters)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{arch} cannot be built with {hyperparameters}: {error}") from error
