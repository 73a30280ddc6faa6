"""A change in RGB moves the native samples it should, by what it should, and no others."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.video.reformatter import Colorspace
from hypothesis import given, settings
from hypothesis import strategies as st
from native import FORMATS, random_frame

from vidrestore.structs import Picture
from vidrestore.video.picture.chroma import Rect, any_pixel, downsampled, upsampled_region
from vidrestore.video.picture.layouts import layout_of
from vidrestore.video.picture.residual import Change, changed_picture, planes_mask
from vidrestore.video.picture.samples import (
    aligned_rect,
    component_samples,
    picture_from_av,
    picture_from_rgb,
    region_to_rgb,
)


def change(picture: Picture, wanted: tuple[int, int, int, int], seed: int = 0) -> Change:
    """Strong noise under a random mask."""
    rect = aligned_rect(picture, *wanted)
    random = torch.Generator().manual_seed(seed)
    residual = torch.rand(3, rect.height, rect.width, generator=random) - 0.5
    mask = torch.rand(rect.height, rect.width, generator=random) > 0.6
    return Change(rect, residual * mask, mask)


def flat_change(picture: Picture, rgb: tuple[float, float, float]) -> Change:
    size = (picture.height, picture.width)
    residual = torch.tensor(rgb)[:, None, None].expand(3, *size)
    return Change(Rect(0, 0, picture.width, picture.height), residual, torch.ones(size) > 0)


rects = st.tuples(*[st.integers(-5, 45)] * 4)
sizes = st.integers(1, 39)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(FORMATS), sizes, sizes, rects, st.integers(0, 99))
def test_samples_outside_the_mask_stay_bit_for_bit(
    name: str, width: int, height: int, wanted: tuple[int, int, int, int], seed: int
) -> None:
    picture = picture_from_av(random_frame(name, width, height, seed=seed))
    before = [plane.clone() for plane in picture.planes]
    changes = [change(picture, wanted, seed)]
    changed = changed_picture(picture, changes)
    masks = planes_mask(picture, changes)
    for plane, old, new, mask in zip(picture.planes, before, changed.planes, masks, strict=True):
        assert torch.equal(plane, old), "the decoder's own samples were written"
        assert mask.shape == old.shape and mask.dtype == torch.bool
        assert torch.equal(new[~mask], old[~mask])
    assert changed.format == picture.format


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(FORMATS), sizes, sizes, rects)
def test_a_change_of_nothing_changes_nothing(
    name: str, width: int, height: int, wanted: tuple[int, int, int, int]
) -> None:
    frame = random_frame(name, width, height)
    for plane in frame.planes:  # low bits that P010 leaves unused are no reason to change a sample
        np.frombuffer(plane, np.uint8)[::3] |= 1
    picture = picture_from_av(frame)
    some = change(picture, wanted)
    nothing = Change(some.rect, torch.zeros_like(some.residual), torch.ones_like(some.mask))
    for old, new in zip(picture.planes, changed_picture(picture, [nothing]).planes, strict=True):
        assert torch.equal(new, old)


@pytest.mark.parametrize("name", FORMATS)
def test_the_mask_covers_what_changes_and_little_more(name: str) -> None:
    picture = picture_from_av(random_frame(name, 40, 32, low=0.4, high=0.6))
    layout = layout_of(name)
    mask = torch.zeros(32, 40, dtype=torch.bool)
    mask[9:20, 13:30] = True
    rect = Rect(0, 0, 40, 32)
    changes = [Change(rect, torch.tensor([0.2, 0.1, -0.2])[:, None, None] * mask, mask)]
    changed = changed_picture(picture, changes)
    for index, part in enumerate(layout.components):
        old = component_samples(picture, layout, index).int()
        new = component_samples(changed, layout, index).int()
        pixels = torch.zeros(32, 40, dtype=torch.bool)
        pixels[9:20, 13:30] = True
        assert torch.equal(new != old, any_pixel(pixels, part.shift_x, part.shift_y))
    assert sum(int(mask.sum()) for mask in planes_mask(picture, changes)) == sum(
        int(any_pixel(mask, part.shift_x, part.shift_y).sum()) for part in layout.components
    )


@pytest.mark.parametrize("name", FORMATS)
def test_alpha_and_padding_are_never_touched(name: str) -> None:
    picture = picture_from_av(random_frame(name, 24, 16))
    layout = layout_of(name)
    colours = changed_picture(picture, [flat_change(picture, (0.3, -0.2, 0.1))])
    masks = planes_mask(picture, [flat_change(picture, (0.3, -0.2, 0.1))])
    may_change = sum(int(mask.sum()) for mask in masks)
    shown = [component_samples(picture, layout, i) for i in range(len(layout.components))]
    assert may_change == sum(samples.numel() for samples in shown)
    for old, new, mask in zip(picture.planes, colours.planes, masks, strict=True):
        assert torch.equal(new[~mask], old[~mask])


# Y, Cb and Cr of pure red, green and blue: ITU-R BT.601 section 2.5, BT.709 items 3.2 and 3.3.
@pytest.mark.parametrize(
    ("tag", "rows"),
    [
        (5, [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]),
        (1, [[0.2126, 0.7152, 0.0722], [-0.114572, -0.385428, 0.5], [0.5, -0.454153, -0.045847]]),
        (9, [[0.2627, 0.678, 0.0593], [-0.13963, -0.36037, 0.5], [0.5, -0.459786, -0.040214]]),
    ],
)
@pytest.mark.parametrize(
    "name", ["yuv420p", "yuvj422p", "yuv444p10le", "p010le", "yuyv422", "yuv420p16le"]
)
@pytest.mark.parametrize("colour", [(0.1, 0.1, 0.1), (0.1, 0.0, 0.0), (0.0, -0.08, 0.05)])
def test_a_flat_change_moves_luma_and_chroma_by_the_matrix(
    tag: int, rows: list[list[float]], name: str, colour: tuple[float, float, float]
) -> None:
    frame = random_frame(name, 32, 16, low=0.4, high=0.6)
    frame.colorspace = tag
    picture = picture_from_av(frame)
    layout = layout_of(name)
    changed = changed_picture(picture, [flat_change(picture, colour)])
    unit = 2 ** (layout.bits - 8)
    for index, row in enumerate(rows):
        old = component_samples(picture, layout, index).int() >> layout.shift
        new = component_samples(changed, layout, index).int() >> layout.shift
        limited = (224 if index else 219) * unit
        scale = 2**layout.bits - 1 if picture.full_range else limited
        expected = float(np.dot(row, colour)) * scale
        assert (new - old - expected).abs().max() <= 0.5 + 1e-3 * unit


@pytest.mark.parametrize("name", ["gray", "gray10le", "ya8"])
def test_black_and_white_changes_in_luma_alone(name: str) -> None:
    picture = picture_from_av(random_frame(name, 32, 16, low=0.4, high=0.6))
    changed = changed_picture(picture, [flat_change(picture, (0.1, 0.1, 0.1))])
    layout = layout_of(name)
    old, new = (component_samples(p, layout, 0).float() for p in (picture, changed))
    torch.testing.assert_close(
        new - old, torch.full_like(old, 0.1 * (2**layout.bits - 1)), atol=0.51, rtol=0
    )


@pytest.mark.parametrize("name", ["yuv420p", "nv12", "yuv422p10le", "yuv411p"])
def test_a_neutral_change_leaves_all_chroma_alone(name: str) -> None:
    picture = picture_from_av(random_frame(name, 32, 16))
    grey = torch.rand(1, 16, 32, generator=torch.Generator().manual_seed(1)).expand(3, -1, -1) - 0.5
    neutral = Change(Rect(0, 0, 32, 16), grey, torch.ones(16, 32) > 0)
    changed = changed_picture(picture, [neutral])
    for index in (1, 2):
        old, new = (component_samples(p, layout_of(name), index) for p in (picture, changed))
        assert torch.equal(old, new)


@pytest.mark.parametrize(
    "name", ["yuv444p", "yuv444p12le", "yuv444p16le", "nv24", "gbrp", "gbrp10le", "bgr0"]
)
def test_what_is_added_is_seen(name: str) -> None:
    """With full chroma, the region shows its old colours plus the residual."""
    picture = picture_from_av(random_frame(name, 40, 30, low=0.42, high=0.58))
    rect = aligned_rect(picture, 5, 4, 33, 27)
    random = torch.Generator().manual_seed(3)
    residual = 0.2 * torch.rand(3, rect.height, rect.width, generator=random) - 0.1
    mask = torch.ones(rect.height, rect.width, dtype=torch.bool)
    changed = changed_picture(picture, [Change(rect, residual, mask)])
    before, _ = region_to_rgb(picture, *rect)
    after, _ = region_to_rgb(changed, *rect)
    rounding = 1.4 / (219 * 2 ** (layout_of(name).bits - 8))  # half a code of luma and of chroma
    torch.testing.assert_close(after, before + residual, atol=rounding + 2e-6, rtol=0)


@pytest.mark.parametrize("name", ["yuv420p", "yuvj420p", "nv12", "yuv422p10le", "yuyv422"])
@pytest.mark.parametrize("space", [Colorspace.ITU601, Colorspace.ITU709])
def test_the_result_is_what_ffmpeg_makes_of_the_new_colours(name: str, space: Colorspace) -> None:
    """Picture A changed by B - A is B, where FFmpeg's scaler converts both."""
    y, x = np.mgrid[:64, :96]
    a = np.stack([120 + 40 * np.sin(x / 9), 110 + 30 * np.cos(y / 8), 100 + 0.4 * x], -1)
    b = a + np.stack([30 * np.cos(x / 12), 20 * np.sin((x + y) / 15), -25 * np.cos(y / 10)], -1)
    first, second = (np.rint(image).astype(np.uint8) for image in (a, b))

    def native(image: np.ndarray) -> Picture:
        frame = av.VideoFrame.from_ndarray(image, "rgb24")
        return picture_from_av(frame.reformat(format=name, dst_colorspace=space, threads=1))

    residual = torch.from_numpy((second.astype(np.float32) - first) / 255).permute(2, 0, 1)
    all_of_it = Change(Rect(0, 0, 96, 64), residual, torch.ones(64, 96) > 0)
    changed = changed_picture(native(first), [all_of_it])
    layout = layout_of(name)
    for index in range(3):
        ours = component_samples(changed, layout, index).int() >> layout.shift
        theirs = component_samples(native(second), layout, index).int() >> layout.shift
        # Three roundings, and the scaler averages chroma half a pixel beside ours.
        tolerance = 3 * 2 ** (layout.bits - 8)
        assert (ours - theirs).abs().max() <= tolerance
        assert (ours - theirs).float().mean().abs() <= 0.5 * 2 ** (layout.bits - 8)


@pytest.mark.parametrize(
    "name", ["yuv420p", "yuv420p10le", "p010le", "gbrp12le", "gray16le", "rgb24"]
)
def test_samples_stay_within_their_bits(name: str) -> None:
    picture = picture_from_av(random_frame(name, 16, 16))
    layout = layout_of(name)
    for amount, limit in ((2.0, 2**layout.bits - 1), (-2.0, 0)):
        changed = changed_picture(picture, [flat_change(picture, (amount, amount, amount))])
        luma = component_samples(changed, layout, 0).int() >> layout.shift
        assert (luma == limit).all()


def test_changes_add_up_in_turn() -> None:
    picture = picture_from_rgb(np.full((8, 8, 3), 100, np.uint8))
    changes = [flat_change(picture, (10 / 255, 0, 0)), flat_change(picture, (5 / 255, 0, 1 / 255))]
    assert changed_picture(picture, changes).planes[0][3, 3].tolist() == [115, 100, 101]


def test_a_misplaced_change_is_an_error() -> None:
    picture = picture_from_av(random_frame("yuv420p", 32, 32))
    with pytest.raises(ValueError, match="aligned_rect"):
        odd = Rect(1, 0, 9, 8)
        changed_picture(picture, [Change(odd, torch.zeros(3, 8, 8), torch.ones(8, 8) > 0)])
    with pytest.raises(ValueError, match="needs mask"):
        Change(Rect(0, 0, 8, 8), torch.zeros(3, 8, 8), torch.ones(8, 9) > 0)


def test_decoding_goes_on_undisturbed(shared: Path) -> None:
    """Decoders predict from the pictures they gave us: changing each must not reach the next."""
    path = str(shared / "clips" / "degraded_128px.mp4")

    def luma(*, disturb: bool) -> list[torch.Tensor]:
        found = []
        with av.open(path) as file:
            for frame in islice(file.decode(video=0), 24):
                picture = picture_from_av(frame)
                if disturb:
                    changed_picture(picture, [flat_change(picture, (0.5, -0.5, 0.5))])
                found.append(picture.planes[0].clone())
        return found

    for calm, disturbed in zip(luma(disturb=False), luma(disturb=True), strict=True):
        assert torch.equal(calm, disturbed)


@given(st.integers(0, 2), st.integers(0, 2), st.integers(1, 30), st.integers(1, 30))
def test_constants_survive_both_ways_of_subsampling(
    shift_x: int, shift_y: int, width: int, height: int
) -> None:
    flat = torch.full((height, width), 0.37)
    small = downsampled(flat, shift_x, shift_y)
    assert small.shape == (-(-height >> shift_y), -(-width >> shift_x))
    torch.testing.assert_close(small, torch.full_like(small, 0.37))
    samples = torch.full(small.shape, 77, dtype=torch.uint8)
    full = upsampled_region(samples, Rect(0, 0, width, height), shift_x, shift_y)
    torch.testing.assert_close(full, torch.full((height, width), 77.0))


@pytest.mark.parametrize(("shift_x", "shift_y"), [(1, 1), (1, 0), (0, 1), (2, 0), (2, 2)])
def test_downsampling_keeps_positions(shift_x: int, shift_y: int) -> None:
    """Straight lines keep their values at the chroma's own places: left pixel, middle line."""
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(48.0), indexing="ij")
    across, down = downsampled(x, shift_x, shift_y), downsampled(y, shift_x, shift_y)
    columns = torch.arange(across.shape[1]) * 2.0**shift_x
    rows = torch.arange(across.shape[0]) * 2.0**shift_y + (2**shift_y - 1) / 2
    torch.testing.assert_close(across[:, 1:], columns[None, 1:].expand(across.shape[0], -1))
    torch.testing.assert_close(down, rows[:, None].expand_as(down))
