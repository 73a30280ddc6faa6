"""NIQE, the naturalness of a picture without a truth (Mittal et al. 2013), by pyiqa.

Pyiqa is heavy and in an extra of its own; its file of parameters is taken from this machine.
Smaller is more natural. On faces it rewards grain and sharpening: read it beside the others.
A picture needs a block of 96 x 96 px with some texture; others have no NIQE, which is not a number.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from scipy.io.matlab import MatReadError
from torch import Tensor

from vidrestore.errors import NotAvailableError, WeightsError

__all__ = ["load_niqe"]

_BLOCK_PX = 96
"""Side of the blocks whose statistics are compared."""


def load_niqe(parameters: Callable[[], Path]) -> Callable[[Tensor], Tensor]:
    """The metric, from pictures (N, 3, H, W), RGB in [0, 1], to (N,), nan where there is none.

    Args:
        parameters: gives the path of `niqe_modelparameters.mat`; asked only if pyiqa is there.

    Raises:
        NotAvailableError: Pyiqa or the file is missing.
        WeightsError: the file does not hold NIQE's parameters.
    """
    try:
        import pyiqa
    except ImportError as error:
        raise NotAvailableError('not available: pyiqa, pip install "vidrestore[niqe]"') from error
    path = parameters()
    try:
        metric = pyiqa.create_metric("niqe", device="cpu", pretrained_model_path=str(path))
    except (KeyError, ValueError, MatReadError) as error:
        raise WeightsError(f"weights {path}: does not hold NIQE's parameters ({error})") from error

    def niqe(images: Tensor) -> Tensor:
        if min(images.shape[-2:]) < _BLOCK_PX:
            return torch.full((len(images),), torch.nan, dtype=torch.float64)
        return torch.cat([_measure(metric, image) for image in torch.split(images.cpu(), 1)])

    return niqe


def _measure(metric: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
    """The NIQE of one picture (1, 3, H, W), (1,); nan for one that is flat throughout."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "cov", UserWarning)  # Of a picture of one block.
        try:
            return metric(image).flatten()
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
            return torch.full((1,), torch.nan, dtype=torch.float64)
