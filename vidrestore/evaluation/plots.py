"""Plots of a comparison, as PNG bytes: gains against the input's quality, their histograms, and
what a video's measures and alignments do over time. Light, with large type: they are read on
phones too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vidrestore.evaluation.measures import Measure
from vidrestore.evaluation.results import INPUT, TRUTH, Comparison
from vidrestore.visual.figures import new_figure, png_bytes
from vidrestore.visual.palette import GREY, get_colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Plot", "draw_plots"]

_PLOTTED = ("psnr_db", "identity", "lpips", "sharpness")
_BINS = 16


class Plot(NamedTuple):
    """One picture of the page."""

    title: str
    png: bytes
    wide: bool = False
    """Whether it takes the page's whole width."""


def draw_plots(comparison: Comparison) -> list[Plot]:
    """All plots of a comparison.

    Raises:
        NotAvailableError: Matplotlib is not installed.
    """
    if comparison.kind == "videos":
        return [*_over_time(comparison), *_tracks(comparison)]
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
            before, gain, "o", ms=5, alpha=0.65, mec="none", color=get_colour(index), label=model
        )
    axes.axhline(0, color=GREY, lw=1)
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
        shade = get_colour(index)
        axes.hist(gain, bins, histtype="stepfilled", alpha=0.3, color=shade)
        axes.hist(gain, bins, histtype="step", lw=1.5, color=shade, label=model)
    axes.axvline(0, color=GREY, lw=1)
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


def _tracks(comparison: Comparison) -> Iterator[Plot]:
    for title, plot in comparison.tracks.items():
        yield Plot(title, plot.png(), wide=True)


def _lines(axes: Axes, by_model: Any, comparison: Comparison) -> None:
    for model, values in by_model.items():
        known = {INPUT: GREY, TRUTH: "black"}
        shade = known.get(model) or get_colour(comparison.models.index(model))
        axes.plot(values, lw=1.3, color=shade, label=model)
    axes.set_xlabel("frames with a face")
    _legend(axes)


def _drawn(title: str, draw: Any, *arguments: Any) -> Plot:
    figure, [axes] = new_figure()
    draw(axes, *arguments)
    return Plot(title, png_bytes(figure))


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


def _better(measure: Measure) -> str:
    return {"higher": " (above 0 is better)", "lower": " (below 0 is better)"}.get(
        measure.better, ""
    )
