"""Write boxes and elements about a track into a finished MP4 or Matroska file.

The track first gets a title that keeps room; when the file is finished, the title makes way for
what is added, and the room that is left becomes an empty box or element. No byte after the list of
tracks moves.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vidrestore.errors import VideoWriteError
from vidrestore.video.container import matroska, mp4
from vidrestore.video.container.matroska import Element
from vidrestore.video.container.mp4 import Box
from vidrestore.video.write.presentation import COLOUR, Shown, boxes_for, elements_for

__all__ = ["MATROSKA", "MP4", "TrackPatch", "apply_patches", "make_patch"]

MP4 = ("mp4", "mov")
MATROSKA = ("matroska", "webm")
"""FFmpeg's names of the writers whose files are patched."""

_MARK = "vidrestore keeps room here "
_SPARE_BYTES = 64


@dataclass(frozen=True, slots=True)
class TrackPatch:
    """What one track gets; `number` tells the tracks of an output apart."""

    number: int
    title: str
    """The track's own, '' where it has none."""
    boxes: tuple[Box, ...] = ()
    """Of MP4's sample entry."""
    track_boxes: tuple[Box, ...] = ()
    """Of MP4's track."""
    elements: tuple[Element, ...] = ()
    """Of Matroska's element Video."""
    matrix: tuple[int, ...] | None = None
    """Of MP4's track header: how the picture is turned."""
    track_elements: tuple[Element, ...] = ()
    """Of Matroska's track, in place of those of the same numbers."""

    @property
    def mark(self) -> str:
        """How the title that keeps the room begins."""
        return f"{_MARK}{self.number} "

    @property
    def keeps_room(self) -> str:
        """The title that keeps the room until the file is finished."""
        count = sum(len(box.to_bytes()) for box in (*self.boxes, *self.track_boxes))
        count += sum(len(element.to_bytes()) for element in (*self.elements, *self.track_elements))
        count += len(self.title.encode())
        return self.mark + "." * (count + _SPARE_BYTES)


def make_patch(number: int, title: str, shown: Shown, muxer: str) -> TrackPatch | None:
    """What a track of an output gets; None where FFmpeg writes all there is, or nobody can.

    Args:
        number: tells the tracks of the output apart.
        title: the track's own, '' where it has none.
        shown: what is said about showing its picture.
        muxer: FFmpeg's name of the container's writer.
    """
    if muxer in MP4:
        boxes, track_boxes = boxes_for(shown)
        patch = TrackPatch(number, title, boxes=boxes, track_boxes=track_boxes, matrix=shown.matrix)
    elif muxer in MATROSKA:
        patch = TrackPatch(number, title, elements=elements_for(shown))
    else:
        return None
    is_needed = patch.boxes or patch.track_boxes or patch.elements or patch.matrix
    return patch if is_needed else None


def apply_patches(path: Path, muxer: str, patches: Sequence[TrackPatch]) -> None:
    """Write all patches into a finished file.

    Raises:
        VideoWriteError: the file is not as FFmpeg wrote it.
    """
    if not patches:
        return
    locate = mp4.locate_movie if muxer in MP4 else matroska.locate_tracks
    with path.open("r+b") as file:
        place = locate(file)
        if place is None:
            raise VideoWriteError(f"{path}: its list of tracks is missing")
        file.seek(place[0])
        content = file.read(place[1])
        patched = _patched_movie if muxer in MP4 else _patched_tracks
        changed = patched(content, patches)
        assert len(changed) == len(content)
        file.seek(place[0])
        file.write(changed)


def _patched_movie(movie: bytes, patches: Sequence[TrackPatch]) -> bytes:
    changed = b""
    for box in mp4.boxes_in(movie):
        patch = next((one for one in patches if one.mark.encode() in box.content), None)
        if box.kind == b"trak" and patch is not None:
            box = Box(b"trak", _patched_track(box.content, patch))
        changed += box.to_bytes()
    spare = len(movie) - len(changed)
    return changed + (Box(b"free", bytes(spare - 8)).to_bytes() if spare else b"")


def _patched_track(track: bytes, patch: TrackPatch) -> bytes:
    changed = b""
    for box in mp4.boxes_in(track):
        content = box.content
        if box.kind == b"udta":
            content = _renamed(content, patch)
            if not content:
                continue
        elif box.kind == b"mdia":
            content = _with_boxes(content, (b"minf", b"stbl", b"stsd"), patch.boxes)
        elif box.kind == b"tkhd" and patch.matrix is not None:
            content = _turned(content, patch.matrix)
        changed += Box(box.kind, content).to_bytes()
    return changed + b"".join(box.to_bytes() for box in patch.track_boxes)


def _turned(header: bytes, matrix: Sequence[int]) -> bytes:
    """A track header with another matrix (ISO/IEC 14496-12, section 8.3.2)."""
    at = 52 if header[0] == 1 else 40
    return header[:at] + struct.pack(">9i", *matrix) + header[at + 36 :]


def _renamed(udta: bytes, patch: TrackPatch) -> bytes:
    """The track's texts, with its own title in place of the one that keeps the room."""
    changed = b""
    for box in mp4.boxes_in(udta):
        at = box.content.find(patch.mark.encode())
        if at >= 0:
            if not patch.title:
                continue
            box = Box(box.kind, box.content[:at] + patch.title.encode())
        changed += box.to_bytes()
    return changed


def _with_boxes(content: bytes, path: tuple[bytes, ...], added: Sequence[Box]) -> bytes:
    if not path:
        return _described(content, added)
    return b"".join(
        Box(box.kind, _with_boxes(box.content, path[1:], added)).to_bytes()
        if box.kind == path[0]
        else box.to_bytes()
        for box in mp4.boxes_in(content)
    )


def _described(content: bytes, added: Sequence[Box]) -> bytes:
    """The content of `stsd` with more boxes in its first sample entry."""
    first, *others = mp4.boxes_in(content[8:])
    held = list(mp4.boxes_in(first.content[mp4.SAMPLE_ENTRY_BYTES :]))
    held += [box for box in added if box.kind not in {one.kind for one in held}]
    entry = first.content[: mp4.SAMPLE_ENTRY_BYTES] + b"".join(box.to_bytes() for box in held)
    entries = (Box(first.kind, entry), *others)
    return content[:8] + b"".join(box.to_bytes() for box in entries)


def _patched_tracks(tracks: bytes, patches: Sequence[TrackPatch]) -> bytes:
    held = list(matroska.elements_in(tracks))
    has_crc = bool(held) and held[0].number == matroska.CRC
    changed = b"".join(
        _patched_entry(one, patches).to_bytes() for one in held[1 if has_crc else 0 :]
    )
    head = len(matroska.crc_element(b"").to_bytes()) if has_crc else 0
    changed += matroska.void_of(len(tracks) - head - len(changed))
    return (matroska.crc_element(changed).to_bytes() if has_crc else b"") + changed


def _patched_entry(entry: Element, patches: Sequence[TrackPatch]) -> Element:
    name = matroska.find_element(entry.content, 0x536E)
    text = b"" if name is None else name.content
    patch = next((one for one in patches if text.startswith(one.mark.encode())), None)
    if patch is None:
        return entry
    parts: list[Element] = []
    replaced = {one.number for one in patch.track_elements}
    for one in matroska.elements_in(entry.content):
        if one.number in replaced:
            continue
        if one.number == 0x536E:
            if not patch.title:
                continue
            one = Element(0x536E, patch.title.encode())
        elif one.number == 0xE0:
            one = Element(0xE0, _patched_video(one.content, patch.elements))
        parts.append(one)
    parts += patch.track_elements
    return Element(entry.number, b"".join(part.to_bytes() for part in parts))


def _patched_video(video: bytes, added: Sequence[Element]) -> bytes:
    """The content of Video with elements added or replaced, and those of Colour merged."""
    replaced = {one.number for one in added} - {COLOUR}
    if 0x54B0 in replaced:
        replaced.add(0x54B2)  # DisplayUnit: pixels
    held = [one for one in matroska.elements_in(video) if one.number not in replaced]
    colour = next((one.content for one in held if one.number == COLOUR), b"")
    parts = [one for one in held if one.number != COLOUR]
    for one in added:
        if one.number == COLOUR:
            told = {part.number for part in matroska.elements_in(colour)}
            missing = (
                part for part in matroska.elements_in(one.content) if part.number not in told
            )
            colour += b"".join(part.to_bytes() for part in missing)
        else:
            parts.append(one)
    parts += [Element(COLOUR, colour)] if colour else []
    return b"".join(part.to_bytes() for part in parts)
