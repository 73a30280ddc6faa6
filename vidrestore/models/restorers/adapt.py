"""From any network for aligned faces to a `FaceRestorer`.

    restorer = adapt_restorer(my_network, size=512, template="ffhq", value_range=(-1, 1))

`NetworkRestorer` feeds RGB in [-1, 1]; `ForeignNetwork` stands between it and the network, converts
to the network's value range and order of channels and back, and checks every answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any, Literal
from weakref import WeakKeyDictionary

import numpy.typing as npt
import torch
from torch import Tensor, nn

from vidrestore.errors import ModelError, VidRestoreError, nearest
from vidrestore.models.interfaces import FaceRestorer
from vidrestore.models.restorers.network import NetworkRestorer
from vidrestore.models.runners.runner import RunnerFacts
from vidrestore.models.templates import resolve_template

__all__ = ["CHANNELS", "Channels", "ForeignNetwork", "adapt_restorer", "check_crop_size"]

Channels = Literal["rgb", "bgr"]

CHANNELS: tuple[Channels, ...] = ("rgb", "bgr")
"""Orders of channels that networks take."""

LEAST_CROP_PX, MOST_CROP_PX = 16, 2048
"""Sides of crops that networks take."""

_LOCKS: WeakKeyDictionary[nn.Module, RLock] = WeakKeyDictionary()
"""One for each module that runs, which several adapters may share."""


def adapt_restorer(
    network: Callable[[Tensor], Any],
    *,
    size: int,
    template: str | npt.ArrayLike,
    value_range: tuple[float, float] = (0.0, 1.0),
    channels: Channels = "rgb",
    batch_size: int = 0,
    device: torch.device | str | None = None,
    name: str | None = None,
) -> FaceRestorer:
    """Make a restorer of any network that restores aligned face crops.

    A module is run as it is: in evaluation mode, without gradients, where its weights are and in
    their number format. It is not modified, and is in training mode afterwards if it was before.

    Args:
        network: from (N, 3, S, S) to the same shape: a module, or anything that can be called.
        size: side S of the crops in pixels, 16 to 2048.
        template: where the five landmarks lie in a crop: "ffhq" (GFP-GAN, CodeFormer and most
            others), "gpen", or (5, 2) points (x, y) in pixels, in the order of
            `vidrestore.models.templates`.
        value_range: what black and white are to the network, such as (-1, 1) or (0, 255).
        channels: order of the network's channels.
        batch_size: crops in every call, shorter batches being padded; 0 picks a number for the
            device.
        device: where a callable wants its crops; None for the CPU. A module's is where its weights
            are.
        name: what reports call it; None for the name of its class or function.

    Raises:
        ModelError: an argument has a value that no network has.
    """
    home = _device(network, device)
    check_crop_size(size)
    if batch_size < 0:
        raise ModelError(f"batch_size: expected 0 or more, got {batch_size}")
    name = name or _name(network)
    foreign = ForeignNetwork(network, name=name, value_range=value_range, channels=channels)
    return NetworkRestorer(
        foreign,
        name=name,
        size=size,
        template=resolve_template(template, size),
        device=home,
        precision="as is",
        batch_size=batch_size,
    )


class ForeignNetwork(nn.Module):
    """From and to RGB in [-1, 1], around a network of another range or order of channels.

    Args:
        network: see `adapt_restorer`.
        name: how messages call it.
        value_range: see `adapt_restorer`.
        channels: see `adapt_restorer`.
    """

    def __init__(
        self,
        network: Callable[[Tensor], Any],
        *,
        name: str,
        value_range: tuple[float, float] = (0.0, 1.0),
        channels: Channels = "rgb",
    ) -> None:
        super().__init__()
        self.name = name
        self._call = (network,)  # In a tuple, so that the module is no part of this one.
        self._low, self._high = _checked_range(value_range)
        if channels not in CHANNELS:
            known = nearest(str(channels).lower(), CHANNELS) or f"; known: {', '.join(CHANNELS)}"
            raise ModelError(f"channels: unknown order {channels!r}{known}")
        self._is_bgr = channels == "bgr"

    @property
    def facts(self) -> RunnerFacts | None:
        """What computes the network, if it says so."""
        return getattr(self._call[0], "facts", None)

    def forward(self, x: Tensor) -> Tensor:
        """Run the network.

        Args:
            x: (N, 3, S, S) float32 RGB in [-1, 1].

        Returns:
            (N, 3, S, S) float32 RGB, in [-1, 1] as far as the network keeps its range.

        Raises:
            ModelError: the network fails, or gives something else than pictures of that shape.
        """
        network, half = self._call[0], (self._high - self._low) / 2
        is_converted = (self._low, self._high) != (-1, 1)
        own = (x + 1) * half + self._low if is_converted else x
        own = (own.flip(1) if self._is_bgr else own).contiguous().to(_dtype(network))
        with _evaluating(network):
            answer = self._answer(network, own)
        pictures = self._checked(answer, own).float()
        pictures = pictures.flip(1) if self._is_bgr else pictures
        return (pictures - self._low) / half - 1 if is_converted else pictures

    def _answer(self, network: Callable[[Tensor], Any], x: Tensor) -> Any:
        try:
            return network(x)
        except (torch.OutOfMemoryError, VidRestoreError):
            raise
        except Exception as error:  # Whatever a stranger's network raises.
            words = str(error).strip().splitlines() or ["no message"]
            raise ModelError(
                f"{self.name} failed on a batch of {_described(x)}: "
                f"{type(error).__name__}: {words[0][:200]}"
            ) from error

    def _checked(self, answer: Any, x: Tensor) -> Tensor:
        is_right = isinstance(answer, Tensor) and answer.shape == x.shape
        if is_right and answer.is_floating_point():
            return answer  # type: ignore[no-any-return]
        raise ModelError(
            f"{self.name}: expected floating-point pictures of shape {tuple(x.shape)}, "
            f"got {_described(answer)}"
        )


def check_crop_size(size: object) -> None:
    """Refuse a size that no crop has.

    Raises:
        ModelError: it is no whole number from 16 to 2048.
    """
    if not isinstance(size, int) or not LEAST_CROP_PX <= size <= MOST_CROP_PX:
        raise ModelError(f"size: crops are {LEAST_CROP_PX} to {MOST_CROP_PX} pixels, got {size!r}")


def _checked_range(value_range: tuple[float, float]) -> tuple[float, float]:
    try:
        low, high = map(float, value_range)
    except (TypeError, ValueError) as error:
        raise ModelError(f"value_range: expected two numbers, got {value_range!r}") from error
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ModelError(
            f"value_range: expected black and white, such as (0, 1), got {value_range!r}"
        )
    return low, high


def _name(network: object) -> str:
    return str(getattr(network, "__name__", None) or type(network).__name__)


def _weights(network: object) -> list[Tensor]:
    if not isinstance(network, nn.Module):
        return []
    return [*network.parameters(), *network.buffers()]


def _device(network: object, asked: torch.device | str | None) -> torch.device:
    """Where a network runs.

    Raises:
        ModelError: it cannot be called, or its weights are elsewhere than was asked.
    """
    if not callable(network):
        raise ModelError(f"restorer: {type(network).__name__} is neither a module nor a function")
    try:
        device = None if asked is None else torch.empty(0, device=asked).device
    except Exception as error:  # Each kind of device that torch lacks has an error of its own.
        raise ModelError(f"device {asked}: not on this machine; try 'cpu'") from error
    weights = _weights(network)
    if not weights:
        return device or torch.device("cpu")
    if device not in (None, weights[0].device):
        raise ModelError(
            f"{_name(network)}: its weights are on {weights[0].device}, not on {device}; "
            f"move it there first, with .to({str(device)!r})"
        )
    return weights[0].device


def _dtype(network: object) -> torch.dtype:
    """Number format of the first floating-point weight; float32 without weights."""
    formats = (tensor.dtype for tensor in _weights(network) if tensor.is_floating_point())
    return next(formats, torch.float32)


def _described(value: object) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}; wrap the network to give one of them"
    return type(value).__name__


@contextmanager
def _evaluating(network: object) -> Iterator[None]:
    """Run a module in evaluation mode, and give its parts' training flags back."""
    if not isinstance(network, nn.Module):
        yield
        return
    with _LOCKS.setdefault(network, RLock()):
        training = [part for part in network.modules() if getattr(part, "training", False)]
        if training:
            network.eval()
        try:
            yield
        finally:
            for part in training:
                part.training = True
