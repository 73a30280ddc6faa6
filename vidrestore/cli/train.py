"""`vidrestore train CONFIG`: trains a network as a configuration says."""

from __future__ import annotations

import math
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidrestore.cli.options import start_logging, verbose_option
from vidrestore.cli.terminal import echo
from vidrestore.errors import UsageError, VidRestoreError
from vidrestore.runtime.devices import check_device
from vidrestore.settings import TRAINING_PRESETS, settings_names

if TYPE_CHECKING:
    from vidrestore.training.training_run import TrainingProgress

__all__ = ["train"]

_PREPARING_EVERY_S = 10.0


def _changes(ctx: click.Context, option: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for text in given:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise UsageError(f"--set {text}: write it as dotted.key=value")
        pairs[key.strip()] = value.strip()
    return pairs


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"Configurations that ship: {', '.join(settings_names(TRAINING_PRESETS))}.",
)
@click.argument("config", metavar="CONFIG")
@click.option(
    "--data",
    metavar="FOLDER",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of face pictures, with labels.csv or without.",
)
@click.option(
    "--out",
    metavar="FOLDER",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder for checkpoints, the log and TensorBoard's files.",
)
@click.option("--resume", is_flag=True, help="Continue from the last checkpoint of the folder.")
@click.option(
    "--set",
    "changes",
    metavar="KEY=VALUE",
    multiple=True,
    callback=_changes,
    help="Replace a value of the configuration, such as losses.r1=5 or stages.0.batch_size=4.",
)
@click.option("--steps", "stop_at", metavar="N", type=click.IntRange(0), help="Stop after step N.")
@click.option(
    "--workers",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Loader processes for each training process. The result does not depend on it.",
)
@click.option(
    "--threads",
    type=click.IntRange(0),
    default=0,
    help="CPU threads of each process; 0 uses all.",
)
@click.option(
    "--device", default="auto", show_default=True, help="Device: auto, cpu, cuda, cuda:1, …."
)
@click.option(
    "--processes",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Processes that share every batch: one for each GPU.",
)
@verbose_option
def train(
    config: str,
    data: Path,
    out: Path,
    resume: bool,
    changes: dict[str, str],
    stop_at: int | None,
    workers: int,
    threads: int,
    device: str,
    processes: int,
    verbose: int,
) -> None:
    """Train a network as CONFIG says: the name of one that ships, or a YAML file by its path.

    \b
    vidrestore train compact_generator --data faces --out runs/compact
    tensorboard --logdir runs
    vidrestore export runs/compact/best.pt compact.safetensors

    A run that was broken off goes on with --resume, and gives what it would have given.
    """  # noqa: D301 - click wants the very character
    start_logging(verbose)
    from vidrestore.training.config_files import load_training_config
    from vidrestore.training.inputs import require_inputs
    from vidrestore.training.run_folder import require_free

    loaded = load_training_config(config, changes)
    check_device(device)
    require_inputs(loaded, data)
    require_free(out, loaded, resume=resume)
    run = _Run(config, changes, data, out, resume, stop_at, workers, threads, device, verbose)
    last = run() if processes == 1 else _share(run, processes)
    use = "`vidrestore export` turns it into weights"
    if getattr(loaded, "stage", None) == "prior":
        use = f"the stage embedded begins with it: --set prior={last}"
    echo(f"trained: {last}; {use}", err=True)


@dataclass(frozen=True)
class _Run:
    """One process's part of a training; it can be sent to another process."""

    config: str
    changes: Mapping[str, str]
    data: Path
    out: Path
    resume: bool
    stop_at: int | None
    workers: int
    threads: int
    device: str
    verbose: int

    def __call__(self) -> Path:
        """Train; gives the last checkpoint."""
        import cv2
        import torch

        from vidrestore.training.config_files import load_training_config
        from vidrestore.training.train import train as run

        start_logging(self.verbose)
        cv2.setNumThreads(1)  # Its threads do not survive the fork of the loader processes.
        if self.threads:
            torch.set_num_threads(self.threads)
        with _bar() as progress:
            return run(
                load_training_config(self.config, self.changes),
                self.data,
                self.out,
                resume=self.resume,
                workers=self.workers,
                device=self.device,
                stop_at_step=self.stop_at,
                progress=progress,
                preparing=_Preparing(),
            )


def _share(run: _Run, processes: int) -> Path:
    """Run in several processes; the first one that fails says why, and ends all."""
    from torch.multiprocessing.spawn import ProcessExitedException, start_processes

    _check_processes(run.device, processes)
    port = _free_port()
    try:
        start_processes(  # type: ignore[no-untyped-call]
            _shared_part, (run, processes, port), nprocs=processes, start_method="spawn"
        )
    except ProcessExitedException as error:
        raise click.exceptions.Exit(max(1, error.exit_code or 1)) from error
    return run.out / "last.pt"


def _check_processes(device: str, processes: int) -> None:
    from vidrestore.models.load import resolve_device

    kind = resolve_device(device).type
    if kind == "cuda":
        import torch

        if processes > torch.cuda.device_count():
            raise UsageError(
                f"--processes {processes}: this machine has {torch.cuda.device_count()} GPUs"
            )


def _shared_part(rank: int, run: _Run, processes: int, port: int) -> None:
    from vidrestore.training.distributed import leave_processes, process_environment

    os.environ.update(process_environment(rank, processes, port, run.threads or 1))
    try:
        run()
    except VidRestoreError as error:
        echo(f"vidrestore: process {rank}: {error}", err=True)
        sys.exit(2 if isinstance(error, UsageError) else 1)
    finally:
        leave_processes()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def _bar() -> Iterator[Callable[[TrainingProgress], None]]:
    """A progress line on stderr if that is a terminal, else a line for each report."""
    if not sys.stderr.isatty():
        yield _tell
        return
    from tqdm import tqdm

    with tqdm(unit=" images", dynamic_ncols=True, smoothing=0.05) as bar:

        def report(progress: TrainingProgress) -> None:
            if bar.total is None:
                bar.total = progress.total
                bar.initial = bar.n = progress.images
            bar.update(progress.images - bar.n)
            if progress.terms:
                bar.set_postfix({name: f"{value:.3g}" for name, value in progress.terms.items()})

        yield report


class _Preparing:
    """A line on stderr now and then while faces are made ready."""

    def __init__(self) -> None:
        self._told_at = -math.inf

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done == total or now - self._told_at >= _PREPARING_EVERY_S:
            self._told_at = now
            click.echo(f"cutting out faces and turning them aside: {done} of {total}", err=True)


def _tell(progress: TrainingProgress) -> None:
    if not progress.terms:
        return
    terms = ", ".join(f"{name} {value:.3g}" for name, value in progress.terms.items())
    left = "" if progress.seconds_left is None else f", {progress.seconds_left / 60:.0f} min left"
    echo(
        f"{progress.images} of {progress.total} images, {progress.images_per_s:.1f} images/s"
        f"{left}: {terms}",
        err=True,
    )
