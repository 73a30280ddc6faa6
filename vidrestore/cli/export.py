"""`vidrestore export CHECKPOINT FILE`: turns a training checkpoint into weights that are used."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from vidrestore.cli.options import start_logging, verbose_option
from vidrestore.cli.outputs import overwrite_option
from vidrestore.cli.terminal import echo
from vidrestore.errors import UsageError

__all__ = ["export"]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("checkpoint", metavar="CHECKPOINT", type=click.Path(path_type=Path))
@click.argument("destination", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--half", is_flag=True, help="Store a safetensors file's numbers in float16.")
@click.option(
    "--blend",
    metavar="WEIGHTS SHARE",
    nargs=2,
    type=(click.Path(exists=True, dir_okay=False, path_type=Path), float),
    help="Take this share of other weights, such as those that the training began with.",
)
@overwrite_option
@verbose_option
def export(
    checkpoint: Path,
    destination: Path,
    half: bool,
    blend: tuple[Path, float] | None,
    overwrite: bool,
    verbose: int,
) -> None:
    """Turn CHECKPOINT, of `vidrestore train`, into FILE: .safetensors or .onnx.

    \b
    vidrestore export runs/compact/best.pt compact.safetensors --half
    vidrestore export runs/sharp/last.pt less_sharp.safetensors --blend compact.safetensors 0.3
    vidrestore tape.mp4 restored.mp4 --model compact.safetensors

    The running average of the weights is taken. An ONNX file takes and gives RGB in [-1, 1], (N, 3,
    S, S), and is compared with torch before it is kept.
    """  # noqa: D301 - click wants the very character
    start_logging(verbose)
    if half and destination.suffix == ".onnx":
        raise UsageError("--half: is for .safetensors; an ONNX file is written in float32")
    from vidrestore.training.inputs import require_exportable

    other = blend[0] if blend else None
    require_exportable(checkpoint, destination, other, overwrite=overwrite)
    from vidrestore.training.export import export as write

    precision: Literal["float16", "float32"] = "float16" if half else "float32"
    metadata = write(checkpoint, destination, precision=precision, blend=blend, overwrite=overwrite)
    echo(
        f"{destination}: {metadata['arch']}, {metadata['images_seen']} images seen, "
        f"{destination.stat().st_size / 1e6:.1f} MB"
    )
