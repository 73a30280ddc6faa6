"""`vidrestore INPUT OUTPUT`: the main job."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidrestore.cli.inputs import check_config_inputs
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
from vidrestore.cli.progress import progress_option, show_opening, show_progress
from vidrestore.cli.terminal import echo
from vidrestore.config import input_files, resolve_config
from vidrestore.errors import UsageError, VideoDecodeError
from vidrestore.models.zoo import ModelSpec
from vidrestore.runtime.cpu_threads import limit_threads
from vidrestore.runtime.output_file import after_writing, check_outputs
from vidrestore.runtime.words import counted
from vidrestore.video.sequence.files import is_sequence

if TYPE_CHECKING:
    from vidrestore.job import Job
    from vidrestore.structs import RestoreReport

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
@click.option(
    "--fixity",
    is_flag=True,
    help="read the output back, and add to the report checksums of files and frames, and which "
    "samples differ from the input's",
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
    fixity: bool,
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
    if fixity and (report is None or is_sequence(output)):
        raise UsageError("--fixity: goes into the report of a file; add --report JSON")
    framemd5 = report.with_suffix(".framemd5") if report is not None and fixity else None
    extra = [path for path in (preview, report, framemd5) if path is not None]
    check_outputs(
        [*([] if is_sequence(output) else [output]), *extra],
        inputs=[*input_files(source, config), *presets],
        overwrite=config.encode.overwrite,
    )
    check_config_inputs(config)
    from vidrestore.job import make_job

    with show_opening(progress) as watch:
        job = make_job(source, output, config, extra_outputs=extra, watch=watch)
    if dry_run:
        echo(*_plan_lines(job))
        return
    assert job.output is not None
    limit_threads(config.run.threads)
    echo(_first_line(job), *job.output.notes, err=True)
    pull_if_named(config.restore.model, "restorer")
    pull_if_named(config.detect.detector, "detector")
    from vidrestore.session import Session

    kept: dict[str, Any] = {}
    with Session(config) as session, show_progress(progress) as callback:

        def tell(told: str) -> None:
            echo(told, err=True)

        if framemd5 is None:
            done = session.run(job, preview=preview, progress=callback, tell=tell)
        else:
            from vidrestore.records.restoring import restore_with_record

            done, kept = restore_with_record(session, job, framemd5, preview, callback, tell)
    if report is not None:
        written = [output] if preview is None else [output, preview]
        with after_writing(*written):
            write_json(
                report,
                dataclasses.asdict(done) | kept,
                inputs=[*job.inputs, *presets],
                overwrite=config.encode.overwrite,
            )
    echo(*_summary(done, told=job.output.notes), err=True)
    if done.damaged:
        raise VideoDecodeError(
            f"{source} is damaged; {output} holds what there is, as --keep-damaged asks"
        )


def _plan_lines(job: Job) -> Iterator[str]:
    """What would be done, for `--dry-run`."""
    import yaml

    from vidrestore.video.read.describe import describe

    assert job.output is not None
    yield from describe(job.info)
    yield f"output      {_output(job)}"
    for note in (*job.warnings, *job.output.notes):
        yield f"            {note}"
    yield f"model       {_named(job.model)}"
    yield f"detector    {_named(job.detector)}"
    yield from yaml.safe_dump(job.config.record(), sort_keys=False).splitlines()


def _named(chosen: ModelSpec | Path | None) -> str:
    return f"{chosen.name} ({chosen.licence})" if isinstance(chosen, ModelSpec) else str(chosen)


def _output(job: Job) -> str:
    from vidrestore.video.write.source_kind import LOSSLESS_ENCODERS

    assert job.output is not None
    if job.config.encode.sink == "ffmpeg":
        given = job.config.encode.ffmpeg_args or "no arguments"
        return f"{job.output.destination}: {job.output.codec} through FFmpeg ({given})"
    kind = "lossless" if job.output.codec in LOSSLESS_ENCODERS else "lossy"
    if kind == "lossless" and _becomes_rgb(job.filtered.pix_fmt, job.output.pix_fmt):
        kind = "lossless once converted"
    why = f"{kind}, {job.output.why}" if job.output.why else kind
    return f"{job.output.destination}: {job.output.codec}, {job.output.pix_fmt} ({why})"


def _becomes_rgb(decoded: str, written: str) -> bool:
    """Whether YUV is written as RGB, which rounds its samples."""
    import av

    before, after = av.VideoFormat(decoded), av.VideoFormat(written)
    return after.is_rgb and not before.is_rgb and len(before.components) > 2


def _first_line(job: Job) -> str:
    warnings = "".join(f"; {warning}" for warning in job.warnings)
    return f"{job.source} → {_output(job)}{warnings}"


def _summary(done: RestoreReport, told: Sequence[str] = ()) -> list[str]:
    """What was done; without the notes that were told before work."""
    lines = [_restored(done)]
    if done.faces_left_alone:
        strength = done.config["blend"]["strength"]
        people = sum(strength * track.mean_strength == 0 for track in done.tracks)
        wholly = f", {counted(people, 'person', 'people')} throughout" if people else ""
        lines.append(f"{counted(done.faces_left_alone, 'face')} left alone (strength 0){wholly}")
    if done.faces_failed:
        lines.append(f"{counted(done.faces_failed, 'face')} left alone: no valid numbers came out")
    lines.extend(note for note in done.notes if note not in told)
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
