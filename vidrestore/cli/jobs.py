"""`vidrestore jobs`: runs that were stopped, and what they stored."""

from __future__ import annotations

from pathlib import Path

import click

from vidrestore.cli.terminal import echo
from vidrestore.errors import VideoWriteError
from vidrestore.runtime.words import counted, sized

__all__ = ["jobs"]


@click.command()
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path), default=".")
@click.option("--clean", is_flag=True, help="remove what they stored; they cannot go on then")
def jobs(folder: Path, clean: bool) -> None:
    """List runs that were stopped and can go on, whose outputs belong in DIR.

    DIR may also be a folder given as --work. The command that began a run goes on with it. Runs
    that are at work are listed as running, and --clean leaves them.
    """
    from vidrestore.jobs.listing import list_jobs, remove_job

    if not folder.is_dir():
        raise VideoWriteError(f"{folder} is no folder")
    found = list_jobs(folder)
    if not found:
        echo(f"no stopped runs in {folder}")
    for job in found:
        running = ", running" if job.is_running else ""
        echo(f"{job.source} → {job.output}: {job.done}, {sized(job.size)}{running}")
    if found and clean:
        stopped = [job for job in found if not job.is_running]
        for job in stopped:
            remove_job(job)
        left = len(found) - len(stopped)
        echo(f"{counted(len(stopped), 'run')} removed" + (f", {left} running left" if left else ""))
