"""Measure the largest face of a clip, frame by frame and over time, for all models at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidrestore.errors import DataError
from vidrestore.evaluation.clip_tracks import EyeMouthOpening
from vidrestore.evaluation.detector import detect_scaled
from vidrestore.evaluation.faces import space_evenly
from vidrestore.evaluation.measures import (
    MAX_PSNR_DB,
    Values,
    json_number,
    nearest_face,
)
from vidrestore.evaluation.results import INPUT, TRUTH, Sample, Tile
from vidrestore.geometry import box_iou
from vidrestore.landmarks import eye_distance
from vidrestore.metrics import images, videos
from vidrestore.metrics.identity import FaceIdentity
from vidrestore.metrics.landmarks import landmark_distance, landmark_jitter
from vidrestore.models.interfaces import FaceDetector
from vidrestore.structs import Array

__all__ = ["RGB", "ClipMeter", "MeasuredFrame", "Series", "Slice"]

_DETECTION_PX = 640
_SAME_FACE_IOU = 0.3
"""Boxes of neighbouring frames that overlap by less are of different faces."""
_LEAST_SIDE_PX = 24
"""Smaller faces are not measured."""
_MARGIN = 0.3
"""Share of the face's size that is read around its box, for flow and alignment."""
_SAMPLE_EVERY = 12
_TILE_PX = 320
_SLICE_FRAMES = 150
_SLICE_STRETCH = 2
"""Rows of a slice for each frame."""

RGB = npt.NDArray[np.uint8]
Image = npt.NDArray[np.float32]
Series = dict[str, dict[str, list[float]]]


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredFrame:
    """One frame, and the face that is measured in it."""

    box: Array
    """(4,) of the truth's face, pixels."""
    landmarks: Array
    """(5, 2) of the truth, pixels."""
    pictures: Mapping[str, Image]
    """Whole frames in [0, 1] by model, the truth among them."""


class ClipMeter:
    """Measure the frames of one clip, all models at once."""

    def __init__(
        self,
        clip: str,
        models: Sequence[str],
        measures: Sequence[str],
        detector: FaceDetector,
        identity: FaceIdentity | None,
    ) -> None:
        self._clip, self._models = clip, models
        self._detects_landmarks = bool({"lmd", "jitter", "jitter_px"}.intersection(measures))
        self._measures_motion = bool(
            {"warping_error", "temporal_difference", "flicker"}.intersection(measures)
        )
        self._detector, self._identity = detector, identity
        self.openings = EyeMouthOpening({})
        """Of nobody, unless it is replaced."""
        self._before: MeasuredFrame | None = None
        self._series: Series = {}
        self._found: dict[str, list[Array]] = {model: [] for model in models}
        self._embeddings: dict[str, list[Array]] = {model: [] for model in models}
        self._eyes: list[float] = []
        self._samples: list[Sample] = []
        self._slices = [Slice(clip, name) for name in ("eyes", "hairline")]
        self._n_frames = self._n_faces = 0

    def add(self, pictures: Mapping[str, RGB]) -> None:
        """Measure one frame, given by model, the truth among them."""
        self.openings.add(self._n_frames, pictures)
        now = self._find_face(pictures)
        if now is not None:
            is_same = self._before is not None and _is_same_face(self._before, now)
            if not is_same:
                self._begin_segment()
            self._measure(now)
            for one in self._slices:
                one.add(now)
            if is_same and self._measures_motion:
                assert self._before is not None
                self._measure_change(now, self._before)
            if self._n_faces % _SAMPLE_EVERY == 0:
                self._samples.append(_sample(f"{self._clip}, frame {self._n_frames}", now))
            self._n_faces += 1
        self._before = now
        self._n_frames += 1

    def values(self) -> dict[str, Values]:
        """All measures by model.

        Raises:
            DataError: no face was seen.
        """
        if not self._n_faces:
            raise DataError(
                f"clip {self._clip}: no face was found in the truth; nothing to measure"
            )
        return {model: self._values(model) for model in self._models}

    def series(self) -> Series:
        """Values of every frame with a face, by measure and model, for plots."""
        return {
            name: self._series[name] for name in ("identity", "flicker") if name in self._series
        } | self.openings.series()

    def samples(self, count: int) -> list[Sample]:
        """Frames to show, evenly spaced."""
        return [self._samples[index] for index in space_evenly(len(self._samples), count)]

    def slices(self) -> list[Sample]:
        """What lines through the face show over time."""
        return [one.sample() for one in self._slices]

    def _find_face(self, pictures: Mapping[str, RGB]) -> MeasuredFrame | None:
        truth = pictures[TRUTH]
        found = detect_scaled(self._detector, truth, _DETECTION_PX)
        if not len(found):
            return None
        boxes = found.boxes_xyxy.astype(np.float64)
        sides = boxes[:, 2:] - boxes[:, :2]
        largest = int(sides.prod(1).argmax())
        if sides[largest].min() < _LEAST_SIDE_PX:
            return None
        frames = {name: _match_size(picture, truth) for name, picture in pictures.items()}
        return MeasuredFrame(boxes[largest], found.landmarks[largest].astype(np.float64), frames)

    def _begin_segment(self) -> None:
        """Leave a gap in what is measured over time: nothing is compared across a cut."""
        if self._n_faces:
            for model in self._models:
                self._found[model].append(np.full((5, 2), np.nan))
            self._eyes.append(np.nan)

    def _measure(self, now: MeasuredFrame) -> None:
        truth = _tensor(_crop(now.pictures[TRUTH], now.box))
        wanted = self._embed(now, TRUTH)
        self._eyes.append(eye_distance(now.landmarks))
        for model in self._models:
            own = _tensor(_crop(now.pictures[model], now.box))
            found = self._find(now, model)
            self._found[model].append(found)
            if model != TRUTH:
                self._record(
                    "psnr_db", model, images.psnr(own, truth).clamp(max=MAX_PSNR_DB).item()
                )
                self._record("ssim", model, images.ssim(own, truth).item())
                ratio = images.sharpness(own) / images.sharpness(truth)
                self._record("sharpness", model, ratio.item())
                gap = landmark_distance(found, now.landmarks) / eye_distance(now.landmarks)
                self._record("lmd", model, 100 * float(gap))
            embedding = wanted if model == TRUTH else self._embed(now, model)
            if embedding is not None and wanted is not None:
                self._embeddings[model].append(embedding)
                if model != TRUTH:
                    self._record("identity", model, float(embedding @ wanted))

    def _measure_change(self, now: MeasuredFrame, before: MeasuredFrame) -> None:
        region = _expand_box(now.box, before.box)
        inside = _box_mask(now.box, region, now.pictures[TRUTH])
        truth, truth_before = (_crop(m.pictures[TRUTH], region) for m in (now, before))
        flow = videos.motion(truth, truth_before)
        mask = videos.visible(flow, videos.motion(truth_before, truth)) & inside
        for model in self._models:
            own, own_before = (_crop(m.pictures[model], region) for m in (now, before))
            error = videos.warping_error(own, own_before, flow, mask)
            self._record("warping_error", model, 1000 * error)
            if model != TRUTH:
                box = [_crop(m.pictures[k], now.box) for k in (model, TRUTH) for m in (now, before)]
                self._record("temporal_difference", model, 255 * videos.temporal_difference(*box))
                change = videos.flicker(own, own_before, truth, truth_before, flow, mask)
                self._record("flicker", model, 255 * change)

    def _values(self, model: str) -> Values:
        values = {
            name: json_number(float(np.nanmean(by_model[model])))
            for name, by_model in self._series.items()
            if model in by_model and np.isfinite(by_model[model]).any()
        }
        if self._embeddings[model]:
            person = videos.steadiest_embedding(self._embeddings[TRUTH])
            own = videos.identity_cosines(self._embeddings[model], person)
            values["identity_std"] = json_number(float(own.std()))
        if "identity" in values:
            angles = np.degrees(np.arccos(np.clip(self._series["identity"][model], -1, 1)))
            values["identity_deg"] = json_number(float(angles.mean()))
        jitter = landmark_jitter(np.stack(self._found[model]))
        if np.isfinite(jitter).any():
            values["jitter_px"] = json_number(float(np.nanmedian(jitter)))
            share = 100 * jitter / np.array(self._eyes)[1:-1]
            values["jitter"] = json_number(float(np.nanmedian(share)))
        return values if model == TRUTH else values | self.openings.values(model)

    def _record(self, name: str, model: str, value: float) -> None:
        self._series.setdefault(name, {}).setdefault(model, []).append(value)

    def _find(self, now: MeasuredFrame, model: str) -> Array:
        if model == TRUTH:
            return now.landmarks
        if not self._detects_landmarks:
            return np.full((5, 2), np.nan)
        picture = (now.pictures[model] * 255 + 0.5).astype(np.uint8)
        return nearest_face(detect_scaled(self._detector, picture, _DETECTION_PX), now.landmarks)

    @torch.inference_mode()
    def _embed(self, now: MeasuredFrame, model: str) -> Array | None:
        if self._identity is None:
            return None
        region = _expand_box(now.box)
        picture = _tensor(_crop(now.pictures[model], region))
        landmarks = torch.from_numpy(
            now.landmarks - _pixel_bounds(region, now.pictures[model])[:2]
        )[None]
        device = next(self._identity.parameters()).device
        embedding = self._identity(self._identity.align(picture.to(device), landmarks))[0]
        return np.asarray(embedding[0].cpu().numpy(), np.float64)


class Slice:
    """One line of the frame over time, x to the right and t downwards: what shimmers is ragged.

    The line lies where the eyes, or the hairline, are in the first frame with a face.
    """

    def __init__(self, clip: str, name: str) -> None:
        self._clip, self._name = clip, name
        self._line: tuple[int, int, int] | None = None
        """y, first and last x."""
        self._rows: dict[str, list[Image]] = {}

    def add(self, now: MeasuredFrame) -> None:
        """Read the line in one frame."""
        if self._line is None:
            x0, y0, x1, y1 = _pixel_bounds(_expand_box(now.box), now.pictures[TRUTH])
            top = now.box[1] + 0.04 * (now.box[3] - now.box[1])
            place = now.landmarks[:2, 1].mean() if self._name == "eyes" else top
            self._line = int(np.clip(round(place), y0, y1 - 1)), int(x0), int(x1)
        y, x0, x1 = self._line
        if len(self._rows.get(TRUTH, ())) < _SLICE_FRAMES:
            for model, picture in now.pictures.items():
                if y < picture.shape[0] and x1 <= picture.shape[1]:
                    self._rows.setdefault(model, []).append(picture[y, x0:x1].copy())

    def sample(self) -> Sample:
        """A row of the contact sheet."""
        tiles = []
        for model in _order(self._rows):
            rows = np.stack(self._rows[model])
            tall = cv2.resize(rows, None, fx=1, fy=_SLICE_STRETCH, interpolation=cv2.INTER_NEAREST)
            tiles.append(Tile(model, _fit_tile(np.asarray(tall, np.float32))))
        return Sample(f"{self._clip}, x-t slice through the {self._name}", tuple(tiles))


def _order(models: Iterable[str]) -> list[str]:
    """Input first, truth last."""
    return [INPUT, *(model for model in models if model not in (INPUT, TRUTH)), TRUTH]


def _is_same_face(before: MeasuredFrame, now: MeasuredFrame) -> bool:
    same_size = before.pictures[TRUTH].shape == now.pictures[TRUTH].shape
    return same_size and bool(box_iou(before.box, now.box)[0, 0] >= _SAME_FACE_IOU)


def _match_size(picture: RGB, truth: RGB) -> Image:
    """A frame in [0, 1], at the truth's size."""
    height, width = truth.shape[:2]
    if picture.shape != truth.shape:
        shrinks = picture.shape[0] > height
        method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        picture = np.asarray(cv2.resize(picture, (width, height), interpolation=method), np.uint8)
    return picture.astype(np.float32) / np.float32(255)


def _expand_box(*boxes: Array) -> Array:
    """The box around boxes, with a margin."""
    low = np.min([box[:2] for box in boxes], axis=0)
    high = np.max([box[2:] for box in boxes], axis=0)
    margin = _MARGIN * float((high - low).mean())
    return np.concatenate([low - margin, high + margin])


def _pixel_bounds(box: Array, picture: Image) -> npt.NDArray[np.int64]:
    """Whole pixels (x0, y0, x1, y1) of a box inside a picture."""
    height, width = picture.shape[:2]
    limits = np.array([width, height, width, height])
    return np.clip(np.rint(box).astype(np.int64), 0, limits)


def _crop(picture: Image, box: Array) -> Image:
    x0, y0, x1, y1 = _pixel_bounds(box, picture)
    return np.ascontiguousarray(picture[y0:y1, x0:x1])


def _box_mask(box: Array, region: Array, picture: Image) -> npt.NDArray[np.bool_]:
    """Which pixels of a region lie in a box."""
    mask = np.zeros(picture.shape[:2], np.bool_)
    x0, y0, x1, y1 = _pixel_bounds(box, picture)
    mask[y0:y1, x0:x1] = True
    left, top, right, bottom = _pixel_bounds(region, picture)
    return mask[top:bottom, left:right]


def _tensor(picture: Image) -> Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None]


def _sample(name: str, now: MeasuredFrame) -> Sample:
    """The face with its surroundings, input first, truth last."""
    around = _expand_box(now.box)
    return Sample(
        name,
        tuple(
            Tile(model, _fit_tile(_crop(now.pictures[model], around)))
            for model in _order(now.pictures)
        ),
    )


def _fit_tile(cut: Image) -> RGB:
    """At the size of the contact sheet's tiles."""
    scale = _TILE_PX / max(cut.shape[:2])
    size = (round(cut.shape[1] * scale), round(cut.shape[0] * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    shown = np.clip(cv2.resize(cut, size, interpolation=method), 0, 1)
    return np.asarray(shown * 255 + 0.5, np.uint8)
