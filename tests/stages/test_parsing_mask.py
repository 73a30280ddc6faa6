"""The mask "parsing": what is not face stays as it was, and the mask does not flicker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from clips import decoded_planes, face_frames, write_clip
from native import random_frame
from torch import Tensor

from vidrestore import restore_frames
from vidrestore.cli import main
from vidrestore.config import BlendConfig, resolve_config
from vidrestore.errors import ModelError
from vidrestore.models.parsing import build_parser
from vidrestore.stages._parsing_mask import parsing_masks
from vidrestore.stages.blend import blend
from vidrestore.structs import Display, Face, Frame
from vidrestore.video.picture.samples import picture_from_av, region_to_rgb

PARSING = BlendConfig(mask="parsing")
SIZE = 128
AFFINE = np.array([[1.0, 0.0, -40.0], [0.0, 1.0, -32.0]])
"""Pixel (40, 32) of the picture is pixel (0, 0) of the crop."""


@dataclass
class Toy:
    """A parser by a rule: from a crop (3, S, S) to how surely each place is face."""

    rule: Callable[[Tensor], Tensor]
    batch_size: int = 1
    name: str = "toy"
    calls: int = 0

    def __call__(self, crops: Tensor) -> Tensor:
        self.calls += 1
        return torch.stack([self.rule(crop) for crop in crops])


def left_is_hair(crop: Tensor) -> Tensor:
    shares = torch.ones(crop.shape[1:])
    shares[:, : SIZE // 2] = 0
    return shares


def all_face(crop: Tensor) -> Tensor:
    return torch.ones(crop.shape[1:])


def frame_of(
    index: int = 0, *, name: str = "yuv420p", source: Tensor | None = None, track: int = 0
) -> Frame:
    """One frame with one face, restored to something that differs everywhere."""
    picture = picture_from_av(random_frame(name, 208, 192, low=0.3, high=0.6))
    noise = torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    source = noise * 0.3 + 0.3 if source is None else source
    face = Face(
        np.zeros(4),
        np.zeros((5, 2)),
        1.0,
        track_id=track,
        crop_from_frame=AFFINE,
        source_crop=source,
        crop=source + 0.2 * (noise.flip(1) - 0.5),
    )
    return Frame(
        index,
        index * 7,
        Fraction(1, 25),
        picture,
        Display(208, 192, np.eye(2, 3)),
        is_cut=index == 0,
        faces=(face,),
    )


def masks_of(frames: list[Frame], toy: Toy) -> list[Tensor]:
    found = []
    for _, masks in parsing_masks(iter(frames), toy):
        assert masks[0] is not None
        found.append(masks[0])
    return found


@pytest.mark.parametrize("name", ["yuv444p", "yuv422p10le", "gray", "bgr0", "gbrp10le"])
def test_the_half_that_is_hair_stays_bit_for_bit(name: str) -> None:
    frame = frame_of(name=name)
    [result] = blend(iter([frame]), PARSING, Toy(left_is_hair))
    [whole] = blend(iter([frame]), BlendConfig())
    assert result.source is frame.picture
    for old, new, without in zip(
        frame.picture.planes, result.picture.planes, whole.picture.planes, strict=True
    ):
        # The crop's middle lies at column 40 + 64 of 208, whatever the chroma's share of them.
        middle, soft, end = (column * old.shape[1] // 208 for column in (104, 114, 150))
        assert torch.equal(new[:, :middle], old[:, :middle])
        assert not torch.equal(without[:, :middle], old[:, :middle])
        assert not torch.equal(new[:, soft:end], old[:, soft:end])


def test_a_crop_that_is_all_face_is_blended_as_without_parsing() -> None:
    frame = frame_of()
    [result] = blend(iter([frame]), PARSING, Toy(all_face))
    [whole] = blend(iter([frame]), BlendConfig())
    for one, other in zip(result.picture.planes, whole.picture.planes, strict=True):
        assert torch.equal(one, other)


def test_a_crop_without_a_face_changes_nothing() -> None:
    frame = frame_of()
    [result] = blend(iter([frame]), PARSING, Toy(lambda crop: 0 * all_face(crop)))
    assert result is frame


def test_the_mask_falls_off_softly_inside_the_face() -> None:
    [mask] = masks_of([frame_of()], Toy(left_is_hair))
    row = mask[SIZE // 2]
    assert (row[: SIZE // 2] == 0).all() and (row[SIZE // 2 + 10 :] == 1).all()
    assert (row.diff() >= 0).all() and row.diff().max() < 0.35
    torch.testing.assert_close(mask, row.expand(SIZE, SIZE), atol=1e-6, rtol=0)


@pytest.mark.parametrize("side", [3, 8])
def test_small_things_before_the_face_are_kept_whole(side: int) -> None:
    """A finger's breadth, or the rim of glasses, does not vanish under the soft border."""

    def with_square(crop: Tensor) -> Tensor:
        shares = all_face(crop)
        shares[50 : 50 + side, 60 : 60 + side] = 0
        return shares

    [mask] = masks_of([frame_of()], Toy(with_square))
    assert (mask[50 : 50 + side, 60 : 60 + side] == 0).all()
    assert mask[80, 80] == 1


def test_unsure_answers_that_alternate_do_not_flicker() -> None:
    answers = iter([0.3, 0.7] * 10)
    toy = Toy(lambda crop: torch.full(crop.shape[1:], next(answers)))
    masks = torch.stack(masks_of([frame_of(i) for i in range(20)], toy))
    alone = [0.0, 1.0]  # what a frame by itself would give, nearly
    assert abs(masks_of([frame_of()], Toy(lambda c: 0.3 * all_face(c)))[0].mean() - alone[0]) < 0.05
    assert abs(masks_of([frame_of()], Toy(lambda c: 0.7 * all_face(c)))[0].mean() - alone[1]) < 0.05
    steps = masks.mean((1, 2)).diff().abs()
    assert steps[2:-2].max() < 0.05


def test_a_hand_that_comes_is_masked_at_once() -> None:
    """Where the picture changes, neighbours have no say: no lag, and no trace before it comes."""
    plain = torch.full((3, SIZE, SIZE), 0.5)
    hand = plain.clone()
    hand[:, :, : SIZE // 2] = 0.8
    frames = [frame_of(i, source=plain if i < 4 else hand) for i in range(8)]
    masks = masks_of(
        frames, Toy(lambda c: left_is_hair(c) if float(c[0, 0, 0]) > 0.7 else all_face(c))
    )
    for mask in masks[:4]:
        assert (mask[:, 8 : SIZE // 2 - 8] > 0.99).all()
    for mask in masks[4:]:
        assert (mask[:, : SIZE // 2 - 8] == 0).all()


@pytest.mark.parametrize("break_", ["cut", "other track", "gap"])
def test_nothing_crosses_a_cut_or_a_gap(break_: str) -> None:
    frames = [frame_of(i, track=int(break_ == "other track" and i >= 3)) for i in range(6)]
    if break_ == "cut":
        frames[3] = replace(frames[3], is_cut=True)
    if break_ == "gap":
        frames.insert(3, replace(frames[3], faces=()))
    answers = iter([0.0] * 3 + [1.0] * 3)
    toy = Toy(lambda crop: torch.full(crop.shape[1:], next(answers)))
    given = [masks[0] for _, masks in parsing_masks(iter(frames), toy) if masks]
    assert [float(mask.mean()) for mask in given if mask is not None] == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("batch_size", [2, 4, 100])
def test_frames_keep_their_order_and_batches_change_nothing(batch_size: int) -> None:
    frames = [frame_of(i) for i in range(11)]
    frames[5] = replace(frames[5], faces=())
    frames[7] = replace(frames[7], faces=frames[7].faces * 2, is_cut=True)
    one, many = Toy(left_is_hair), Toy(left_is_hair, batch_size)
    expected = list(blend(iter(frames), PARSING, one))
    found = list(blend(iter(frames), PARSING, many))
    assert [frame.pts for frame in found] == [i * 7 for i in range(11)]
    assert many.calls < one.calls
    for a, b in zip(expected, found, strict=True):
        for plane, other in zip(a.picture.planes, b.picture.planes, strict=True):
            assert torch.equal(plane, other)


def test_only_a_few_frames_are_read_ahead() -> None:
    read = 0

    def source() -> Iterator[Frame]:
        nonlocal read
        for index in range(12):
            read = index + 1
            yield frame_of(index)

    for place, (frame, _) in enumerate(parsing_masks(source(), Toy(all_face))):
        assert frame.index == place and read <= place + 3


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda crop: crop, r"toy: answers \(1, 3, 128, 128\) to 1 crops"),
        (lambda crop: crop[0] * torch.nan, "toy: answers with values outside 0 to 1"),
        (lambda crop: crop[0] + 1, "toy: answers with values outside 0 to 1"),
    ],
)
def test_answers_that_are_no_masks_are_refused(
    rule: Callable[[Tensor], Tensor], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        list(blend(iter([frame_of()]), PARSING, Toy(rule)))


def test_the_mask_needs_a_parser() -> None:
    with pytest.raises(ValueError, match="needs a parser"):
        list(blend(iter([frame_of()]), PARSING))


def test_a_run_with_a_parsenet_leaves_what_it_takes_for_hair(tmp_path: Path) -> None:
    """From the command line: by its weights, this network takes all that is not bright for hair."""
    network = build_parser("ParseNet", in_size=32, out_size=32, base_ch=32, res_depth=1)
    state = network.state_dict()
    for name in [name for name in state if "conv2d" in name]:
        state[name].zero_()
    state["encoder.0.conv2d.weight"][0, 0, 1, 1] = 1
    state["out_mask_conv.conv2d.weight"][1, 0, 1, 1] = 100
    state["out_mask_conv.conv2d.weight"][13, 0, 1, 1] = -100
    torch.save(state, tmp_path / "red.pth")
    source = write_clip(tmp_path / "in.mkv", face_frames(2), codec="ffv1", pix_fmt="yuv444p")
    options = ["--model", "debug", "--codec", "ffv1", "--detector", "embedded"]
    parsing = ["--mask", "parsing", "--blend.parser", str(tmp_path / "red.pth")]
    assert main([str(source), str(tmp_path / "crop.mkv"), *options]) == 0
    assert main([str(source), str(tmp_path / "parsing.mkv"), *options, *parsing]) == 0
    planes = [decoded_planes(tmp_path / name) for name in ("in.mkv", "crop.mkv", "parsing.mkv")]
    config = resolve_config(None, {"restore.model": "debug", "detect.detector": "embedded"})
    frames = restore_frames(source, config=config)
    for frame, (before, whole, masked) in zip(frames, zip(*planes, strict=True), strict=True):
        assert frame.source is not None
        red = region_to_rgb(frame.source, 0, 0, frame.source.width, frame.source.height)[0][0]
        dark = red < 0.45
        changed_whole, changed = before[0] != whole[0], before[0] != masked[0]
        assert changed_whole[dark].sum() > 200, "without parsing the dark parts change too"
        assert changed[dark].sum() == 0
        assert changed[~dark].sum() > 200
