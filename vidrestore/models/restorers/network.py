"""From a network to a `FaceRestorer`.

`NetworkRestorer` serves every network that takes and gives RGB in [-1, 1]: GFP-GAN, GPEN, the
embedded one, and others behind `adapt`. It knows the precision, the memory layout and the batch
size, and is shared by all runs. `NetworkRun` is one run: it knows what to do when memory runs out
or the network gives no valid numbers, and holds all that is remembered from crop to crop.
"""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from vidrestore.errors import ModelError, UsageError
from vidrestore.models.interfaces import CropKey, Noise
from vidrestore.models.restorers.lattice import without_lattice
from vidrestore.models.restorers.parts import NetworkParts, Steer, has_styles
from vidrestore.models.restorers.precision import (
    agrees,
    drawn_face,
    fast_precision,
    prepare_fastest,
    run_network,
)
from vidrestore.models.restorers.prepare import Precision, prepare_for_inference
from vidrestore.models.restorers.style_memory import StyleMemory
from vidrestore.models.runners.backends import (
    Backend,
    default_backend,
    is_onnx_backend,
    require_backend,
)
from vidrestore.models.runners.runner import RunnerFacts
from vidrestore.models.templates import landmark_template
from vidrestore.runtime.transfer import Arriving, to_host
from vidrestore.structs import Array

__all__ = ["NetworkRestorer", "NetworkRun", "Restored"]

logger = logging.getLogger(__name__)

_BATCH_SIZES: dict[str, tuple[int, ...]] = {"cuda": (1, 4, 16)}
"""Crops at once by kind of device: fixed shapes, of which a call takes the smallest that holds its
crops. One crop on all others, where more gain little."""


class NetworkRestorer:
    """A `vidrestore.models.interfaces.FaceRestorer` around a network; runs share it.

    Every call of the network has one of a few fixed numbers of crops, shorter batches being padded,
    because convolutions may round differently at other sizes; which one follows from the number of
    crops that were given together. Where a number is asked for, it is the only one: a crop then
    comes out the same in whatever company it is restored. Calls from several threads take turns.

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
        batch_size: crops in every call of the network; 0 picks numbers for the device.
        backend: what computes the network; None for the default of the device.
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
        backend: Backend | None = None,
        original: Callable[[], nn.Module] | None = None,
    ) -> None:
        self.name = name
        self._original = original
        self.size = size
        named = isinstance(template, str)
        self.template: Array = landmark_template(template, size) if named else template  # type: ignore[arg-type, assignment]
        self.device = torch.device(device)
        self.batch_sizes: tuple[int, ...] = (
            (batch_size,) if batch_size else _BATCH_SIZES.get(self.device.type, (1,))
        )
        backend = backend or default_backend(self.device.type)
        require_backend(backend, self.device.type)
        if precision == "as is":
            parts = self._parts(network, "eager", "float32")
        elif is_onnx_backend(backend):
            parts = self._onnx_parts(network, backend, precision)
        elif precision == "auto":
            fastest, found = prepare_fastest(network, self.device, self.template, size)
            parts = self._parts(fastest, backend, found)
        else:
            prepared = prepare_for_inference(network, self.device, precision)
            parts = self._parts(prepared, backend, precision)
        self.parts, self.precision = parts, parts.precision
        self._exact: NetworkParts | None = None
        self._turn = threading.RLock()

    def _parts(self, network: nn.Module, backend: Backend, precision: Precision) -> NetworkParts:
        return NetworkParts(network, self.name, self.size, backend, self.device, precision)

    def _onnx_parts(
        self, network: nn.Module, backend: Backend, asked: Precision | Literal["auto"]
    ) -> NetworkParts:
        """The network in float32, as ONNX is written, computed in the format asked for."""
        network = prepare_for_inference(network, self.device, "float32")
        exact = self._parts(network, backend, "float32")
        fast = fast_precision(self.device) if backend == "openvino" else "float32"
        if asked not in ("auto", "float32", "bfloat16" if backend == "openvino" else "float32"):
            raise UsageError(f"restore.precision {asked}: the backend {backend} has no such format")
        if asked != "auto" or fast == "float32":
            return self._parts(network, backend, "float32" if asked == "auto" else asked)
        short = self._parts(network, backend, fast)
        face = drawn_face(self.template, self.size)[None]
        return short if agrees(fast, short.run(face), run_network(network, face)) else exact

    @property
    def network(self) -> nn.Module:
        """The network, prepared for inference."""
        return self.parts.network

    @property
    def batch_size(self) -> int:
        """Most crops in one call of the network."""
        return self.batch_sizes[-1]

    @property
    def facts(self) -> RunnerFacts:
        """What computes the network, for plans and reports."""
        told = getattr(self.network, "facts", None)
        return told if isinstance(told, RunnerFacts) else self.parts.facts

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
        return has_styles(self.network)

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
        steer: Steer | None = None,
        *,
        exact: bool = False,
    ) -> Tensor:
        """Run the network once; see `NetworkParts.run`.

        Args:
            crops: (N, 3, S, S) float RGB in [0, 1].
            noise: one map a layer, or None for the network's own.
            steer: what to make of the latents.
            exact: whether to compute in float32, as torch does.
        """
        with self._turn:
            parts = self._in_float32() if exact else self.parts
            return parts.run(crops.to(self.device), noise, steer)

    def _in_float32(self) -> NetworkParts:
        if self._exact is None:
            if is_onnx_backend(self.parts.backend):
                network = self.network
            elif self._original is not None:
                network = prepare_for_inference(self._original(), self.device, "float32")
            else:
                network = copy.deepcopy(self.network).float()
            self._exact = self._parts(network, "eager", "float32")
        return self._exact


class Restored(NamedTuple):
    """Restored crops, and which of them are valid."""

    crops: Tensor
    """(N, 3, S, S) float32 RGB in [0, 1]; NaN throughout where the network has no valid answer."""
    valid: list[bool]


@dataclass(frozen=True, slots=True, eq=False)
class _Begun:
    """A batch that the network runs on."""

    batch: Tensor
    """(B, 3, S, S) with padding."""
    count: int
    """Without it."""
    noise: list[Tensor] | None
    steer: Steer | None
    pictures: Tensor
    """What the network gives."""
    valid: Tensor
    """(B, 1, 1, 1)."""


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
        self._commit(begun)
        self._n_crops += len(crops)
        told = to_host(begun.valid.flatten())
        return lambda: self._told(begun, pictures, told)

    def _told(self, begun: _Begun, pictures: Tensor, told: Arriving) -> Restored:
        """Pictures of a batch, now that is known which of them are valid."""
        valid = told.wait()[: begun.count].tolist()
        if self._restorer.precision == "float32" or all(valid):
            return Restored(pictures, valid)
        pictures = self._finished(begun, *self._repeated(begun))
        return Restored(pictures, _are_finite(pictures).flatten().tolist())

    def _restore(self, crops: Tensor, keys: Sequence[CropKey]) -> Tensor:
        """Restore at most `batch_size` crops; NaN throughout where there is no valid answer."""
        begun = self._begin(crops, keys)
        pictures, valid = begun.pictures, begun.valid
        if self._restorer.precision != "float32" and not valid.all():
            pictures, valid = self._repeated(begun)
        self._commit(begun)
        return self._finished(begun, pictures, valid)

    def _begin(self, crops: Tensor, keys: Sequence[CropKey]) -> _Begun:
        fitting = (one for one in self._restorer.batch_sizes if len(crops) <= one)
        size = min(next(fitting, self.batch_size), self.batch_size)
        batch = torch.cat((crops, crops[-1:].expand(size - len(crops), -1, -1, -1)))
        noise = self._fresh_noise(keys, size) if self._has_fresh_noise else None
        steer = None
        if self._styles is not None and keys:
            steer = self._styles.steering(keys, batch.device)
        pictures = self._restorer.run(batch, noise, steer)
        return _Begun(batch, len(crops), noise, steer, pictures, _are_valid(pictures, batch))

    def _repeated(self, begun: _Begun) -> tuple[Tensor, Tensor]:
        """Pictures with the failed ones in float32, and which are valid now."""
        self._note_once(
            f"no valid numbers in {self._restorer.precision}: such faces are repeated in float32"
        )
        again = self._restorer.run(begun.batch, begun.noise, begun.steer, exact=True)
        # Only the failed ones, so that a crop does not depend on its company.
        pictures = torch.where(begun.valid, begun.pictures, again)
        return pictures, _are_valid(pictures, begun.batch)

    def _commit(self, begun: _Begun) -> None:
        if self._styles is not None and begun.steer is not None:
            self._styles.commit()

    def _finished(self, begun: _Begun, pictures: Tensor, valid: Tensor) -> Tensor:
        """Without lattice and padding; NaN throughout where there is no valid answer."""
        pictures = without_lattice(pictures, begun.batch, self._restorer.shuffle_factor)
        return torch.where(valid, pictures.clamp(0, 1), torch.nan)[: begun.count]

    def _fresh_noise(self, keys: Sequence[CropKey], size: int) -> list[Tensor]:
        """One map a layer for the next batch, by frame and track; else by the crop's number."""
        decoder: Any = self._restorer.network.stylegan_decoder
        numbers = range(self._n_crops, self._n_crops + size)
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


def _are_valid(pictures: Tensor, batch: Tensor) -> Tensor:
    """(N, 1, 1, 1) whether all numbers are finite, of a picture and of the crop it is made of."""
    return _are_finite(pictures) & _are_finite(batch)


def _are_finite(pictures: Tensor) -> Tensor:
    """(N, 1, 1, 1) whether all of a picture's numbers are finite.

    The largest amount tells, NaN being larger than any: a tenth of the time of asking each.
    """
    return torch.isfinite(pictures.flatten(1).abs().amax(1)).view(-1, 1, 1, 1)
