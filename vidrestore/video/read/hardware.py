"""Pictures from a hardware decoder: on the host as software gives them, on its device as they are.

Such a decoder gives semi-planar surfaces (NV12, P010, P016) on a device. `Surfaces` makes of each a
`Picture` whose samples on the host are planar, in the pixel format of decoding by software, bit for
bit, and whose planes are on the device, too, in memory of their own: the surface goes back to the
decoder at once, however long frames are held.

A hardware decoder conceals damage in silence, or refuses what software gets over. So every sign of
trouble is a `HardwareDoubt`, and who reads goes over to software (`hardware_reader`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import av
import torch
from av.packet import Packet
from av.video.stream import VideoStream
from torch import Tensor
from torch.utils.dlpack import from_dlpack

from vidrestore.runtime.transfer import Uploaded
from vidrestore.structs import Picture
from vidrestore.video.boundary import AV_ERRORS, reason_of
from vidrestore.video.picture.samples import picture_from_av
from vidrestore.video.picture.side_data import side_data_names
from vidrestore.video.read.decoders import SurfaceDecoder

if TYPE_CHECKING:
    from vidrestore.video.read.info import VideoInfo
    from vidrestore.video.read.packets import Decoded, PacketDecoder

__all__ = ["Hardware", "HardwareDoubt", "Surfaces"]

_SURFACES = {
    "nv12": (0, ("yuv420p", "yuvj420p")),
    "p010le": (6, ("yuv420p10le",)),
    "p016le": (4, ("yuv420p12le",)),
}
"""Unused low bits of each kind of surface, and the pixel formats of software that it holds."""


class HardwareDoubt(Exception):
    """Why pictures of a hardware decoder may not be those of software."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """A hardware decoder that this machine has."""

    name: str
    """For people."""
    device: torch.device
    """Where its surfaces are."""
    open: Callable[[VideoStream], SurfaceDecoder]
    """Open a decoder for a stream."""


class Surfaces:
    """What one reading of a video makes of surfaces.

    Args:
        hardware: the decoder.
        info: of the video; its pixel format is that of software.
    """

    def __init__(self, hardware: Hardware, info: VideoInfo) -> None:
        self._hardware, self._info = hardware, info
        self._range: int | None = None
        self._stream: torch.cuda.Stream | None = None
        if hardware.device.type == "cuda":
            self._stream = torch.cuda.Stream(hardware.device)  # type: ignore[no-untyped-call]

    def open(self, stream: VideoStream) -> SurfaceDecoder:
        """Open the decoder for a stream.

        Raises:
            HardwareDoubt: it does not open; later, it refuses a packet.
        """
        try:
            return _Doubting(self._hardware.open(stream), self._hardware.name)
        except (*AV_ERRORS, OSError) as error:
            told = f"{self._hardware.name} does not open ({reason_of(error)})"
            raise HardwareDoubt(told) from error

    def answers(self, decoder: PacketDecoder) -> Iterator[Decoded]:
        """Give what a decoder answers, as long as nothing is missing or damaged.

        Raises:
            HardwareDoubt: something is.
        """
        began = False
        for decoded in decoder.pictures():
            if decoder.ledger.is_suspect or decoded.is_corrupt or decoder.errors:
                raise HardwareDoubt("the file is damaged")
            # Where reading begins between key frames, the first packets give none.
            if decoded.frame is None or decoded.pts is None or (began and decoded.skipped):
                raise HardwareDoubt("a packet gives no picture")
            began = True
            yield decoded

    def picture(self, surface: av.VideoFrame) -> Picture:
        """Bring a surface to the host, once, and keep its planes on the device.

        Raises:
            HardwareDoubt: software may give another picture.
        """
        shift = self._check(surface)
        try:
            planes = self._planes(surface, shift)
            frame = _host_frame(surface, self._info.pix_fmt)
        except torch.OutOfMemoryError as error:
            raise HardwareDoubt("the device's memory does not suffice") from error
        except (av.FFmpegError, OSError) as error:
            raise HardwareDoubt(
                f"a picture does not reach the host ({reason_of(error)})"
            ) from error
        if planes.sent is not None:  # the decoder may write into the surface from here on
            planes.sent.synchronize()
        if "FILM_GRAIN_PARAMS" in side_data_names(frame):
            raise HardwareDoubt("film grain is drawn on the CPU")
        return replace(picture_from_av(frame), decoded=planes)

    def _check(self, surface: av.VideoFrame) -> int:
        """How many low bits of the surface are unused."""
        kind, info = (surface.sw_format or surface.format).name, self._info
        shift, formats = _SURFACES.get(kind, (0, ()))
        if info.pix_fmt not in formats:
            raise HardwareDoubt(f"{self._hardware.name} gives {kind} for {info.pix_fmt}")
        if (surface.width, surface.height) != (info.width, info.height):
            raise HardwareDoubt(
                f"{self._hardware.name} gives {surface.width}x{surface.height} for "
                f"{info.width}x{info.height}"
            )
        if surface.interlaced_frame:
            raise HardwareDoubt("interlaced frames are decoded on the CPU")
        if self._range is None:
            self._range = int(surface.color_range)
        if int(surface.color_range) != self._range:
            raise HardwareDoubt("the range of the samples changes")
        return shift

    def _planes(self, surface: av.VideoFrame, shift: int) -> Uploaded:
        if self._stream is None:
            return Uploaded(_planar(surface, shift), None)
        with torch.cuda.stream(self._stream):
            # FFmpeg fills surfaces on the device's default stream, and does not wait there.
            self._stream.wait_stream(torch.cuda.default_stream(self._hardware.device))
            return Uploaded(_planar(surface, shift), self._stream.record_event())


class _Doubting:
    """A decoder that doubts where it fails.

    Args:
        decoder: that gives surfaces.
        name: of the hardware.
    """

    def __init__(self, decoder: SurfaceDecoder, name: str) -> None:
        self._decoder, self._name = decoder, name

    def decode(self, packet: Packet[Any] | None) -> list[av.VideoFrame]:
        """See `SurfaceDecoder`."""
        try:
            return self._decoder.decode(packet)
        except EOFError:
            raise
        except AV_ERRORS as error:
            raise HardwareDoubt(f"{self._name} refuses a packet ({reason_of(error)})") from error


def _planar(surface: av.VideoFrame, shift: int) -> tuple[Tensor, ...]:
    """Y, U and V of a surface on its device, in memory of their own.

    PyAV takes no stream through DLPack (and torch would hand it one), so the caller has waited.
    """
    luma, chroma = (from_dlpack(plane.__dlpack__()) for plane in surface.planes)
    return tuple(_copied(part, shift) for part in (luma, chroma[..., 0], chroma[..., 1]))


def _copied(samples: Tensor, shift: int) -> Tensor:
    """(H, W), contiguous, with the value in the low bits."""
    if samples.dtype == torch.uint8:
        return samples.clone(memory_format=torch.contiguous_format)
    # As signed numbers, which more operations take: the shift brings in copies of the sign.
    low = (samples.view(torch.int16) >> shift).bitwise_and_((1 << (16 - shift)) - 1)
    return low.contiguous().view(torch.uint16)


def _host_frame(surface: av.VideoFrame, pix_fmt: str) -> av.VideoFrame:
    """A planar frame on the host with the surface's samples and properties.

    FFmpeg's scaler only moves samples here: neither size nor depth changes.
    """
    frame = surface.reformat(format=pix_fmt, threads=1)
    # PyAV tells matrix and range to the scaler, whose numbers for them are others.
    frame.colorspace, frame.color_range = surface.colorspace, surface.color_range
    return frame
