"""`vidrestore evaluate scenes …`: a detector on made-up scenes of held-out faces, by source."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from vidrestore.cli.inputs import check_detectors
from vidrestore.cli.models import pull_if_named
from vidrestore.cli.options import start_logging, verbose_option
from vidrestore.cli.outputs import overwrite_option, write_json
from vidrestore.cli.progress import show_work
from vidrestore.cli.terminal import echo
from vidrestore.runtime.output_file import check_outputs

__all__ = ["scenes"]


@click.command()
@click.argument(
    "faces", metavar="FACES", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option(
    "--detector",
    default="embedded",
    show_default=True,
    help="The detector under test: a name or a weights file.",
)
@click.option(
    "--split", default="val", show_default=True, help="Use the rows of labels.csv with this split."
)
@click.option(
    "--scenes",
    "count",
    type=click.IntRange(1),
    default=300,
    show_default=True,
    help="Scenes of each source.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the scenes."
)
@click.option(
    "--min-score",
    type=click.FloatRange(0, 1),
    help="Least score of an answer; without it the detector's own threshold.",
)
@click.option(
    "--upright",
    is_flag=True,
    help="Test the detector without the rotated copies that runs add in the first frame of a shot.",
)
@click.option("--out", metavar="JSON", type=click.Path(path_type=Path), help="Write the counts.")
@overwrite_option
@verbose_option
def scenes(
    faces: Path,
    detector: str,
    split: str,
    count: int,
    seed: int,
    min_score: float | None,
    upright: bool,
    out: Path | None,
    overwrite: bool,
    verbose: int,
) -> None:
    """Test a detector on made-up scenes of the held-out FACES, those of each source by themselves.

    FACES is a folder with a labels.csv that has boxes and landmarks; its column `source` names the
    sources. The scenes are those of the training, and their own labels are what is compared with.
    Columns as for `detector`; faces with a shorter side of 16 px or more have to be found.
    """
    start_logging(verbose)
    check_detectors([detector])
    labels = [faces / "labels.csv"]
    if out is not None:
        check_outputs([out], inputs=labels, overwrite=overwrite)
    from vidrestore.evaluation.detector import Agreement, agreement_lines
    from vidrestore.evaluation.scenes import evaluate_on_scenes
    from vidrestore.models.detectors.rotated import RotatedDetector
    from vidrestore.models.load import load_detector

    pull_if_named(detector, "detector")
    tested = load_detector(detector)
    with show_work() as progress:
        found = evaluate_on_scenes(
            tested if upright else RotatedDetector(tested),
            faces,
            split=split,
            scenes=count,
            seed=seed,
            min_score=min_score,
            progress=progress,
        )
    rows = {source or "no source": counts for source, counts in found.items()}
    rows["all"] = sum(found.values(), Agreement())
    for line in agreement_lines("source", rows):
        echo(line)
    if out is not None:
        record = {name: dataclasses.asdict(counts) for name, counts in rows.items()}
        write_json(out, record, inputs=labels, overwrite=overwrite)
