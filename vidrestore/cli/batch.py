"""`vidrestore batch IN… OUT_DIR`: many videos, planned, restored, and checked."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

import vidrestore
from vidrestore.cli.batch_state import retry, status, verify
from vidrestore.cli.inputs import check_config_inputs
from vidrestore.cli.models import pull_if_named
from vidrestore.cli.options import (
    ALIASES,
    HelpInSections,
    given_options,
    presets_option,
    some_config_options,
    start_logging,
    verbose_option,
)
from vidrestore.cli.progress import progress_option, show_batch, show_work
from vidrestore.cli.terminal import echo
from vidrestore.config import RestoreConfig, dotted_fields, resolve_config
from vidrestore.errors import BatchFailedError, UsageError
from vidrestore.runtime.devices import check_device
from vidrestore.runtime.words import counted, sized

if TYPE_CHECKING:
    from vidrestore.batch.overview import Watcher
    from vidrestore.batch.plan import Planned
    from vidrestore.batch.state import BatchFolder, Settings

__all__ = ["batch"]

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = [name for name in dotted_fields() if name not in ("run.device", "track.file")]
"""Of `restore`: devices are the workers', and tracks belong to one video."""

SHORT_NAMES = {flag[2:].replace("-", "_"): dotted for dotted, flag in ALIASES.items()}
"""Of options in manifests."""

_MOST_TOLD = 20


class _Commands(click.Group):
    """`vidrestore batch IN… OUT_DIR` is `vidrestore batch all IN… OUT_DIR`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h"):
            args = ["all", *args]
        return super().parse_args(ctx, args or ["--help"])


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    options_metavar="",
    subcommand_metavar="IN… OUT_DIR [OPTIONS]  |  COMMAND …",
    epilog="Options of restoring: vidrestore batch all --help",
)
def batch() -> None:
    """Restore many videos into OUT_DIR: plan, run, status, retry, verify.

    IN are videos, folders (whose tree is mirrored), folders of scanned pictures, patterns, or
    manifests (.csv, .jsonl). The same command goes on where it was ended. Several workers share
    even one film. Exit codes: 0 all are done, 3 some failed.
    """


def _arguments(function: F) -> F:
    for add in (
        click.argument("output", metavar="OUT_DIR", type=click.Path(path_type=Path)),
        click.argument("inputs", metavar="IN…", nargs=-1, required=True),
    ):
        function = add(function)
    return function


def _plan_options(function: F) -> F:
    for add in (
        some_config_options(*_OPTIONS),
        presets_option,
        click.option(
            "--max-attempts",
            type=click.IntRange(1, 100),
            default=2,
            show_default=True,
            help="a video fails after so many attempts; the reasons are kept",
        ),
        click.option(
            "--ending",
            metavar=".EXT",
            help="of all outputs; by default that of each input where its container can be "
            "written, the profile's, or .mkv",
        ),
    ):
        function = add(function)
    return function


def _run_options(function: F) -> F:
    for add in (
        click.option(
            "--slurm",
            metavar="KEY=VALUE,…",
            default="",
            help="of jobs, by submitit's names without slurm_: partition=gpu,gres=gpu:1,time=600",
        ),
        click.option(
            "--executor",
            type=click.Choice(["local", "slurm", "ray"]),
            default="local",
            show_default=True,
            help="where workers run: processes here, Slurm jobs, or tasks of a Ray cluster",
        ),
        click.option("--watch", is_flag=True, help="go on and take what is added to IN"),
        click.option(
            "--devices", metavar="A,B,…", default="", help="of the workers: cuda:0,cuda:1 or cpu"
        ),
        click.option(
            "--workers",
            metavar="auto|N",
            default="auto",
            show_default=True,
            help="their number; auto: one a device, on a CPU one for every four cores. Who has no "
            "video takes segments of others'. With ray: videos in work at once",
        ),
    ):
        function = add(function)
    return function


@batch.command("all", cls=HelpInSections)
@_arguments
@_run_options
@_plan_options
@progress_option
@verbose_option
def plan_and_run(inputs: tuple[str, ...], output: Path, **values: Any) -> None:
    """Plan and run: restore the videos IN into OUT_DIR."""
    start_logging(values["verbose"])
    devices, workers = _checked_workers(values["devices"], values["workers"])
    settings = _settings(inputs, values)
    folder, planned = _plan(output, settings)
    _tell_refused(planned)
    _run(folder, devices, workers, values)


@batch.command("plan", cls=HelpInSections)
@_arguments
@click.option(
    "--preview",
    is_flag=True,
    help="also write a contact sheet of each video (people, a restored sample), and its tracks, "
    "which may be edited and are taken by the run",
)
@_plan_options
@verbose_option
def plan(inputs: tuple[str, ...], output: Path, preview: bool, **values: Any) -> None:
    """Look at the videos IN, and store what would be done; nothing is restored."""
    start_logging(values["verbose"])
    folder, planned = _plan(output, _settings(inputs, values))
    for video in planned.new[:_MOST_TOLD]:
        told = f" ({'; '.join(video.warnings)})" if video.warnings else ""
        echo(f"{video.source} → {video.output}: {video.planned or 'cannot be restored'}{told}")
    if len(planned.new) > _MOST_TOLD:
        echo(f"… and {len(planned.new) - _MOST_TOLD} more; all are in {folder.root / 'videos'}")
    echo(
        f"{counted(len(planned.new), 'new video')}, {planned.known} known, "
        f"{len(planned.refused)} that cannot be restored; about "
        f"{sized(planned.bytes_needed)} needed; next: "
        f"vidrestore batch run {shlex.quote(str(output))}"
    )
    if preview:
        _preview(folder)


@batch.command("run")
@click.argument("output", metavar="OUT_DIR", type=click.Path(path_type=Path))
@_run_options
@progress_option
@verbose_option
def run(output: Path, **values: Any) -> None:
    """Restore what is planned in OUT_DIR and not done; on any number of machines at once."""
    from vidrestore.batch.state import BatchFolder

    start_logging(values["verbose"])
    devices, workers = _checked_workers(values["devices"], values["workers"])
    folder = BatchFolder(output)
    folder.settings()
    _run(folder, devices, workers, values)


batch.add_command(status)
batch.add_command(retry)
batch.add_command(verify)


def _checked_workers(devices: str, workers: str) -> tuple[list[str], int | None]:
    """Devices and number of workers.

    Raises:
        UsageError: for what is no device or number.
    """
    named = [part.strip() for part in devices.split(",") if part.strip()]
    for device in named:
        check_device(device)
    if workers != "auto" and not (workers.isdecimal() and 1 <= int(workers) <= 1000):
        raise UsageError(f"--workers {workers}: expected auto or a number from 1 to 1000")
    return named, None if workers == "auto" else int(workers)


def _settings(inputs: tuple[str, ...], values: dict[str, Any]) -> Settings:
    from vidrestore.batch.state import Settings

    config = resolve_config(values["presets"], given_options(values))
    check_config_inputs(config)
    return Settings(
        inputs=tuple(os.path.abspath(one) for one in inputs),
        config=config.record(),
        ending=values["ending"],
        max_attempts=values["max_attempts"],
        program=vidrestore.__version__,
    )


def _plan(output: Path, settings: Settings) -> tuple[BatchFolder, Planned]:
    from vidrestore.batch.plan import plan_batch
    from vidrestore.batch.state import BatchFolder

    folder = BatchFolder(output)
    with show_work() as show:
        return folder, plan_batch(
            folder, settings, SHORT_NAMES, lambda done, total: show("planning", done, total)
        )


def _tell_refused(planned: Planned) -> None:
    for video in planned.refused[:_MOST_TOLD]:
        echo(f"cannot be restored as it is: {'; '.join(video.warnings)}", err=True)


def _preview(folder: BatchFolder) -> None:
    from vidrestore.batch.preview import preview_video
    from vidrestore.batch.sessions import Sessions
    from vidrestore.errors import VidRestoreError

    settings, sessions = folder.settings(), Sessions()
    waiting = [one for one in folder.videos() if one.status == "waiting" and one.planned]
    with show_work() as show:
        for number, video in enumerate(waiting):
            show("previews", number, len(waiting))
            try:
                preview_video(folder, settings, video, sessions)
            except VidRestoreError as error:
                echo(f"no preview of {video.output}: {error}", err=True)
        show("previews", len(waiting), len(waiting))
    sessions.close()
    echo(f"contact sheets are in {folder.root / 'previews'}, tracks in {folder.root / 'tracks'}")


def _run(
    folder: BatchFolder, devices: list[str], workers: int | None, values: dict[str, Any]
) -> None:
    """Run, write the page, and tell what came of it.

    Raises:
        BatchFailedError: some videos failed.
    """
    from vidrestore.batch.index import write_index

    config = RestoreConfig.model_validate(folder.settings().config)
    check_config_inputs(config)
    pull_if_named(config.restore.model, "restorer")
    pull_if_named(config.detect.detector, "detector")
    try:
        with show_batch(values["progress"]) as show:
            watcher = _execute(folder, devices, workers, values, show)
    finally:
        write_index(folder, folder.videos())
    now = watcher.look()
    echo(
        f"{now.done} of {counted(now.videos, 'video')} done; {folder.root / 'index.html'}", err=True
    )
    if now.failed:
        for video in watcher.failed[:_MOST_TOLD]:
            echo(f"{video.output}: {'; '.join(dict.fromkeys(video.problems))}", err=True)
        raise BatchFailedError(
            f"{now.failed} of {counted(now.videos, 'video')} failed; try them again: "
            f"vidrestore batch retry {shlex.quote(str(folder.output))}"
        )


def _execute(
    folder: BatchFolder,
    devices: list[str],
    workers: int | None,
    values: dict[str, Any],
    show: Callable[[Any], None],
) -> Watcher:
    executor, watch = values["executor"], values["watch"]
    if executor == "slurm":
        from vidrestore.batch.slurm import run_slurm, slurm_options

        options = slurm_options(values["slurm"])
        return run_slurm(folder, workers or 1, devices, options=options, each=show)
    if executor == "ray":
        from vidrestore.batch.ray_tasks import run_ray

        # Of a cluster that is begun here; Ray's own default is that of idle work.
        os.environ.setdefault("RAY_worker_niceness", "0")
        return run_ray(folder, workers, devices, each=show)
    from vidrestore.batch.local import assign_devices, run_local
    from vidrestore.batch.watch import Watch

    watching = Watch(folder, SHORT_NAMES) if watch else None

    def each(now: Any) -> None:
        show(now)
        if watching is not None:
            watching.look()

    assigned = assign_devices(devices, workers)
    return run_local(folder, assigned, verbose=values["verbose"], waits=watch, each=each)
