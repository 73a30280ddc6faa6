"""The layout of a tracks file, version 3: JSON with a line for each list, in few digits.

Places are integers in steps of `unit_px`, ten of the landmarks and four of the box; motions are
those of `vidrestore.track_units`. Where a motion is null, a row of `places` holds the places.
Elsewhere a place is where the motion takes that of the entry before, plus a correction, and what is
written is the correction less that of the entry before (0 at the first). Between two looks of the
detector it hardly changes, so most numbers are small. It is integer arithmetic: every machine reads
the same places.

A row of numbers from -26 to 26 is written as a word, a letter for each: 0 for none, A to Z for 1
to 26, a to z for -1 to -26. "A0b00000000000" is [1,0,-2,0,0,0,0,0,0,0,0,0,0,0]; either is read.
What repeats is written as [value, times in a row], `frames` as [first, last], and times as
differences from the one before.
"""

from __future__ import annotations

import itertools
import json
import string
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)

from vidrestore.track_units import NOSE, TURNS, UNITS_PER_PX

__all__ = [
    "VERSION",
    "TrackRecord",
    "TracksRecord",
    "from_word",
    "runs",
    "spans",
    "to_places",
    "to_rows",
    "to_word",
]

VERSION: Final = 3
_MOST_UNITS = 2**31

Number = Annotated[int, Field(ge=0, le=2**31)]
_Signed = Annotated[int, Field(ge=-(2**31), le=2**31)]
_Time = Annotated[int, Field(ge=-(2**53), le=2**53)]
_Four = Annotated[list[_Signed], Field(min_length=4, max_length=4)]
_Value = TypeVar("_Value")

_LETTERS = string.ascii_lowercase[::-1] + "0" + string.ascii_uppercase
_MOST_LETTER = len(_LETTERS) // 2


def to_word(row: list[int]) -> str | list[int]:
    """Write a row of small numbers with a letter for each; give any other row back."""
    if max(row) > _MOST_LETTER or min(row) < -_MOST_LETTER:
        return row
    return "".join(_LETTERS[number + _MOST_LETTER] for number in row)


def from_word(row: object) -> object:
    """Undo `to_word`; what is no word is given back.

    Raises:
        ValueError: a sign that stands for no number.
    """
    if not isinstance(row, str):
        return row
    numbers = [_LETTERS.find(letter) - _MOST_LETTER for letter in row]
    if numbers and min(numbers) < -_MOST_LETTER:
        raise ValueError("a word of 0, A to Z and a to z was expected")
    return numbers


_Row = Annotated[
    list[_Signed],
    Field(min_length=14, max_length=14),
    BeforeValidator(from_word),
    PlainSerializer(to_word),
]


def _known(version: int) -> int:
    if version != VERSION:
        raise ValueError(f"{version} is not the version that this program reads, {VERSION}")
    return version


def _unit(unit_px: float) -> float:
    if unit_px != 1 / UNITS_PER_PX:
        raise ValueError(f"must be {1 / UNITS_PER_PX}, not {unit_px:g}")
    return unit_px


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class TrackRecord(_Part):
    """One person."""

    id: Number
    strength: float = Field(1.0, ge=0, le=1)
    frames: list[tuple[Number, Number]]
    detected: str = Field(pattern="^[01]*$")
    """A digit for each frame."""
    scores: list[tuple[Number, Number]]
    """Runs of thousandths."""
    seen_strength_percent: list[tuple[Number, Number]]
    """Runs: after gates and fades, as `inspect` saw it; a run computes its own."""
    seen_gates: list[tuple[str, Number]]
    """Runs: which gates lowered the strength, as `inspect` saw it."""
    places: list[_Row]
    """Five landmarks and two corners of the box, x and y in turn."""
    motions: list[_Four | None]

    @model_validator(mode="after")
    def _same_lengths(self) -> TrackRecord:
        count = sum(last - first + 1 for first, last in self.frames)
        falls = any(last < first for first, last in self.frames)
        pairs = itertools.pairwise(self.frames)
        if falls or any(first <= last for (_, last), (first, _) in pairs):
            raise ValueError("the frames do not rise")
        lengths = {name: len(getattr(self, name)) for name in ("places", "motions")}
        lengths["detected"] = len(self.detected)
        for name in ("scores", "seen_strength_percent", "seen_gates"):
            lengths[name] = sum(times for _, times in getattr(self, name))
        for name, length in lengths.items():
            if length != count:
                raise ValueError(f"{count} frames, but {length} {name}")
        starts = {0, *itertools.accumulate(last - first + 1 for first, last in self.frames)}
        if any(self.motions[index] is not None for index in starts if index < count):
            raise ValueError("a motion where no frame before shows the face")
        return self


class TracksRecord(_Part):
    """The whole file. See `vidrestore.tracks.Tracks` for what is not said here."""

    format: Literal["vidrestore tracks"]
    version: Annotated[Number, AfterValidator(_known)]
    unit_px: Annotated[float, AfterValidator(_unit)]
    source: str
    detector: str
    start: float | None
    width: Number
    height: Number
    frames: Number
    time_steps_ms: list[_Time]
    """The time of the first frame, and how much later each other one is than that before."""
    detected_frames: list[Number]
    cuts: list[Number]
    tracks: list[TrackRecord]

    def to_json(self) -> str:
        """Give the file's text: a line for each list, so that people can edit and compare it."""
        record = self.model_dump(mode="json")
        tracks = record.pop("tracks")
        parts = ["    {\n" + ",\n".join(_lines(track, "      ")) + "\n    }" for track in tracks]
        body = '  "tracks": [' + ("\n" + ",\n".join(parts) + "\n  " if parts else "") + "]"
        return "{\n" + ",\n".join([*_lines(record, "  "), body]) + "\n}\n"


def _lines(record: dict[str, Any], indent: str) -> Iterator[str]:
    for name, value in record.items():
        yield f"{indent}{json.dumps(name)}: {json.dumps(value, separators=(',', ':'))}"


def runs(values: Sequence[_Value]) -> list[tuple[_Value, int]]:
    """Count equal values in a row."""
    return [(value, sum(1 for _ in group)) for value, group in itertools.groupby(values)]


def spans(frames: Sequence[int]) -> list[tuple[int, int]]:
    """Give the first and the last of every row of frames without a gap."""
    groups = itertools.groupby(enumerate(frames), lambda pair: pair[1] - pair[0])
    rows = ([frame for _, frame in group] for _, group in groups)
    return [(row[0], row[-1]) for row in rows]


def to_rows(
    places: Sequence[Sequence[int]], motions: Sequence[Sequence[int] | None]
) -> list[list[int]]:
    """Give what a file holds of places; `to_places` undoes it.

    Args:
        places: for each entry 14 numbers, x and y in turn, five landmarks and two box corners.
        motions: for each entry the four numbers of `MotionUnits`, or None.
    """
    rows, correction = [], [0] * 14
    for index, (place, motion) in enumerate(zip(places, motions, strict=True)):
        if motion is None:
            rows.append(list(place))
            correction = [0] * 14
        else:
            guess, last = _moved(places[index - 1], motion), correction
            correction = [a - b for a, b in zip(place, guess, strict=True)]
            rows.append([a - b for a, b in zip(correction, last, strict=True)])
    return rows


def to_places(
    rows: Sequence[Sequence[int]], motions: Sequence[Sequence[int] | None]
) -> list[list[int]]:
    """Give the places of what a file holds: see `to_rows`.

    Raises:
        ValueError: a place is beyond all pictures.
    """
    places: list[list[int]] = []
    correction = [0] * 14
    for index, (row, motion) in enumerate(zip(rows, motions, strict=True)):
        if motion is None:
            place, correction = list(row), [0] * 14
        else:
            correction = [a + b for a, b in zip(correction, row, strict=True)]
            place = [a + b for a, b in zip(_moved(places[-1], motion), correction, strict=True)]
        if max(place) > _MOST_UNITS or min(place) < -_MOST_UNITS:
            raise ValueError(f"entry {index}: its motion is too large")
        places.append(place)
    return places


def _moved(place: Sequence[int], motion: Sequence[int]) -> list[int]:
    """Where the motion takes landmarks; of a box, the middle is moved and the size scaled."""
    turn_x, turn_y, shift_x, shift_y = TURNS + motion[0], *motion[1:]
    nose_x, nose_y = place[2 * NOSE : 2 * NOSE + 2]

    def moved(x: int, y: int) -> tuple[int, int]:
        x, y = x - nose_x, y - nose_y
        to_x, to_y = turn_x * x - turn_y * y, turn_y * x + turn_x * y
        half = TURNS // 2
        return (
            nose_x + shift_x + (to_x + half) // TURNS,
            nose_y + shift_y + (to_y + half) // TURNS,
        )

    flat = [part for at in range(0, 10, 2) for part in moved(place[at], place[at + 1])]
    x0, y0, x1, y1 = place[10:]
    middle = moved((x0 + x1) // 2, (y0 + y1) // 2)
    half_size = [(turn_x * (x1 - x0)) // (2 * TURNS), (turn_x * (y1 - y0)) // (2 * TURNS)]
    low = [m - h for m, h in zip(middle, half_size, strict=True)]
    high = [m + h for m, h in zip(middle, half_size, strict=True)]
    return [*flat, *low, *high]
