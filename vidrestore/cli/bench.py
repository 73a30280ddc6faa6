"""`vidrestore bench INPUT`: speed, memory and the time of each stage."""

from __future__ import annotations

import dataclasses
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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
from vidrestore.config import RestoreConfig, resolve_config
from vidrestore.runtime.devices import check_device
from vidrestore.runtime.extras import require_extra
from vidrestore.runtime.output_file import check_outputs, write_whole

__all__ = ["bench"]

_MOST_FACES = 64


def _size(context: object, parameter: object, value: str | None) -> tuple[int, int] | None:
    """Width and height of "1280x720"."""
    if value is None:
        return None
    found = re.fullmatch(r"(\d{2,4})x(\d{2,4})", value)
    if found is None or any(
        int(side) % 2 or not 64 <= int(side) <= 8192 for side in found.groups()
    ):
        raise click.BadParameter("write WIDTHxHEIGHT, even numbers from 64 to 8192, as in 1280x720")
    return int(found[1]), int(found[2])


def _devices(context: object, parameter: object, value: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",")) if value else ()


@click.command(cls=HelpInSections)
@click.argument("source", metavar="[INPUT]", required=False, type=click.Path(path_type=Path))
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
    "--synthetic",
    metavar="WxH",
    callback=_size,
    help="make a clip of this size, such as 1280x720, in place of INPUT",
)
@click.option(
    "--n-faces",
    type=click.IntRange(0, _MOST_FACES),
    default=1,
    show_default=True,
    help="faces of the clip that --synthetic makes",
)
@click.option(
    "--devices", metavar="LIST", callback=_devices, help="run on each of these: cpu,cuda:0,cuda:1"
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
    help="count what a restorer, and all around it, asks of a device, and the least time on some; "
    "takes no INPUT",
)
@click.option(
    "--crops", type=click.IntRange(1), default=16, show_default=True, help="crops of --roofline"
)
@click.option(
    "--choose",
    is_flag=True,
    help="measure every backend that is installed, and store the fastest one that agrees with "
    "torch in float32, for --model, --detector and --device; takes no INPUT",
)
@click.option("--out", metavar="JSON", type=click.Path(path_type=Path), help="write the figures")
@click.option("--plot", metavar="PNG", type=click.Path(path_type=Path), help="plot the stages")
@config_options
@verbose_option
def bench(
    source: Path | None,
    frames: tuple[int, ...],
    synthetic: tuple[int, int] | None,
    n_faces: int,
    devices: tuple[str, ...],
    against: str | None,
    repeat: int,
    roofline: str | None,
    crops: int,
    choose: bool,
    out: Path | None,
    plot: Path | None,
    verbose: int,
    **values: Any,
) -> None:
    """Time restoring the first frames of INPUT, in processes of their own.

    Takes the options of the main job. Machines are noisy: compare the ratio of one run.
    """
    start_logging(verbose)
    overwrite = bool(values["encode__overwrite"])
    if sum(one is not None for one in (source, synthetic, roofline)) + choose != 1:
        raise click.UsageError(
            "name an INPUT, or --synthetic WxH, or a model with --roofline, or --choose"
        )
    outputs = [path for path in (out, plot) if path is not None]
    check_outputs(outputs, inputs=[] if source is None else [source], overwrite=overwrite)
    if plot is not None:
        require_extra("matplotlib", "eval")
    if roofline is not None:
        _show_roofline(roofline, crops, out, overwrite)
        return
    config = resolve_config(None, given_options(values))
    if choose:
        check_config_inputs(config)
        _choose(config, out, overwrite)
        return
    for device in devices:
        check_device(device)
    if source is not None:
        check_video(source)
        check_encoding(source, config.encode.codec)  # The runs' outputs end as their input does.
    check_config_inputs(config)
    from vidrestore.bench.describe import describe, plot_stages
    from vidrestore.bench.runs import bench as measure

    with _input(source, synthetic, n_faces, max(frames)) as path:
        result = measure(
            path,
            frames=frames,
            devices=devices or (config.run.device,),
            options=_as_arguments(values),
            against=against,
            repeat=repeat,
        )
    if out is not None:
        write_json(out, dataclasses.asdict(result), inputs=[path], overwrite=overwrite)
    if plot is not None:
        write_whole(plot, plot_stages(result), inputs=[path], overwrite=overwrite)
    echo(*describe(result))


@contextmanager
def _input(
    source: Path | None, synthetic: tuple[int, int] | None, n_faces: int, frames: int
) -> Iterator[Path]:
    if source is not None:
        yield source
        return
    assert synthetic is not None
    from vidrestore.demo.crowd import make_crowd

    width, height = synthetic
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{n_faces}_faces_{width}x{height}.mp4"
        make_crowd(path, width, height, n_faces, frames)
        yield path


def _show_roofline(model: str, crops: int, out: Path | None, overwrite: bool) -> None:
    from vidrestore.bench.section_cost import describe_section, measure_section
    from vidrestore.models.cost import describe_cost, measure_cost
    from vidrestore.models.load import outline_restorer

    network, size_px = outline_restorer(model)
    cost = measure_cost(network, crops=crops, size_px=size_px, precision="bfloat16")
    around = [measure_section(faces, crop_px=size_px) for faces in (1, 8)]
    if out is not None:
        record = {**dataclasses.asdict(cost), "around": [dataclasses.asdict(one) for one in around]}
        write_json(out, record, overwrite=overwrite)
    echo(*describe_cost(model, cost, size_px, "bfloat16"), *map(describe_section, around))


def _choose(config: RestoreConfig, out: Path | None, overwrite: bool) -> None:
    from vidrestore.bench.choose import choose_backends, describe_comparison
    from vidrestore.models.runners.choices import store_choices

    compared, choices = choose_backends(
        config.restore.model, config.detect.detector, config.run.device
    )
    for one in compared:
        echo(*describe_comparison(one))
    if out is not None:
        record = {"compared": [dataclasses.asdict(one) for one in compared]}
        write_json(out, record, overwrite=overwrite)
    echo(f"stored in {store_choices(choices)}")


def _as_arguments(values: dict[str, Any]) -> list[str]:
    arguments: list[str] = []
    for dotted, value in given_options(values).items():
        if dotted == "run.device":  # `bench` gives it itself.
            continue
        flag = "--" + dotted.replace("_", "-")
        if value is True:
            arguments.append(flag)
        else:
            arguments += [flag, ",".join(value) if isinstance(value, list) else str(value)]
    return arguments
