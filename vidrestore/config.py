"""Options of every stage: one frozen model a stage, composed in `RestoreConfig`.

Each field has one dotted name, the same in Python, YAML (`configs/*.yaml`) and on the command line
(`track.max_gap_frames` is `--track.max-gap-frames`). Defaults are written here and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from vidrestore.errors import UsageError, nearest
from vidrestore.runtime.printable import well_formed_record
from vidrestore.settings import PRESETS, find_settings, read_yaml, shown

__all__ = [
    "PER_FRAME",
    "AlignConfig",
    "BlendConfig",
    "ConfigLike",
    "DecodeConfig",
    "DetectConfig",
    "EncodeConfig",
    "GateConfig",
    "JobConfig",
    "RestoreConfig",
    "RestoreStageConfig",
    "RunConfig",
    "TemporalFilterConfig",
    "TrackConfig",
    "find_preset",
    "input_files",
    "load_config",
    "resolve_config",
    "sound_file",
]


class _Stage(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False
    )


class DecodeConfig(_Stage):
    """Which part of the video is read, and how much damage is accepted."""

    start: float | None = Field(None, ge=0, le=1e7, description="restore from this second on")
    end: float | None = Field(None, gt=0, le=1e7, description="restore until before this second")
    fps: Fraction | None = Field(
        None,
        gt=0,
        le=1000,
        description="frames per second of a sequence of pictures, as 24 or 30000/1001; only DPX "
        "headers may tell it",
    )
    gaps: Literal["refuse", "hold"] = Field(
        "refuse",
        description="what becomes of missing numbers in a sequence of pictures: the run stops "
        "before work, or the picture before is shown in their place",
    )
    deinterlace: Literal["bwdif"] | None = Field(
        None,
        description="make interlaced frames progressive, one for each at its own time, before "
        "anything else; without it interlaced video stays interlaced",
    )
    prefilter: str | None = Field(
        None,
        max_length=10_000,
        description="send every frame through FFmpeg filters before anything else (after "
        "deinterlacing), as `ffmpeg -vf` takes them: deflicker, or crop=704:576,atadenoise; only "
        "filters that give one frame for each, at the same time",
    )
    hardware: Literal["nvdec"] | None = Field(
        None,
        description="decode on the GPU (nvdec) where it gives the samples of decoding on the CPU, "
        "as the first frames show; a note tells why where it does not",
    )
    max_broken: float = Field(
        0.05,
        ge=0,
        le=1,
        description="largest accepted share of lost frames, or of lost packets of a copied stream",
    )
    cut_threshold: float = Field(
        0.35,
        gt=0,
        le=1,
        description="difference between two frames, 0 to 1, above which a new shot begins",
    )


class DetectConfig(_Stage):
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


class TrackConfig(_Stage):
    """How faces are tracked from frame to frame."""

    file: Path | None = Field(
        None,
        description="use the faces in this file, written by `vidrestore inspect`, and detect none",
    )
    max_gap_frames: int = Field(
        25,
        ge=0,
        le=100_000,
        description="a face that is lost for more frames than this begins a new track",
    )
    min_iou: float = Field(
        0.2,
        ge=0,
        le=1,
        description="smallest overlap (IoU) of a detection with the predicted box of a track",
    )
    max_flow_error: float = Field(
        0.15,
        gt=0,
        le=10,
        description="largest accepted distance between optical flow and detection, "
        "as a share of the eye distance",
    )


class AlignConfig(_Stage):
    """How the alignment is smoothed over time."""

    window_s: float = Field(
        1.0,
        ge=0,
        le=5,
        description="the alignment is smoothed over this many seconds before and after",
    )


class GateConfig(_Stage):
    """Which faces are not restored, and how gradually."""

    max_yaw: float = Field(
        75.0, gt=0, le=120, description="faces turned to the side by more degrees are not restored"
    )
    max_blur: float = Field(
        1.0, gt=0.1, le=1, description="faces with more blur, 0 (sharp) to 1, are not restored"
    )
    min_score: float = Field(
        0.0, ge=0, le=1, description="faces with a lower detection score are not restored"
    )
    fade_frames: int = Field(
        6,
        ge=0,
        le=50,
        description="number of frames over which restoration fades in and out; fewer for a face "
        "that is there for less than twice as many",
    )


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


class TemporalFilterConfig(_Stage):
    """How restored detail is filtered over time."""

    strength: float = Field(
        1.0, ge=0, le=1, description="how strongly restored detail is averaged over time, 0 to 1"
    )
    reach_frames: int = Field(
        5,
        ge=0,
        le=15,
        description="restored detail is averaged over so many frames before and after",
    )


class BlendConfig(_Stage):
    """How the restored face goes back into the frame."""

    strength: float = Field(1.0, ge=0, le=1, description="share of the restored face, 0 to 1")
    feather: float = Field(
        0.12, gt=0, le=0.4, description="width of the soft border, as a share of the crop"
    )
    grain: float = Field(
        1.0,
        ge=0,
        le=1,
        description="grain of the restored face: 0 clean, 1 as much as around it",
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

    profile: (
        Literal["access", "ffv1", "prores_hq", "prores_4444xq", "dnxhr_hqx", "proxy"] | None
    ) = Field(
        None,
        description="codec, quality, size, pixel format and sound in one word; --codec, --crf and "
        "--audio win over it",
    )
    codec: str = Field(
        "auto", description="video codec: auto, libx264, libx265, libvpx-vp9, ffv1, prores_ks, …"
    )
    sink: Literal["file", "ffmpeg"] = Field(
        "file",
        description="who encodes: file, this program, or ffmpeg, the system's FFmpeg with what "
        "--ffmpeg-args says",
    )
    ffmpeg_args: str = Field(
        "",
        max_length=10_000,
        description="FFmpeg's options of encoder and container for --sink ffmpeg, such as "
        "'-c:v hevc_nvenc -cq 20'",
    )
    crf: float | None = Field(
        None, ge=0, le=63, description="constant quality, lower is better; the codec's own default"
    )
    speed: str = Field(
        "medium",
        description="of x264, x265 and SVT-AV1, ultrafast to veryslow: encoding time against size",
    )
    audio: str = Field(
        "copy",
        description="what becomes of sound that the container cannot hold: copy (the run stops "
        "before work), flac or pcm (it is converted without loss); all other sound is always "
        "copied. With pictures as input also a file whose sound goes with them, such as "
        "sound.wav; with one as output sound goes into WAV, or FLAC, beside the pictures",
    )
    drop: tuple[str, ...] = Field(
        (),
        description="what to leave out: attachments, subtitles, audio, video, data or chapters "
        "that the container cannot hold, or a stream by its number, which is always left out",
    )
    overwrite: bool = Field(
        False, description="replace existing outputs (an input is never replaced)"
    )
    keep_damaged: bool = Field(
        False,
        description="keep the output of an input that lacks more than decode.max_broken "
        "(the exit code is still 1)",
    )

    @field_validator("drop")
    @classmethod
    def _check_drop(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        for word in words:
            if word not in _DROPPED_KINDS and not (word.isascii() and word.isdecimal()):
                raise PydanticCustomError(
                    "drop",
                    "expected {kinds} or the number of a stream",
                    {"kinds": ", ".join(_DROPPED_KINDS)},
                )
        return words


def sound_file(config: EncodeConfig) -> Path | None:
    """The file whose sound goes with a sequence of pictures; None where `audio` names a way."""
    return None if config.audio in ("copy", "flac", "pcm") else Path(config.audio)


_DROPPED_KINDS = ("attachments", "subtitles", "audio", "video", "data", "chapters")


class RunConfig(_Stage):
    """The machine."""

    device: str = Field("auto", max_length=32, description="auto, cpu, cuda, cuda:1, …")
    threads: int = Field(
        0,
        ge=0,
        le=1024,
        description=(
            "number of CPU threads, 0 for all; most encoders always use four, so that output "
            "bytes do not depend on it"
        ),
    )
    queue_frames: int = Field(
        8, ge=1, le=256, description="number of frames that may wait between two threads"
    )
    collect_faces: int = Field(
        0,
        ge=0,
        le=256,
        description="number of faces to collect before the network runs; 0 for one batch",
    )
    max_failed_faces: float = Field(
        1.0,
        ge=0,
        le=1,
        description="largest accepted share of faces for which the network gives no valid numbers",
    )


class JobConfig(_Stage):
    """How a run goes on after it was stopped."""

    segment_s: float = Field(
        10.0,
        ge=0.2,
        le=600,
        description="most seconds that are restored and encoded as one, fewer where a cut comes "
        "once 0.6 of them have passed; a stopped run loses no more than these",
    )
    work: Path | None = Field(
        None,
        description="folder for what a run stores until it is done; by default beside the output",
    )
    no_resume: bool = Field(
        False, description="store nothing on the way; a run that is stopped begins anew"
    )
    restart: bool = Field(
        False, description="begin anew where a stopped run cannot go on as it was begun"
    )
    same_device: bool = Field(
        False, description="refuse segments that another kind of device would restore"
    )
    verify: bool = Field(
        False, description="read the whole input to tell whether it is the one that was begun with"
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
    job: JobConfig = JobConfig()

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
    "restore.measure_noise": False,
    "restore.conceal_defects": False,
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


ConfigPart: TypeAlias = Mapping[str, Any] | str | Path
ConfigLike: TypeAlias = RestoreConfig | ConfigPart | Sequence[ConfigPart] | None
"""What `resolve_config` takes for a configuration."""


def find_preset(given: str | Path) -> Path:
    """Find the file of a preset by its name, or a YAML file by its path.

    Raises:
        UsageError: no preset has the name, or a file in the current folder has it too.
    """
    return find_settings(given, PRESETS, "preset")


def load_config(source: ConfigPart) -> dict[str, Any]:
    """Return the options of a preset, a YAML file or a dictionary as {'stage.field': value}.

    Args:
        source: the name of a preset, the path of a YAML file, or `{"stage": {"field": value}}`.

    Raises:
        UsageError: the file is missing or is not YAML, or it names an unknown option.
    """
    if isinstance(source, Mapping):
        return _dotted(source, "configuration")
    named = f"configuration {source}"
    return _dotted(read_yaml(find_preset(source), named) or {}, named)


def _dotted(stages: object, named: str) -> dict[str, Any]:
    if not isinstance(stages, Mapping):
        raise UsageError(f"{named}: expected stages with options, got {shown(stages)}")
    values: dict[str, Any] = {}
    for stage, options in stages.items():
        if stage not in RestoreConfig.model_fields:
            raise UsageError(
                f"{named}: unknown stage {shown(stage)}"
                + nearest(str(stage), RestoreConfig.model_fields)
            )
        if not isinstance(options, Mapping):
            raise UsageError(f"{named}: {stage} needs options, got {shown(options)}")
        values |= {f"{stage}.{name}": value for name, value in options.items()}
    return values


def resolve_config(
    config: ConfigLike = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    per_frame: bool = False,
) -> RestoreConfig:
    """The configuration of a run: defaults, then `config`, then `PER_FRAME`, then `overrides`.

    Args:
        config: a ready configuration; the name of a preset, the path of a YAML file, a dictionary
            `{"stage": {"field": value}}`, or several of these, of which the later win; or None for
            the defaults.
        overrides: {'stage.field': value}; wins over all else.
        per_frame: whether `PER_FRAME` applies.

    Raises:
        UsageError: for an unknown option (the nearest name is given) or a bad value.
    """
    base = config if isinstance(config, RestoreConfig) else RestoreConfig()
    values: dict[str, Any] = {}
    for part in _parts(config):
        values |= load_config(part)
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
    sound = sound_file(config.encode)
    files += [] if sound is None else [sound]
    return [*files, *(Path(name) for name in named if Path(name).is_file())]


def _parts(config: ConfigLike) -> Sequence[ConfigPart]:
    if config is None or isinstance(config, RestoreConfig):
        return ()
    return (config,) if isinstance(config, Mapping | str | Path) else config
