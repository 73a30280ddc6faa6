"""Plots of a comparison, as PNG bytes: gains against the input's quality, their histograms, and
what a video's measures do over time. Light, with large type: they are read on phones too.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vidrestore.errors import NotAvailableError
from vidrestore.evaluation.measures import Measure
from vidrestore.evaluation.results import INPUT, TRUTH, Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Plot", "draw_plots"]

_PLOTTED = ("psnr_db", "identity", "lpips", "sharpness")
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's, told apart by colour-blind people too."""
_GREY = "#7a7a7a"
_BINS = 16


class Plot(NamedTuple):
    """One picture of the page."""

    title: str
    png: bytes


def draw_plots(comparison: Comparison) -> list[Plot]:
    """All plots of a comparison.

    Raises:
        NotAvailableError: Matplotlib is not installed.
    """
    if comparison.kind == "videos":
        return list(_over_time(comparison))
    return list(_gains(comparison)) if comparison.models else []


def _gains(comparison: Comparison) -> Iterator[Plot]:
    for name in _PLOTTED:
        if name not in comparison.measures:
            continue
        measure, before = comparison.measures[name], comparison.column(INPUT, name)
        gains = [comparison.column(model, name) - before for model in comparison.models]
        yield _drawn(f"{measure.title}: change of every picture", _scatter, before, gains, measure,
                     comparison.models)  # fmt: skip
        yield _drawn(f"{measure.title}: how the changes are spread", _histogram, gains, measure,
                     comparison.models)  # fmt: skip


def _scatter(
    axes: Axes,
    before: np.ndarray,
    gains: Sequence[np.ndarray],
    measure: Measure,
    models: Sequence[str],
) -> None:
    for index, (model, gain) in enumerate(zip(models, gains, strict=True)):
        axes.plot(
            before, gain, "o", ms=5, alpha=0.65, mec="none", color=_colour(index), label=model
        )
    axes.axhline(0, color=_GREY, lw=1)
    axes.set_xlabel(f"the input's {measure.title}")
    axes.set_ylabel(f"change{_better(measure)}")
    _legend(axes)


def _histogram(
    axes: Axes, gains: Sequence[np.ndarray], measure: Measure, models: Sequence[str]
) -> None:
    from matplotlib.ticker import MaxNLocator

    known = [gain[np.isfinite(gain)] for gain in gains]
    bins = np.histogram_bin_edges(np.concatenate([*known, np.zeros(1)]), _BINS).tolist()
    for index, (model, gain) in enumerate(zip(models, known, strict=True)):
        colour = _colour(index)
        axes.hist(gain, bins, histtype="stepfilled", alpha=0.3, color=colour)
        axes.hist(gain, bins, histtype="step", lw=1.5, color=colour, label=model)
    axes.axvline(0, color=_GREY, lw=1)
    axes.set_xlabel(f"change of {measure.title}{_better(measure)}")
    axes.set_ylabel("pictures")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    _legend(axes)


def _over_time(comparison: Comparison) -> Iterator[Plot]:
    for clip, by_measure in comparison.series.items():
        for name, by_model in by_measure.items():
            if name in comparison.measures:
                title = f"{clip}: {comparison.measures[name].title} over time"
                yield _drawn(title, _lines, by_model, comparison)


def _lines(axes: Axes, by_model: Any, comparison: Comparison) -> None:
    for model, values in by_model.items():
        if model == TRUTH:
            continue
        colour = _GREY if model == INPUT else _colour(comparison.models.index(model))
        axes.plot(values, lw=1.3, color=colour, label=model)
    axes.set_xlabel("frames with a face")
    _legend(axes)


def _drawn(title: str, draw: Any, *arguments: Any) -> Plot:
    """A plot, drawn without a screen and without matplotlib's global state."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise NotAvailableError(
            'not available: matplotlib, pip install "vidrestore[eval]"'
        ) from error
    figure = Figure(figsize=(6, 3.6), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e6e6e6", lw=0.8)
    axes.set_axisbelow(True)
    draw(axes, *arguments)
    return Plot(title, _png(figure))


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _legend(axes: Axes) -> None:
    """Above the plot, where it hides nothing."""
    axes.legend(
        frameon=False,
        fontsize=10,
        ncols=3,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        borderaxespad=0,
    )


def _colour(index: int) -> str:
    return _COLOURS[index % len(_COLOURS)]


def _better(measure: Measure) -> str:
    return {"higher": " (above 0 is better)", "lower": " (below 0 is better)"}.get(
        measure.better, ""
    )
