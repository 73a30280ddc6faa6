"""Look at a weights file before anything is made of it, and before torch is imported."""

from __future__ import annotations

from pathlib import Path

from vidrestore.errors import WeightsError
from vidrestore.models.weights.onnx_file import is_onnx, read_onnx
from vidrestore.models.weights.pickle_check import UnsafeWeights, check_weights_file
from vidrestore.runtime.inputs import require_file

__all__ = ["check_file", "damaged"]

_MOST_HEADER_BYTES = 1 << 23


def check_file(path: Path) -> None:
    """Refuse what is no weights file, is cut off, or is unsafe.

    Its kind is told by its ending, as when it is loaded: `.onnx`, `.safetensors`, else pickled.

    Raises:
        WeightsError: it is one of these, or is missing.
    """
    require_file(path, f"weights {path}", WeightsError)
    if is_onnx(path):
        read_onnx(path)
    elif path.suffix == ".safetensors":
        _check_safetensors(path)
    else:
        _check_pickled(path)


def damaged(path: Path, error: Exception) -> WeightsError:
    """What to raise where a library fails on a file, which it can do in any way."""
    words = str(error).strip().splitlines() or [type(error).__name__]
    return WeightsError(f"weights {path}: damaged or no weights file ({words[0][:160]})")


def _check_safetensors(path: Path) -> None:
    from safetensors import safe_open

    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
        if length > _MOST_HEADER_BYTES:  # The library takes 100 MB; none of ours needs a hundredth.
            raise WeightsError(
                f"weights {path}: damaged or no weights file (its table would take {length} bytes)"
            )
        with safe_open(path, framework="np"):
            return
    except WeightsError:
        raise
    except Exception as error:
        raise damaged(path, error) from error


def _check_pickled(path: Path) -> None:
    try:
        check_weights_file(path)
    except UnsafeWeights as error:
        raise _refused(path, error) from error
    except Exception as error:
        raise damaged(path, error) from error


def _refused(path: Path, error: UnsafeWeights) -> WeightsError:
    if str(error).startswith("damaged"):
        return WeightsError(f"weights {path}: {error}; nothing was executed")
    why = f", because {error}" if error.runs else f" ({error})"
    return WeightsError(
        f"weights {path}: refused{why}; nothing was executed. "
        "Get the weights alone, best as .safetensors"
    )
