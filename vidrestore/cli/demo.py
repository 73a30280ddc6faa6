"""`vidrestore demo OUTPUT`: makes a small clip, restores it and says where to look."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from vidrestore.cli.inputs import check_folder
from vidrestore.cli.options import start_logging, verbose_option
from vidrestore.cli.progress import show_progress
from vidrestore.cli.terminal import echo
from vidrestore.models.names import check_name

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
@verbose_option
def demo(output: Path, seconds: float, model: str, keep_input: Path | None, verbose: int) -> None:
    """Make a short degraded clip with sound and restore it into OUTPUT.

    Needs no video, no download and no GPU. A before/after picture is written beside OUTPUT.
    """
    start_logging(verbose)
    check_folder(output)
    check_name(model, "restorer")
    from vidrestore.api import restore_video
    from vidrestore.demo.clip import make_clip

    picture = output.with_name(f"{output.stem}_before_after.png")
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(keep_input or Path(folder) / "degraded.mp4")
        echo(f"making {seconds:g} s of an old recording …", err=True)
        make_clip(clip, seconds=seconds)
        echo("restoring …", err=True)
        with show_progress("auto") as progress:
            report = restore_video(
                clip, output, model=model, overwrite=True, preview=picture, progress=progress
            )
    echo(
        f"restored {report.faces} faces in {report.frames} frames with {report.model}, "
        f"{report.frames_per_s:.1f} frames/s"
    )
    echo(f"video:        {output}")
    echo(f"before/after: {picture}")
