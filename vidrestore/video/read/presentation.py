"""Read how the pictures of a track are to be shown: see `video.picture.presentation`."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Literal, cast

from av.container import InputContainer
from av.video.stream import VideoStream

from vidrestore.video.container import matroska, mp4
from vidrestore.video.picture.presentation import Aperture, Presentation, Projection

__all__ = ["SPHERICAL_UUID", "WHOLE_SPHERE", "read_presentation", "xml_as_version_2"]

SPHERICAL_UUID = bytes.fromhex("ffcc8263f8554a938814587a02521fdd")
"""Of the box with the XML text of spherical video, version 1."""

_STEREO_OF_MP4 = {0: 0, 1: 3, 2: 1, 4: 11}
"""Matroska's StereoMode by that of `st3d`."""

_KINDS: dict[int, Literal[b"equi", b"cbmp", b"mshp"]] = {1: b"equi", 2: b"cbmp", 3: b"mshp"}

WHOLE_SPHERE = bytes(20)
"""Content of a box `equi` that cuts nothing off."""


def read_presentation(container: InputContainer, stream: VideoStream, path: Path) -> Presentation:
    """What a container says about showing one track.

    Args:
        container: the open file.
        stream: of the picture.
        path: of the file.
    """
    name = container.format.name
    if name.startswith("mov"):
        return _of_mp4(mp4.read_movie(path), stream.id)
    if name.startswith("matroska"):
        context = stream.codec_context
        place = container.streams.video.index(stream)  # FFmpeg does not tell a track's number
        return _of_matroska(matroska.read_tracks(path), place, (context.width, context.height))
    return Presentation()


def _of_mp4(movie: bytes, number: int) -> Presentation:
    tracks = (box for box in mp4.boxes_in(movie) if box.kind == b"trak")
    track = next((one for one in tracks if mp4.track_number(one) == number), None)
    if track is None:
        return Presentation()
    described = mp4.find_path(track.content, b"mdia", b"minf", b"stbl", b"stsd")
    entry = None if described is None else next(mp4.boxes_in(described.content[8:]), None)
    held: dict[bytes, bytes] = {}
    for box in mp4.boxes_in(b"" if entry is None else entry.content[mp4.SAMPLE_ENTRY_BYTES :]):
        held.setdefault(box.kind, box.content)
    xml = _spherical_xml(track.content)
    return Presentation(
        aperture=_aperture(held.get(b"clap", b"")),
        stereo=_stereo(held.get(b"st3d", b"")),
        projection=_projection(held.get(b"sv3d", b"")),
        spherical_xml=xml,
        boxes=tuple((kind, held[kind]) for kind in _carried(held)),
    )


def _carried(held: Mapping[bytes, bytes]) -> list[bytes]:
    """Of a picture with layers (`lhvC`) only one view is left, so that `vexu` would be wrong."""
    wanted = (b"amve", b"hfov", *(() if b"lhvC" in held else (b"vexu",)))
    return [kind for kind in wanted if kind in held]


def _aperture(content: bytes) -> Aperture | None:
    if len(content) < 32:
        return None
    numbers = struct.unpack(">IIIIiIiI", content[:32])
    if 0 in numbers[1::2] or not (numbers[0] and numbers[2]):
        return None
    return Aperture(*(Fraction(numbers[i], numbers[i + 1]) for i in range(0, 8, 2)))


def _stereo(content: bytes) -> int | None:
    return _STEREO_OF_MP4.get(content[4]) if len(content) >= 5 else None


def _projection(content: bytes) -> Projection | None:
    described = mp4.find_box(content, b"proj")
    if described is None:
        return None
    header = mp4.find_box(described.content, b"prhd")
    pose = (0, 0, 0)
    if header is not None and len(header.content) >= 16:
        pose = struct.unpack(">3i", header.content[4:16])
    for box in mp4.boxes_in(described.content):
        if box.kind in _KINDS.values():
            kind = cast(Literal[b"equi", b"cbmp", b"mshp"], box.kind)
            return Projection(kind, pose, box.content)
    return None


def _spherical_xml(track: bytes) -> bytes | None:
    for box in mp4.boxes_in(track):
        if box.kind == b"uuid" and box.content.startswith(SPHERICAL_UUID):
            return box.content[len(SPHERICAL_UUID) :]
    return None


def _of_matroska(tracks: bytes, place: int, size: tuple[int, int]) -> Presentation:
    """Of the video track that comes after `place` others."""
    videos = [
        one.content
        for one in matroska.elements_in(tracks)
        if one.number == 0xAE and matroska.uint_of(one.content, 0x83) == 1
    ]
    video = matroska.find_element(videos[place], 0xE0) if place < len(videos) else None
    return Presentation() if video is None else _of_video(video.content, size)


def _of_video(video: bytes, size: tuple[int, int]) -> Presentation:
    left, top, right, bottom = (
        matroska.uint_of(video, number) for number in (0x54CC, 0x54BB, 0x54DD, 0x54AA)
    )
    margins = (left, top, right, bottom)
    stereo = matroska.find_element(video, 0x53B8)
    projection = matroska.find_element(video, 0x7670)
    return Presentation(
        aperture=Aperture.from_margins(size, margins) if any(margins) else None,
        stereo=None if stereo is None else int.from_bytes(stereo.content, "big"),
        projection=None if projection is None else _of_projection(projection.content),
    )


def _of_projection(content: bytes) -> Projection | None:
    kind = _KINDS.get(matroska.uint_of(content, 0x7671))
    if kind is None:
        return None
    private = matroska.find_element(content, 0x7672)
    turns = (matroska.float_of(content, number) for number in (0x7673, 0x7674, 0x7675))
    yaw, pitch, roll = (max(-(2**31), min(2**31 - 1, round(turn * 65536))) for turn in turns)
    return Projection(
        kind, (yaw, pitch, roll), WHOLE_SPHERE if private is None else private.content
    )


def xml_as_version_2(xml: bytes) -> Presentation:
    """What the XML text of version 1 says, as far as version 2 has words for it."""
    found = re.search(rb"<GSpherical:StereoMode>\s*([\w-]+)", xml)
    stereo = {b"top-bottom": 3, b"left-right": 1}.get(found[1] if found else b"")
    return Presentation(stereo=stereo, projection=Projection(b"equi", (0, 0, 0), WHOLE_SPHERE))
