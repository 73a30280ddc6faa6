"""Numbers of each face in the last frames, which stay on the device, and means of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vidrestore.structs import Array

__all__ = ["FaceNumbers"]

_Key = tuple[int, int]
"""Number of a frame, and a track."""


class FaceNumbers:
    """Some numbers of each face, added in blocks."""

    def __init__(self) -> None:
        self._blocks: list[tuple[tuple[_Key, ...], Tensor]] = []

    def add(self, keys: Sequence[_Key], numbers: Tensor) -> None:
        """Add faces.

        Args:
            keys: which they are.
            numbers: (N, ...) of each.
        """
        self._blocks.append((tuple(keys), numbers))

    def forget(self, before: int) -> None:
        """Let blocks go whose frames are all before one."""
        self._blocks = [one for one in self._blocks if max(one[0])[0] >= before]

    def weights(
        self, keys: Sequence[_Key], before: int, after: int, *, also: Sequence[_Key] = ()
    ) -> Array:
        """What the numbers of each face known count in means, one for each of some faces.

        Args:
            keys: the faces that a mean is for, among those known.
            before: frames before a face's own that count, of its track.
            after: frames after it.
            also: further faces whose numbers will be known, see `means`.

        Returns:
            (N, M); each row sums to 1.
        """
        known = np.array([key for block, _ in self._blocks for key in block] + list(also))
        frames, tracks = np.array(keys).T[..., None]
        apart = known[:, 0] - frames
        counts = (known[:, 1] == tracks) & (apart >= -before) & (apart <= after)
        weights: Array = counts / counts.sum(1, keepdims=True)
        return weights

    def means(self, weights: Tensor, *also: Tensor) -> Tensor:
        """(N, ...) means of numbers.

        Args:
            weights: (N, M) on the device.
            also: (K, ...) numbers of the further faces, if there are such.
        """
        numbers = torch.cat([*(block for _, block in self._blocks), *also])
        return (weights @ numbers.flatten(1)).view(-1, *numbers.shape[1:])
