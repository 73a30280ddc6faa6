"""Compare face restorers on pictures: degrade, restore, measure.

found = compare_pictures(["embedded", "gfpgan-1.4"], Path("faces"), protocol="blind")
found = compare_pictures(["embedded"], Path("true"), degraded=Path("degraded"))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vidrestore.datasets.images import find_pictures, read_picture
from vidrestore.datasets.labels import find_labels
from vidrestore.errors import DataError, UsageError
from vidrestore.evaluation.faces import (
    GroundTruthFace,
    Progress,
    find_faces,
    pair_with_degraded,
    space_evenly,
)
from vidrestore.evaluation.measures import PICTURE_MEASURES, require_available, select_measures
from vidrestore.evaluation.meter import PictureMeter
from vidrestore.evaluation.models import ModelEntry, header, list_models
from vidrestore.evaluation.protocols import PAIRS, Protocol, find_protocol
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
from vidrestore.models.interfaces import FaceRestorer
from vidrestore.models.load import Precision, load_detector, load_restorer, resolve_device

__all__ = ["compare_pictures"]

_CHUNK = 8
"""Faces in memory at once."""

Restorers = Mapping[str, FaceRestorer]


class FaceBatch(NamedTuple):
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
    degraded: Path | None = None,
    protocol: str = "blind",
    seed: int = 0,
    split: str = "val",
    labels: Path | None = None,
    limit: int | None = None,
    metrics: Sequence[str] | None = None,
    samples: int = 6,
    detector: str = "embedded",
    identity: Path | None = None,
    arcface: Path | None = None,
    fid_reference: Path | None = None,
    device: str = "auto",
    precision: Precision = "float32",
    progress: Progress | None = None,
) -> Comparison:
    """Degrade the faces of a folder, restore them with every model, and measure.

    Args:
        models: names of the zoo or weights files; the input is always measured too.
        data: folder of faces; see `vidrestore.evaluation.faces`.
        degraded: folder of the same pictures, degraded, under the same names; None degrades them
            by the protocol.
        protocol: how they are degraded; see `vidrestore.evaluation.protocols`.
        seed: another seed gives other degradations.
        split: which rows of the labels.
        labels: the labels, if not `labels.csv` in the folder or in the one it lies in.
        limit: take so many faces, evenly spaced.
        metrics: names of `PICTURE_MEASURES`, all of which must be there; None for all that can be
            had.
        samples: faces to show: evenly spaced by how hard they are, from hardest to easiest.
        detector: finds landmarks.
        identity: `mobilefacenet.pt`, if it is not installed.
        arcface: `arcface_resnet18.pth`, if it is not installed.
        fid_reference: folder of pictures that FID compares with, in place of the true faces.
        device: where the networks run.
        precision: of the restorers.
        progress: told what is being done, and how far it is.

    Raises:
        NotAvailableError: what a measure asked for by name needs is not there.
        VidRestoreError: for data, models and options that cannot be used.
    """
    wanted = select_measures(metrics, PICTURE_MEASURES)
    if fid_reference is not None and "fid" not in wanted:
        raise UsageError("--fid-reference: is for the metric fid, which --metrics leaves out")
    task = find_protocol(protocol) if degraded is None else PAIRS
    named, where = list_models(models), resolve_device(device)
    finder = load_detector(detector, device=where)
    meter = PictureMeter(
        wanted,
        detector=finder,
        identity=identity,
        arcface=arcface,
        has_reference=fid_reference is not None,
        device=where,
    )
    require_available(metrics, meter.not_available)
    about: dict[str, object] = {"data": data.name}
    if fid_reference is not None:
        require_available(["fid"], meter.not_available)
        about["fid_reference"] = _add_reference(fid_reference, meter, progress)
    faces = find_faces(
        data, split=split, labels=labels, limit=limit, detector=finder, progress=progress
    )
    if degraded is not None:
        faces = pair_with_degraded(faces, data, degraded)
        about["degraded"] = degraded.name
    has_labels = labels is not None or find_labels(data) is not None
    restorers = _load(named, device, precision)
    rows = _measure_all(faces, task, seed, restorers, meter, progress)
    found = Comparison(
        kind="pictures",
        header=header(task, seed, named, meter.names, meter.not_available)
        | about
        | {
            "split": split if has_labels else "all (no labels.csv)",
            "faces": len(faces),
            "detector": finder.name,
        },
        measures={name: PICTURE_MEASURES[name] for name in meter.names},
        not_available=meter.not_available,
        models=tuple(restorers),
        rows=tuple(rows),
        sets=meter.finish(),
        sources={face.name: face.source for face in faces if face.source},
    )
    return _with_samples(found, faces, task, seed, restorers, samples)


def _add_reference(
    folder: Path, meter: PictureMeter, progress: Progress | None
) -> dict[str, object]:
    """Give the meter the pictures that FID compares with; what results say of them.

    Raises:
        DataError: there is none.
        ImageOpenError: one cannot be read.
    """
    pictures = find_pictures(folder)
    if not pictures:
        raise DataError(f"pictures {folder}: none in it for FID to compare with")
    for done, path in enumerate(pictures, start=1):
        with torch.inference_mode():
            meter.add_reference(_tensor([read_picture(path).astype(np.float32) / np.float32(255)]))
        if progress is not None:
            progress("reference pictures", done, len(pictures))
    return {"data": folder.name, "pictures": len(pictures)}


def _load(named: Sequence[ModelEntry], device: str, precision: Precision) -> Restorers:
    return {
        one.name: load_restorer(one.source, device=device, precision=precision) for one in named
    }


def _measure_all(
    faces: Sequence[GroundTruthFace],
    protocol: Protocol,
    seed: int,
    restorers: Restorers,
    meter: PictureMeter,
    progress: Progress | None,
) -> list[Row]:
    rows: list[Row] = []
    for start in range(0, len(faces), _CHUNK):
        batch = _make_batch(faces[start : start + _CHUNK], protocol, seed)
        rows += _measure(batch, restorers, meter)
        if progress is not None:
            progress("pictures measured", start + len(batch.names), len(faces))
    return rows


@torch.inference_mode()
def _measure(batch: FaceBatch, restorers: Restorers, meter: PictureMeter) -> list[Row]:
    """The rows of some faces, face by face, the input first."""
    reference = meter.reference(batch.truth, batch.landmarks)
    values = {
        model: meter.measure(model, pictures, reference)
        for model, pictures in _restore_all(batch, restorers)
    }
    return [
        Row(name, model, values[model][index])
        for index, name in enumerate(batch.names)
        for model in values
    ]


def _restore_all(batch: FaceBatch, restorers: Restorers) -> list[tuple[str, Tensor]]:
    restored = [(name, restore_faces(model, batch.degraded)) for name, model in restorers.items()]
    return [(INPUT, batch.degraded), *restored]


def _make_batch(faces: Sequence[GroundTruthFace], protocol: Protocol, seed: int) -> FaceBatch:
    truths = [face.read_truth() for face in faces]
    degraded = [
        protocol.picture(truth, seed=seed, index=face.index)
        if face.degraded is None
        else face.read_degraded()
        for truth, face in zip(truths, faces, strict=True)
    ]
    return FaceBatch(
        tuple(face.name for face in faces),
        _tensor(truths),
        _tensor(degraded),
        torch.from_numpy(np.stack([face.landmarks for face in faces])),
    )


def _tensor(pictures: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()


def _with_samples(
    found: Comparison,
    faces: Sequence[GroundTruthFace],
    protocol: Protocol,
    seed: int,
    restorers: Restorers,
    count: int,
) -> Comparison:
    """The comparison with its contact sheet: faces made again, chosen by a fixed rule."""
    order = order_by_difficulty(found)
    chosen = [order[place] for place in space_evenly(len(order), count)]
    samples = [
        _sample(found, _make_batch([faces[index]], protocol, seed), restorers) for index in chosen
    ]
    by = found.measures.get(thirds_by(found))
    spaced = f"by the input's {by.title}, the hardest first" if by else "in the order of the data"
    rule = f"{len(samples)} of {len(order)}, evenly spaced {spaced}"
    return found.with_samples(samples, rule)


@torch.inference_mode()
def _sample(found: Comparison, batch: FaceBatch, restorers: Restorers) -> Sample:
    (name,) = batch.names
    values = {row.model: row.values for row in found.rows if row.item == name}
    tiles = [
        Tile(model, _picture(images), values[model])
        for model, images in _restore_all(batch, restorers)
    ]
    return Sample(name, (*tiles, Tile(TRUTH, _picture(batch.truth))))


def _picture(images: Tensor) -> np.ndarray:
    """(H, W, 3) uint8 of a batch of one."""
    return np.ascontiguousarray(
        (images[0].clamp(0, 1) * 255 + 0.5).to(torch.uint8).permute(1, 2, 0).numpy()
    )
