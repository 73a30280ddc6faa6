"""How open eyes and mouth are over time, from aligned faces alone, and whether a restored clip
keeps it.

    profiles = [opening_profiles(face) for face in faces]      # of the clip, and of the truth
    kept = openness_correlation([p["mouth"] for p in profiles], truth_profiles)

A lid or a lip moves up and down, so a window around it is averaged along its rows: what is left is
luma over height. A look to the side, a turn of the head or noise hardly show in it. Over time such
a profile of the truth varies most between open and shut; its first principal component is the
clip's own measure of openness (its sign is arbitrary), and a restored clip is measured by the same
one. Clips are cut from their frames by one alignment, so that only appearance counts.

Faces are (256, 256) luma of any unit, aligned as FFHQ is. All functions are pure.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vidrestore.structs import Array

__all__ = ["FACE_PX", "opening_profiles", "openness", "openness_correlation"]

FACE_PX = 256
"""Side of the aligned faces."""

_EYES = ((96, 120), (159, 120))
_MOUTH = (128, 186)
"""Whole pixels (x, y) of the alignment's landmarks; the mouth is midway between its corners."""
_EYE_REACH = (12, 9)
_MOUTH_REACH = (16, 18)
"""Half the width and height of a window: no brow in it, no nostril, no beard of the chin."""
_FACE = np.s_[64:224, 64:192]
"""What tells how bright the whole face is."""
_LEAST_FRAMES = 3
_LEAST_DEVIATION = 1e-6
"""Of openness over time, as a share of the face's luma; below, nothing moved."""


def opening_profiles(face: npt.ArrayLike) -> dict[str, Array]:
    """Luma over height at eyes and mouth, as a share of the face's mean luma.

    Light that comes and goes for the whole face leaves it as it is.

    Args:
        face: (256, 256) luma, aligned.

    Returns:
        "eyes", (36,), left then right; "mouth", (36,). Fading to 0 at the windows' upper and lower
        borders, so that what enters there does not count.
    """
    luma = np.asarray(face, np.float64)
    shares = luma / max(float(luma[_FACE].mean()), 1e-6)
    return {
        "eyes": np.concatenate([_profile(shares, eye, _EYE_REACH) for eye in _EYES]),
        "mouth": _profile(shares, _MOUTH, _MOUTH_REACH),
    }


def openness(profiles: npt.ArrayLike, truth: npt.ArrayLike) -> Array:
    """Openness over time: profiles along the direction in which the truth's vary most.

    Args:
        profiles: (T, D) of a clip.
        truth: (N, D), N ≥ 2, which gives mean and direction.

    Returns:
        (T,); of which sign means open is arbitrary, but the same for all clips of a truth.
    """
    own, known = np.asarray(profiles, np.float64), np.asarray(truth, np.float64)
    middle = known.mean(0)
    direction = np.linalg.svd(known - middle, full_matrices=False)[2][0]
    found: Array = (own - middle) @ direction
    return found


def openness_correlation(profiles: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Pearson's correlation over time of a clip's openness with the truth's.

    Args:
        profiles: (T, D) of a clip.
        truth: (T, D) of the same frames.

    Returns:
        -1 to 1; NaN for less than three frames, or where either stands still.
    """
    if len(np.asarray(truth)) < _LEAST_FRAMES:
        return float("nan")
    own, known = openness(profiles, truth), openness(truth, truth)
    if min(own.std(), known.std()) < _LEAST_DEVIATION:
        return float("nan")
    return float(np.corrcoef(own, known)[0, 1])


def _profile(shares: Array, middle: tuple[int, int], reach: tuple[int, int]) -> Array:
    """(2 * reach[1],) means along the rows of a window, under a Hann window over its height."""
    (x, y), (half_width, half_height) = middle, reach
    rows = shares[y - half_height : y + half_height, x - half_width : x + half_width].mean(1)
    fade = np.hanning(2 * half_height + 2)[1:-1]
    profile: Array = rows * fade
    return profile
