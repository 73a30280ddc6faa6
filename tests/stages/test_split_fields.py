"""A moving face in interlaced frames: each field's lines get their own change, and no others do.

The truth is known: fields are drawn at their own moments, blurred, and woven into frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import islice

import numpy as np
import numpy.typing as npt
import pytest
import torch
from interlaced import field_shift, fields_of, frame_moves, telecined, whole, woven
from moving_face import LANDMARKS, Moves, looked_at, placed
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from vidrestore import adapt_restorer
from vidrestore.config import AlignConfig, BlendConfig, GateConfig, TrackConfig
from vidrestore.geometry import apply, invert
from vidrestore.models.interfaces import FaceRestorer
from vidrestore.models.templates import landmark_template
from vidrestore.stages.align import align
from vidrestore.stages.blend import blend, face_changes, face_mask
from vidrestore.stages.conceal import conceal
from vidrestore.stages.gate import gate
from vidrestore.stages.restore import restore
from vidrestore.stages.split_fields import REACH, split_fields
from vidrestore.stages.track import track
from vidrestore.stages.weave_fields import weave_fields
from vidrestore.structs import Frame, Picture
from vidrestore.video.picture.fields import deinterlaced_fields
from vidrestore.video.picture.residual import planes_mask

WIDTH, HEIGHT, SPEED, SCALE = 256, 200, 4.0, 0.7
FRAMES = 8


def moves(fields: int = 2 * FRAMES, speed: float = SPEED) -> Moves:
    return [placed(90 + speed * t, 100 + 0.1 * speed * t, scale=SCALE) for t in range(fields)]


def sharpened(crops: Tensor) -> Tensor:
    """What a Gaussian blur took away, about."""
    around = avg_pool2d(pad(crops, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
    return (crops + 1.2 * (crops - around)).clamp(0, 1)


@pytest.fixture(scope="module")
def sharpener() -> FaceRestorer:
    return adapt_restorer(sharpened, size=128, template="ffhq", name="sharpener")


def followed(frames: list[Frame], truth: Moves, size: int = 128) -> Iterator[Frame]:
    """Tracked, aligned and gated, by a detector that knows the truth."""
    tracked = track(looked_at(frames, truth, every=2), TrackConfig())
    aligned = align(tracked, AlignConfig(), landmark_template("ffhq", size))
    return gate(aligned, GateConfig(fade_frames=0), 1.0, 9)


def restored(
    frames: list[Frame], truth: Moves, restorer: FaceRestorer, *, by_field: bool = True
) -> list[Frame]:
    found: Iterable[Frame] = followed(frames, truth)
    found = split_fields(found) if by_field else found
    found = blend(restore(found, restorer.start_run()), BlendConfig(colour_match=False))
    return list(weave_fields(found))


def _picture(frame: Frame | None) -> Picture | None:
    return None if frame is None else frame.picture


def luma(picture: Picture) -> npt.NDArray[np.uint8]:
    found: npt.NDArray[np.uint8] = picture.planes[0].numpy()
    return found


def face_of(number: int) -> tuple[slice, slice]:
    """Where the face is in a frame."""
    x, y = 90 + SPEED * (2 * number + 0.5), 100 + 0.1 * SPEED * (2 * number + 0.5)
    top = int(y - 36) // 2 * 2
    return slice(top, top + 84), slice(int(x - 30), int(x + 30))


def psnr(frames: list[Frame], truth: list[Frame]) -> float:
    """Inside faces, over all frames, in dB."""
    errors = [
        (luma(one.picture).astype(float) - luma(true.picture))[face_of(number)]
        for number, (one, true) in enumerate(zip(frames, truth, strict=True))
    ]
    return float(10 * np.log10(255**2 / np.mean(np.square(errors))))


def shift(frame: Frame) -> float:
    return field_shift(luma(frame.picture)[face_of(frame.index)])


def test_fields_are_nearer_to_the_truth_and_keep_their_shift(sharpener: FaceRestorer) -> None:
    path = moves()
    truth = woven(fields_of(path, WIDTH, HEIGHT), "top")
    source = woven(fields_of(path, WIDTH, HEIGHT, blur=1.0), "top")
    by_field = restored(source, frame_moves(path), sharpener)
    woven_ones = restored(source, frame_moves(path), sharpener, by_field=False)
    around = zip([None, *source], source, [*source[1:], None], strict=False)
    single = [
        replace(now, picture=deinterlaced_fields(*map(_picture, (before, now, after)), "top")[0])
        for before, now, after in around
    ]
    deinterlaced = restored(single, moves()[::2], sharpener, by_field=False)
    assert [frame.scan for frame in by_field] == ["top"] * FRAMES
    assert psnr(by_field, truth) > psnr(source, truth) + 1
    assert psnr(by_field, truth) > psnr(woven_ones, truth) + 1.5
    assert psnr(by_field, truth) > psnr(deinterlaced, truth) + 1.5
    for frame, true in zip(by_field, truth, strict=True):
        assert shift(frame) == pytest.approx(shift(true), abs=0.5)
    assert abs(np.mean([shift(frame) for frame in deinterlaced])) < 1


@pytest.mark.parametrize("order", ["top", "bottom"])
@pytest.mark.parametrize("format", ["yuv420p", "yuv422p10le", "nv12"])
def test_samples_outside_stay_bit_for_bit(sharpener: FaceRestorer, order: str, format: str) -> None:
    path = moves(12)
    source = woven(fields_of(path, WIDTH, HEIGHT, noise=3, format=format), order)  # type: ignore[arg-type]
    done = restored(source, frame_moves(path), sharpener)
    for frame, given in zip(done, source, strict=True):
        assert frame.source is given.picture
        assert (frame.pts, frame.time_base, frame.index) == (
            given.pts,
            given.time_base,
            given.index,
        )
        [face] = frame.faces
        _, rect = face_mask(face, frame.picture, BlendConfig())
        for old, new in zip(given.picture.planes, frame.picture.planes, strict=True):
            rows = new.shape[0] / frame.picture.height
            changed = (old.numpy() != new.numpy()).reshape(new.shape[0], -1).any(1).nonzero()[0]
            assert len(changed)
            assert changed.min() >= (rect.y0 - 4) * rows and changed.max() < (rect.y1 + 4) * rows


@pytest.mark.parametrize("order", ["top", "bottom"])
def test_faces_are_aligned_at_the_time_of_their_field(order: str) -> None:
    path = moves()
    source = woven(fields_of(path, WIDTH, HEIGHT), order)  # type: ignore[arg-type]
    template = landmark_template("ffhq", 128)
    fields = list(split_fields(followed(source, frame_moves(path))))
    assert len(fields) == 2 * FRAMES
    for number, field in enumerate(fields):
        assert field.pts * field.time_base == Fraction(number, 50)
        assert field.field is not None and field.field.is_later == bool(number % 2)
        assert field.field.first_line == ((number % 2) ^ (order == "bottom"))
        [face] = field.faces
        assert face.crop_from_frame is not None
        middle = apply(invert(face.crop_from_frame), template.mean(0))
        true = apply(path[number], LANDMARKS.mean(0))
        assert middle - true == pytest.approx(np.zeros(2), abs=1.2)
        if number:
            before = fields[number - 1].faces[0].crop_from_frame
            assert before is not None
            moved = middle - apply(invert(before), template.mean(0))
            assert moved[0] == pytest.approx(SPEED, abs=0.6)


SCANS = {
    "interlaced": (lambda fields: woven(fields, "top"), {"top"}),
    "bottom first": (lambda fields: woven(fields, "bottom"), {"bottom"}),
    "film flagged interlaced": (lambda fields: whole(fields, "top"), {"progressive"}),
    "film": (lambda fields: whole(fields, None), {"progressive"}),
    "fields flagged progressive": (lambda fields: woven(fields, "top", None), {"top"}),
    "fields, bottom first, flagged progressive": (
        lambda fields: woven(fields, "bottom", None),
        {"bottom"},
    ),
    "flagged in the wrong order": (lambda fields: woven(fields, "top", "bottom"), {"top"}),
}


@pytest.mark.parametrize("kind", SCANS)
def test_each_frame_is_restored_by_its_own_type(kind: str) -> None:
    make, scans = SCANS[kind]
    path = moves(16)
    frames = make(fields_of(path, WIDTH, HEIGHT, noise=1))
    found = split_fields(followed(frames, frame_moves(path)))
    assert {frame.scan for frame in found} == scans


@pytest.mark.parametrize("flags", ["top", None])
def test_film_that_became_video_is_told_frame_by_frame(flags: str | None) -> None:
    path = moves(32)
    frames = telecined(fields_of(path, WIDTH, HEIGHT, noise=1), flags)  # type: ignore[arg-type]
    film = path[::2]
    shown = [film[four + place] for four in range(0, 16, 4) for place in (0, 1, 1, 2, 3)]
    scans: dict[int, str] = {}
    for frame in split_fields(followed(frames, shown)):
        scans[frame.index] = frame.scan
    middle = [scans[index] == "top" for index in range(1, 19)]
    assert middle == ([False, True, True, False, False] * 4)[:18]


def test_what_stands_still_is_restored_as_flagged() -> None:
    path = moves(12, speed=0.0)
    for flags, scan in (("top", "top"), (None, "progressive")):
        frames = woven(fields_of(path, WIDTH, HEIGHT), "top", flags)
        assert {one.scan for one in split_fields(followed(frames, frame_moves(path)))} == {scan}


@pytest.mark.parametrize("count", [1, 2, REACH + 1, 2 * REACH])
def test_one_frame_leaves_for_each_whatever_shots_hold(sharpener: FaceRestorer, count: int) -> None:
    path = moves(2 * count)
    frames = woven(fields_of(path, WIDTH, HEIGHT), "top")
    frames = [replace(frame, is_cut=frame.index in (0, count - 1)) for frame in frames]
    out = restored(frames, frame_moves(path), sharpener)
    assert [(one.index, one.pts, one.is_cut) for one in out] == [
        (one.index, one.pts, one.is_cut) for one in frames
    ]
    assert all(len(one.faces) == 1 and one.faces[0].crop is not None for one in out)


def test_a_face_that_fails_in_one_field_counts_as_failed() -> None:
    path = moves(8)

    def broken(crops: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return crops * float("nan") if calls == 1 else crops

    calls = 0
    half = adapt_restorer(broken, size=128, template="ffhq", batch_size=1, name="half")
    out = restored(woven(fields_of(path, WIDTH, HEIGHT), "top"), frame_moves(path), half)
    assert [one.faces[0].crop is None for one in out] == [True, False, False, False]


def test_leaving_early_closes_what_comes_before() -> None:
    closed = False

    def source() -> Iterator[Frame]:
        nonlocal closed
        try:
            path = moves(40)
            yield from followed(woven(fields_of(path, WIDTH, HEIGHT), "top"), frame_moves(path))
        finally:
            closed = True

    chain = source()
    fields = split_fields(chain)
    assert len(list(islice(weave_fields(fields), 2))) == 2
    fields.close()
    chain.close()
    assert closed


def test_masks_name_all_samples_that_change(sharpener: FaceRestorer) -> None:
    """What blending says of a field's picture holds for the field's own lines."""
    path = moves(8)
    found = split_fields(followed(woven(fields_of(path, WIDTH, HEIGHT), "top"), frame_moves(path)))
    fields = list(restore(found, sharpener.start_run()))
    frames = list(weave_fields(blend(iter(fields), BlendConfig())))
    for number, frame in enumerate(frames):
        may_change = [torch.zeros(p.shape, dtype=torch.bool) for p in frame.picture.planes]
        for field in fields[2 * number : 2 * number + 2]:
            assert field.field is not None
            lines = slice(field.field.first_line, None, 2)
            masks = planes_mask(field.picture, face_changes(field, BlendConfig()))
            for may, mask in zip(may_change, masks, strict=True):
                may[lines] |= mask[lines]
        assert frame.source is not None
        for old, new, may in zip(
            frame.source.planes, frame.picture.planes, may_change, strict=True
        ):
            assert torch.equal(old[~may], new[~may])


def test_what_only_one_field_shows_is_no_dirt() -> None:
    """The fields of a frame differ in detail as fine as their lines."""
    path = [placed(90 + 3 * t, 100, scale=0.4) for t in range(12)]
    frames = woven(fields_of(path, WIDTH, HEIGHT), "top")
    concealed = list(conceal(split_fields(followed(frames, frame_moves(path), 256)), 256))
    changed = [face.concealed for frame in concealed for face in frame.faces]
    shares = [0.0 if c is None else float((c.abs() > 0.02).float().mean()) for c in changed]
    assert len(shares) == 12 and np.mean(shares) < 1e-3
