"""Curves of alignments, and the picture that they are drawn in."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from moving_face import looked_at, moving_face, placed

from vidrestore.config import AlignConfig
from vidrestore.geometry import compose_similarity
from vidrestore.models.templates import landmark_template
from vidrestore.stages.align import align
from vidrestore.structs import Frame
from vidrestore.visual.figures import new_figure, png_bytes
from vidrestore.visual.palette import get_rgb
from vidrestore.visual.track_plot import TrackPlot, alignment_curves


def aligned(count: int = 6) -> list[Frame]:
    moves = [placed(160 + 2 * t, 120, scale=0.9) for t in range(count)]
    seen = looked_at(moving_face(moves, 320, 240), moves, every=1)
    tracked = [replace(f, faces=tuple(replace(x, track_id=0) for x in f.faces)) for f in seen]
    return list(align(tracked, AlignConfig(), landmark_template("ffhq", 512)))


def test_curves_are_size_angle_and_middle() -> None:
    display_from_crop = compose_similarity(np.log(0.5), np.radians(30), (0.0, 0.0))
    middle = display_from_crop @ [255.5, 255.5, 1]
    np.testing.assert_allclose(alignment_curves(display_from_crop), [256, 30, *middle])


def test_a_plot_has_a_curve_for_each_measure() -> None:
    plot = TrackPlot()
    for frame in aligned(3):
        plot.add(frame)
    image = cv2.imdecode(np.frombuffer(plot.png(), np.uint8), cv2.IMREAD_COLOR)
    assert image is not None and image.shape[1] == 11 * 130
    red, green, blue = get_rgb(0)
    own = (np.abs(image.astype(int) - [blue, green, red]) < 40).all(-1)
    for part in np.array_split(own, 4):
        assert part.sum() > 100


def test_names_are_no_formulas_and_bytes_are_always_the_same() -> None:
    files = set()
    for _ in range(2):
        figure, [axes] = new_figure(width=2, row_height=1)
        axes.set_title("a$b_c$.mp4")
        files.add(png_bytes(figure))
        assert not axes.title.get_parse_math()
    assert len(files) == 1
