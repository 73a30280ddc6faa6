"""Command-line options made from the fields of `RestoreConfig`, so that one thing has one name."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import click

from vidrestore.cli.terminal import PrintableFormatter
from vidrestore.config import RestoreConfig, dotted_fields, find_preset
from vidrestore.settings import PRESETS, settings_names

__all__ = [
    "ALIASES",
    "config_options",
    "presets_option",
    "some_config_options",
    "start_logging",
    "verbose_option",
]

F = TypeVar("F", bound=Callable[..., Any])

ALIASES = {
    "restore.model": "--model",
    "restore.template": "--model-template",
    "restore.value_range": "--model-range",
    "detect.detector": "--detector",
    "blend.strength": "--strength",
    "blend.mask": "--mask",
    "run.device": "--device",
    "run.threads": "--threads",
    "decode.start": "--start",
    "decode.end": "--end",
    "decode.fps": "--fps",
    "decode.gaps": "--gaps",
    "decode.deinterlace": "--deinterlace",
    "decode.prefilter": "--prefilter",
    "encode.sink": "--sink",
    "encode.ffmpeg_args": "--ffmpeg-args",
    "encode.crf": "--crf",
    "encode.codec": "--codec",
    "encode.profile": "--profile",
    "encode.speed": "--speed",
    "encode.audio": "--audio",
    "encode.drop": "--drop",
    "encode.overwrite": "--overwrite",
    "encode.keep_damaged": "--keep-damaged",
    "detect.faces": "--faces",
    "track.file": "--tracks",
    "job.work": "--work",
    "job.no_resume": "--no-resume",
    "job.restart": "--restart",
    "job.verify": "--verify",
    "job.same_device": "--same-device",
    "detect.min_face_px": "--min-face",
    "detect.max_faces": "--max-faces",
}
"""The options that people use daily, by their short names."""


class HelpInSections(click.Command):
    """A help page with the daily options first, then those of each stage."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {"Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None or isinstance(parameter, click.Argument):
                continue
            stage = getattr(parameter, "stage", None)
            sections.setdefault(f"Options of {stage}" if stage else "Options", []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


class _ConfigOption(click.Option):
    """An option that stands for one field of the configuration."""

    stage: str | None = None

    def __init__(self, dotted: str, **settings: Any) -> None:
        long = "--" + dotted.replace("_", "-")
        flags = [ALIASES[dotted], long] if dotted in ALIASES else [long]
        super().__init__([*flags, dotted.replace(".", "__")], **settings)
        self.dotted = dotted
        self.stage = None if dotted in ALIASES else dotted.partition(".")[0]


def config_options(function: F) -> F:
    """Add every field of the configuration as an option; unset ones arrive as None."""
    return some_config_options(*dotted_fields())(function)


def some_config_options(*names: str) -> Callable[[F], F]:
    """Add fields of the configuration, by their dotted names, as options."""

    def add(function: F) -> F:
        params = function.__dict__.setdefault("__click_params__", [])
        params.extend(_option(dotted) for dotted in reversed(names))
        return function

    return add


def given_options(values: dict[str, Any]) -> dict[str, Any]:
    """{'stage.field': value} of the configuration options that were given."""
    return {
        name.replace("__", "."): value
        for name, value in values.items()
        if "__" in name and value is not None and value != ()
    }


def _option(dotted: str) -> _ConfigOption:
    model, name = dotted_fields()[dotted]
    field = model.model_fields[name]
    default = getattr(getattr(RestoreConfig(), dotted.partition(".")[0]), name)
    settings: dict[str, Any] = {"help": field.description, "default": None}
    if isinstance(default, bool):
        settings |= {"is_flag": True, "flag_value": True} if not default else {"type": bool}
        settings["help"] += "" if not default else f"  [default: {default}]"
    elif isinstance(default, tuple):
        settings |= {"callback": _split, "metavar": "A,B,…"}
    elif get_origin(field.annotation) is Literal:
        settings |= {"type": click.Choice(get_args(field.annotation))}
        settings["help"] += f"  [default: {default}]"
    else:
        settings |= {"metavar": _metavar(default, field.annotation)}
        if default is not None:
            settings["help"] += f"  [default: {default}]"
    return _ConfigOption(dotted, **settings)


def _metavar(default: object, kind: object) -> str:
    if Path in get_args(kind):
        return "FILE"
    for part in (kind, *get_args(kind)):
        if get_origin(part) is Literal:
            return "|".join(get_args(part))
        if get_origin(part) is tuple:
            return "LOW,HIGH"
    return "TEXT" if isinstance(default, str) or str in get_args(kind) else "NUMBER"


def _split(ctx: click.Context, option: click.Parameter, value: str | None) -> list[str] | None:
    return None if value is None else [part.strip() for part in value.split(",") if part.strip()]


def _find_presets(
    ctx: click.Context, option: click.Parameter, given: tuple[str, ...]
) -> tuple[Path, ...]:
    return tuple(find_preset(one) for one in given)


presets_option = click.option(
    "--config",
    "presets",
    metavar="NAME|FILE",
    multiple=True,
    callback=_find_presets,
    help=f"a preset by its name ({', '.join(settings_names(PRESETS))}), or a YAML file by its "
    "path; may be given several times, the later ones win",
)
"""Arrives as the paths of files."""

verbose_option = click.option("-v", "--verbose", count=True, help="log what happens (-vv: more)")


def start_logging(verbose: int) -> None:
    """Send the package's log to stderr: warnings always, more with -v and -vv."""
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG)
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("vidrestore").setLevel(level)
