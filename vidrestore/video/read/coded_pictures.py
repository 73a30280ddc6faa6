"""How many pictures a packet promises, read from its own headers.

Most packets hold one picture. Some hold none, and are whole: the second field of a picture that is
coded as two (H.264, MPEG-2), one that only others refer to (VP9, AV1), a leading picture
without what it refers to (HEVC), a VOP that is not coded (MPEG-4 part 2), parameter sets on their
own. Some hold two: the packed B-frames of DivX and Xvid.
"""

from __future__ import annotations

from typing import Protocol

from vidrestore.video.read.av1 import Av1Pictures
from vidrestore.video.read.bits import BitReader
from vidrestore.video.read.h264 import H264Pictures
from vidrestore.video.read.hevc import HevcPictures
from vidrestore.video.read.mpeg2 import Mpeg2Pictures
from vidrestore.video.read.vp9 import Vp9Pictures

__all__ = ["PictureCounter", "picture_counter"]


class PictureCounter(Protocol):
    """Count the pictures that begin in the packets of one stream, in order of decoding."""

    is_exact: bool
    """Whether every picture that is counted must come out of the decoder of an intact file."""

    def count(self, data: bytes) -> int:
        """How many pictures a whole packet promises."""
        ...


def picture_counter(codec: str, extradata: bytes | None) -> PictureCounter:
    """The counter for a codec.

    Args:
        codec: FFmpeg's name of it.
        extradata: headers that the container keeps beside the packets.
    """
    if codec == "h264":
        return H264Pictures(extradata or b"")
    if codec == "hevc":
        return HevcPictures(extradata or b"")
    if codec == "mpeg4":
        return _Mpeg4Pictures(extradata or b"")
    if codec in ("mpeg1video", "mpeg2video"):
        return Mpeg2Pictures()
    if codec == "vp9":
        return Vp9Pictures()
    if codec == "av1":
        return Av1Pictures(extradata or b"")
    return _OneEach()


class _OneEach:
    """Codecs whose packets are not looked into."""

    is_exact = False

    def count(self, data: bytes) -> int:
        return 1


_VOP = b"\0\0\1\xb6"
_START = b"\0\0\1"
_LAYERS = range(0x20, 0x30)
"""Start codes of a video object layer's header."""

_EXTENDED_ASPECT = 15
_BUFFER_BITS = 79
"""Of `vbv_parameters`, markers included."""

_LONGEST_WITHOUT_PICTURE = 16
"""Bytes of a plane that is not coded: nothing follows its flag."""


class _Mpeg4Pictures:
    """Video object planes and their flag `vop_coded` (ISO/IEC 14496-2, section 6.2)."""

    is_exact = True

    def __init__(self, extradata: bytes) -> None:
        self._time_bits = 0
        self._read_layer(extradata)

    def count(self, data: bytes) -> int:
        at = data.find(_VOP)
        if at < 0:
            return 1  # a short header (ITU-T H.263), or damage
        self._read_layer(data[:at])
        count = 0
        while at >= 0:
            following = data.find(_VOP, at + 4)
            count += self._is_coded(data[at + 4 : following if following >= 0 else None])
            at = following
        return count

    def _is_coded(self, plane: bytes) -> bool:
        if len(plane) > _LONGEST_WITHOUT_PICTURE:
            return True
        bits = BitReader(plane)
        try:
            bits.skip(2)
            while bits.take(1):  # modulo_time_base
                pass
            bits.skip(1 + self._time_bits + 1)
            return bits.take(1) == 1
        except EOFError:
            return True

    def _read_layer(self, data: bytes) -> None:
        """Take from a layer's header how long the times of its planes are."""
        at = data.find(_START)
        while at >= 0:
            if data[at + 3 : at + 4] and data[at + 3] in _LAYERS:
                try:
                    self._time_bits = _time_bits(BitReader(data[at + 4 : at + 64]))
                except EOFError:
                    return
            at = data.find(_START, at + 3)


def _time_bits(bits: BitReader) -> int:
    """Length of `vop_time_increment`, from the beginning of a video object layer's header."""
    bits.skip(9)
    if bits.take(1):  # is_object_layer_identifier
        bits.skip(7)
    if bits.take(4) == _EXTENDED_ASPECT:
        bits.skip(16)
    if bits.take(1):  # vol_control_parameters
        bits.skip(3)
        if bits.take(1):
            bits.skip(_BUFFER_BITS)
    bits.skip(2 + 1)
    return max(1, (bits.take(16) - 1).bit_length())
