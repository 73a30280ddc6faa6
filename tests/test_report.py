"""Every face of every frame is counted once: restored, left alone, or failed."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vidrestore.config import RestoreConfig
from vidrestore.errors import ModelError
from vidrestore.geometry import identity
from vidrestore.report import Tally, check_failures
from vidrestore.structs import Display, Face, Frame
from vidrestore.video.picture.samples import picture_from_rgb

PICTURE = picture_from_rgb(np.zeros((16, 16, 3), np.uint8))
CROP = torch.zeros(3, 4, 4)

faces = st.builds(
    lambda track, strength, gates, failed: Face(
        np.zeros(4),
        np.zeros((5, 2)),
        0.5,
        track,
        strength=strength,
        gated_by=gates,
        crop=None if failed else CROP,
    ),
    st.integers(0, 3),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([(), ("size",), ("size", "count")]),
    st.booleans(),
)


def frame(index: int, found: list[Face], **fields: object) -> Frame:
    display = Display(16, 16, identity())
    return Frame(index, index, Fraction(1, 25), PICTURE, display, faces=tuple(found), **fields)  # type: ignore[arg-type]


@given(st.lists(st.lists(faces, max_size=4), max_size=6))
def test_faces_are_restored_left_alone_or_failed(shown: list[list[Face]]) -> None:
    tally = Tally()
    for index, found in enumerate(shown):
        tally.add(frame(index, found, is_cut=index % 2 == 0, detected=index % 3 == 0))
    every = [face for found in shown for face in found]
    assert tally.faces + tally.faces_left_alone + tally.faces_failed == len(every)
    assert tally.faces_left_alone == sum(face.strength == 0 for face in every)
    assert tally.frames == len(shown)
    assert tally.cuts == list(range(2, len(shown), 2))
    assert tally.frames_detected == len(range(0, len(shown), 3))
    records = tally.records()
    assert [one.track_id for one in records] == sorted({face.track_id for face in every})
    assert sum(one.frames for one in records) == len(every)
    assert sum(one.restored_frames for one in records) == tally.faces
    assert sum(one.gated_by.get("size", 0) for one in records) == sum(
        "size" in face.gated_by for face in every
    )


def test_a_strength_of_0_leaves_all_alone() -> None:
    tally = Tally(strength=0.0)
    tally.add(frame(0, [Face(np.zeros(4), np.zeros((5, 2)), 0.5, 0, crop=CROP)]))
    assert (tally.faces, tally.faces_left_alone) == (0, 1)


def test_faces_beyond_the_limit_are_noted() -> None:
    tally = Tally()
    tally.add(frame(0, [], faces_ignored=3))
    assert tally.notes() == ("3 faces beyond --max-faces left alone, the smallest of their frames",)


def test_too_many_failures_end_the_run() -> None:
    tally = Tally(faces=6, faces_failed=4)
    config = RestoreConfig.model_validate({"run": {"max_failed_faces": 0.4}})
    check_failures(tally, config)
    tally.faces_failed += 1
    with pytest.raises(ModelError, match="no valid numbers for 5 of 11 faces"):
        check_failures(tally, config)
