"""`vidrestore evaluate detector` and `… tracking`: comparing with a reference detector."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidrestore.cli.inputs import check_detectors, check_video
from vidrestore.cli.models import pull_if_named
from vidrestore.cli.options import start_logging, verbose_option
from vidrestore.cli.outputs import overwrite_option, write_json
from vidrestore.cli.progress import show_work
from vidrestore.cli.terminal import echo
from vidrestore.runtime.output_file import check_outputs

if TYPE_CHECKING:
    from vidrestore.models.interfaces import FaceDetector

__all__ = ["detector", "tracking"]


def _detector_arguments(command: Callable[..., None]) -> Callable[..., None]:
    """VIDEO…, --detector and --reference."""
    for decorate in (
        click.option(
            "--reference",
            default="retinaface-mobile0.25",
            show_default=True,
            help="The RetinaFace to compare with: a name or a weights file.",
        ),
        click.option(
            "--detector",
            default="embedded",
            show_default=True,
            help="The detector under test: a name or a weights file.",
        ),
        click.argument(
            "videos",
            metavar="VIDEO…",
            nargs=-1,
            required=True,
            type=click.Path(exists=True, path_type=Path),
        ),
    ):
        command = decorate(command)
    return command


def _check_videos(videos: Iterable[Path], *detectors: str) -> None:
    check_detectors(detectors)
    for video in videos:
        check_video(video)


@click.command()
@_detector_arguments
@click.option(
    "--every",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="Compare one frame in this many.",
)
@click.option(
    "--size",
    type=click.IntRange(64),
    default=640,
    show_default=True,
    help="Longer side, in pixels, to which frames are scaled.",
)
@click.option(
    "--min-side",
    type=float,
    default=48.0,
    show_default=True,
    help="Least side of a face, in pixels; smaller ones do not count.",
)
@click.option(
    "--condition",
    "conditions",
    type=click.Choice(["plain", "gray", "degraded", "rotated-left", "rotated-right"]),
    multiple=True,
    default=["plain"],
    show_default=True,
    help="What is done to frames (rotated by 45 degrees: for the detector under test only); may be "
    "repeated.",
)
@click.option(
    "--upright",
    is_flag=True,
    help="Test the detector without the rotated copies that runs add in the first frame of a shot.",
)
@click.option(
    "--mirrored",
    is_flag=True,
    help="Test the reference itself on mirrored frames: no detector can agree better.",
)
@click.option("--out", metavar="JSON", type=click.Path(path_type=Path), help="Write the counts.")
@overwrite_option
@verbose_option
def detector(
    videos: tuple[Path, ...],
    detector: str,
    reference: str,
    every: int,
    size: int,
    min_side: float,
    conditions: tuple[str, ...],
    upright: bool,
    mirrored: bool,
    out: Path | None,
    overwrite: bool,
    verbose: int,
) -> None:
    """Compare a detector with a reference on every tenth frame of VIDEOs.

    Found: sure faces of the reference (score ≥ 0.9) that overlap a detection by IoU ≥ 0.5. False:
    detections that meet no reference box of score ≥ 0.5 by IoU ≥ 0.3. Landmarks: mean distance over
    mean distance between the eyes, and, in brackets, the mean of every face's own ratio, most of
    which comes from profiles.
    """
    start_logging(verbose)
    _check_videos(videos, detector, reference)
    if out is not None:
        check_outputs([out], inputs=videos, overwrite=overwrite)
    from vidrestore.evaluation.conditions import CONDITIONS
    from vidrestore.evaluation.detector import Agreement, MirroredDetector, evaluate_detector
    from vidrestore.models.detectors.rotated import RotatedDetector
    from vidrestore.models.load import load_detector

    for name in (detector, reference):
        pull_if_named(name, "detector")
    reference_detector = load_detector(reference)
    under_test: FaceDetector = (
        MirroredDetector(reference_detector) if mirrored else load_detector(detector)
    )
    if not (mirrored or upright):
        under_test = RotatedDetector(under_test)
    results = {}
    for name in dict.fromkeys(conditions):
        with show_work() as progress:
            results[name] = evaluate_detector(
                under_test,
                reference_detector,
                videos,
                every=every,
                size_px=None if mirrored else size,
                min_side_px=min_side,
                condition=CONDITIONS[name],
                progress=progress,
            )
    rows: dict[str, Agreement] = {}
    for condition, counts in results.items():
        prefix = f"{condition}: " if len(results) > 1 else ""
        rows |= {f"{prefix}{name}": count for name, count in counts.items()}
        rows[f"{prefix}all"] = sum(counts.values(), Agreement())
    if len(results) > 1:
        everything = [count for counts in results.values() for count in counts.values()]
        rows["all conditions"] = sum(everything, Agreement())
    width = max(32, *(len(name) + 2 for name in rows))
    echo(f"{'video':{width}}{'faces':>7}{'found':>9}{'false':>9}{'landmarks':>19}")
    for name, count in rows.items():
        echo(
            f"{name:{width}}{count.n_reference:7}{100 * count.recall:8.1f}%"
            f"{100 * count.false_positive_share:8.1f}%{100 * count.landmark_distance:10.1f}%"
            f" ({100 * count.landmark_ratio:4.1f}%)"
        )
    if out is not None:
        record = {name: dataclasses.asdict(count) for name, count in rows.items()}
        write_json(out, record, inputs=videos, overwrite=overwrite)


@click.command()
@_detector_arguments
@click.option(
    "--every-frames",
    type=click.IntRange(1),
    multiple=True,
    default=[5, 1],
    show_default=True,
    help="The tracker runs its detector at least once in this many frames; may be repeated.",
)
@verbose_option
def tracking(
    videos: tuple[Path, ...],
    detector: str,
    reference: str,
    every_frames: tuple[int, ...],
    verbose: int,
) -> None:
    """Compare tracked faces with a reference detector on every seventh frame of VIDEOs.

    Columns as for `detector`; detected: share of frames that the tracker ran its detector on.
    """
    start_logging(verbose)
    _check_videos(videos, detector, reference)
    from vidrestore.evaluation.tracking import evaluate_tracking
    from vidrestore.models.load import load_detector

    for name in (detector, reference):
        pull_if_named(name, "detector")
    reference_detector = load_detector(reference)
    echo(
        f"{'video':32}{'every':>6}{'detected':>9}{'faces':>7}{'found':>8}{'false':>8}{'landmarks':>11}"
    )
    for video in videos:
        for every in every_frames:
            with show_work() as progress:
                result = evaluate_tracking(
                    video,
                    reference_detector,
                    detector=detector,
                    every_frames=every,
                    progress=progress,
                )
            count = result.counts
            echo(
                f"{video.name:32}{every:6}{100 * result.detected_share:8.0f}%{count.n_reference:7}"
                f"{100 * count.recall:7.1f}%{100 * count.false_positive_share:7.1f}%"
                f"{100 * count.landmark_distance:10.2f}%"
            )
