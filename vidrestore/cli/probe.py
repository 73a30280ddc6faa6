"""`vidrestore probe INPUT`: what a file holds and what would become of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vidrestore.cli.inputs import check_video
from vidrestore.cli.options import (
    given_options,
    some_config_options,
    start_logging,
    verbose_option,
)
from vidrestore.cli.progress import show_opening
from vidrestore.cli.terminal import echo
from vidrestore.config import resolve_config
from vidrestore.video.sequence.files import is_sequence

__all__ = ["probe"]


@click.command()
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@some_config_options("decode.fps", "decode.gaps")
@verbose_option
def probe(source: Path, verbose: int, **values: Any) -> None:
    """Show what INPUT holds: picture, timing, colour, streams, chapters."""
    start_logging(verbose)
    if is_sequence(source):
        from vidrestore.video.read.describe import describe, describe_output
        from vidrestore.video.sequence.info import sequence_info

        decode = resolve_config(None, given_options(values)).decode
        info = sequence_info(source, decode)
        echo(*describe(info), describe_output(info))
        return
    check_video(source)
    from vidrestore.video.read.describe import describe, describe_output
    from vidrestore.video.read.probe import probe as look

    with show_opening() as watch:
        info = look(source, watch)
    echo(*describe(info), describe_output(info))
