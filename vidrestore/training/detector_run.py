"""Trains the embedded detector by a plan: its stages, the refiner's, and the file that ships.

Run ``python -m vidrestore.training.detector_run configs/train/compact_detector.yaml faces=FOLDER
out=FOLDER``. Stages that are finished are not run again; one that was broken off goes on (the
detector's) or begins again (the refiner's).
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

from vidrestore.errors import DataError
from vidrestore.training.detector import DetectorRecipe, export_weights, train_detector
from vidrestore.training.detector_refiner import RefinerRecipe, merge_refiner, train_refiner

__all__ = ["DetectorPlan", "run_plan", "with_teacher"]

log = logging.getLogger(__name__)


class DetectorPlan(BaseModel):
    """What `configs/train/compact_detector.yaml` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    faces: Path
    """Folder with labels.csv and pictures."""
    out: Path
    """Folder for everything the run makes."""
    teacher: Path | None = None
    """RetinaFace weights for the stages that are `taught`."""
    workers: int = 1
    """Loader processes."""
    device: str = "auto"
    """Where the networks learn."""
    detector: tuple[dict[str, Any], ...]
    """Fields of `DetectorRecipe` for each stage; each begins with the weights of the one before.
    `taught: true` stands for the plan's teacher."""
    refiner: tuple[dict[str, Any], ...]
    """The same for `RefinerRecipe`."""


def run_plan(plan: DetectorPlan) -> Path:
    """Runs all stages of a plan.

    Args:
        plan: what to do.

    Returns:
        The weights file: ``detector.safetensors`` in the plan's folder.
    """
    refiner = detector = None
    for number, fields in enumerate(plan.refiner, 1):
        out = plan.out / f"refiner-{number}"
        paths = {"faces": plan.faces, "out": out, "start_from": refiner}
        fields = _machine(plan) | with_teacher(plan, fields)
        refiner = out / "done.pt"
        if not refiner.exists():
            train_refiner(RefinerRecipe(**{**fields, **paths})).rename(refiner)
    for number, fields in enumerate(plan.detector, 1):
        out = plan.out / f"detector-{number}"
        paths = {"faces": plan.faces, "out": out, "start_from": detector}
        fields = _machine(plan) | with_teacher(plan, fields)
        detector = out / "checkpoint.pt"
        train_detector(DetectorRecipe(**{**fields, **paths}))
    if refiner is None or detector is None:
        raise ValueError("the plan needs a stage of the detector and one of the refiner at least")
    merged, weights = plan.out / "merged.pt", plan.out / "detector.safetensors"
    merge_refiner(detector, refiner, merged)
    export_weights(merged, weights)
    return weights


def _machine(plan: DetectorPlan) -> dict[str, Any]:
    return {"n_workers": plan.workers, "device": plan.device}


def with_teacher(plan: DetectorPlan, fields: dict[str, Any]) -> dict[str, Any]:
    """A stage's fields with the plan's teacher where it is `taught`.

    Raises:
        DataError: if the plan has none.
    """
    rest = {name: value for name, value in fields.items() if name != "taught"}
    if not fields.get("taught"):
        return rest
    if plan.teacher is None:
        raise DataError("the plan's taught stages need a teacher: add teacher=RETINAFACE_WEIGHTS")
    return {**rest, "teacher": plan.teacher}


def main() -> None:
    """Runs the plan named on the command line; ``field=value`` replaces one of its fields."""
    import cv2
    import torch

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    fields = yaml.safe_load(Path(sys.argv[1]).read_text(encoding="utf-8"))
    fields.update(word.split("=", 1) for word in sys.argv[2:])
    log.info("wrote %s", run_plan(DetectorPlan(**fields)))


if __name__ == "__main__":
    main()
