"""Style codes that follow a person steadily.

The latents that a network reads from a face say how the whole of it looks, and noise in the input
moves them a little in every frame, and all texture with them. A person's codes are therefore
averaged exponentially over the frames of a shot; a jump, far beyond what they usually move by, is
followed at once. Nothing but the codes is held back: the features that say where everything lies
are each frame's own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["StyleMemory"]

_KEEP = 0.6
"""Share of the code so far that stays in a frame, at full strength."""
_JUMP = 3.0
"""Steps of the code more than this many times the usual one are followed at once."""
_PEOPLE = 64
"""So many people's codes are remembered."""


@dataclass(frozen=True)
class _Style:
    code: Tensor
    step: float | None = None
    """How far new codes lie from it, usually; None before the second frame."""


class StyleMemory:
    """The codes of the people seen last.

    Args:
        strength: 0 to 1; 0 takes every frame's own codes.
    """

    def __init__(self, strength: float) -> None:
        self._keep = _KEEP * strength
        self._known: OrderedDict[Hashable, _Style] = OrderedDict()
        self._found: dict[Hashable, _Style] = {}

    def smoothed(self, latents: Tensor, people: Sequence[Hashable]) -> Tensor:
        """Codes to draw with; `commit` makes them count for the frames to come.

        Args:
            latents: (N, …), one person's code each, in the order of time.
            people: whose they are; latents beyond their number stay as they are.
        """
        self._found = {}
        smoothed = list(latents)
        for place, person in enumerate(people):
            code = latents[place]
            if not bool(torch.isfinite(code).all()):
                continue
            style = self._next(self._found.get(person) or self._known.get(person), code.float())
            self._found[person] = style
            smoothed[place] = style.code.to(code.dtype)
        return torch.stack(smoothed)

    def commit(self) -> None:
        """Remember what `smoothed` gave last: the crops were drawn."""
        for person, style in self._found.items():
            self._known[person] = style
            self._known.move_to_end(person)
        while len(self._known) > _PEOPLE:
            self._known.popitem(last=False)
        self._found = {}

    def _next(self, style: _Style | None, code: Tensor) -> _Style:
        if style is None or self._keep == 0:
            return _Style(code)
        change = code - style.code
        step = float(change.norm())
        if style.step is not None and step > _JUMP * style.step:
            return _Style(code, style.step)
        usual = step if style.step is None else 0.8 * style.step + 0.2 * step
        return _Style(style.code + (1 - self._keep) * change, usual)
