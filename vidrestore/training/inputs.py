"""Look at what a training or an export reads before torch is imported for it."""

from __future__ import annotations

from pathlib import Path

from vidrestore.degradations import load_recipe
from vidrestore.errors import DataError
from vidrestore.models.weights.file_check import check_file
from vidrestore.runtime.output_file import check_outputs
from vidrestore.training.checkpoint import check_checkpoint
from vidrestore.training.config import TrainingConfig

__all__ = ["require_exportable", "require_inputs"]


def require_inputs(config: TrainingConfig, data: Path) -> None:
    """Refuse a folder of data that is not there, and weights or a recipe that cannot be used.

    Raises:
        DataError: there is no such folder.
        UsageError: there is no such recipe, or it is not well formed.
        WeightsError: the weights to begin with are missing, or no weights file.
    """
    if not data.is_dir():
        raise DataError(f"training data {data}: no such folder")
    for field in ("prior", "start_from"):
        path = getattr(config, field, None)
        if path is not None:
            check_file(path)
    if recipe := getattr(config, "degradation", None):
        load_recipe(recipe)


def require_exportable(
    checkpoint: Path, destination: Path, blend: Path | None, *, overwrite: bool
) -> None:
    """Refuse what is no checkpoint, and a destination that cannot be written; as for `export`.

    Raises:
        DataError: it is no checkpoint, or the destination's ending is none of weights.
        VideoWriteError: the destination exists, is an input, or has no folder.
        WeightsError: the weights to blend with are missing, or no weights file.
    """
    if destination.suffix not in (".safetensors", ".onnx"):
        raise DataError(f"{destination}: ends neither in .safetensors nor in .onnx")
    inputs = [checkpoint, *([blend] if blend else [])]
    check_outputs([destination], inputs=inputs, overwrite=overwrite)
    check_checkpoint(checkpoint)
    if blend is not None:
        check_file(blend)
