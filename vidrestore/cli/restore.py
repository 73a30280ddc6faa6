"""`vidrestore INPUT OUTPUT`: the main job."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidrestore.cli.inputs import check_config_inputs, check_video
from vidrestore.cli.models import pull_if_named
from vidrestore.cli.options import (
    HelpInSections,
    config_options,
    given_options,
    presets_option,
    start_logging,
    verbose_option,
)
from vidrestore.cli.outputs import write_json
from vidrestore.cli.progress import progress_option, show_progress
from vidrestore.cli.terminal import echo
from vidrestore.config import RestoreConfig, input_files, resolve_config
from vidrestore.errors import VideoDecodeError
from vidrestore.runtime.output_file import after_writing, check_outputs
from vidrestore.runtime.words import counted

if TYPE_CHECKING:
    from vidrestore.models.zoo import ModelSpec
    from vidrestore.structs import RestoreReport
    from vidrestore.video.read.probe import VideoInfo
    from vidrestore.video.write.plan import OutputPlan

__all__ = ["restore"]


@click.command(cls=HelpInSections)
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.argument("output", metavar="OUTPUT", type=click.Path(path_type=Path))
@presets_option
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
    presets: tuple[Path, ...],
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
    config = resolve_config(presets, given_options(values), per_frame=per_frame)
    inputs = [*input_files(source, config), *presets]
    check_outputs(
        [path for path in (output, preview, report) if path is not None],
        inputs=inputs,
        overwrite=config.encode.overwrite,
    )
    check_video(source)
    check_config_inputs(config)
    if dry_run:
        _show_plan(source, output, config)
        return
    _limit_threads(config.run.threads)
    from vidrestore.api import plan, restore_video

    info, planned, _ = plan(source, output, config=config)
    echo(_first_line(source, output, info, planned), err=True)
    pull_if_named(config.restore.model, "restorer")
    pull_if_named(config.detect.detector, "detector")
    with show_progress(progress) as callback:
        done = restore_video(source, output, config=config, preview=preview, progress=callback)
    if report is not None:
        written = [output] if preview is None else [output, preview]
        with after_writing(*written):
            write_json(
                report,
                dataclasses.asdict(done),
                inputs=inputs,
                overwrite=config.encode.overwrite,
            )
    echo(*_summary(done), err=True)
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
    from vidrestore.models.names import resolve
    from vidrestore.video.read.probe import describe

    info, planned, resolved = plan(source, output, config=config)
    echo(*describe(info))
    echo(f"output     {output}: {planned.codec}, {planned.pix_fmt}")
    for note in (*info.warnings, *planned.notes):
        echo(f"           {note}")
    echo(f"model      {_named(resolve(resolved.restore.model, 'restorer'))}")
    echo(f"detector   {_named(resolve(resolved.detect.detector, 'detector'))}")
    echo(*yaml.safe_dump(resolved.record(), sort_keys=False).splitlines())


def _named(chosen: ModelSpec | Path) -> str:
    return str(chosen) if isinstance(chosen, Path) else f"{chosen.name} ({chosen.licence})"


def _first_line(source: Path, output: Path, info: VideoInfo, planned: OutputPlan) -> str:
    warnings = "".join(f"; {warning}" for warning in info.warnings)
    return f"{source} → {output}: {planned.codec}, {planned.pix_fmt}{warnings}"


def _summary(done: RestoreReport) -> list[str]:
    lines = [_restored(done)]
    if done.faces_left_alone:
        strength = done.config["blend"]["strength"]
        people = sum(strength * track.mean_strength == 0 for track in done.tracks)
        wholly = f", {counted(people, 'person', 'people')} throughout" if people else ""
        lines.append(f"{counted(done.faces_left_alone, 'face')} left alone (strength 0){wholly}")
    if done.faces_failed:
        lines.append(f"{counted(done.faces_failed, 'face')} left alone: no valid numbers came out")
    lines.extend(done.notes)
    lines.append(f"wrote {done.output}")
    return lines


def _restored(done: RestoreReport) -> str:
    frames, speed = counted(done.frames, "frame"), f"({done.frames_per_s:.1f} frames/s)"
    if done.faces:
        people = sum(track.restored_frames > 0 for track in done.tracks)
        return (
            f"{frames}, {counted(done.faces, 'face')} of {counted(people, 'person', 'people')} "
            f"restored with {done.model} in {done.seconds:.1f} s {speed}"
        )
    why = "no face was restored" if done.tracks else "no faces found"
    return f"{why}: {frames} encoded again but not changed {speed}"
