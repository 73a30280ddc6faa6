"""`vidrestore jobs`: runs that were stopped, and what they stored."""

from __future__ import annotations

from pathlib import Path

import click

from vidrestore.cli.terminal import echo
from vidrestore.errors import VideoWriteError
from vidrestore.runtime.words import counted

__all__ = ["jobs"]


@click.command()
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path), default=".")
@click.option("--clean", is_flag=True, help="remove what they stored; they cannot go on then")
def jobs(folder: Path, clean: bool) -> None:
    """List runs that were stopped and can go on, whose outputs belong in DIR.

    DIR may also be a folder given as --work. The command that began a run goes on with it.
    """
    from vidrestore.jobs.listing import list_jobs, remove_job

    if not folder.is_dir():
        raise VideoWriteError(f"{folder} is no folder")
    found = list_jobs(folder)
    if not found:
        echo(f"no stopped runs in {folder}")
    for job in found:
        echo(f"{job.source} → {job.output}: {job.done}, {max(1, job.size >> 20)} MiB")
        if clean:
            remove_job(job)
    if found and clean:
        echo(f"{counted(len(found), 'run')} removed")
