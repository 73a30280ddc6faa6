"""How much memory a run needs, before it starts, and whether that is there.

An estimate from sizes and options, within a quarter of what runs on a CPU were measured to take.
Three things grow with the picture: frames that wait in stages and queues, their restored copies,
and what the encoder looks ahead. The number of faces is not known before; a few are assumed.
"""

from __future__ import annotations

from vidrestore.config import RestoreConfig
from vidrestore.errors import NotEnoughMemoryError
from vidrestore.runtime.memory import available_memory_mib, current_memory_mib

__all__ = ["QUEUE_BYTES", "check_memory", "estimate_memory_mib"]

QUEUE_BYTES = 96 * 2**20
"""Most bytes of pictures that wait between two threads, unless it is a single one: eight of 4K with
8 bits, three with 10 bits and half as much chroma."""

_PROGRAM_MIB = 800.0
"""Python, PyTorch with the libraries of its CUDA build, and the embedded networks at work."""
_WEIGHT_COPIES = 3.0
"""A network while it is loaded and prepared, over the size of its weights file."""
_FACE_MIB = 10.0
"""Two crops of 512 px in float32, and what steadying or concealing derives from them."""
_CONCEALED_FRAMES = 3
"""Frames whose crops wait while defects are looked for."""
_FACES = 2
"""Faces assumed in every frame."""
_PARSING_MIB = 700.0
"""A face parsing network at work on one crop."""
_PARSING_FRAMES = 10
"""Most frames that wait for the masks of face parsing."""
_NOISE_FRAMES = 5
"""Frames that wait while noise is measured."""
_SPLIT_FRAMES = 7
"""Frames that wait while it is told which are interlaced."""
_PICTURES_A_FIELD = 1.5
"""Its own, deinterlaced, and half of the frame's."""
_DECODER_FRAMES = 8
_LOOKAHEAD_FRAMES = {
    "libx264": {"ultrafast": 0, "superfast": 0, "veryfast": 10, "faster": 20, "fast": 30,
                "medium": 40, "slow": 50, "slower": 60, "veryslow": 60, "placebo": 60},
    "libx265": {"ultrafast": 5, "superfast": 10, "veryfast": 15, "faster": 15, "fast": 15,
                "medium": 20, "slow": 25, "slower": 40, "veryslow": 40, "placebo": 60},
    "libvpx-vp9": {},
    "libsvtav1": {"ultrafast": 20, "superfast": 20, "veryfast": 20, "faster": 60, "fast": 60,
                  "medium": 90, "slow": 110, "slower": 110, "veryslow": 110, "placebo": 110},
}  # fmt: skip
"""By codec and preset."""
_VP9_LOOKAHEAD_FRAMES = 25
_RECONSTRUCTED_FRAMES = 12
"""Reference frames of encoders with a lookahead: references, B frames and four threads."""
_WARN_ABOVE = 0.7


def estimate_memory_mib(
    picture_bytes: int,
    pixels: int,
    frames: int | None,
    frames_per_s: float,
    config: RestoreConfig,
    codec: str | None,
    weights_bytes: int = 0,
    *,
    interlaced: bool = False,
) -> float:
    """Return the largest resident memory that a run will probably need, in MiB.

    Args:
        picture_bytes: of one decoded picture.
        pixels: of the same.
        frames: of the run; None where the file does not say.
        frames_per_s: of the video.
        config: of the run.
        codec: name of the encoder; None where nothing is encoded.
        weights_bytes: of the restoring network, where it is not an embedded one.
        interlaced: whether frames are restored field by field.
    """
    reach = config.temporal_filter.reach_frames if config.temporal_filter.strength else 0
    parsing = config.blend.mask == "parsing"
    queued = min(config.run.queue_frames, max(1, QUEUE_BYTES // picture_bytes))
    waiting_for_faces = 3 * queued + reach + max(1, config.run.collect_faces)
    waiting_for_faces += _PARSING_FRAMES * parsing + config.restore.conceal_defects
    waiting = (
        _DECODER_FRAMES
        + config.detect.every_frames
        + config.align.window_s * frames_per_s
        + 2 * config.gate.fade_frames
        + _NOISE_FRAMES * config.restore.measure_noise
        + _SPLIT_FRAMES
        + waiting_for_faces * (_PICTURES_A_FIELD if interlaced else 1)
    )
    most = float("inf") if frames is None else frames
    restored = min(most, queued + 2)
    pictures = (min(most, waiting) + restored) * picture_bytes
    with_crops = 2 * reach + queued + max(1, config.run.collect_faces)
    with_crops += _CONCEALED_FRAMES * config.restore.conceal_defects + _PARSING_FRAMES * parsing
    faces = _FACES * min(most, with_crops) * _FACE_MIB
    encoder = _encoder_bytes(picture_bytes, pixels, most, config.encode.speed, codec)
    network = _WEIGHT_COPIES * weights_bytes
    program = _PROGRAM_MIB + _PARSING_MIB * parsing
    return program + faces + (pictures + encoder + network) / 2**20


def _encoder_bytes(
    picture_bytes: int, pixels: int, frames: float, speed: str, codec: str | None
) -> float:
    """Pictures that the encoder looks ahead (with a small copy) and reconstructs (with three
    planes between the pixels).
    """
    if codec is None:
        return 0.0
    if codec not in _LOOKAHEAD_FRAMES:
        return 4.0 * picture_bytes
    ahead = _LOOKAHEAD_FRAMES[codec].get(speed, _VP9_LOOKAHEAD_FRAMES) + 8
    sample_bytes = 1 if picture_bytes <= 3 * pixels else 2
    looked_ahead = min(frames, ahead) * (picture_bytes + sample_bytes * pixels)
    reconstructed = min(frames, _RECONSTRUCTED_FRAMES) * (picture_bytes + 3 * sample_bytes * pixels)
    return looked_ahead + reconstructed


def check_memory(needed_mib: float, what: str) -> str | None:
    """Compare an estimate with what is free.

    Args:
        needed_mib: by `estimate_memory_mib`.
        what: what needs it, such as "tape.mp4 (8000x8000)".

    Returns:
        A warning if it is more than 70 % of what is free, else None; None also where the system
        does not say what is free.

    Raises:
        NotEnoughMemoryError: if it is more than what is free.
    """
    free_mib = available_memory_mib()
    if free_mib is None:
        return None
    free_mib += current_memory_mib()
    share = needed_mib / max(free_mib, 1.0)
    told = f"{what} needs about {needed_mib / 1024:.1f} GiB of memory, {free_mib / 1024:.1f} GiB"
    if share > 1:
        raise NotEnoughMemoryError(
            f"{told} are free; lower --align.window-s, --temporal-filter.reach-frames or (up to "
            "4K) --run.queue-frames, take a faster --speed or --codec ffv1, or free memory"
        )
    return f"{told} are free; it may not suffice" if share > _WARN_ABOVE else None
