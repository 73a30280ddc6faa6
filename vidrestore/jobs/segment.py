"""Restore segments of a job, in any process, in any order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vidrestore.config import RestoreConfig
from vidrestore.errors import JobError, SegmentDiffersError, VideoWriteError
from vidrestore.job import Job
from vidrestore.jobs.known import KnownAnalysis
from vidrestore.jobs.networks import Networks, load_networks
from vidrestore.jobs.plan import changes, job_of, plan_of
from vidrestore.jobs.restoring import Restoring
from vidrestore.jobs.store import FolderStore
from vidrestore.models.load import device_kind, resolve_device
from vidrestore.structs import Frame

__all__ = ["OpenedJob", "restore_segment"]


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
        SegmentDiffersError: somebody stored the segment meanwhile, with other packets.
        VideoWriteError: the segment cannot be written.
        VidRestoreError: for the input and the networks.
    """
    if FolderStore(folder).segment(number).exists():
        return False
    OpenedJob(folder, device=device).restore([number])
    return True


class OpenedJob:
    """A job whose analysis is complete, with networks that stay loaded from segment to segment.

    Args:
        folder: the job's.
        device: where the networks run; None for what the configuration says.
        load: gives the networks.

    Raises:
        JobError: as `restore_segment`; or `job.same_device` is set, and the device is of another
            kind than the one that the job was begun on.
        VidRestoreError: for the input and the networks.
    """

    def __init__(
        self,
        folder: Path,
        *,
        device: str | None = None,
        load: Callable[[RestoreConfig], Networks] = load_networks,
    ) -> None:
        self._store = FolderStore(folder)
        summary, segments = self._store.read("analysis"), self._store.read("segments")
        if summary is None or segments is None:
            raise JobError(f"{folder}: its analysis is not complete; run it first")
        plan = self._store.read("plan") or {}
        self.job = job_of(folder, {} if device is None else _on_device(plan, device))
        _check_device(folder, plan, self.job.config)
        networks = load(self.job.config)
        _check_plan(folder, plan, self.job, networks)
        known = KnownAnalysis(self._store, summary, self.job.info.time_base)
        self._restoring = Restoring(self.job, known, segments["first_frames"], networks)

    def __len__(self) -> int:
        """The number of segments."""
        return len(self._restoring.borders)

    def restore(
        self,
        numbers: Sequence[int],
        each: Callable[[Frame], None] = lambda frame: None,
        before: Callable[[int], None] = lambda number: None,
    ) -> None:
        """Restore segments that follow one another, and store each.

        Args:
            numbers: of the segments, without a gap.
            each: called with each frame.
            before: called before each segment, with its number; what it raises ends the work.

        Raises:
            SegmentDiffersError: somebody stored one meanwhile, with other packets; it is noted, so
                that the job cannot be joined.
            VideoWriteError: a segment cannot be written.
            VidRestoreError: for the input and the networks.
        """
        begun = numbers[0]

        def next_one(number: int) -> None:
            nonlocal begun
            before(number)
            begun = number

        try:
            self._restoring.store(self._store, numbers, each, next_one)
        except SegmentDiffersError as error:
            self._store.write(f"segments/{begun:05d}.differs", {"problem": str(error)})
            raise
        except OSError as error:
            if isinstance(error, VideoWriteError):
                raise
            raise VideoWriteError(
                f"{self._store.folder}: cannot be written ({error.strerror or error})"
            ) from error


def _on_device(plan: dict[str, Any], device: str) -> dict[str, str]:
    """The options that put a planned job's networks on a device."""
    own = {"run.device": device}
    if device_kind(resolve_device(device)) != plan["backend"]["device"]:
        own |= {"restore.backend": "auto", "detect.backend": "auto"}  # those are of the other kind
    return own


def _check_device(folder: Path, plan: dict[str, Any], config: RestoreConfig) -> None:
    begun, here = plan["backend"]["device"], device_kind(resolve_device(config.run.device))
    if config.job.same_device and begun != here:
        raise JobError(
            f"{folder}: was begun on {begun}, and this is {here}, which --same-device refuses; "
            "name another device, or leave it out"
        )


def _check_plan(folder: Path, plan: dict[str, Any], job: Job, networks: Networks) -> None:
    """Refuse another program, input or weights; devices may differ."""
    now = plan_of(job, networks) | {"configuration": plan["configuration"]}
    now |= {"tracks": plan["tracks"], "backend": {}}
    if found := list(changes(plan, now)):
        raise JobError(f"{folder}: a segment cannot be restored here, for {'; '.join(found)}")
