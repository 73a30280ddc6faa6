"""One luma in NumPy, in torch and in OpenCV, by the weights of the standards."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from vidrestore.luma import BT601, BT709, gray_picture, luma, tensor_luma
from vidrestore.video.picture.colour import yuv_from_rgb

PICTURE = np.random.default_rng(0).random((24, 20, 3), np.float32)


@pytest.mark.parametrize(("weights", "matrix"), [(BT601, "bt601"), (BT709, "bt709")])
def test_weights_are_those_of_the_matrices(weights: tuple[float, ...], matrix: str) -> None:
    assert weights == pytest.approx(yuv_from_rgb(matrix)[0], abs=1e-12)
    assert sum(weights) == pytest.approx(1, abs=1e-12)


def test_numpy_torch_and_opencv_agree() -> None:
    batch = torch.from_numpy(PICTURE).permute(2, 0, 1)[None]
    found = luma(PICTURE)
    assert found.shape == (24, 20) and found.dtype == np.float32
    np.testing.assert_allclose(found, tensor_luma(batch)[0, 0], atol=1e-6)
    np.testing.assert_allclose(found, cv2.cvtColor(PICTURE, cv2.COLOR_RGB2GRAY), atol=1e-6)


def test_a_gray_picture_is_luma_rounded_in_every_channel() -> None:
    coded = np.rint(255 * PICTURE).astype(np.uint8)[:, ::-1]  # Also of a view.
    gray = gray_picture(coded)
    assert gray.shape == coded.shape and gray.dtype == np.uint8
    assert (gray == gray[..., :1]).all()
    np.testing.assert_allclose(gray[..., 0], luma(coded.astype(np.float32)), atol=0.51)
