"""Face parsers: facexlib's networks, our loading, and a clear line for what cannot be used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from clips import face_frames, write_clip
from torch import Tensor, nn

from vidrestore.cli import main
from vidrestore.errors import ModelError, UnknownModelError, WeightsError
from vidrestore.models import zoo
from vidrestore.models.load import load_detector, load_restorer
from vidrestore.models.parsing import FaceParser, build_parser, load_parser
from vidrestore.models.weights.checkpoint import Unfilled

SMALLEST = {"in_size": 32, "out_size": 32, "base_ch": 32, "res_depth": 1}
"""A ParseNet that only looks at the pixel itself and at its neighbours."""


def red_is_skin() -> nn.Module:
    """A ParseNet with weights by a rule: more than half of full red is skin, less is hair."""
    network = build_parser("ParseNet", **SMALLEST)
    state = network.state_dict()
    for name, value in state.items():
        if name.endswith("conv2d.weight") or name.endswith("conv2d.bias"):
            value.zero_()
    state["encoder.0.conv2d.weight"][0, 0, 1, 1] = 1
    state["out_mask_conv.conv2d.weight"][1, 0, 1, 1] = 100
    state["out_mask_conv.conv2d.weight"][13, 0, 1, 1] = -100
    return network


@pytest.fixture(scope="module")
def red_is_skin_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "red.pth"
    torch.save(red_is_skin().state_dict(), path)
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VIDRESTORE_HOME", str(tmp_path))
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


def blocks(size: int) -> Tensor:
    """(1, 3, size, size): four squares, red, dark, grey and green."""
    colours = torch.tensor([[[0.9, 0.1, 0.1], [0.1, 0.1, 0.1]], [[0.7, 0.7, 0.7], [0.1, 0.9, 0.1]]])
    return (
        colours.permute(2, 0, 1)
        .repeat_interleave(size // 2, 1)
        .repeat_interleave(size // 2, 2)[None]
    )


@pytest.mark.parametrize("size", [512, 128])
def test_a_parsenet_from_a_file_answers_by_its_weights(red_is_skin_file: Path, size: int) -> None:
    parser = load_parser(red_is_skin_file)
    assert isinstance(parser, FaceParser) and parser.name == str(red_is_skin_file)
    crops = torch.cat([blocks(size), blocks(size).flip(3)])
    answer = parser(crops)
    assert answer.dtype == torch.float32 and answer.shape == (2, 512, 512)
    small = answer[:, 128::256, 128::256]
    np.testing.assert_allclose(small[0], [[1, 0], [1, 0]], atol=1e-6)
    np.testing.assert_allclose(small[1], [[0, 1], [0, 1]], atol=1e-6)
    assert torch.equal(answer[1:], parser(crops[1:])), "a crop's answer is its own"


def test_bisenet_sees_what_it_is_trained_on_and_answers_for_its_own_classes(
    tmp_path: Path,
) -> None:
    torch.manual_seed(0)
    network = build_parser("BiSeNet", num_class=19)
    network.conv_out.conv_out.weight.data.mul_(20)
    torch.save(network.state_dict(), tmp_path / "bisenet.pth")
    crop = torch.rand(1, 3, 512, 512)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        scores = network(((crop[0].permute(1, 2, 0) - mean) / std).permute(2, 0, 1)[None])[0][0]
    weights = scores.double().exp()
    # Not: background, glasses, earring, neck, necklace, clothes, hair, hat.
    others = weights[[0, 6, 9, 14, 15, 16, 17, 18]].sum(0)
    expected = 1 - others / weights.sum(0)
    assert expected.max() > 0.7 and expected.min() < 0.4, "the picture tells classes apart"
    torch.testing.assert_close(
        load_parser(tmp_path / "bisenet.pth")(crop)[0].double(), expected, atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("name", zoo.names("parsing"))
def test_the_zoo_s_networks_are_as_large_as_the_published_files(name: str) -> None:
    (spec,) = zoo.find(name, "parsing")
    with Unfilled():
        network = build_parser(spec.arch, **spec.hyperparameters)
    values = sum(value.numel() * value.element_size() for value in network.state_dict().values())
    assert spec.bytes is not None
    assert 0 < spec.bytes - values < 0.002 * spec.bytes, "the rest is the table of names"


def test_what_is_not_installed_is_said_with_the_command_that_brings_it(home: Path) -> None:
    with pytest.raises(WeightsError, match="not installed; run `vidrestore models pull bisenet`"):
        load_parser("bisenet")
    (home / "parsing_bisenet.pth").write_bytes(b"something else")
    with pytest.raises(WeightsError, match=r"parsing_bisenet.pth: 14 bytes, expected 53289463"):
        load_parser("bisenet")


def test_names_of_other_tasks_and_of_none_are_refused() -> None:
    with pytest.raises(UnknownModelError, match="did you mean 'parsenet'"):
        load_parser("parsnet")
    with pytest.raises(UnknownModelError, match=r"'gfpgan-1.4' is no parsing"):
        load_parser("gfpgan-1.4")


def test_weights_of_another_network_are_refused(red_is_skin_file: Path, shared: Path) -> None:
    with pytest.raises(WeightsError, match="a RetinaFace, which does not parse faces"):
        load_parser(shared / "weights" / "detection_mobilenet0.25_Final.pth")
    with pytest.raises(WeightsError, match="a ParseNet, which does not restore faces"):
        load_restorer(red_is_skin_file, device="cpu")
    with pytest.raises(WeightsError, match="a ParseNet, which does not detect faces"):
        load_detector(red_is_skin_file, device="cpu")


def test_other_classes_and_invalid_numbers_are_refused(tmp_path: Path) -> None:
    other = build_parser("ParseNet", **SMALLEST, parsing_ch=11)
    torch.save(other.state_dict(), tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=r"a ParseNet for 11 classes; only .* 19, are known"):
        load_parser(tmp_path / "other.pth")
    state = red_is_skin().state_dict()
    state["out_mask_conv.conv2d.bias"][3] = torch.nan
    torch.save(state, tmp_path / "nan.pth")
    with pytest.raises(ModelError, match=r"nan.pth: its network gives no valid numbers; try"):
        load_parser(tmp_path / "nan.pth")(blocks(64))


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_a_run_without_the_weights_ends_in_one_line_before_work(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], dry: list[str]
) -> None:
    source = write_clip(tmp_path / "in.mkv", face_frames(2))
    output = tmp_path / "out.mkv"
    assert main([str(source), str(output), "--mask", "parsing", *dry]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "run `vidrestore models pull parsenet`" in error
    assert not output.exists()


def test_an_unknown_mask_is_a_wrong_option(tmp_path: Path, capsys: object) -> None:
    assert main(["in.mkv", str(tmp_path / "out.mkv"), "--mask", "hands"]) == 2
    assert main(["in.mkv", str(tmp_path / "out.mkv"), "--mask", "parsing"]) == 1
