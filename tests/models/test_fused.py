"""What GPUs compute in one kernel is what torch computes, and its kernels compile for them.

Triton interprets its kernels on the CPU, and compiles them without a GPU.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import interpreted_kernels
import pytest
import torch
from gpu import needs_cuda

from vidrestore.errors import ModelError
from vidrestore.models.layers import fused, kernel_trial
from vidrestore.models.layers.resample import Filter


@pytest.mark.parametrize(
    "names",
    [["trial", "gpen"], pytest.param(["gfpgan_clean", "gfpgan"], marks=pytest.mark.soak)],
)
def test_kernels_give_what_torch_gives(names: list[str]) -> None:
    pytest.importorskip("triton")
    done = subprocess.run(
        [sys.executable, interpreted_kernels.__file__, *names],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    apart = json.loads(done.stdout)
    assert list(apart) == names and max(apart.values()) < 1e-4


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
