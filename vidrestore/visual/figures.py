"""Figures drawn by matplotlib without a screen and without its global state: light, with large
type, since they are read on phones too.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from vidrestore.errors import NotAvailableError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["new_figure", "png_bytes"]


def new_figure(
    rows: int = 1, *, width: float = 6.0, row_height: float = 3.6
) -> tuple[Figure, list[Axes]]:
    """A figure and its axes, one below the other, with a common x axis.

    Args:
        rows: how many axes.
        width: in inches of 130 pixels.
        row_height: the same, of each.

    Raises:
        NotAvailableError: Matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise NotAvailableError(
            'not available: matplotlib, pip install "vidrestore[eval]"'
        ) from error
    figure = Figure(figsize=(width, rows * row_height), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, 1, sharex=True, squeeze=False)
    for axes in grid[:, 0]:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#e6e6e6", lw=0.8)
        axes.set_axisbelow(True)
    return figure, list(grid[:, 0])


def png_bytes(figure: Figure) -> bytes:
    """The figure as a PNG file, the same bytes for the same figure."""
    _take_dollars_literally(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _take_dollars_literally(figure: Figure) -> None:
    """A name such as `a$b$.mp4` is no formula; matplotlib's own tick labels may be."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        if "\\mathdefault" not in text.get_text():
            text.set_parse_math(False)
