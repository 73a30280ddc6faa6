"""A video that is restored by segments: analysis, segments in any process, join.

    film = Film(source, growing, config)
    film.analyse(session.networks)
    OpenedJob(film.folder).restore([0])   # or others do it, anywhere; see `sharing` and `ray_tasks`
    restored = film.join(analysis_s, spent_s)

All state is in the job's folder, so each step may be done by another process, and anew after a
kill. Segments stay until the output has its name in the batch.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidrestore.config import RestoreConfig, resolve_config
from vidrestore.errors import JobError
from vidrestore.job import Job, make_job
from vidrestore.jobs.analysis import complete_analysis
from vidrestore.jobs.backends import settle_backends
from vidrestore.jobs.join import join_segments
from vidrestore.jobs.known import KnownAnalysis
from vidrestore.jobs.networks import Networks, load_networks
from vidrestore.jobs.plan import check_plan, plan_of
from vidrestore.jobs.samples import FaceSamples
from vidrestore.jobs.space import check_space, estimate_bytes
from vidrestore.jobs.store import FolderStore, job_folder
from vidrestore.report import Done, make_report
from vidrestore.runtime.output_lock import OutputLock
from vidrestore.structs import RestoreReport

__all__ = ["Film", "Restored", "config_of_work"]


@dataclass(frozen=True, slots=True)
class Restored:
    """An output that is written and has no name in the batch yet."""

    job: Job
    report: RestoreReport
    samples: FaceSamples
    device: Mapping[str, Any]
    """What it was restored on: "hardware", "precision", "batch_size", and of a video by segments
    "segments", their number by kind of device."""


def config_of_work(config: RestoreConfig) -> RestoreConfig:
    """The options of a video, for the file that grows in the batch's own folder."""
    return resolve_config(config, {"encode.overwrite": True, "job.restart": True})


class Film:
    """One video on its way.

    Args:
        source: the input.
        growing: where the output grows.
        config: its options, the device included.
        watch: see `make_job`.

    Raises:
        VidRestoreError: as `make_job`.
    """

    def __init__(
        self,
        source: Path,
        growing: Path,
        config: RestoreConfig,
        watch: Callable[[float], None] | None = None,
    ) -> None:
        job = make_job(source, growing, config_of_work(config), watch=watch)
        self.job = settle_backends(job)
        self._store = FolderStore(job_folder(growing, config.job.work))
        self._growing = growing

    @property
    def folder(self) -> Path:
        """The job's."""
        return self._store.folder

    def analyse(
        self,
        load: Callable[[RestoreConfig], Networks] = load_networks,
        progress: Callable[[int], None] | None = None,
    ) -> int:
        """Plan, and find what outlasts a window; or go on where that was stopped.

        Args:
            load: gives the networks.
            progress: called after each frame, with the number of those looked at.

        Returns:
            The number of segments.

        Raises:
            VidRestoreError: for files, weights and models.
        """
        job = self.job
        plan, stored = plan_of(job), self._store.read("plan")
        if stored is not None and not job.config.job.same_device:  # others may do the rest
            plan["backend"]["device"] = stored.get("backend", {}).get("device")
        if not check_plan(self._store, plan, restart=True):
            least = estimate_bytes(job, job.expected_frames or 0)
            check_space(self._growing, self.folder, least, least)
        _, borders = complete_analysis(self._store, job, load, progress=progress)
        return len(borders)

    def missing(self) -> list[int]:
        """The numbers of the segments that are not stored."""
        segments = self._store.read("segments")
        count = 0 if segments is None else len(segments["first_frames"])
        return sorted(set(range(count)) - set(self._store.stored_segments()))

    def join(
        self,
        analysis_s: float,
        spent_s: float,
        step: Callable[[float], None] = lambda share: None,
    ) -> Restored:
        """Write the growing file.

        Args:
            analysis_s: seconds that the analysis took, for the report.
            spent_s: seconds that all took until now.
            step: called now and then with the share that is done.

        Raises:
            JobError: segments are missing, do not belong together, or came out differently on
                several devices.
            VidRestoreError: the output cannot be written.
        """
        begun, store, job = time.perf_counter(), self._store, self.job
        summary, segments = store.read("analysis"), store.read("segments")
        if summary is None or segments is None:
            raise JobError(f"{self.folder}: its analysis is not complete")
        known = KnownAnalysis(store, summary, job.info.time_base)
        lock = OutputLock(self._growing)
        lock.acquire()
        try:
            joined = join_segments(store, job, known, segments["first_frames"], lock, step)
        finally:
            lock.release()
        first, kinds = joined.origins[0], Counter(str(one["device"]) for one in joined.origins)
        done = Done(
            joined.tally,
            first["model"],
            first["detector"],
            first["backends"],
            first["torch_device"],
            0.0,
            joined.tally.frames,
            joined.segment_seconds,
            joined.codec,
            (*joined.notes, *known.notes),
            joined.damaged or known.damaged,
        )
        join_s = time.perf_counter() - begun
        restoring_s = joined.segment_seconds
        stages = {"analysis": analysis_s, "restoring": restoring_s, "join": join_s}
        report = make_report(job, done, spent_s + join_s, stages)
        device = {
            "hardware": ", ".join(sorted(kinds)),
            "precision": first["precision"],
            "batch_size": first["batch_size"],
            "segments": dict(sorted(kinds.items())),
        }
        return Restored(job, report, joined.samples, device)
