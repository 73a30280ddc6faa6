"""What every backend keeps to: the pictures of torch in float32, whatever the batch.

A new backend joins by its name in `_cases`.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from gpu import needs_cuda
from torch import Tensor
from torch.nn import functional

from vidrestore.errors import ModelError
from vidrestore.models.interfaces import CropKey
from vidrestore.models.registry import build
from vidrestore.models.restorers.network import NetworkRestorer
from vidrestore.models.runners.backends import Backend

SIZE = 64
NETWORKS: dict[str, dict[str, Any]] = {
    "compact_unet": {"widths": (4, 4, 4, 4, 4, 4)},
    "gfpgan_clean": {"out_size": SIZE, "narrow": 0.0625, "num_style_feat": 16},
    "gpen": {"size": SIZE, "narrow": 0.0625, "style_dim": 16, "n_mlp": 2},
}
MOST_APART = 1e-4
"""Of float32 in another order of sums, the range being 1."""


def _needs(package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(find_spec(package) is None, reason=f"{package} is not installed")


def _cases() -> Iterator[Any]:
    """Backends with networks; what takes long to compile is left to the long tests."""
    packages = {"onnxruntime": "onnxruntime", "openvino": "openvino"}
    for backend in ("eager", "onnxruntime", "openvino", "compiled"):
        for name in NETWORKS:
            marks = [_needs(packages[backend])] if backend in packages else []
            if backend == "compiled" or (marks and name != "compact_unet"):
                marks.append(pytest.mark.soak)
            yield pytest.param((backend, "cpu"), name, marks=marks, id=f"{backend}-cpu-{name}")
    for backend in ("eager", "cuda_graph", "compiled"):
        for name in NETWORKS if backend != "compiled" else ["gfpgan_clean"]:
            marks = [needs_cuda(), pytest.mark.cuda]
            yield pytest.param((backend, "cuda"), name, marks=marks, id=f"{backend}-cuda-{name}")


pytestmark = pytest.mark.parametrize(
    ("backend", "pair"), [*_cases()], indirect=True, scope="module"
)


@pytest.fixture(scope="module")
def backend(request: pytest.FixtureRequest) -> tuple[Backend, str]:
    found: tuple[Backend, str] = request.param
    return found


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for what backends keep, for all tests of this file."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDRESTORE_HOME", str(folder))
        yield folder


def make(name: str, backend: tuple[Backend, str], batch_size: int = 0) -> NetworkRestorer:
    torch.manual_seed(0)
    network = build(name, **NETWORKS[name])
    with torch.no_grad():
        for key, weight in network.named_parameters():
            if key == "tail.weight":
                weight.normal_()  # It begins at zero.
            elif weight.shape == (1,):
                weight.fill_(0.2)  # Of noise, which begins at zero too.
            elif key.startswith(("final_linear", "condition_")) and key.endswith("weight"):
                weight.mul_(3)  # So that pictures differ as the crops do.
    return NetworkRestorer(
        network,
        name=name,
        size=SIZE,
        device=backend[1],
        precision="float32",
        batch_size=batch_size,
        backend=backend[0],
    )


@pytest.fixture(scope="module")
def pair(
    request: pytest.FixtureRequest, backend: tuple[Backend, str]
) -> tuple[NetworkRestorer, NetworkRestorer]:
    """A network behind the backend, in batches of any size, and as torch runs it on the CPU."""
    found = make(request.param, backend)
    found.batch_sizes = (1, 4, 16)
    return found, make(request.param, ("eager", "cpu"))


def crops(count: int) -> Tensor:
    """Broad patches of colour, and noise."""
    generator = torch.Generator().manual_seed(count)
    patches = torch.rand(count, 3, 3, 3, generator=generator)
    patches = functional.interpolate(patches, size=(SIZE, SIZE), mode="bilinear")
    return 0.7 * patches + 0.3 * torch.rand(count, 3, SIZE, SIZE, generator=generator)


def close(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, atol=MOST_APART, rtol=0)


def test_agreement_means_something(pair: tuple[NetworkRestorer, NetworkRestorer]) -> None:
    """What crops, styles and noise do to pictures is far above what is let pass."""
    network, given = pair[1], crops(4)
    wanted = network(given)
    assert ((wanted > 0) & (wanted < 1)).float().mean() > 0.5
    assert (wanted[0] - wanted[1]).abs().mean() > 100 * MOST_APART
    keys = [CropKey(0, number % 2, number // 2) for number in range(4)]
    if network.has_styles:
        steered = network.start_run(style_strength=0.9)(given, keys)
        assert (steered - wanted).abs().max() > 30 * MOST_APART
    if network.takes_fresh_noise:
        fresh = network.start_run(noise="fresh")(given, keys)
        assert (fresh - wanted).abs().max() > 100 * MOST_APART


def test_it_says_what_computes(
    pair: tuple[NetworkRestorer, NetworkRestorer], backend: tuple[Backend, str]
) -> None:
    assert pair[0].facts.backend == backend[0] and pair[0].facts.version[0].isdigit()
    assert pair[0].facts.precision == pair[0].precision == "float32"


@pytest.mark.parametrize("count", [1, 3, 4, 5, 16, 18])
def test_pictures_are_those_of_torch(
    pair: tuple[NetworkRestorer, NetworkRestorer], count: int
) -> None:
    found, wanted = pair
    given = crops(count)
    kept = given.clone()
    close(found(given), wanted(given))
    assert torch.equal(given, kept), "the input was changed"


def test_equal_calls_give_equal_bits(pair: tuple[NetworkRestorer, NetworkRestorer]) -> None:
    first = pair[0](crops(3))
    pair[0](crops(4))
    assert torch.equal(pair[0](crops(3)), first)


def test_styles_and_noise_are_those_of_torch(
    pair: tuple[NetworkRestorer, NetworkRestorer],
) -> None:
    keys = [CropKey(0, number % 2, number // 2) for number in range(5)]
    for settings in ({"style_strength": 0.9}, {"style_strength": 0.9, "noise": "fresh"}):
        found, wanted = (one.start_run(**settings)(crops(5), keys) for one in pair)
        close(found, wanted)
    if pair[0].takes_fresh_noise:
        close(*(one.start_run(noise="fresh")(crops(5), keys) for one in pair))


def test_what_is_not_a_number_is_found(pair: tuple[NetworkRestorer, NetworkRestorer]) -> None:
    given = crops(3)
    wanted = pair[0](given)
    given[1, 0, 5, 5] = torch.nan
    found = pair[0](given)
    assert found[1].isnan().all() and torch.equal(found[[0, 2]], wanted[[0, 2]])


def test_another_shape_is_one_line(pair: tuple[NetworkRestorer, NetworkRestorer]) -> None:
    for given in (torch.zeros(1, 3, 32, 32), torch.zeros(1, 1, SIZE, SIZE)):
        with pytest.raises(ModelError, match=r"takes \(N, 3, 64, 64\), not \(1, ") as caught:
            pair[0].parts.run(given.to(pair[0].device))
        assert "\n" not in str(caught.value)
