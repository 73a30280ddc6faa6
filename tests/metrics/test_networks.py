"""Metrics that need a public network: right with any weights, and plain about missing files."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io
import scipy.linalg
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.errors import NotAvailableError, WeightsError
from vidrestore.metrics import files
from vidrestore.metrics.fid import FrechetDistance, InceptionFeatures, build_inception
from vidrestore.metrics.lpips import Lpips
from vidrestore.metrics.niqe import load_niqe

torchvision = pytest.importorskip("torchvision")
pytest.importorskip("torchmetrics")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of weights."""
    monkeypatch.setenv("VIDRESTORE_HOME", str(tmp_path))
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


@pytest.mark.parametrize("file", [files.ALEXNET, files.VGG16, files.INCEPTION, files.NIQE])
def test_missing_files_are_named(file: files.NetworkFile, folder: Path) -> None:
    with pytest.raises(NotAvailableError, match=f"not available: {file.filename}, https://") as hit:
        files.find_file(file)
    assert file.url in str(hit.value)
    assert str(folder) in str(hit.value)


def test_another_file_of_that_name_is_refused(folder: Path) -> None:
    (folder / files.ALEXNET.filename).write_bytes(b"something else")
    with pytest.raises(NotAvailableError, match="another file"):
        files.find_file(files.ALEXNET)


def test_files_without_a_checksum_are_found(folder: Path) -> None:
    (folder / files.NIQE.filename).write_bytes(b"parameters")
    assert files.find_file(files.NIQE) == folder / files.NIQE.filename


def test_the_missing_identity_network_is_named(folder: Path) -> None:
    with pytest.raises(NotAvailableError, match=r"not available: mobilefacenet\.pt, https://"):
        files.installed_weights("mobilefacenet")


def test_niqe_says_how_to_get_it() -> None:
    try:
        import pyiqa  # noqa: F401
    except ImportError:
        with pytest.raises(NotAvailableError, match=r"pip install .*\[niqe\]"):
            load_niqe(lambda: Path("unused"))


@pytest.fixture
def niqe_parameters(tmp_path: Path) -> Path:
    """A file like the published one, of made-up statistics."""
    pytest.importorskip("pyiqa", reason="the extra niqe is not installed")
    spread, mean = np.eye(36), np.full((1, 36), 0.5)
    path = tmp_path / "niqe_modelparameters.mat"
    scipy.io.savemat(path, {"mu_prisparam": mean, "cov_prisparam": spread})
    return path


def test_niqe_by_pyiqa(niqe_parameters: Path) -> None:
    niqe = load_niqe(lambda: niqe_parameters)
    portrait = cv2.imread(str(resources.files("vidrestore") / "demo" / "astronaut.png"))
    sharp = torch.from_numpy(portrait).permute(2, 0, 1)[None].float() / 255
    noisy = sharp + torch.randn(sharp.shape, generator=torch.Generator().manual_seed(0)) / 5
    values = niqe(torch.cat([sharp, noisy.clamp(0, 1)]))
    assert values.shape == (2,) and torch.isfinite(values).all()
    assert values[0] != values[1]
    assert values.tolist() == [float(niqe(one[None])) for one in (sharp[0], noisy[0].clamp(0, 1))]
    niqe_parameters.write_bytes(b"no parameters")
    with pytest.raises(WeightsError, match="does not hold NIQE's parameters"):
        load_niqe(lambda: niqe_parameters)


@pytest.mark.filterwarnings("error")
def test_pictures_without_a_textured_block_have_no_niqe(niqe_parameters: Path) -> None:
    """Others of the batch keep theirs, and nothing is printed."""
    niqe = load_niqe(lambda: niqe_parameters)
    textured = torch.rand(1, 3, 96, 192, generator=torch.Generator().manual_seed(0))
    batch = torch.cat([torch.zeros_like(textured), textured, torch.ones_like(textured)])
    assert torch.isfinite(niqe(batch)).tolist() == [False, True, False]
    assert torch.isfinite(niqe(textured[..., :96])).all()
    assert torch.isnan(niqe(batch[..., :95])).tolist() == [True] * 3
    assert torch.isnan(niqe(batch[..., :64, :])).tolist() == [True] * 3


@pytest.fixture(scope="module")
def alexnet(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, Path]:
    """AlexNet's convolutions with drawn weights, and their file in torchvision's names."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        features = torchvision.models.alexnet(weights=None).features.eval()
    path = tmp_path_factory.mktemp("alex") / "alexnet.pth"
    torch.save({f"features.{name}": value for name, value in features.state_dict().items()}, path)
    return features, path


def test_lpips_is_that_of_the_paper(alexnet: tuple[nn.Module, Path]) -> None:
    """Unit-length features, squared differences, weighted by channel, averaged, summed."""
    features, path = alexnet
    before = torch.random.get_rng_state()
    metric = Lpips("alex", path)
    assert torch.equal(before, torch.random.get_rng_state())
    x, y = torch.rand(2, 2, 3, 64, 72, generator=torch.Generator().manual_seed(1))
    shift, scale = (
        torch.tensor(v).view(3, 1, 1) for v in ((-0.03, -0.088, -0.188), (0.458, 0.448, 0.45))
    )
    a, b = ((2 * side - 1 - shift) / scale for side in (x, y))
    total, heads = torch.zeros(2), iter(metric.heads)
    for layer in features:
        a, b = layer(a), layer(b)
        if isinstance(layer, nn.ReLU):
            weight = next(heads).weight
            gap = (F.normalize(a, dim=1) - F.normalize(b, dim=1)).square()
            total = total + (gap * weight.view(1, -1, 1, 1)).sum(1).mean((1, 2))
    assert metric(x, y).tolist() == pytest.approx(total.tolist(), rel=1e-3)


def test_lpips_of_equal_and_noisy_pictures(alexnet: tuple[nn.Module, Path]) -> None:
    metric = Lpips("alex", alexnet[1])
    generator = torch.Generator().manual_seed(2)
    x = F.interpolate(torch.rand(1, 3, 8, 8, generator=generator), size=(64, 64))
    noise = torch.randn(x.shape, generator=generator)
    assert metric(x, x).item() == 0
    far = [metric(x, (x + amount * noise).clamp(0, 1)).item() for amount in (0.05, 0.2, 0.5)]
    assert 0 < far[0] < far[1] < far[2]
    assert metric(x, (x + noise).clamp(0, 1)) == metric((x + noise).clamp(0, 1), x)


def test_lpips_refuses_another_network(alexnet: tuple[nn.Module, Path], tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="not of the network"):
        Lpips("vgg", alexnet[1])


class Flat(nn.Module):
    """Features that need no network: the pictures themselves."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)


def test_frechet_distance_by_scipy() -> None:
    rng = np.random.default_rng(0)
    true, own = rng.normal(0, 1, (60, 6)), rng.normal(0.3, 1.4, (50, 6))
    own[:, 0] += own[:, 1]
    metric = FrechetDistance(Flat())
    for part in np.array_split(true, 3):
        metric.add_truth(torch.from_numpy(part).view(-1, 6, 1, 1))
    metric.add("own", torch.from_numpy(own).view(-1, 6, 1, 1))
    metric.add("same", torch.from_numpy(true).view(-1, 6, 1, 1))
    metric.add("single", torch.from_numpy(own[:1]).view(-1, 6, 1, 1))
    c, d = np.cov(true.T), np.cov(own.T)
    root = scipy.linalg.sqrtm(c @ d).real
    expected = ((true.mean(0) - own.mean(0)) ** 2).sum() + np.trace(c + d - 2 * root)
    found = metric.compute()
    assert found["own"] == pytest.approx(expected, rel=1e-6)
    assert found["same"] == pytest.approx(0, abs=1e-6)
    assert found["single"] is None


def test_inception_pools_as_tensorflow_does() -> None:
    """The average pools leave padding out: a map of ones stays one up to the border; and the last
    block takes the maximum."""
    network = build_inception()
    seen: dict[str, Tensor] = {}
    for name in ("Mixed_5b", "Mixed_6b", "Mixed_7b", "Mixed_7c"):
        block = network.get_submodule(name)
        block.branch_pool.register_forward_pre_hook(
            lambda module, args, name=name: seen.__setitem__(name, args[0])
        )
        channels = block.branch_pool.conv.in_channels
        x = torch.ones(1, channels, 4, 4)
        x[0, 0, 0, 0] = 3
        with torch.no_grad():
            block(x)
    corner = (3 + 1 + 1 + 1) / 4
    for name in ("Mixed_5b", "Mixed_6b", "Mixed_7b"):
        assert seen[name][0, 0, 0, 0] == corner
        assert seen[name][0, 1].unique().tolist() == [1]
    assert seen["Mixed_7c"][0, 0, 1, 1] == 3


def test_inception_gives_the_features_of_fid(tmp_path: Path) -> None:
    network = build_inception()
    assert "Mixed_7c.branch_pool.conv.weight" in network.state_dict()
    assert network.fc.weight.shape == (1008, 2048)
    path = tmp_path / "inception.pth"
    torch.save({k: v.half() for k, v in network.state_dict().items()}, path)
    features = InceptionFeatures.load(path)
    assert features(torch.rand(1, 3, 80, 64)).shape == (1, 2048)
