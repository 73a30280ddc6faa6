"""Compares face restorers on pictures: degrade, restore, measure.

found = compare_pictures(["embedded", "gfpgan-1.4"], Path("faces"), protocol="blind")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vidrestore.evaluation.faces import TrueFace, evenly, true_faces
from vidrestore.evaluation.measures import PICTURE_MEASURES, PictureMeter, choose
from vidrestore.evaluation.models import Contender, contenders, header
from vidrestore.evaluation.protocols import Protocol, find_protocol
from vidrestore.evaluation.restoring import restore_faces
from vidrestore.evaluation.results import (
    INPUT,
    TRUTH,
    Comparison,
    Row,
    Sample,
    Tile,
    order_by_difficulty,
    thirds_by,
)
from vidrestore.labels import find_labels
from vidrestore.models.load import Precision, load_detector, load_restorer, resolve_device
from vidrestore.models.protocols import FaceRestorer

__all__ = ["compare_pictures"]

_CHUNK = 8
"""Faces in memory at once."""

Restorers = Mapping[str, FaceRestorer]
Progress = Callable[[int, int], None]


class Task(NamedTuple):
    """Some faces to restore."""

    names: tuple[str, ...]
    truth: Tensor
    """(N, 3, 512, 512) RGB in [0, 1]."""
    degraded: Tensor
    landmarks: Tensor
    """(N, 5, 2) pixels."""


def compare_pictures(
    models: Sequence[str],
    data: Path,
    *,
    protocol: str = "blind",
    seed: int = 0,
    split: str = "val",
    labels: Path | None = None,
    limit: int | None = None,
    metrics: Sequence[str] | None = None,
    samples: int = 6,
    detector: str = "embedded",
    identity: Path | None = None,
    device: str = "auto",
    precision: Precision = "float32",
    progress: Progress | None = None,
) -> Comparison:
    """Degrade the faces of a folder, restore them with every model, and measure.

    Args:
        models: Names of the zoo or weights files; the input is always measured too.
        data: Folder of faces; see `vidrestore.evaluation.faces`.
        protocol: How they are degraded; see `vidrestore.evaluation.protocols`.
        seed: Another seed gives other degradations.
        split: Which rows of the labels.
        labels: The labels, if not `labels.csv` in the folder or in the one it lies in.
        limit: Take so many faces, evenly spaced.
        metrics: Names of `PICTURE_MEASURES`; None for all that can be had.
        samples: Faces to show: evenly spaced by how hard they are, from hardest to easiest.
        detector: Finds landmarks.
        identity: `mobilefacenet.pt`, if it is not installed.
        device: Where the networks run.
        precision: Of the restorers.
        progress: Told (faces done, faces in all).

    Raises:
        VidRestoreError: For data, models and options that cannot be used.
    """
    wanted = choose(metrics, PICTURE_MEASURES)
    task, named = find_protocol(protocol), contenders(models)
    where = resolve_device(device)
    finder = load_detector(detector, device=where)
    faces = true_faces(data, split=split, labels=labels, limit=limit, detector=finder)
    has_labels = labels is not None or find_labels(data) is not None
    meter = PictureMeter(wanted, detector=finder, identity=identity, device=where)
    restorers = _load(named, device, precision)
    rows = _measure_all(faces, task, seed, restorers, meter, progress)
    found = Comparison(
        kind="pictures",
        header=header(task, seed, named, meter.names, meter.not_available)
        | {
            "data": data.name,
            "split": split if has_labels else "all (no labels.csv)",
            "faces": len(faces),
            "detector": finder.name,
        },
        measures={name: PICTURE_MEASURES[name] for name in meter.names},
        not_available=meter.not_available,
        models=tuple(restorers),
        rows=tuple(rows),
        sets=meter.finish(),
    )
    return _with_samples(found, faces, task, seed, restorers, samples)


def _load(named: Sequence[Contender], device: str, precision: Precision) -> Restorers:
    return {
        one.name: load_restorer(one.source, device=device, precision=precision) for one in named
    }


def _measure_all(
    faces: Sequence[TrueFace],
    protocol: Protocol,
    seed: int,
    restorers: Restorers,
    meter: PictureMeter,
    progress: Progress | None,
) -> list[Row]:
    rows: list[Row] = []
    for start in range(0, len(faces), _CHUNK):
        task = _task(faces[start : start + _CHUNK], protocol, seed)
        rows += _measure(task, restorers, meter)
        if progress is not None:
            progress(start + len(task.names), len(faces))
    return rows


@torch.inference_mode()
def _measure(task: Task, restorers: Restorers, meter: PictureMeter) -> list[Row]:
    """The rows of some faces, face by face, the input first."""
    reference = meter.reference(task.truth, task.landmarks)
    values = {
        model: meter.measure(model, pictures, reference)
        for model, pictures in _answers(task, restorers)
    }
    return [
        Row(name, model, values[model][index])
        for index, name in enumerate(task.names)
        for model in values
    ]


def _answers(task: Task, restorers: Restorers) -> list[tuple[str, Tensor]]:
    restored = [(name, restore_faces(model, task.degraded)) for name, model in restorers.items()]
    return [(INPUT, task.degraded), *restored]


def _task(faces: Sequence[TrueFace], protocol: Protocol, seed: int) -> Task:
    truths = [face.picture() for face in faces]
    degraded = [
        protocol.picture(truth, seed=seed, index=face.index)
        for truth, face in zip(truths, faces, strict=True)
    ]
    return Task(
        tuple(face.name for face in faces),
        _tensor(truths),
        _tensor(degraded),
        torch.from_numpy(np.stack([face.landmarks for face in faces])),
    )


def _tensor(pictures: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()


def _with_samples(
    found: Comparison,
    faces: Sequence[TrueFace],
    protocol: Protocol,
    seed: int,
    restorers: Restorers,
    count: int,
) -> Comparison:
    """The comparison with its contact sheet: faces made again, chosen by a fixed rule."""
    order = order_by_difficulty(found)
    chosen = [order[place] for place in evenly(len(order), count)]
    samples = [_sample(found, _task([faces[index]], protocol, seed), restorers) for index in chosen]
    by = found.measures.get(thirds_by(found))
    spaced = f"by the input's {by.title}, the hardest first" if by else "in the order of the data"
    rule = f"{len(samples)} of {len(order)}, evenly spaced {spaced}"
    return found.with_samples(samples, rule)


@torch.inference_mode()
def _sample(found: Comparison, task: Task, restorers: Restorers) -> Sample:
    (name,) = task.names
    values = {row.model: row.values for row in found.rows if row.item == name}
    tiles = [
        Tile(model, _picture(images), values[model]) for model, images in _answers(task, restorers)
    ]
    return Sample(name, (*tiles, Tile(TRUTH, _picture(task.truth))))


def _picture(images: Tensor) -> np.ndarray:
    """(H, W, 3) uint8 of a batch of one."""
    return np.ascontiguousarray(
        (images[0].clamp(0, 1) * 255 + 0.5).to(torch.uint8).permute(1, 2, 0).numpy()
    )
