"""Faces that are put back on a device, and which of them together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from vidrestore.config import BlendConfig
from vidrestore.geometry import averaging_box, invert
from vidrestore.noise import kept_share
from vidrestore.stages._place import Place, place_of
from vidrestore.structs import Array, Face, Frame, Picture

__all__ = ["PlacedFace", "alike_faces", "placed_faces"]

_MOST_FACES, _MOST_PIXELS = 16, 1 << 22
"""Faces that are put back together, and pixels of their frames: 1 GB with all that is made of them
and of crops of 512 px."""
_LARGER = 4
"""Faces are put back together whose areas differ by no more than this factor: all take the room of
the largest."""


@dataclass(frozen=True, slots=True, eq=False)
class PlacedFace:
    """A face that will be put back."""

    number: int
    """Of all that are."""
    frame: int
    """Number of its frame."""
    picture: Picture
    face: Face
    crop: Tensor
    source: Tensor
    place: Place
    strength: float
    """In (0, 1]."""
    crop_from_rect: Array
    box: tuple[int, int]
    """Pixels of the crop, across and down, that become one of the frame."""

    @property
    def kept(self) -> float:
        """Share of the input's finest detail that is kept."""
        return 1.0 if self.face.noise is None else kept_share(self.face.noise)

    @property
    def kind(self) -> tuple[object, ...]:
        """What faces that are put back together have in common."""
        one, noise = self.picture, self.face.noise
        picture = (one.format, one.matrix, one.full_range, one.width, one.height)
        components = 0 if noise is None or self.kept == 1 else len(noise.components)
        return (*self.box, *picture, self.place.size, components)

    @property
    def area(self) -> int:
        """Pixels of the frame."""
        return self.place.rect.width * self.place.rect.height


def placed_faces(frames: Sequence[Frame], config: BlendConfig) -> list[PlacedFace]:
    """The faces of frames that will be put back, in order."""
    placed: list[PlacedFace] = []
    for number, frame in enumerate(frames):
        for face in frame.faces:
            one = _placed(face, len(placed), number, frame.picture, config)
            placed += [] if one is None else [one]
    return placed


def _placed(
    face: Face, number: int, frame: int, picture: Picture, config: BlendConfig
) -> PlacedFace | None:
    strength = config.strength * face.strength
    place = place_of(face, picture, config) if strength > 0 else None
    if place is None or face.crop is None or face.source_crop is None:
        return None
    crop_from_rect = invert(place.rect_from_crop)
    return PlacedFace(
        number,
        frame,
        picture,
        face,
        face.crop,
        face.source_crop,
        place,
        strength,
        crop_from_rect,
        averaging_box(crop_from_rect),
    )


def alike_faces(placed: Sequence[PlacedFace]) -> Iterator[list[PlacedFace]]:
    """Faces that can be put back together, about as large, and as many as memory is meant for."""
    part: list[PlacedFace] = []
    for one in sorted(placed, key=lambda one: (one.kind, one.area)):
        if part and (
            one.kind != part[0].kind
            or one.area > _LARGER * part[0].area
            or one.area * (len(part) + 1) > _MOST_PIXELS
            or len(part) == _MOST_FACES
        ):
            yield part
            part = []
        part.append(one)
    if part:
        yield part
