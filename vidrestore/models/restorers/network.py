"""Adapters: what stands between a stage and a restoring network.

`GanRestorer` serves every network that takes and gives RGB in [-1, 1]: GFP-GAN, GPEN and the
embedded one. It knows the value range, the precision, the memory layout and the batch size, and
what to do when memory runs out or the network gives no valid numbers.
"""

from __future__ import annotations

import copy
import inspect
import logging
from collections.abc import Hashable, Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from vidrestore.errors import ModelError
from vidrestore.models.restorers.precision import prepare_fastest, restored
from vidrestore.models.restorers.prepare import Precision, prepare_for_inference
from vidrestore.models.restorers.style_memory import StyleMemory
from vidrestore.models.templates import landmark_template

__all__ = ["GanRestorer", "Noise"]

logger = logging.getLogger(__name__)

Noise = Literal["fixed", "fresh"]

_BATCH_SIZE = {"cuda": 8}
"""Crops at once by kind of device; one on all others, where more gain little."""


class GanRestorer:
    """A `vidrestore.models.interfaces.FaceRestorer` around a network.

    Every call of the network has exactly `batch_size` crops, shorter batches being padded, because
    convolutions may round differently at other sizes: so a crop comes out the same in whatever
    company it is restored.

    Args:
        network: From and to RGB in [-1, 1], with its weights; it is used up.
        name: What the model is called in reports.
        size: Side of the crops in pixels.
        template: Name of the crops' alignment template; see `vidrestore.models.templates`.
        device: Where to run.
        precision: Number format; "auto" takes the fastest one that agrees with float32.
        batch_size: Crops in every call of the network; 0 picks a number for the device.
        noise: "fixed" for that stored with the weights; "fresh" for another in every crop, crop
            number n always having the same. Networks without noise do not mind.
        style_steadiness: How steadily a person's style codes are followed, 0 to 1; networks
            without such codes do not mind.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str = "restorer",
        size: int = 512,
        template: str = "ffhq",
        device: torch.device | str = "cpu",
        precision: Precision | Literal["auto"] = "auto",
        batch_size: int = 0,
        noise: Noise = "fixed",
        style_steadiness: float = 0.0,
    ) -> None:
        self.name = name
        self.size = size
        self.template = landmark_template(template, size)
        self.device = torch.device(device)
        self.batch_size = batch_size or _BATCH_SIZE.get(self.device.type, 1)
        self.notes: list[str] = []
        self.precision: Precision
        if precision == "auto":
            prepared = prepare_fastest(network, self.device, self.template, size)
            self._network, self.precision = prepared
        else:
            self._network = prepare_for_inference(network, self.device, precision)
            self.precision = precision
        self._float32_network: nn.Module | None = None
        decoder = getattr(self._network, "stylegan_decoder", None)
        self._has_fresh_noise = noise == "fresh" and hasattr(decoder, "fresh_noise")
        self._n_crops = 0
        """Crops restored so far."""
        has_styles = "steer" in inspect.signature(self._network.forward).parameters
        self._styles = StyleMemory(style_steadiness) if has_styles and style_steadiness else None

    def __call__(self, crops: Tensor, people: Sequence[Hashable] = ()) -> Tensor:
        """Restore crops; see `FaceRestorer`.

        Raises:
            ModelError: If memory does not suffice for one crop, or the crops have another size.
        """
        if crops.shape[1:] != (3, self.size, self.size):
            shape = (3, self.size, self.size)
            raise ModelError(f"{self.name} takes crops of {shape}, not {tuple(crops.shape[1:])}")
        done: list[Tensor] = []
        while sum(map(len, done)) < len(crops):
            begin = sum(map(len, done))
            part = crops[begin : begin + self.batch_size]
            whose = people[begin : begin + self.batch_size]
            try:
                done.append(self._restore(part.to(self.device), whose))
                self._n_crops += len(part)
                continue
            except torch.OutOfMemoryError:
                pass  # Only behind this block the failed call's tensors are let go.
            self._halve_batch()
        return torch.cat(done).to(crops.device) if done else crops.float()

    def _restore(self, crops: Tensor, people: Sequence[Hashable]) -> Tensor:
        """Restore at most `batch_size` crops; NaN throughout where there is no valid answer."""
        padding = crops[-1:].expand(self.batch_size - len(crops), -1, -1, -1)
        batch = torch.cat((crops, padding))
        noise = self._fresh_noise() if self._has_fresh_noise else None
        steer = partial(self._styles.smoothed, people=people) if self._styles and people else None
        pictures = restored(self._network, batch, noise, steer)
        valid = _are_finite(pictures)
        if self.precision != "float32" and not valid.all():
            # Only the failed ones, so that a crop does not depend on its company.
            again = restored(self._in_float32(), batch, noise, steer)
            pictures = torch.where(valid, pictures, again)
            valid = _are_finite(pictures)
        if self._styles is not None:
            self._styles.commit()
        return torch.where(valid, pictures.clamp(0, 1), torch.nan)[: len(crops)]

    def _fresh_noise(self) -> list[Tensor]:
        """One map a layer for the next batch; every crop's seed is its number."""
        maps = []
        for crop in range(self._n_crops, self._n_crops + self.batch_size):
            generator = torch.Generator().manual_seed(crop)
            maps.append(self._network.stylegan_decoder.fresh_noise(1, generator))  # type: ignore[union-attr, operator]
        return [torch.cat(layer) for layer in zip(*maps, strict=True)]

    def _in_float32(self) -> nn.Module:
        if self._float32_network is None:
            self._note(f"no valid numbers in {self.precision}: such faces are repeated in float32")
            self._float32_network = copy.deepcopy(self._network).float()
        return self._float32_network

    def _halve_batch(self) -> None:
        """Go on with half the batch after memory ran out.

        Raises:
            ModelError: If the batch was a single crop.
        """
        if self.batch_size == 1:
            raise ModelError(
                f"not enough memory on {self.device} for one crop of {self.name}; "
                "choose a smaller model or another device"
            )
        torch.cuda.empty_cache()
        self._note(f"out of memory: batch size {self.batch_size} became {self.batch_size // 2}")
        self.batch_size //= 2

    def _note(self, note: str) -> None:
        self.notes.append(note)
        logger.warning("%s: %s", self.name, note)


def _are_finite(pictures: Tensor) -> Tensor:
    """(N, 1, 1, 1) whether all of a picture's numbers are finite."""
    return torch.isfinite(pictures).flatten(1).all(1).view(-1, 1, 1, 1)
