"""`vidrestore evaluate …`: measures the models by documented protocols."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from vidrestore.cli.models import pull_if_named
from vidrestore.cli.options import start_logging, verbose_option
from vidrestore.cli.restore import write_json

__all__ = ["evaluate"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def evaluate() -> None:
    """Measure a detector or a restorer."""


@evaluate.command()
@click.argument(
    "videos",
    metavar="VIDEO…",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, path_type=Path),
)
@click.option("--detector", default="embedded", show_default=True, help="the detector to judge")
@click.option(
    "--reference",
    default="retinaface-mobile0.25",
    show_default=True,
    help="the RetinaFace to trust: a name or a weights file",
)
@click.option(
    "--every", type=click.IntRange(1), default=10, show_default=True, help="every so many frames"
)
@click.option(
    "--size", type=click.IntRange(64), default=640, show_default=True, help="longer side seen"
)
@click.option(
    "--min-side", type=float, default=48.0, show_default=True, help="least side of a face"
)
@click.option("--out", metavar="JSON", type=click.Path(path_type=Path), help="write the counts")
@verbose_option
def detector(
    videos: tuple[Path, ...],
    detector: str,
    reference: str,
    every: int,
    size: int,
    min_side: float,
    out: Path | None,
    verbose: int,
) -> None:
    """Compare a detector with a trusted one on every tenth frame of VIDEOs.

    Found: sure faces of the reference (score ≥ 0.9) that overlap an answer by IoU ≥ 0.5. False:
    answers that meet no reference box of score ≥ 0.5 by IoU ≥ 0.3. Landmarks: mean distance over
    the distance between the eyes.
    """
    start_logging(verbose)
    from vidrestore.evaluation.detector import Agreement, evaluate_detector
    from vidrestore.models.load import load_detector

    for name in (detector, reference):
        pull_if_named(name, "detector")
    counts = evaluate_detector(
        load_detector(detector),
        load_detector(reference),
        videos,
        every=every,
        size_px=size,
        min_side_px=min_side,
    )
    total = sum(counts.values(), Agreement())
    click.echo(f"{'video':32}{'faces':>7}{'found':>9}{'false':>9}{'landmarks':>11}")
    for name, count in {**counts, "all": total}.items():
        click.echo(
            f"{name:32}{count.n_sure:7}{100 * count.found_share:8.1f}%"
            f"{100 * count.false_share:8.1f}%{100 * count.landmark_distance:10.1f}%"
        )
    if out is not None:
        write_json(out, {name: dataclasses.asdict(count) for name, count in counts.items()})


@evaluate.command()
@click.argument("data", metavar="FOLDER", type=click.Path(exists=True, path_type=Path))
@click.option("--model", default="embedded", show_default=True, help="the restorer to judge")
@click.option("--split", default="val", show_default=True, help="which pictures of labels.csv")
@click.option(
    "--identity",
    metavar="WEIGHTS",
    type=click.Path(exists=True, path_type=Path),
    help="mobilefacenet.pt: also compare who the faces are",
)
@click.option("--out", metavar="JSON", type=click.Path(path_type=Path), help="write the figures")
@verbose_option
def generator(
    data: Path, model: str, split: str, identity: Path | None, out: Path | None, verbose: int
) -> None:
    """Restore blindly degraded faces of FOLDER (with its labels.csv) and compare with the truth.

    The degradation is that of `vidrestore.training.degradations`, seeded by the picture's number:
    blur, loss of size, noise, JPEG and video codecs.
    """
    start_logging(verbose)
    from vidrestore.evaluation.generator import evaluate_generator
    from vidrestore.models.load import load_restorer

    pull_if_named(model, "restorer")
    scores = evaluate_generator(load_restorer(model), data, split=split, identity_weights=identity)
    click.echo(f"{scores.n_faces} faces{'':14}{'input':>10}{'restored':>10}")
    rows = [
        ("PSNR, dB", scores.input_psnr_db, scores.psnr_db),
        ("SSIM", scores.input_ssim, scores.ssim),
        ("sharpness, 1 = truth", scores.input_sharpness, scores.sharpness),
    ]
    if scores.identity is not None and scores.input_identity is not None:
        rows.append(("identity, cosine", scores.input_identity, scores.identity))
    for name, before, after in rows:
        click.echo(f"{name:24}{before:10.4f}{after:10.4f}")
    click.echo(f"sharp faces to themselves: {scores.sharp_psnr_db:.2f} dB")
    if out is not None:
        write_json(out, dataclasses.asdict(scores))
