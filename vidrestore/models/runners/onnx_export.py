"""Write a part of a network as ONNX, for the backends that take it so."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from pathlib import Path

import torch
from torch import Tensor

from vidrestore.errors import ModelError
from vidrestore.models.runners.compiled_files import kept_file, part_key
from vidrestore.models.runners.runner import Part

__all__ = ["onnx_file_of"]

_OPSET = 18
_MOST_SAMPLES, _MOST_UNITS = 256, 128


def onnx_file_of(part: Part) -> Path:
    """The ONNX file of a part, which takes any number of samples; written in the first run.

    Args:
        part: prepared in float32 on the CPU.

    Raises:
        ModelError: the part cannot be written as ONNX.
    """
    examples = part.examples()
    key = part_key(part.module, examples)
    return kept_file(part.name, key, lambda path: _export(part, examples, path))


def _export(part: Part, examples: tuple[Tensor, ...], path: Path) -> None:
    samples = torch.export.Dim("samples", min=1, max=_MOST_SAMPLES)
    first = {
        dim: unit * torch.export.Dim(f"side{dim}", min=1, max=_MOST_UNITS)
        for dim, unit in part.multiples.items()
    }
    shapes = ({0: samples, **first}, *({0: samples} for _ in examples[1:]))
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    quiet = io.StringIO()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(quiet), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                _Call(part.module),
                (examples,),
                str(path),
                dynamic_shapes=(shapes,),
                opset_version=_OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except OSError:
        raise
    except Exception as error:  # Whatever the exporter raises.
        words = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(
            f"{part.name}: cannot be written as ONNX ({words[0][:160]}); choose the backend eager"
        ) from error


class _Call(torch.nn.Module):
    """A part's module with all its inputs in one tuple, so that each has its shape."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
        made: Tensor | tuple[Tensor, ...] = self.module(*inputs)
        return made
