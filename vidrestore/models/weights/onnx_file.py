"""Look into an ONNX file without running it: what it says of itself, and where its weights are.

An ONNX file is a message of Protocol Buffers (https://protobuf.dev/programming-guides/encoding).
Only the fields that can hold metadata or tensors are followed (numbers as in `onnx.proto`); weights
are stepped over, so a large file costs little. Neither `onnx` nor `onnxruntime` is needed.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

from vidrestore.errors import WeightsError
from vidrestore.runtime.inputs import require_file

__all__ = ["OnnxFile", "is_onnx", "read_onnx"]

_PARTS: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 14: "metadata", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external"},
}
"""Of each kind of message, the fields that are followed, and the kind of message in each."""

_MOST_FIELDS = 1_000_000
_MOST_DEPTH = 64
_MOST_TEXT_BYTES = 1 << 20


class _Damaged(ValueError):
    """The bytes are no such message."""


@dataclass
class OnnxFile:
    """What was found in an ONNX file."""

    path: Path
    metadata: dict[str, str] = field(default_factory=dict)
    """What it says about itself."""
    external: set[str] = field(default_factory=set)
    """Other files that hold weights of it, relative to its folder."""


def is_onnx(path: Path) -> bool:
    """Whether a file is an ONNX file, by its ending."""
    return path.suffix.lower() == ".onnx"


def read_onnx(path: Path) -> OnnxFile:
    """Read what an ONNX file says of itself.

    Raises:
        WeightsError: it is missing or damaged, or its weights lie in files outside its folder.
    """
    if not require_file(path, f"weights {path}", WeightsError):
        raise WeightsError(f"weights {path}: empty, no ONNX file")
    found = OnnxFile(path)
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            _Walk(data, found).run()
    except (_Damaged, UnicodeDecodeError) as error:
        raise WeightsError(f"weights {path}: damaged or no ONNX file ({error})") from error
    except OSError as error:
        raise WeightsError(f"weights {path}: {error.strerror}; check the path") from error
    for location in sorted(found.external):
        _check_location(path, location)
    return found


def _check_location(path: Path, location: str) -> None:
    """Refuse weights that lie elsewhere than in the folder of the file or below."""
    parts = {*PurePosixPath(location).parts, *PureWindowsPath(location).parts}
    absolute = PurePosixPath(location).is_absolute() or PureWindowsPath(location).anchor
    folder = os.path.realpath(path.parent)
    target = os.path.realpath(os.path.join(folder, location)) if "\0" not in location else ""
    if absolute or ".." in parts or not target.startswith(os.path.join(folder, "")):
        raise WeightsError(
            f"weights {path}: refused, because it reads weights from outside its folder "
            f"({location[:100]!r}); take a file that holds its weights itself"
        )
    require_file(Path(target), f"weights {path}: its part {location[:100]!r}", WeightsError)


class _Walk:
    """Go through the message once, the inner ones too.

    Args:
        data: the file.
        found: what is filled.
    """

    def __init__(self, data: mmap.mmap, found: OnnxFile) -> None:
        self._data, self._found = data, found
        self._left = _MOST_FIELDS
        self._has_graph = False

    def run(self) -> None:
        self._visit("model", 0, len(self._data), 0)
        if not self._has_graph:
            raise _Damaged("it holds no network")

    def _visit(self, kind: str, begin: int, end: int, depth: int) -> None:
        if depth > _MOST_DEPTH:
            raise _Damaged(f"nested deeper than {_MOST_DEPTH} levels")
        for number, inner_begin, inner_end in self._fields(begin, end):
            inner = _PARTS[kind].get(number)
            self._has_graph |= inner == "graph"
            if inner in ("metadata", "external"):
                self._note(inner, *self._entry(inner_begin, inner_end))
            elif inner is not None:
                self._visit(inner, inner_begin, inner_end, depth + 1)

    def _note(self, kind: str, key: str, value: str) -> None:
        if kind == "metadata":
            self._found.metadata[key] = value
        elif key == "location":
            self._found.external.add(value)

    def _entry(self, begin: int, end: int) -> tuple[str, str]:
        """A key and its value."""
        texts = {1: "", 2: ""}
        for number, inner_begin, inner_end in self._fields(begin, end):
            if number not in texts:
                continue
            if inner_end - inner_begin > _MOST_TEXT_BYTES:
                raise _Damaged(f"a text of {inner_end - inner_begin} bytes")
            texts[number] = self._data[inner_begin:inner_end].decode("utf-8")
        return texts[1], texts[2]

    def _fields(self, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Number, begin and end of every field that holds bytes; numbers are stepped over."""
        place = begin
        while place < end:
            self._left -= 1
            if self._left < 0:
                raise _Damaged(f"more than {_MOST_FIELDS} entries")
            tag, place = self._varint(place, end)
            size = {1: 8, 5: 4}.get(tag & 7, 0)
            if tag & 7 == 0:
                _, place = self._varint(place, end)
            elif tag & 7 == 2:
                size, place = self._varint(place, end)
            elif not size:
                raise _Damaged(f"a field of unknown kind at byte {place}")
            if place + size > end:
                raise _Damaged(f"it ends within a field, at byte {place}")
            if tag & 7 == 2:
                yield tag >> 3, place, place + size
            place += size

    def _varint(self, place: int, end: int) -> tuple[int, int]:
        """A number of variable length, and the place after it."""
        value = 0
        for shift in range(0, 70, 7):
            if place >= end:
                raise _Damaged(f"it ends within a number, at byte {place}")
            byte = self._data[place]
            place += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, place
        raise _Damaged(f"a number without end at byte {place}")
