"""Options of the stage `detect`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from vidrestore.config.stage import StageConfig

__all__ = ["DetectConfig"]


class DetectConfig(StageConfig):
    """Where and how often the face detector runs."""

    detector: str = Field(
        "auto", description="face detector: embedded, retinaface-mobile0.25, retinaface-resnet50"
    )
    backend: Literal["auto", "eager", "compiled", "cuda_graph", "onnxruntime", "openvino"] = Field(
        "auto",
        description="what computes the detector: torch (eager, compiled, cuda_graph), onnxruntime "
        "or openvino; auto takes what `vidrestore bench --choose` found on this machine, else "
        "cuda_graph on cuda and eager elsewhere",
    )
    every_frames: int = Field(
        5,
        ge=1,
        le=100_000,
        description="run the detector on every n-th frame, at shot cuts, and where a face has "
        "moved far or something enters at the border",
    )
    size_px: int = Field(
        640,
        ge=64,
        le=4096,
        description="longer side of the reduced picture given to the detector, in pixels",
    )
    min_score: float | None = Field(
        None,
        ge=0,
        le=1,
        description=(
            "discard detections with a lower score; by default the detector's own threshold"
        ),
    )
    refine_passes: int = Field(
        2,
        ge=0,
        le=4,
        description="how often the landmarks of each detected face are refined in an enlarged crop",
    )
    rotated: bool = Field(
        True,
        description=(
            "also detect heads that lean far to the side, in rotated copies, about once a second, "
            "and heads that lie or are upside down, where a shot begins with no upright face"
        ),
    )
    min_face_px: float = Field(
        8.0,
        ge=0,
        le=16_384,
        description="faces with a smaller distance between the eyes, in pixels, are not restored",
    )
    faces: Literal["all", "largest"] = Field(
        "all", description="restore all faces, or the largest of each frame"
    )
    max_faces: int = Field(
        64, ge=1, le=64, description="restore at most so many faces of a frame, the largest first"
    )
