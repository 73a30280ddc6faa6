"""`vidrestore bench INPUT`: speed, memory and the time of each stage."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from vidrestore.cli.inputs import check_config_inputs, check_encoding, check_video
from vidrestore.cli.options import (
    HelpInSections,
    config_options,
    given_options,
    start_logging,
    verbose_option,
)
from vidrestore.cli.outputs import write_json
from vidrestore.cli.terminal import echo
from vidrestore.config import resolve_config
from vidrestore.runtime.output_file import check_outputs

__all__ = ["bench"]


@click.command(cls=HelpInSections)
@click.argument("source", metavar="INPUT", required=False, type=click.Path(path_type=Path))
@click.option(
    "--frames",
    "frames",
    multiple=True,
    type=click.IntRange(1),
    default=(100,),
    show_default=True,
    help="restore so many frames; may be given several times to compare peak memory",
)
@click.option(
    "--against",
    metavar="COMMAND",
    help="also time another command; {input}, {output} and {frames} are filled in",
)
@click.option("--repeat", type=click.IntRange(1), default=1, show_default=True, help="runs of each")
@click.option(
    "--roofline",
    metavar="MODEL",
    help="count what a restorer asks of a device, and its least time on some; takes no INPUT",
)
@click.option(
    "--crops", type=click.IntRange(1), default=16, show_default=True, help="crops of --roofline"
)
@click.option("--out", metavar="JSON", type=click.Path(path_type=Path), help="write the figures")
@config_options
@verbose_option
def bench(
    source: Path | None,
    frames: tuple[int, ...],
    against: str | None,
    repeat: int,
    roofline: str | None,
    crops: int,
    out: Path | None,
    verbose: int,
    **values: Any,
) -> None:
    """Time restoring the first frames of INPUT, in processes of their own.

    Takes the options of the main job. Machines are noisy: compare the ratio of one run.
    """
    start_logging(verbose)
    overwrite = bool(values["encode__overwrite"])
    if (source is None) == (roofline is None):
        raise click.UsageError("name an INPUT, or a model with --roofline")
    if roofline is not None:
        _show_roofline(roofline, crops, out, overwrite)
        return
    assert source is not None
    if out is not None:
        check_outputs([out], inputs=[source], overwrite=overwrite)
    config = resolve_config(None, given_options(values))
    check_video(source)
    check_encoding(source, config.encode.codec)  # The runs' outputs end as their input does.
    check_config_inputs(config)
    from vidrestore.bench import bench as measure
    from vidrestore.bench import describe

    result = measure(
        source, frames=frames, options=_as_arguments(values), against=against, repeat=repeat
    )
    if out is not None:
        write_json(out, dataclasses.asdict(result), inputs=[source], overwrite=overwrite)
    echo(*describe(result))


def _show_roofline(model: str, crops: int, out: Path | None, overwrite: bool) -> None:
    if out is not None:
        check_outputs([out], overwrite=overwrite)
    from vidrestore.models.cost import describe_cost, measure_cost
    from vidrestore.models.load import outline_restorer

    network, size_px = outline_restorer(model)
    cost = measure_cost(network, crops=crops, size_px=size_px, precision="bfloat16")
    if out is not None:
        write_json(out, dataclasses.asdict(cost), overwrite=overwrite)
    echo(*describe_cost(model, cost, size_px, "bfloat16"))


def _as_arguments(values: dict[str, Any]) -> list[str]:
    arguments: list[str] = []
    for dotted, value in given_options(values).items():
        flag = "--" + dotted.replace("_", "-")
        if value is True:
            arguments.append(flag)
        else:
            arguments += [flag, ",".join(value) if isinstance(value, list) else str(value)]
    return arguments
