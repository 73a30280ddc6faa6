"""What travels between stages: frozen records, replaced and never mutated.

Spaces used below:

* *coded*: the picture as stored, pixel centres at integers, origin top left, (x, y).
* *display*: what a person sees: rotation and mirroring of the display matrix applied and pixels
  made square. `Display.display_from_coded` leads there. Detection, tracking and smoothing
  work in display space.
* *crop*: the aligned square a network works on. `Face.crop_from_frame` leads there from coded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

    from vidrestore.runtime.transfer import Uploaded

__all__ = [
    "Array",
    "ComponentNoise",
    "Detections",
    "Display",
    "Face",
    "FaceRecord",
    "Field",
    "Frame",
    "NoiseModel",
    "Picture",
    "RestoreReport",
]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """The native samples of one frame. Read-only: they may be the decoder's reference picture."""

    planes: tuple[Tensor, ...]
    """One tensor a plane, (H, W) or (H, W, C) where samples interleave; uint8 or uint16 as FFmpeg
    stores them (of P010 and its like the value is in the high bits). Coded orientation."""
    format: str
    """FFmpeg's name of the pixel format, as decoded."""
    width: int
    height: int
    full_range: bool
    """Whether luma runs from 0 to the maximum (True) or from 16 to 235 in 8-bit units (False)."""
    matrix: str
    """'bt601', 'bt709', 'bt2020', 'smpte240m', 'fcc', 'ycgco' or 'rgb': how RGB becomes YUV."""
    handle: Any
    """The `av.VideoFrame` that owns the samples."""
    uploaded: Uploaded | None = None
    """The planes on the device on which faces are cut out, filtered and put back; None where that
    is done on the host."""
    decoded: Uploaded | None = None
    """The planes on the device that decoded them, which `upload` takes; None where the host did."""


@dataclass(frozen=True, slots=True, eq=False)
class Display:
    """How a coded picture is shown."""

    width: int
    """Width as shown, in square pixels."""
    height: int
    display_from_coded: Array
    """(2, 3) affine, pixel centres at integers on both sides."""


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Faces found in one picture, best first."""

    boxes_xyxy: npt.NDArray[np.float32]
    """(M, 4) in pixels of the picture given."""
    landmarks: npt.NDArray[np.float32]
    """(M, 5, 2): left eye, right eye (as seen in the picture), nose tip, left and right corner of
    the mouth."""
    scores: npt.NDArray[np.float32]
    """(M,) in [0, 1]."""

    def __post_init__(self) -> None:
        count = len(self.scores)
        if self.boxes_xyxy.shape != (count, 4) or self.landmarks.shape != (count, 5, 2):
            raise ValueError(
                f"detections disagree: boxes {self.boxes_xyxy.shape}, "
                f"landmarks {self.landmarks.shape}, scores {self.scores.shape}"
            )

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True, slots=True, eq=False)
class ComponentNoise:
    """Noise of luma, or of one chroma component."""

    brightness: Array
    """(K,) luma in [0, 1], ascending, at which the noise is known."""
    sigma: Array
    """(K,) standard deviation there, in units where luma runs from 0 to 1."""
    correlation: Array
    """(2L+1, 2L+1) how alike samples of the component's plane are by their distance; 1 in the
    middle."""


@dataclass(frozen=True, slots=True, eq=False)
class NoiseModel:
    """Noise of a recording around one face, and how much of the face's fine detail is not noise."""

    components: tuple[ComponentNoise, ...]
    """Luma first, then Cb and Cr where the picture has colours."""
    detail: float
    """Share of the energy of the face's finest detail that is the face's own, 0 to 1."""
    unrest: float
    """Mean change from frame to frame of flat surroundings, followed along their motion and blurred
    as the crops are that are compared in time; luma in [0, 1]."""


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face in one frame."""

    box_xyxy: Array
    """(4,) in display pixels."""
    landmarks: Array
    """(5, 2) in display pixels, order of `Detections.landmarks`."""
    score: float
    """Detection score in [0, 1]; of the nearest detection where the face was carried by flow."""
    track_id: int = -1
    """Number of the person's track, from 0, unique in the video; -1 before tracking."""
    detected: bool = True
    """Whether the detector saw it in this very frame (False: carried by optical flow)."""
    motion: Array | None = None
    """(2, 3) similarity in display space that takes the face from the previous frame to this one,
    measured by optical flow; None at the first frame of a track or where flow failed."""
    crop_from_frame: Array | None = None
    """(2, 3) affine from coded pixels to crop pixels; None before smoothing."""
    crops_from_fields: tuple[Array, ...] = ()
    """Where a frame was restored field by field, `crop_from_frame` at the time of each field; else
    empty."""
    strength: float = 1.0
    """How much of the restored face to use, 0 to 1 (tracks fade in and out)."""
    gated_by: tuple[str, ...] = ()
    """Which gates lowered the strength in this very frame: "size", "yaw", "blur", "score", and
    "count" where the frame has too many larger faces."""
    noise: NoiseModel | None = None
    """Noise of the recording around the face; None before it is measured, or where it cannot be."""
    source_crop: Tensor | None = None
    """(3, S, S) float RGB in [0, 1]: the crop as the network saw it; None before restoring. On the
    host, or on the device on which the picture's planes are too."""
    flows: Uploaded | None = None
    """Where faces are filtered on a device: (2, 2, n, n) float32 there, optical flow (x, y) between
    reduced crops in their pixels, from the frame before to this one and from this one to the frame
    before; None elsewhere, and in the first frame of a track."""
    concealed: Tensor | None = None
    """(3, S, S): what `source_crop` has more than the frame, where defects were concealed; None
    where there were none."""
    crop: Tensor | None = None
    """(3, S, S) float RGB in [0, 1]: the restored crop; None before, or when restoring failed."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame on its way through the stages."""

    index: int
    """Number in decoding order of presentation, from 0."""
    pts: int
    """Presentation time in units of `time_base`."""
    time_base: Fraction
    picture: Picture
    display: Display
    is_cut: bool = False
    """Whether a new shot begins here (always true at index 0)."""
    faces: tuple[Face, ...] = ()
    detected: bool = False
    """Whether the detector looked at this frame."""
    faces_ignored: int = 0
    """Faces the detector found here beyond `detect.max_faces`."""
    source: Picture | None = None
    """The picture as decoded, where `picture` has been changed by blending; None otherwise."""
    repaired: bool = False
    """Whether this frame could not be decoded and repeats the one before."""
    scan: Literal["progressive", "top", "bottom"] = "progressive"
    """How the picture was taken: at one moment, or as two fields, of which that of the top or
    bottom lines is the earlier one. Known from splitting on."""
    field: Field | None = None
    """Where a frame is split: which field of it this is; `picture` shows it deinterlaced."""


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One of the two fields of an interlaced frame."""

    first_line: int
    """0 for the field of the top lines, 1 for that of the bottom lines: every second line of the
    frame from there on is its own."""
    is_later: bool
    """Whether it is the later one of the two."""
    frame: Frame
    """The whole frame, as it was before splitting."""


@dataclass(frozen=True, slots=True)
class FaceRecord:
    """What the report keeps of one face track."""

    track_id: int
    first_frame: int
    last_frame: int
    frames: int
    mean_score: float
    restored_frames: int
    """Frames in which the face was restored, with a strength above 0."""
    mean_strength: float
    """Fades and gates included; 1 for a face restored in full throughout."""
    gated_by: dict[str, int]
    """Frames in which each gate lowered the strength."""


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What a run did."""

    source: str
    output: str
    model: str
    detector: str
    device: str
    codec: str
    frames: int
    """Frames written: one for every frame read."""
    faces: int
    """Faces restored, with a strength above 0, summed over frames."""
    faces_left_alone: int
    """Faces found and left as they were, since their strength was 0: by a tracks file, a gate or
    `blend.strength`."""
    faces_beyond_limit: int
    """Faces left as they were because a frame had more than `detect.max_faces`; those that were not
    followed count only in the frames the detector looked at."""
    faces_failed: int
    """Faces left as they were because the network gave no valid numbers."""
    frames_detected: int
    """Frames the detector looked at."""
    frames_repaired: int
    """Frames that could not be decoded and repeat the one before."""
    repaired_s: tuple[float, ...]
    """Times of those frames in the output, in seconds."""
    seconds: float
    """Wall-clock time of the run, loading included."""
    frames_per_s: float
    """Frames per second of the run, loading excluded."""
    stage_seconds: dict[str, float] = field(default_factory=dict)
    """Time spent inside each stage, in seconds."""
    backends: dict[str, dict[str, str]] = field(default_factory=dict)
    """What computed the "restorer" and the "detector": "backend", "version" and "precision" of
    each; a network of one's own may not say it."""
    peak_memory_mib: float = 0.0
    """Largest resident memory of the process, in MiB."""
    peak_device_memory_mib: float = 0.0
    """Largest memory that tensors took on the GPU, in MiB; 0 on the CPU."""
    tracks: tuple[FaceRecord, ...] = ()
    cuts: tuple[int, ...] = ()
    """Frames at which a new shot begins, without the first."""
    scans: dict[str, int] = field(default_factory=dict)
    """Frames that were restored as "progressive", or field by field as "top_field_first" or
    "bottom_field_first"; of frames without a restored face, those that are flagged so."""
    notes: tuple[str, ...] = ()
    """What a person should know: batches halved, streams dropped, frames lost."""
    damaged: bool = False
    """Whether the input lacks more than `decode.max_broken`, and `encode.keep_damaged` kept what
    there is."""
    config: dict[str, Any] = field(default_factory=dict)
    """The resolved configuration."""
