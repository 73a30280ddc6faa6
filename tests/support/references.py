"""The cases of `shared/reference`: outputs of the published networks for weights that a rule fills.

The rule is that of the shared folder's README: every entry of the state dict is drawn from a
generator keyed by its name.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vidrestore.models.registry import build

_NOT_HYPERPARAMETERS = {
    "arch",
    "input",
    "sample_stride",
    "parameters",
    "state_dict",
    "equalized_lr",
}


@dataclass(frozen=True)
class Reference:
    """One case."""

    meta: Mapping[str, object]
    input: Tensor
    sample: Tensor
    mean: Tensor
    std: Tensor

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: tuple(shape) for name, shape in self.meta["state_dict"].items()}

    def empty_network(self) -> nn.Module:
        """The network without memory for its weights."""
        names = self.meta.keys() - _NOT_HYPERPARAMETERS
        with torch.device("meta"):
            return build(self.meta["arch"], **{name: self.meta[name] for name in names})

    def network(self) -> nn.Module:
        """The network with the weights of the rule."""
        network = self.empty_network().eval()
        own = network.state_dict()
        state = {
            name: own[name] if name.endswith("kernel") else self._filled(name, shape)
            for name, shape in self.shapes.items()
        }
        network.load_state_dict(state, assign=True)
        return network

    def worst_error(self, output: Tensor) -> float:
        """Largest difference from the reference, relative to its largest value."""
        stride = self.meta["sample_stride"]
        errors = [
            (output[:, :, ::stride, ::stride] - self.sample).abs().max(),
            (output.mean((2, 3)) - self.mean).abs().max(),
            (output.std((2, 3), correction=0) - self.std).abs().max(),
        ]
        return float(max(errors) / self.sample.abs().max())

    def _filled(self, name: str, shape: tuple[int, ...]) -> Tensor:
        z = drawn(name, shape)
        if "noises.noise" in name or name.endswith(("constant_input.weight", "input.input")):
            return z
        if name.endswith("modulation.bias"):
            return 1 + 0.1 * z
        if len(shape) >= 2 and not name.endswith("bias"):
            fan_in = math.prod(shape[-3:]) if len(shape) > 2 else shape[-1]
            return z if self.meta["equalized_lr"] else z / math.sqrt(fan_in)
        return 0.1 * z


def read_reference(folder: Path, name: str) -> Reference:
    """Read a case by its name from the folder `reference`."""
    meta = json.loads((folder / f"{name}.json").read_text("utf-8"))
    with np.load(folder / f"{name}.npz") as file:
        outputs = {key: torch.from_numpy(file[key]) for key in ("sample", "mean", "std")}
    return Reference(meta, reference_input(**meta["input"]), **outputs)


def reference_input(n: int, size: int) -> Tensor:
    """The input of a case, (n, 3, size, size) in [-1, 1]."""
    values = _generator(f"input:{n}:{size}").uniform(-1, 1, (n, 3, size, size))
    return torch.from_numpy(values.astype(np.float32))


def drawn(name: str, shape: tuple[int, ...]) -> Tensor:
    """Standard normal numbers, keyed by a name."""
    return torch.from_numpy(np.asarray(_generator(name).standard_normal(shape), np.float32))


def _generator(name: str) -> np.random.Generator:
    key = int.from_bytes(hashlib.sha256(name.encode("utf-8")).digest()[:8], "little")
    return np.random.Generator(np.random.Philox(key=key))
