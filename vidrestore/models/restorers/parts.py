"""A restoring network as parts: pure functions of tensors, which any backend computes.

    pictures = network_parts.run(crops, noise, steer)

Without style codes to steer, a network is one part. With them it is two, one that reads the face
and one that draws it, and the codes are steered between both, by torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from vidrestore.models.restorers.prepare import Precision
from vidrestore.models.runners.backends import Backend, version_of
from vidrestore.models.runners.make import make_runner
from vidrestore.models.runners.runner import Part, Runner, RunnerFacts

__all__ = ["Drawing", "NetworkParts", "Reading", "Steer", "Whole", "has_styles"]

Steer = Callable[[Tensor], Tensor]
"""What is made of latents (N, …) before drawing."""


def has_styles(network: nn.Module) -> bool:
    """Whether a network has style codes that can be steered."""
    return hasattr(network, "read") and hasattr(network, "draw")


class Whole(nn.Module):
    """From crops, and noise where it is given, to pictures."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor, *noise: Tensor) -> Tensor:
        """(N, 3, S, S) RGB in [0, 1] to float32, neither clamped nor checked."""
        x = _to_network(crops)
        return _from_network(self.network(x, noise) if noise else self.network(x))


class Reading(nn.Module):
    """From crops to latents, and to all else that drawing takes."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, S, S) RGB in [0, 1] to what the network's `read` gives."""
        found: tuple[Tensor, ...] = self.network.read(_to_network(crops))
        return found


class Drawing(nn.Module):
    """From what `Reading` gives, and noise where it is given, to pictures."""

    def __init__(self, network: Any, n_noise: int) -> None:
        super().__init__()
        self.network, self.n_noise = network, n_noise

    def forward(self, latents: Tensor, *others: Tensor) -> Tensor:
        """The noise is the last of `others`; gives (N, 3, S, S) as `Whole`."""
        n = len(others) - self.n_noise
        drawn: Tensor = self.network.draw(latents, others[:n], others[n:] or None)
        return _from_network(drawn)


@dataclass(slots=True)
class NetworkParts:
    """A network behind a backend; the parts that are needed are made when they are first needed."""

    network: nn.Module
    """Prepared for inference."""
    name: str
    size: int
    """Side of the crops in pixels."""
    backend: Backend
    device: torch.device
    precision: Precision
    _runners: dict[tuple[str, int], Runner] = field(default_factory=dict)

    @property
    def facts(self) -> RunnerFacts:
        """What computes the network."""
        return RunnerFacts(self.backend, version_of(self.backend), self.precision)

    def run(
        self, crops: Tensor, noise: Sequence[Tensor] | None = None, steer: Steer | None = None
    ) -> Tensor:
        """Run the network once.

        Args:
            crops: (N, 3, S, S) float RGB in [0, 1], on the device.
            noise: one map a layer, (N, 1, H, W) each; None for the network's own.
            steer: what to make of the latents.

        Returns:
            (N, 3, S, S) float32 RGB, neither clamped nor checked.
        """
        maps = tuple(noise or ())
        if steer is None:
            return self._runner("whole", len(maps)).run(crops, *maps)[0]
        latents, *others = self._runner("reading", 0).run(crops)
        with torch.inference_mode():
            steered = steer(latents)
        return self._runner("drawing", len(maps)).run(steered, *others, *maps)[0]

    def _runner(self, kind: str, n_noise: int) -> Runner:
        if (kind, n_noise) not in self._runners:
            self._runners[kind, n_noise] = make_runner(
                self._part(kind, n_noise),
                backend=self.backend,
                device=self.device,
                precision=self.precision,
            )
        return self._runners[kind, n_noise]

    def _part(self, kind: str, n_noise: int) -> Part:
        name = f"{self.name} {kind}" + (" with noise" if n_noise else "")
        crop, network = (3, self.size, self.size), self.network
        if kind == "whole":
            return Part(name, Whole(network).eval(), crop, lambda: self._whole_examples(n_noise))
        if kind == "reading":
            return Part(name, Reading(network).eval(), crop, lambda: self._whole_examples(0))
        module = Drawing(network, n_noise).eval()
        return Part(name, module, None, lambda: self._drawing_examples(n_noise))

    def _whole_examples(self, n_noise: int) -> tuple[Tensor, ...]:
        crops = torch.full((2, 3, self.size, self.size), 0.5, device=self.device)
        return (crops, *self._noise_examples(n_noise))

    def _drawing_examples(self, n_noise: int) -> tuple[Tensor, ...]:
        with torch.no_grad():
            found = Reading(self.network)(*self._whole_examples(0))
        return (*found, *self._noise_examples(n_noise))

    def _noise_examples(self, n_noise: int) -> tuple[Tensor, ...]:
        if not n_noise:
            return ()
        decoder: Any = self.network.stylegan_decoder
        return tuple(one.expand(2, -1, -1, -1).contiguous() for one in decoder.stored_noise())


def _to_network(crops: Tensor) -> Tensor:
    return crops.to(torch.float32, memory_format=torch.channels_last) * 2 - 1


def _from_network(pictures: Tensor) -> Tensor:
    return pictures.float() * 0.5 + 0.5
