"""From checkpoints to files that are used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from labelled_faces import write_faces
from tiny_training import SIZE, tiny_config

from vidrestore.errors import DataError, ModelError, VideoWriteError
from vidrestore.models.load import load_detector, load_restorer
from vidrestore.models.nets.compact_detector import REFINER_PX, CompactDetector
from vidrestore.models.registry import build
from vidrestore.models.templates import landmark_template
from vidrestore.models.weights.checkpoint import fill, read
from vidrestore.training import export as module
from vidrestore.training.checkpoint import TrainingState, read_checkpoint, write_checkpoint
from vidrestore.training.export import export
from vidrestore.training.train import train

OFF = {"perceptual": 0, "style": 0, "identity": 0, "adversarial": 0}
COMPONENTS_OFF = {"component_adversarial": 0, "component_style": 0}
SHORT = {
    "stylegan2_prior": {"steps": 1, "batch_size": 1},
    "gfpgan": {"steps": 1, "batch_size": 1, "losses": OFF | COMPONENTS_OFF},
    "gpen": {"steps": 1, "batch_size": 1, "losses": {"identity": 0}},
    "compact_generator": {"stages": [{"images": 2, "batch_size": 1, "window": SIZE}]},
    "compact_detector": {
        "data": {"size_px": 64},
        "stages": [
            {"network": network, "images": 4, "batch_size": 2} for network in ("cells", "refiner")
        ],
    },
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faces(tmp_path_factory.mktemp("data"), {"train": 2, "val": 1}, size=SIZE)


@pytest.fixture(scope="module")
def checkpoints(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    return {
        task: train(tiny_config(task, **changes), data, folder / task)
        for task, changes in SHORT.items()
    }


def test_weights_can_be_blended(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    checkpoint = checkpoints["compact_generator"]
    own, other, mean = (tmp_path / f"{name}.safetensors" for name in ("own", "other", "mean"))
    export(checkpoint, own)
    state = read(own).state
    export(checkpoint, other)
    from safetensors.torch import save_file

    save_file({name: value + 1 for name, value in state.items()}, other)
    said = export(checkpoint, mean, blend=(other, 0.25))
    assert (said["blended_with"], said["blended_share"]) == ("other.safetensors", "0.25")
    assert "metrics" not in said
    for name, value in read(mean).state.items():
        torch.testing.assert_close(value, state[name] + 0.25)
    with pytest.raises(DataError, match="between 0 and 1"):
        export(checkpoint, mean, blend=(other, 2.0), overwrite=True)


@pytest.mark.parametrize("task", ["gfpgan", "gpen", "compact_generator"])
def test_exported_weights_restore_by_their_path(
    task: str, checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    file = tmp_path / "weights.safetensors"
    metadata = export(checkpoints[task], file)
    assert read(file).metadata == metadata
    found = read_checkpoint(checkpoints[task])
    network = build(metadata["arch"], **json.loads(metadata["hyperparameters"])).eval()
    network.load_state_dict(found.state["average"])
    restorer = load_restorer(file, device="cpu", precision="float32", batch_size=1)
    crops = torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted = ((network(crops * 2 - 1) + 1) / 2).clamp(0, 1)
    assert restorer.size == SIZE
    assert torch.allclose(restorer(crops), wanted, atol=1e-4)


def test_a_network_is_run_with_the_alignment_it_was_trained_with(
    data: Path, tmp_path: Path
) -> None:
    settings = {"size_px": SIZE, "template": "gpen"}
    config = tiny_config("compact_generator", data=settings, **SHORT["compact_generator"])
    file = tmp_path / "weights.safetensors"
    export(train(config, data, tmp_path / "run"), file)
    assert np.allclose(load_restorer(file, device="cpu").template, landmark_template("gpen", SIZE))


def test_files_say_how_they_were_made(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    metadata = export(checkpoints["compact_generator"], tmp_path / "a.safetensors")
    assert metadata["images_seen"] == "2"
    assert json.loads(metadata["metrics"])["psnr_db"] > 0
    assert json.loads(metadata["config"])["stages"][0]["window"] == SIZE


def test_nothing_is_told_of_the_folders_of_the_training(
    checkpoints: dict[str, Path], data: Path, tmp_path: Path
) -> None:
    config = tiny_config("gpen", prior=checkpoints["gpen"], **SHORT["gpen"])
    last = train(config, data, tmp_path / "run")
    metadata = export(last, tmp_path / "a.safetensors")
    assert json.loads(metadata["config"])["prior"] == "last.pt"
    assert str(tmp_path) not in str(metadata)


def test_an_exported_detector_is_small_and_detects(
    checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    file = tmp_path / "detector.safetensors"
    metadata = export(checkpoints["compact_detector"], file)
    assert metadata["arch"] == "CompactDetector"
    whole = sum(v.numel() * 4 for v in average(checkpoints["compact_detector"]).values())
    assert file.stat().st_size < 0.4 * whole
    network = build(metadata["arch"], **json.loads(metadata["hyperparameters"]))
    fill(network, read(file), arch=metadata["arch"])
    for name, value in average(checkpoints["compact_detector"]).items():
        torch.testing.assert_close(network.state_dict()[name], value, rtol=1e-2, atol=5e-3)
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    [found] = load_detector(file, device="cpu")(picture)
    assert found.boxes_xyxy.shape == (len(found), 4)


def average(checkpoint: Path) -> dict[str, torch.Tensor]:
    return dict(read_checkpoint(checkpoint).state["average"])


@pytest.mark.soak
def test_an_onnx_prior_draws_the_same(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    file = tmp_path / "prior.onnx"
    export(checkpoints["stylegan2_prior"], file)
    config = read_checkpoint(checkpoints["stylegan2_prior"]).config
    network = build("StyleGAN2Generator", **config["network"]).eval()
    network.load_state_dict(average(checkpoints["stylegan2_prior"]))
    vectors = torch.randn(2, config["network"]["num_style_feat"])
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"input": vectors.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(found, network(vectors).numpy(), atol=1e-4)


@pytest.mark.soak
def test_an_onnx_detector_holds_both_networks(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    file = tmp_path / "detector.onnx"
    metadata = export(checkpoints["compact_detector"], file)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    network = build(metadata["arch"], **json.loads(metadata["hyperparameters"])).eval()
    network.load_state_dict(average(checkpoints["compact_detector"]))
    assert isinstance(network, CompactDetector)
    scenes, crops = torch.rand(3, 3, 64, 64), torch.rand(3, 3, REFINER_PX, REFINER_PX)
    with torch.no_grad():
        wanted = [*network(scenes), *network.refiner(crops)[:2]]
    found = session.run(None, {"scenes": scenes.numpy(), "crops": crops.numpy()})
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other.numpy(), rtol=1e-4, atol=1e-3)


def test_halves_are_half_as_large(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    whole, half = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    export(checkpoints["gfpgan"], whole)
    export(checkpoints["gfpgan"], half, precision="float16")
    for name, value in read(whole).state.items():
        assert torch.allclose(read(half).state[name].float(), value, rtol=1e-3, atol=1e-6), name
    assert half.stat().st_size < 0.65 * whole.stat().st_size


@pytest.mark.parametrize(
    "task",
    [
        *(pytest.param(one, marks=pytest.mark.soak) for one in ("gfpgan", "gpen")),
        "compact_generator",
    ],
)
def test_onnx_computes_the_same(task: str, checkpoints: dict[str, Path], tmp_path: Path) -> None:
    file = tmp_path / "network.onnx"
    crops, wanted = compare_onnx(checkpoints[task], file, SIZE)
    restored = load_restorer(file, device="cpu")(crops / 2 + 0.5)
    torch.testing.assert_close(restored, (wanted / 2 + 0.5).clamp(0, 1), atol=1e-4, rtol=0)


def test_onnx_of_the_smallest_gfpgan_computes_the_same(tmp_path: Path) -> None:
    """One block up holds all that the larger ones do: what is slow is the number of blocks."""
    small = {"out_size": 8, "narrow": 0.03125}
    config = tiny_config("gfpgan", data={"size_px": 8}, network=small)
    weights = build(config.arch, **config.hyperparameters).state_dict()
    content = config.model_dump(mode="json")
    found = TrainingState("gfpgan", content, 0, {"average": weights}, {})
    write_checkpoint(tmp_path / "last.pt", found)
    compare_onnx(tmp_path / "last.pt", tmp_path / "network.onnx", 8)


def compare_onnx(checkpoint: Path, file: Path, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Export and run the file; gives crops in [-1, 1] and what the network makes of them."""
    onnxruntime = pytest.importorskip("onnxruntime")
    metadata = export(checkpoint, file)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map["arch"] == metadata["arch"]
    network = build(metadata["arch"], **json.loads(metadata["hyperparameters"])).eval()
    network.load_state_dict(average(checkpoint))
    crops = torch.rand(3, 3, size, size) * 2 - 1
    with torch.no_grad():
        wanted = network(crops)
    (found,) = session.run(None, {"input": crops.numpy()})
    assert np.abs(found - wanted.numpy()).max() <= 1e-4
    return crops, wanted


def test_a_wrong_onnx_file_is_not_kept(
    checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(module, "ONNX_TOLERANCE", -1.0)
    with pytest.raises(ModelError, match="differs from torch"):
        export(checkpoints["compact_generator"], tmp_path / "network.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ["safetensors", "onnx"])
def test_weights_of_a_diverged_training_are_refused(
    ending: str, checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    found = read_checkpoint(checkpoints["compact_generator"])
    name, weight = next(iter(found.state["average"].items()))
    weight.fill_(float("nan"))
    write_checkpoint(tmp_path / "bad.pt", found)
    with pytest.raises(DataError, match=f"{name} is not finite"):
        export(tmp_path / "bad.pt", tmp_path / f"bad.{ending}")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.pt"]


def test_a_place_that_cannot_be_written_is_named(
    checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(VideoWriteError, match=r"the folder .* does not exist"):
        export(checkpoints["compact_generator"], tmp_path / "file" / "a.safetensors")


def test_what_cannot_be_exported(checkpoints: dict[str, Path], data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"neither in \.safetensors nor in \.onnx"):
        export(checkpoints["gpen"], tmp_path / "a.pth")
    with pytest.raises(DataError, match="no such file"):
        export(tmp_path / "absent.pt", tmp_path / "a.onnx")
    prior = train(tiny_config("gpen", stage="prior", **SHORT["gpen"]), data, tmp_path / "prior")
    with pytest.raises(DataError, match="encoder has learnt nothing"):
        export(prior, tmp_path / "a.safetensors")
