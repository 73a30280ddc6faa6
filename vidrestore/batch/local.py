"""The local executor: a process a worker, watched by this one.

A process that dies is replaced; its video is free at once, since the operating system frees its
lease. Processes are spawned, never forked: CUDA cannot be used in a fork.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType

from vidrestore.batch.overview import Overview, Watcher
from vidrestore.batch.state import BatchFolder
from vidrestore.errors import VideoWriteError, VidRestoreError

__all__ = ["assign_devices", "run_local"]

_LOOK_EVERY_S = 1.0
_END_WITHIN_S = 30.0
_CORES_A_WORKER = 4
_STOPPED, _FULL, _LOST = 10, 11, 12
"""Exit codes of worker processes."""
_MOST_DEATHS = 20
"""Workers that die one after the other while nothing gets done: something is wrong with all."""


def assign_devices(devices: Sequence[str], workers: int | None) -> list[str]:
    """The device of each worker.

    Args:
        devices: of this machine; empty for all GPUs, or the CPU where there is none.
        workers: their number, over which the devices are dealt in turn; None for one a device, and
            on a CPU one for every four cores.
    """
    if not devices:
        devices = _found_devices()
    if workers is None:
        on_cpu = list(devices) == ["cpu"]
        workers = max(1, _cores() // _CORES_A_WORKER) if on_cpu else len(devices)
    return [devices[number % len(devices)] for number in range(workers)]


def _found_devices() -> list[str]:
    from vidrestore.models.load import resolve_device

    if resolve_device("auto").type != "cuda":
        return [str(resolve_device("auto"))]
    import torch

    return [f"cuda:{number}" for number in range(torch.cuda.device_count())]


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def run_local(
    folder: BatchFolder,
    devices: Sequence[str],
    *,
    verbose: int = 0,
    waits: bool = False,
    each: Callable[[Overview], None] = lambda now: None,
) -> Watcher:
    """Do a batch with a process for each of `devices`, until all videos are done or failed.

    Args:
        folder: of the batch.
        devices: of the workers, see `assign_devices`.
        verbose: how much workers log.
        waits: go on when all is done, until a signal ends it.
        each: called about once a second.

    Returns:
        What was seen last.

    Raises:
        VideoWriteError: the disk is full, or workers die again and again; what is done stays.
    """
    context = multiprocessing.get_context("spawn")
    threads = 0 if len(devices) == 1 else max(1, _cores() // len(devices))
    watcher = Watcher(folder)
    deaths, ended_before = 0, -1

    def start(device: str) -> BaseProcess:
        given = (str(folder.output), device, threads, waits, verbose)
        process = context.Process(target=_work, args=given, name=f"worker on {device}")
        process.start()
        return process

    with _ended_with_us() as running:
        running += [(start(device), device) for device in devices]
        while True:
            now = watcher.look()
            each(now)
            if now.done + now.failed > ended_before:
                deaths, ended_before = 0, now.done + now.failed
            for place, (process, device) in enumerate(running):
                if process.exitcode is None:
                    continue
                if process.exitcode == _FULL:
                    raise VideoWriteError(
                        f"{folder.output}: the disk is full; free some space and run it again, "
                        "what is done stays"
                    )
                if now.waiting + now.in_work or waits:
                    deaths += process.exitcode != 0
                    if deaths > _MOST_DEATHS:
                        raise VideoWriteError(
                            f"{folder.output}: workers end again and again (exit code "
                            f"{process.exitcode}); see what they say with -v"
                        )
                    process.join()
                    running[place] = (start(device), device)
            if not waits and not now.waiting + now.in_work:
                return watcher
            _wait([process for process, _ in running])


def _wait(processes: Sequence[BaseProcess]) -> None:
    """Until the next look, or until a process ends."""
    multiprocessing.connection.wait([one.sentinel for one in processes], _LOOK_EVERY_S)


@contextmanager
def _ended_with_us() -> Iterator[list[tuple[BaseProcess, str]]]:
    """Processes that are asked to end when the block is left, and ended if they do not."""
    running: list[tuple[BaseProcess, str]] = []
    try:
        yield running
    finally:
        for process, _ in running:
            if process.is_alive():
                with contextlib.suppress(OSError):
                    process.terminate()
        until = time.monotonic() + _END_WITHIN_S
        for process, _ in running:
            process.join(max(0.1, until - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()


def _work(output: str, device: str, threads: int, waits: bool, verbose: int) -> None:
    """What a worker process does."""
    import logging

    from vidrestore.batch.worker import FullDiskError, Stopped, Worker
    from vidrestore.runtime.memory import keep_freed_memory
    from vidrestore.runtime.output_file import abandon_outputs

    asked = []

    def end(number: int, frame: FrameType | None) -> None:
        asked.append(number)

    for name in ("SIGINT", "SIGHUP", "SIGQUIT"):  # of a terminal: the parent tells
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, end)
    logging.basicConfig(level=logging.DEBUG if verbose > 1 else logging.WARNING)
    keep_freed_memory()
    parent = multiprocessing.parent_process()

    def should_stop() -> bool:
        return bool(asked) or (parent is not None and not parent.is_alive())

    folder = BatchFolder(Path(output))
    try:
        Worker(folder, device, threads=threads, should_stop=should_stop, waits=waits).run()
    except Stopped:
        sys.exit(_STOPPED)
    except FullDiskError:
        sys.exit(_FULL)
    except (OSError, VidRestoreError) as error:  # of the batch's own folder: its disk is gone
        logging.getLogger(__name__).error("a worker ends: %s", error)
        sys.exit(_LOST)
    finally:
        abandon_outputs()
