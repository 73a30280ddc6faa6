"""Style codes that follow a person steadily.

The latents that a network reads from a face say how the whole of it looks, and noise in the input
moves them a little in every frame, and all texture with them. A person's codes are therefore
averaged over the last frames of a shot, the newest counting most; a jump, far beyond what they
usually move by, is followed at once. Nothing but the codes is held back: the features that say
where everything lies are each frame's own.

What a frame gets depends on the `WINDOW_FRAMES` up to it alone, so that a run may begin anywhere.
Frames after it do not count: a network reads the codes and draws with them in one go, so that
looking ahead would mean to read every face twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vidrestore.models.interfaces import CropKey
from vidrestore.runtime.transfer import to_device

__all__ = ["WINDOW_FRAMES", "StyleMemory"]

WINDOW_FRAMES = 8
"""The last frames that count, the present one among them."""
_KEEP = 0.6
"""What a frame counts over the one after it, at full strength."""
_JUMP = 3.0
"""Steps of the code more than this many times the usual one are followed at once."""

_Person = tuple[int, int]
_Codes = tuple[tuple[float, Tensor], ...]
"""Numbers of frames, rising, and a person's code in each, flat."""


class StyleMemory:
    """The codes of the people in the last frames.

    All codes of a batch are averaged together, and nothing is asked of the device that they are on.

    Args:
        strength: 0 to 1; 0 takes every frame's own codes.
    """

    def __init__(self, strength: float) -> None:
        self._strength = strength
        self._keep = _KEEP * strength
        self._known: dict[_Person, _Codes] = {}
        self._found: dict[_Person, _Codes] = {}

    def copy(self) -> StyleMemory:
        """Give another memory that knows the same."""
        other = StyleMemory(self._strength)
        other._known = dict(self._known)
        return other

    def smoothed(self, latents: Tensor, keys: Sequence[CropKey]) -> Tensor:
        """Codes to draw with; `commit` makes them count for the frames to come.

        Args:
            latents: (N, …), one person's code each, in the order of time.
            keys: whose they are; latents beyond their number stay as they are.
        """
        self._found = {}
        named = latents[: len(keys)].float().flatten(1)
        windows: list[_Codes] = []
        for code, key in zip(named, keys, strict=True):
            person = (key.shot, key.track)
            before = self._found.get(person, self._known.get(person, ()))
            self._found[person] = _recent((*before, (key.frame, code)), key.frame)
            windows.append(self._found[person])
        means = self._means(windows).view(len(keys), *latents.shape[1:]).to(latents.dtype)
        return torch.cat([means, latents[len(keys) :]])

    def commit(self) -> None:
        """Remember what `smoothed` gave last: the crops were drawn."""
        self._known |= self._found
        newest = max((codes[-1][0] for codes in self._found.values()), default=0)
        recent = {person: _recent(codes, newest) for person, codes in self._known.items()}
        self._known = {person: codes for person, codes in recent.items() if codes}
        self._found = {}

    def _means(self, windows: Sequence[_Codes]) -> Tensor:
        """(N, L): of each window the newest code, and those before it back to the last jump."""
        longest = max(map(len, windows))
        shares = np.zeros((len(windows), longest), np.float32)
        for row, window in zip(shares, windows, strict=True):
            newest = window[-1][0]
            row[longest - len(window) :] = [self._keep ** (newest - frame) for frame, _ in window]
        # Shorter windows begin with their oldest code, which does not count there.
        padded = [(window[0],) * (longest - len(window)) + window for window in windows]
        codes = torch.stack([code for window in padded for _, code in window])
        codes = codes.view(len(windows), longest, -1)
        there = to_device(shares, codes.device)
        counts = (there > 0) & torch.isfinite(codes).all(2)
        weights = there * (counts & _since_jump(codes, counts))
        own = codes[:, -1]
        change = torch.where(counts[..., None], codes - own[:, None], 0.0)
        mean = own + (weights[..., None] * change).sum(1) / weights.sum(1, keepdim=True)
        return torch.where(counts[:, -1:], mean, own)


def _since_jump(codes: Tensor, counts: Tensor) -> Tensor:
    """(N, W) whether there was no jump from a code to the newest one.

    Args:
        codes: (N, W, L), the newest last.
        counts: (N, W), whether a code counts.
    """
    steps = torch.linalg.vector_norm(codes[:, 1:] - codes[:, :-1], dim=2)
    known = counts[:, 1:] & counts[:, :-1]
    steps = torch.where(known, steps, -1.0)
    if steps.shape[1] == 0:
        return torch.ones_like(counts)
    number = known.sum(1, keepdim=True)
    middle = steps.shape[1] - number + (number - 1).clamp(min=0) // 2
    usual = steps.sort(1).values.gather(1, middle.clamp(max=steps.shape[1] - 1))
    jumps = (steps > _JUMP * usual) & (usual > 0)
    later = jumps.flip(1).cumsum(1).flip(1)
    return torch.cat([later == 0, torch.ones_like(counts[:, :1])], 1)


def _recent(codes: _Codes, frame: float) -> _Codes:
    """Those of the window that ends with a frame."""
    return tuple(one for one in codes if frame - one[0] < WINDOW_FRAMES)
