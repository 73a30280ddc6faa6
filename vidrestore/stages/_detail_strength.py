"""Keep averages over time as rich in fine detail as single frames are, on the host."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from vidrestore.ramps import smooth_step
from vidrestore.stages._filter_weights import (
    FINEST_SIGMA,
    MEMORY_FRAMES,
    OCTAVES,
    OUTLIVES,
    OWN_SHARE,
    middle,
)

__all__ = ["DetailStrength", "finest_amplitude"]

_Floats = npt.NDArray[np.float32]


class DetailStrength:
    """Keep the averages of a track as rich in fine detail as its single frames are.

    What differs from frame to frame partly cancels in an average, so its finest octaves are weaker.
    A part of the frame's own goes back in, and the sum is strengthened to the mean amplitude of
    single frames. Own detail is nearer to the truth than strengthened detail, but brings flicker
    back: some of each is better than either. What hardly outlives averaging is noise, and gets
    neither.

    Shares and factors, one an octave, come from the last `MEMORY_FRAMES`. They hardly change from
    one frame to the next, so they bring no flicker themselves; and they do not depend on where a
    run began.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[int, npt.NDArray[np.float64]]] = deque()
        """Numbers of frames, and the amplitudes of each octave, (3, OCTAVES): of the frame's own
        picture, of its average, and of that with all of `OWN_SHARE` put back."""

    def strengthen(self, frame: int, single: _Floats, change: _Floats) -> None:
        """Strengthen an average, in place.

        Args:
            frame: number of the frame, rising.
            single: (S, S, 3), the frame's own picture.
            change: (S, S, 3), what averaging adds to it; gets what strengthening adds.
        """
        blurs = _blurs(change)
        of_single, of_average, of_sum = self._remembered(frame, single, blurs)
        trust = smooth_step(of_average / np.maximum(of_single, 1e-6), *OUTLIVES)
        if not trust.any():
            return
        # The frame's own less its average is the change, taken back.
        _add_octaves(change, blurs, -OWN_SHARE * trust)
        of_mixed = of_average + trust * (of_sum - of_average)
        gains = trust * (of_single / np.maximum(of_mixed, 1e-6) - 1).clip(0)
        if gains.any():
            _add_octaves(change, _blurs(cv2.add(single, change)), gains)

    def _remembered(
        self, frame: int, single: _Floats, blurs: Sequence[_Floats]
    ) -> npt.NDArray[np.float64]:
        """Amplitudes, (3, OCTAVES) as of `_seen`, in the mean of the last frames and this one."""
        own, changed, broad = (_gray_middle(picture) for picture in (single, blurs[0], blurs[-1]))
        averaged = cv2.add(own, changed)
        whole = cv2.scaleAdd(cv2.subtract(changed, broad), -OWN_SHARE, averaged)
        found = np.stack([_amplitudes(gray, OCTAVES) for gray in (own, averaged, whole)])
        self._seen.append((frame, found))
        while self._seen[0][0] <= frame - MEMORY_FRAMES:
            self._seen.popleft()
        mean: npt.NDArray[np.float64] = np.mean([amplitudes for _, amplitudes in self._seen], 0)
        return mean


def finest_amplitude(picture: _Floats) -> float:
    """Mean size of the finest octave of a picture (S, S, 3), in the middle, where the face is."""
    return float(_amplitudes(_gray_middle(picture), 1)[0])


def _blurs(picture: _Floats) -> list[_Floats]:
    """A picture, and what is left of it without its finest octave, its two finest, and so on.

    Octaves are differences of Gaussians: of each of these and the next one.
    """
    found = [picture.copy()]
    for octave in range(OCTAVES):
        blurred = cv2.GaussianBlur(found[-1], (0, 0), FINEST_SIGMA * 2**octave)
        found.append(np.asarray(blurred, np.float32))
    return found


def _add_octaves(
    picture: _Floats, blurs: Sequence[_Floats], shares: npt.NDArray[np.float64]
) -> None:
    """Add so much of each octave, finest first, to a picture, in place."""
    steps = np.diff(shares, prepend=0, append=0)
    for blurred, step in zip(blurs, steps, strict=True):
        if step:
            cv2.scaleAdd(blurred, float(step), picture, dst=picture)


def _gray_middle(picture: _Floats) -> _Floats:
    """Luma (M, M) of the middle of a picture (S, S, 3)."""
    inside = middle(picture.shape[0])
    return np.asarray(cv2.cvtColor(picture[inside, inside], cv2.COLOR_RGB2GRAY), np.float32)


def _amplitudes(gray: _Floats, octaves: int) -> npt.NDArray[np.float64]:
    """Mean size of the finest octaves of a picture (H, W)."""
    found = []
    for octave in range(octaves):
        blurred = cv2.GaussianBlur(gray, (0, 0), FINEST_SIGMA * 2**octave)
        found.append(cv2.norm(gray, blurred, cv2.NORM_L1) / gray.size)
        gray = np.asarray(blurred, np.float32)
    return np.array(found)
