"""The one palette: colours of people and of models, the same in plots and in overlays."""

from __future__ import annotations

__all__ = ["COLOURS", "GREY", "get_colour", "get_rgb"]

# fmt: off
COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
    "#0000ff", "#00d200", "#ff00e1", "#3c69ff", "#ff005a", "#78960f",
    "#694b00", "#f0b487", "#871e96", "#871e2d", "#ff3ca5", "#ff0000",
    "#f087ff", "#961ee1", "#5a3c69", "#5ad269", "#1e5a0f", "#a5a5ff",
)
# fmt: on
"""The first six are Okabe and Ito's, told apart by colour-blind people too. Each further one is, of
all colours neither too light for paper nor too dark for video, the farthest from those before it in
CIELAB; no two are nearer than 25."""
GREY = "#7a7a7a"


def get_colour(index: int) -> str:
    """Return one of `COLOURS` as "#rrggbb"; they repeat after the last one."""
    return COLOURS[index % len(COLOURS)]


def get_rgb(index: int) -> tuple[int, int, int]:
    """Return the same colour as red, green and blue, 0 to 255 each."""
    red, green, blue = bytes.fromhex(get_colour(index)[1:])
    return red, green, blue
