"""Options of every stage: one frozen model a stage, composed in `RestoreConfig`.

Each field has one dotted name, the same in Python, YAML (`configs/*.yaml`) and on the command line
(`track.max_gap_frames` is `--track.max-gap-frames`). Defaults are written here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vidrestore.errors import UsageError, nearest
from vidrestore.runtime.printable import well_formed_record
from vidrestore.settings import read_yaml, shown

__all__ = [
    "PER_FRAME",
    "AlignConfig",
    "BlendConfig",
    "DecodeConfig",
    "DetectConfig",
    "EncodeConfig",
    "GateConfig",
    "RestoreConfig",
    "RestoreStageConfig",
    "RunConfig",
    "TemporalFilterConfig",
    "TrackConfig",
    "input_files",
    "load_config",
    "resolve_config",
]


class _Stage(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False
    )


class DecodeConfig(_Stage):
    """Which part of the video is read, and how much damage is accepted."""

    start: float | None = Field(None, ge=0, le=1e7, description="first second to restore")
    end: float | None = Field(None, gt=0, le=1e7, description="stop before this second")
    max_broken: float = Field(
        0.05,
        ge=0,
        le=1,
        description="share of frames, or of a copied stream's packets, that may be lost",
    )
    cut_threshold: float = Field(
        0.35, gt=0, le=1, description="how different two frames must look to be a shot cut, 0 to 1"
    )


class DetectConfig(_Stage):
    """Where and how often faces are looked for."""

    detector: str = Field(
        "auto", description="face detector: embedded, retinaface-mobile0.25, retinaface-resnet50"
    )
    every_frames: int = Field(
        5, ge=1, le=100_000, description="look for faces every so many frames, and at cuts"
    )
    size_px: int = Field(
        640, ge=64, le=4096, description="longer side of the small copy the detector sees"
    )
    min_score: float | None = Field(
        None, ge=0, le=1, description="least detection score; the detector's own when not given"
    )
    refine_passes: int = Field(
        2, ge=0, le=4, description="closer looks at each face, for landmarks that hold still"
    )
    rotated: bool = Field(
        True, description="about once a second, look for heads that lean far to the side as well"
    )
    min_face_px: float = Field(
        8.0, ge=0, le=16_384, description="least distance between the eyes, in pixels"
    )
    faces: Literal["all", "largest"] = Field("all", description="which faces to restore")
    max_faces: int = Field(
        64, ge=1, le=64, description="most faces restored in a frame; the largest come first"
    )


class TrackConfig(_Stage):
    """How faces are followed from frame to frame."""

    file: Path | None = Field(
        None, description="take the faces of a file by `vidrestore inspect`, instead of looking"
    )
    max_gap_frames: int = Field(
        25, ge=0, le=100_000, description="a face lost for longer than this begins a new track"
    )
    min_iou: float = Field(0.2, ge=0, le=1, description="least overlap with the predicted box")
    max_flow_error: float = Field(
        0.15,
        gt=0,
        le=10,
        description="flow and detection disagree above this share of the eye distance",
    )


class AlignConfig(_Stage):
    """How the alignment is steadied over time."""

    window_s: float = Field(1.0, ge=0, le=5, description="seconds looked ahead and back")


class GateConfig(_Stage):
    """Which faces are left alone; what they fade over."""

    max_yaw: float = Field(
        75.0, gt=0, le=120, description="faces turned aside by more degrees are left alone"
    )
    max_blur: float = Field(
        1.0, gt=0.1, le=1, description="so are faces blurrier than this, 0 (sharp) to 1"
    )
    min_score: float = Field(
        0.0, ge=0, le=1, description="so are faces that the detector is less sure of"
    )
    fade_frames: int = Field(6, ge=0, le=50, description="frames in which a face fades in and out")


class RestoreStageConfig(_Stage):
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
    noise: Literal["fixed", "fresh"] = Field(
        "fixed", description="noise of StyleGAN2 decoders: the stored one, or new for every crop"
    )


class TemporalFilterConfig(_Stage):
    """How restored detail is filtered over time."""

    strength: float = Field(
        1.0, ge=0, le=1, description="how strongly restored detail is averaged over time, 0 to 1"
    )
    reach_frames: int = Field(5, ge=0, le=15, description="frames looked ahead and back")
    grain: float = Field(
        0.2,
        ge=0,
        le=1,
        description="share of the input's grain that is kept where detail is drawn anew, 0 to 1",
    )


class BlendConfig(_Stage):
    """How the restored face goes back into the frame."""

    strength: float = Field(1.0, ge=0, le=1, description="share of the restored face, 0 to 1")
    feather: float = Field(
        0.12, gt=0, le=0.4, description="width of the soft border, as a share of the crop"
    )
    colour_match: bool = Field(True, description="keep the colours and shades of the input face")
    mask: Literal["crop", "parsing"] = Field(
        "crop",
        description="where the restored face goes: crop, an oval with a soft border, or parsing, "
        "of that only what a network takes for skin, eyes, nose, mouth and ears, so that hair, "
        "hands and glasses stay as they are",
    )
    parser: str = Field(
        "parsenet",
        description="face parsing network of mask parsing: parsenet, bisenet (quicker), or a "
        "weights file",
    )


class EncodeConfig(_Stage):
    """The file that is written."""

    codec: str = Field(
        "auto", description="video codec: auto, libx264, libx265, libvpx-vp9, ffv1, prores_ks, …"
    )
    crf: float | None = Field(
        None, ge=0, le=63, description="constant quality, lower is better; the codec's own default"
    )
    preset: str = Field("medium", description="speed against size, for x264 and x265")
    drop: tuple[Literal["attachments", "subtitles", "data", "chapters"], ...] = Field(
        (), description="kinds of streams that may be left out where the container cannot hold them"
    )
    overwrite: bool = Field(False, description="replace an existing output")
    keep_damaged: bool = Field(
        False,
        description="keep the output of an input that lacks more than decode.max_broken "
        "(the exit code is still 1)",
    )


class RunConfig(_Stage):
    """The machine."""

    device: str = Field("auto", max_length=32, description="auto, cpu, cuda, cuda:1, …")
    threads: int = Field(
        0,
        ge=0,
        le=1024,
        description="CPU threads, 0 takes all; most encoders always have four, to repeat exactly",
    )
    queue_frames: int = Field(8, ge=1, le=256, description="frames that wait between threads")
    collect_faces: int = Field(
        0, ge=0, le=256, description="faces gathered before the network runs; 0 fills one batch"
    )
    max_failed_faces: float = Field(
        1.0, ge=0, le=1, description="share of faces that may fail before the run does"
    )


class RestoreConfig(_Stage):
    """Everything a run needs to know."""

    decode: DecodeConfig = DecodeConfig()
    detect: DetectConfig = DetectConfig()
    track: TrackConfig = TrackConfig()
    align: AlignConfig = AlignConfig()
    gate: GateConfig = GateConfig()
    restore: RestoreStageConfig = RestoreStageConfig()
    temporal_filter: TemporalFilterConfig = TemporalFilterConfig()
    blend: BlendConfig = BlendConfig()
    encode: EncodeConfig = EncodeConfig()
    run: RunConfig = RunConfig()

    def record(self) -> dict[str, Any]:
        """All options as plain values, for JSON and YAML: valid UTF-8 whatever files are called."""
        record: dict[str, Any] = well_formed_record(self.model_dump(mode="json"))
        return record


PER_FRAME: Mapping[str, Any] = {
    "detect.every_frames": 1,
    "detect.refine_passes": 0,
    "track.max_gap_frames": 0,
    "align.window_s": 0.0,
    "gate.fade_frames": 0,
    "restore.noise": "fresh",
    "temporal_filter.strength": 0.0,
}
"""How restorers of pictures treat a video, every frame by itself: the baseline of all that is said
about steadiness."""


def dotted_fields() -> dict[str, tuple[type[_Stage], str]]:
    """Every option as {'stage.field': (stage's model, field name)}, in the order of the stages."""
    stages = {name: type(stage) for name, stage in RestoreConfig() if isinstance(stage, _Stage)}
    return {
        f"{name}.{field}": (stage, field)
        for name, stage in stages.items()
        for field in stage.model_fields
    }


def load_config(path: str | Path) -> dict[str, Any]:
    """Reads a YAML preset as {'stage.field': value}.

    Raises:
        UsageError: if the file is missing, is not YAML, or names an unknown option.
    """
    loaded = read_yaml(Path(path), f"configuration {path}") or {}
    if not isinstance(loaded, dict):
        raise UsageError(f"configuration {path}: expected stages with options, got {shown(loaded)}")
    values: dict[str, Any] = {}
    for stage, options in loaded.items():
        if stage not in RestoreConfig.model_fields:
            raise UsageError(
                f"configuration {path}: unknown stage {shown(stage)}"
                + nearest(str(stage), RestoreConfig.model_fields)
            )
        if not isinstance(options, dict):
            raise UsageError(f"configuration {path}: {stage} needs options, got {shown(options)}")
        values |= {f"{stage}.{name}": value for name, value in options.items()}
    return values


def resolve_config(
    config: RestoreConfig | str | Path | Sequence[str | Path] | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    per_frame: bool = False,
) -> RestoreConfig:
    """The configuration of a run: defaults, then `config`, then `PER_FRAME`, then `overrides`.

    Args:
        config: a ready configuration, the path of a YAML preset, several of which the later win,
            or None for the defaults.
        overrides: {'stage.field': value}; wins over all else.
        per_frame: whether `PER_FRAME` applies.

    Raises:
        UsageError: for an unknown option (the nearest name is given) or a bad value.
    """
    base = config if isinstance(config, RestoreConfig) else RestoreConfig()
    values: dict[str, Any] = {}
    for path in _paths(config):
        values |= load_config(path)
    values |= PER_FRAME if per_frame else {}
    values |= overrides or {}
    known = dotted_fields()
    merged = base.model_dump()
    for dotted, value in values.items():
        if dotted not in known:
            raise UsageError(f"unknown option {shown(dotted)}{nearest(dotted, known)}")
        stage, _, name = dotted.partition(".")
        merged[stage][name] = value
    try:
        resolved = RestoreConfig.model_validate(merged)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{name}: {first['msg']}, got {shown(first['input'])}") from error
    decode = resolved.decode
    if decode.start is not None and decode.end is not None and decode.end <= decode.start:
        raise UsageError(f"decode.end: must be after decode.start {decode.start}, got {decode.end}")
    return resolved


def input_files(src: str | Path, config: RestoreConfig) -> list[Path]:
    """The files that a run reads: the video, tracks, and weights given by their paths."""
    named = [config.restore.model, config.detect.detector]
    named += [config.blend.parser] if config.blend.mask == "parsing" else []
    files = [Path(src), *([config.track.file] if config.track.file else [])]
    return [*files, *(Path(name) for name in named if Path(name).is_file())]


def _paths(
    config: RestoreConfig | str | Path | Sequence[str | Path] | None,
) -> Sequence[str | Path]:
    if config is None or isinstance(config, RestoreConfig):
        return ()
    return (config,) if isinstance(config, str | Path) else config
