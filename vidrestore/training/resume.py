"""What of a configuration may change between the parts of a training that was broken off."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vidrestore.errors import DataError
from vidrestore.training.checkpoint import TrainingState
from vidrestore.training.config import TrainingConfig
from vidrestore.training.config_files import TRAINING_CONFIGS, parse_training_config

__all__ = ["require_same"]

_FREE = ("report.", "data.memory_gib", "weights.", "when_missing")
"""Change nothing of the result, or only where files lie."""
_FIXED = ("seed", "batch_size", "betas", "weight_decay")
"""Are in the order of the samples, in the counters or in the optimisers' states."""

_logger = logging.getLogger(__name__)


def require_same(config: TrainingConfig, found: TrainingState, path: Path) -> None:
    """Compare a configuration with that of the checkpoint it is to go on from.

    What differs and applies from here on, such as a learning rate, is named in the log.

    Args:
        config: what to do.
        found: the checkpoint.
        path: its file, for messages.

    Raises:
        DataError: something differs that would not apply, or that would shift the counters.
    """
    theirs = parse_training_config(
        TRAINING_CONFIGS[found.task], found.config, f"configuration of the checkpoint {path}"
    )
    before, now = dict(_leaves(theirs.model_dump())), dict(_leaves(config.model_dump()))
    names = [
        name
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name) and not name.startswith(_FREE)
    ]
    over = _stages_over(theirs, found.images)
    refused = [
        name
        for name in names
        if any(part in _FIXED for part in name.split("."))
        or any(name == f"stages.{number}.images" for number in range(over))
    ]
    if refused:
        name = refused[0]
        raise DataError(
            f"checkpoint {path}: does not fit the configuration: {name} was {before.get(name)}, "
            f"and is {now.get(name)} now; go on with {path.parent / 'config.yaml'}, or begin in "
            "another folder"
        )
    if names:
        told = ", ".join(f"{name} {before.get(name)} → {now.get(name)}" for name in names)
        _logger.warning("the configuration differs from the checkpoint's from here on: %s", told)


def _stages_over(config: TrainingConfig, images: int) -> int:
    """How many stages of a configuration are over after so many images."""
    over = end = 0
    for stage in getattr(config, "stages", ()):
        end += stage.images
        over += end <= images
    return over


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Values by dotted names, as `--set` has them."""
    if isinstance(value, dict):
        parts = list(value.items())
    elif isinstance(value, list | tuple):
        parts = list(enumerate(value))
    else:
        yield name, value
        return
    for key, part in parts:
        yield from _leaves(part, f"{name}.{key}" if name else str(key))
