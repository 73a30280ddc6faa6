"""One order of fields a file: frames in the other order are refused."""

from __future__ import annotations

from fractions import Fraction

from vidrestore.errors import VideoWriteError
from vidrestore.structs import Frame
from vidrestore.video.picture.field_order import field_order_of
from vidrestore.video.read.changes import OTHER_ORDER_WAY, split_advice
from vidrestore.video.read.info import VideoInfo
from vidrestore.video.read.window import Window

__all__ = ["require_one_order"]


def require_one_order(frame: Frame, source: VideoInfo, window: Window) -> bool:
    """Whether a frame is progressive, or in the file's order.

    Args:
        frame: about to be written.
        source: the input, as probed.
        window: the part of the input that is written.

    Returns:
        False for an interlaced frame in a file that is progressive as far as was looked.

    Raises:
        VideoWriteError: it is in the other order.
    """
    order, own = source.first_field, field_order_of(frame.picture.handle)
    if own is None or own == order:
        return True
    if order is None:
        return False
    first_s = window.first_s or Fraction(0)
    at_s = frame.pts * frame.time_base + first_s - source.start_s
    raise VideoWriteError(
        f"{source.path}: the order of fields changes from {order} to {own} field first at "
        f"{float(at_s):.3f} s; {split_advice(at_s)}{OTHER_ORDER_WAY}"
    )
