"""Compares face restorers on videos: restore with the whole pipeline, measure inside the face.

    found = compare_clips(["embedded"], [Pair("nod", Path("nod_gt.mp4"), Path("nod_lq.mp4"))])

Everything is measured in the largest face of the truth, frame by frame, and from frame to frame
where the face stays (its boxes overlap; a cut begins anew). All clips are read in step, so memory
does not grow with their length. Of temporal measures the truth has its own, listed beside.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidrestore.api import frame_to_rgb, restore_frames
from vidrestore.config import DecodeConfig, RestoreConfig, resolve_config
from vidrestore.datasets.names import distinct_names
from vidrestore.errors import DataError, NotAvailableError
from vidrestore.evaluation.clip_tracks import ClipTracks, EyeMouthOpening
from vidrestore.evaluation.detector import detect_scaled
from vidrestore.evaluation.faces import Progress, space_evenly
from vidrestore.evaluation.measures import (
    MAX_PSNR_DB,
    VIDEO_MEASURES,
    Values,
    choose,
    load_identity,
    nearest_face,
    number,
    require_available,
)
from vidrestore.evaluation.models import ModelEntry, header, list_models
from vidrestore.evaluation.protocols import PAIRS, Protocol
from vidrestore.evaluation.results import INPUT, TRUTH, Comparison, Row, Sample, Tile
from vidrestore.geometry import box_iou
from vidrestore.metrics import images, videos
from vidrestore.metrics.identity import FaceIdentity
from vidrestore.metrics.landmarks import eye_distance, landmark_distance, landmark_jitter
from vidrestore.models.interfaces import FaceDetector
from vidrestore.models.load import Precision, load_detector, resolve_device
from vidrestore.structs import Array
from vidrestore.video.read.reader import VideoReader
from vidrestore.visual.track_plot import TrackPlot

__all__ = [
    "VIDEO_ENDINGS",
    "Pair",
    "compare_clips",
    "degraded_pairs",
    "find_clips",
    "has_clips",
    "named_pairs",
]

VIDEO_ENDINGS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".m4v")
_DETECTION_PX = 640
_STAYS_IOU = 0.3
"""Boxes of neighbouring frames that overlap by less show another face."""
_LEAST_SIDE_PX = 24
"""Smaller faces are not measured."""
_MARGIN = 0.3
"""Share of the face's size that is read around its box, for flow and alignment."""
_SAMPLE_EVERY = 12
_TILE_PX = 320
_SLICE_FRAMES = 150
_SLICE_STRETCH = 2
"""Rows of a slice for each frame."""

_WAYS = {False: "alignments", True: "alignments, every frame by itself"}
"""What the page calls the ways to track faces, by `ModelEntry.per_frame`."""

RGB = npt.NDArray[np.uint8]
Image = npt.NDArray[np.float32]
Series = dict[str, dict[str, list[float]]]


@dataclass(frozen=True, slots=True)
class Pair:
    """A clip and what was made of it."""

    name: str
    truth: Path
    degraded: Path


@dataclass(frozen=True, slots=True, eq=False)
class _Moment:
    """The face of one frame."""

    box: Array
    """(4,) of the truth's face, pixels."""
    landmarks: Array
    """(5, 2) of the truth, pixels."""
    pictures: Mapping[str, Image]
    """Whole frames in [0, 1] by model, the truth among them."""


def compare_clips(
    models: Sequence[str],
    pairs: Sequence[Pair],
    *,
    protocol: Protocol | None = None,
    seed: int = 0,
    metrics: Sequence[str] | None = None,
    per_frame: bool = False,
    samples: int = 4,
    detector: str = "embedded",
    identity: Path | None = None,
    device: str = "auto",
    precision: Precision = "float32",
    progress: Progress | None = None,
) -> Comparison:
    """Restore degraded clips with every model, by the whole pipeline, and measure.

    Args:
        models: Names of the zoo or weights files; the degraded clip is always measured too.
        pairs: The clips.
        protocol: How the clips were degraded, for the record; None if that is not known.
        seed: Of the protocol, for the record.
        metrics: Names of `VIDEO_MEASURES`, all of which must be there; None for all that can be
            had.
        per_frame: Whether every model also restores each frame by itself, for comparison.
        samples: Frames to show of each clip, evenly spaced.
        detector: Finds the faces, for restoring and for measuring.
        identity: `mobilefacenet.pt`, if it is not installed.
        device: Where the networks run.
        precision: Of the restorers.
        progress: Told what is being done with which clip, and of how many frames.

    Raises:
        DataError: The clips of a pair differ in length, or show no face.
        NotAvailableError: What a measure asked for by name needs is not there.
        VidRestoreError: For other files, models and options that cannot be used.
    """
    wanted, named = choose(metrics, VIDEO_MEASURES), list_models(models, per_frame=per_frame)
    where = resolve_device(device)
    finder = load_detector(detector, device=where)
    embed, missing = _identity(wanted, identity, where)
    require_available(metrics, missing)
    rows: list[Row] = []
    shown: list[Sample] = []
    series: dict[str, Series] = {}
    plots: dict[str, TrackPlot] = {}
    measures = [name for name in wanted if name not in missing]
    config = resolve_config(
        None,
        {
            "detect.detector": detector,
            "run.device": device,
            "restore.precision": precision,
        },
    )
    for done, pair in enumerate(pairs, start=1):
        if progress is not None:
            progress(f"{pair.name}: clip {done} of {len(pairs)}, following faces", 0, None)
        names = [INPUT, *(one.name for one in named), TRUTH]
        meter = _ClipMeter(pair.name, names, measures, finder, embed)
        ways = _ways(named, config)
        followed = {way: ClipTracks(pair.degraded, one) for way, one in ways.items()}
        plots |= {f"{pair.name}: {_WAYS[way]}": one.plot for way, one in followed.items()}
        if {"eyes", "mouth"}.intersection(measures):
            meter.openings = EyeMouthOpening(ClipTracks(pair.truth, config).main_alignments())
        for frames, pictures in enumerate(_in_step(pair, named, config, followed), start=1):
            meter.look(pictures)
            if progress is not None:
                progress(f"{pair.name}: frames measured", frames, None)
        rows += [
            Row(pair.name, model, {name: values[name] for name in measures if name in values})
            for model, values in meter.values().items()
        ]
        shown += [*meter.samples(samples), *meter.slices()]
        series[pair.name] = meter.series()
    task = protocol or PAIRS
    return Comparison(
        kind="videos",
        header=header(task, seed, named, measures, missing)
        | {"clips": [pair.name for pair in pairs], "detector": finder.name},
        measures={name: VIDEO_MEASURES[name] for name in measures},
        not_available=missing,
        models=tuple(one.name for one in named),
        rows=tuple(rows),
        samples=tuple(shown),
        sample_rule=f"{samples} frames of each clip, evenly spaced",
        series=series,
        tracks=plots,
    )


def has_clips(data: Path) -> bool:
    """Whether data is a video, or a folder with one."""
    return bool(_clips_of(data))


def find_clips(data: Path, limit: int | None = None) -> list[Path]:
    """A video, or those of a folder by name; at most `limit` of them, evenly spaced.

    Raises:
        DataError: There is none.
    """
    clips = _clips_of(data)
    if not clips:
        raise DataError(f"data {data}: neither pictures nor videos in it")
    return [clips[index] for index in space_evenly(len(clips), limit or len(clips))]


def _clips_of(data: Path) -> list[Path]:
    if data.is_file():
        return [data]
    return sorted(path for path in data.rglob("*") if path.suffix.lower() in VIDEO_ENDINGS)


def degraded_pairs(
    clips: Sequence[Path],
    protocol: Protocol,
    folder: Path,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Pair]:
    """Degrade clips by a protocol into a folder; clip number i by the seed (seed, i)."""
    names = distinct_names([c.stem for c in clips], [c.as_posix() for c in clips])
    pairs = []
    for index, (name, clip) in enumerate(zip(names, clips, strict=True)):
        out = folder / f"{index}_{clip.stem}.mkv"
        protocol.video(clip, out, seed=seed, index=index)
        if progress is not None:
            progress("clips degraded", index + 1, len(clips))
        pairs.append(Pair(name, clip, out))
    return pairs


def named_pairs(files: Sequence[tuple[Path, Path]]) -> list[Pair]:
    """Pairs of truth and degraded clip, called by their truths, or by both where two have one."""
    names = distinct_names(
        [truth.stem for truth, _ in files],
        [f"{truth.stem}: {degraded.stem}" for truth, degraded in files],
        [f"{truth.as_posix()}: {degraded.as_posix()}" for truth, degraded in files],
    )
    return [Pair(name, *pair) for name, pair in zip(names, files, strict=True)]


def _identity(
    wanted: Sequence[str], weights: Path | None, device: torch.device
) -> tuple[FaceIdentity | None, dict[str, str]]:
    names = [name for name in wanted if name.startswith("identity")]
    if not names:
        return None, {}
    try:
        return load_identity(weights).to(device), {}
    except NotAvailableError as error:
        return None, {name: str(error) for name in names}


def _ways(models: Sequence[ModelEntry], config: RestoreConfig) -> dict[bool, RestoreConfig]:
    """The configurations by which the models track faces, by `ModelEntry.per_frame`."""
    return {
        way: resolve_config(config, per_frame=way)
        for way in sorted({one.per_frame for one in models})
    }


def _in_step(
    pair: Pair,
    models: Sequence[ModelEntry],
    config: RestoreConfig,
    followed: Mapping[bool, ClipTracks],
) -> Iterator[dict[str, RGB]]:
    """Yield the frames of truth, input and every model's output, by name, frame by frame.

    The models take the faces that were tracked once for the clip, instead of tracking again.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="vidrestore-tracks-")))
        files = {way: folder / f"{int(way)}.json" for way in followed}
        for way, file in files.items():
            file.write_text(followed[way].tracks.to_json(), encoding="utf-8")
        streams: dict[str, Iterator[RGB]] = {
            TRUTH: _frames(pair.truth),
            INPUT: _frames(pair.degraded),
        }
        for one in models:
            restored = restore_frames(
                pair.degraded,
                config=config,
                model=one.source,
                tracks=files[one.per_frame],
                per_frame=one.per_frame,
            )
            streams[one.name] = map(frame_to_rgb, restored)
            stack.callback(_close, restored)
        for pictures in zip_longest(*streams.values()):
            if any(picture is None for picture in pictures):
                raise DataError(
                    f"pair {pair.name}: {pair.truth} and {pair.degraded} differ in length"
                )
            yield dict(zip(streams, pictures, strict=True))


def _close(frames: object) -> None:
    if isinstance(frames, Generator):
        frames.close()


def _frames(path: Path) -> Iterator[RGB]:
    with VideoReader(path, DecodeConfig()) as reader:
        for frame in reader.frames():
            yield frame_to_rgb(frame)


class _ClipMeter:
    """Looks at the frames of one clip, all models at once, and measures."""

    def __init__(
        self,
        clip: str,
        models: Sequence[str],
        measures: Sequence[str],
        detector: FaceDetector,
        identity: FaceIdentity | None,
    ) -> None:
        self._clip, self._models = clip, models
        self._looks_again = bool({"lmd", "jitter", "jitter_px"}.intersection(measures))
        self._follows = bool(
            {"warping_error", "temporal_difference", "flicker"}.intersection(measures)
        )
        self._detector, self._identity = detector, identity
        self.openings = EyeMouthOpening({})
        """Of nobody, unless it is replaced."""
        self._before: _Moment | None = None
        self._series: Series = {}
        self._found: dict[str, list[Array]] = {model: [] for model in models}
        self._embeddings: dict[str, list[Array]] = {model: [] for model in models}
        self._eyes: list[float] = []
        self._samples: list[Sample] = []
        self._slices = [_Slice(clip, name) for name in ("eyes", "hairline")]
        self._n_frames = self._n_faces = 0

    def look(self, pictures: Mapping[str, RGB]) -> None:
        """Measure one frame, given by model, the truth among them."""
        self.openings.add(self._n_frames, pictures)
        now = self._moment(pictures)
        if now is not None:
            steady = self._before is not None and _stays(self._before, now)
            if not steady:
                self._break()
            self._measure(now)
            for one in self._slices:
                one.add(now)
            if steady and self._follows:
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
            DataError: No face was seen.
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

    def _moment(self, pictures: Mapping[str, RGB]) -> _Moment | None:
        truth = pictures[TRUTH]
        found = detect_scaled(self._detector, truth, _DETECTION_PX)
        if not len(found):
            return None
        boxes = found.boxes_xyxy.astype(np.float64)
        sides = boxes[:, 2:] - boxes[:, :2]
        largest = int(sides.prod(1).argmax())
        if sides[largest].min() < _LEAST_SIDE_PX:
            return None
        frames = {name: _like(picture, truth) for name, picture in pictures.items()}
        return _Moment(boxes[largest], found.landmarks[largest].astype(np.float64), frames)

    def _break(self) -> None:
        """Nothing is followed over a gap or a cut."""
        if self._n_faces:
            for model in self._models:
                self._found[model].append(np.full((5, 2), np.nan))
            self._eyes.append(np.nan)

    def _measure(self, now: _Moment) -> None:
        truth = _tensor(_cut(now.pictures[TRUTH], now.box))
        wanted = self._embed(now, TRUTH)
        self._eyes.append(float(eye_distance(now.landmarks)))
        for model in self._models:
            own = _tensor(_cut(now.pictures[model], now.box))
            found = self._find(now, model)
            self._found[model].append(found)
            if model != TRUTH:
                self._note("psnr_db", model, images.psnr(own, truth).clamp(max=MAX_PSNR_DB).item())
                self._note("ssim", model, images.ssim(own, truth).item())
                ratio = images.sharpness(own) / images.sharpness(truth)
                self._note("sharpness", model, ratio.item())
                gap = landmark_distance(found, now.landmarks) / eye_distance(now.landmarks)
                self._note("lmd", model, 100 * float(gap))
            embedding = wanted if model == TRUTH else self._embed(now, model)
            if embedding is not None and wanted is not None:
                self._embeddings[model].append(embedding)
                if model != TRUTH:
                    self._note("identity", model, float(embedding @ wanted))

    def _measure_change(self, now: _Moment, before: _Moment) -> None:
        region = _grown(now.box, before.box)
        inside = _box_mask(now.box, region, now.pictures[TRUTH])
        truth, truth_before = (_cut(m.pictures[TRUTH], region) for m in (now, before))
        flow = videos.motion(truth, truth_before)
        mask = videos.visible(flow, videos.motion(truth_before, truth)) & inside
        for model in self._models:
            own, own_before = (_cut(m.pictures[model], region) for m in (now, before))
            error = videos.warping_error(own, own_before, flow, mask)
            self._note("warping_error", model, 1000 * error)
            if model != TRUTH:
                box = [_cut(m.pictures[k], now.box) for k in (model, TRUTH) for m in (now, before)]
                self._note("temporal_difference", model, 255 * videos.temporal_difference(*box))
                change = videos.flicker(own, own_before, truth, truth_before, flow, mask)
                self._note("flicker", model, 255 * change)

    def _values(self, model: str) -> Values:
        values = {
            name: number(float(np.nanmean(by_model[model])))
            for name, by_model in self._series.items()
            if model in by_model and np.isfinite(by_model[model]).any()
        }
        if self._embeddings[model]:
            person = videos.steadiest_embedding(self._embeddings[TRUTH])
            own = videos.identity_cosines(self._embeddings[model], person)
            values["identity_std"] = number(float(own.std()))
        if "identity" in values:
            angles = np.degrees(np.arccos(np.clip(self._series["identity"][model], -1, 1)))
            values["identity_deg"] = number(float(angles.mean()))
        jitter = landmark_jitter(np.stack(self._found[model]))
        if np.isfinite(jitter).any():
            values["jitter_px"] = number(float(np.nanmedian(jitter)))
            share = 100 * jitter / np.array(self._eyes)[1:-1]
            values["jitter"] = number(float(np.nanmedian(share)))
        return values if model == TRUTH else values | self.openings.values(model)

    def _note(self, name: str, model: str, value: float) -> None:
        self._series.setdefault(name, {}).setdefault(model, []).append(value)

    def _find(self, now: _Moment, model: str) -> Array:
        if model == TRUTH:
            return now.landmarks
        if not self._looks_again:
            return np.full((5, 2), np.nan)
        picture = (now.pictures[model] * 255 + 0.5).astype(np.uint8)
        return nearest_face(detect_scaled(self._detector, picture, _DETECTION_PX), now.landmarks)

    @torch.inference_mode()
    def _embed(self, now: _Moment, model: str) -> Array | None:
        if self._identity is None:
            return None
        region = _grown(now.box)
        picture = _tensor(_cut(now.pictures[model], region))
        landmarks = torch.from_numpy(now.landmarks - _whole(region, now.pictures[model])[:2])[None]
        device = next(self._identity.parameters()).device
        embedding = self._identity(self._identity.align(picture.to(device), landmarks))[0]
        return np.asarray(embedding[0].cpu().numpy(), np.float64)


class _Slice:
    """One line of the frame over time, x to the right and t downwards: what shimmers is ragged.

    The line lies where the eyes, or the hairline, are in the first frame with a face.
    """

    def __init__(self, clip: str, name: str) -> None:
        self._clip, self._name = clip, name
        self._line: tuple[int, int, int] | None = None
        """y, first and last x."""
        self._rows: dict[str, list[Image]] = {}

    def add(self, now: _Moment) -> None:
        """Reads the line in one frame."""
        if self._line is None:
            x0, y0, x1, y1 = _whole(_grown(now.box), now.pictures[TRUTH])
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
            tiles.append(Tile(model, _fitted(np.asarray(tall, np.float32))))
        return Sample(f"{self._clip}, x-t slice through the {self._name}", tuple(tiles))


def _order(models: Iterable[str]) -> list[str]:
    """Input first, truth last."""
    return [INPUT, *(model for model in models if model not in (INPUT, TRUTH)), TRUTH]


def _stays(before: _Moment, now: _Moment) -> bool:
    same_size = before.pictures[TRUTH].shape == now.pictures[TRUTH].shape
    return same_size and bool(box_iou(before.box, now.box)[0, 0] >= _STAYS_IOU)


def _like(picture: RGB, truth: RGB) -> Image:
    """A frame in [0, 1], at the truth's size."""
    height, width = truth.shape[:2]
    if picture.shape != truth.shape:
        shrinks = picture.shape[0] > height
        method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        picture = np.asarray(cv2.resize(picture, (width, height), interpolation=method), np.uint8)
    return picture.astype(np.float32) / np.float32(255)


def _grown(*boxes: Array) -> Array:
    """The box around boxes, with a margin."""
    low = np.min([box[:2] for box in boxes], axis=0)
    high = np.max([box[2:] for box in boxes], axis=0)
    margin = _MARGIN * float((high - low).mean())
    return np.concatenate([low - margin, high + margin])


def _whole(box: Array, picture: Image) -> npt.NDArray[np.int64]:
    """Whole pixels (x0, y0, x1, y1) of a box inside a picture."""
    height, width = picture.shape[:2]
    limits = np.array([width, height, width, height])
    return np.clip(np.rint(box).astype(np.int64), 0, limits)


def _cut(picture: Image, box: Array) -> Image:
    x0, y0, x1, y1 = _whole(box, picture)
    return np.ascontiguousarray(picture[y0:y1, x0:x1])


def _box_mask(box: Array, region: Array, picture: Image) -> npt.NDArray[np.bool_]:
    """Which pixels of a region lie in a box."""
    mask = np.zeros(picture.shape[:2], np.bool_)
    x0, y0, x1, y1 = _whole(box, picture)
    mask[y0:y1, x0:x1] = True
    left, top, right, bottom = _whole(region, picture)
    return mask[top:bottom, left:right]


def _tensor(picture: Image) -> Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None]


def _sample(name: str, now: _Moment) -> Sample:
    """The face with its surroundings, input first, truth last."""
    around = _grown(now.box)
    return Sample(
        name,
        tuple(
            Tile(model, _fitted(_cut(now.pictures[model], around)))
            for model in _order(now.pictures)
        ),
    )


def _fitted(cut: Image) -> RGB:
    """At the size of the contact sheet's tiles."""
    scale = _TILE_PX / max(cut.shape[:2])
    size = (round(cut.shape[1] * scale), round(cut.shape[0] * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    shown = np.clip(cv2.resize(cut, size, interpolation=method), 0, 1)
    return np.asarray(shown * 255 + 0.5, np.uint8)
