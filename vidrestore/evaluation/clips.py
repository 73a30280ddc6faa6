"""Compare face restorers on videos: restore with the whole pipeline, measure inside the face.

    found = compare_clips(["embedded"], [Pair("nod", Path("nod_gt.mp4"), Path("nod_lq.mp4"))])

Everything is measured in the largest face of the truth, frame by frame, and from frame to frame
where the face stays (its boxes overlap; a cut begins anew). All clips are read in step, so memory
does not grow with their length. Of temporal measures the truth has its own, listed beside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path

import torch

from vidrestore.api import frame_to_rgb, restore_frames
from vidrestore.config import DecodeConfig, RestoreConfig, resolve_config
from vidrestore.errors import DataError, NotAvailableError
from vidrestore.evaluation.clip_meter import RGB, ClipMeter, Series
from vidrestore.evaluation.clip_pairs import Pair
from vidrestore.evaluation.clip_tracks import ClipTracks, EyeMouthOpening
from vidrestore.evaluation.faces import Progress
from vidrestore.evaluation.measures import (
    VIDEO_MEASURES,
    load_identity,
    require_available,
    select_measures,
)
from vidrestore.evaluation.models import ModelEntry, header, list_models
from vidrestore.evaluation.protocols import PAIRS, Protocol
from vidrestore.evaluation.results import INPUT, TRUTH, Comparison, Row, Sample
from vidrestore.metrics.identity import FaceIdentity
from vidrestore.models.load import Precision, load_detector, resolve_device
from vidrestore.video.read.reader import VideoReader
from vidrestore.visual.track_plot import TrackPlot

__all__ = ["compare_clips"]

_TRACKING_TITLES = {False: "alignments", True: "alignments, every frame by itself"}
"""What the page calls the plots of tracks, by `ModelEntry.per_frame`."""


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
        models: names of the zoo or weights files; the degraded clip is always measured too.
        pairs: the clips.
        protocol: how the clips were degraded, for the record; None if that is not known.
        seed: of the protocol, for the record.
        metrics: names of `VIDEO_MEASURES`, all of which must be there; None for all that can be
            had.
        per_frame: whether every model also restores each frame by itself, for comparison.
        samples: frames to show of each clip, evenly spaced.
        detector: finds the faces, for restoring and for measuring.
        identity: `mobilefacenet.pt`, if it is not installed.
        device: where the networks run.
        precision: of the restorers.
        progress: told what is being done with which clip, and of how many frames.

    Raises:
        DataError: the clips of a pair differ in length, or show no face.
        NotAvailableError: what a measure asked for by name needs is not there.
        VidRestoreError: for other files, models and options that cannot be used.
    """
    wanted = select_measures(metrics, VIDEO_MEASURES)
    named = list_models(models, per_frame=per_frame)
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
        meter = ClipMeter(pair.name, names, measures, finder, embed)
        configs = _tracking_configs(named, config)
        clip_tracks = {way: ClipTracks(pair.degraded, one) for way, one in configs.items()}
        plots |= {
            f"{pair.name}: {_TRACKING_TITLES[way]}": one.plot for way, one in clip_tracks.items()
        }
        if {"eyes", "mouth"}.intersection(measures):
            meter.openings = EyeMouthOpening(ClipTracks(pair.truth, config).main_alignments())
        for frames, pictures in enumerate(_zip_frames(pair, named, config, clip_tracks), start=1):
            meter.add(pictures)
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


def _tracking_configs(
    models: Sequence[ModelEntry], config: RestoreConfig
) -> dict[bool, RestoreConfig]:
    """The configurations by which the models track faces, by `ModelEntry.per_frame`."""
    return {
        way: resolve_config(config, per_frame=way)
        for way in sorted({one.per_frame for one in models})
    }


def _zip_frames(
    pair: Pair,
    models: Sequence[ModelEntry],
    config: RestoreConfig,
    clip_tracks: Mapping[bool, ClipTracks],
) -> Iterator[dict[str, RGB]]:
    """Yield the frames of truth, input and every model's output, by name, frame by frame.

    The models take the faces that were tracked once for the clip, instead of tracking again.
    """
    with ExitStack() as stack:
        streams: dict[str, Iterator[RGB]] = {
            TRUTH: _frames(pair.truth),
            INPUT: _frames(pair.degraded),
        }
        for one in models:
            restored = restore_frames(
                pair.degraded,
                config=config,
                model=one.source,
                tracks=clip_tracks[one.per_frame].tracks,
                per_frame=one.per_frame,
            )
            streams[one.name] = map(frame_to_rgb, restored)
            stack.callback(restored.close)
        for pictures in zip_longest(*streams.values()):
            if any(picture is None for picture in pictures):
                raise DataError(
                    f"pair {pair.name}: {pair.truth} and {pair.degraded} differ in length"
                )
            yield dict(zip(streams, pictures, strict=True))


def _frames(path: Path) -> Iterator[RGB]:
    with VideoReader(path, DecodeConfig()) as reader:
        for frame in reader.frames():
            yield frame_to_rgb(frame)
