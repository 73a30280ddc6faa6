"""Checkpoints: written under a temporary name, read without trusting them.

A checkpoint is one file with plain tensors, numbers, texts and tables, which torch's restricted
unpickler reads: {"task": …, "config": the resolved configuration as JSON, "images": …, "state": of
the task}.
"""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidrestore.errors import DataError
from vidrestore.models.weights.pickle_check import UnsafeWeights, check_weights_file
from vidrestore.runtime.inputs import require_file
from vidrestore.runtime.output_file import OutputFile

__all__ = ["TrainingState", "check_checkpoint", "read_checkpoint", "write_checkpoint"]

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class TrainingState:
    """What a checkpoint holds."""

    task: str
    config: dict[str, Any]
    """The resolved configuration, as its class takes it."""
    images: int
    """Images seen."""
    state: dict[str, Any]
    """Networks, optimisers and counters of the task; "average" is what ships."""
    metrics: dict[str, float]
    """What the last validation gave."""
    best: float | None = None
    """Of the metric by which the best checkpoint is chosen."""


def write_checkpoint(path: Path, content: TrainingState) -> None:
    """Write a checkpoint; the file of that name is the old one or the new one, never a part."""
    table = {
        "format": _FORMAT,
        "task": content.task,
        "config": json.dumps(content.config),
        "images": content.images,
        "state": content.state,
        "metrics": dict(content.metrics),
        "best": content.best,
    }
    import torch

    with OutputFile(path, overwrite=True) as output:
        torch.save(table, output.temporary)
        output.publish()


def check_checkpoint(path: Path) -> None:
    """Refuse what is surely no checkpoint, without torch.

    Raises:
        DataError: it is missing, no file of the kind that `torch.save` writes, damaged or unsafe.
    """
    require_file(path, f"checkpoint {path}", DataError)
    try:
        with path.open("rb") as file:
            if file.read(2) != b"PK":
                raise DataError(f"checkpoint {path}: not one of `vidrestore train`")
        check_weights_file(path)
    except OSError as error:
        raise DataError(f"checkpoint {path}: {error.strerror}; check the path") from error
    except UnsafeWeights as error:
        raise DataError(f"checkpoint {path}: damaged ({str(error)[:160]})") from error


def read_checkpoint(path: Path) -> TrainingState:
    """Read a checkpoint onto the CPU; nothing in it is executed.

    Raises:
        DataError: it is missing, damaged, or no checkpoint.
    """
    check_checkpoint(path)
    import torch

    try:
        table = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(table, dict) or table.get("format") != _FORMAT:
            raise DataError(f"checkpoint {path}: not one of `vidrestore train`")
        return TrainingState(
            table["task"],
            json.loads(table["config"]),
            table["images"],
            table["state"],
            table["metrics"],
            table["best"],
        )
    except (pickle.UnpicklingError, RuntimeError, EOFError, LookupError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        words = str(error).splitlines() or [type(error).__name__]
        raise DataError(f"checkpoint {path}: damaged ({words[0][:160]})") from error
