"""The models of a comparison: their names, checksums and how they are loaded."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import vidrestore
from vidrestore.errors import UsageError
from vidrestore.evaluation.protocols import Protocol
from vidrestore.evaluation.results import INPUT, TRUTH
from vidrestore.models.load import choose_restorer
from vidrestore.models.names import resolve
from vidrestore.models.weights import store as weights

__all__ = ["ModelEntry", "header", "list_models", "versions"]


_PER_FRAME = "(per frame)"


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One model to compare."""

    name: str
    """What tables call it."""
    source: str
    """What `load_restorer` takes."""
    sha256: str | None
    """Of its weights; None if it has none."""
    per_frame: bool = False
    """Whether videos are restored the way of picture restorers: see `config.PER_FRAME`."""

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {"name": self.name, "sha256": self.sha256}


def list_models(models: Sequence[str], *, per_frame: bool = False) -> list[ModelEntry]:
    """The models that the user named; "input", which is always there, is left out.

    Args:
        models: names of the zoo, weights files, or "input".
        per_frame: whether each one competes a second time, with every frame by itself.

    Raises:
        UnknownModelError: there is no such model.
        WeightsError: a file is missing.
        UsageError: a model was named twice.
    """
    found: list[ModelEntry] = []
    for source in models:
        if source == INPUT:
            continue
        described = choose_restorer(source)  # Says now what is missing, not after minutes.
        chosen = resolve(source, "restorer")
        if isinstance(chosen, Path):
            file = Path(described)
            name = file.name if file.name not in {c.name for c in found} else str(file)
            sha256: str | None = weights.sha256_of(file)
        else:
            name, path = chosen.name, weights.path_of(chosen)
            sha256 = weights.sha256_of(path) if chosen.needs_file and path.is_file() else None
        if name in {INPUT, TRUTH} | {c.name for c in found}:
            raise UsageError(f"model {source}: {name!r} is there already; name each model once")
        found.append(ModelEntry(name, source, sha256))
    if per_frame:
        baselines = [replace(one, name=f"{one.name} {_PER_FRAME}", per_frame=True) for one in found]
        found = [one for both in zip(found, baselines, strict=True) for one in both]
    return found


def header(
    protocol: Protocol,
    seed: int,
    models: Sequence[ModelEntry],
    measures: Sequence[str],
    not_available: Mapping[str, str],
) -> dict[str, Any]:
    """What the results say of themselves."""
    return {
        "protocol": {"name": protocol.name, "description": protocol.description},
        "seed": seed,
        "weights": [model.record() for model in models],
        "measures": list(measures),
        "not_available": dict(not_available),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Of everything that has a say in the numbers."""
    import av
    import cv2
    import numpy as np
    import torch

    return {
        "vidrestore": vidrestore.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "av": av.__version__,
    }
