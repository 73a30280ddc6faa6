"""A name or a file becomes the restorer or detector that it stands for, or a clear refusal."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import vidrestore
from vidrestore.errors import UnknownModelError, UsageError, WeightsError
from vidrestore.models import zoo
from vidrestore.models.interfaces import FaceDetector, FaceRestorer
from vidrestore.models.load import (
    choose_detector,
    choose_restorer,
    load_detector,
    load_restorer,
    resolve_device,
)
from vidrestore.models.names import resolve
from vidrestore.models.registry import build
from vidrestore.models.templates import landmark_template
from vidrestore.models.weights import store as weights

SMALL_GFPGAN = {"out_size": 32, "num_style_feat": 16, "narrow": 0.0625, "num_mlp": 2}
SMALL = {
    "GFPGANv1Clean": SMALL_GFPGAN,
    "GFPGANv1": SMALL_GFPGAN,
    "GFPGANBilinear": SMALL_GFPGAN,
    "GPEN FullGenerator": {"size": 32, "style_dim": 16, "narrow": 0.0625, "n_mlp": 2},
}
TEMPLATES = {arch: "gpen" if arch.startswith("GPEN") else "ffhq" for arch in SMALL}


def small(arch: str) -> nn.Module:
    torch.manual_seed(1)
    return build(arch, **SMALL[arch]).eval()


def saved(folder: Path, arch: str) -> Path:
    path = folder / f"{arch.split()[0]}.pth"
    torch.save({"params_ema": small(arch).state_dict()}, path)
    return path


def crops(size: int = 32) -> Tensor:
    return torch.rand(3, 3, size, size, generator=torch.Generator().manual_seed(2))


def portrait() -> Tensor:
    path = Path(vidrestore.__file__).parent / "demo" / "astronaut.png"
    image = cv2.imread(str(path))[..., ::-1]
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None] / 255


def install(task: str, *names: str) -> None:
    """Put empty files of the right size where models are looked for."""
    for name in names:
        (spec,) = zoo.find(name, task)
        path = weights.path_of(spec)
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as file:
            file.truncate(spec.bytes)


@pytest.mark.parametrize("arch", SMALL)
def test_a_local_file_restores_as_its_network_does(tmp_path, arch):
    path = saved(tmp_path, arch)
    ambiguous = arch in ("GFPGANv1", "GFPGANBilinear")
    restorer = load_restorer(
        f"{path}#{arch}" if ambiguous else path, device="cpu", precision="float32"
    )
    assert isinstance(restorer, FaceRestorer)
    assert restorer.name == str(path)
    assert restorer.size == 32
    assert np.allclose(restorer.template, landmark_template(TEMPLATES[arch], 32))
    with torch.no_grad():
        answer = small(arch)(crops() * 2 - 1)
    expected = (answer / 2 + 0.5).clamp(0, 1)
    assert torch.allclose(restorer(crops()), expected, atol=1e-3)


def test_two_networks_that_look_alike_must_be_told_apart(tmp_path):
    path = saved(tmp_path, "GFPGANv1")
    with pytest.raises(WeightsError, match=r"GFPGANv1\.pth#GFPGANBilinear"):
        load_restorer(path)


def test_safetensors_that_name_their_network(tmp_path):
    path = tmp_path / "own.safetensors"
    network = build("CompactUNet", widths=[8, 8]).eval()
    metadata = {"arch": "CompactUNet", "hyperparameters": '{"widths": [8, 8]}', "size": "64"}
    save_file(network.state_dict(), path, metadata)
    restorer = load_restorer(str(path), device="cpu")
    assert restorer.size == 64
    assert torch.allclose(restorer(crops(64)), crops(64), atol=1e-2)  # Untrained: the identity.


@pytest.mark.parametrize(
    "hyperparameters",
    [{"depth": 3}, {"widths": 5}, {"widths": []}, {"widths": [10**7, 10**7]}, {"widths": [9]}],
)
def test_metadata_that_does_not_fit_is_refused(tmp_path, hyperparameters):
    network = build("CompactUNet", widths=[8, 8])
    metadata = {"arch": "CompactUNet", "hyperparameters": json.dumps(hyperparameters)}
    save_file(network.state_dict(), tmp_path / "own.safetensors", metadata)
    with pytest.raises(WeightsError):
        load_restorer(tmp_path / "own.safetensors")


def test_crops_are_aligned_as_the_file_says(tmp_path):
    path = tmp_path / "own.safetensors"
    network = build("CompactUNet", widths=[8, 8]).eval()
    metadata = {"arch": "CompactUNet", "hyperparameters": '{"widths": [8, 8]}', "size": "64"}
    for told, name in {None: "ffhq", "gfpgan_512_ffhq": "ffhq", "gpen": "gpen"}.items():
        save_file(network.state_dict(), path, metadata | ({"template": told} if told else {}))
        restorer = load_restorer(path, device="cpu")
        assert np.allclose(restorer.template, landmark_template(name, 64))
    save_file(network.state_dict(), path, metadata | {"template": "arcface"})
    with pytest.raises(WeightsError, match=r"own\.safetensors: .*'arcface'; known: .*gpen"):
        load_restorer(path, device="cpu")


@pytest.mark.parametrize("size", ["0", "-3", "wide"])
def test_a_nonsensical_crop_size_is_refused(tmp_path, size):
    network = build("CompactUNet", widths=[8, 8])
    metadata = {"arch": "CompactUNet", "hyperparameters": '{"widths": [8, 8]}', "size": size}
    save_file(network.state_dict(), tmp_path / "own.safetensors", metadata)
    with pytest.raises(WeightsError, match=f"its crops are {size} pixels"):
        load_restorer(tmp_path / "own.safetensors")


def test_metadata_with_an_unknown_network_is_refused(tmp_path):
    save_file({"a": torch.ones(1)}, tmp_path / "a.safetensors", {"arch": "os.system"})
    for loader in (load_restorer, load_detector):
        with pytest.raises(WeightsError, match=r"a os\.system, which does not"):
            loader(tmp_path / "a.safetensors")


def test_a_model_by_name_is_downloaded_once_with_its_licence_told(
    home, row, server, tmp_path, monkeypatch, caplog
):
    content = saved(tmp_path, "GFPGANv1").read_bytes()
    spec = row(content, arch="GFPGANv1", hyperparameters=SMALL_GFPGAN, template="ffhq")
    monkeypatch.setattr(zoo, "MODELS", (spec,))
    with caplog.at_level(logging.WARNING, "vidrestore"):
        restorer = load_restorer("tiny-1.0", device="cpu", precision="float32")
    assert "downloading tiny-1.0; licence: CC0" in caplog.text
    assert restorer.name == "tiny-1.0"
    assert torch.equal(
        load_restorer("tiny-1.0", device="cpu", precision="float32")(crops()), restorer(crops())
    )
    assert len(server.requests) == 1
    copy = shutil.copy(weights.path_of(spec), tmp_path / "copy.pth")
    assert torch.equal(
        load_restorer(copy, device="cpu", precision="float32")(crops()), restorer(crops())
    )


def test_a_wrong_file_under_a_models_name_is_refused(home, row, tmp_path, monkeypatch):
    content = saved(tmp_path, "GFPGANv1Clean").read_bytes()
    spec = row(content, arch="GFPGANv1Clean", hyperparameters=SMALL_GFPGAN, template="ffhq")
    monkeypatch.setattr(zoo, "MODELS", (spec,))
    weights.path_of(spec).parent.mkdir(parents=True)
    weights.path_of(spec).write_bytes(content[::-1])
    with pytest.raises(WeightsError, match="sha256 starts"):
        load_restorer("tiny-1.0")


def test_the_right_checksum_does_not_excuse_the_wrong_network(home, row, tmp_path, monkeypatch):
    content = saved(tmp_path, "GFPGANv1Clean").read_bytes()
    spec = row(content, arch="GPEN FullGenerator", hyperparameters=SMALL["GPEN FullGenerator"])
    monkeypatch.setattr(zoo, "MODELS", (spec,))
    with pytest.raises(WeightsError, match="not a GPEN FullGenerator of this form"):
        load_restorer("tiny-1.0")


def test_each_kind_of_model_is_refused_in_the_others_place(shared, tmp_path):
    detector = shared / "weights" / "detection_mobilenet0.25_Final.pth"
    with pytest.raises(WeightsError, match="a RetinaFace, which does not restore faces"):
        load_restorer(detector)
    with pytest.raises(WeightsError, match="a GFPGANv1Clean, which does not detect faces"):
        load_detector(saved(tmp_path, "GFPGANv1Clean"))
    with pytest.raises(WeightsError, match="which does not restore faces"):
        load_restorer(shared / "weights" / "mobilefacenet.pt")


def test_a_missing_file_is_named(tmp_path):
    for name in (tmp_path / "none.pth", str(tmp_path / "none.pth"), "none.safetensors"):
        for use in (load_restorer, load_detector, choose_restorer):
            with pytest.raises(WeightsError, match=r"none\.\w+: no such file"):
                use(name)


def test_a_public_detector_by_name_or_file(shared, home):
    file = shared / "weights" / "detection_mobilenet0.25_Final.pth"
    by_file = load_detector(file, device="cpu")
    weights.folder().mkdir(parents=True)
    shutil.copy(file, weights.folder())
    by_name = load_detector("auto", device="cpu")
    assert (by_file.name, by_name.name) == (str(file), "retinaface-mobile0.25")
    assert isinstance(by_name, FaceDetector)
    for detector in (by_file, by_name):
        (found,) = detector(portrait())
        assert len(found.scores) == 1
        left, top, right, bottom = found.boxes_xyxy[0]
        assert 100 < left < 140 and 195 < right < 235 and 35 < top < 80 and 150 < bottom < 200


def test_the_embedded_detector_finds_a_face(home):
    detector = load_detector("embedded", device="cpu")
    assert detector.name == "embedded"
    (found,) = detector(portrait())
    assert len(found.scores) == 1


def test_the_embedded_restorer_restores_crops(home):
    restorer = load_restorer("auto", device="cpu")
    assert restorer.name == "embedded"
    assert restorer.size == 512
    assert np.allclose(restorer.template, landmark_template("ffhq", 512))
    restored = restorer(crops(512)[:1])
    assert restored.shape == (1, 3, 512, 512)
    assert restored.isfinite().all()


def test_the_debug_restorer_changes_crops_the_same_way_in_any_batch():
    restorer = load_restorer("debug")
    assert isinstance(restorer, FaceRestorer)
    faces = crops(restorer.size)
    together = restorer(faces)
    assert together.shape == faces.shape
    assert 0.01 < (together - faces).abs().mean() < 0.2
    assert together.min() >= 0 and together.max() <= 1
    assert torch.equal(together, torch.cat([restorer(face[None]) for face in faces]))


@pytest.mark.parametrize(
    ("installed", "best"),
    [
        ((), "embedded"),
        (("gpen-512",), "embedded"),
        (("gfpgan-1.0",), "embedded"),
        (("gfpgan-1.2", "gpen-512"), "gfpgan-1.2"),
        (("gfpgan-1.2", "gfpgan-1.4", "gfpgan-1.3"), "gfpgan-1.4"),
    ],
)
def test_auto_takes_the_best_installed_and_says_which(home, installed, best, caplog):
    install("restorer", *installed)
    with caplog.at_level(logging.INFO, "vidrestore"):
        assert resolve("auto", "restorer") == zoo.find(best, "restorer")[0]
    assert f"taking {best}" in caplog.text
    assert choose_restorer("auto") == best


def test_what_is_not_installed_is_announced(home):
    assert choose_restorer("gpen-512").startswith("gpen-512 (not installed: a download of 284.1 MB")
    assert "non-commercial" in choose_restorer("gpen-512")
    assert choose_detector("auto") == "embedded"


def test_names_are_told_from_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("gfpgan-1.4", "debug", "plain"):
        Path(name).write_bytes(b"")
    assert resolve("gfpgan-1.4", "restorer") == zoo.find("gfpgan-1.4")[0]
    assert resolve("plain", "restorer") == Path("plain")
    assert resolve("./debug", "restorer") == Path("debug")
    assert resolve("~/x.pth", "restorer") == Path.home() / "x.pth"
    with pytest.raises(UnknownModelError, match=r"did you mean 'gfpgan-1\.4'"):
        resolve("gfpgan-1.5", "restorer")
    with pytest.raises(UnknownModelError):
        resolve("gfpgan-1.4", "detector")


def test_devices_are_checked():
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device().type in ("cpu", "cuda")
    for wrong in ("abacus", "cuda:99", "meta"):
        with pytest.raises(UsageError, match=f"device {wrong}"):
            resolve_device(wrong)


def test_loading_draws_no_random_numbers(tmp_path):
    """Loading must not change the global random state of the program that uses the library."""
    path = saved(tmp_path, "GFPGANv1Clean")
    torch.manual_seed(3)
    before = torch.get_rng_state()
    load_restorer(path, device="cpu", precision="float32")
    assert torch.equal(torch.get_rng_state(), before)
