"""Cutting out, filtering and putting back on a device gives what the host gives, within rounding.

The CPU stands in for the device: the code is that of a GPU, and its pictures have values.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
import torch
from aligned_faces import aligned, noisy, restored
from gpu import DEVICES
from moving_face import pan, placed, shake
from torch import Tensor

from vidrestore.config import BlendConfig, TemporalFilterConfig, resolve_config
from vidrestore.stages._filter_weights import MEMORY_FRAMES
from vidrestore.stages._windows import BATCH_FRAMES
from vidrestore.stages.blend import blend, face_changes
from vidrestore.stages.temporal_filter import temporal_filter
from vidrestore.stages.upload import upload
from vidrestore.structs import Frame
from vidrestore.video.picture.layouts import layout_of
from vidrestore.video.picture.residual import planes_mask

CPU = torch.device("cpu")
LEAST = 1 / 255


def sent(frames: list[Frame], size: int = 320, device: torch.device = CPU) -> list[Frame]:
    """The same as they are after restoring on a device."""

    def on(crop: Tensor | None) -> Tensor | None:
        return None if crop is None else crop.to(device)

    return [
        replace(
            now,
            faces=tuple(
                replace(face, source_crop=on(known.source_crop), crop=on(known.crop))
                for face, known in zip(now.faces, before.faces, strict=True)
            ),
        )
        for before, now in zip(frames, upload(frames, device, size), strict=True)
    ]


def crops(frames: Iterable[Frame]) -> list[Tensor]:
    return [face.crop for frame in frames for face in frame.faces if face.crop is not None]


@pytest.mark.parametrize("size", [64, 320])
def test_the_temporal_filter_of_a_device_is_that_of_the_host(size: int) -> None:
    """Also where a face could not be restored, at a cut, and from one batch to the next."""
    frames = restored(aligned(shake(12), size)[5:], size)
    lost = replace(frames[3].faces[0], crop=None)
    frames[3] = replace(frames[3], faces=(lost,))
    frames[5] = replace(frames[5], is_cut=True)
    twice = [
        replace(frame, faces=(*frame.faces, *(replace(face, track_id=4) for face in frame.faces)))
        if frame.index > 6
        else frame
        for frame in frames
    ]
    config = TemporalFilterConfig(reach_frames=3)
    wanted = crops(temporal_filter(twice, config))
    found = crops(temporal_filter(sent(twice, size), config, on_device=True))
    before = crops(twice)
    assert len(found) == len(wanted) == len(before)
    for one, other, unfiltered in zip(found, wanted, before, strict=True):
        assert (one - other).abs().max() < LEAST / 4
        assert torch.equal(unfiltered, unfiltered.clamp(0, 1)), "crops of neighbours stay"
    assert max(float((a - b).abs().max()) for a, b in zip(wanted, before, strict=True)) > LEAST


@pytest.mark.parametrize("device", DEVICES)
def test_a_run_that_begins_elsewhere_gives_the_same_bits(device: str) -> None:
    """Its batches are those of a run from the beginning; at frames before, faces are left alone."""
    frames = noisy(restored(aligned(shake(40), 64), 64))
    config = resolve_config(None, {"temporal_filter.reach_frames": 2})
    wanted_from, crops_from = 33, 8
    needed = wanted_from - wanted_from % BATCH_FRAMES - (MEMORY_FRAMES - 1) - 2
    assert crops_from == needed - needed % BATCH_FRAMES, "see `jobs.reach`"

    def changed(some: list[Frame]) -> list[list[Tensor]]:
        there = sent(some, 64, torch.device(device))
        filtered = temporal_filter(there, config.temporal_filter, on_device=True)
        return blended(filtered, config.blend)[wanted_from - some[0].index :]

    alone = [
        replace(frame, faces=(replace(frame.faces[0], crop=None, source_crop=None, strength=0.0),))
        for frame in frames[5:crops_from]
    ]
    for one, other in zip(changed(frames), changed([*alone, *frames[crops_from:]]), strict=True):
        assert all(map(torch.equal, one, other))


def test_crops_without_neighbours_stay_as_they_are() -> None:
    [frame] = restored(aligned(pan(1)))
    [found] = temporal_filter(sent([frame]), TemporalFilterConfig(), on_device=True)
    assert torch.equal(crops([found])[0], crops([frame])[0])


def blended(frames: Iterable[Frame], config: BlendConfig) -> list[list[Tensor]]:
    return [
        [plane.to(torch.int32) for plane in frame.picture.planes] for frame in blend(frames, config)
    ]


FORMATS = ["yuv420p", "yuv422p10le", "yuv444p", "yuvj420p", "gray", "nv12", "p010le", "gbrp10le"]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(("scale", "size"), [(1.8, 64), (0.5, 320)])
def test_what_is_put_back_on_a_device_is_what_the_host_puts_back(
    name: str, scale: float, size: int
) -> None:
    """Faces that touch, one beyond the border, one much smaller than its crop; with grain."""
    moves = [placed(x, 200, scale=scale) for x in (300, 330, 20)]
    frames = [aligned([move], size, format=name)[0] for move in moves]
    faces = tuple(
        replace(frame.faces[0], track_id=number, strength=1 - 0.3 * number)
        for number, frame in enumerate(frames)
    )
    frame = replace(frames[0], faces=faces)
    [frame] = noisy(restored([frame], size))
    for config in (BlendConfig(), BlendConfig(colour_match=False, grain=0.5)):
        [wanted] = blended([frame], config)
        [found] = blended(sent([frame], size), config)
        bits = layout_of(name).bits + layout_of(name).shift
        step = 1 << bits - 8
        for one, other, plane in zip(found, wanted, frame.picture.planes, strict=True):
            apart = (one - other).abs()
            assert apart.max() <= step
            assert (apart > 0).float().mean() < 0.02
            assert (other != plane.to(torch.int32)).float().mean() > 0.01
        for one, other in zip(
            frame.picture.planes, sent([frame], size)[0].picture.planes, strict=True
        ):
            assert one is other, "decoded samples stay"


def test_samples_outside_masks_are_the_input_s_bit_for_bit() -> None:
    [frame] = restored(aligned(pan(1), format="yuv420p10le"))
    mask = planes_mask(frame.picture, face_changes(frame, BlendConfig()))
    [found] = blended(sent([frame]), BlendConfig())
    for one, plane, inside in zip(found, frame.picture.planes, mask, strict=True):
        assert torch.equal(one[~inside], plane.to(torch.int32)[~inside])
        assert not torch.equal(one, plane.to(torch.int32))


def test_frames_leave_a_device_once_and_in_order() -> None:
    frames = restored(aligned(pan(9)))
    frames[3] = replace(frames[3], faces=())
    frames[5] = replace(frames[5], faces=(replace(frames[5].faces[0], strength=0.0),))
    done = list(blend(sent(frames), BlendConfig()))
    assert [frame.index for frame in done] == list(range(9))
    assert [frame.source is not None for frame in done] == [n not in (3, 5) for n in range(9)]
    assert all(frame.picture.uploaded is None for frame in done)
