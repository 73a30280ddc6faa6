"""Protocols: named, seeded, the same for everybody."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from clips import face_frames
from hypothesis import given, settings
from hypothesis import strategies as st

from vidrestore.degradations import BlindVideo, apply
from vidrestore.errors import UsageError
from vidrestore.evaluation.faces import space_evenly
from vidrestore.evaluation.protocols import PROTOCOLS, find_protocol

FACE = face_frames(1, width=128, height=128)[0].astype(np.float32) / 255


@pytest.mark.parametrize("name", [*PROTOCOLS, "old_film"])
def test_same_seed_same_picture(name: str) -> None:
    one, again = (find_protocol(name).picture(FACE, seed=5, index=3) for _ in range(2))
    assert np.array_equal(one, again)
    assert one.shape == FACE.shape
    assert one.dtype == np.float32


@pytest.mark.parametrize("name", ["blind", "gfpgan", "old_film"])
def test_other_seeds_and_pictures_differ(name: str) -> None:
    task = find_protocol(name)
    one = task.picture(FACE, seed=0, index=0)
    assert not np.array_equal(one, task.picture(FACE, seed=1, index=0))
    assert not np.array_equal(one, task.picture(FACE, seed=0, index=1))


def test_blind_is_the_mixture_that_is_documented() -> None:
    rng = np.random.default_rng([2, 7])
    expected = apply(FACE, BlindVideo().draw(rng), rng)
    assert np.array_equal(find_protocol("blind").picture(FACE, seed=2, index=7), expected)


def test_nothing_is_random_in_super_resolution() -> None:
    task = find_protocol("sr4")
    one = task.picture(FACE, seed=0, index=0)
    assert np.array_equal(one, task.picture(FACE, seed=9, index=4))
    assert np.abs(one - FACE).mean() > 0.003
    flat = np.full_like(FACE, 0.4)
    assert task.picture(flat, seed=0, index=0) == pytest.approx(flat, abs=1e-3)


def test_none_leaves_everything() -> None:
    assert np.array_equal(find_protocol("none").picture(FACE, seed=0, index=0), FACE)


def test_gfpgan_keeps_the_colours() -> None:
    gray = np.repeat(FACE.mean(axis=2, keepdims=True), 3, axis=2)
    mean = find_protocol("gfpgan").picture(gray, seed=0, index=0).mean(axis=(0, 1))
    assert np.ptp(mean) < 0.01
    assert mean.mean() == pytest.approx(gray.mean(), abs=0.02)


def test_recipes_come_by_file_too(tmp_path: Path) -> None:
    path = tmp_path / "soft.yaml"
    path.write_text("description: soft\nsteps:\n  - blur: {sigma_px: 3}\n")
    task = find_protocol(str(path))
    assert (task.name, task.description) == ("soft", "soft")
    blurred = task.picture(FACE, seed=0, index=0)
    assert np.abs(np.diff(blurred, axis=1)).mean() < np.abs(np.diff(FACE, axis=1)).mean()


def test_unknown_protocols_are_refused() -> None:
    with pytest.raises(UsageError, match=r"unknown protocol 'blnd'; did you mean 'blind'"):
        find_protocol("blnd")


@settings(max_examples=50)
@given(st.integers(1, 500), st.integers(1, 40))
def test_evenly_spaced(count: int, wanted: int) -> None:
    chosen = space_evenly(count, wanted)
    assert len(chosen) == min(count, wanted)
    assert chosen[0] == 0
    if wanted > 1:
        assert chosen[-1] == count - 1
        gaps = np.diff(chosen)
        assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1
