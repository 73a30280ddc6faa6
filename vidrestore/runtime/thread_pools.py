"""How the threads of numeric libraries wait for work; for programs, not libraries."""

from __future__ import annotations

import os
import sys

__all__ = ["let_idle_threads_sleep"]


def let_idle_threads_sleep() -> bool:
    """Let OpenMP's idle threads sleep, so that they do not take the cores from other stages.

    By default they spin, waiting for the next piece of work, while decoding, tracking and encoding
    wait for a core. A value that is set already stays. To be called before torch is imported, which
    reads it.

    Returns:
        Whether it comes in time.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return "torch" not in sys.modules
