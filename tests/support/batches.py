"""Small batches, ready to be run, with the quickest options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vidrestore.batch.plan import plan_batch
from vidrestore.batch.state import BatchFolder, Settings
from vidrestore.config import resolve_config

QUICK: dict[str, Any] = {
    "restore.model": "debug",
    "detect.refine_passes": 0,
    "detect.rotated": False,
    "restore.measure_noise": False,
    "restore.conceal_defects": False,
}


def settings_of(
    *inputs: Path, max_attempts: int = 2, ending: str | None = None, **options: Any
) -> Settings:
    """Of a quick batch."""
    config = resolve_config(None, QUICK | options)
    return Settings(tuple(map(str, inputs)), config.record(), ending, max_attempts=max_attempts)


def planned(output: Path, *inputs: Path, **options: Any) -> BatchFolder:
    """A batch of some inputs, ready to be run."""
    folder = BatchFolder(output)
    plan_batch(folder, settings_of(*inputs, **options), {"strength": "blend.strength"})
    return folder
