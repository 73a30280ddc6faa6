"""From a network to a `FaceRestorer`.

`NetworkRestorer` serves every network that takes and gives RGB in [-1, 1]: GFP-GAN, GPEN, the
embedded one, and others behind `adapt`. It knows the precision, the memory layout and the batch
size, and is shared by all runs. `NetworkRun` is one run: it knows what to do when memory runs out
or the network gives no valid numbers, and holds all that is remembered from crop to crop.
"""

from __future__ import annotations

import copy
import inspect
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from vidrestore.errors import ModelError
from vidrestore.models.interfaces import CropKey, Noise
from vidrestore.models.restorers.lattice import without_lattice
from vidrestore.models.restorers.precision import prepare_fastest, run_network
from vidrestore.models.restorers.prepare import Precision, prepare_for_inference
from vidrestore.models.restorers.style_memory import StyleMemory
from vidrestore.models.templates import landmark_template
from vidrestore.runtime.transfer import Arriving, to_host
from vidrestore.structs import Array

__all__ = ["NetworkRestorer", "NetworkRun", "Restored"]

logger = logging.getLogger(__name__)

_BATCH_SIZE = {"cuda": 8}
"""Crops at once by kind of device; one on all others, where more gain little."""


class NetworkRestorer:
    """A `vidrestore.models.interfaces.FaceRestorer` around a network; runs share it.

    Every call of the network has exactly `batch_size` crops, shorter batches being padded, because
    convolutions may round differently at other sizes: so a crop comes out the same in whatever
    company it is restored. Calls from several threads take turns.

    Args:
        network: from and to RGB in [-1, 1], with its weights; modified in place, do not use it
            afterwards.
        name: what the model is called in reports.
        size: side of the crops in pixels.
        template: the crops' alignment: a name of `vidrestore.models.templates`, or (5, 2) landmarks
            in pixels of a crop.
        device: where to run.
        precision: number format; "auto" takes the fastest one that agrees with float32, "as is"
            leaves the network as it is given.
        batch_size: crops in every call of the network; 0 picks a number for the device.
        original: gives the network anew, for faces that a shorter format gave no valid numbers;
            without it, the weights as they were rounded to that format serve.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str = "restorer",
        size: int = 512,
        template: str | Array = "ffhq",
        device: torch.device | str = "cpu",
        precision: Precision | Literal["auto", "as is"] = "auto",
        batch_size: int = 0,
        original: Callable[[], nn.Module] | None = None,
    ) -> None:
        self.name = name
        self._original = original
        self.size = size
        named = isinstance(template, str)
        self.template: Array = landmark_template(template, size) if named else template  # type: ignore[arg-type, assignment]
        self.device = torch.device(device)
        self.batch_size = batch_size or _BATCH_SIZE.get(self.device.type, 1)
        self.precision: Precision = "float32"
        if precision == "auto":
            prepared = prepare_fastest(network, self.device, self.template, size)
            self.network, self.precision = prepared
        elif precision == "as is":
            self.network = network
        else:
            self.network = prepare_for_inference(network, self.device, precision)
            self.precision = precision
        self._float32_network: nn.Module | None = None
        self._turn = threading.RLock()

    @property
    def takes_fresh_noise(self) -> bool:
        """Whether the network has noise that can be drawn anew."""
        return hasattr(getattr(self.network, "stylegan_decoder", None), "fresh_noise")

    @property
    def shuffle_factor(self) -> int:
        """Factor of the pixel-shuffle the network ends in; 1 for none."""
        return int(getattr(self.network, "shuffle_factor", 1))

    @property
    def has_styles(self) -> bool:
        """Whether the network has style codes that can be steered."""
        return "steer" in inspect.signature(self.network.forward).parameters

    def start_run(self, *, noise: Noise = "fixed", style_strength: float = 0.0) -> NetworkRun:
        """Begin a run with an empty memory; see `FaceRestorer`."""
        return NetworkRun(self, noise, style_strength)

    def __call__(self, crops: Tensor) -> Tensor:
        """Restore crops in a run of their own; see `FaceRestorer`."""
        return self.start_run()(crops)

    def run(
        self,
        crops: Tensor,
        noise: Sequence[Tensor] | None = None,
        steer: partial[Tensor] | None = None,
        *,
        exact: bool = False,
    ) -> Tensor:
        """Run the network once; see `run_network`.

        Args:
            crops: (N, 3, S, S) float RGB in [0, 1].
            noise: one map a layer, or None for the network's own.
            steer: what to make of the latents.
            exact: whether to compute in float32.
        """
        with self._turn:
            network = self._in_float32() if exact else self.network
            return run_network(network, crops.to(self.device), noise, steer)

    def _in_float32(self) -> nn.Module:
        if self._float32_network is None and self._original is not None:
            network = self._original()
            self._float32_network = prepare_for_inference(network, self.device, "float32")
        if self._float32_network is None:
            self._float32_network = copy.deepcopy(self.network).float()
        return self._float32_network


class Restored(NamedTuple):
    """Restored crops, and which of them are valid."""

    crops: Tensor
    """(N, 3, S, S) float32 RGB in [0, 1]; NaN throughout where the network has no valid answer."""
    valid: list[bool]


@dataclass(frozen=True, slots=True, eq=False)
class _Begun:
    """A batch that the network runs on."""

    batch: Tensor
    """(batch_size, 3, S, S) with padding."""
    count: int
    """Without it."""
    keys: Sequence[CropKey]
    noise: list[Tensor] | None
    steer: partial[Tensor] | None
    pictures: Tensor
    """What the network gives."""
    valid: Tensor
    """(batch_size, 1, 1, 1)."""


class NetworkRun:
    """One run of a `NetworkRestorer`; see `vidrestore.models.interfaces.RestorerRun`.

    Args:
        restorer: what is run.
        noise: see `FaceRestorer.start_run`.
        style_strength: see `FaceRestorer.start_run`.
    """

    def __init__(self, restorer: NetworkRestorer, noise: Noise, style_strength: float) -> None:
        self._restorer = restorer
        self.name, self.size, self.template = restorer.name, restorer.size, restorer.template
        self.batch_size = restorer.batch_size
        self.device = restorer.device
        self.notes: list[str] = []
        self._has_fresh_noise = noise == "fresh" and restorer.takes_fresh_noise
        self._n_crops = 0
        """Crops restored so far, for noise of crops that nobody named."""
        has_styles = style_strength > 0 and restorer.has_styles
        self._styles = StyleMemory(style_strength) if has_styles else None

    def __call__(self, crops: Tensor, keys: Sequence[CropKey] = ()) -> Tensor:
        """Restore crops; see `RestorerRun`.

        Raises:
            ModelError: if memory does not suffice for one crop, or the crops have another size.
        """
        if crops.shape[1:] != (3, self.size, self.size):
            shape = (3, self.size, self.size)
            raise ModelError(f"{self.name} takes crops of {shape}, not {tuple(crops.shape[1:])}")
        done: list[Tensor] = []
        while sum(map(len, done)) < len(crops):
            begin = sum(map(len, done))
            part = crops[begin : begin + self.batch_size]
            whose = keys[begin : begin + self.batch_size]
            try:
                done.append(self._restore(part.to(self._restorer.device), whose))
                self._n_crops += len(part)
                continue
            except torch.OutOfMemoryError:
                pass  # Only behind this block the failed call's tensors are let go.
            self._halve_batch()
        return torch.cat(done).to(crops.device) if done else crops.float()

    def start(self, crops: Tensor, keys: Sequence[CropKey]) -> Callable[[], Restored]:
        """Begin to restore crops on the device that they are on, and wait for nothing.

        Args:
            crops: (N, 3, S, S) float RGB in [0, 1], at most `batch_size`, on the restorer's device.
            keys: whose each crop is.

        Returns:
            What gives the restored crops. To call it once the next batch has begun lets the device
            work on while the host learns whether all numbers are valid.
        """
        try:
            begun = self._begin(crops, keys)
            pictures = self._finished(begun, begun.pictures, begun.valid)
        except torch.OutOfMemoryError:
            begun = None
        if begun is None:
            done = self(crops, keys)
            return lambda: Restored(done, _are_finite(done).flatten().tolist())
        before = None if self._styles is None else self._styles.copy()
        if self._styles is not None:
            self._styles.commit()
        self._n_crops += len(crops)
        told = to_host(begun.valid.flatten())
        return lambda: self._told(begun, pictures, told, before)

    def _told(
        self, begun: _Begun, pictures: Tensor, told: Arriving, styles: StyleMemory | None
    ) -> Restored:
        """Pictures of a batch, now that is known which of them are valid."""
        valid = told.wait()[: begun.count].tolist()
        if self._restorer.precision == "float32" or all(valid):
            return Restored(pictures, valid)
        steer = partial(styles.smoothed, keys=begun.keys) if styles and begun.keys else None
        pictures = self._finished(begun, *self._repeated(begun, steer))
        return Restored(pictures, _are_finite(pictures).flatten().tolist())

    def _restore(self, crops: Tensor, keys: Sequence[CropKey]) -> Tensor:
        """Restore at most `batch_size` crops; NaN throughout where there is no valid answer."""
        begun = self._begin(crops, keys)
        pictures, valid = begun.pictures, begun.valid
        if self._restorer.precision != "float32" and not valid.all():
            pictures, valid = self._repeated(begun, begun.steer)
        if self._styles is not None:
            self._styles.commit()
        return self._finished(begun, pictures, valid)

    def _begin(self, crops: Tensor, keys: Sequence[CropKey]) -> _Begun:
        padding = crops[-1:].expand(self.batch_size - len(crops), -1, -1, -1)
        batch = torch.cat((crops, padding))
        noise = self._fresh_noise(keys) if self._has_fresh_noise else None
        steer = partial(self._styles.smoothed, keys=keys) if self._styles and keys else None
        pictures = self._restorer.run(batch, noise, steer)
        return _Begun(batch, len(crops), keys, noise, steer, pictures, _are_finite(pictures))

    def _repeated(self, begun: _Begun, steer: partial[Tensor] | None) -> tuple[Tensor, Tensor]:
        """Pictures with the failed ones in float32, and which are valid now."""
        self._note_once(
            f"no valid numbers in {self._restorer.precision}: such faces are repeated in float32"
        )
        again = self._restorer.run(begun.batch, begun.noise, steer, exact=True)
        # Only the failed ones, so that a crop does not depend on its company.
        pictures = torch.where(begun.valid, begun.pictures, again)
        return pictures, _are_finite(pictures)

    def _finished(self, begun: _Begun, pictures: Tensor, valid: Tensor) -> Tensor:
        """Without lattice and padding; NaN throughout where there is no valid answer."""
        pictures = without_lattice(pictures, begun.batch, self._restorer.shuffle_factor)
        return torch.where(valid, pictures.clamp(0, 1), torch.nan)[: begun.count]

    def _fresh_noise(self, keys: Sequence[CropKey]) -> list[Tensor]:
        """One map a layer for the next batch, by frame and track; else by the crop's number."""
        decoder: Any = self._restorer.network.stylegan_decoder
        numbers = range(self._n_crops, self._n_crops + self.batch_size)
        seeds = [(round(2 * key.frame) << 24) + key.track for key in keys]
        maps = []
        for seed in (*seeds, *numbers[len(seeds) :]):
            generator = torch.Generator().manual_seed(seed)
            maps.append(decoder.fresh_noise(1, generator))
        return [torch.cat(layer) for layer in zip(*maps, strict=True)]

    def _halve_batch(self) -> None:
        """Go on with half the batch after memory ran out.

        Raises:
            ModelError: if the batch was a single crop.
        """
        if self.batch_size == 1:
            raise ModelError(
                f"not enough memory on {self._restorer.device} for one crop of {self.name}; "
                "choose a smaller model or another device"
            )
        torch.cuda.empty_cache()
        self._note(f"out of memory: batch size {self.batch_size} became {self.batch_size // 2}")
        self.batch_size //= 2

    def _note_once(self, note: str) -> None:
        if note not in self.notes:
            self._note(note)

    def _note(self, note: str) -> None:
        self.notes.append(note)
        logger.warning("%s: %s", self.name, note)


def _are_finite(pictures: Tensor) -> Tensor:
    """(N, 1, 1, 1) whether all of a picture's numbers are finite."""
    return torch.isfinite(pictures).flatten(1).all(1).view(-1, 1, 1, 1)
