"""The executor for Ray, through Ray Core: a video is a task that analyses it, one for each segment,
and one that joins them. Paths travel, never frames.

The driver holds the lease of each video in work, so other executors leave it alone, and one that
was stopped goes on. A task whose process is killed is run again by Ray. Networks stay loaded in
Ray's worker processes from task to task.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidrestore.batch.overview import Overview, Watcher
from vidrestore.batch.state import BatchFolder, Video
from vidrestore.batch.worker import FullDiskError, Stopped, Worker
from vidrestore.config import RestoreConfig
from vidrestore.errors import NotAvailableError, VideoWriteError, VidRestoreError
from vidrestore.runtime.cpu_threads import limit_threads
from vidrestore.runtime.extras import require_extra
from vidrestore.structs import RestoreReport

if TYPE_CHECKING:
    from vidrestore.batch.film import Film
    from vidrestore.batch.sessions import Sessions
    from vidrestore.jobs.segment import OpenedJob

__all__ = ["run_ray"]

_LOOK_EVERY_S = 1.0
_MOST_ROUNDS = 20
"""Over what is left; videos held by the dead of other machines need some minutes."""
_MAX_RETRIES = 3
"""Of a task whose process dies."""


def run_ray(
    folder: BatchFolder,
    workers: int | None,
    devices: Sequence[str],
    *,
    each: Callable[[Overview], None] = lambda now: None,
) -> Watcher:
    """Do a batch with tasks on the cluster that Ray is connected to, or a new one on this machine.

    Args:
        folder: of the batch, which all nodes see under the same path.
        workers: videos in work at once; None for as many as the cluster has places for tasks.
        devices: "cpu" asks for no GPU, "cuda" for one a task; empty chooses by what there is.
        each: called about once a second.

    Raises:
        NotAvailableError: it is not installed, or no cluster can be reached.
        VideoWriteError: videos are left undone, or the disk is full.
    """
    require_extra("ray", "ray")
    import ray

    if not ray.is_initialized():
        try:
            ray.init(log_to_driver=False, configure_logging=False)
        except (ConnectionError, RuntimeError, OSError) as error:
            raise NotAvailableError(
                f"ray: {error}; start a cluster, or unset RAY_ADDRESS"
            ) from error
    cluster: Any = ray  # typed or not, as its version is
    resources: dict[str, float] = cluster.cluster_resources()
    device, gpus = _device(devices, resources)
    places = max(1, int(resources.get("GPU" if gpus else "CPU", 1)))
    tasks, watcher = _Tasks.of(ray, gpus), Watcher(folder)
    for _ in range(_MOST_ROUNDS):
        left = [video.id for video in folder.videos() if video.status == "waiting"]
        if not left:
            return watcher
        _run_round(folder, tasks, left, device, workers or places, lambda: each(watcher.look()))
        time.sleep(_LOOK_EVERY_S)
    raise VideoWriteError(f"{folder.output}: videos are left that no task could do; run it again")


def _run_round(
    folder: BatchFolder,
    tasks: _Tasks,
    left: Sequence[str],
    device: str,
    at_once: int,
    look: Callable[[], None],
) -> None:
    """Work on each video once, a thread of this process for each that is in work."""
    asked_to_end = False

    def work(key: str) -> None:
        if not asked_to_end:
            threads = 1 if device == "cpu" else 0
            worker = _Driver(folder, tasks, device, threads, lambda: asked_to_end)
            worker.run_one(key)

    with ThreadPoolExecutor(at_once, thread_name_prefix="film") as pool:
        running = [pool.submit(work, key) for key in left]
        try:
            while not all(one.done() for one in running):
                look()
                if any(one.done() and one.exception() for one in running):
                    break
                time.sleep(_LOOK_EVERY_S)
        finally:
            asked_to_end = not all(one.done() for one in running)
    for error in filter(None, (one.exception() for one in running)):
        if isinstance(error, FullDiskError):
            raise VideoWriteError(
                f"{folder.output}: the disk is full; free some space and run it again, what is "
                "done stays"
            ) from error
        if not isinstance(error, Stopped):
            raise error
    look()


def _device(devices: Sequence[str], resources: dict[str, float]) -> tuple[str, float]:
    """What tasks run on, and how many GPUs each asks for."""
    wanted = devices[0].partition(":")[0] if devices else ""
    if wanted == "cuda" or (not wanted and resources.get("GPU", 0) >= 1):
        return "cuda", 1
    return wanted or "cpu", 0


@dataclass(frozen=True, slots=True)
class _Tasks:
    """The functions below, as tasks of Ray."""

    ray: Any
    analyse: Any
    restore: Any
    join: Any

    @classmethod
    def of(cls, ray: Any, gpus: float) -> _Tasks:
        on_device = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=_MAX_RETRIES)
        on_cpu = ray.remote(num_cpus=1, num_gpus=0, max_retries=_MAX_RETRIES)
        return cls(ray, on_device(_analyse), on_device(_restore), on_cpu(_join))

    def result(self, task: Any) -> Any:
        """What a task gave.

        Raises:
            Exception: what the task raised.
            VidRestoreError: its process died again and again.
        """
        try:
            return self.ray.get(task)
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except self.ray.exceptions.RayError as error:
            raise VidRestoreError(
                "the process of a task of Ray ended without a word (killed, crashed, or out of "
                f"memory) {_MAX_RETRIES + 1} times: {' '.join(str(error).split())[:200]}"
            ) from error


class _Driver(Worker):
    """A worker that has each part of a video done by a task."""

    def __init__(
        self,
        folder: BatchFolder,
        tasks: _Tasks,
        device: str,
        threads: int,
        should_stop: Callable[[], bool],
    ) -> None:
        super().__init__(folder, device, threads=threads, should_stop=should_stop)
        self._tasks = tasks

    def _make(self, video: Video, config: RestoreConfig, record: dict[str, Any]) -> RestoreReport:
        begun, tasks = time.perf_counter(), self._tasks
        output = str(self._folder.output)
        analysing = tasks.analyse.remote(output, video.id, config)
        [(job, count, known)] = self._all([analysing], video, "analysis")
        record |= known
        analysis_s = time.perf_counter() - begun
        segments = [tasks.restore.remote(job, number, config) for number in range(count)]
        self._all(segments, video, "restoring")
        spent_s = time.perf_counter() - begun
        joining = tasks.join.remote(output, video.id, config, record, analysis_s, spent_s)
        [report] = self._all([joining], video, "joining")
        assert isinstance(report, RestoreReport)
        return report

    def _all(self, running: list[Any], video: Video, what: str) -> list[Any]:
        """What tasks gave, in their order; those that run are ended if one fails.

        Args:
            running: the tasks.
            video: which they are for.
            what: they do.
        """
        found: dict[Any, Any] = {}
        waiting = running
        try:
            while waiting:
                frames = sum(one for one in found.values() if isinstance(one, int))
                self._step(video, what, frames, None)
                ended, waiting = self._tasks.ray.wait(waiting, timeout=_LOOK_EVERY_S)
                found |= {one: self._tasks.result(one) for one in ended}
        except BaseException:
            for one in waiting:
                self._tasks.ray.cancel(one)
            raise
        return [found[one] for one in running]


@cache
def _sessions() -> Sessions:
    """The networks of this process."""
    from vidrestore.batch.sessions import Sessions

    return Sessions()


def _film(output: str, key: str, config: RestoreConfig) -> tuple[BatchFolder, Video, Film]:
    from vidrestore.batch.film import Film

    limit_threads(config.run.threads)
    folder = BatchFolder(Path(output))
    video = folder.read(key)
    return folder, video, Film(Path(video.source), folder.work_path(video), config)


def _analyse(output: str, key: str, config: RestoreConfig) -> tuple[str, int, dict[str, Any]]:
    """A task: analyse a video; its job's folder, the number of segments, what is known of it."""
    from vidrestore.records.record import begin_record

    _, video, film = _film(output, key, config)
    known = begin_record(Path(video.source), config, film.job)
    return str(film.folder), film.analyse(_sessions().loader(config)), known


def _restore(job: str, number: int, config: RestoreConfig) -> int:
    """A task: restore a segment, unless it is stored; the number of frames."""
    from vidrestore.jobs.store import FolderStore
    from vidrestore.structs import Frame

    limit_threads(config.run.threads)
    frames = 0

    def count(frame: Frame) -> None:
        nonlocal frames
        frames += 1

    store = FolderStore(Path(job))
    if not store.segment(number).exists():
        borders = (store.folder / "segments.json").stat()
        _opened(job, (borders.st_ino, borders.st_mtime_ns), config).restore([number], count)
    return frames


@lru_cache(maxsize=1)
def _opened(job: str, borders: tuple[int, int], config: RestoreConfig) -> OpenedJob:
    """The job that this process has segments of; opening a video without an index takes long.

    Args:
        job: its folder.
        borders: which file has the borders of its segments: a job that was begun anew has another.
        config: options, the device included.
    """
    from vidrestore.jobs.segment import OpenedJob

    return OpenedJob(Path(job), device=config.run.device, load=_sessions().loader(config))


def _join(
    output: str,
    key: str,
    config: RestoreConfig,
    record: dict[str, Any],
    analysis_s: float,
    spent_s: float,
) -> RestoreReport:
    """A task: write the growing file from its segments, read it back, and keep its record."""
    from vidrestore.batch.attempt import keep

    folder, video, film = _film(output, key, config)
    restored = film.join(analysis_s, spent_s)
    keep(folder, video, record, restored, lambda share: None)
    return restored.report
