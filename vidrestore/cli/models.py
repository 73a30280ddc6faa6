"""`vidrestore models …`: which models there are, and their weights on this machine."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from vidrestore.cli.options import start_logging, verbose_option
from vidrestore.cli.terminal import echo
from vidrestore.errors import WeightsError
from vidrestore.models import zoo
from vidrestore.models.weights import store as weights
from vidrestore.models.zoo import ModelSpec, Task

if TYPE_CHECKING:
    from vidrestore.models.weights.store import OnDownload

__all__ = ["models", "pull_if_named", "show_download"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def models() -> None:
    """List models, download their weights, check them."""


@models.command("list")
@verbose_option
def list_models(verbose: int) -> None:
    """Show every model: task, size, licence, installed or not."""
    start_logging(verbose)
    rows = [("name", "task", "size", "installed", "licence")]
    for spec in _visible():
        installed = "yes" if weights.is_installed(spec) else "no"
        rows.append((spec.name, spec.task, _size(spec), installed, spec.licence))
    for line in _aligned(rows):
        echo(line)
    if any(spec.embedded for spec in _visible()):
        echo(
            "embedded: the MIT licence is this project's; nobody gave a permission for most of the "
            f"pictures it learnt from. What that means for you: {weights.model_card()}"
        )


@models.command()
@click.argument("names", metavar="NAME…", nargs=-1, required=True)
@click.option(
    "--allow-unverified",
    is_flag=True,
    help="take a file whose checksum nobody published, and remember the one it has",
)
@verbose_option
def pull(names: tuple[str, ...], allow_unverified: bool, verbose: int) -> None:
    """Download the weights of a model and check them."""
    start_logging(verbose)
    for spec in _named(names):
        with show_download() as on_download:
            path = weights.pull(spec, allow_unverified=allow_unverified, on_download=on_download)
        echo(f"{spec.name}: ready at {path}")


@models.command()
@click.argument("names", metavar="[NAME…]", nargs=-1)
@verbose_option
def verify(names: tuple[str, ...], verbose: int) -> None:
    """Compare weights with their checksums.

    Without NAME, all that are installed.
    """
    start_logging(verbose)
    chosen = _named(names) if names else [spec for spec in _visible() if _has_file(spec)]
    failed = 0
    for spec in chosen:
        try:
            echo(f"{spec.name} ({spec.task}): right, sha256 {weights.verify(spec)}")
        except WeightsError as error:
            failed += 1
            echo(f"{spec.name} ({spec.task}): {error}", err=True)
    if failed:
        raise WeightsError(f"{failed} of {len(chosen)} weights files cannot be used")


@models.command()
@click.argument("name", required=False)
@verbose_option
def path(name: str | None, verbose: int) -> None:
    """Say where weights lie.

    The folder, or the file of the model NAME, be it there or not.
    """
    start_logging(verbose)
    if name is None:
        echo(weights.folder())
        return
    for spec in _named([name]):
        echo(weights.path_of(spec))


def pull_if_named(name: str, task: Task) -> None:
    """Download a model that a command was asked for by name, showing licence and progress.

    Paths, `auto` and what is installed are left alone.

    Args:
        name: what the user gave, such as `gfpgan-1.4`.
        task: what the model is to do.
    """
    if name not in zoo.names(task):
        return
    (spec,) = zoo.find(name, task)
    if not spec.embedded and not weights.path_of(spec).is_file():
        with show_download() as on_download:
            weights.pull(spec, on_download=on_download)


@contextmanager
def show_download() -> Iterator[OnDownload]:
    """A callback for `weights.pull`: licence first, then, on a terminal, a progress bar."""
    from tqdm import tqdm

    bar: Any = None

    def show(spec: ModelSpec, received: int, total: int | None) -> None:
        nonlocal bar
        if bar is None:
            echo(f"{spec.name}: downloading {spec.url} (size: {_size(spec)})", err=True)
            echo(f"{spec.name}: licence: {spec.licence}", err=True)
            bar = tqdm(
                desc=spec.name,
                unit="B",
                unit_scale=True,
                dynamic_ncols=True,
                disable=not sys.stderr.isatty(),
            )
        bar.total = total
        bar.update(received - bar.n)

    try:
        yield show
    finally:
        if bar is not None:
            bar.close()


def _visible() -> Iterator[ModelSpec]:
    return (spec for spec in zoo.MODELS if not spec.hidden)


def _named(names: Iterable[str]) -> list[ModelSpec]:
    return [spec for name in names for spec in zoo.find(name) if spec.needs_file]


def _has_file(spec: ModelSpec) -> bool:
    return spec.needs_file and weights.path_of(spec).is_file()


def _size(spec: ModelSpec) -> str:
    size = spec.bytes
    if size is None and _has_file(spec):
        size = weights.path_of(spec).stat().st_size
    return "unknown" if size is None else f"{size / 1e6:.1f} MB"


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Rows as lines with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
