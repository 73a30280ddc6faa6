"""Take restored frames one by one, at their own times, and write nothing but a few pictures.

python examples/loop_over_frames.py tape.mp4 pictures
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2

from vidrestore import frame_to_rgb, restore_frames


def main(source: str, folder: str) -> None:
    """Save the first frame of each shot before and after, side by side."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for frame in restore_frames(source):
        if not frame.is_cut:
            continue
        pair = cv2.hconcat([frame_to_rgb(frame, before=True), frame_to_rgb(frame)])
        path = Path(folder) / f"{float(frame.pts * frame.time_base):09.3f}s.png"
        cv2.imwrite(str(path), cv2.cvtColor(pair, cv2.COLOR_RGB2BGR))
        print(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
