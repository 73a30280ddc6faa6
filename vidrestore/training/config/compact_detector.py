"""Options of the task `compact_detector`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from vidrestore.training.config.fields import MOST, MOST_PX, TrainingPart, Weight
from vidrestore.training.config.training_config import DataConfig, TrainingConfig

__all__ = ["CompactDetectorConfig", "DetectorStage"]


class DetectorStage(TrainingPart):
    """A stage of the compact detector's training, of one of its two networks."""

    network: Literal["cells", "refiner"] = Field(
        description="the one that detects faces in a picture, or the one that refines each of them"
    )
    images: int = Field(
        ge=1, le=MOST, description="scenes to see; the refiner takes four crops of one"
    )
    schedule_images: int | None = Field(
        None, ge=1, le=MOST, description="length of the rate's schedule; None for the stage's own"
    )
    batch_size: int = Field(8, ge=1, le=65_536, description="scenes")
    scene_px: int = Field(
        256, ge=64, le=MOST_PX, multiple_of=64, description="side of the scenes for cells"
    )
    learning_rate: float = Field(1.2e-3, ge=0, le=10, description="peak; see `learning_rate`")
    average_keep: float = Field(
        0.998, ge=0, lt=1, description="share of the running average that stays in a step"
    )
    use_teacher: bool = Field(False, description="whether labels are the teacher's")
    bfloat16_share: float = Field(0.9, ge=0, le=1, description="of the stage; then float32")

    @model_validator(mode="after")
    def _whole_batches(self) -> DetectorStage:
        if self.images % self.batch_size:
            raise ValueError(f"{self.images} images are no whole batches of {self.batch_size}")
        return self


class DetectorLosses(TrainingPart):
    """Terms of both networks."""

    cells_score: Weight = Field(1.0, description="quality focal, of cells")
    cells_box: Weight = Field(1.0, description="generalised IoU")
    cells_landmark: Weight = 8.0
    refiner_score: Weight = 1.0
    refiner_landmark: Weight = 8.0


class CompactDetectorConfig(TrainingConfig):
    """The small detector that ships, in stages."""

    default_arch: ClassVar[str] = "CompactDetector"

    task: Literal["compact_detector"] = "compact_detector"
    teacher: Path | None = Field(
        None, description="RetinaFace's weights; None finds retinaface-mobile0.25 installed"
    )
    textures: Path | None = Field(
        None, description="pictures without faces; None finds scikit-image's"
    )
    start_from: Path | None = Field(None, description="weights to begin with")
    weight_decay: float = Field(1e-2, ge=0, le=10)
    losses: DetectorLosses = DetectorLosses()
    stages: tuple[DetectorStage, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _no_idle_fields(self) -> CompactDetectorConfig:
        if self.precision != "float32":
            raise ValueError("precision: stages say how much of them is in bfloat16_share")
        usual = DataConfig(size_px=self.data.size_px)
        for name in DataConfig.model_fields:
            if getattr(self.data, name) != getattr(usual, name):
                raise ValueError(f"data.{name}: scenes are made otherwise; leave it out")
        return self
