"""Alignment templates are the published ones."""

from __future__ import annotations

import json

import numpy as np
import pytest

from vidrestore.errors import ModelError
from vidrestore.models.templates import ARCFACE_112, landmark_template


def test_published_points(shared):
    published = json.loads((shared / "reference" / "alignment_templates.json").read_text("utf-8"))
    np.testing.assert_array_equal(landmark_template("ffhq", 512), published["gfpgan_512_ffhq"])
    for size, points in published["gpen"].items():
        np.testing.assert_array_equal(landmark_template("gpen", int(size)), points)
    np.testing.assert_allclose(ARCFACE_112, published["arcface_112"], atol=1e-4)


def test_other_sizes_scale_the_nearest_one():
    np.testing.assert_allclose(
        landmark_template("gpen", 2048), 2 * landmark_template("gpen", 1024), rtol=1e-12
    )
    np.testing.assert_allclose(
        landmark_template("ffhq", 256), landmark_template("ffhq", 512) / 2, rtol=1e-12
    )


def test_templates_cannot_be_changed_through_what_is_given():
    landmark_template("ffhq", 512)[:] = 0
    assert landmark_template("ffhq", 512).min() > 100


def test_unknown_template_is_named():
    with pytest.raises(ModelError, match="'ffhk'; did you mean 'ffhq'"):
        landmark_template("ffhk", 512)
