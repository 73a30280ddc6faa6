"""How far GPU kernels, which Triton interprets on the CPU, are from torch: a line of JSON.

    TRITON_INTERPRET=1 python interpreted_kernels.py trial gpen

A process of its own, since Triton is either interpreted or compiled, from its import on.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch
from torch import Tensor

from vidrestore.models.layers import fused
from vidrestore.models.layers.kernel_trial import try_kernels
from vidrestore.models.registry import build
from vidrestore.models.restorers.prepare import prepare_for_inference

NETWORKS: dict[str, dict[str, Any]] = {
    "gfpgan_clean": {"out_size": 8, "narrow": 0.0625, "num_style_feat": 16},
    "gfpgan": {"out_size": 8, "narrow": 0.0625, "num_style_feat": 16, "num_mlp": 2},
    "gpen": {"size": 8, "narrow": 0.0625, "style_dim": 16, "n_mlp": 2},
}


def by_both(name: str) -> tuple[Tensor, Tensor]:
    """What kernels give for a network, or for the trial of them all, and what torch gives."""
    if name == "trial":
        return try_kernels("cpu")
    torch.manual_seed(0)
    network = build(name, **NETWORKS[name])
    for key, weight in network.named_parameters():
        if weight.shape == (1,) or key.endswith("bias"):
            weight.data.normal_()  # Strengths of noise, which begin at zero, among them.
    network = prepare_for_inference(network)
    crops = torch.rand(2, 3, 8, 8).contiguous(memory_format=torch.channels_last) * 2 - 1
    with torch.inference_mode():
        wanted = network(crops)
        has_kernels, fused._has_kernels = fused._has_kernels, lambda device: True
        try:
            return network(crops), wanted
        finally:
            fused._has_kernels = has_kernels


if __name__ == "__main__":
    library: Any = torch.library.Library("vidrestore", "IMPL")  # type: ignore[no-untyped-call]
    for operation in ("finish", "filter_and_finish", "double_edges"):
        library.impl(operation, getattr(fused, f"_{operation}"), "CPU")
    apart = {}
    for name in sys.argv[1:]:
        found, wanted = by_both(name)
        apart[name] = float((found - wanted).abs().max() / wanted.std())
    print(json.dumps(apart))
