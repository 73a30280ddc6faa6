"""A file's scan is looked for along it; the flags of frames decide, and the container where they
say nothing."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import av
import pytest
from interlaced import write_frames
from videos import picture

from vidrestore.config import resolve_config
from vidrestore.errors import VideoDecodeError
from vidrestore.geometry import identity
from vidrestore.job import make_job
from vidrestore.structs import Display, Frame
from vidrestore.video.picture.field_order import FieldOrder, field_order_of, with_field_order
from vidrestore.video.picture.samples import picture_from_av
from vidrestore.video.read.describe import describe
from vidrestore.video.read.probe import probe
from vidrestore.video.read.reader import VideoReader

SIZE = (64, 48)
_ORDERS: dict[str, FieldOrder | None] = {"T": "top", "B": "bottom", "P": None}


def flagged(letters: str) -> list[Frame]:
    """Frames whose flags are (T)op first, (B)ottom first or (P)rogressive."""
    display = Display(*SIZE, identity())
    frames = []
    for index, letter in enumerate(letters):
        handle = with_field_order(picture(index, *SIZE), _ORDERS[letter])
        frames.append(Frame(index, index, Fraction(1, 25), picture_from_av(handle), display))
    return frames


def orders_in(path: Path) -> str:
    letters = {order: letter for letter, order in _ORDERS.items()}
    with av.open(str(path)) as container:
        return "".join(letters[field_order_of(one)] for one in container.decode(video=0))


def test_flags_of_frames_decide_and_most_of_them_for_the_order(tmp_path: Path) -> None:
    for letters, first in (("TTTT", "top"), ("BBBB", "bottom"), ("PPPP", None), ("PPTT", "top")):
        path = write_frames(tmp_path / f"{letters}.mkv", flagged(letters), options={"level": "3"})
        info = probe(path)
        assert info.first_field == first, letters
        assert (f"interlaced, {first} field first" in "".join(describe(info))) == bool(first)


@pytest.mark.parametrize("ending", [".mkv", ".ts", ".mp4"])
def test_field_pairs_deep_in_a_file_are_found(tmp_path: Path, ending: str) -> None:
    """As in PAFF: whole pictures, and now and then an interlaced one."""
    letters = ("P" * 60 + "T" * 5) * 2
    codec = "ffv1" if ending == ".mkv" else "mpeg2video"
    options = {"level": "3"} if codec == "ffv1" else {"g": "12", "bf": "0"}
    path = write_frames(tmp_path / f"a{ending}", flagged(letters), codec, options=options)
    info = probe(path)
    assert info.first_field is not None and info.interlaced


def test_the_container_counts_where_frames_are_not_flagged(tmp_path: Path) -> None:
    path = tmp_path / "told.mov"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mjpeg", rate=25, width=64, height=48, pix_fmt="yuvj422p")
        stream.codec_context.field_order = 3
        for index in range(3):
            frame = picture(index, *SIZE, "yuvj422p")
            frame.pts = index
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    assert orders_in(path) == "PPP"
    info = probe(path)
    assert info.first_field == "bottom" and info.only_container_tells_fields
    config = resolve_config(None, {})
    with VideoReader(path, config.decode) as reader:
        orders = [field_order_of(frame.picture.handle) for frame in reader.frames()]
    assert orders == ["bottom"] * 3


@pytest.mark.parametrize("codec", ["ffv1", "mpeg2video"])
def test_an_order_that_changes_is_refused_with_advice_that_works(
    tmp_path: Path, codec: str
) -> None:
    options = {"level": "3"} if codec == "ffv1" else {"g": "6", "bf": "0"}
    ending = ".mkv" if codec == "ffv1" else ".ts"
    path = write_frames(
        tmp_path / f"a{ending}", flagged("T" * 10 + "B" * 9), codec, options=options
    )
    out = tmp_path / "out.mkv"
    with pytest.raises(VideoDecodeError, match=r"top field first.* bottom field first") as error:
        make_job(path, out, resolve_config(None, {}))
    [until] = re.findall(r"--end ([\d.]+)", str(error.value))
    assert until == "0.400"
    first = make_job(path, out, resolve_config(None, {"decode.end": float(until)}))
    second = make_job(path, out, resolve_config(None, {"decode.start": float(until)}))
    assert (first.info.first_field, second.info.first_field) == ("top", "bottom")
    way = make_job(path, out, resolve_config(None, {"decode.deinterlace": "bwdif"}))
    assert way.filtered.first_field is None
