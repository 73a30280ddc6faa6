"""`vidrestore inspect INPUT --out tracks.json`: who is where, and what would be restored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidrestore.cli.inputs import check_config_inputs, check_video
from vidrestore.cli.models import pull_if_named
from vidrestore.cli.options import (
    HelpInSections,
    given_options,
    presets_option,
    some_config_options,
    start_logging,
    verbose_option,
)
from vidrestore.cli.outputs import overwrite_option
from vidrestore.cli.progress import progress_option, show_opening, show_progress
from vidrestore.cli.terminal import echo
from vidrestore.config import dotted_fields, resolve_config
from vidrestore.runtime.output_file import after_writing, check_outputs, write_whole
from vidrestore.runtime.words import counted
from vidrestore.video.sequence.files import is_sequence

if TYPE_CHECKING:
    from vidrestore.structs import Frame
    from vidrestore.tracks import Tracks

__all__ = ["inspect"]

_STAGES = ("decode", "detect", "track", "align", "gate", "run")
_OPTIONS = [
    name for name in dotted_fields() if name.partition(".")[0] in _STAGES and name != "track.file"
]


@click.command(cls=HelpInSections, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.option(
    "--out",
    metavar="JSON",
    required=True,
    type=click.Path(path_type=Path),
    help="the tracks: for `vidrestore INPUT OUTPUT --tracks JSON`, as they are or edited",
)
@click.option(
    "--video", metavar="MP4", type=click.Path(path_type=Path), help="the video with faces drawn in"
)
@click.option(
    "--plot",
    metavar="PNG",
    type=click.Path(path_type=Path),
    help="scale, angle and place over time",
)
@presets_option
@some_config_options(*_OPTIONS)
@overwrite_option
@progress_option
@verbose_option
def inspect(
    source: Path,
    out: Path,
    video: Path | None,
    plot: Path | None,
    presets: tuple[Path, ...],
    overwrite: bool,
    progress: str,
    verbose: int,
    **values: Any,
) -> None:
    """Find and follow the faces of INPUT, and restore nothing.

    In the tracks, the "strength" of a person may be set from 0 (left alone) to 1, and persons may
    be deleted. The rest is for reading.
    """
    start_logging(verbose)
    config = resolve_config(presets, given_options(values))
    rule: dict[str, Any] = {"inputs": [source, *presets], "overwrite": overwrite}
    check_outputs([path for path in (out, video, plot) if path is not None], **rule)
    if not is_sequence(source):
        check_video(source)
    check_config_inputs(config)
    from vidrestore.session import Session
    from vidrestore.visual.overlay import OverlayWriter
    from vidrestore.visual.track_plot import TrackPlot

    pull_if_named(config.detect.detector, "detector")
    with ExitStack() as stack:
        viewers: list[Any] = []
        if video is not None:
            viewers.append(stack.enter_context(OverlayWriter(video, **rule)))
        drawing = TrackPlot() if plot is not None else None
        if drawing is not None:
            viewers.append(drawing)

        def show(frame: Frame) -> None:
            for viewer in viewers:
                viewer.add(frame)

        session = stack.enter_context(Session(config))
        watch = stack.enter_context(show_opening(progress))
        callback = stack.enter_context(show_progress(progress))
        tracks = session.inspect(source, each=show, progress=callback, watch=watch)
    written = [] if video is None else [video]
    with after_writing(*written):
        write_whole(out, tracks.to_json().encode(), **rule)
    if drawing is not None and plot is not None:
        with after_writing(*written, out):
            write_whole(plot, drawing.png(), **rule)
    for line in _summary(tracks):
        echo(line)


def _summary(tracks: Tracks) -> Iterator[str]:
    yield (
        f"{counted(tracks.frames, 'frame')}, {len(tracks.detected_frames)} with detection, "
        f"{counted(len(tracks.cuts), 'cut')}, {counted(len(tracks.tracks), 'track')}"
    )
    for track in tracks.tracks:
        seconds = [tracks.times[index] for index in (track.frames[0], track.frames[-1])]
        reasons = sorted({gate for gates in track.gated_by for gate in gates})
        yield (
            f"{track.id:4}  {seconds[0]:8.2f} to {seconds[1]:.2f} s, "
            f"{counted(len(track.frames), 'frame')}, "
            f"strength {sum(track.seen_strengths) / len(track.seen_strengths):.2f}"
            + (f", held back by {', '.join(reasons)}" if reasons else "")
        )
