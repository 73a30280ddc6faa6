"""Progress on stderr: a bar on a terminal, JSON lines for machines, or nothing."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from vidrestore.batch.overview import Overview
    from vidrestore.run import Progress

__all__ = ["progress_option", "show_batch", "show_opening", "show_progress", "show_work"]

_QUICK_S = 1.0
"""What takes no longer needs no bar."""

_SAID_EVERY_S = 0.5
"""JSON lines are no closer."""

_MOST_NAMED = 2
"""Workers of a batch that do something else than restoring."""

_LINE_EVERY_S = 10.0
"""Without a terminal, work that goes on says so this often."""

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


@contextmanager
def show_opening(kind: str = "auto") -> Iterator[Callable[[float], None] | None]:
    """A callback for the share of a video that was read before work; a bar where it takes long."""
    if kind == "json":
        yield _json_lines_of_opening()
    elif kind == "bar" or (kind == "auto" and sys.stderr.isatty()):
        from tqdm import tqdm

        form = "{desc}: {percentage:3.0f}%|{bar}| [{elapsed}<{remaining}]"
        with tqdm(total=1.0, desc="opening", bar_format=form, delay=_QUICK_S, leave=False) as bar:

            def show(share: float) -> None:
                bar.update(share - bar.n)

            yield show
    else:
        yield None


def _json_lines_of_opening() -> Callable[[float], None]:
    said = time.monotonic()

    def report(share: float) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said >= _SAID_EVERY_S:
            said = now
            record = {"step": "opening", "share": round(share, 3)}
            print(json.dumps(record), file=sys.stderr, flush=True)

    return report


def _json_lines() -> Callable[[Progress], None]:
    said = 0.0

    def report(progress: Progress) -> None:
        nonlocal said
        now = time.monotonic()
        is_last = progress.frames == progress.total and progress.share is None
        if now - said < _SAID_EVERY_S and not is_last:
            return
        said = now
        if progress.share is not None:
            step = {"step": progress.step, "share": round(progress.share, 3)}
            print(json.dumps(step), file=sys.stderr, flush=True)
            return
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
            if not bar.n:  # what was done before says nothing of the speed
                bar.initial = bar.n = bar.last_print_n = progress.frames
            bar.total = progress.total
            told = "" if progress.share is None else f"{progress.step} {progress.share:.0%}"
            if told != bar.desc.removesuffix(": "):
                bar.set_description(told)
            if told:
                bar.unpause()  # its time is that of restoring
            bar.update(progress.frames - bar.n)

        yield report
        bar.set_description()


@contextmanager
def show_batch(kind: str) -> Iterator[Callable[[Overview], None]]:
    """A callback for a whole batch: a bar of frames, JSON lines with times, or lines."""
    if kind == "json":
        yield _batch_lines
    elif kind == "bar" or (kind == "auto" and sys.stderr.isatty()):
        from tqdm import tqdm

        with tqdm(unit=" frames", dynamic_ncols=True, smoothing=0.05) as bar:

            def report(now: Overview) -> None:
                failed = f", {now.failed} failed" if now.failed else ""
                others = [one for one in now.doing if one != "restoring"]
                doing = f", {', '.join(others[:_MOST_NAMED])}" if others else ""
                about = f"{now.done}/{now.videos} videos{failed}{doing}"
                bar.set_description(about, refresh=False)
                bar.total = now.frames_total
                bar.update(now.frames - bar.n)

            yield report
    elif kind == "auto":
        show = _work_lines()
        yield lambda now: show("videos", now.done + now.failed, now.videos)
    else:
        yield lambda now: None


def _batch_lines(now: Overview) -> None:
    told = {"time": datetime.now(UTC).isoformat(timespec="seconds")} | now.record()
    print(json.dumps(told), file=sys.stderr, flush=True)


@contextmanager
def show_work() -> Iterator[Callable[[str, float, int | None], None]]:
    """A callback for work of several kinds, told (what, done, total).

    A bar on a terminal; elsewhere a line when another kind begins, when one is done, and every ten
    seconds.
    """
    if not sys.stderr.isatty():
        yield _work_lines()
        return
    from tqdm import tqdm

    with tqdm(dynamic_ncols=True) as bar:

        def report(what: str, done: float, total: int | None) -> None:
            if bar.desc != f"{what}: ":
                bar.reset(total)
                bar.set_description(what)
            bar.update(done - bar.n)

        yield report


def _work_lines() -> Callable[[str, float, int | None], None]:
    told, said = "", 0.0

    def report(what: str, done: float, total: int | None) -> None:
        nonlocal told, said
        now = time.monotonic()
        if what == told and done != total and now - said < _LINE_EVERY_S:
            return
        told, said = what, now
        counted = str(done) if total is None else f"{done} of {total}"
        click.echo(f"{what}: {counted}" if done else what, err=True)

    return report
