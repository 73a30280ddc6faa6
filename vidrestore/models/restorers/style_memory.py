"""Style codes that follow a person steadily.

The latents that a network reads from a face say how the whole of it looks, and noise in the input
moves them a little in every frame, and all texture with them. A person's codes are therefore
averaged over the last frames of a shot, the newest counting most; a jump, far beyond what they
usually move by, is followed at once. Nothing but the codes is held back: the features that say
where everything lies are each frame's own.

What a frame gets depends on the `WINDOW_FRAMES` up to it alone, so that a run may begin anywhere.
Frames after it do not count: a network reads the codes and draws with them in one go, so that
looking ahead would mean to read every face twice.

Which codes a window has is known on the host; all that depends on their values is computed where
they are, so that a GPU is not waited for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from vidrestore.models.interfaces import CropKey
from vidrestore.models.restorers.parts import Steer
from vidrestore.runtime.transfer import to_device

__all__ = ["WINDOW_FRAMES", "StyleMemory"]

WINDOW_FRAMES = 8
"""The last frames that count, the present one among them."""
_KEEP = 0.6
"""What a frame counts over the one after it, at full strength."""
_JUMP = 3.0
"""Steps of the code more than this many times the usual one are followed at once."""
_MOST_CODES = 2 * WINDOW_FRAMES
"""Codes in a window: two a frame where its fields are restored one by one."""

_Person = tuple[int, int]
_Window = tuple[tuple[float, Tensor | int], ...]
"""Numbers of frames, rising, and a person's code in each, or the row of the batch that it is in."""


class StyleMemory:
    """The codes of the people in the last frames.

    Args:
        strength: 0 to 1; 0 takes every frame's own codes.
    """

    def __init__(self, strength: float) -> None:
        self._keep = _KEEP * strength
        self._known: dict[_Person, _Window] = {}
        self._found: dict[_Person, _Window] = {}

    def steering(self, keys: Sequence[CropKey], device: torch.device | str) -> Steer:
        """What smooths the codes of crops; `commit` makes them count for the frames to come.

        Args:
            keys: whose the crops are, in the order of time.
            device: where their codes will be.

        Returns:
            From latents (N, …), the first of which are those of `keys`, to what to draw with;
            latents beyond their number stay as they are.
        """
        windows: list[_Window] = []
        newest: dict[_Person, _Window] = {}
        for row, key in enumerate(keys):
            person = (key.shot, key.track)
            before = newest.get(person, self._known.get(person, ()))
            window = _recent((*before, (key.frame, row)), key.frame)[-_MOST_CODES:]
            newest[person] = window
            windows.append(window)
        weights = np.zeros((len(keys), _MOST_CODES), np.float32)
        for row, (key, window) in enumerate(zip(keys, windows, strict=True)):
            counts = [self._keep ** (key.frame - frame) for frame, _ in window]
            weights[row, _MOST_CODES - len(window) :] = counts
        return partial(self._smooth, windows, newest, to_device(weights, torch.device(device)))

    def _smooth(
        self,
        windows: Sequence[_Window],
        newest: Mapping[_Person, _Window],
        weights: Tensor,
        latents: Tensor,
    ) -> Tensor:
        self._found = {}
        if not windows:
            return latents
        own = latents.detach().float().flatten(1)
        absent, n = torch.zeros_like(own[0]), len(windows)
        codes: list[Tensor] = []
        for window in windows:
            codes += [absent] * (_MOST_CODES - len(window))
            codes += [code if isinstance(code, Tensor) else own[code] for _, code in window]
        mean = _windowed_mean(torch.stack(codes).view(n, _MOST_CODES, -1), weights)
        self._found = {
            person: tuple(
                (frame, code if isinstance(code, Tensor) else own[code]) for frame, code in window
            )
            for person, window in newest.items()
        }
        return torch.cat((mean.to(latents.dtype).view_as(latents[:n]), latents[n:]))

    def commit(self) -> None:
        """Remember the codes that were smoothed last: the crops were drawn."""
        self._known |= self._found
        newest = max((codes[-1][0] for codes in self._found.values()), default=0)
        recent = {person: _recent(codes, newest) for person, codes in self._known.items()}
        self._known = {person: codes for person, codes in recent.items() if codes}
        self._found = {}


def _windowed_mean(codes: Tensor, weights: Tensor) -> Tensor:
    """The mean of each window's codes back to the last jump.

    Args:
        codes: (N, W, D), the newest last.
        weights: (N, W), 0 where there is no code. Codes that are not finite do not count.

    Returns:
        (N, D); the newest code where that is not finite.
    """
    newest = codes[:, -1]
    counts = torch.isfinite(codes).all(2) & (weights > 0)
    codes = codes.where(counts[..., None], 0.0)
    places = torch.arange(codes.shape[1], device=codes.device)
    last = places.where(counts, -1).cummax(1).values[:, :-1]
    before = codes.gather(1, last.clamp(min=0)[..., None].expand(-1, -1, codes.shape[2]))
    steps = torch.linalg.vector_norm(codes[:, 1:] - before, dim=2)
    is_step = counts[:, 1:] & (last >= 0)
    ranked = steps.where(is_step, torch.inf).sort(1).values
    middle = (is_step.sum(1, keepdim=True) - 1).clamp(min=0) // 2
    usual = ranked.gather(1, middle)
    jumps = is_step & (steps > _JUMP * usual) & (usual > 0)
    followed = jumps.flip(1).cumsum(1).flip(1) == 0
    weights = weights * counts
    weights = torch.cat((weights[:, :-1] * followed, weights[:, -1:]), 1)[..., None]
    own = codes[:, -1:]
    mean = own + (weights * (codes - own)).sum(1, keepdim=True) / weights.sum(1, keepdim=True)
    return mean[:, 0].where(counts[:, -1:], newest)


def _recent(codes: _Window, frame: float) -> _Window:
    """Those of the window that ends with a frame."""
    return tuple(one for one in codes if frame - one[0] < WINDOW_FRAMES)
