"""The faces of a clip as the pipeline tracks them, for what is measured along one person."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from vidrestore.api import inspect_video
from vidrestore.config import RestoreConfig
from vidrestore.evaluation.measures import Values, json_number
from vidrestore.evaluation.results import TRUTH
from vidrestore.geometry import compose, compose_similarity, invert, warp_affine
from vidrestore.metrics.openness import (
    FACE_PX,
    opening_profiles,
    openness,
    openness_correlation,
)
from vidrestore.structs import Array, Frame
from vidrestore.tracks import Tracks
from vidrestore.visual.track_plot import TrackPlot

__all__ = ["ClipTracks", "EyeMouthOpening"]

_INSPECTED_PX = 512
"""Side of the crops that inspected frames are aligned to."""


class ClipTracks:
    """The tracks and alignments of a clip; nothing is restored.

    Args:
        path: the clip.
        config: of the pipeline; `config.PER_FRAME` for frames by themselves.
    """

    def __init__(self, path: Path, config: RestoreConfig) -> None:
        self.plot = TrackPlot()
        """Scale, angle and middle of every track, as found and as smoothed."""
        self._alignments: dict[int, dict[int, Array]] = {}
        """`crop_from_display` by track and frame."""
        self._areas: dict[int, float] = {}
        """Of the boxes, summed over time, by track."""
        self.tracks: Tracks = inspect_video(path, config=config, each=self._add)
        """What was detected and tracked, as runs take it in place of doing so again."""

    def _add(self, frame: Frame) -> None:
        self.plot.add(frame)
        coded_from_display = invert(frame.display.display_from_coded)
        for face in frame.faces:
            assert face.crop_from_frame is not None, "frames are inspected after smoothing"
            crop_from_display = compose(face.crop_from_frame, coded_from_display)
            self._alignments.setdefault(face.track_id, {})[frame.index] = crop_from_display
            area = float(np.prod(face.box_xyxy[2:] - face.box_xyxy[:2]))
            self._areas[face.track_id] = self._areas.get(face.track_id, 0.0) + area

    def main_alignments(self) -> dict[int, Array]:
        """The person who fills most of the clip: (2, 3) from display to an aligned face, by frame.

        Empty if there is nobody.
        """
        if not self._areas:
            return {}
        main = max(self._areas, key=self._areas.__getitem__)
        smaller = compose_similarity(np.log(FACE_PX / _INSPECTED_PX), 0.0, (0.0, 0.0))
        return {index: compose(smaller, one) for index, one in self._alignments[main].items()}


class EyeMouthOpening:
    """How open eyes and mouth of one person are, in all versions of a clip.

    Args:
        alignments: (2, 3) from the truth's pixels to an aligned face of `FACE_PX`, by frame.
    """

    def __init__(self, alignments: Mapping[int, Array]) -> None:
        self._alignments = alignments
        self._profiles: dict[str, dict[str, list[Array]]] = {}
        """By part and model."""

    def add(self, index: int, pictures: Mapping[str, npt.NDArray[np.uint8]]) -> None:
        """Measure one frame.

        Args:
            index: its number.
            pictures: (H, W, 3) RGB by model, the truth among them; all show the same, at any size.
        """
        if index not in self._alignments:
            return
        width = pictures[TRUTH].shape[1]
        for model, picture in pictures.items():
            face = _aligned(picture, self._alignments[index], width / picture.shape[1])
            for part, profile in opening_profiles(face).items():
                self._profiles.setdefault(part, {}).setdefault(model, []).append(profile)

    def values(self, model: str) -> Values:
        """Correlation with the truth by part."""
        return {
            part: json_number(openness_correlation(by_model[model], by_model[TRUTH]))
            for part, by_model in self._profiles.items()
        }

    def series(self) -> dict[str, dict[str, list[float]]]:
        """Openness over time by part and model."""
        return {
            part: {model: openness(p, by_model[TRUTH]).tolist() for model, p in by_model.items()}
            for part, by_model in self._profiles.items()
            if len(by_model[TRUTH]) > 1
        }


def _aligned(
    picture: npt.NDArray[np.uint8], face_from_truth: Array, truth_from_picture: float
) -> npt.NDArray[np.float32]:
    """(FACE_PX, FACE_PX) luma of an aligned face, 0 to 255.

    Args:
        picture: (H, W, 3) RGB.
        face_from_truth: (2, 3).
        truth_from_picture: how many times larger the truth is.
    """
    shift = truth_from_picture / 2 - 0.5
    larger = compose_similarity(np.log(truth_from_picture), 0.0, (shift, shift))
    luma = torch.from_numpy(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)).float()[None, None]
    face = warp_affine(luma, compose(face_from_truth, larger), (FACE_PX, FACE_PX))
    return np.asarray(face[0, 0].numpy(), np.float32)
