"""How many CPU threads networks and OpenCV use."""

from __future__ import annotations

__all__ = ["limit_threads", "used_threads"]


def limit_threads(threads: int) -> None:
    """Let the networks and OpenCV use so many CPU threads; 0 leaves them as they are."""
    if threads:
        import cv2
        import torch

        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)


def used_threads() -> int:
    """How many CPU threads the networks use."""
    import torch

    return torch.get_num_threads()
