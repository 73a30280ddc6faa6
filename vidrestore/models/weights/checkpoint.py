"""Read a weights file without trusting it, and put it into a network.

`read` takes `.pth`, `.pt` and `.safetensors` files and gives plain tensors by name. `file_check`
looks at them first without making anything; pickled ones are then opened by torch's restricted
unpickler, which builds tensors and containers and refuses everything else, so no code in a file
ever runs. `fill` puts the tensors into a network whose names and shapes must match exactly.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from vidrestore.errors import WeightsError
from vidrestore.models.weights.file_check import check_file, damaged
from vidrestore.models.weights.quantization import dequantize
from vidrestore.runtime.inputs import require_file

__all__ = ["Checkpoint", "Unfilled", "fill", "read"]

_WRAPPERS = ("params_ema", "params", "g_ema", "state_dict")
"""Keys under which publishers keep the weights, the averaged ones first."""

_TRAINING_ONLY = "num_batches_tracked"
"""Counters of batch normalisation that inference does not read and files may leave out."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The contents of a weights file."""

    path: Path
    state: Mapping[str, Tensor]
    """Tensors on the CPU by their names in the network, without wrapper and `module.` prefix."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """What a `.safetensors` file says about itself; empty for pickled files."""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor by name."""
        return {name: tuple(tensor.shape) for name, tensor in self.state.items()}


def read(path: Path, *, trusted: bool = False) -> Checkpoint:
    """Read a weights file; nothing in it is executed.

    Args:
        path: a `.safetensors` file, or a pickled one of any name.
        trusted: look at nothing before, because the whole file's checksum has been compared.

    Raises:
        WeightsError: if the file is missing, damaged, unsafe, or holds no weights.
    """
    if trusted:
        require_file(path, f"weights {path}", WeightsError)
    else:
        check_file(path)
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    state = _unwrap(_unpickle(path, check=not trusted), path)
    return Checkpoint(path, {name.removeprefix("module."): state[name] for name in state})


def _read_safetensors(path: Path) -> Checkpoint:
    from safetensors import safe_open

    try:
        with safe_open(path, framework="pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return Checkpoint(path, dequantize(state), file.metadata() or {})
    except Exception as error:  # A damaged file can fail in any way.
        raise damaged(path, error) from error


def _unpickle(path: Path, *, check: bool) -> object:
    try:
        if check and zipfile.is_zipfile(path):
            _check_archive(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except WeightsError:
        raise
    except Exception as error:  # A damaged pickle can fail in any way.
        raise damaged(path, error) from error


def _check_archive(path: Path) -> None:
    """Compare the checksums inside a zip archive, which torch does not look at."""
    with zipfile.ZipFile(path) as archive:
        spoilt = archive.testzip()
    if spoilt is not None:
        raise WeightsError(f"weights {path}: damaged (checksum of {spoilt}); get the file again")


def _unwrap(content: object, path: Path) -> dict[str, Tensor]:
    if isinstance(content, Mapping):
        inner = (content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping))
        content = next(inner, content)
    if not isinstance(content, Mapping) or not content:
        raise WeightsError(f"weights {path}: holds no table of weights ({type(content).__name__})")
    state: dict[str, Tensor] = {}
    for name, tensor in content.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise WeightsError(f"weights {path}: entry {name!r} is no tensor")
        state[name] = tensor
    return state


def fill(module: nn.Module, checkpoint: Checkpoint, *, arch: str) -> None:
    """Put weights into a network, which keeps its dtype and comes to lie on the CPU.

    Args:
        module: the network; each of its entries must be in the checkpoint, with its shape.
        checkpoint: the weights; nothing in it may be left over.
        arch: name of the network, for the message.

    Raises:
        WeightsError: if names or shapes differ.
    """
    own = module.state_dict()
    mismatch = _mismatch(
        {name: tuple(value.shape) for name, value in own.items()}, checkpoint.shapes
    )
    if mismatch:
        raise WeightsError(f"weights {checkpoint.path}: not a {arch} of this form ({mismatch})")
    missing = own.keys() - checkpoint.state.keys()
    counters = {name: torch.zeros(own[name].shape) for name in missing}
    state = {
        name: tensor.to(own[name].dtype).contiguous()
        for name, tensor in {**checkpoint.state, **counters}.items()
    }
    module.load_state_dict(state, strict=True, assign=True)


class Unfilled(TorchFunctionMode):
    """Inside `with Unfilled():`, new networks get no random weights; `fill` gives them theirs.

    Drawing the numbers takes a second for a large network. Unlike on the meta device, what a
    network computes for itself, such as a fixed filter, is there.

    Args:
        most_values: refuse, before allocating, networks with more numbers than this.

    Raises:
        ValueError: the network has more.
    """

    def __init__(self, most_values: float = math.inf) -> None:
        super().__init__()
        self._left = most_values
        self._layers = _MOST_LAYERS

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in _FACTORIES:
            self._count(math.prod(_size(args, kwargs)))
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        if func in (Tensor.normal_, Tensor.uniform_):
            return args[0]
        if func is torch.randn:
            return torch.empty(*args, **kwargs)
        return func(*args, **kwargs)

    def _count(self, values: int) -> None:
        self._left -= values
        self._layers -= 1
        if self._left < 0 or self._layers < 0:
            raise ValueError("it would be far larger than the weights that the file holds")


_FACTORIES = (torch.empty, torch.zeros, torch.ones, torch.randn, torch.rand, torch.full, torch.eye)
_MOST_LAYERS = 10_000


def _size(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[int, ...]:
    """Of what a factory is asked for."""
    first = kwargs.get("size", args[0] if args else ())
    if isinstance(first, Sequence):
        return tuple(first)
    return tuple(one for one in args if isinstance(one, int))


def _mismatch(
    expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]
) -> str | None:
    """Say how two tables of shapes differ; None if they do not."""
    differences = {
        "missing": sorted(
            name for name in expected.keys() - found.keys() if not name.endswith(_TRAINING_ONLY)
        ),
        "unexpected": sorted(found.keys() - expected.keys()),
        "of another shape": sorted(
            name for name in expected.keys() & found.keys() if expected[name] != found[name]
        ),
    }
    parts = [
        f"{len(names)} {kind}, such as {names[0]}" for kind, names in differences.items() if names
    ]
    return "; ".join(parts) or None
