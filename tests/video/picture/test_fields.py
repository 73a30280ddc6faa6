"""Fields are taken apart and put together line by line, in every plane of every pixel format."""

from __future__ import annotations

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native import FORMATS, random_frame

from vidrestore.structs import Picture
from vidrestore.video.picture.field_order import FieldOrder, field_order_of, with_field_order
from vidrestore.video.picture.fields import combing, deinterlaced_fields, with_changed_fields
from vidrestore.video.picture.layouts import layout_of
from vidrestore.video.picture.samples import copy_picture, picture_from_av

_ROUNDED = ("gray10le", "gbrap12le", "ya16le")
"""Formats that FFmpeg's deinterlacer does not take as they are."""


def pictures(format: str, width: int = 32, height: int = 24) -> list[Picture]:
    frames = [random_frame(format, width, height, seed=seed) for seed in range(3)]
    return [picture_from_av(frame) for frame in frames]


@pytest.mark.parametrize("order", ["top", "bottom", None])
def test_flags_are_read_and_written_and_samples_shared(order: FieldOrder | None) -> None:
    frame = random_frame("yuv420p", 32, 24)
    flagged = with_field_order(frame, order)
    assert field_order_of(flagged) == order
    assert (flagged.pts, flagged.time_base) == (frame.pts, frame.time_base)
    assert flagged.planes[0].buffer_ptr == frame.planes[0].buffer_ptr
    assert field_order_of(frame) is None


@pytest.mark.parametrize("format", [name for name in FORMATS if name not in _ROUNDED])
def test_a_field_keeps_its_own_lines(format: str) -> None:
    before, now, after = pictures(format)
    orders: dict[FieldOrder, tuple[int, int]] = {"top": (0, 1), "bottom": (1, 0)}
    for order, first_lines in orders.items():
        for field, first in zip(
            deinterlaced_fields(before, now, after, order), first_lines, strict=True
        ):
            assert (field.format, field.matrix, field.full_range) == (
                now.format,
                now.matrix,
                now.full_range,
            )
            for index, (own, plane) in enumerate(zip(field.planes, now.planes, strict=True)):
                is_padding = index == 0 and format in ("rgb0", "bgr0", "0rgb", "0bgr", "vuyx")
                if not is_padding:
                    assert np.array_equal(own.numpy()[first::2], plane.numpy()[first::2])


@pytest.mark.parametrize("missing", [(0,), (2,), (0, 2)])
def test_a_field_at_either_end_of_a_shot(missing: tuple[int, ...]) -> None:
    shown: list[Picture | None] = [*pictures("yuv420p")]
    for index in missing:
        shown[index] = None
    before, now, after = shown
    assert now is not None
    fields = deinterlaced_fields(before, now, after, "top")
    for first, field in enumerate(fields):
        assert np.array_equal(field.planes[0].numpy()[first::2], now.planes[0].numpy()[first::2])


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(FORMATS), st.integers(1, 33), st.integers(1, 33), st.integers(0, 99))
def test_only_changed_samples_of_own_lines_are_taken(
    format: str, width: int, height: int, seed: int
) -> None:
    picture = picture_from_av(random_frame(format, width, height, seed=seed))
    old = [plane.numpy().copy() for plane in picture.planes]
    layout = layout_of(format)
    most = ((1 << layout.bits) - 1) << layout.shift
    random = np.random.default_rng(seed)
    fields, chosen = [], []
    for first in (0, 1):
        seen = picture_from_av(random_frame(format, width, height, seed=seed + 7 + first))
        changed = copy_picture(seen)
        masks = []
        for plane in changed.planes:
            mask = random.random(plane.shape) < 0.3
            np.copyto(plane.numpy(), plane.numpy() ^ 1, where=mask)
            masks.append(mask)
        fields.append((first, seen, changed))
        chosen.append(masks)
    result = with_changed_fields(picture, fields)
    for index, plane in enumerate(result.planes):
        for first in (0, 1):
            lines, mask = slice(first, None, 2), chosen[first][index]
            was, now = (fields[first][k].planes[index].numpy()[lines].astype(int) for k in (1, 2))
            added = np.clip(old[index][lines] + now - was, 0, most)
            expected = np.where(mask[lines], added, old[index][lines])
            assert np.array_equal(plane.numpy()[lines], expected)
        assert np.array_equal(picture.planes[index].numpy(), old[index])


def test_combs_are_told_from_detail_and_noise() -> None:
    y, x = np.mgrid[:64, :64].astype(float)
    soft = (128 + 60 * np.sin(x / 4) * np.cos(y / 5)).astype(np.uint8)
    noise = np.random.default_rng(0).normal(128, 8, (64, 64)).astype(np.uint8)
    combed = soft.copy()
    combed[1::2] = np.roll(soft, 3, axis=1)[1::2]
    assert combing(soft) < 0.6 < combing(combed)
    assert combing(noise) < 1.1


def test_frames_keep_their_time_base() -> None:
    frame = with_field_order(av.VideoFrame(16, 16, "yuv420p"), "top")
    assert frame.pts is None
