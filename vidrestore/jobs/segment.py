"""Restore one segment of a job, in any process, in any order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vidrestore.config import resolve_config
from vidrestore.errors import JobError, VideoWriteError
from vidrestore.jobs.known import KnownAnalysis
from vidrestore.jobs.networks import load_networks
from vidrestore.jobs.plan import changes, job_of, plan_of
from vidrestore.jobs.restoring import Restoring
from vidrestore.jobs.store import FolderStore

__all__ = ["restore_segment"]


def restore_segment(folder: Path, number: int, *, device: str | None = None) -> bool:
    """Restore a segment of a job whose analysis is complete, and store its packets.

    Args:
        folder: the job's.
        number: of the segment, from 0.
        device: where the networks run; None for what the configuration says.

    Returns:
        False where the segment was stored already.

    Raises:
        JobError: the analysis is not complete, or this machine's program, weights or input differ
            from the plan.
        VideoWriteError: the segment cannot be written.
        VidRestoreError: for the input and the networks.
    """
    store = FolderStore(folder)
    if store.segment(number).exists():
        return False
    summary, segments = store.read("analysis"), store.read("segments")
    if summary is None or segments is None:
        raise JobError(f"{folder}: its analysis is not complete; run it first")
    job = job_of(folder)
    config = job.config if device is None else resolve_config(job.config, {"run.device": device})
    networks = load_networks(config)
    plan: dict[str, Any] = {**(store.read("plan") or {}), "backend": {}}
    now = plan_of(job, networks) | {"configuration": plan["configuration"]}
    now |= {"tracks": plan["tracks"]}
    if found := list(changes(plan, now)):
        raise JobError(f"{folder}: a segment cannot be restored here, for {'; '.join(found)}")
    known = KnownAnalysis(store, summary, job.info.time_base)
    restoring = Restoring(job, known, segments["first_frames"], networks)
    try:
        restoring.store(store, [number], lambda frame: None, lambda number: None)
    except OSError as error:
        if isinstance(error, VideoWriteError):
            raise
        raise VideoWriteError(f"{folder}: cannot be written ({error.strerror})") from error
    return True
