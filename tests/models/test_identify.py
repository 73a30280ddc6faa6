"""A weights file's network is told from its contents alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from vidrestore.errors import WeightsError
from vidrestore.models.identify import identify
from vidrestore.models.weights.checkpoint import Checkpoint, read

CASES = [
    "gfpgan_bilinear_512_cm1",
    "gfpgan_clean_256_cm1_narrow0.5_batch2",
    "gfpgan_clean_512_cm2",
    "gfpgan_v1_128_cm2_narrow0.5",
    "gfpgan_v1_512_cm1",
    "gpen_256_cm1_narrow0.5",
    "gpen_512_cm2",
]


def empty(shapes: dict[str, list[int]], metadata: dict[str, str] | None = None) -> Checkpoint:
    state = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    return Checkpoint(Path("some.pth"), state, metadata or {})


@pytest.mark.parametrize("case", CASES)
def test_published_networks_are_recognised_with_their_hyperparameters(shared, case):
    reference = json.loads((shared / "reference" / f"{case}.json").read_text("utf-8"))
    arch, found = identify(empty(reference["state_dict"]), arch=reference["arch"])
    assert arch == reference["arch"]
    assert found == {name: reference[name] for name in found}
    # What the shapes cannot tell is the same in all published networks.
    told = {"input", "sample_stride", "parameters", "state_dict", "equalized_lr", "arch"}
    assert reference.keys() - found.keys() <= told | {"lr_mlp", "resample_kernel", "blur_kernel"}


def test_two_networks_that_look_alike_must_be_named(shared):
    reference = json.loads((shared / "reference" / f"{CASES[0]}.json").read_text("utf-8"))
    for arch in (None, "GFPGANv1Clean"):
        with pytest.raises(WeightsError, match=r"look alike; .* 'some\.pth#GFPGANBilinear'"):
            identify(empty(reference["state_dict"]), arch=arch)


def test_retinaface_is_recognised(shared):
    checkpoint = read(shared / "weights" / "detection_mobilenet0.25_Final.pth")
    assert identify(checkpoint) == ("RetinaFace", {"backbone": "mobile0.25"})


def test_a_file_that_names_its_network_is_believed():
    metadata = {"arch": "CompactUNet", "hyperparameters": '{"widths": [8, 16]}'}
    assert identify(empty({"a": [1]}, metadata)) == ("CompactUNet", {"widths": [8, 16]})
    assert identify(empty({"a": [1]}, {"arch": "CompactUNet"})) == ("CompactUNet", {})


@pytest.mark.parametrize("text", ["", "[1, 2]", "{", "nonsense"])
def test_damaged_metadata_is_refused(text):
    with pytest.raises(WeightsError, match="metadata is damaged"):
        identify(empty({"a": [1]}, {"arch": "CompactUNet", "hyperparameters": text}))


def test_an_unknown_network_is_refused_with_some_of_its_entries():
    with pytest.raises(WeightsError, match=r"of no network known here \(its entries: a, b, …\)"):
        identify(empty({"a": [1], "b": [2]}))


@pytest.mark.parametrize("key", ["conv_body_first.weight", "generator.input.input"])
def test_an_incomplete_network_is_refused(key):
    with pytest.raises(WeightsError, match="incomplete"):
        identify(empty({key: [32, 3, 1, 1]}))
