"""`vidrestore evaluate …`: measures the models by documented protocols."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from vidrestore.cli.evaluate_detector import detector, tracking
from vidrestore.cli.evaluate_scenes import scenes
from vidrestore.cli.inputs import check_detectors, check_protocol, check_restorers, check_video
from vidrestore.cli.models import pull_if_named
from vidrestore.cli.options import start_logging, verbose_option
from vidrestore.cli.outputs import overwrite_option
from vidrestore.cli.progress import show_work
from vidrestore.cli.terminal import echo
from vidrestore.errors import UsageError
from vidrestore.models.weights.file_check import check_file
from vidrestore.runtime.devices import check_device

if TYPE_CHECKING:
    from vidrestore.evaluation.results import Comparison

__all__ = ["evaluate"]


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    subcommand_metavar="[detector|scenes|tracking …]",
)
@click.option(
    "--model",
    "models",
    metavar="NAME",
    multiple=True,
    help="Restorer: a name or a weights file. Repeat the option to compare several.",
)
@click.option(
    "--data",
    type=click.Path(exists=True, path_type=Path),
    help="A folder of faces (with its labels.csv, if there is one) or of videos, or of both; or a "
    "video.",
)
@click.option(
    "--pair",
    "pairs",
    metavar="TRUTH DEGRADED",
    nargs=2,
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="A video and what was made of it, or a folder of pictures and one of the same names; may "
    "be given several times.",
)
@click.option(
    "--degrade",
    "protocol",
    metavar="PROTOCOL",
    default="blind",
    show_default=True,
    help="blind, gfpgan (without colour jitter), sr4, none, or a recipe of `vidrestore degrade` by "
    "name or file.",
)
@click.option("--out", metavar="FOLDER", type=click.Path(path_type=Path), help="Write a report.")
@overwrite_option
@click.option(
    "--limit", type=click.IntRange(1), help="Use at most this many faces or clips, evenly spaced."
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the degradations."
)
@click.option(
    "--metrics",
    metavar="A,B,…",
    help="Measure these only; it is an error if one cannot be had.",
)
@click.option(
    "--fid-reference",
    metavar="FOLDER",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of pictures that FID compares with, in place of the true faces.",
)
@click.option(
    "--per-frame",
    is_flag=True,
    help="For videos: restore by every model a second time, every frame by itself, for comparison.",
)
@click.option(
    "--split",
    default="val",
    show_default=True,
    help="Use the rows of labels.csv with this split; all uses every row.",
)
@click.option(
    "--labels",
    metavar="CSV",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File of labels to use in place of the folder's labels.csv.",
)
@click.option(
    "--identity",
    metavar="WEIGHTS",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File mobilefacenet.pt, if it is not installed.",
)
@click.option(
    "--arcface",
    metavar="WEIGHTS",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File arcface_resnet18.pth, if it is not installed.",
)
@click.option(
    "--detector",
    default="embedded",
    show_default=True,
    help="Detector that finds the landmarks: a name or a weights file.",
)
@click.option(
    "--device", default="auto", show_default=True, help="Device: auto, cpu, cuda, cuda:1."
)
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bfloat16", "float16"]),
    default="float32",
    show_default=True,
    help="Number format of the restorers.",
)
@click.option(
    "--samples",
    type=click.IntRange(1),
    default=6,
    show_default=True,
    help="Rows of the contact sheet, evenly spaced from the hardest face to the easiest.",
)
@verbose_option
@click.pass_context
def evaluate(ctx: click.Context, /, **options: Any) -> None:
    """Compare restorers on faces or videos: degrade, restore, measure.

    \b
    vidrestore evaluate --model embedded --model gfpgan-1.4 --data faces --out report
    vidrestore evaluate --model embedded --pair nod_gt.mp4 nod_lq.mp4 --per-frame --out report
    vidrestore evaluate --model embedded --pair sharp_faces degraded_faces --out report
    vidrestore evaluate --model embedded --data faces --degrade none

    The input itself is always measured too. FOLDER gets index.html (whole in itself), summary.json
    and results.jsonl; the same command gives the same results. What a metric needs and is not here
    is named, and where to get it; for one of --metrics that is an error.
    """  # noqa: D301 - click wants the very character
    start_logging(options.pop("verbose"))
    if ctx.invoked_subcommand is None:
        _refuse_idle(ctx, _DATA_ONLY, options["data"] is None, "needs the --data it is about")
        _compare(**options)
    else:
        idle = [name for name in options if name != "verbose"]
        told = f"is not for `evaluate {ctx.invoked_subcommand}`; write its own options behind it"
        _refuse_idle(ctx, idle, True, told)


_DATA_ONLY = ("protocol", "limit", "split", "labels")
"""Options that are about the data."""


def _refuse_idle(ctx: click.Context, names: Iterable[str], idle: bool, why: str) -> None:
    """No option that was given is without effect.

    Raises:
        UsageError: one of these was given.
    """
    for parameter in ctx.command.params:
        given = ctx.get_parameter_source(parameter.name or "") == ParameterSource.COMMANDLINE
        if idle and given and parameter.name in names:
            raise UsageError(f"{parameter.opts[0]}: {why}")


def _compare(
    *,
    models: tuple[str, ...],
    data: Path | None,
    pairs: tuple[tuple[Path, Path], ...],
    protocol: str,
    out: Path | None,
    overwrite: bool,
    limit: int | None,
    metrics: str | None,
    split: str,
    labels: Path | None,
    samples: int,
    per_frame: bool,
    arcface: Path | None,
    fid_reference: Path | None,
    **common: Any,
) -> None:
    if not models:
        raise UsageError("evaluate: name at least one --model (`--model input` measures none)")
    if data is None and not pairs:
        raise UsageError("evaluate: name the --data, or a --pair of videos or of folders")
    check_restorers(model for model in models if model != "input")
    check_detectors([common["detector"]])
    check_device(common["device"])
    for weights in (common["identity"], arcface):
        if weights is not None:
            check_file(weights)
    common["metrics"] = None if metrics is None else _words(metrics)
    check_protocol(protocol, common["metrics"])
    for path in {path for pair in pairs for path in pair if not path.is_dir()}:
        check_video(path)
    from vidrestore.evaluation.clip_pairs import has_clips
    from vidrestore.evaluation.page import require_report, write_report
    from vidrestore.evaluation.results import summarise, table_lines

    if out is not None:
        require_report(out, overwrite=overwrite)
    for model in models:
        pull_if_named(model, "restorer")
    pull_if_named(common["detector"], "detector")
    folders, clips = _sorted_pairs(pairs)
    shows_pictures = data is not None and _has_pictures(data)
    shows_clips = data is not None and (has_clips(data) or not shows_pictures)
    _refuse_for(
        {"--per-frame": per_frame}, "is for videos; leave it out for pictures", shows_clips or clips
    )
    _refuse_for(
        {"--fid-reference": fid_reference, "--arcface": arcface},
        "is for pictures; leave it out for videos",
        shows_pictures or folders,
    )
    found: list[Comparison] = []
    with show_work() as progress:
        common |= {"progress": progress, "samples": samples}
        still = common | {"arcface": arcface, "fid_reference": fid_reference}
        videos = common | {"per_frame": per_frame}
        if data is not None and shows_pictures:
            from vidrestore.evaluation.pictures import compare_pictures

            own: dict[str, Any] = {
                "protocol": protocol,
                "split": split,
                "labels": labels,
                "limit": limit,
            }
            found.append(compare_pictures(models, data, **own, **still))
        if data is not None and shows_clips:
            found.append(_compare_degraded(models, data, protocol, limit, videos))
        for truth, degraded in folders:
            from vidrestore.evaluation.pictures import compare_pictures

            found.append(compare_pictures(models, truth, degraded=degraded, split="all", **still))
        if clips:
            found.append(_compare_pairs(models, clips, videos))
    for comparison in found:
        for line in table_lines(comparison, summarise(comparison)):
            echo(line)
    if out is not None:
        echo(f"report: {write_report(out, found, overwrite=overwrite)}", err=True)


def _compare_degraded(
    models: tuple[str, ...],
    data: Path,
    protocol: str,
    limit: int | None,
    common: dict[str, Any],
) -> Comparison:
    """Videos that are degraded first."""
    from vidrestore.evaluation.clip_pairs import degrade_clips, find_clips
    from vidrestore.evaluation.clips import compare_clips
    from vidrestore.evaluation.protocols import find_protocol

    task = find_protocol(protocol)
    with TemporaryDirectory(prefix="vidrestore-") as folder:
        clips = find_clips(data, limit)
        made = degrade_clips(
            clips, task, Path(folder), seed=common["seed"], progress=common["progress"]
        )
        return compare_clips(models, made, protocol=task, **common)


def _compare_pairs(
    models: tuple[str, ...],
    pairs: list[tuple[Path, Path]],
    common: dict[str, Any],
) -> Comparison:
    from vidrestore.evaluation.clip_pairs import name_pairs
    from vidrestore.evaluation.clips import compare_clips

    return compare_clips(models, name_pairs(pairs), **common)


def _sorted_pairs(
    pairs: Iterable[tuple[Path, Path]],
) -> tuple[list[tuple[Path, Path]], list[tuple[Path, Path]]]:
    """Pairs of folders, and pairs of videos.

    Raises:
        UsageError: a pair is a folder and a file.
    """
    folders: list[tuple[Path, Path]] = []
    clips: list[tuple[Path, Path]] = []
    for pair in pairs:
        are_folders = [path.is_dir() for path in pair]
        if any(are_folders) != all(are_folders):
            raise UsageError(
                f"--pair {pair[0]} {pair[1]}: one is a folder, the other a file; name two videos, "
                "or two folders of pictures"
            )
        (folders if all(are_folders) else clips).append(pair)
    return folders, clips


def _refuse_for(options: dict[str, object], why: str, used: object) -> None:
    """Options that were given are used.

    Raises:
        UsageError: one is not.
    """
    for name, value in options.items():
        if value and not used:
            raise UsageError(f"{name}: {why}")


def _has_pictures(data: Path) -> bool:
    from vidrestore.datasets.images import find_pictures

    return data.is_dir() and bool(find_pictures(data))


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


evaluate.add_command(detector)
evaluate.add_command(tracking)
evaluate.add_command(scenes)
