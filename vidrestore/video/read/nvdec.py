"""NVIDIA's video decoder, NVDEC, through PyAV's hardware context.

FFmpeg's own decoder reads the headers, orders pictures and hands slices to the device; surfaces are
in the CUDA context that torch has, so that it takes them through DLPack without a copy. They are
FFmpeg's copies of the decoder's few surfaces, which look-ahead therefore cannot use up.
"""

from __future__ import annotations

from functools import partial

import torch
from av import CodecContext, VideoCodecContext
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.video.stream import VideoStream

from vidrestore.video.read.decoders import decoder_of
from vidrestore.video.read.hardware import Hardware, HardwareDoubt
from vidrestore.video.read.info import VideoInfo

__all__ = ["CONCEALS", "check_input", "context_of", "find_nvdec"]

CONCEALS = "NVDEC decodes; it conceals damage inside of pictures in silence"
"""What a person should know who takes it."""

_EXACT = ("h264", "hevc", "vp8", "vp9", "av1")
"""Codecs whose standards settle every sample. Those of MPEG-1, MPEG-2 and MPEG-4 part 2 leave the
rounding of the inverse transform open, so that decoders drift apart, here and there."""

_FORMATS = ("yuv420p", "yuvj420p", "yuv420p10le", "yuv420p12le")
"""As software decodes what becomes NV12, P010 and P016."""


def find_nvdec(device: torch.device) -> Hardware:
    """Find the decoder of a GPU.

    Args:
        device: on which faces are restored.

    Raises:
        HardwareDoubt: there is none.
    """
    if device.type != "cuda" or torch.version.cuda is None:
        raise HardwareDoubt(f"faces are restored on {device.type}, and NVDEC needs a CUDA device")
    if "cuda" not in hwdevices_available():
        raise HardwareDoubt("the FFmpeg inside PyAV is built without it")
    index = torch.cuda.current_device() if device.index is None else device.index
    return Hardware("NVDEC", torch.device("cuda", index), partial(_open, index))


def check_input(info: VideoInfo) -> None:
    """Refuse what NVDEC does not decode, or perhaps otherwise than software.

    Raises:
        HardwareDoubt: it is said why.
    """
    if info.sequence is not None:
        raise HardwareDoubt("the input is a sequence of pictures")
    if info.codec not in _EXACT:
        raise HardwareDoubt(f"{info.codec} is not among {', '.join(_EXACT)}")
    if info.container == "avi":
        raise HardwareDoubt("AVI tells times by when the CPU's decoder answers")
    if info.pix_fmt not in _FORMATS:
        raise HardwareDoubt(f"pixel format {info.pix_fmt} is not among {', '.join(_FORMATS)}")
    if info.width % 2 or info.height % 2:
        raise HardwareDoubt(f"width or height is odd ({info.width}x{info.height})")
    if info.interlaced or info.only_container_tells_fields:
        raise HardwareDoubt("interlaced frames are decoded on the CPU")
    if info.clock.joins or info.changes:
        raise HardwareDoubt("the file consists of parts")


def context_of(
    stream: VideoStream, codec: str | None = None, hwaccel: HWAccel | None = None
) -> VideoCodecContext:
    """A decoder of its own for a stream, with what the container tells.

    Args:
        stream: whose packets it will take.
        codec: FFmpeg's name of the decoder; None for the one that hardware helps.
        hwaccel: what helps.
    """
    source = stream.codec_context
    if decoder_of(stream) is not stream:
        raise HardwareDoubt("alpha is decoded on the CPU")
    decoder = CodecContext.create(codec or source.codec.canonical_name, "r", hwaccel)
    assert isinstance(decoder, VideoCodecContext)
    decoder.extradata = source.extradata
    decoder.thread_count = 1
    options = {"pkt_timebase": str(stream.time_base)}
    # Grain that is drawn for show is told instead, since of H.264 and HEVC only software draws it.
    options["export_side_data"] = "film_grain"
    if source.codec.canonical_name == "h264":
        # Where the stream does not tell how far pictures are reordered: as far as its level lets
        # them, from the first one on.
        options["strict"] = "strict"
    decoder.options = options
    return decoder


def _open(index: int, stream: VideoStream) -> VideoCodecContext:
    with torch.cuda.device(index):
        # The thread has torch's context now. FFmpeg would not share it by the option `primary_ctx`,
        # since torch makes it with other flags than FFmpeg's own.
        torch.cuda.current_stream().synchronize()
        hwaccel = HWAccel(
            "cuda",
            device=index,
            allow_software_fallback=False,
            options={"primary_ctx": "0", "current_ctx": "1"},
            is_hw_owned=True,
        )
        decoder = context_of(stream, hwaccel=hwaccel)
    if not decoder.is_hwaccel:
        raise HardwareDoubt(f"the FFmpeg inside PyAV does not decode {decoder.name} on a GPU")
    return decoder
