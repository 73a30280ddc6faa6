"""Augmentation of what a discriminator sees, so that few pictures do not make it remember them.

* `DiffAugment` (Zhao et al., arXiv:2006.10738): colour, translation and cutout for every picture,
  real and generated.
* `AdaptiveAugment` (Karras et al., arXiv:2006.06676, appendix B): a longer pipeline, each step of
  which is applied with a probability, which `AdaController` sets by how sure the discriminator is.

Both are differentiable with respect to the pictures, (N, 3, H, W) RGB in [-1, 1], and take their
randomness from the caller: one `torch.Generator` for the batch, or a sequence of one a picture, so
that a picture's augmentation does not depend on the batch around it. Numbers are drawn on the
generator's device and moved to the pictures'. Under autocast they compute in float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["AdaController", "AdaptiveAugment", "DiffAugment", "Randomness"]

Randomness = torch.Generator | Sequence[torch.Generator]
"""One generator for a batch, or one a picture."""

_TRANSLATION = 1 / 8
_CUTOUT = 1 / 2
"""Shares of the side, as published for DiffAugment."""


class _Source:
    """Draw numbers for a batch, (N,) on the device of its pictures."""

    def __init__(self, pictures: Tensor, randomness: Randomness) -> None:
        self.count, self.device = len(pictures), pictures.device
        self.randomness = randomness
        if not isinstance(randomness, torch.Generator) and len(randomness) != self.count:
            raise ValueError(f"{len(randomness)} generators for {self.count} pictures")

    def uniform(self, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Uniform in [low, high)."""
        return low + (high - low) * self._draw(torch.rand)

    def normal(self, deviation: float) -> Tensor:
        """Normal about 0."""
        return deviation * self._draw(torch.randn)

    def choice(self, count: int) -> Tensor:
        """0, 1, … count - 1, evenly, as float."""
        return (count * self.uniform()).floor()

    def pair(self, draw: Callable[[], Tensor]) -> Tensor:
        """(N, 2) of two draws."""
        return torch.stack((draw(), draw()), 1)

    def maybe(self, probability: float, values: Tensor, neutral: float = 0.0) -> Tensor:
        """The values (N, …) with a probability, else the neutral one."""
        happens = self.uniform() < probability
        return torch.where(happens.view(-1, *[1] * (values.dim() - 1)), values, neutral)

    def _draw(self, kind: Callable[..., Tensor]) -> Tensor:
        if isinstance(self.randomness, torch.Generator):
            generator = self.randomness
            return kind(self.count, generator=generator, device=generator.device).to(self.device)
        rows = [kind(1, generator=each, device=each.device) for each in self.randomness]
        return torch.cat(rows).to(self.device)


@dataclass(frozen=True)
class DiffAugment:
    """DiffAugment; figure 4 and the settings of the paper's published code."""

    policy: tuple[str, ...] = ("colour", "translation", "cutout")
    """Steps in their order, of: colour, translation, cutout."""
    probability: float = 1.0
    """Share of pictures that are augmented; 1 in the paper."""

    def __post_init__(self) -> None:
        """Check the policy."""
        unknown = [step for step in self.policy if step not in _STEPS]
        if unknown:
            raise ValueError(f"DiffAugment has no steps {unknown}; known: {', '.join(_STEPS)}")

    def __call__(self, pictures: Tensor, randomness: Randomness) -> Tensor:
        """Augment a batch."""
        source = _Source(pictures, randomness)
        x = pictures = pictures.float()
        for step in self.policy:
            x = _STEPS[step](x, source)
        chosen = source.maybe(self.probability, torch.ones(len(x), device=x.device))
        return torch.where(_spread(chosen) > 0, x, pictures)


def _colour(x: Tensor, source: _Source) -> Tensor:
    """Brightness by ±0.5, saturation by 0 to 2, contrast by 0.5 to 1.5."""
    x = x + _spread(source.uniform(-0.5, 0.5))
    grey = x.mean(1, keepdim=True)
    x = torch.lerp(grey, x, _spread(source.uniform(0, 2)))
    mean = x.mean((1, 2, 3), keepdim=True)
    return torch.lerp(mean, x, _spread(source.uniform(0.5, 1.5)))


def _translation(x: Tensor, source: _Source) -> Tensor:
    """Whole pixels, up to 1/8 of the side; what comes in is 0."""
    height, width = x.shape[2:]
    rows = torch.arange(height, device=x.device) + _whole(source, _TRANSLATION * height)[:, None]
    columns = torch.arange(width, device=x.device) + _whole(source, _TRANSLATION * width)[:, None]
    inside = ((rows >= 0) & (rows < height))[:, None, :, None]
    inside = inside & ((columns >= 0) & (columns < width))[:, None, None, :]
    picture = torch.arange(len(x), device=x.device)[:, None, None]
    moved = x.permute(0, 2, 3, 1)[
        picture, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None, :]
    ]
    return moved.permute(0, 3, 1, 2) * inside


def _cutout(x: Tensor, source: _Source) -> Tensor:
    """A square of half the side becomes 0; its centre is anywhere in the picture."""
    height, width = x.shape[2:]
    cut = [
        (torch.arange(side, device=x.device) - (source.uniform() * side)[:, None]).abs()
        <= _CUTOUT * side / 2
        for side in (height, width)
    ]
    return x * ~(cut[0][:, None, :, None] & cut[1][:, None, None, :])


def _whole(source: _Source, most: float) -> Tensor:
    """Whole numbers between -most and most, evenly."""
    bound = int(most)
    return source.uniform(-bound, bound + 1).floor().long()


_STEPS: Mapping[str, Callable[[Tensor, _Source], Tensor]] = MappingProxyType(
    {"colour": _colour, "translation": _translation, "cutout": _cutout}
)


@dataclass(frozen=True)
class AdaptiveAugment:
    """The pipeline of adaptive discriminator augmentation: blits, geometry and colour ("bgc").

    All geometric steps are one affine sampling, bilinear with mirrored borders (the paper filters
    with wavelets; at these scales the difference is small). Figures are the paper's.
    """

    geometry: bool = True
    """Mirroring, quarter turns, translation; scaling, stretching, turning."""
    colour: bool = True
    """Brightness, contrast, luma inversion, hue, saturation."""
    upright: bool = False
    """Leave out quarter turns, and turn by ±15° at most: for aligned faces and little data."""

    def __call__(self, pictures: Tensor, probability: float, randomness: Randomness) -> Tensor:
        """Augment a batch.

        Args:
            pictures: (N, 3, H, W) RGB in [-1, 1].
            probability: of each step, for each picture; 0 gives the pictures themselves.
            randomness: see the module.

        Returns:
            The shape of `pictures`, float32 unless the probability is 0.
        """
        if probability <= 0:
            return pictures
        source = _Source(pictures, randomness)
        with torch.autocast(pictures.device.type, enabled=False):
            x = pictures.float()
            if self.geometry:
                x = _sample(x, self._input_from_output(source, probability))
            if self.colour:
                x = _adaptive_colour(x, source, probability)
        return x

    def _input_from_output(self, source: _Source, p: float) -> Tensor:
        """(N, 3, 3) in homogeneous coordinates, the picture being [-1, 1] squared."""
        turn = 1 - math.sqrt(1 - p)  # Turns come twice; p is for at least one.
        most = math.pi / 12 if self.upright else math.pi
        mirror = source.maybe(p, 1 - 2 * source.choice(2), neutral=1)
        quarters = source.maybe(0 if self.upright else p, source.choice(4))
        scale = source.maybe(p, source.normal(0.2).exp2(), neutral=1)
        stretch = source.maybe(p, source.normal(0.2).exp2(), neutral=1)
        steps = (
            _scaling(mirror, torch.ones_like(mirror)),
            _rotation(quarters * (math.pi / 2)),
            _shifting(source.maybe(p, source.pair(lambda: source.uniform(-0.125, 0.125)))),
            _scaling(scale, scale),
            _rotation(source.maybe(turn, source.uniform(-most, most))),
            _scaling(stretch, 1 / stretch),
            _rotation(source.maybe(turn, source.uniform(-most, most))),
            _shifting(source.maybe(p, source.pair(lambda: source.normal(0.125)))),
        )
        return reduce(torch.matmul, steps)


class AdaController:
    """Set the probability of `AdaptiveAugment` (arXiv:2006.06676, section 3.1).

    r = the mean sign of the logits of real pictures is 0 for a discriminator that has not begun to
    remember them and 1 for one that knows them all. Every `interval` batches, the probability goes
    up where r is above the target and down where it is below.

    Args:
        target: wanted r.
        images: real pictures in which the probability would go from 0 to 1.
        interval: batches from one change to the next.
        probability: at the start.
    """

    def __init__(
        self,
        *,
        target: float = 0.6,
        images: int = 500_000,
        interval: int = 4,
        probability: float = 0.0,
    ) -> None:
        self.target, self.images, self.interval = target, images, interval
        self.probability = probability
        self._signs, self._seen, self._batches = 0.0, 0, 0

    @torch.no_grad()
    def update(self, real_logits: Tensor) -> None:
        """Take the logits of a batch of real pictures; of all processes, where there are several.

        Args:
            real_logits: of any shape (N, …), one picture a row.
        """
        self._signs += float(real_logits.float().sign().mean()) * len(real_logits)
        self._seen += len(real_logits)
        self._batches += 1
        if self._batches < self.interval:
            return
        r = self._signs / self._seen
        step = self._seen / self.images * (1 if r > self.target else -1)
        self.probability = min(1.0, max(0.0, self.probability + step))
        self._signs, self._seen, self._batches = 0.0, 0, 0

    def state_dict(self) -> dict[str, float]:
        """What a checkpoint needs to go on."""
        return {
            "probability": self.probability,
            "signs": self._signs,
            "seen": self._seen,
            "batches": self._batches,
        }

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Go on from a `state_dict`."""
        self.probability, self._signs = float(state["probability"]), float(state["signs"])
        self._seen, self._batches = int(state["seen"]), int(state["batches"])


def _sample(x: Tensor, input_from_output: Tensor) -> Tensor:
    """Bilinear sampling with mirrored borders."""
    grid = F.affine_grid(input_from_output[:, :2], list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def _rotation(angle: Tensor) -> Tensor:
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    return _matrix((cos, -sin, zero), (sin, cos, zero), (zero, zero, zero + 1))


def _scaling(x: Tensor, y: Tensor) -> Tensor:
    zero = torch.zeros_like(x)
    return _matrix((x, zero, zero), (zero, y, zero), (zero, zero, zero + 1))


def _shifting(shift: Tensor) -> Tensor:
    """By (N, 2) shares of the side."""
    x, y = (2 * shift).unbind(1)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _matrix((one, zero, x), (zero, one, y), (zero, zero, one))


def _matrix(*rows: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """(N, 3, 3) of entries (N,)."""
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def _adaptive_colour(x: Tensor, source: _Source, p: float) -> Tensor:
    """Brightness, contrast, luma inversion, hue and saturation about the grey axis, in one."""
    brightness = source.maybe(p, source.normal(0.2))
    contrast = source.maybe(p, source.normal(0.5).exp2(), neutral=1)
    inverted = source.maybe(p, source.choice(2))
    hue = source.maybe(p, source.uniform(-math.pi, math.pi))
    saturation = source.maybe(p, source.normal(1.0).exp2(), neutral=1)
    one = torch.eye(3, device=x.device)
    grey = torch.full((3, 3), 1 / 3, device=x.device)  # Projects on the grey axis.
    cross = torch.tensor(((0.0, -1, 1), (1, 0, -1), (-1, 1, 0)), device=x.device) / math.sqrt(3)
    invert = one - 2 * inverted[:, None, None] * grey
    cos, sin = hue.cos()[:, None, None], hue.sin()[:, None, None]
    turn = cos * one + sin * cross + (1 - cos) * grey
    share = saturation[:, None, None]
    matrix = contrast[:, None, None] * ((share * one + (1 - share) * grey) @ turn @ invert)
    return (matrix @ (x + _spread(brightness)).flatten(2)).view_as(x)


def _spread(values: Tensor) -> Tensor:
    """(N,) as (N, 1, 1, 1)."""
    return values.view(-1, 1, 1, 1)
