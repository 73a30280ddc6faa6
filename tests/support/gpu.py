"""Where a test runs: on the CPU always, on a GPU where there is one.

`VIDRESTORE_REQUIRE_CUDA=1` makes a missing GPU a failure; otherwise its cases skip, saying so.
"""

from __future__ import annotations

import os

import pytest
import torch

__all__ = ["DEVICES", "needs_cuda"]

_REQUIRED = os.environ.get("VIDRESTORE_REQUIRE_CUDA") == "1"

_NO_GPU = "no CUDA device here; VIDRESTORE_REQUIRE_CUDA=1 makes this a failure"


def needs_cuda() -> pytest.MarkDecorator:
    """Mark what runs on a GPU only."""
    return pytest.mark.skipif(not _REQUIRED and not torch.cuda.is_available(), reason=_NO_GPU)


DEVICES = ["cpu", pytest.param("cuda", marks=[needs_cuda(), pytest.mark.cuda])]
"""Values of a test's parameter `device`."""
