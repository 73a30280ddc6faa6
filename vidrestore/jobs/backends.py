"""What computes a job's networks and decodes: settled when it begins, kept when it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from vidrestore.config import RestoreConfig
from vidrestore.job import Job
from vidrestore.jobs.store import FolderStore, job_folder
from vidrestore.models.load import resolve_device, settle_backend
from vidrestore.models.runners.backends import BACKENDS, default_backend
from vidrestore.video.read.nvdec import CONCEALS

__all__ = ["settle_backends", "unusual_backends"]


def settle_backends(job: Job) -> Job:
    """Put backends in the place of "auto".

    A job that was stopped keeps those it began with, and decodes on the CPU if it did so. Others
    take what was found to be the fastest on this machine, else the default of the device.

    Args:
        job: the run's. A network that was given to it has a backend of its own.

    Raises:
        UsageError: what was found to be the fastest cannot be read.
    """
    config = job.config
    begun = _begun_with(job)
    restore, detect = config.restore, config.detect
    if job.model is not None and restore.backend == "auto":
        restore = restore.model_copy(update={"backend": _settle(config, begun, "restore")})
    if job.detector is not None and detect.backend == "auto":
        detect = detect.model_copy(update={"backend": _settle(config, begun, "detect")})
    settled = config.model_copy(update={"restore": restore, "detect": detect})
    return _with_begun_decoder(replace(job, config=settled), begun)


def unusual_backends(job: Job) -> str:
    """What computes a job's networks where it is not the default of the device; else ""."""
    config = job.config
    usual = default_backend(resolve_device(config.run.device).type)
    asked = {"restorer": config.restore.backend, "detector": config.detect.backend}
    told = [f"{name} by {one}" for name, one in asked.items() if one not in ("auto", usual)]
    return f"computed on this device: {', '.join(told)}" if told else ""


def _settle(config: RestoreConfig, begun: Mapping[str, Any], stage: str) -> str:
    kept = begun.get(stage, {}).get("backend")
    if kept in BACKENDS and not config.job.restart:
        return str(kept)
    device = resolve_device(config.run.device)
    if stage == "restore":
        return settle_backend(config.restore.model, "restorer", "auto", device)
    return settle_backend(config.detect.detector, "detector", "auto", device)


def _with_begun_decoder(job: Job, begun: Mapping[str, Any]) -> Job:
    config = job.config
    decoded = begun.get("decode", {"hardware": config.decode.hardware})
    if config.decode.hardware is None or decoded.get("hardware") or config.job.restart:
        return job
    decode = config.decode.model_copy(update={"hardware": None})
    told = "decoded on the CPU, as when the run began"
    config = config.model_copy(update={"decode": decode})
    warnings = (told if one == CONCEALS else one for one in job.warnings)
    return replace(job, config=config, warnings=tuple(warnings))


def _begun_with(job: Job) -> Mapping[str, Any]:
    """The configuration of a stopped run of the job; empty where there is none."""
    if job.output is None or job.config.job.no_resume:
        return {}
    folder = job_folder(Path(job.output.destination), job.config.job.work)
    plan = FolderStore(folder).read("plan") or {}
    found: Mapping[str, Any] = plan.get("configuration", {})
    return found
