"""Affines obey the laws of affines, and warping agrees with SciPy, OpenCV and kornia."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from kornia.geometry.transform import warp_affine as kornia_warp_affine
from scipy import ndimage
from torch.nn import functional
from torchvision.ops import box_iou as torchvision_box_iou

from vidrestore import geometry
from vidrestore.structs import Array

moderate = st.floats(-50, 50)
log_scales = st.floats(-2, 2)
angles = st.floats(-3.1, 3.1)


@st.composite
def similarities(draw: st.DrawFn) -> Array:
    shift = [draw(moderate), draw(moderate)]
    return geometry.compose_similarity(draw(log_scales), draw(angles), shift)


@st.composite
def affines(draw: st.DrawFn) -> Array:
    """Similarities after a stretch along x: everything that display and alignment can make."""
    stretch = np.array(
        [[draw(st.floats(0.5, 2.0)), 0.0, draw(moderate)], [0.0, 1.0, draw(moderate)]]
    )
    return geometry.compose(draw(similarities()), stretch)


points = st.lists(st.tuples(moderate, moderate), min_size=1, max_size=6).map(np.array)


@given(affines(), affines(), points)
def test_compose_applies_the_right_one_first(first: Array, then: Array, at: Array) -> None:
    both = geometry.apply(geometry.compose(then, first), at)
    np.testing.assert_allclose(both, geometry.apply(then, geometry.apply(first, at)), atol=1e-6)


@given(affines(), points)
def test_invert_leads_back(affine: Array, at: Array) -> None:
    back = geometry.apply(geometry.invert(affine), geometry.apply(affine, at))
    np.testing.assert_allclose(back, at, atol=1e-6)


def test_identity_moves_nothing() -> None:
    at = np.array([[1.5, -2.0], [0.0, 7.0]])
    np.testing.assert_array_equal(geometry.apply(geometry.identity(), at), at)


def test_a_flat_transform_has_no_inverse() -> None:
    with pytest.raises(ValueError, match="cannot be inverted"):
        geometry.invert(np.array([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0]]))


@given(log_scales, angles, moderate, moderate)
def test_similarity_parameters_survive(scale: float, angle: float, x: float, y: float) -> None:
    matrix = geometry.compose_similarity(scale, angle, [x, y])
    found_scale, found_angle, shift = geometry.decompose_similarity(matrix)
    assert found_scale == pytest.approx(scale, abs=1e-6)
    assert found_angle == pytest.approx(angle, abs=1e-6)
    np.testing.assert_allclose(shift, [x, y])


TEMPLATE = np.array(
    [[193.0, 240.0], [319.0, 240.0], [257.0, 314.0], [201.0, 371.0], [313.0, 371.0]]
)


@given(similarities())
def test_similarity_from_points_finds_the_true_one(truth: Array) -> None:
    found = geometry.similarity_from_points(geometry.apply(truth, TEMPLATE), TEMPLATE)
    np.testing.assert_allclose(found, truth, atol=1e-5)


@given(st.integers(0, 2**32 - 1))
def test_similarity_from_noisy_points_is_least_squares(seed: int) -> None:
    noise = np.random.default_rng(seed)
    target = TEMPLATE[:, ::-1] * 0.3 + noise.normal(0, 9, TEMPLATE.shape)
    found = geometry.similarity_from_points(target, TEMPLATE)
    # Independent: the normal equations of x' = ax - by + c, y' = bx + ay + d.
    x, y = TEMPLATE.T
    one, zero = np.ones_like(x), np.zeros_like(x)
    rows = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    a, b, c, d = np.linalg.lstsq(rows, target.T.ravel(), rcond=None)[0]
    np.testing.assert_allclose(found, [[a, -b, c], [b, a, d]], atol=1e-8)


def test_similarity_needs_different_points() -> None:
    with pytest.raises(ValueError, match="two different points"):
        geometry.similarity_from_points([[0, 0], [1, 1]], [[2, 2], [2, 2]])


QUARTER_TURNS = [
    np.array(turn)
    for turn in ([[1, 0], [0, 1]], [[0, -1], [1, 0]], [[-1, 0], [0, -1]], [[0, 1], [-1, 0]])
]


@given(
    st.integers(1, 4000),
    st.integers(1, 4000),
    st.sampled_from([1.0, 8 / 9, 64 / 45, 2.0]),
    st.sampled_from(QUARTER_TURNS),
    st.booleans(),
)
def test_a_displayed_picture_fills_its_display(
    width: int, height: int, sar: float, turn: Array, mirrored: bool
) -> None:
    matrix = turn @ np.diag([-1, 1]) if mirrored else turn
    shown, display_width, display_height = geometry.display_from_coded(
        width, height, sar=sar, matrix=matrix
    )
    outer = np.array([[x, y] for x in (-0.5, width - 0.5) for y in (-0.5, height - 0.5)])
    moved = geometry.apply(shown, outer)
    np.testing.assert_allclose(moved.min(0), [-0.5, -0.5], atol=1e-6)
    np.testing.assert_allclose(
        moved.max(0), [display_width - 0.5, display_height - 0.5], atol=0.5 + 1e-6
    )
    # Square pixels: the stretch between the axes is the sample aspect ratio, no axis shrinks.
    stretch_x, stretch_y = np.linalg.norm(shown[:, :2], axis=0)
    assert stretch_x / stretch_y == pytest.approx(sar)
    assert min(stretch_x, stretch_y) == pytest.approx(1.0)


def test_box_iou_of_known_boxes() -> None:
    a = [[0, 0, 10, 10], [20, 20, 30, 40]]
    b = [[0, 0, 10, 10], [5, 0, 15, 10], [50, 50, 60, 60]]
    np.testing.assert_allclose(geometry.box_iou(a, b), [[1, 1 / 3, 0], [0, 0, 0]])
    assert geometry.box_iou(np.zeros((0, 4)), b).shape == (0, 3)


@given(st.integers(0, 2**32 - 1), st.sampled_from([np.float32, np.float64]))
def test_box_iou_agrees_with_torchvision(seed: int, kind: type) -> None:
    random = np.random.default_rng(seed)
    low = random.uniform(0, 50, (2, 5, 2)).astype(kind)
    a, b = np.concatenate([low, low + random.uniform(1, 50, low.shape).astype(kind)], axis=-1)
    iou = geometry.box_iou(a, b)
    assert iou.dtype == kind
    expected = torchvision_box_iou(torch.from_numpy(a).double(), torch.from_numpy(b).double())
    np.testing.assert_allclose(iou, expected, atol=1e-5)
    np.testing.assert_allclose(iou, geometry.box_iou(b, a).T)
    assert (iou >= 0).all() and (iou <= 1).all()
    np.testing.assert_allclose(np.diag(geometry.box_iou(a, a)), 1)


def picture(height: int = 60, width: int = 80, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.rand(2, 3, height, width, generator=random)


def smooth_picture(height: int, width: int) -> torch.Tensor:
    y, x = np.mgrid[:height, :width]
    rows = [np.sin(x / 9) * np.cos(y / 7), np.cos(x / 11 + y / 13), x / width]
    return torch.from_numpy(np.stack(rows)).float()[None]


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "nearest"])
def test_the_identity_warp_gives_the_picture_back(mode: str) -> None:
    image = picture()
    warped = geometry.warp_affine(image, geometry.identity(), (60, 80), mode=mode)
    # Rounding of positions in float32, times the steepest slope of noise.
    torch.testing.assert_close(warped, image, atol=2e-5, rtol=0)


@pytest.mark.parametrize(("dx", "dy"), [(3, 0), (0, -2), (-5, 7)])
def test_shifts_by_whole_pixels_are_exact(dx: int, dy: int) -> None:
    image = picture()
    shift = np.array([[1.0, 0.0, dx], [0.0, 1.0, dy]])
    warped = geometry.warp_affine(image, shift, (60, 80))
    inner = (slice(None), slice(None), slice(10, 50), slice(10, 70))
    rolled = torch.roll(image, (dy, dx), (2, 3))
    torch.testing.assert_close(warped[inner], rolled[inner], atol=2e-5, rtol=0)


MILD = [
    geometry.compose_similarity(0.0, 0.3, [8.0, -4.0]),
    geometry.compose_similarity(0.4, -1.2, [3.3, 50.7]),
    geometry.compose_similarity(-0.3, 2.0, [70.0, 10.5]),
    np.array([[1.2, 0.1, -3.0], [-0.2, 0.9, 4.0]]),
]


@pytest.mark.parametrize("affine", MILD)
def test_bilinear_agrees_with_scipy_also_beyond_the_border(affine: Array) -> None:
    image = picture()
    warped = geometry.warp_affine(image, affine, (70, 50))
    back = geometry.invert(affine)
    yx = back[::-1, [1, 0]]  # SciPy orders (row, column)
    for sample in range(2):
        for channel in range(3):
            expected = ndimage.affine_transform(
                image[sample, channel].double().numpy(),
                yx,
                back[::-1, 2],
                output_shape=(70, 50),
                order=1,
                mode="nearest",
            )
            np.testing.assert_allclose(warped[sample, channel], expected, atol=5e-5)


@pytest.mark.parametrize("affine", MILD)
def test_bicubic_agrees_with_opencv(affine: Array) -> None:
    image = picture()[:1]
    warped = geometry.warp_affine(image, affine, (70, 50), mode="bicubic")[0]
    pixels = np.ascontiguousarray(image[0].permute(1, 2, 0).numpy())
    y, x = np.mgrid[:70, :50]
    at = geometry.apply(geometry.invert(affine), np.stack([x, y], -1)).astype(np.float32)
    expected = cv2.remap(
        pixels, at[..., 0], at[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    # Older OpenCV knows positions to 1/32 of a pixel only: compare on a smooth scale there.
    tolerance = 1e-4 if int(cv2.__version__.split(".")[0]) >= 5 else 0.1
    np.testing.assert_allclose(warped.permute(1, 2, 0), expected, atol=tolerance)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("affine", MILD)
def test_enlarging_agrees_with_kornia_in_double_precision(affine: Array, mode: str) -> None:
    """To rounding: both take pixel centres at integers and repeat the border."""
    larger = geometry.compose(np.array([[1.5, 0.0, 2.25], [0.0, 1.5, -3.75]]), affine)
    image = picture().double()
    expected = kornia_warp_affine(
        image,
        torch.from_numpy(larger)[None].expand(2, 2, 3),
        (70, 50),
        mode=mode,
        padding_mode="border",
        align_corners=True,
    )
    warped = geometry.warp_affine(image, larger, (70, 50), mode=mode)
    torch.testing.assert_close(warped, expected, atol=1e-10, rtol=0)


@given(similarities().filter(lambda a: abs(geometry.decompose_similarity(a)[0]) < 0.35))
def test_a_warp_and_its_inverse_nearly_cancel(affine: Array) -> None:
    image = smooth_picture(64, 64)
    centred = geometry.compose(
        affine[:, :2] @ np.array([[1, 0, -31.5], [0, 1, -31.5]]), np.eye(2, 3)
    )
    centred[:, 2] += 63.5
    there = geometry.warp_affine(image, centred, (128, 128), mode="bicubic")
    back = geometry.warp_affine(there, geometry.invert(centred), (64, 64), mode="bicubic")
    inner = (slice(None), slice(None), slice(16, 48), slice(16, 48))
    torch.testing.assert_close(back[inner], image[inner], atol=0.02, rtol=0)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("shrink", [2, 3, 6])
def test_shrinking_averages_whole_boxes(mode: str, shrink: int) -> None:
    image = picture(12 * shrink, 18 * shrink)
    middle = (1 / shrink - 1) / 2  # keeps the outer edges where they are
    affine = np.array([[1 / shrink, 0.0, middle], [0.0, 1 / shrink, middle]])
    warped = geometry.warp_affine(image, affine, (12, 18), mode=mode)
    expected = functional.avg_pool2d(image, shrink)
    torch.testing.assert_close(warped, expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("angle", [0.0, 0.4])
@pytest.mark.parametrize("shrink", [1.6, 2.4, 3.5, 7.3])
def test_a_fine_chequerboard_shrinks_to_grey(shrink: float, angle: float) -> None:
    y, x = np.mgrid[:256, :256]
    board = torch.from_numpy((x + y) % 2.0).float()[None, None]
    affine = geometry.compose_similarity(-np.log(shrink), angle, [0.3, 0.7])
    size = int(120 / shrink)
    warped = geometry.warp_affine(board, affine, (size, size), mode="bilinear")
    inner = warped[..., 2 : size // 2, size // 4 : size // 2]
    # A box of odd size holds one white pixel more than black ones, or one less.
    assert inner.std() < 0.07 and abs(float(inner.mean()) - 0.5) < 0.07


@pytest.mark.parametrize("shrink", [1.0, 1.7, 3.2, 5.6])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_positions_stay_true_when_shrinking(shrink: float, mode: str) -> None:
    y, x = np.mgrid[:301, :403].astype(np.float32)
    ramps = torch.from_numpy(np.stack([x, y]))[None]
    affine = geometry.compose_similarity(-np.log(shrink), 0.2, [60 / shrink, 11 / shrink])
    size = int(200 / shrink)
    warped = geometry.warp_affine(ramps, affine, (size, size), mode=mode)[0].permute(1, 2, 0)
    out_y, out_x = np.mgrid[:size, :size]
    truth = geometry.apply(geometry.invert(affine), np.stack([out_x, out_y], -1))
    inside = ((truth > 12) & (truth < [390, 288])).all(-1)
    assert inside.sum() > size
    # The usual cubic (a = -0.75) bends a straight line by up to 0.05 of its own pixels.
    tolerance = 2e-3 if mode == "bilinear" else 0.05 * max(1, round(shrink))
    np.testing.assert_allclose(warped.numpy()[inside], truth[inside], atol=tolerance)


def test_double_precision_is_kept() -> None:
    image = picture().double()
    assert geometry.warp_affine(image, MILD[0], (20, 30)).dtype == torch.float64
