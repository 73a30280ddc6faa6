"""Restore videos with a network of one's own, which is loaded once.

    python examples/own_network.py tape.mp4 restored.mp4

The network here sharpens; any module or function from and to (N, 3, S, S) can take its place.
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor, nn

from vidrestore import Session, adapt_restorer


class Sharpen(nn.Module):
    """Adds the difference between a crop and its blurred copy."""

    def __init__(self, amount: float) -> None:
        super().__init__()
        self.amount = nn.Parameter(torch.tensor(amount))
        self.blur = nn.AvgPool2d(5, stride=1, padding=2, count_include_pad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Restore crops."""
        return (x + self.amount * (x - self.blur(x))).clamp(-1, 1)


def main(*paths: str) -> None:
    """Restore pairs of an input and an output."""
    # `size` is the side of the crops, `template` how faces are aligned in them, `value_range` what
    # black and white are to the network.
    restorer = adapt_restorer(Sharpen(1.5), size=256, template="ffhq", value_range=(-1, 1))
    with Session(restorer=restorer) as session:
        for source, output in zip(paths[::2], paths[1::2], strict=True):
            report = session.video(source, output)
            print(f"{output}: {report.model}, {report.faces} faces")


if __name__ == "__main__":
    main(*sys.argv[1:])
