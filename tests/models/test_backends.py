"""Backends by name: defaults, what was chosen on a machine, and what their runners share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx_files import write_onnx
from torch import Tensor, nn

from vidrestore.bench.choose import Measured, _compare_crops, _fastest
from vidrestore.errors import ModelError, NotAvailableError, UsageError
from vidrestore.models.detectors.retinaface import RetinaFaceDetector, build_retinaface
from vidrestore.models.load import load_detector, load_restorer, settle_backend, weights_sha256
from vidrestore.models.restorers.network import NetworkRestorer
from vidrestore.models.runners import cuda_graph
from vidrestore.models.runners.backends import default_backend, require_backend
from vidrestore.models.runners.choices import choices_file, find_choice, make_choice, store_choices
from vidrestore.models.runners.cuda_graph import MOST_GRAPHS, CudaGraphRunner
from vidrestore.models.runners.padded import PaddedRunner
from vidrestore.models.runners.runner import Outputs, Part, RunnerFacts, reproducible
from vidrestore.models.zoo import find

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VIDRESTORE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_the_default_is_fixed_for_a_kind_of_device() -> None:
    assert [default_backend(kind) for kind in ("cpu", "mps", "cuda")] == [
        "eager",
        "eager",
        "cuda_graph",
    ]


def test_what_cannot_run_here_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="backend cuda_graph: computes on cuda only, not on cpu"):
        require_backend("cuda_graph", "cpu")
    with pytest.raises(UsageError, match="backend openvino: computes on the CPU only"):
        require_backend("openvino", "cuda")
    monkeypatch.setattr("vidrestore.runtime.extras.find_spec", lambda package: None)
    for backend in ("openvino", "onnxruntime"):
        with pytest.raises(
            NotAvailableError, match=rf'{backend} .*pip install "vidrestore\[cpu\]"'
        ):
            load_restorer("embedded", device="cpu", backend=backend)
    with pytest.raises(NotAvailableError, match="openvino"):
        load_detector("embedded", device="cpu", backend="openvino")


def test_a_network_that_a_backend_does_not_take_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"detect\.backend openvino: does not take RetinaFace"):
        RetinaFaceDetector(build_retinaface("mobile0.25"), backend="openvino")
    told = {"size": "32", "template": "ffhq", "value_range": "-1,1"}
    path = write_onnx(tmp_path / "a.onnx", metadata=told)
    with pytest.raises(
        UsageError, match=r"restore\.backend eager: the ONNX file .* by onnxruntime"
    ):
        load_restorer(path, device="cpu", backend="eager")
    assert load_restorer(path, device="cpu").facts.backend == "onnxruntime"  # type: ignore[attr-defined]


def test_a_choice_holds_for_its_weights_device_and_versions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sha256 = weights_sha256(find("embedded", "restorer")[0])
    assert sha256 is not None
    assert settle_backend("embedded", "restorer", "auto", CPU) == "eager"
    choice = make_choice("embedded", sha256, CPU, "onnxruntime")
    store_choices([choice, replace(choice, sha256="0" * 64, backend="openvino")])
    assert settle_backend("embedded", "restorer", "auto", CPU) == "onnxruntime"
    assert settle_backend("embedded", "restorer", "eager", CPU) == "eager"
    assert settle_backend("debug", "restorer", "auto", CPU) == "auto"
    assert settle_backend("embedded", "detector", "auto", CPU) == "eager"
    store_choices([replace(choice, backend="compiled")])  # In place of the one before.
    assert [one for one in choices_file().read_text().splitlines() if sha256 in one].__len__() == 1
    store_choices([replace(choice, version="0.1")])
    assert find_choice(sha256, CPU) is None
    store_choices([choice])
    monkeypatch.setattr(torch, "__version__", "0.1")
    assert find_choice(sha256, CPU) is None


@pytest.mark.parametrize("content", ["", "{}", '{"version": 2, "choices": []}', "[1]"])
def test_damaged_choices_are_one_line(content: str) -> None:
    choices_file().parent.mkdir(parents=True)
    choices_file().write_text(content)
    with pytest.raises(UsageError, match=r"choices\.json: cannot be read; delete it") as caught:
        load_restorer("embedded", device="cpu")
    assert "\n" not in str(caught.value)


def measured(backend: Any, ms: float, agrees: bool = True) -> Measured:
    return Measured(backend, "", ms, 0.0, {}, agrees)


def test_the_fastest_that_agrees_is_chosen_if_it_gains_enough() -> None:
    eager, quick = measured("eager", 100), measured("openvino", 60)
    assert _fastest((eager, quick), "eager") == "openvino"
    assert _fastest((eager, replace(quick, agrees=False)), "eager") == "eager"
    assert _fastest((eager, measured("openvino", 97)), "eager") == "eager"
    assert _fastest((replace(eager, agrees=False), quick), "eager") == "openvino"
    assert _fastest((), "eager") == "eager"


def test_pictures_too_far_apart_do_not_agree() -> None:
    wanted = torch.full((1, 3, 32, 32), 0.5)
    assert _compare_crops(wanted + 0.5 / 255, wanted)[1]
    spot = wanted.clone()
    spot[0, 0, 0, 0] += 20 / 255
    for found in (wanted + 2 / 255, spot, wanted * torch.nan):
        assert not _compare_crops(found, wanted)[1]


class Doubling:
    """A runner that remembers how it was called."""

    facts = RunnerFacts("eager", "0", "float32")

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def run(self, *inputs: Tensor) -> Outputs:
        self.sizes.append(len(inputs[0]))
        return tuple(2 * one for one in inputs)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 40))
def test_fixed_shapes_hold_any_number_of_samples(n: int) -> None:
    runner, rows = Doubling(), torch.arange(2 * n).view(n, 2)
    found, other = PaddedRunner(runner).run(rows, rows + 1)
    assert torch.equal(found, 2 * rows) and torch.equal(other, 2 * rows + 2)
    assert set(runner.sizes) <= {1, 4, 16} and len(runner.sizes) == -(-n // 16)


class FakeCapture:
    """Stands in for a GPU: a replay runs the function on the same buffers again."""

    def __init__(self) -> None:
        self.captures = 0
        self.error: Exception | None = None

    def __call__(
        self, function: Callable[[], Outputs], device: torch.device, pool: Any
    ) -> tuple[Callable[[], None], Outputs, Any]:
        if self.error is not None:
            raise self.error
        self.captures += 1
        outputs = function()

        def replay() -> None:
            for buffer, made in zip(outputs, function(), strict=True):
                buffer.copy_(made)

        return replay, outputs, pool or object()


@pytest.fixture
def capture(monkeypatch: pytest.MonkeyPatch) -> FakeCapture:
    fake = FakeCapture()
    monkeypatch.setattr(cuda_graph, "capture", fake)
    return fake


def graph_runner() -> CudaGraphRunner:
    part = Part("negative", _Negative(), (3, None, None), tuple)
    return CudaGraphRunner(part, CPU, "float32")


class _Negative(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return -x


def test_a_graph_is_captured_for_each_shape_and_gives_fresh_tensors(capture: FakeCapture) -> None:
    runner = graph_runner()
    one, other = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    (first,) = runner.run(one)
    (second,) = runner.run(other)
    assert torch.equal(first, -one) and torch.equal(second, -other), "a buffer was given away"
    runner.run(one[:1])
    assert capture.captures == 2
    for side in range(5, 5 + MOST_GRAPHS):  # Those of before make room.
        runner.run(torch.rand(2, 3, side, 4))
    runner.run(one)
    assert capture.captures == 2 + MOST_GRAPHS + 1


def test_what_fails_in_a_capture_is_told_and_memory_passes_on(capture: FakeCapture) -> None:
    capture.error = RuntimeError("operation not permitted when stream is capturing\nmore")
    with pytest.raises(ModelError, match=r"negative: cannot be captured .*\(operation") as caught:
        graph_runner().run(torch.rand(1, 3, 4, 4))
    assert "\n" not in str(caught.value)
    capture.error = torch.OutOfMemoryError("no memory")
    with pytest.raises(torch.OutOfMemoryError):
        graph_runner().run(torch.rand(1, 3, 4, 4))


def test_memory_that_does_not_hold_a_graph_halves_the_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A network in the shapes 1, 4 and 16, of which no more than 8 crops fit."""
    sizes: list[int] = []

    class Hungry(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if len(x) > 8:
                raise torch.OutOfMemoryError("no memory")
            sizes.append(len(x))
            return -x

    shared = NetworkRestorer(Hungry(), size=16, precision="float32")
    shared.batch_sizes = (1, 4, 16)
    run, crops = shared.start_run(), torch.rand(11, 3, 16, 16)
    torch.testing.assert_close(run(crops), 1 - crops)
    assert run.batch_size == 8 and sizes == [8, 4]
    assert run.notes == ["out of memory: batch size 16 became 8"]
    torch.testing.assert_close(run(crops[:1]), 1 - crops[:1])
    assert sizes == [8, 4, 1] and shared.start_run().batch_size == 16


def test_flags_of_torch_are_set_by_the_first_and_set_back_by_the_last() -> None:
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = (cudnn.deterministic, cudnn.allow_tf32, matmul.allow_tf32)
    gpu = torch.device("cuda")
    first, second = reproducible(gpu), reproducible(gpu)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert (cudnn.deterministic, cudnn.allow_tf32, matmul.allow_tf32) == (True, False, False)
    second.__exit__(None, None, None)
    assert (cudnn.deterministic, cudnn.allow_tf32, matmul.allow_tf32) == before
