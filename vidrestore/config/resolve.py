"""From presets, YAML, dictionaries and single options to a `RestoreConfig`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import ValidationError

from vidrestore.config.restore_config import RestoreConfig, dotted_fields
from vidrestore.errors import UsageError, nearest
from vidrestore.settings import PRESETS, find_settings, read_yaml, shown

__all__ = ["PER_FRAME", "ConfigLike", "find_preset", "load_config", "resolve_config"]

PER_FRAME: Mapping[str, Any] = {
    "detect.every_frames": 1,
    "detect.refine_passes": 0,
    "track.max_gap_frames": 0,
    "align.window_s": 0.0,
    "gate.fade_frames": 0,
    "restore.noise": "fresh",
    "restore.measure_noise": False,
    "restore.conceal_defects": False,
    "temporal_filter.strength": 0.0,
}
"""How restorers of pictures treat a video, every frame by itself: the baseline of all that is said
about steadiness."""

ConfigPart: TypeAlias = Mapping[str, Any] | str | Path
ConfigLike: TypeAlias = RestoreConfig | ConfigPart | Sequence[ConfigPart] | None
"""What `resolve_config` takes for a configuration."""


def find_preset(given: str | Path) -> Path:
    """Find the file of a preset by its name, or a YAML file by its path.

    Raises:
        UsageError: no preset has the name, or a file in the current folder has it too.
    """
    return find_settings(given, PRESETS, "preset")


def load_config(source: ConfigPart) -> dict[str, Any]:
    """Return the options of a preset, a YAML file or a dictionary as {'stage.field': value}.

    Args:
        source: the name of a preset, the path of a YAML file, or `{"stage": {"field": value}}`.

    Raises:
        UsageError: the file is missing or is not YAML, or it names an unknown option.
    """
    if isinstance(source, Mapping):
        return _dotted(source, "configuration")
    named = f"configuration {source}"
    return _dotted(read_yaml(find_preset(source), named) or {}, named)


def _dotted(stages: object, named: str) -> dict[str, Any]:
    if not isinstance(stages, Mapping):
        raise UsageError(f"{named}: expected stages with options, got {shown(stages)}")
    values: dict[str, Any] = {}
    for stage, options in stages.items():
        if stage not in RestoreConfig.model_fields:
            raise UsageError(
                f"{named}: unknown stage {shown(stage)}"
                + nearest(str(stage), RestoreConfig.model_fields)
            )
        if not isinstance(options, Mapping):
            raise UsageError(f"{named}: {stage} needs options, got {shown(options)}")
        values |= {f"{stage}.{name}": value for name, value in options.items()}
    return values


def resolve_config(
    config: ConfigLike = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    per_frame: bool = False,
) -> RestoreConfig:
    """The configuration of a run: defaults, then `config`, then `PER_FRAME`, then `overrides`.

    Args:
        config: a ready configuration; the name of a preset, the path of a YAML file, a dictionary
            `{"stage": {"field": value}}`, or several of these, of which the later win; or None for
            the defaults.
        overrides: {'stage.field': value}; wins over all else.
        per_frame: whether `PER_FRAME` applies.

    Raises:
        UsageError: for an unknown option (the nearest name is given) or a bad value.
    """
    base = config if isinstance(config, RestoreConfig) else RestoreConfig()
    values: dict[str, Any] = {}
    for part in _parts(config):
        values |= load_config(part)
    values |= PER_FRAME if per_frame else {}
    values |= overrides or {}
    known = dotted_fields()
    merged = base.model_dump()
    for dotted, value in values.items():
        if dotted not in known:
            raise UsageError(f"unknown option {shown(dotted)}{nearest(dotted, known)}")
        stage, _, name = dotted.partition(".")
        merged[stage][name] = value
    try:
        resolved = RestoreConfig.model_validate(merged)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{name}: {first['msg']}, got {shown(first['input'])}") from error
    decode = resolved.decode
    if decode.start is not None and decode.end is not None and decode.end <= decode.start:
        raise UsageError(f"decode.end: must be after decode.start {decode.start}, got {decode.end}")
    return resolved


def _parts(config: ConfigLike) -> Sequence[ConfigPart]:
    if config is None or isinstance(config, RestoreConfig):
        return ()
    return (config,) if isinstance(config, Mapping | str | Path) else config
