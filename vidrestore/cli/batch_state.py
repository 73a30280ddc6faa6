"""`vidrestore batch status`, `retry` and `verify`: commands on a batch that there is."""

from __future__ import annotations

import dataclasses
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidrestore.cli.progress import show_work
from vidrestore.cli.terminal import echo
from vidrestore.errors import BatchFailedError, UsageError, nearest
from vidrestore.runtime.words import counted

if TYPE_CHECKING:
    from vidrestore.batch.state import BatchFolder, Video

__all__ = ["retry", "status", "verify"]

_output = click.argument("output", metavar="OUT_DIR", type=click.Path(path_type=Path))


@click.command()
@_output
@click.option("--json", "as_json", is_flag=True, help="one JSON object on one line")
@click.option("--videos", "with_videos", is_flag=True, help="a line for each video, too")
def status(output: Path, as_json: bool, with_videos: bool) -> None:
    """Tell how far the batch in OUT_DIR is, and why videos failed.

    The exit code is 3 where some failed.
    """
    from vidrestore.batch.index import write_index
    from vidrestore.batch.overview import Watcher

    folder = _opened(output)
    watcher = Watcher(folder)
    now = watcher.look()
    try:
        write_index(folder, watcher.videos)
    except OSError as error:
        echo(f"{folder.root / 'index.html'} was not written ({error.strerror})", err=True)
    if as_json:
        videos = [dataclasses.asdict(one) for one in watcher.videos] if with_videos else None
        echo(json.dumps(now.record() | ({"items": videos} if with_videos else {})))
    else:
        echo(
            f"{counted(now.videos, 'video')}: {now.done} done, {now.in_work} in work, "
            f"{now.waiting} waiting, {now.failed} failed"
        )
        listed = sorted(watcher.videos, key=lambda video: video.output) if with_videos else ()
        for video in listed:
            echo(f"{video.output}: {_told(folder, video)}")
        for video in watcher.failed:
            echo(f"{video.output}: {'; '.join(dict.fromkeys(video.problems))}")
    if now.failed:
        raise BatchFailedError(
            f"{now.failed} of {counted(now.videos, 'video')} failed; try them again: "
            f"vidrestore batch retry {shlex.quote(str(output))}"
        )


@click.command()
@_output
@click.argument("videos", metavar="[VIDEO…]", nargs=-1)
def retry(output: Path, videos: tuple[str, ...]) -> None:
    """Let failed videos of OUT_DIR be tried again: all, or those named by their outputs.

    A video that is done is restored anew if it is named and its output was removed. `vidrestore
    batch run OUT_DIR` then does them.
    """
    folder = _opened(output)
    by_name = {video.output: video for video in folder.videos()}
    for name in videos:
        if name not in by_name:
            raise UsageError(f"the batch has no output {name!r}{nearest(name, by_name)}")
        if not _can_be_retried(folder, by_name[name]):
            raise UsageError(
                f"{name} has not failed; it is {_told(folder, by_name[name])}"
                + ("; remove the output to restore it anew" * (by_name[name].status == "done"))
            )
    chosen = [by_name[name] for name in videos] or list(by_name.values())
    count = 0
    for video in chosen:
        is_meant = bool(videos) or video.status == "failed"
        lease = folder.leases.claim(video.id) if is_meant else None
        if lease is not None:
            with lease:
                folder.retry(video, lease)
                count += 1
    echo(
        f"{counted(count, 'video')} will be tried again; next: "
        f"vidrestore batch run {shlex.quote(str(output))}"
    )


@click.command()
@_output
@click.option("--frames", is_flag=True, help="decode the outputs, too, and check every frame")
def verify(output: Path, frames: bool) -> None:
    """Check the outputs in OUT_DIR against the checksums of their records.

    The exit code is 3 where some have changed or are missing.
    """
    from vidrestore.batch.verify import verify_batch

    folder = _opened(output)
    with show_work() as show:
        right, wrong = verify_batch(
            folder, frames=frames, step=lambda done, total: show("verifying", done, total)
        )
    for name, problem in wrong.items():
        echo(f"{name} {problem}")
    echo(f"{counted(right, 'output')} as written, {len(wrong)} not")
    if wrong:
        raise BatchFailedError(
            f"{counted(len(wrong), 'output')} not as written; remove what changed, and restore it "
            f"anew: vidrestore batch retry {shlex.quote(str(output))} VIDEO"
        )


def _opened(output: Path) -> BatchFolder:
    from vidrestore.batch.state import BatchFolder

    folder = BatchFolder(output)
    folder.settings()
    return folder


def _can_be_retried(folder: BatchFolder, video: Video) -> bool:
    is_gone = video.status == "done" and not (folder.output / video.output).exists()
    return video.status == "failed" or is_gone


def _told(folder: BatchFolder, video: Video) -> str:
    from vidrestore.batch.overview import describe_work

    holder = folder.leases.holder(video.id) if video.status == "waiting" else None
    if holder is None:
        return video.status
    who = f"process {holder.process} on {holder.host.name}"
    for _, told in folder.told_by_workers():
        if (told.get("video"), told.get("host"), told.get("process")) == (
            video.id,
            holder.host.name,
            holder.process,
        ):
            total = f" of {video.frames}" if video.frames else ""
            work = f"{describe_work(told)}, {told['frames']}{total} frames"
            return f"in work by {who} since {holder.since}: {work}"
    return f"in work by {who} since {holder.since}"
