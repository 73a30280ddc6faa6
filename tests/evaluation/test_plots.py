"""Every plot of a comparison is a picture with something in it."""

from __future__ import annotations

import cv2
import numpy as np

from vidrestore.evaluation.measures import PICTURE_MEASURES, VIDEO_MEASURES
from vidrestore.evaluation.plots import Plot, draw_plots
from vidrestore.evaluation.results import INPUT, TRUTH, Comparison, Row
from vidrestore.visual.track_plot import TrackPlot


def shown(plot: Plot) -> np.ndarray:
    picture = cv2.imdecode(np.frombuffer(plot.png, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None and picture.std() > 5, plot.title
    return picture


def pictures(*models: str) -> Comparison:
    rng = np.random.default_rng(0)
    names = ("psnr_db", "identity")
    rows = [
        Row(f"{item}.png", model, {"psnr_db": float(rng.normal(25, 2)), "identity": None})
        for item in range(6)
        for model in (INPUT, *models)
    ]
    measures = {name: PICTURE_MEASURES[name] for name in names}
    return Comparison("pictures", {}, measures, {}, models, tuple(rows))


def test_pictures_have_a_scatter_and_a_histogram_a_measure_also_where_nothing_was_measured() -> (
    None
):
    plots = draw_plots(pictures("a", "b"))
    assert [plot.title for plot in plots] == [
        "PSNR, dB: change of every picture",
        "PSNR, dB: how the changes are spread",
        "identity, cosine: change of every picture",
        "identity, cosine: how the changes are spread",
    ]
    assert min(shown(plot).shape[1] for plot in plots) > 300


def test_the_input_alone_has_no_changes_to_plot() -> None:
    assert draw_plots(pictures()) == []


def test_videos_have_a_line_a_model_and_their_tracks() -> None:
    lines = {name: list(np.sin(np.arange(20) / 3)) for name in (INPUT, "a", TRUTH)}
    comparison = Comparison(
        "videos",
        {},
        {"flicker": VIDEO_MEASURES["flicker"]},
        {},
        ("a",),
        (),
        series={"nod": {"flicker": lines, "unknown": lines}},
        tracks={"nod: alignments": TrackPlot()},
    )
    over_time, tracks = draw_plots(comparison)
    assert over_time.title == "nod: flicker over time" and not over_time.wide
    assert tracks.title == "nod: alignments" and tracks.wide
    shown(over_time)
