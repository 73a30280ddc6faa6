"""`vidrestore demo OUTPUT`: makes a small clip, restores it and says where to look."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from vidrestore.cli.inputs import check_encoding
from vidrestore.cli.options import start_logging, verbose_option
from vidrestore.cli.outputs import overwrite_option
from vidrestore.cli.progress import show_progress
from vidrestore.cli.terminal import echo
from vidrestore.models.names import check_name
from vidrestore.runtime.output_file import check_outputs, write_whole
from vidrestore.runtime.words import counted

__all__ = ["demo"]


@click.command()
@click.argument("output", metavar="OUTPUT", type=click.Path(path_type=Path))
@click.option(
    "--seconds",
    type=click.FloatRange(0.2, 60),
    default=4.0,
    show_default=True,
    help="length of the clip",
)
@click.option("--model", default="embedded", show_default=True, help="network that restores")
@click.option(
    "--keep-input",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="also keep the degraded clip",
)
@overwrite_option
@verbose_option
def demo(
    output: Path,
    seconds: float,
    model: str,
    keep_input: Path | None,
    overwrite: bool,
    verbose: int,
) -> None:
    """Make a short degraded clip with sound and restore it into OUTPUT.

    Needs no video, no download and no GPU. A before/after picture is written beside OUTPUT.
    """
    start_logging(verbose)
    check_name(model, "restorer")
    picture = output.with_name(f"{output.stem}_before_after.png")
    videos = [output, *([keep_input] if keep_input else [])]
    check_outputs([*videos, picture], overwrite=overwrite)
    for video in videos:
        check_encoding(video)
    from vidrestore.api import restore_video
    from vidrestore.demo.clip import make_clip

    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / f"degraded{keep_input.suffix if keep_input else '.mp4'}"
        echo(f"making {seconds:g} s of an old recording …", err=True)
        make_clip(clip, seconds=seconds)
        if keep_input is not None:
            write_whole(keep_input, clip.read_bytes(), overwrite=overwrite)
        echo("restoring …", err=True)
        with show_progress("auto") as progress:
            report = restore_video(
                clip, output, model=model, overwrite=overwrite, preview=picture, progress=progress
            )
    echo(
        f"restored {counted(report.faces, 'face')} in {counted(report.frames, 'frame')} "
        f"with {report.model}, "
        f"{report.frames_per_s:.1f} frames/s"
    )
    echo(f"video:        {output}")
    echo(f"before/after: {picture}")
