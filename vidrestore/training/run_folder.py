"""The folder of a training: which files are a run's, and when it may write them."""

from __future__ import annotations

import os
from pathlib import Path

import yaml

from vidrestore.errors import DataError
from vidrestore.training.config import TrainingConfig

__all__ = ["CONFIG", "LAST", "config_text", "require_free"]

LAST = "last.pt"
CONFIG = "config.yaml"
_CHECKPOINTS = (LAST, "best.pt", "stage-*.pt")
_OTHERS = (CONFIG, "log.jsonl", "events.out.tfevents.*")


def config_text(config: TrainingConfig) -> str:
    """A configuration as a run keeps it."""
    text: str = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
    return text


def require_free(out: Path, config: TrainingConfig, *, resume: bool) -> None:
    """Refuse a folder that cannot be written, or whose files are not this training's.

    A training that was stopped before its first checkpoint left its configuration and perhaps a
    log. These are its own, and it begins anew in them, only if it is resumed and the configuration
    is the same.

    Args:
        out: the folder, which may not exist.
        config: what is to be trained.
        resume: whether the folder's training is to go on.

    Raises:
        DataError: says which file is there, and what to do.
    """
    if out.exists() and not out.is_dir():
        raise DataError(f"{out}: is a file; name a folder for what the training writes")
    above = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise DataError(f"{out}: {above} is no folder that can be written; name another one")
    checkpoints, others = _found(out, _CHECKPOINTS), _found(out, _OTHERS)
    if (out / LAST).exists():
        if resume:
            return
        raise DataError(
            f"{out} holds a training already: go on with it by --resume, or name another folder"
        )
    if checkpoints:
        raise DataError(
            f"{out} holds {checkpoints[0].name} but no {LAST}: copy it to {LAST} to go on from it "
            "by --resume, or name another folder"
        )
    if others and not (resume and _is_same(out / CONFIG, config)):
        raise DataError(
            f"{out} holds {others[0].name} but no checkpoint: of a training that ended before its "
            "first one (with the same configuration, --resume begins it anew), or of something "
            "else; move it away, or name another folder"
        )


def _found(out: Path, patterns: tuple[str, ...]) -> list[Path]:
    return [path for pattern in patterns for path in sorted(out.glob(pattern))]


def _is_same(path: Path, config: TrainingConfig) -> bool:
    """Whether a file is the configuration as a run keeps it."""
    text = config_text(config).encode()
    return path.is_file() and path.stat().st_size == len(text) and path.read_bytes() == text
