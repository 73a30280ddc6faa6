"""Restored faces go back without seams, colour shifts or a touch on anything else."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from moving_face import landmarks, moving_face, still
from native import random_frame
from torch import Tensor
from torch.nn import functional

from vidrestore.config import BlendConfig
from vidrestore.geometry import apply, compose, display_from_coded, invert, similarity_from_points
from vidrestore.stages.blend import blend, face_changes, face_mask
from vidrestore.stages.restore import crop_face
from vidrestore.structs import Array, Display, Face, Frame
from vidrestore.video.picture.layouts import layout_of
from vidrestore.video.picture.residual import planes_mask
from vidrestore.video.picture.samples import component_samples, picture_from_av, region_to_rgb

TEMPLATE = np.array(
    [[193.0, 239.9], [318.9, 240.2], [256.6, 314.0], [201.3, 371.4], [313.1, 371.2]]
)
PLAIN = BlendConfig(colour_match=False)


def aligned(points: Array, display_from_frame: Array, size: int) -> Array:
    template = (TEMPLATE + 0.5) * size / 512 - 0.5
    return compose(similarity_from_points(template, points), display_from_frame)


def frame_with_face(
    x: float = 320.0, y: float = 240.0, scale: float = 1.8, *, size: int = 256, **options: object
) -> Frame:
    """One frame, its face cropped; nothing restored yet."""
    moves = still(1, x, y, scale)
    [frame] = moving_face(moves, **options)  # type: ignore[arg-type]
    points = landmarks(moves)[0]
    affine = aligned(points, frame.display.display_from_coded, size)
    face = Face(
        np.concatenate([points.min(0), points.max(0)]),
        points,
        1.0,
        crop_from_frame=affine,
        source_crop=crop_face(frame.picture, affine, size),
    )
    return replace(frame, faces=(face,))


def restored(frame: Frame, restore: object) -> Frame:
    faces = tuple(replace(face, crop=restore(face.source_crop)) for face in frame.faces)  # type: ignore[operator]
    return replace(frame, faces=faces)


def on_grey(frame: Frame) -> Frame:
    """The same faces over medium grey, where no change meets black or white."""
    width, height = frame.picture.width, frame.picture.height
    grey = random_frame("yuv444p16le", width, height, low=0.4, high=0.4)
    return replace(frame, picture=picture_from_av(grey))


def sharper(crop: Tensor) -> Tensor:
    soft = functional.avg_pool2d(functional.pad(crop[None], (3,) * 4, mode="replicate"), 7, 1)[0]
    return (crop + 2 * (crop - soft)).clamp(0, 1)


def brighter(crop: Tensor) -> Tensor:
    return crop + 0.1


def blended(frame: Frame, config: BlendConfig | None = None) -> Frame:
    [result] = blend(iter([frame]), config or BlendConfig())
    return result


def luma_change(frame: Frame, result: Frame) -> Tensor:
    layout = layout_of(frame.picture.format)
    old, new = (component_samples(p, layout, 0).float() for p in (frame.picture, result.picture))
    return new - old


@pytest.mark.parametrize(
    "name", ["yuv420p", "yuv422p10le", "yuv444p", "gray", "bgr0", "nv12", "gbrp10le", "p010le"]
)
def test_samples_outside_the_masks_are_the_input_s_bit_for_bit(name: str) -> None:
    frame = restored(frame_with_face(format=name), sharper)
    before = [plane.clone() for plane in frame.picture.planes]
    result = blended(frame)
    assert result.source is frame.picture and result.picture.format == name
    masks = planes_mask(frame.picture, face_changes(frame, BlendConfig()))
    for old, new, kept, mask in zip(
        before, result.picture.planes, frame.picture.planes, masks, strict=True
    ):
        assert torch.equal(kept, old), "decoded planes are read-only"
        assert torch.equal(new[~mask], old[~mask])
    assert 0.005 < masks[0].float().mean() < 0.5
    assert luma_change(frame, result).abs().max() > 5


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p10le", "gray", "bgr0"])
def test_strength_zero_is_the_identity(name: str) -> None:
    frame = restored(frame_with_face(format=name), sharper)
    assert blended(frame, BlendConfig(strength=0)) is frame
    [face] = frame.faces
    faint = replace(frame, faces=(replace(face, strength=0.0),))
    assert blended(faint) is faint


def test_frames_without_restored_faces_pass_as_they_are() -> None:
    frame = frame_with_face()
    for unchanged in (frame, replace(frame, faces=())):
        assert blended(unchanged) is unchanged


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p10le", "gray", "rgb24"])
def test_a_network_that_changes_nothing_changes_nothing(name: str) -> None:
    frame = restored(frame_with_face(format=name), lambda crop: crop.clone())
    for old, new in zip(frame.picture.planes, blended(frame).picture.planes, strict=True):
        assert torch.equal(old, new)


def test_frames_come_one_by_one_in_order() -> None:
    frame = restored(frame_with_face(), sharper)
    asked: list[int] = []

    def source() -> object:
        for index in range(4):
            asked.append(index)
            yield replace(frame, index=index, pts=index * 7)

    results = blend(source(), BlendConfig())  # type: ignore[arg-type]
    for index in range(4):
        result = next(results)
        assert (result.index, result.pts) == (index, index * 7)
        assert len(asked) == index + 1, "nothing is read ahead"


def test_strength_scales_the_change() -> None:
    frame = on_grey(restored(frame_with_face(), sharper))
    whole = luma_change(frame, blended(frame))
    half = luma_change(frame, blended(frame, BlendConfig(strength=0.5)))
    [face] = frame.faces
    faded = luma_change(frame, blended(replace(frame, faces=(replace(face, strength=0.5),))))
    torch.testing.assert_close(half, whole / 2, atol=1.1, rtol=0)
    torch.testing.assert_close(faded, half, atol=1.1, rtol=0)


@pytest.mark.parametrize("scale", [0.4, 1.0, 2.5])
def test_no_seam_shows_where_a_bright_face_ends(scale: float) -> None:
    frame = on_grey(restored(frame_with_face(scale=scale), brighter))
    change = luma_change(frame, blended(frame, PLAIN)) / 65535
    crop_px = np.sqrt(np.linalg.det(frame.faces[0].crop_from_frame[:, :2]))  # type: ignore[index]
    width = 0.12 * 256 / crop_px  # of the feather, in pixels of the frame
    assert change.max() == pytest.approx(0.1 * 219 / 255, abs=2e-3)
    for axis in (0, 1):
        assert change.diff(dim=axis).abs().max() < 0.1 * 2 / width
        # Bicubic enlarging adds a ripple of a fifth of an 8-bit code.
        assert change.diff(n=2, dim=axis).abs().max() < 0.1 * 9 / width**2 + 0.2 / 219


def test_colours_of_the_input_stay() -> None:
    frame = restored(frame_with_face(), lambda c: c * torch.tensor([1.2, 1.0, 0.8])[:, None, None])
    result = blended(frame)
    mask, rect = face_mask(frame.faces[0], frame.picture, BlendConfig())
    before, _ = region_to_rgb(frame.picture, *rect)
    after, _ = region_to_rgb(result.picture, *rect)
    shift = ((after - before) * mask).sum((1, 2)) / mask.sum()
    assert shift.abs().max() < 1 / 255
    drifted = blended(frame, PLAIN)
    plain, _ = region_to_rgb(drifted.picture, *rect)
    assert (((plain - before) * mask).sum((1, 2)) / mask.sum()).abs().max() > 0.05


def test_black_and_white_stays_black_and_white() -> None:
    frame = frame_with_face(format="gray")
    grey = frame.picture.handle.reformat(format="yuv420p")
    frame = replace(frame, picture=picture_from_av(grey))

    def colourised(crop: Tensor) -> Tensor:
        warm = sharper(crop) * torch.tensor([1.3, 1.0, 0.8])[:, None, None]
        return (
            warm + 0.1 * torch.randn(crop.shape, generator=torch.Generator().manual_seed(1))
        ).clamp(0, 1)

    result = blended(restored(frame, colourised))
    assert luma_change(frame, result).abs().max() > 5
    for plane in result.picture.planes[1:]:
        assert (plane.int() - 128).abs().max() <= 1


QUARTER = np.array([[0.0, -1.0], [1.0, 0.0]])


@pytest.mark.parametrize("size", [128, 256, 512])
@pytest.mark.parametrize(
    ("scale", "options"),
    [
        (0.35, {}),
        (1.8, {}),
        (2.6, {}),
        (1.2, {"sar": 8 / 9, "width": 720}),
        (1.2, {"matrix": QUARTER, "width": 480, "height": 640}),
        (1.2, {"matrix": -np.eye(2), "sar": 64 / 45}),
    ],
)
def test_a_spot_in_the_crop_lands_on_its_place_in_the_frame(
    size: int, scale: float, options: dict[str, object]
) -> None:
    frame = on_grey(frame_with_face(320, 230, scale, size=size, **options))
    place = np.array([0.42, 0.61]) * size
    y, x = np.mgrid[:size, :size]
    distance = (x - place[0]) ** 2 + (y - place[1]) ** 2
    spot = torch.from_numpy(0.3 * np.exp(-distance / (2 * (0.03 * size) ** 2))).float()
    change = luma_change(frame, blended(restored(frame, lambda crop: crop + spot), PLAIN)).double()
    rows, columns = torch.meshgrid(*map(torch.arange, change.shape), indexing="ij")
    found = [float((change * axis).sum() / change.sum()) for axis in (columns, rows)]
    expected = apply(invert(frame.faces[0].crop_from_frame), place)  # type: ignore[arg-type]
    np.testing.assert_allclose(found, expected, atol=0.05)
    shrink = np.sqrt(abs(np.linalg.det(frame.faces[0].crop_from_frame[:, :2])))  # type: ignore[index]
    assert float(change.sum()) == pytest.approx(float(spot.sum()) / shrink**2 * 219 * 256, rel=0.03)


def test_fine_detail_of_a_small_face_does_not_alias() -> None:
    frame = on_grey(frame_with_face(scale=0.35, size=512))
    y, x = np.mgrid[:512, :512]
    stripes = torch.from_numpy(((x // 2 + y) % 2) * 0.4 - 0.2).float()
    change = luma_change(frame, blended(restored(frame, lambda c: c + stripes), PLAIN)) / 65535
    assert change.abs().max() < 0.02


def test_overlapping_faces_do_not_add_up() -> None:
    frame = on_grey(restored(frame_with_face(), brighter))
    once = luma_change(frame, blended(frame, PLAIN))
    twice = blended(replace(frame, faces=frame.faces * 2), PLAIN)
    change = luma_change(frame, twice)
    assert change.max() <= 1.01 * once.max()
    assert (change >= once - 1).all()


SMALL = picture_from_av(random_frame("yuv444p", 48, 32, low=0.3, high=0.6))


def shares(*faces: tuple[float, float]) -> Tensor:
    """(N, 32, 48) what is added of each face, (x, strength), whose crop is lighter by one in a
    channel of its own.
    """

    def placed(x: float, strength: float, channel: int) -> Face:
        crop = torch.zeros(3, 24, 24)
        source = crop.clone()
        crop[channel] = 1
        affine = np.array([[1.0, 0, -x], [0, 1.0, -4]])
        return Face(
            np.zeros(4),
            TEMPLATE,
            1.0,
            crop_from_frame=affine,
            crop=crop,
            source_crop=source,
            strength=strength,
        )

    both = tuple(placed(x, strength, number) for number, (x, strength) in enumerate(faces))
    display = Display(48, 32, np.eye(2, 3))
    frame = Frame(0, 0, Fraction(1, 25), SMALL, display, faces=both)
    added = torch.zeros(3, 32, 48)
    for change in face_changes(frame, PLAIN):
        x0, y0, x1, y1 = change.rect
        added[:, y0:y1, x0:x1] += change.residual
    return added[: len(faces)]


PLACE, STRENGTH = st.floats(2, 20), st.floats(0.001, 1)


@settings(max_examples=60, deadline=None)
@given(PLACE, PLACE, STRENGTH, STRENGTH)
def test_a_neighbour_takes_no_more_than_its_strength(
    x: float, other_x: float, strength: float, other: float
) -> None:
    alone = shares((x, strength))[0]
    first, second = shares((x, strength), (other_x, other))
    assert (first.abs() >= alone.abs() / (1 + other / strength) - 1e-5).all()
    assert (first.abs() <= alone.abs() + 1e-5).all()
    assert (first + second).max() <= max(strength, other) * 1.1, (
        "bicubic, so it overshoots a little"
    )


@settings(max_examples=40, deadline=None)
@given(PLACE, PLACE, STRENGTH, STRENGTH, st.floats(-1e-3, 1e-3), st.floats(-1e-3, 1e-3))
def test_overlap_is_continuous_in_strengths_and_places(
    x: float, other_x: float, strength: float, other: float, stronger: float, moved: float
) -> None:
    before = shares((x, strength), (other_x, other))
    after = shares((x, strength), (other_x + moved, min(max(other + stronger, 0), 1)))
    step = abs(stronger) + abs(moved)
    # The steepest is where two weak faces meet: a share of one of them.
    assert (after - before).abs().max() <= 4 * step + 1e-5


@settings(max_examples=20, deadline=None)
@given(PLACE, PLACE, STRENGTH)
def test_where_another_face_does_not_reach_one_is_unchanged_bit_for_bit(
    x: float, other_x: float, strength: float
) -> None:
    alone, other = shares((x, strength))[0], shares((other_x, 1.0))[0]
    first, _ = shares((x, strength), (other_x, 1.0))
    assert torch.equal(first[other == 0], alone[other == 0])


def test_equal_faces_of_half_strength_count_for_one_of_half_strength() -> None:
    assert shares((10, 0.5), (10, 0.5)).sum(0).max() == pytest.approx(0.5, abs=0.03)


def test_the_order_of_faces_does_not_matter() -> None:
    frame = frame_with_face()
    [first] = frame.faces
    shift = np.array([[1.0, 0.0, 60.0], [0.0, 1.0, 25.0]])
    affine = compose(first.crop_from_frame, invert(shift))  # type: ignore[arg-type]
    second = replace(
        first, crop_from_frame=affine, source_crop=crop_face(frame.picture, affine, 256)
    )
    far = compose(first.crop_from_frame, np.array([[1.0, 0.0, 250.0], [0.0, 1.0, 150.0]]))  # type: ignore[arg-type]
    third = replace(first, crop_from_frame=far, source_crop=crop_face(frame.picture, far, 256))
    one = restored(replace(frame, faces=(first, second, third)), sharper)
    other = replace(one, faces=one.faces[::-1])
    for a, b in zip(blended(one).picture.planes, blended(other).picture.planes, strict=True):
        assert torch.equal(a, b)


def test_each_face_is_compared_with_the_frame_as_decoded() -> None:
    """Far apart faces come out as if the other were not there."""
    frame = frame_with_face(200, 240, 1.0)
    [first] = frame.faces
    shift = np.array([[1.0, 0.0, -260.0], [0.0, 1.0, 0.0]])
    affine = compose(first.crop_from_frame, shift)  # type: ignore[arg-type]
    second = replace(
        first, crop_from_frame=affine, source_crop=crop_face(frame.picture, affine, 256)
    )
    both = restored(replace(frame, faces=(first, second)), sharper)
    together = luma_change(frame, blended(both))
    apart = [luma_change(frame, blended(replace(both, faces=(face,)))) for face in both.faces]
    assert torch.equal(together, apart[0] + apart[1])


@settings(max_examples=20, deadline=None)
@given(st.floats(-200, 840), st.floats(-200, 680), st.floats(0.3, 3), st.floats(-3.1, 3.1))
def test_faces_anywhere_are_blended_and_leave_the_border_alone(
    x: float, y: float, scale: float, angle: float
) -> None:
    picture = PICTURE
    points = (TEMPLATE - 256) @ np.array(
        [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
    )
    affine = similarity_from_points(TEMPLATE / 4, points * scale / 2 + [x, y])
    crop = torch.rand(3, 128, 128, generator=torch.Generator().manual_seed(0))
    face = Face(
        np.zeros(4),
        points,
        1.0,
        crop_from_frame=affine,
        source_crop=torch.zeros_like(crop),
        crop=crop,
    )
    frame = Frame(
        0, 0, picture.handle.time_base, picture, Display(640, 480, np.eye(2, 3)), faces=(face,)
    )
    mask, rect = face_mask(face, picture, PLAIN)
    assert mask.shape == (rect.height, rect.width)
    result = blended(frame, PLAIN)
    outside = torch.ones(480, 640, dtype=torch.bool)
    outside[rect.y0 : rect.y1, rect.x0 : rect.x1] = mask == 0
    assert (luma_change(frame, result)[outside] == 0).all()
    full = torch.zeros(480, 640)
    full[rect.y0 : rect.y1, rect.x0 : rect.x1] = mask
    border = torch.cat([full[0], full[-1], full[:, 0], full[:, -1]])
    assert border.max() < 0.15, "a face cut by the picture's border fades out there"


PICTURE = picture_from_av(random_frame("yuv420p", 640, 480, low=0.3, high=0.6))


def test_a_face_that_leaves_the_picture_meets_no_jump() -> None:
    previous = None
    for shift in np.arange(-60, 60, 2.0):
        affine = similarity_from_points(TEMPLATE / 4, (TEMPLATE - 256) * 0.5 + [100 - shift, 240])
        face = Face(
            np.zeros(4), TEMPLATE, 1.0, crop_from_frame=affine, crop=torch.zeros(3, 128, 128)
        )
        mask, rect = face_mask(face, PICTURE, BlendConfig())
        full = torch.zeros(480, 640)
        full[rect.y0 : rect.y1, rect.x0 : rect.x1] = mask
        if previous is not None:
            assert (full - previous).abs().max() < 0.4
        previous = full


def test_a_face_outside_the_picture_changes_nothing() -> None:
    affine = similarity_from_points(TEMPLATE / 4, TEMPLATE + np.array([5000, 0]))
    crop = torch.zeros(3, 128, 128)
    face = Face(np.zeros(4), TEMPLATE, 1.0, crop_from_frame=affine, source_crop=crop, crop=crop + 1)
    frame = replace(frame_with_face(), faces=(face,))
    assert blended(frame) is frame
    mask, rect = face_mask(face, frame.picture, BlendConfig())
    assert mask.numel() == rect.width * rect.height == 0


def test_chroma_of_a_face_moves_with_its_luma() -> None:
    """Red added in the crop is red in the frame, under the same mask, to the chroma's precision."""
    frame = restored(
        frame_with_face(format="yuv420p", noise=0.0),
        lambda crop: crop + torch.tensor([0.08, 0.0, 0.0])[:, None, None],
    )
    result = blended(frame, PLAIN)
    mask, rect = face_mask(frame.faces[0], frame.picture, PLAIN)
    before, _ = region_to_rgb(frame.picture, *rect)
    after, _ = region_to_rgb(result.picture, *rect)
    calm = (before > 0.1) & (before < 0.85)  # where no colour is clipped
    difference = (after - before - torch.tensor([0.08, 0, 0])[:, None, None] * mask)[calm]
    assert difference.abs().mean() < 1.2 / 255 and difference.abs().max() < 4 / 255


def test_display_of_the_tests_is_the_pipeline_s() -> None:
    shown, width, height = display_from_coded(640, 480)
    display = frame_with_face().display
    np.testing.assert_allclose(display.display_from_coded, shown)
    assert (display.width, display.height) == (width, height)
