"""Settings of x264 that make equal frames give equal bytes on every machine.

x264's output depends on how many threads work on it and on how they share the work, so neither may
follow the number of cores. Frame threads cost nothing in size; slices, which PyAV asks for, cost 2
to 8 %, more with more threads.
"""

from __future__ import annotations

import av
import cv2

__all__ = ["X264_THREADS", "set_x264_threads", "x264_options"]

X264_THREADS = 4
"""Whatever the machine has and whatever `--threads` says."""
_OPENCV_CPU_AVX2 = 11
"""CV_CPU_AVX2 of OpenCV's interface.h. PyTorch's answer would follow an environment variable."""


def x264_options(*params: str) -> dict[str, str]:
    """Return FFmpeg's option `x264-params` with the assembly code selected.

    With its AVX-512 code two encoders of one process give other packets for the same frames, seen
    in PyAV 18.1. `asm=avx2` gives the bytes that SSE4.2 and AVX code give as well. The option
    forces code and does not ask the processor, so a machine without AVX2 is left to x264's own
    choice, and so is one with another architecture, whose x264 does not know the name.

    Args:
        params: further entries, such as "cll=1000,400".

    Returns:
        An empty dictionary where nothing is to be set.
    """
    asm = ["asm=avx2"] if cv2.checkHardwareSupport(_OPENCV_CPU_AVX2) else []
    entries = [*asm, *params]
    return {"x264-params": ":".join(entries)} if entries else {}


def set_x264_threads(context: av.VideoCodecContext) -> None:
    """Set four frame threads; before the encoder is opened."""
    context.thread_type = "FRAME"
    context.thread_count = X264_THREADS
