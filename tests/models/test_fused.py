"""What GPUs compute in one kernel is what torch computes, and its kernels compile for them.

Triton interprets its kernels on the CPU, and compiles them without a GPU.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from gpu import needs_cuda

from vidrestore.errors import ModelError
from vidrestore.models.layers import fused, kernel_trial
from vidrestore.models.layers.resample import Filter
from vidrestore.models.registry import build
from vidrestore.models.restorers.prepare import prepare_for_inference

KERNELS = "vidrestore.models.layers.gpu_kernels"
NETWORKS: dict[str, dict[str, Any]] = {
    "gfpgan_clean": {"out_size": 8, "narrow": 0.0625, "num_style_feat": 16},
    "gfpgan": {"out_size": 8, "narrow": 0.0625, "num_style_feat": 16, "num_mlp": 2},
    "gpen": {"size": 8, "narrow": 0.0625, "style_dim": 16, "n_mlp": 2},
}


def fresh_kernels(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    pytest.importorskip("triton")
    monkeypatch.delitem(sys.modules, KERNELS, raising=False)
    return import_module(KERNELS)


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The CPU is taken for a GPU, and the kernels are interpreted."""
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setattr("vidrestore.models.layers.gpu_kernels", fresh_kernels(monkeypatch))
    monkeypatch.setattr(fused, "_has_kernels", lambda device: True)
    library: Any = torch.library.Library("vidrestore", "IMPL")  # type: ignore[no-untyped-call]
    for name in ("finish", "filter_and_finish", "double_edges"):
        library.impl(name, getattr(fused, f"_{name}"), "CPU")
    yield
    library._destroy()


def test_kernels_give_what_torch_gives(interpreted: None) -> None:
    found, wanted = kernel_trial.try_kernels("cpu")
    assert wanted.std() > 0.5
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "name", ["gfpgan_clean", "gpen", pytest.param("gfpgan", marks=pytest.mark.soak)]
)
def test_networks_give_what_torch_gives(name: str, request: pytest.FixtureRequest) -> None:
    torch.manual_seed(0)
    network = build(name, **NETWORKS[name])
    for key, weight in network.named_parameters():
        if weight.shape == (1,) or key.endswith("bias"):
            weight.data.normal_()  # Strengths of noise, which begin at zero, among them.
    network = prepare_for_inference(network)
    crops = torch.rand(2, 3, 8, 8).contiguous(memory_format=torch.channels_last) * 2 - 1
    with torch.inference_mode():
        wanted = network(crops)
        request.getfixturevalue("interpreted")
        found = network(crops)
    assert wanted.std() > 0.1
    torch.testing.assert_close(found, wanted, atol=1e-5 * float(wanted.abs().max()), rtol=1e-5)


_COMPILE = """
import sys
from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from vidrestore.models.layers import gpu_kernels as kernels

capability, precision = int(sys.argv[1]), sys.argv[2]
constants = {"PADDING": 1, "ROWS": 8, "WIDE": 16, "DEEP": 64}
formats = {"taps": "*fp32", "factors": "*fp32", "gain": "fp32", "slope": "fp32"}
maps = ("out", "x", "y", "edges", "noise", "strength", "bias", "scale", "shift", "after")
formats |= dict.fromkeys(maps, f"*{precision}") | dict.fromkeys(constants, "constexpr")
for kernel in (kernels.finish, kernels.filter_and_finish, kernels.double_edges):
    names = kernel.arg_names
    source = ASTSource(
        kernel,
        {name: formats.get(name, "i32") for name in names},
        {(names.index(name),): constants[name] for name in constants if name in names},
    )
    made = compile(source, target=GPUTarget("cuda", capability, 32))
    print(kernel.__name__, len(made.asm["cubin"]))
"""


@pytest.mark.parametrize(
    ("capability", "precision"),
    [("90", "bf16"), pytest.param("75", "fp16", marks=pytest.mark.soak)],
)
def test_kernels_compile_for_gpus(capability: str, precision: str, tmp_path: Path) -> None:
    """In a process of its own: interpreting kernels leaves traces in Triton."""
    pytest.importorskip("triton")
    done = subprocess.run(
        [sys.executable, "-c", _COMPILE, capability, precision],
        env={**os.environ, "TRITON_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    made = dict(line.split() for line in done.stdout.splitlines())
    assert set(made) == {"finish", "filter_and_finish", "double_edges"}
    assert all(int(size) > 1000 for size in made.values())


@needs_cuda()
@pytest.mark.cuda
def test_kernels_work_on_the_gpu() -> None:
    assert kernel_trial.kernels_work(torch.device("cuda", torch.cuda.current_device()))


def test_kernels_that_do_not_work_are_told_and_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(device: object) -> None:
        raise RuntimeError("Failed to find C compiler. Please\nmore")

    monkeypatch.setattr(kernel_trial, "try_kernels", fail)
    device = torch.device("cuda", 77)
    with torch.inference_mode():
        assert not fused._has_kernels(device) and not fused._has_kernels(device)
    [told] = caplog.messages
    assert "cuda:77" in told and "Failed to find C compiler" in told and "\n" not in told


def test_a_filter_that_kernels_cannot_compute_is_refused() -> None:
    blur = Filter(stored=True)
    blur.freeze()
    blur.kernel[0, 3] += 0.1
    with pytest.raises(ModelError, match="no outer product of four taps"):
        blur.freeze()
