"""The record of one video: everything that an archive needs to know of what was done, as JSON.

It is written for videos that failed, too, with what was known by then.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import vidrestore
from vidrestore.config import RestoreConfig
from vidrestore.job import Job
from vidrestore.models.weights import store
from vidrestore.models.zoo import ModelSpec
from vidrestore.records.fixity import Difference, sha256_of
from vidrestore.runtime.printable import well_formed, well_formed_record
from vidrestore.runtime.utc import utc_now
from vidrestore.structs import RestoreReport
from vidrestore.video.read.info import VideoInfo
from vidrestore.video.read.probe import probe

__all__ = ["FORMAT", "VERSION", "begin_record", "device_of", "finish_record", "fixity_record"]

FORMAT, VERSION = "vidrestore record", 1

_PACKAGES = ("av", "facexlib", "kornia", "numpy", "onnxruntime", "opencv-python", "scipy", "torch")


def begin_record(source: Path, config: RestoreConfig, job: Job | None) -> dict[str, Any]:
    """What is known before work.

    Args:
        source: the input.
        config: the resolved options.
        job: what was decided; None where the input was refused.
    """
    record: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "status": "failed",
        "problem": None,
        "begun": utc_now(),
        "program": _program(),
        "input": _file(source),
        "options": config.record(),
    }
    if job is not None:
        record["input"] |= _contents(job.info)
        record["model"], record["detector"] = _model(job.model), _model(job.detector)
        record["warnings"] = list(job.warnings)
        if job.output is not None:
            record["planned"] = {
                "codec": job.output.codec,
                "pix_fmt": job.output.pix_fmt,
                "why": job.output.why,
                "streams": [asdict(one) for one in job.output.streams],
                "statement": job.output.statement,
            }
    return _plain(record)


def device_of(report: RestoreReport, network: object) -> dict[str, Any]:
    """What a run was done on.

    Args:
        report: of the run.
        network: the restorer, which may know its precision and batch size.
    """
    return {
        "hardware": _hardware(report.device),
        "precision": getattr(network, "precision", None),
        "batch_size": getattr(network, "batch_size", None),
        "segments": {},
    }


def finish_record(
    record: dict[str, Any],
    report: RestoreReport,
    output: Path,
    named: Path,
    device: Mapping[str, Any],
) -> dict[str, Any]:
    """What was done, added to what was known before.

    Args:
        record: of `begin_record`.
        report: of the run.
        output: the file that was written.
        named: its final name.
        device: what it was done on, see `device_of`; "segments" is their number by kind of device
            where workers shared the video.
    """
    written = probe(output)
    promised = record["input"].get("frames_promised")
    done = asdict(report) | {"output": str(named)}
    done.pop("config")
    tracks = done.pop("tracks")
    return _plain(
        record
        | {
            "status": "done",
            "ended": utc_now(),
            "device": {"name": report.device, **device},
            "frames": {
                "promised": promised,
                "decoded": report.frames - report.frames_repaired,
                "repaired": report.frames_repaired,
                "written": report.frames,
            },
            "output": _file(output) | _contents(written) | {"path": str(named)},
            "people": tracks,
            "report": done,
        }
    )


def fixity_record(
    source: Path,
    output: Path,
    frames: int,
    difference: Difference | None,
    framemd5: str,
    step: Callable[[float], None],
) -> dict[str, Any]:
    """Checksums and comparison, for a record.

    Args:
        source: the input; of a folder of pictures there is no checksum.
        output: the file that was written.
        frames: as decoded again.
        difference: from the input; None where all samples may differ.
        framemd5: name of the file with the checksums of frames.
        step: called on the way through both files, with the share that is done.
    """
    compared: dict[str, Any] = {
        "lossless": difference is not None,
        "statement": "the output is lossy: all samples may differ from the input's",
    }
    if difference is not None:
        compared |= asdict(difference)
        compared["statement"] = (
            f"{difference.identical} of {difference.frames} frames are identical to the input"
        )
        if difference.rectangles:
            compared["statement"] += ", in the others only these rectangles differ"
        if difference.unrepeatable:
            compared["statement"] += (
                f"; {difference.unrepeatable} frames of the damaged input are decoded to other "
                "samples each time, and are not compared"
            )
    input_sha256 = None
    if source.is_file():
        input_sha256 = sha256_of(source, lambda share: step(share / 2))
    return {
        "input_sha256": input_sha256,
        "output_sha256": sha256_of(output, lambda share: step((1 + share) / 2)),
        "frames_decoded_again": frames,
        "framemd5": framemd5,
        "picture": compared,
    }


@cache
def _program() -> dict[str, Any]:
    import av

    libraries = {name: ".".join(map(str, found)) for name, found in av.library_versions.items()}
    return {
        "vidrestore": vidrestore.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "machine": platform.machine(),
        "host": platform.node(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "ffmpeg": libraries,
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _file(path: Path) -> dict[str, Any]:
    record: dict[str, Any] = {"path": str(path.absolute()), "bytes": None, "modified": None}
    if path.is_file():
        found = path.stat()
        changed = datetime.fromtimestamp(found.st_mtime, UTC)
        record |= {"bytes": found.st_size, "modified": changed.isoformat(timespec="seconds")}
    return record


def _contents(info: VideoInfo) -> dict[str, Any]:
    return {
        "container": info.container,
        "seconds": info.duration_s,
        "frames_promised": info.n_frames_estimate,
        "width": info.width,
        "height": info.height,
        "pix_fmt": info.pix_fmt,
        "frames_per_s": None if info.average_rate is None else str(info.average_rate),
        "interlaced": info.interlaced,
        "timecode": info.timecode,
        "tags": info.metadata,
        "chapters": len(info.chapters),
        "streams": [asdict(stream) for stream in info.streams],
    }


def _model(chosen: ModelSpec | Path | None) -> dict[str, Any]:
    if isinstance(chosen, ModelSpec):
        path = store.path_of(chosen) if chosen.needs_file else None
        known = {"name": chosen.name, "licence": chosen.licence}
        return known | {"sha256": chosen.sha256 or _checksum(path)}
    return {"name": None if chosen is None else str(chosen), "sha256": _checksum(chosen)}


def _checksum(path: Path | None) -> str | None:
    if path is None or not path.is_file():
        return None
    found = path.stat()
    return _checksum_of(path, found.st_size, found.st_mtime_ns)


@cache
def _checksum_of(path: Path, size: int, changed_ns: int) -> str:
    return sha256_of(path)


def _hardware(device: str) -> str:
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    """The record as JSON can hold it."""
    record: dict[str, Any] = _without_objects(well_formed_record(value))
    return record


def _without_objects(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_objects(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_objects(one) for one in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return well_formed(str(value))
