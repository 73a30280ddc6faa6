"""Read training configurations: YAML, changes by dotted keys, checked by their task's class.

config = load_training_config("gfpgan", {"batch_size": "4"})
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from vidrestore.errors import DataError, nearest
from vidrestore.settings import TRAINING_PRESETS, find_settings, parse_yaml, read_yaml, shown
from vidrestore.training.config import (
    CompactDetectorConfig,
    CompactGeneratorConfig,
    GFPGANConfig,
    GPENConfig,
    StyleGAN2PriorConfig,
    TrainingConfig,
)

__all__ = [
    "TRAINING_CONFIGS",
    "load_training_config",
    "parse_training_config",
    "read_training_config",
]

TRAINING_CONFIGS: Mapping[str, type[TrainingConfig]] = {
    "stylegan2_prior": StyleGAN2PriorConfig,
    "gfpgan": GFPGANConfig,
    "gpen": GPENConfig,
    "compact_generator": CompactGeneratorConfig,
    "compact_detector": CompactDetectorConfig,
}
"""The tasks of `vidrestore.training.train.train` and their configurations."""


def load_training_config(
    path: str | Path, changes: Mapping[str, str] | None = None
) -> TrainingConfig:
    """Read a configuration.

    Args:
        path: the name of one that ships (`configs/train`), or the path of a YAML file.
        changes: {"dotted.key": "YAML value"}, which win over the file.

    Raises:
        UsageError: no configuration has the name, or a file in the current folder has it too.
        DataError: it cannot be read, or has an unknown key or a bad value.
    """
    content = read_training_config(path, changes)
    task = str(content.get("task"))
    if task not in TRAINING_CONFIGS:
        known = ", ".join(TRAINING_CONFIGS)
        hint = nearest(task, TRAINING_CONFIGS) or f"; known: {known}"
        raise DataError(f"configuration {path}: unknown task {task!r}{hint}")
    return parse_training_config(TRAINING_CONFIGS[task], content, f"configuration {path}")


def parse_training_config(
    kind: type[TrainingConfig], content: Mapping[str, Any], named: str
) -> TrainingConfig:
    """Check the contents of a configuration.

    Args:
        kind: what it must be.
        content: fields by name, nested.
        named: how to call it in a message.

    Raises:
        DataError: there is an unknown key or a bad value.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise DataError(f"{named}: {_explain(error, kind)}") from error


def read_training_config(
    path: str | Path, changes: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The contents of a configuration with changes, not yet checked; see `load_training_config`.

    Raises:
        UsageError: no configuration has the name, or a file in the current folder has it too.
        DataError: it cannot be read.
    """
    file = find_settings(path, TRAINING_PRESETS, "training configuration")
    content = read_yaml(file, f"configuration {path}", DataError)
    if not isinstance(content, dict):
        raise DataError(f"configuration {path}: expected fields with values, got {shown(content)}")
    for key, text in (changes or {}).items():
        _set(content, key, parse_yaml(text, f"--set {key}", DataError), path)
    return content


def _set(content: dict[str, Any], dotted: str, value: Any, path: str | Path) -> None:
    """Put a value where a dotted key says; numbers are places in lists."""
    *parents, last = dotted.split(".")
    place: Any = content
    try:
        for name in parents:
            place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
        place[int(last) if isinstance(place, list) else last] = value
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise DataError(f"configuration {path}: no place {dotted!r} in it ({error})") from error


def _explain(error: ValidationError, kind: type[BaseModel]) -> str:
    """The first thing that is wrong, with the nearest key where one is unknown."""
    first = error.errors()[0]
    *parents, last = first["loc"] or ("",)
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _model_at(kind, parents).model_fields
        hint = nearest(str(last), known) or f"; known: {', '.join(known)}"
        return f"unknown key {name!r}{hint}"
    if first["type"] == "missing":
        return f"{name} is missing"
    if first["type"] == "value_error":
        return f"{name}: {first['ctx']['error']}".removeprefix(": ")
    return f"{name}: {first['msg']}, got {shown(first['input'])}"


def _model_at(kind: type[BaseModel], parents: list[str | int]) -> type[BaseModel]:
    """The model of the part that a path of keys leads to."""
    for name in parents:
        if isinstance(name, str) and name in kind.model_fields:
            kind = _model_in(kind.model_fields[name].annotation) or kind
    return kind


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(part) for part in get_args(annotation))
    return next((model for model in found if model is not None), None)
