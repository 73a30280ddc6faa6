"""What all trainings are told: data, network, and how often a run tells about itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from vidrestore.models.registry import full_name
from vidrestore.training.config.fields import MOST, MOST_PX, Arguments, TrainingPart

__all__ = ["DataConfig", "ReportConfig", "TermFiles", "TrainingConfig"]


class DataConfig(TrainingPart):
    """How pictures become samples."""

    size_px: int = Field(512, ge=8, le=MOST_PX, description="side of the pictures")
    resize: bool = Field(False, description="resample square pictures of another size")
    template: Literal["ffhq", "gpen"] = Field(
        "ffhq", description="alignment of the crops, to which faces with landmarks are warped"
    )
    unlabelled_template: Literal["ffhq", "gpen"] = Field(
        "ffhq", description="alignment that pictures without landmarks have already"
    )
    held_out_every: int = Field(
        20,
        ge=2,
        le=MOST,
        description="every so many pictures are held out where labels.csv has no split",
    )
    mirror_share: float = Field(0.5, ge=0, le=1, description="share of mirrored samples")
    gray_share: float = Field(
        0.0, ge=0, le=1, description="share of black-and-white samples, input and truth"
    )
    memory_gib: float = Field(4.0, ge=0, le=1e6, description="most memory for decoded pictures")


class ReportConfig(TrainingPart):
    """How often a run tells about itself; none of it changes the result."""

    log_every_steps: int = Field(100, ge=1, le=MOST, description="scalars")
    validate_every_steps: int = Field(
        2000, ge=1, le=MOST, description="held-out faces, and the best one"
    )
    samples_every_steps: int = Field(2000, ge=1, le=MOST, description="grid of pictures")
    save_every_steps: int = Field(1000, ge=1, le=MOST, description="checkpoint")
    held_out_faces: int = Field(
        16, ge=1, le=MOST, description="most faces looked at, evenly spread"
    )
    sample_faces: int = Field(8, ge=1, le=1024, description="pictures of the grid")


class TermFiles(TrainingPart):
    """Networks that loss terms look through; None finds the installed one."""

    vgg19: Path | None = Field(None, description="torchvision's VGG19")
    identity: Path | None = Field(None, description="mobilefacenet.pt")
    arcface: Path | None = Field(None, description="arcface_resnet18.pth, of GFP-GAN's identity")


class TrainingConfig(TrainingPart):
    """What all configurations have."""

    default_arch: ClassVar[str] = ""

    task: str
    seed: int = Field(0, ge=0, le=2**62)
    precision: Literal["float32", "bfloat16"] = "float32"
    network: Arguments = Field(
        default_factory=dict, description="hyper-parameters of the network, and `arch`"
    )
    data: DataConfig = DataConfig()
    report: ReportConfig = ReportConfig()
    weights: TermFiles = TermFiles()
    when_missing: Literal["refuse", "skip"] = Field(
        "refuse", description="a loss term whose network is not there"
    )

    @property
    def arch(self) -> str:
        """Name of the network that is trained."""
        return full_name(str(self.network.get("arch", self.default_arch)))

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """Keyword arguments of the network."""
        return {name: value for name, value in self.network.items() if name != "arch"}
