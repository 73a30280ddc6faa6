"""Progress on stderr: a bar on a terminal, JSON lines for machines, or nothing."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from vidrestore.api import Progress

__all__ = ["progress_option", "show_progress"]

progress_option = click.option(
    "--progress",
    type=click.Choice(["auto", "bar", "json", "none"]),
    default="auto",
    show_default=True,
    help="how progress is shown on stderr",
)


@contextmanager
def show_progress(kind: str) -> Iterator[Callable[[Progress], None] | None]:
    """A progress callback; "auto" shows a bar if stderr is a terminal and is quiet otherwise."""
    if kind == "json":
        yield _json_lines()
    elif kind == "bar" or (kind == "auto" and sys.stderr.isatty()):
        with _bar() as callback:
            yield callback
    else:
        yield None


def _json_lines() -> Callable[[Progress], None]:
    said = 0.0

    def report(progress: Progress) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said < 0.5 and progress.frames != progress.total:
            return
        said = now
        record = {
            "frames": progress.frames,
            "total": progress.total,
            "frames_per_s": round(progress.frames_per_s, 3),
            "seconds_left": None
            if progress.seconds_left is None
            else round(progress.seconds_left, 1),
        }
        print(json.dumps(record), file=sys.stderr, flush=True)

    return report


@contextmanager
def _bar() -> Iterator[Callable[[Progress], None]]:
    from tqdm import tqdm

    with tqdm(unit=" frames", dynamic_ncols=True, smoothing=0.1) as bar:

        def report(progress: Progress) -> None:
            bar.total = progress.total
            bar.update(progress.frames - bar.n)

        yield report
