"""`vidrestore probe INPUT`: what a file holds and what would become of it."""

from __future__ import annotations

from pathlib import Path

import click

from vidrestore.cli.inputs import check_video
from vidrestore.cli.options import start_logging, verbose_option
from vidrestore.cli.terminal import echo

__all__ = ["probe"]


@click.command()
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@verbose_option
def probe(source: Path, verbose: int) -> None:
    """Show what INPUT holds: picture, timing, colour, streams, chapters."""
    start_logging(verbose)
    check_video(source)
    from vidrestore.video.read.probe import describe
    from vidrestore.video.read.probe import probe as look

    echo(*describe(look(source)))
