"""Options of runs in which faces need only be found: a coarse look, once, and a short filter."""

from __future__ import annotations

QUICK: dict[str, object] = {
    "detect.size_px": 128,
    "detect.refine_passes": 0,
    "detect.rotated": False,
    "temporal_filter.reach_frames": 1,
}
"""For `resolve_config`."""

QUICK_ARGUMENTS = (
    *("--model", "debug", "--detect.size-px", "128", "--detect.refine-passes", "0"),
    *("--detect.rotated", "false", "--temporal-filter.reach-frames", "1"),
)
"""For the command line, with the network that costs nothing."""
