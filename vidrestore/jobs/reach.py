"""How far restoring a frame looks back: what has to be decoded, and restored, before a segment.

A frame that is written depends on restored crops around it (`temporal_filter`: its window, and the
frames that tell how strong detail is), these on style codes of a few frames before, all crops on
those that share a call of the network, on their neighbours (`conceal`), on how the frames around
look (`split_fields`), and on strengths and alignments, which have windows of their own. Nothing
reaches across a cut, except the company in a call. On a device, frames are filtered and put back in
batches, whose shapes decide how kernels round, so that whole batches are taken. Looking ahead needs
no count: stages hold a frame back until what it depends on is there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from math import lcm

from vidrestore.config import RestoreConfig
from vidrestore.models.interfaces import RestorerRun
from vidrestore.models.restorers.style_memory import WINDOW_FRAMES
from vidrestore.stages._filter_weights import MEMORY_FRAMES
from vidrestore.stages._windows import BATCH_FRAMES
from vidrestore.stages.restore import block_frames
from vidrestore.stages.split_fields import REACH as FIELD_REACH
from vidrestore.stages.upload import section_device

__all__ = ["crops_before", "frames_together", "shot_of", "strengths_before"]

_PARSING_BLOCK_FRAMES = 8
"""See `stages._parsing_mask`."""


def frames_together(run: RestorerRun, config: RestoreConfig) -> int:
    """Frames whose faces are filtered, and put back, together: several on a device."""
    return 1 if section_device(run, config.blend)[0] is None else BATCH_FRAMES


def crops_before(
    frame: int,
    config: RestoreConfig,
    batch_size: int,
    cuts: Sequence[int],
    *,
    together: int = 1,
) -> int:
    """The first frame whose faces go through the network, so that `frame` comes out right.

    Args:
        frame: number of the first frame that is wanted.
        config: the run's.
        batch_size: of the network.
        cuts: frames at which a shot begins, rising, without frame 0; where some are not known yet,
            restoring only begins earlier.
        together: see `frames_together`.
    """
    window = config.temporal_filter
    averages = MEMORY_FRAMES - 1 + window.reach_frames if window.strength else 0
    parsing = _PARSING_BLOCK_FRAMES if config.blend.mask == "parsing" else 1
    # Amplitudes that are averaged are those of whole batches, too.
    first = frame - frame % together - averages - 2 * (parsing > 1)
    first = max(first - first % together, shot_of(frame, cuts))
    first = max(first - (WINDOW_FRAMES - 1), shot_of(first, cuts))
    block = lcm(block_frames(batch_size, config.run.collect_faces), parsing)
    first -= first % block
    crops_from = max(first - 1, shot_of(first, cuts))
    return max(crops_from - (FIELD_REACH + 1), shot_of(crops_from, cuts))


def strengths_before(
    frame: int,
    config: RestoreConfig,
    pts: Sequence[int],
    time_base: Fraction,
    cuts: Sequence[int],
) -> int:
    """The first frame that is decoded, so that alignments and strengths are right from `frame` on.

    Args:
        frame: number of the first frame that is wanted.
        config: the run's.
        pts: times of all frames up to it.
        time_base: their unit, in seconds.
        cuts: frames at which a shot begins, rising, without frame 0.
    """
    fades = 4 * (config.gate.fade_frames // 2) + 1
    window = Fraction(config.align.window_s) / time_base
    first = frame
    while first > 0 and pts[frame] - pts[first - 1] < window:
        first -= 1
    return max(min(first, frame - fades), shot_of(frame, cuts))


def shot_of(frame: int, cuts: Sequence[int]) -> int:
    """The first frame of a frame's shot."""
    place = bisect_right(cuts, frame)
    return cuts[place - 1] if place else 0
