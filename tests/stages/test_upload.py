"""Planes that were decoded on the device are not sent there again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from aligned_faces import aligned
from clips import face_frames, write_clip
from moving_face import pan
from surfaces import stand_in
from torch import Tensor

from vidrestore.config import DecodeConfig
from vidrestore.runtime.transfer import Uploaded, Uploader
from vidrestore.stages.upload import upload
from vidrestore.structs import Frame
from vidrestore.video.picture.batched_crops import cut_crops
from vidrestore.video.read.reader import VideoReader

CPU = torch.device("cpu")


@pytest.fixture
def frames(tmp_path: Path) -> list[Frame]:
    """Frames by hardware, the second one without a face; 10 bits, as in P010."""
    clip = write_clip(
        tmp_path / "in.mkv",
        face_frames(3),
        pix_fmt="yuv420p10le",
        options={"preset": "ultrafast"},
    )
    with VideoReader(clip, DecodeConfig(), threads=1, hardware=stand_in()) as reader:
        decoded = list(reader.frames())
    faces = [frame.faces for frame in aligned(pan(3), 64)]
    faces[1] = ()
    return [replace(one, faces=face) for one, face in zip(decoded, faces, strict=True)]


def count_sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of what is sent from now on."""
    sizes: list[int] = []
    send = Uploader.__call__

    def counted(self: Uploader, *tensors: Tensor) -> Uploaded:
        sizes.extend(one.nbytes for one in tensors)
        return send(self, *tensors)

    monkeypatch.setattr(Uploader, "__call__", counted)
    return sizes


def test_decoded_planes_are_taken(frames: list[Frame], monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = count_sent(monkeypatch)
    sent = list(upload(frames, CPU, 64, with_flows=False))
    assert sizes == []
    assert all(frame.picture.decoded is None for frame in sent), "memory is held once"
    assert [frame.picture.uploaded is not None for frame in sent] == [True, False, True]
    assert sent[0].picture.uploaded is frames[0].picture.decoded


def test_crops_are_those_of_planes_that_are_sent(frames: list[Frame]) -> None:
    by_host = [replace(one, picture=replace(one.picture, decoded=None)) for one in frames]
    found, wanted = (list(upload(chosen, CPU, 64)) for chosen in (frames, by_host))
    affine = frames[0].faces[0].crop_from_frame
    assert affine is not None
    one, other = (cut_crops([chosen[0].picture], [affine], 64) for chosen in (found, wanted))
    assert torch.equal(one, other) and one.std() > 0.05


def test_planes_on_another_device_are_sent(
    frames: list[Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = count_sent(monkeypatch)
    [sent] = list(upload(frames[:1], torch.device("meta"), 64, with_flows=False))
    assert sum(sizes) == 320 * 240 * 3 and sent.picture.uploaded is not None
    assert sent.picture.uploaded.tensors[0].device.type == "meta"
