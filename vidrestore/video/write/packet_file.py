"""Encoded packets of a segment in a file, and what is known of them; whole or not there at all.

The file has a line with the format's name, the packets in the order of decoding, a JSON record, and
its place and a checksum of all before.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self
from zlib import crc32

from vidrestore.errors import SegmentDiffersError, VideoWriteError
from vidrestore.runtime.durable import publish_new, temporary_beside
from vidrestore.video.write.encoded_packet import EncodedPacket

__all__ = ["PacketFile", "PacketFileWriter"]

_FIRST_LINE = b"vidrestore packets 2\n"
_PACKET = struct.Struct("<qqBHI")
"""Time, duration, whether it is a key, number of side data, bytes."""
_SIDE = struct.Struct("<BI")
"""Bytes of the name, and of the data."""
_END = struct.Struct("<QI")
"""Where the record begins, and the checksum of all before it and of the record."""


class PacketFileWriter:
    """Write packets under a temporary name; `publish` gives the final one. A context manager.

    Raises:
        OSError: from all of it.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._temporary = path, temporary_beside(path)
        self._file: BinaryIO | None = None
        self._size, self._checksum = 0, 0

    def __enter__(self) -> Self:
        self._file = self._temporary.open("xb")
        self._write(_FIRST_LINE)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()
        self._temporary.unlink(missing_ok=True)

    def add(self, packets: Iterable[EncodedPacket]) -> None:
        """Append packets, in the order of decoding."""
        for one in packets:
            sizes = (len(one.side_data), len(one.data))
            self._write(_PACKET.pack(one.pts, one.duration, one.is_key, *sizes))
            for name, data in one.side_data:
                self._write(_SIDE.pack(len(name), len(data)) + name.encode("ascii") + data)
            self._write(one.data)

    def publish(self, record: dict[str, Any]) -> None:
        """Close the file with what is known of the packets, and give it its name.

        A file that somebody else gave this name meanwhile stays, if it holds the same packets.

        Raises:
            SegmentDiffersError: it holds others.
        """
        assert self._file is not None
        begin = self._size
        record = record | {"packets_crc32": self._checksum}
        self._write(json.dumps(record, separators=(",", ":")).encode())
        self._file.write(_END.pack(begin, self._checksum))
        self._file.close()
        try:
            publish_new(self._temporary, self._path)
        except FileExistsError:
            there = PacketFile(self._path).record
            if there["packets_crc32"] != record["packets_crc32"]:
                raise SegmentDiffersError(
                    f"{self._path}: was restored twice and came out differently, "
                    f"on {_origin(there)} and on {_origin(record)}; add --restart and --same-device"
                ) from None

    def _write(self, data: bytes) -> None:
        assert self._file is not None
        self._file.write(data)
        self._checksum = crc32(data, self._checksum)
        self._size += len(data)


def _origin(record: dict[str, Any]) -> str:
    return str(record.get("origin", {}).get("device", "an unknown device"))


class PacketFile:
    """A file of packets.

    Raises:
        VideoWriteError: it is not there, or not whole.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.open("rb") as file:
                file.seek(-_END.size, 2)
                end = file.tell()
                self._begin, self._checksum = _END.unpack(file.read())
                file.seek(self._begin)
                self._record_size = end - self._begin
                self.record: dict[str, Any] = json.loads(file.read(self._record_size))
                """What the writer knew of the packets."""
        except (OSError, ValueError, struct.error) as error:
            raise VideoWriteError(f"{path}: is no whole segment; remove it") from error

    def packets(self) -> Iterator[EncodedPacket]:
        """Give the packets, in the order of decoding.

        Raises:
            VideoWriteError: the file was changed since it was written; told after the last one.
        """
        with self._path.open("rb") as file:
            reader = _CheckedReader(file)
            if reader.read(len(_FIRST_LINE)) != _FIRST_LINE:
                raise VideoWriteError(f"{self._path}: is of another version; add --restart")
            while file.tell() < self._begin:
                yield _read_packet(reader)
            reader.read(self._record_size)
        if reader.checksum != self._checksum:
            raise VideoWriteError(
                f"{self._path}: was changed since it was written; remove it, and run again"
            )


class _CheckedReader:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.checksum = 0

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self.checksum = crc32(data, self.checksum)
        return data


def _read_packet(reader: _CheckedReader) -> EncodedPacket:
    pts, duration, is_key, sides, size = _PACKET.unpack(reader.read(_PACKET.size))
    side_data = []
    for _ in range(sides):
        name_size, data_size = _SIDE.unpack(reader.read(_SIDE.size))
        side_data.append((reader.read(name_size).decode("ascii"), reader.read(data_size)))
    return EncodedPacket(reader.read(size), pts, duration, bool(is_key), tuple(side_data))
