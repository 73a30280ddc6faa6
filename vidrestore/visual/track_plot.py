"""Plot the alignments of a video's faces over time, as found and as smoothed.

Four curves a person: the face's scale, its angle, and its middle. Thin is what the landmarks of
each frame say by themselves, thick is what the crop follows. Dots are looks of the detector,
upright lines are cuts.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vidrestore.geometry import (
    apply,
    compose,
    decompose_similarity,
    invert,
    similarity_from_points,
)
from vidrestore.models.templates import landmark_template
from vidrestore.structs import Array, Frame
from vidrestore.visual.figures import new_figure, png_bytes
from vidrestore.visual.palette import COLOURS, GREY, get_colour

__all__ = ["TrackPlot", "alignment_curves"]

_PX = 512
_TEMPLATE = landmark_template("ffhq", _PX)
_DASHES = ("-", "--", "-.", ":")
"""Of people beyond the palette's colours."""
_CURVES = ("size of the crop (px)", "angle (°)", "x of its middle (px)", "y of its middle (px)")


def alignment_curves(display_from_crop: Array) -> Array:
    """(4,) side of a 512 px crop in the display's pixels, its angle in degrees, and its middle.

    Args:
        display_from_crop: (2, 3) similarity.
    """
    log_scale, angle, _ = decompose_similarity(display_from_crop)
    middle = apply(display_from_crop, np.full(2, (_PX - 1) / 2))
    return np.array([_PX * np.exp(log_scale), np.degrees(angle), *middle])


@dataclass(slots=True)
class _Curves:
    """Of one person."""

    times: list[float] = field(default_factory=list)
    raw: list[Array] = field(default_factory=list)
    smooth: list[Array] = field(default_factory=list)
    detected: list[bool] = field(default_factory=list)


class TrackPlot:
    """Gather frames that were tracked and aligned; draw them at the end."""

    def __init__(self) -> None:
        self._tracks: dict[int, _Curves] = {}
        self._cuts: list[float] = []

    def add(self, frame: Frame) -> None:
        """Take the next frame."""
        time_s = float(frame.pts * frame.time_base)
        if frame.is_cut and frame.index:
            self._cuts.append(time_s)
        for face in frame.faces:
            if face.crop_from_frame is None:
                continue
            curves = self._tracks.setdefault(face.track_id, _Curves())
            if curves.times and time_s - curves.times[-1] > 0.5:  # no line across a gap
                curves.times.append(time_s)
                curves.raw.append(np.full(4, np.nan))
                curves.smooth.append(np.full(4, np.nan))
                curves.detected.append(False)
            display_from_crop = compose(
                frame.display.display_from_coded, invert(face.crop_from_frame)
            )
            curves.times.append(time_s)
            found = invert(similarity_from_points(_TEMPLATE, face.landmarks))
            curves.raw.append(alignment_curves(found))
            curves.smooth.append(alignment_curves(display_from_crop))
            curves.detected.append(face.detected)

    def png(self) -> bytes:
        """The plot as a PNG file.

        Raises:
            NotAvailableError: Matplotlib is not installed.
        """
        figure, rows = new_figure(len(_CURVES), width=11, row_height=2.2)
        for row, (axes, title) in enumerate(zip(rows, _CURVES, strict=True)):
            for cut in self._cuts:
                axes.axvline(cut, color=GREY, lw=0.8, ls=":")
            for track, curves in sorted(self._tracks.items()):
                raw, smooth = (np.array(c)[:, row] for c in (curves.raw, curves.smooth))
                times, looks = np.array(curves.times), np.array(curves.detected)
                if row == 1:
                    raw, smooth = _unwrapped(raw), _unwrapped(smooth)
                shade, dashes = get_colour(track), _DASHES[track // len(COLOURS) % len(_DASHES)]
                axes.plot(times, raw, dashes, lw=0.7, alpha=0.6, color=shade)
                axes.plot(times[looks], raw[looks], ".", ms=3, color=shade)
                axes.plot(times, smooth, dashes, lw=1.8, color=shade, label=f"person {track}")
            axes.set_ylabel(title)
        rows[-1].set_xlabel("seconds; thin and dots: as found, thick: as smoothed")
        if 0 < len(self._tracks) <= len(COLOURS):
            rows[0].legend(frameon=False, fontsize=9, ncols=6, loc="lower left",
                           bbox_to_anchor=(0, 1), borderaxespad=0)  # fmt: skip
        return png_bytes(figure)


def _unwrapped(degrees: Array) -> Array:
    """Without jumps by a whole turn; gaps stay."""
    known = np.isfinite(degrees)
    found = degrees.copy()
    found[known] = np.unwrap(degrees[known], period=360)
    return found
