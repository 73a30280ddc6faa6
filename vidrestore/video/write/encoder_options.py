"""Settings of encoders and muxers."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import av

from vidrestore.config import EncodeConfig
from vidrestore.video.read.info import VideoInfo
from vidrestore.video.write.containers import CONSTANT_RATE
from vidrestore.video.write.plan import OutputPlan
from vidrestore.video.write.source_kind import encoder_profile
from vidrestore.video.write.x264 import X264_THREADS, set_x264_threads, x264_options

__all__ = [
    "PARAMETERS",
    "encoder_options",
    "has_constant_rate",
    "master_parameters",
    "muxer_options",
    "nvenc_options",
    "reorder_delay",
    "set_threads",
]

PARAMETERS = {
    "libx264": "x264-params",
    "libx265": "x265-params",
    "libsvtav1": "svtav1-params",
}
"""FFmpeg's option that hands an encoder parameters of its own."""

_MASTER_NAMES = {
    "libx264": ("mastering-display", "cll"),
    "libx265": ("master-display", "max-cll"),
    "libsvtav1": ("mastering-display", "content-light"),
}
"""Their names of the HDR master's display and of its light level."""

_CRF = {"libx264": 16.0, "libx265": 18.0, "libvpx-vp9": 24.0, "libsvtav1": 18.0}
"""Qualities at which the loss is hard to see, measured against the restored picture."""

_NVENC = {"h264_nvenc": 19.0, "hevc_nvenc": 21.0, "av1_nvenc": 25.0}
"""Qualities of NVIDIA's encoders, on their own scales; not measured."""

_MPEG_QUALITY, _LAMBDA = 2, 118
"""Quantiser at which the loss is hard to see, and FFmpeg's unit of it; else its encoders of MPEG
take 200 kbit/s."""

_THREADS = X264_THREADS
"""Of encoders whose bytes may depend on it, whatever the machine has."""

_SAME_WITH_ANY_THREADS = frozenset({"ffv1", "prores_ks"})
"""Encoders that give the same bytes with any number of threads."""

_X265_PARAMS = ("log-level=none", "info=0", f"pools={_THREADS}", "frame-threads=2")
"""By default the numbers of x265's frame threads and lookahead slices follow the cores."""

# fmt: off
_TAGS_OF_MP4 = frozenset({
    "title", "artist", "album_artist", "album", "comment", "date", "genre", "copyright",
    "track", "composer", "grouping", "lyrics", "description", "synopsis", "show", "network",
    "disc", "encoder", "creation_time", "timecode", "keywords", "category", "location",
    "language", "major_brand", "minor_version", "compatible_brands", "author", "make", "model",
})
# fmt: on
"""What MP4 and MOV have fields of their own for."""


def encoder_options(plan: OutputPlan, source: VideoInfo, config: EncodeConfig) -> dict[str, str]:
    """FFmpeg's options of the video encoder."""
    asked = (config.crf, plan.wanted.crf, _CRF.get(plan.codec))
    crf = next((one for one in asked if one is not None), None)
    options = {} if crf is None else {"crf": f"{crf:g}"}
    if plan.codec == "libx264":
        options |= {"preset": config.speed}
        options |= {"bf": "0"} if plan.container.muxer == "avi" else {}
        options |= x264_options(*master_parameters(plan.codec, source))
    elif plan.codec == "libx265":
        options |= {"preset": config.speed, "a53cc": "1"}
        options |= {
            "x265-params": ":".join([*_X265_PARAMS, *master_parameters(plan.codec, source)])
        }
    elif plan.codec == "libvpx-vp9":
        options |= {"b": "0", "deadline": "good", "cpu-used": "3", "row-mt": "1"}
        # Frames that are never shown have no alpha.
        options |= {"auto-alt-ref": "0"} if plan.pix_fmt.startswith("yuva") else {}
    elif plan.codec == "libsvtav1":
        told = ":".join(["lp=2", *master_parameters(plan.codec, source)])
        options |= {"preset": str(_SVT_PRESETS[config.speed]), "svtav1-params": told}
    elif plan.codec in ("mpeg2video", "mpeg1video", "mpeg4"):
        options |= {"flags": "+qscale", "global_quality": str(_MPEG_QUALITY * _LAMBDA)}
    elif plan.codec in _NVENC:
        options = nvenc_options(plan.codec, crf, config.speed)
    elif plan.codec == "ffv1":
        options |= {"level": "3", "g": "1", "slicecrc": "1", **_ffv1_slices(source)}
    profile = plan.wanted.encoder_profile
    profile = profile or encoder_profile(
        plan.codec, source.profile, plan.pix_fmt, interlaced=source.interlaced
    )
    if profile is not None:
        options["profile"] = profile
    if plan.codec == "prores_ks":
        options["vendor"] = "apl0"  # some editors ask for Apple's
    return options


def _ffv1_slices(source: VideoInfo) -> dict[str, str]:
    """Slices are decoded at once, and a damaged one hurts no other; of odd sizes FFmpeg chooses."""
    if source.width % 8 or source.height % 8:
        return {}
    return {"slices": "16" if source.width * source.height >= 1280 * 720 else "4"}


def nvenc_options(codec: str, quality: float | None, speed: str) -> dict[str, str]:
    """Options of NVIDIA's encoders; they would take 2 Mbit/s by themselves.

    Args:
        codec: FFmpeg's name of the encoder.
        quality: as of `--crf`; None takes one at which the loss should be hard to see.
        speed: x264's word.
    """
    wanted = _NVENC[codec] if quality is None else quality
    preset = _NVENC_PRESETS.get(speed, 7)
    return {"rc": "vbr", "cq": f"{wanted:g}", "b": "0", "preset": f"p{preset}", "tune": "hq"}


_NVENC_PRESETS = {"ultrafast": 1, "superfast": 1, "veryfast": 2, "faster": 3, "fast": 4} | {
    "medium": 5,
    "slow": 6,
}
"""NVENC's numbers by x264's words; the slower ones take 7."""

_SVT_PRESETS = {
    "ultrafast": 12,
    "superfast": 11,
    "veryfast": 10,
    "faster": 9,
    "fast": 8,
    "medium": 7,
    "slow": 5,
    "slower": 4,
    "veryslow": 3,
    "placebo": 1,
}
"""SVT-AV1's numbers by x264's words."""


def set_threads(context: av.VideoCodecContext, codec: str, threads: int) -> None:
    """Set the encoder's threads so that its bytes do not depend on the machine.

    Args:
        context: of an encoder that is not opened yet.
        codec: its name.
        threads: number wanted; 0 takes all cores. Only some encoders are free to follow it.
    """
    context.thread_count = threads if codec in _SAME_WITH_ANY_THREADS else _THREADS
    if codec == "libx264":
        set_x264_threads(context)


def reorder_delay(context: av.VideoCodecContext, codec: str) -> int:
    """Frames by which an open encoder reorders at most; x265 does not tell FFmpeg of its own."""
    return 2 if codec == "libx265" else context.reorder_depth


def has_constant_rate(plan: OutputPlan, source: VideoInfo) -> bool:
    """Whether frames can only lie on the beat of the frame rate."""
    if plan.container.muxer in CONSTANT_RATE or plan.codec in ("mpeg1video", "mpeg2video"):
        return True
    return plan.codec == "mpeg4" and source.time_base.denominator > 65535


def master_parameters(codec: str, source: VideoInfo) -> list[str]:
    """The HDR master's display and light level as parameters of an encoder's own.

    Args:
        codec: FFmpeg's name of the encoder; others than those of `PARAMETERS` have none.
        source: the input, as probed.
    """
    if codec not in PARAMETERS:
        return []
    display, light = _MASTER_NAMES[codec]
    told = []
    if source.mastering is not None:
        shown = _in_units if codec != "libsvtav1" else _in_numbers
        told.append(f"{display}={_master_display(source.mastering, shown)}")
    if source.light_level is not None:
        told.append(f"{light}={_light_level(source.light_level)}")
    return told


def _master_display(mastering: tuple[Fraction, ...], shown: Callable[[Fraction, int], str]) -> str:
    """G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min), of SMPTE ST 2086."""
    red, green, blue, white = (
        tuple(shown(value, 50000) for value in mastering[i : i + 2]) for i in (0, 2, 4, 6)
    )
    least, most = (shown(value, 10000) for value in mastering[8:])
    points = zip(("G", "B", "R", "WP"), (green, blue, red, white), strict=True)
    return "".join(f"{name}({x},{y})" for name, (x, y) in points) + f"L({most},{least})"


def _in_units(value: Fraction, units: int) -> str:
    """In units of 0.00002, and of 0.0001 cd/m²."""
    return str(round(value * units))


def _in_numbers(value: Fraction, units: int) -> str:
    """In whole units, as numbers with a point."""
    return f"{round(value * units) / units:.5f}"


def _light_level(level: tuple[int, int]) -> str:
    return f"{level[0]},{level[1]}"


def muxer_options(plan: OutputPlan, source: VideoInfo) -> dict[str, str]:
    """FFmpeg's options of the container's writer."""
    muxer = plan.container.muxer
    if muxer in ("mp4", "mov", "3gp"):
        unusual = any(key.lower() not in _TAGS_OF_MP4 for key in source.metadata)
        unusual |= bool(source.reel_name)
        return {
            "movflags": "+faststart" + ("+use_metadata_tags" if unusual else ""),
            "movie_timescale": str(_movie_timescale(source.time_base)),
        }
    if muxer in ("matroska", "webm"):
        # Random identifiers would make two runs differ; inferred flags, input and output.
        return {"fflags": "+bitexact", "default_mode": "passthrough"}
    if muxer == "mxf":
        return {"fflags": "+bitexact"}  # no random identifiers
    if muxer == "mpegts":
        return {"mpegts_m2ts_mode": "1" if plan.container.is_blu_ray else "0"}
    return {}


def _movie_timescale(time_base: Fraction) -> int:
    """Ticks a second in which MP4 tells when the first frame is shown: at least the input's."""
    ticks = time_base.denominator
    return ticks * -(-1000 // ticks) if ticks <= 1_000_000 else 1000
