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

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from vidrestore.models.interfaces import CropKey

__all__ = ["WINDOW_FRAMES", "StyleMemory"]

WINDOW_FRAMES = 8
"""The last frames that count, the present one among them."""
_KEEP = 0.6
"""What a frame counts over the one after it, at full strength."""
_JUMP = 3.0
"""Steps of the code more than this many times the usual one are followed at once."""

_Person = tuple[int, int]
_Codes = tuple[tuple[float, Tensor], ...]
"""Numbers of frames, rising, and a person's code in each."""


class StyleMemory:
    """The codes of the people in the last frames.

    Args:
        strength: 0 to 1; 0 takes every frame's own codes.
    """

    def __init__(self, strength: float) -> None:
        self._keep = _KEEP * strength
        self._known: dict[_Person, _Codes] = {}
        self._found: dict[_Person, _Codes] = {}

    def smoothed(self, latents: Tensor, keys: Sequence[CropKey]) -> Tensor:
        """Codes to draw with; `commit` makes them count for the frames to come.

        Args:
            latents: (N, …), one person's code each, in the order of time.
            keys: whose they are; latents beyond their number stay as they are.
        """
        self._found = {}
        smoothed = list(latents)
        for place, key in enumerate(keys):
            code = latents[place]
            if not bool(torch.isfinite(code).all()):
                continue
            person = (key.shot, key.track)
            before = self._found.get(person, self._known.get(person, ()))
            codes = _recent((*before, (key.frame, code.float())), key.frame)
            self._found[person] = codes
            smoothed[place] = self._mean(codes).to(code.dtype)
        return torch.stack(smoothed)

    def commit(self) -> None:
        """Remember what `smoothed` gave last: the crops were drawn."""
        self._known |= self._found
        newest = max((codes[-1][0] for codes in self._found.values()), default=0)
        recent = {person: _recent(codes, newest) for person, codes in self._known.items()}
        self._known = {person: codes for person, codes in recent.items() if codes}
        self._found = {}

    def _mean(self, codes: _Codes) -> Tensor:
        """The newest code, and those before it back to the last jump."""
        frame, own = codes[-1]
        steps = [float((b - a).norm()) for (_, a), (_, b) in itertools.pairwise(codes)]
        usual = sorted(steps)[(len(steps) - 1) // 2] if steps else 0.0
        jumps = [place for place, step in enumerate(steps, start=1) if step > _JUMP * usual]
        codes = codes[jumps[-1] if jumps and usual else 0 :]
        weights = [float(self._keep ** (frame - one)) for one, _ in codes]
        change = torch.zeros_like(own)
        for weight, (_, code) in zip(weights, codes, strict=True):
            change += weight * (code - own)
        return own + change / sum(weights)


def _recent(codes: _Codes, frame: float) -> _Codes:
    """Those of the window that ends with a frame."""
    return tuple(one for one in codes if frame - one[0] < WINDOW_FRAMES)
