"""VGG19's keys and layers against torchvision; identity features; what is said of missing files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

from vidrestore.errors import NotAvailableError, VidRestoreError, WeightsError
from vidrestore.metrics.identity import FaceIdentity
from vidrestore.models.nets.mobilefacenet import MobileFaceNet
from vidrestore.models.templates import landmark_template
from vidrestore.training.losses.perceptual import (
    IDENTITY_WEIGHTS,
    VGG19,
    VGG19_WEIGHTS,
    IdentityFeatures,
    Vgg19Features,
    feature_l1,
    weights_file,
)

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LANDMARKS = torch.from_numpy(landmark_template("ffhq", 64)).float()[None]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Sequential, Path]:
    """Torchvision's own convolutions with drawn weights, and a file with its names.

    The classifier, half a gigabyte, is cut down to one entry.
    """
    with torch.device("meta"):
        features = torchvision.models.vgg19(weights=None).features
    features.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    for parameter in features.parameters():
        fan_in = parameter[0].numel() if parameter.dim() > 1 else 10_000
        parameter.data.uniform_(-1, 1, generator=generator).mul_((6 / fan_in) ** 0.5)
    state = {f"features.{name}": value for name, value in features.state_dict().items()}
    path = tmp_path_factory.mktemp("weights") / VGG19.filename
    torch.save(state | {"classifier.6.bias": torch.zeros(1000)}, path)
    return features.eval().requires_grad_(False), path


@pytest.fixture(scope="module")
def identity_features(tmp_path_factory: pytest.TempPathFactory) -> IdentityFeatures:
    path = tmp_path_factory.mktemp("weights") / "mobilefacenet.pt"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(MobileFaceNet().state_dict(), path)
    return IdentityFeatures(FaceIdentity(path))


def test_layers_are_torchvisions_before_the_relu(published: tuple[nn.Sequential, Path]) -> None:
    reference, path = published
    pictures = torch.rand(1, 3, 32, 32) * 2 - 1
    found = Vgg19Features(path)(pictures)
    x = (pictures + 1) / 2
    x = torch.stack([(x[:, c] - MEAN[c]) / DEVIATION[c] for c in range(3)], 1)
    ends = {"conv1_2": 2, "conv2_2": 7, "conv3_4": 16, "conv4_4": 25, "conv5_4": 34}
    assert list(found) == list(ends)
    for name, end in ends.items():
        assert isinstance(reference[end], nn.Conv2d)
        wanted = reference[: end + 1](x)
        assert torch.allclose(found[name], wanted, rtol=1e-4, atol=1e-5), name
        assert (found[name] < 0).any()


def test_only_the_wanted_layers_are_computed(published: tuple[nn.Sequential, Path]) -> None:
    extractor = Vgg19Features(published[1], ("conv1_2",))
    assert sum(isinstance(part, nn.Conv2d) for part in extractor.features) == 2
    assert list(extractor(torch.zeros(1, 3, 8, 8))) == ["conv1_2"]
    with pytest.raises(ValueError, match="no layers \\['conv6_1'\\]"):
        Vgg19Features(published[1], ("conv6_1",))


def test_networks_stay_frozen(
    published: tuple[nn.Sequential, Path], identity_features: IdentityFeatures
) -> None:
    holder = nn.ModuleList((Vgg19Features(published[1], ("conv2_2",)), identity_features)).train()
    assert not any(part.training for each in holder for part in each.modules())
    pictures = torch.zeros(1, 3, 64, 64, requires_grad=True)
    for extractor in holder:
        maps = extractor(pictures, LANDMARKS)
        torch.stack([part.sum() for part in maps.values()]).sum().backward()
    assert pictures.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in holder.parameters())


def test_identity_features_are_named_by_size(identity_features: IdentityFeatures) -> None:
    maps = identity_features(torch.rand(2, 3, 64, 64) * 2 - 1, LANDMARKS.repeat(2, 1, 1))
    assert set(IDENTITY_WEIGHTS) == {name for name in maps if name != "embedding"}
    assert all(maps[name].shape[-1] == int(name[3:]) for name in IDENTITY_WEIGHTS)
    assert torch.allclose(maps["embedding"].norm(dim=1), torch.ones(2))


def test_identity_features_ignore_autocast(identity_features: IdentityFeatures) -> None:
    pictures = torch.rand(1, 3, 64, 64) * 2 - 1
    exact = identity_features(pictures, LANDMARKS)
    with torch.autocast("cpu", torch.bfloat16):
        found = identity_features(pictures, LANDMARKS)
    assert all(torch.equal(found[name], exact[name]) for name in exact)


def test_l1_is_weighted_and_relative_on_request() -> None:
    own = {"a": torch.tensor([[3.0, 5.0]], requires_grad=True), "b": torch.tensor([[10.0]])}
    wanted = {"a": torch.tensor([[1.0, 1.0]], requires_grad=True), "b": torch.tensor([[-20.0]])}
    plain = feature_l1(own, wanted, {"a": 1.0, "b": 0.5})
    assert float(plain) == pytest.approx(3 + 15)
    relative = feature_l1(own, wanted, {"a": 1.0, "b": 0.5}, relative=True)
    assert float(relative) == pytest.approx(3 + 0.5 * 30 / 20)
    relative.backward()
    assert own["a"].grad is not None
    assert wanted["a"].grad is None


def test_the_scale_is_each_pictures_own() -> None:
    own, wanted = (
        torch.rand(4, 3, 5, 5),
        torch.rand(4, 3, 5, 5) * torch.arange(1, 5).view(4, 1, 1, 1),
    )
    whole = feature_l1({"a": own}, {"a": wanted}, {"a": 1.0}, relative=True)
    halves = [
        feature_l1({"a": own[part]}, {"a": wanted[part]}, {"a": 1.0}, relative=True)
        for part in (slice(0, 2), slice(2, 4))
    ]
    assert float(whole) == pytest.approx(float(sum(halves)) / 2, rel=1e-5)


def test_the_weights_are_the_papers() -> None:
    assert dict(VGG19_WEIGHTS) == {
        "conv1_2": 0.1,
        "conv2_2": 0.1,
        "conv3_4": 1,
        "conv4_4": 1,
        "conv5_4": 1,
    }


def test_a_missing_file_is_told_with_its_source_and_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDRESTORE_HOME", str(tmp_path))
    for path in (None, tmp_path / "elsewhere.pth"):
        with pytest.raises(NotAvailableError) as caught:
            weights_file(VGG19, path, option="terms.vgg19")
        for part in ("vgg19-dcbb9e9d.pth", "https://download.pytorch.org", "terms.vgg19"):
            assert part in str(caught.value)
    assert issubclass(NotAvailableError, VidRestoreError)


def test_a_file_that_is_named_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "mine.pth"
    path.touch()
    assert weights_file(VGG19, path, option="terms.vgg19") == path


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3), "x": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match="not a VGG19"):
        Vgg19Features(path)
    torch.save({"conv.weight": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match="no VGG19"):
        Vgg19Features(path)
