"""NIQE, the naturalness of a picture without a truth (Mittal et al. 2013), by pyiqa.

Pyiqa is heavy and in an extra of its own; its file of parameters is taken from this machine.
Smaller is more natural. On faces it rewards grain and sharpening: read it beside the others.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scipy.io.matlab import MatReadError
from torch import Tensor

from vidrestore.errors import NotAvailableError, WeightsError

__all__ = ["load_niqe"]


def load_niqe(parameters: Callable[[], Path]) -> Callable[[Tensor], Tensor]:
    """The metric, from pictures (N, 3, H, W), RGB in [0, 1], to (N,).

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
        values: Tensor = metric(images.cpu()).flatten()
        return values

    return niqe
