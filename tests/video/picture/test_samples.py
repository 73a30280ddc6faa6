"""Pictures show a frame's own memory; their colours agree with FFmpeg and the standards."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import av
import av.filter
import numpy as np
import pytest
import torch
from av.video.reformatter import Colorspace, Interpolation
from hypothesis import given, settings
from hypothesis import strategies as st
from native import FORMATS, random_frame

from vidrestore import geometry
from vidrestore.errors import VideoOpenError
from vidrestore.structs import Display, Picture
from vidrestore.video.picture import samples
from vidrestore.video.picture.layouts import layout_of

ACCURATE = (
    Interpolation.BILINEAR
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
)


@pytest.mark.parametrize("name", FORMATS)
def test_planes_are_the_frames_own_memory_at_any_size(name: str) -> None:
    layout = layout_of(name)
    for width, height in ((46, 22), (37, 21), (1, 1), (5, 2)):
        frame = random_frame(name, width, height)
        picture = samples.picture_from_av(frame)
        assert len(picture.planes) == len(frame.planes)
        for plane, stored in zip(picture.planes, frame.planes, strict=True):
            assert plane.data_ptr() == stored.buffer_ptr
            assert plane.shape[0] == stored.height
            assert plane.dtype == (torch.uint8 if layout.sample_bytes == 1 else torch.uint16)
        shown = samples.component_samples(picture, layout, 0)
        assert shown.shape == (height, width)
        last = samples.component_samples(picture, layout, len(layout.components) - 1)
        part = layout.components[-1]
        assert last.shape == (-(-height >> part.shift_y), -(-width >> part.shift_x))


def test_samples_live_as_long_as_their_picture() -> None:
    picture = samples.picture_from_av(random_frame("yuv420p", 640, 480, seed=5))
    again = random_frame("yuv420p", 640, 480, seed=5)
    plane = picture.planes[0]
    del picture
    junk = [random_frame("yuv420p", 640, 480, seed=9) for _ in range(8)]
    assert torch.equal(plane, samples.picture_from_av(again).planes[0])
    assert len(junk) == 8


@pytest.mark.parametrize(
    "name", ["yuv422p10be", "gbrp12be", "rgb48be", "gray16be", "p010be", "yuva444p10be"]
)
def test_big_endian_samples_keep_their_values(name: str) -> None:
    little = random_frame(name[:-2] + "le", 46, 22)
    big = av.VideoFrame(46, 22, name)
    for source, target in zip(little.planes, big.planes, strict=True):
        np.frombuffer(target, ">u2")[:] = np.frombuffer(source, "<u2")
    shown, expected = samples.picture_from_av(big), samples.picture_from_av(little)
    assert shown.format == expected.format
    for a, b in zip(shown.planes, expected.planes, strict=True):
        assert torch.equal(a, b)


def test_bottom_up_frames_come_out_upright() -> None:
    frame = random_frame("yuv420p", 46, 22)
    graph = av.filter.Graph()
    source = graph.add("buffer", video_size="46x22", pix_fmt="yuv420p", time_base="1/25")
    graph.link_nodes(source, graph.add("vflip"), graph.add("buffersink")).configure()
    graph.push(frame)
    flipped = graph.pull()
    assert flipped.planes[0].line_size < 0
    shown, expected = samples.picture_from_av(flipped), samples.picture_from_av(frame)
    for a, b in zip(shown.planes, expected.planes, strict=True):
        assert torch.equal(a, b.flip(0))


def test_an_unsupported_frame_is_refused() -> None:
    with pytest.raises(VideoOpenError, match="pal8"):
        samples.picture_from_av(av.VideoFrame(16, 16, "pal8"))


@pytest.mark.parametrize("name", FORMATS)
def test_a_copy_is_equal_and_independent(name: str) -> None:
    frame = random_frame(name, 37, 21)
    picture = samples.picture_from_av(frame)
    copied = samples.copy_picture(picture)
    for plane, original in zip(copied.planes, picture.planes, strict=True):
        assert torch.equal(plane, original)
        before = original.clone()
        plane.zero_()
        assert torch.equal(original, before)
        assert plane.data_ptr() in {p.buffer_ptr for p in copied.handle.planes}


def test_a_copy_keeps_time_and_tags() -> None:
    frame = random_frame("yuv420p10le", 64, 36)
    frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc = 9, 2, 9, 16
    frame.duration = 1001
    copied = samples.copy_picture(samples.picture_from_av(frame))
    for name in ("pts", "time_base", "duration", "colorspace", "color_range", "color_primaries"):
        assert getattr(copied.handle, name) == getattr(frame, name), name
    assert copied.handle.color_trc == frame.color_trc
    assert (copied.matrix, copied.full_range) == ("bt2020", True)


@pytest.mark.parametrize("name", ["yuv420p", "yuvj420p", "nv12", "gray", "gbrp", "rgb24"])
def test_a_copy_keeps_any_tags_and_needs_no_time_base(name: str) -> None:
    for colorspace in range(18):
        for color_range in (0, 1, 2):
            frame = av.VideoFrame(16, 16, name)
            frame.pts, frame.colorspace, frame.color_range = 1234, colorspace, color_range
            copied = samples.copy_picture(samples.picture_from_av(frame))
            assert copied.handle.pts == 1234
            assert copied.handle.colorspace == colorspace
            assert copied.handle.color_range == color_range


def test_a_copy_keeps_side_data_and_field_order(tmp_path: Path) -> None:
    path = tmp_path / "interlaced.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.options = {"x264-params": "tff=1:force-cfr=1"}
        for index in range(5):
            frame = random_frame("yuv420p", 64, 64, seed=index)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with av.open(str(path)) as file:
        decoded = list(file.decode(video=0))
    assert all(frame.interlaced_frame for frame in decoded)
    assert any(len(frame.side_data) for frame in decoded)  # x264's signature, on the first frame
    for frame in decoded:
        copied = samples.copy_picture(samples.picture_from_av(frame)).handle
        assert copied.interlaced_frame
        assert side_data(copied) == side_data(frame)


def side_data(frame: av.VideoFrame) -> list[tuple[str, bytes]]:
    found = [frame.side_data[index] for index in range(len(frame.side_data))]
    return [(str(data.type), bytes(data)) for data in found]


@pytest.mark.parametrize(
    ("name", "tag", "expected"),
    [
        ("yuv420p", 0, False),
        ("yuv420p", 1, False),
        ("yuv420p", 2, True),
        ("yuvj420p", 0, True),
        ("gray", 0, True),
        ("gray", 1, False),
        ("gbrp", 0, True),
        ("rgb24", 1, True),
    ],
)
def test_range_of_the_samples(name: str, tag: int, expected: bool) -> None:
    frame = random_frame(name, 16, 16)
    frame.color_range = tag
    assert samples.picture_from_av(frame).full_range is expected


@pytest.mark.parametrize(
    ("tag", "size", "expected"),
    [
        (1, (720, 576), "bt709"),
        (5, (1920, 1080), "bt601"),
        (6, (1920, 1080), "bt601"),
        (7, (720, 480), "smpte240m"),
        (9, (3840, 2160), "bt2020"),
        (2, (720, 576), "bt601"),
        (2, (1280, 720), "bt709"),
        (2, (720, 1280), "bt709"),
        (0, (640, 480), "bt601"),
    ],
)
def test_matrix_of_tagged_and_untagged_video(
    tag: int, size: tuple[int, int], expected: str
) -> None:
    frame = av.VideoFrame(*size, "yuv420p")
    frame.colorspace = tag
    assert samples.picture_from_av(frame).matrix == expected


# Kr and Kb of BT.601, BT.709, BT.2020 and SMPTE 240M, and the scaler's names for them.
STANDARDS = {
    5: (0.299, 0.114, Colorspace.ITU601),
    1: (0.2126, 0.0722, Colorspace.ITU709),
    9: (0.2627, 0.0593, Colorspace.BT2020),
    7: (0.212, 0.087, Colorspace.SMPTE240M),
}


@pytest.mark.parametrize("tag", STANDARDS)
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 16])
def test_colours_follow_the_standards(tag: int, full: bool, bits: int) -> None:
    """Encodes known colours by the equations of BT.601 and BT.709, and reads them back."""
    red, blue, _ = STANDARDS[tag]
    rgb = np.random.default_rng(tag).random((3, 24, 32))
    luma = red * rgb[0] + (1 - red - blue) * rgb[1] + blue * rgb[2]
    parts = [luma, (rgb[2] - luma) / (2 - 2 * blue), (rgb[0] - luma) / (2 - 2 * red)]
    unit = 2 ** (bits - 8)
    name = {8: "yuv444p", 10: "yuv444p10le", 16: "yuv444p16le"}[bits]
    frame = av.VideoFrame(32, 24, name)
    frame.colorspace, frame.color_range = tag, 2 if full else 1
    for index, (plane, part) in enumerate(zip(frame.planes, parts, strict=True)):
        if full:
            coded = part * (2**bits - 1) + (2 ** (bits - 1) if index else 0)
        else:
            coded = part * (224 if index else 219) * unit + (128 if index else 16) * unit
        rows = np.frombuffer(plane, np.uint8 if bits == 8 else "<u2").reshape(24, -1)
        rows[:, :32] = np.clip(np.rint(coded), 0, 2**bits - 1)
    shown, _ = samples.region_to_rgb(samples.picture_from_av(frame), 0, 0, 32, 24)
    # Half a code value of luma and of both colour differences.
    np.testing.assert_allclose(shown.numpy(), rgb, atol=2.0 / (219 * unit) + 2e-6)


@pytest.mark.parametrize("tag", STANDARDS)
@pytest.mark.parametrize(
    "name", ["yuv444p", "yuv420p", "yuvj422p", "yuv420p10le", "nv12", "yuyv422", "yuv411p", "gray"]
)
def test_colours_agree_with_ffmpegs_scaler(name: str, tag: int) -> None:
    """On noise, so rules for chroma between samples matter as much as the matrix."""
    frame = random_frame(name, 64, 48, low=0.35, high=0.65)
    frame.colorspace = tag
    picture = samples.picture_from_av(frame)
    expected = samples.picture_from_av(scaled_to_rgb(frame, full=picture.full_range))
    reference, _ = samples.region_to_rgb(expected, 0, 0, 64, 48)
    shown, rect = samples.region_to_rgb(picture, 0, 0, 64, 48)
    assert rect == (0, 0, 64, 48)
    # The scaler widens 8 bits by zeros, so its white is 255/256 of ours.
    inner = (slice(None), slice(2, -2), slice(4, -4))
    assert float(reference[inner].std()) > 0.05
    torch.testing.assert_close(shown[inner], reference[inner], atol=1.2 / 255, rtol=0)


def scaled_to_rgb(frame: av.VideoFrame, *, full: bool) -> av.VideoFrame:
    graph = av.filter.Graph()
    source = graph.add(
        "buffer",
        video_size=f"{frame.width}x{frame.height}",
        pix_fmt=frame.format.name,
        time_base="1/25",
        colorspace=str(frame.colorspace),
        range="pc" if full else "tv",
    )
    frame.color_range = 2 if full else 1
    scale = graph.add(
        "scale",
        in_chroma_loc="left",
        flags="bilinear+accurate_rnd+full_chroma_int+full_chroma_inp+bitexact",
    )
    to_rgb = graph.add("format", "gbrp16le")
    graph.link_nodes(source, scale, to_rgb, graph.add("buffersink")).configure()
    graph.push(frame)
    return graph.pull()


def smooth_image(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    channels = [np.sin(x / 25 + 1), np.cos(y / 21), np.sin((x + y) / 33)]
    return np.rint(127 + 90 * np.stack(channels, -1)).astype(np.uint8)


@pytest.mark.parametrize("name", ["rgb24", "bgr0", "gbrp", "rgba", "gbrp10le", "rgb48le"])
def test_rgb_samples_are_only_scaled(name: str) -> None:
    frame = random_frame(name, 20, 10)
    layout = layout_of(name)
    picture = samples.picture_from_av(frame)
    shown, _ = samples.region_to_rgb(picture, 0, 0, 20, 10)
    for index in range(3):
        stored = samples.component_samples(picture, layout, index).float()
        torch.testing.assert_close(shown[index], stored / (2**layout.bits - 1))


@pytest.mark.parametrize("name", ["gray", "gray10le", "gray16le", "ya8"])
def test_grey_is_neutral(name: str) -> None:
    shown, _ = samples.region_to_rgb(
        samples.picture_from_av(random_frame(name, 20, 10)), 0, 0, 20, 10
    )
    assert torch.equal(shown[0], shown[1]) and torch.equal(shown[0], shown[2])


@pytest.mark.parametrize(
    ("name", "factor"), [("yuv420p", 2), ("yuv422p", 2), ("yuv411p", 4), ("nv12", 2)]
)
def test_chroma_sits_on_the_left_pixel_of_its_group(name: str, factor: int) -> None:
    frame = random_frame(name, 64, 16)
    picture = samples.picture_from_av(frame)
    red_difference = samples.component_samples(picture, layout_of(name), 2)
    red_difference.copy_(
        (torch.arange(red_difference.shape[1]) * factor + 60).expand(red_difference.shape)
    )
    values = samples._values(picture, layout_of(name), samples.Rect(0, 0, 64, 16))[2]
    expected = (
        torch.arange(64 - factor + 1) + 60 - 128
    ) / 224  # a straight line through all pixels
    torch.testing.assert_close(values[5, : 64 - factor + 1], expected)


@pytest.mark.parametrize(("name", "factor"), [("yuv420p", 2), ("yuv440p", 2), ("yuv410p", 4)])
def test_chroma_sits_between_its_lines(name: str, factor: int) -> None:
    frame = random_frame(name, 16, 64)
    picture = samples.picture_from_av(frame)
    red_difference = samples.component_samples(picture, layout_of(name), 2)
    rows = torch.arange(red_difference.shape[0])[:, None] * factor + 60
    red_difference.copy_(rows.expand(red_difference.shape))
    values = samples._values(picture, layout_of(name), samples.Rect(0, 0, 16, 64))[2]
    centre = (factor - 1) / 2
    expected = (torch.arange(64) - centre + 60).clamp(60, 60 + 64 - factor)
    torch.testing.assert_close(values[:, 5], (expected - 128) / 224)


rects = st.tuples(*[st.integers(-9, 60)] * 4)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(FORMATS), st.integers(1, 41), st.integers(1, 41), rects)
def test_a_region_is_a_part_of_the_whole(
    name: str, width: int, height: int, wanted: tuple[int, int, int, int]
) -> None:
    picture = samples.picture_from_av(random_frame(name, width, height))
    whole, full = samples.region_to_rgb(picture, 0, 0, width, height)
    assert full == (0, 0, width, height)
    assert whole.dtype == torch.float32 and whole.min() >= 0 and whole.max() <= 1
    part, rect = samples.region_to_rgb(picture, *wanted)
    assert part.shape == (3, rect.height, rect.width)
    torch.testing.assert_close(part, whole[:, rect.y0 : rect.y1, rect.x0 : rect.x1])
    for low, high, size, got_low, got_high in (
        (wanted[0], wanted[2], width, rect.x0, rect.x1),
        (wanted[1], wanted[3], height, rect.y0, rect.y1),
    ):
        assert 0 <= got_low <= got_high <= size
        if low < high and low < size and high > 0:
            assert got_low <= max(low, 0) and got_high >= min(high, size)
            assert got_high - got_low <= min(high, size) - max(low, 0) + 6


def test_luma_of_a_region_is_luma_as_stored() -> None:
    for name, drop in (
        ("yuv420p", 0),
        ("nv12", 0),
        ("yuyv422", 0),
        ("yuv422p10le", 2),
        ("p010le", 8),
    ):
        picture = samples.picture_from_av(random_frame(name, 45, 31))
        stored = samples.component_samples(picture, layout_of(name), 0).numpy()
        luma = samples.luma_region(picture, 3, -4, 99, 17)
        assert luma.dtype == np.uint8
        np.testing.assert_array_equal(luma, stored[:17, 3:45] >> drop)


def test_luma_of_rgb_is_weighted() -> None:
    picture = samples.picture_from_rgb(smooth_image(20, 30))
    luma = samples.luma_region(picture, 0, 0, 30, 20)
    expected = smooth_image(20, 30) @ [0.2126, 0.7152, 0.0722]
    np.testing.assert_allclose(luma, expected, atol=1.0)


def test_rgb_pictures_round_trip_exactly() -> None:
    image = np.random.default_rng(0).integers(0, 256, (31, 45, 3), np.uint8)
    picture = samples.picture_from_rgb(image)
    np.testing.assert_array_equal(samples.picture_to_rgb(picture), image)
    image[:] = 0
    assert samples.picture_to_rgb(picture).any()


TURNS = {
    "upright": [[1, 0], [0, 1]],
    "right": [[0, -1], [1, 0]],
    "down": [[-1, 0], [0, -1]],
    "left": [[0, 1], [-1, 0]],
    "mirrored": [[-1, 0], [0, 1]],
    "transposed": [[0, 1], [1, 0]],
    "aslant": [[math.cos(0.3), -math.sin(0.3)], [math.sin(0.3), math.cos(0.3)]],
}


def ramp_picture() -> Picture:
    """160 x 90; red is 1.5 x, green 2.5 y, so that a colour tells its place."""
    y, x = np.mgrid[:90, :160]
    return samples.picture_from_rgb(
        np.rint(np.stack([1.5 * x, 2.5 * y, 60 + 0 * x], -1)).astype(np.uint8)
    )


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("sar", [1.0, 8 / 9, 64 / 45])
@pytest.mark.parametrize("longer_side", [50, 64, 1000])
def test_small_copies_know_where_their_pixels_come_from(
    turn: str, sar: float, longer_side: int
) -> None:
    shown, width, height = geometry.display_from_coded(
        160, 90, sar=sar, matrix=np.array(TURNS[turn])
    )
    small, display_from_small = samples.small_rgb(
        ramp_picture(), Display(width, height, shown), longer_side
    )
    assert max(small.shape[1:]) == min(longer_side, max(width, height))
    coded_from_small = geometry.compose(geometry.invert(shown), display_from_small)
    rows, columns = np.mgrid[: small.shape[1], : small.shape[2]]
    at = geometry.apply(coded_from_small, np.stack([columns, rows], -1))
    inside = ((at > 4) & (at < [155, 85])).all(-1)
    assert inside.mean() > 0.4
    found = np.stack([small[0].numpy() / 1.5, small[1].numpy() / 2.5], -1) * 255
    # Colours are whole numbers, so a place is known to a third of a coded pixel.
    assert np.abs((found - at)[inside]).max() < 0.75
    np.testing.assert_allclose((found - at)[inside].mean(0), 0, atol=0.12)


@pytest.mark.parametrize("turn", TURNS)
def test_shown_pictures_fill_the_display(turn: str) -> None:
    shown, width, height = geometry.display_from_coded(
        160, 90, sar=8 / 9, matrix=np.array(TURNS[turn])
    )
    image = samples.shown_rgb(ramp_picture(), Display(width, height, shown))
    assert image.shape == (height, width, 3) and image.dtype == np.uint8


def test_an_upright_rgb_picture_is_shown_as_it_is() -> None:
    image = np.random.default_rng(0).integers(0, 256, (31, 45, 3), np.uint8)
    display = Display(45, 31, geometry.identity())
    np.testing.assert_array_equal(
        samples.shown_rgb(samples.picture_from_rgb(image), display), image
    )


@pytest.mark.parametrize(
    "name", ["yuv420p", "yuv422p10le", "yuvj420p", "nv12", "gray", "bgr0", "p010le"]
)
@pytest.mark.parametrize("tag", [1, 5])
def test_small_copies_have_the_colours_of_regions(name: str, tag: int) -> None:
    frame = av.VideoFrame.from_ndarray(smooth_image(96, 128), "rgb24").reformat(
        format=name, dst_colorspace=STANDARDS[tag][2], interpolation=ACCURATE, threads=1
    )
    picture = samples.picture_from_av(frame)
    small, _ = samples.small_rgb(picture, Display(128, 96, geometry.identity()), 1000)
    region, _ = samples.region_to_rgb(picture, 0, 0, 128, 96)
    assert abs(float((small - region).mean())) < 1.5 / 255
    torch.testing.assert_close(small, region, atol=6 / 255, rtol=0)
