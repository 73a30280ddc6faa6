"""A segment's packets come back as they went in, or are refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vidrestore.errors import VideoWriteError
from vidrestore.video.write.encoded_packet import EncodedPacket
from vidrestore.video.write.packet_file import PacketFile, PacketFileWriter

PACKETS = [
    EncodedPacket(b"key", 0, 2, True, (("new_extradata", b"\0\1"), ("palette", b""))),
    EncodedPacket(b"", -5, 0, False),
    EncodedPacket(bytes(range(256)) * 40, 2**40, 1, False),
]
RECORD = {"frames": 3, "names": ["ä"]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "00000.packets"
    with PacketFileWriter(path) as writer:
        writer.add(PACKETS[:1])
        writer.add(PACKETS[1:])
        assert not path.exists()
        writer.publish(RECORD)
    return path


def test_packets_and_their_record_come_back(path: Path) -> None:
    file = PacketFile(path)
    assert {name: file.record[name] for name in RECORD} == RECORD
    assert list(file.packets()) == list(file.packets()) == PACKETS
    assert os.listdir(path.parent) == [path.name]


def test_what_is_not_published_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ArithmeticError), PacketFileWriter(tmp_path / "a.packets") as writer:
        writer.add(PACKETS)
        raise ArithmeticError
    assert os.listdir(tmp_path) == []


def test_a_file_that_ends_early_is_refused_at_once(path: Path) -> None:
    whole = path.read_bytes()
    for length in (0, 5, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(VideoWriteError, match="no whole segment; remove it"):
            PacketFile(path)
    with pytest.raises(VideoWriteError, match="no whole segment"):
        PacketFile(path.with_name("none"))


def test_a_changed_sample_is_told_after_the_last_packet(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(b"key")] ^= 1
    path.write_bytes(data)
    packets = PacketFile(path).packets()
    for _ in PACKETS:
        next(packets)
    with pytest.raises(VideoWriteError, match="was changed since it was written"):
        next(packets)


def test_another_format_is_told(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"packets 2\n", b"packets 9\n", 1))
    with pytest.raises(VideoWriteError, match="of another version; add --restart"):
        next(PacketFile(path).packets())
