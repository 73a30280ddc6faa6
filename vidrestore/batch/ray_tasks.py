"""The executor for Ray: a task a video, through Ray Core. Paths travel, never frames.

A task claims its video as every worker does; one whose process is killed is run again by Ray, and
by then its lease is free. Networks stay loaded in Ray's worker processes from task to task.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from vidrestore.batch.overview import Overview, Watcher
from vidrestore.batch.state import BatchFolder
from vidrestore.errors import NotAvailableError, VideoWriteError
from vidrestore.runtime.extras import require_extra

__all__ = ["run_ray"]

_LOOK_EVERY_S = 1.0
_MOST_ROUNDS = 20
"""Of tasks for what is left; videos held by the dead of other machines need some minutes."""


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
        workers: tasks at once; None leaves it to Ray's resources.
        devices: "cpu" asks for no GPU, "cuda" for one a task; empty chooses by what there is.
        each: called about once a second.

    Raises:
        NotAvailableError: it is not installed, or no cluster can be reached.
        VideoWriteError: tasks ended and left videos undone.
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
    task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=3)(_restore_one)
    watcher = Watcher(folder)
    for _ in range(_MOST_ROUNDS):
        left = [video.id for video in folder.videos() if video.status == "waiting"]
        if not left:
            return watcher
        _run_round(ray, task, folder, left, device, workers or len(left), watcher, each)
        time.sleep(_LOOK_EVERY_S)
    raise VideoWriteError(f"{folder.output}: videos are left that no task could do; run it again")


def _run_round(
    ray: Any,
    task: Any,
    folder: BatchFolder,
    left: list[str],
    device: str,
    at_once: int,
    watcher: Watcher,
    each: Callable[[Overview], None],
) -> None:
    queue, running = list(reversed(left)), list[Any]()
    while queue or running:
        while queue and len(running) < at_once:
            running.append(task.remote(str(folder.output), queue.pop(), device))
        ended, running = ray.wait(running, timeout=_LOOK_EVERY_S)
        for one in ended:
            try:
                ray.get(one)
            except ray.exceptions.RayError as error:
                if isinstance(error, ray.exceptions.RayTaskError):
                    raise VideoWriteError(f"a task of Ray failed: {error.cause}") from error
        each(watcher.look())


def _device(devices: Sequence[str], resources: dict[str, float]) -> tuple[str, float]:
    """What tasks run on, and how many GPUs each asks for."""
    wanted = devices[0].partition(":")[0] if devices else ""
    if wanted == "cuda" or (not wanted and resources.get("GPU", 0) >= 1):
        return "cuda", 1
    return wanted or "cpu", 0


def _restore_one(output: str, key: str, device: str) -> None:
    """What a task does: work on one video, if nobody else holds it."""
    _worker(output, device).run_one(key)


@cache
def _worker(output: str, device: str) -> Any:
    """The worker of this process."""
    from vidrestore.batch.worker import Worker

    return Worker(BatchFolder(Path(output)), device, threads=1 if device == "cpu" else 0)
