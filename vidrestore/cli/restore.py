"""`vidrestore INPUT OUTPUT`: the main job."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidrestore.cli.models import pull_if_named
from vidrestore.cli.options import (
    HelpInSections,
    config_options,
    given_options,
    start_logging,
    verbose_option,
)
from vidrestore.cli.outputs import check_extra_output, write_json
from vidrestore.cli.progress import progress_option, show_progress
from vidrestore.config import RestoreConfig, resolve_config
from vidrestore.errors import VideoDecodeError

if TYPE_CHECKING:
    from vidrestore.models.zoo import ModelSpec
    from vidrestore.structs import RestoreReport

__all__ = ["restore"]


@click.command(cls=HelpInSections)
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.argument("output", metavar="OUTPUT", type=click.Path(path_type=Path))
@click.option(
    "--config", "preset", metavar="FILE", type=click.Path(path_type=Path), help="a YAML preset"
)
@config_options
@click.option(
    "--per-frame",
    is_flag=True,
    help="treat every frame by itself, as restorers of pictures do: for comparison",
)
@click.option(
    "--preview", metavar="PNG", type=click.Path(path_type=Path), help="write a before/after picture"
)
@click.option(
    "--report", metavar="JSON", type=click.Path(path_type=Path), help="write what was done"
)
@click.option("--dry-run", is_flag=True, help="show what would be done, and stop")
@progress_option
@verbose_option
def restore(
    source: Path,
    output: Path,
    preset: Path | None,
    per_frame: bool,
    preview: Path | None,
    report: Path | None,
    dry_run: bool,
    progress: str,
    verbose: int,
    **values: Any,
) -> None:
    """Restore the faces of INPUT into OUTPUT, whose ending chooses the container.

    Sound, subtitles, chapters and everything else is carried over; every frame keeps its time.
    """
    start_logging(verbose)
    config = resolve_config(preset, given_options(values), per_frame=per_frame)
    for extra in (preview, report):
        check_extra_output(extra, source, output)
    if dry_run:
        _show_plan(source, output, config)
        return
    _limit_threads(config.run.threads)
    from vidrestore.api import plan, restore_video

    _, planned, _ = plan(source, output, config=config)
    click.echo(f"{source} → {output}: {planned.codec}, {planned.pix_fmt}", err=True)
    pull_if_named(config.restore.model, "restorer")
    pull_if_named(config.detect.detector, "detector")
    with show_progress(progress) as callback:
        done = restore_video(source, output, config=config, preview=preview, progress=callback)
    if report is not None:
        write_json(report, dataclasses.asdict(done))
    click.echo(_summary(done), err=True)
    if done.damaged:
        raise VideoDecodeError(
            f"{source} is damaged; {output} holds what there is, as --keep-damaged asks"
        )


def _limit_threads(threads: int) -> None:
    if threads:
        import cv2
        import torch

        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)


def _show_plan(source: Path, output: Path, config: RestoreConfig) -> None:
    import yaml

    from vidrestore.api import plan
    from vidrestore.models.load import resolve
    from vidrestore.video.probe import describe

    info, planned, resolved = plan(source, output, config=config)
    click.echo(describe(info))
    click.echo(f"output     {output}: {planned.codec}, {planned.pix_fmt}")
    for note in planned.notes:
        click.echo(f"           {note}")
    click.echo(f"model      {_named(resolve(resolved.restore.model, 'restorer'))}")
    click.echo(f"detector   {_named(resolve(resolved.detect.detector, 'detector'))}")
    click.echo(yaml.safe_dump(resolved.model_dump(mode="json"), sort_keys=False).rstrip())


def _named(chosen: ModelSpec | Path) -> str:
    return str(chosen) if isinstance(chosen, Path) else f"{chosen.name} ({chosen.licence})"


def _summary(done: RestoreReport) -> str:
    lines = []
    if done.faces:
        lines.append(
            f"{done.frames} frames, {done.faces} faces of {len(done.tracks)} tracks restored with "
            f"{done.model} in {done.seconds:.1f} s ({done.frames_per_s:.1f} frames/s)"
        )
    else:
        lines.append(
            f"no faces found: {done.frames} frames were encoded again but not changed "
            f"({done.frames_per_s:.1f} frames/s)"
        )
    if done.faces_failed:
        lines.append(f"{done.faces_failed} faces were left as they were: no valid numbers came out")
    lines.extend(done.notes)
    lines.append(f"wrote {done.output}")
    return "\n".join(lines)
