"""Eye and mouth regions: they cover what is marked, at every size and mirrored; their terms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidrestore.models.nets.discriminators import ComponentDiscriminators, Verdict
from vidrestore.models.templates import landmark_template
from vidrestore.training.data.pairs import mirror_landmarks
from vidrestore.training.losses.components import (
    component_boxes,
    component_discriminator,
    component_generator,
    component_style,
    cut_regions,
    region_sizes,
)
from vidrestore.training.losses.style import gram_l1

COLOURS = np.eye(3, dtype=np.float32)
"""Left eye red, right eye green, mouth blue."""


def template(size: int) -> np.ndarray:
    return landmark_template("ffhq", size)


def marked(points: np.ndarray, size: int) -> torch.Tensor:
    """(1, 3, S, S): a coloured blob at each eye and in the middle of the mouth."""
    y, x = np.mgrid[:size, :size]
    spots = (points[0], points[1], (points[3] + points[4]) / 2)
    picture = np.zeros((3, size, size), np.float32)
    for (px, py), colour in zip(spots, COLOURS, strict=True):
        blob = np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * (0.01 * size) ** 2))
        picture += colour[:, None, None] * blob.astype(np.float32)
    return torch.from_numpy(picture)[None]


def assert_marks_are_central(points: np.ndarray, picture: torch.Tensor) -> None:
    landmarks = torch.from_numpy(np.ascontiguousarray(points))[None]
    for part, region in enumerate(cut_regions(picture, landmarks)):
        own = region[0, part]
        row, column = divmod(int(own.argmax()), own.shape[1])
        middle = (own.shape[0] - 1) / 2
        assert own.max() > 0.7
        assert abs(row - middle) <= 1
        assert abs(column - middle) <= 1


@settings(max_examples=15, deadline=None)
@given(
    size=st.sampled_from([128, 192, 256, 512]),
    turn=st.floats(-0.4, 0.4),
    scale=st.floats(0.7, 1.1),
    x=st.floats(-0.04, 0.04),
    y=st.floats(-0.04, 0.04),
)
def test_regions_cover_the_marked_spots_and_their_mirror_images(
    size: int, turn: float, scale: float, x: float, y: float
) -> None:
    middle = (size - 1) / 2
    rotation = scale * np.array(
        [[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]
    )
    points = (template(size) - middle) @ rotation.T + middle + size * np.array([x, y])
    picture = marked(points, size)
    assert_marks_are_central(points, picture)
    swapped = picture.flip(3)[:, [1, 0, 2]]  # The red eye, mirrored, is the right one.
    assert_marks_are_central(mirror_landmarks(points, size), swapped)


def test_an_aligned_face_has_the_published_sizes() -> None:
    """Boxes about as large as what they are cut out to: 80, 80 and 120 px at 512."""
    boxes = component_boxes(torch.from_numpy(template(512))[None])[0]
    sides = boxes[:, 2:] - boxes[:, :2]
    assert torch.allclose(sides[:, 0], sides[:, 1])
    assert sides[:, 0].tolist() == pytest.approx([84.5, 84.5, 111.8], abs=1)
    assert region_sizes(512) == (80, 80, 120)
    assert region_sizes(256) == (40, 40, 60)
    assert region_sizes(1024) == (160, 160, 240)


@pytest.mark.parametrize("size", [64, 128, 192, 256, 320, 512])
def test_every_size_suits_the_discriminators(size: int) -> None:
    assert all(side % 4 == 0 and side >= 8 for side in region_sizes(size))
    eye, _, mouth = region_sizes(size)
    assert eye == pytest.approx(80 * size / 512, abs=2)
    assert mouth == pytest.approx(120 * size / 512, abs=2)


def test_boxes_scale_and_move_with_the_face() -> None:
    points = torch.from_numpy(template(512))[None]
    boxes = component_boxes(points)
    assert torch.allclose(component_boxes(points / 2), boxes / 2, rtol=1e-5)
    assert torch.allclose(component_boxes(points + 20), boxes + 20, rtol=1e-5)


def test_a_face_that_looks_aside_keeps_the_size_of_its_boxes() -> None:
    points = template(512)
    aside = points.copy()
    aside[:, 0] = 256 + 0.4 * (aside[:, 0] - 256)
    front, turned = (component_boxes(torch.from_numpy(each)[None])[0] for each in (points, aside))
    width, turned_width = (boxes[:, 2] - boxes[:, 0] for boxes in (front, turned))
    assert turned_width[:2].tolist() == pytest.approx(width[:2].tolist(), rel=0.02)
    assert turned_width[2] > 0.7 * width[2]


def test_a_window_is_cut_at_the_scale_of_its_crop() -> None:
    points = template(512)
    picture = marked(points, 512)
    whole = cut_regions(picture, torch.from_numpy(points)[None])
    window = picture[:, :, 160:416, 128:384]
    moved = torch.from_numpy(points - (128, 160))[None]
    cut = cut_regions(window, moved, crop_size=512)
    assert torch.allclose(cut.left_eye, whole.left_eye, atol=1e-5)
    assert torch.allclose(cut.mouth, whole.mouth, atol=1e-5)


def test_a_ramp_is_sampled_in_place() -> None:
    """Pixel centres are at integers: the middle of a region has the value at its landmark."""
    ramp = torch.arange(128.0).expand(1, 3, 128, 128)
    points = template(128)
    regions = cut_regions(ramp, torch.from_numpy(points)[None])
    assert float(regions.left_eye.mean()) == pytest.approx(points[0, 0], abs=1e-3)
    assert float(regions.right_eye.mean()) == pytest.approx(points[1, 0], abs=1e-3)
    assert float(regions.mouth.mean()) == pytest.approx(points[3:, 0].mean(), abs=1e-3)


def test_short_formats_are_cut_in_float32() -> None:
    picture = torch.rand(1, 3, 64, 64)
    landmarks = torch.from_numpy(template(64))[None]
    with torch.autocast("cpu", torch.bfloat16):
        regions = cut_regions(picture.bfloat16(), landmarks)
    assert all(part.dtype == torch.float32 for part in regions)


def test_terms_are_sums_over_regions() -> None:
    def verdict(*logits: float) -> Verdict:
        return Verdict(torch.tensor(logits), ())

    real = [verdict(2.0), verdict(0.0), verdict(-1.0, 1.0)]
    fake = [verdict(-3.0), verdict(1.0), verdict(0.5, 0.0)]
    wanted = np.mean([np.logaddexp(0, -2.0)]) + np.log(2)
    wanted += np.mean([np.logaddexp(0, 1.0), np.logaddexp(0, -1.0)])
    wanted += np.logaddexp(0, -3.0) + np.logaddexp(0, 1.0)
    wanted += np.mean([np.logaddexp(0, 0.5), np.log(2)])
    assert float(component_discriminator(real, fake)) == pytest.approx(wanted, rel=1e-5)
    wanted = np.logaddexp(0, 3.0) + np.logaddexp(0, -1.0)
    wanted += np.mean([np.logaddexp(0, -0.5), np.log(2)])
    assert float(component_generator(fake)) == pytest.approx(wanted, rel=1e-5)


def test_style_counts_the_finer_scale_half() -> None:
    generator = torch.Generator().manual_seed(0)

    def verdict() -> Verdict:
        maps = [torch.randn(1, 4, side, side, generator=generator) for side in (8, 4)]
        return Verdict(torch.zeros(1), tuple(maps))

    own, wanted = [verdict() for _ in range(3)], [verdict() for _ in range(3)]
    parts = [
        [float(gram_l1(a, b)) for a, b in zip(x.features, y.features, strict=True)]
        for x, y in zip(own, wanted, strict=True)
    ]
    expected = sum(0.5 * fine + coarse for fine, coarse in parts)
    assert float(component_style(own, wanted)) == pytest.approx(expected, rel=1e-5)
    assert float(component_style(own, own)) == 0


def test_style_without_features_is_an_error() -> None:
    with pytest.raises(ValueError, match="with_features"):
        component_style([Verdict(torch.zeros(1), ())], [Verdict(torch.zeros(1), ())])


def test_gradients_reach_the_picture_at_eyes_and_mouth_alone() -> None:
    torch.manual_seed(0)
    discriminators = ComponentDiscriminators(width=4)
    points = template(128)
    landmarks = torch.from_numpy(points)[None]
    restored = torch.rand(1, 3, 128, 128, requires_grad=True)
    own = discriminators(cut_regions(restored, landmarks), with_features=True)
    wanted = discriminators(cut_regions(torch.rand(1, 3, 128, 128), landmarks), with_features=True)
    (component_generator(own) + 200 * component_style(own, wanted)).backward()
    influence = restored.grad.abs().sum((0, 1))
    for x, y in (points[0], points[1], points[3:].mean(0)):
        assert influence[round(y), round(x)] > 0
    assert influence[:10].sum() == influence[-10:].sum() == 0
