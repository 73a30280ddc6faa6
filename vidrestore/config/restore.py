"""Options of the stage `restore`."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from vidrestore.config.stage import StageConfig

__all__ = ["RestoreStageConfig"]


class RestoreStageConfig(StageConfig):
    """The network that restores."""

    model: str = Field(
        "auto", description="a name from `vidrestore models list`, or a weights file"
    )
    batch_size: int = Field(
        0,
        ge=0,
        le=256,
        description="crops given to the network at once; 0 picks one for the device",
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="number format of the network"
    )
    backend: Literal["auto", "eager", "compiled", "cuda_graph", "onnxruntime", "openvino"] = Field(
        "auto",
        description="what computes the network: torch (eager, compiled, cuda_graph), onnxruntime "
        "or openvino; auto takes what `vidrestore bench --choose` found on this machine, else "
        "cuda_graph on cuda and eager elsewhere",
    )
    noise: Literal["fixed", "fresh"] = Field(
        "fixed", description="noise of StyleGAN2 decoders: the stored one, or new for every crop"
    )
    measure_noise: bool = Field(
        True,
        description="measure grain and noise around faces over a few frames, and take them out of "
        "faces; blend.grain says how much comes back",
    )
    conceal_defects: bool = Field(
        True,
        description="take dust and scratches of film out of faces: what is in one frame and in "
        "neither of its neighbours, and lines down the frame that do not move with the face",
    )
    template: Literal["ffhq", "gpen"] | None = Field(
        None, description="alignment of an ONNX model's crops, where its file does not say it"
    )
    value_range: tuple[float, float] | None = Field(
        None,
        description="black and white of an ONNX model, such as -1,1 or 0,1 or 0,255, where its "
        "file does not say it",
    )
    channels: Literal["rgb", "bgr"] | None = Field(
        None, description="order of an ONNX model's channels; that of its file, or rgb"
    )

    @field_validator("value_range", mode="before")
    @classmethod
    def _parse_range(cls, value: object) -> object:
        if value is None:
            return None
        try:
            low, high = map(float, value.split(",") if isinstance(value, str) else value)  # type: ignore[call-overload]
            is_range = -math.inf < low < high < math.inf
        except (TypeError, ValueError):
            is_range = False
        if not is_range:
            raise PydanticCustomError("value_range", "expected black and white, such as -1,1")
        return low, high
