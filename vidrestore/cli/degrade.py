"""`vidrestore degrade INPUT OUTPUT --recipe NAME`: makes good pictures and videos bad."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidrestore.cli.inputs import check_folder, check_source
from vidrestore.cli.options import given_options, some_config_options, start_logging, verbose_option
from vidrestore.cli.outputs import write_json
from vidrestore.cli.progress import progress_option, show_progress
from vidrestore.cli.terminal import echo
from vidrestore.config import resolve_config
from vidrestore.runtime.output_file import after_writing, check_outputs
from vidrestore.settings import find_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from vidrestore.run import Progress

__all__ = ["degrade"]


def _list_recipes(ctx: click.Context, option: click.Parameter, given: bool) -> None:
    if not given or ctx.resilient_parsing:
        return
    from vidrestore.degradations import load_recipe, recipe_names

    for name in recipe_names():
        echo(f"{name:22}{load_recipe(name).description}")
    ctx.exit()


@click.command()
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.argument("output", metavar="OUTPUT", type=click.Path(path_type=Path))
@click.option(
    "--recipe",
    metavar="NAME|FILE",
    required=True,
    help="Name of a recipe (--list-recipes), or the path of a YAML file.",
)
@click.option(
    "--list-recipes",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_recipes,
    help="List the recipes that come with the program.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Seed of the random choices; another one draws other parameters and other noise.",
)
@click.option(
    "--report",
    metavar="JSON",
    type=click.Path(path_type=Path),
    help="Write the drawn parameters to this file.",
)
@progress_option
@some_config_options(
    "decode.start",
    "decode.end",
    "decode.max_broken",
    "encode.codec",
    "encode.crf",
    "encode.speed",
    "encode.drop",
    "encode.overwrite",
    "run.threads",
)
@verbose_option
def degrade(
    source: Path,
    output: Path,
    recipe: str,
    seed: int,
    report: Path | None,
    progress: str,
    verbose: int,
    **values: Any,
) -> None:
    """Degrade INPUT, a picture, a folder of pictures or a video, into OUTPUT.

    A video keeps its frames' times and size, and all other streams. The same seed gives the same
    result. A report holds what was drawn, for each picture in the form of a recipe.

    \b
    vidrestore degrade good.mp4 old.mp4 --recipe old_film --seed 3
    vidrestore degrade faces/ worse/ --recipe gfpgan
    """  # noqa: D301 - click wants the very character
    start_logging(verbose)
    config = resolve_config(None, given_options(values))
    if source.is_dir():
        check_folder(output)
    else:
        check_source(source, output, config.encode.codec)
    from vidrestore.degradations.recipe_files import RECIPES, load_recipe

    recipe_file = find_settings(recipe, RECIPES, "recipe")
    rule: dict[str, Any] = {
        "inputs": [source, recipe_file],
        "overwrite": config.encode.overwrite,
    }
    outputs = [path for path in (None if source.is_dir() else output, report) if path is not None]
    check_outputs(outputs, **rule)
    chosen = load_recipe(recipe)
    from vidrestore.degradations.files import degrade as run

    with show_progress(progress) as callback:
        done = run(
            source,
            output,
            chosen,
            name=recipe,
            seed=seed,
            decode=config.decode,
            encode=config.encode,
            threads=config.run.threads,
            progress=None if callback is None else _timed(callback),
        )
    if report is not None:
        with after_writing(output):
            write_json(report, dataclasses.asdict(done), **rule)
    for note in done.notes:
        echo(note, err=True)
    what = "picture" if done.frames == 1 else "pictures"
    echo(
        f"degraded {done.frames} {what} by {recipe}, seed {seed}, in {done.seconds:.1f} s", err=True
    )
    echo(f"wrote {output}", err=True)


def _timed(callback: Callable[[Progress], None]) -> Callable[[int, int | None], None]:
    """Add speed and time left to counts."""
    from vidrestore.run import Progress

    begun = time.perf_counter()

    def report(done: int, total: int | None) -> None:
        speed = done / max(time.perf_counter() - begun, 1e-9)
        left = None if total is None else max(0, total - done) / speed
        callback(Progress(done, total, speed, left))

    return report
