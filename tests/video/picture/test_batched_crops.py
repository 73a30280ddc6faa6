"""Crops that are cut in a batch on a device are those that are cut one by one on the host."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from native import random_frame

from vidrestore.geometry import compose_similarity, invert
from vidrestore.runtime.transfer import Uploader
from vidrestore.stages.restore import crop_face
from vidrestore.structs import Array, Picture
from vidrestore.video.picture.batched_crops import cut_crops, regions_to_rgb
from vidrestore.video.picture.samples import aligned_rect, picture_from_av, region_to_rgb

FORMATS = [
    *("yuv420p", "yuv422p", "yuv444p", "yuvj420p", "yuv420p10le", "yuv422p10le", "yuv444p12le"),
    *("yuv411p", "yuv444p16le", "gray", "gray16le", "nv12", "p010le", "gbrp10le", "bgr0"),
    *("yuyv422", "yuva420p"),
]


def uploaded(name: str, seed: int = 0, width: int = 97, height: int = 75) -> Picture:
    """A picture of odd size, on the CPU as if that was a device."""
    picture = picture_from_av(random_frame(name, width, height, seed=seed))
    return replace(picture, uploaded=Uploader(torch.device("cpu"))(*picture.planes))


def alignment(x: float, y: float, scale: float, angle: float) -> Array:
    """`crop_from_frame` of a crop of 48 pixels with its middle at (x, y) of the frame."""
    frame_from_crop = compose_similarity(-np.log(scale), angle, (0, 0))
    frame_from_crop[:, 2] = np.array([x, y]) - frame_from_crop[:, :2] @ np.full(2, 23.5)
    return invert(frame_from_crop)


@pytest.mark.parametrize("name", FORMATS)
def test_regions_have_the_colours_of_the_host(name: str) -> None:
    pictures = [uploaded(name, seed) for seed in (0, 1, 0)]
    rects = [
        aligned_rect(picture, *box)
        for picture, box in zip(
            pictures, [(0, 0, 40, 31), (50, 40, 97, 75), (12, 8, 33, 60)], strict=True
        )
    ]
    found = regions_to_rgb(pictures, rects)
    for picture, rect, region in zip(pictures, rects, found, strict=True):
        wanted, _ = region_to_rgb(picture, *rect)
        torch.testing.assert_close(
            region[:, : rect.height, : rect.width], wanted, atol=1e-6, rtol=0
        )


@pytest.mark.parametrize("name", FORMATS)
def test_crops_are_those_of_the_host(name: str) -> None:
    """Of two pictures; enlarged, reduced, and reaching beyond the border."""
    pictures = [uploaded(name, seed) for seed in range(2)]
    cases = [
        (pictures[0], alignment(40, 30, 1.3, 0.2)),
        (pictures[1], alignment(60, 50, 0.45, -0.4)),
        (pictures[1], alignment(3, 70, 0.9, 0.1)),
        (pictures[0], alignment(95, 5, 0.45, 3.0)),
    ]
    found = cut_crops([picture for picture, _ in cases], [affine for _, affine in cases], 48)
    for (picture, affine), crop in zip(cases, found, strict=True):
        assert (crop - crop_face(picture, affine, 48)).abs().max() <= 1e-4


PLACE = st.tuples(st.floats(-20, 120), st.floats(-20, 95), st.floats(0.2, 4), st.floats(-3, 3))


@settings(deadline=None, max_examples=30)
@given(st.lists(PLACE, min_size=1, max_size=5), st.sampled_from(FORMATS))
def test_company_changes_nothing(places: list[tuple[float, ...]], name: str) -> None:
    picture = uploaded(name)
    found = cut_crops([picture] * len(places), [alignment(*place) for place in places], 48)
    for place, crop in zip(places, found, strict=True):
        assert (crop - crop_face(picture, alignment(*place), 48)).abs().max() <= 1e-4
