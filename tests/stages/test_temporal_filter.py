"""What a network invents anew in each frame is averaged out; what the input shows is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from vidrestore.config import TemporalFilterConfig
from vidrestore.geometry import identity
from vidrestore.stages.temporal_filter import temporal_filter
from vidrestore.structs import Display, Face, Frame

SIZE = 256
CONFIG = TemporalFilterConfig(strength=1.0, reach_frames=3)


def texture(seed: int = 0, size: int = SIZE) -> NDArray[np.float32]:
    """(size, size, 3) in [0, 1]: blobs that flow can follow, with some fine grain."""
    rng = np.random.default_rng(seed)
    layers = [
        cv2.resize(
            rng.normal(0, amount, (cells, cells, 3)), (size, size), interpolation=cv2.INTER_CUBIC
        )
        for cells, amount in ((6, 0.15), (24, 0.1), (80, 0.05))
    ]
    return np.clip(0.5 + sum(layers), 0, 1).astype(np.float32)


def tensor(picture: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))


def frames_of(
    sources: Sequence[NDArray[np.float32]],
    restored: Sequence[NDArray[np.float32]],
    cuts: Sequence[int] = (0,),
    track: int = 0,
) -> list[Frame]:
    """One face in every frame, seen as `sources`, restored as `restored`."""
    display = Display(640, 480, identity())
    frames = []
    for index, (source, crop) in enumerate(zip(sources, restored, strict=True)):
        face = Face(
            np.zeros(4), np.zeros((5, 2)), 0.9, track,
            crop_from_frame=identity(), source_crop=tensor(source), crop=tensor(crop),
        )  # fmt: skip
        frames.append(
            Frame(index, index, Fraction(1, 25), None, display, is_cut=index in cuts, faces=(face,))  # type: ignore[arg-type]
        )
    return frames


def crops(frames: Sequence[Frame]) -> list[NDArray[np.float32]]:
    given = [frame.faces[0].crop for frame in temporal_filter(frames, CONFIG)]
    return [crop.numpy().transpose(1, 2, 0) for crop in given if crop is not None]


def noisy(pictures: Sequence[NDArray[np.float32]], amount: float) -> list[NDArray[np.float32]]:
    rng = np.random.default_rng(9)
    return [(p + rng.normal(0, amount, p.shape)).astype(np.float32) for p in pictures]


def shifted(picture: NDArray[np.float32], x: float) -> NDArray[np.float32]:
    move = np.array([[1, 0, x], [0, 1, 0.5 * x]])
    return cv2.warpAffine(
        picture, move, picture.shape[1::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )


def rms(values: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


INNER = np.s_[24:-24, 24:-24]


def test_equal_frames_come_out_bit_for_bit() -> None:
    source, restored = texture(0), texture(1)
    for crop in crops(frames_of([source] * 9, [restored] * 9)):
        assert np.array_equal(crop, restored)


def test_no_steadiness_changes_nothing() -> None:
    frames = frames_of([texture(0)] * 4, [texture(i) for i in range(4)])
    for config in (
        TemporalFilterConfig(strength=0),
        TemporalFilterConfig(strength=1, reach_frames=0),
    ):
        assert all(a is b for a, b in zip(temporal_filter(frames, config), frames, strict=True))


def test_what_is_invented_anew_in_every_frame_is_averaged_out() -> None:
    """Over a still input, noise falls as that of a weighted mean does: it is no detail, and is not
    given back."""
    source = texture(0)
    averaged = crops(frames_of([source] * 15, noisy([source] * 15, 0.05)))
    left = [rms(crop - source) for crop in averaged[3:-3]]
    assert max(left) < 0.05 / 1.95


def test_averages_are_as_rich_in_fine_detail_as_single_frames() -> None:
    """Detail half of which is made up anew in every frame keeps its mean amplitude, at hardly any
    change of strength from frame to frame, and that without most of the made-up half."""
    source, shared = texture(0), noisy([np.zeros((SIZE, SIZE, 3), np.float32)], 0.02)[0]
    restored = noisy([source + shared] * 15, 0.01)
    averaged = crops(frames_of([source] * 15, restored))
    wanted = np.mean([fine_amplitude(crop) for crop in restored])
    kept = [fine_amplitude(crop) / wanted for crop in averaged[3:-3]]
    assert 0.95 < min(kept) < max(kept) < 1.03
    assert max(kept) - min(kept) < 0.02
    flicker = [rms(b - a) for a, b in pairwise(averaged)]
    assert max(flicker) < 0.5 * rms(restored[1] - restored[0])


def fine_amplitude(picture: NDArray[np.float32]) -> float:
    """Mean size of the Laplacian of the middle."""
    return float(np.abs(cv2.Laplacian(picture[INNER].mean(axis=2), cv2.CV_32F)).mean())


def test_a_moving_face_stays_sharp_while_its_noise_goes() -> None:
    """Along a motion of one and a half pixels a frame, no blur takes the noise's place."""
    big = texture(0, SIZE + 64)
    truth = [shifted(big, 1.5 * t)[32:-32, 32:-32] for t in range(13)]
    averaged = crops(frames_of(truth, noisy(truth, 0.05)))
    left = [rms((crop - true)[INNER]) for crop, true in zip(averaged, truth, strict=True)]
    assert max(left[3:-3]) < 0.05 / 1.7
    clean = crops(frames_of(truth, truth))
    blur = [rms((crop - true)[INNER]) for crop, true in zip(clean, truth, strict=True)]
    assert max(blur) < 0.01


def test_a_blink_is_kept() -> None:
    """Where the input changes, each frame keeps its own, and nothing shows before or after."""
    open_eye = texture(0)
    closed = open_eye.copy()
    closed[100:130, 90:150] = cv2.GaussianBlur(open_eye, (0, 0), 9)[100:130, 90:150] - 0.2
    sources = [open_eye] * 5 + [closed] * 2 + [open_eye] * 5
    eye = np.s_[106:124, 98:142]
    change = rms((closed - open_eye)[eye])
    for crop, source in zip(crops(frames_of(sources, sources)), sources, strict=True):
        assert rms((crop - source)[eye]) < 0.05 * change


def test_nothing_crosses_a_cut_or_another_person() -> None:
    one, other = texture(0), texture(5)
    sources = [one] * 4 + [other] * 4
    for crop, source in zip(crops(frames_of(sources, sources, cuts=(0, 4))), sources, strict=True):
        assert np.array_equal(crop, source)
    same = frames_of([one] * 4, [one] * 4) + frames_of([one] * 4, [other] * 4, cuts=(), track=1)
    for crop, wanted in zip(crops(same), [one] * 4 + [other] * 4, strict=True):
        assert np.array_equal(crop, wanted)


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.booleans(), min_size=1, max_size=14),
    st.integers(1, 5),
    st.lists(st.booleans(), min_size=14, max_size=14),
)
def test_every_frame_leaves_once_and_in_order(
    cuts: list[bool], reach: int, failed: list[bool]
) -> None:
    """Whatever is cut, and wherever a face could not be restored."""
    small = texture(0, 64)
    frames = frames_of(
        [small] * len(cuts), [small] * len(cuts), [i for i, cut in enumerate(cuts) if cut or not i]
    )
    frames = [
        replace(frame, faces=(replace(frame.faces[0], crop=None),)) if failed[i] else frame
        for i, frame in enumerate(frames)
    ]
    given_back = list(
        temporal_filter(frames, TemporalFilterConfig(strength=0.7, reach_frames=reach))
    )
    assert [frame.index for frame in given_back] == list(range(len(cuts)))
    assert [frame.faces[0].crop is None for frame in given_back] == failed[: len(cuts)]
