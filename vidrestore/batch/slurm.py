"""The executor for Slurm: workers as jobs, through submitit.

A job runs a worker on the state folder, as `local` does in a process, so any number of jobs does
the batch together, and one that is ended early loses no more than its attempt.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vidrestore.batch.overview import Overview, Watcher
from vidrestore.batch.state import BatchFolder
from vidrestore.errors import UsageError, VideoWriteError
from vidrestore.runtime.extras import require_extra

__all__ = ["run_slurm", "slurm_options", "work_in_job"]

_LOOK_EVERY_S = 2.0


def slurm_options(text: str) -> dict[str, Any]:
    """Options of jobs from `partition=gpu,gres=gpu:1,time=600`.

    Raises:
        UsageError: a part is no KEY=VALUE.
    """
    options: dict[str, Any] = {}
    for part in filter(None, text.split(",")):
        key, mark, value = part.partition("=")
        if not mark or not key.strip().isidentifier():
            raise UsageError(f"--slurm {part}: expected KEY=VALUE, such as partition=gpu")
        options[f"slurm_{key.strip()}"] = int(value) if value.isdecimal() else value
    return options


def run_slurm(
    folder: BatchFolder,
    workers: int,
    devices: Sequence[str],
    *,
    options: Mapping[str, Any],
    cluster: str = "slurm",
    each: Callable[[Overview], None] = lambda now: None,
) -> Watcher:
    """Submit workers as jobs and wait for them.

    Args:
        folder: of the batch, which all nodes see under the same path.
        workers: number of jobs.
        devices: of each in turn; empty lets each job choose.
        options: of jobs, by submitit's names.
        cluster: submitit's name of the system; "local" runs jobs as processes here.
        each: called every few seconds.

    Raises:
        NotAvailableError: submitit is not installed.
        UsageError: jobs have no such option.
        VideoWriteError: jobs ended and left videos undone.
    """
    require_extra("submitit", "slurm")
    import submitit

    logs = folder.root / "slurm"
    try:
        executor = submitit.AutoExecutor(folder=logs, cluster=cluster)
        executor.update_parameters(name="vidrestore", **options)
    except (NameError, ValueError, RuntimeError) as error:
        raise UsageError(f"slurm: {' '.join(str(error).split())[:300]}") from error
    given = [devices[number % len(devices)] if devices else "auto" for number in range(workers)]
    jobs = executor.map_array(work_in_job, [str(folder.output)] * workers, given)
    watcher = Watcher(folder)
    while True:
        now = watcher.look()
        each(now)
        if not now.waiting + now.in_work:
            return watcher
        if all(job.done() for job in jobs):
            now = watcher.look()
            if now.waiting + now.in_work:
                raise VideoWriteError(
                    f"{folder.output}: all jobs ended, {now.waiting + now.in_work} videos are "
                    f"left; their logs are in {logs}; run it again to go on"
                )
        time.sleep(_LOOK_EVERY_S)


def work_in_job(output: str, device: str) -> tuple[int, int]:
    """What a job does: be a worker; the numbers of videos it finished and that failed with it."""
    from vidrestore.batch.worker import Worker

    worker = Worker(BatchFolder(Path(output)), device)
    worker.run()
    return worker.done, worker.failed
