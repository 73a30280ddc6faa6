"""Restore one video, and say what was done.

python examples/restore_one_video.py tape.mp4 restored.mp4
"""

from __future__ import annotations

import sys

from vidrestore import restore_video


def main(source: str, output: str) -> None:
    """Restore `source` into a new file `output`; the ending of its name chooses the container."""
    report = restore_video(source, output, strength=0.8)
    print(f"{report.model} restored {report.faces} faces in {report.frames} frames")
    for person in report.tracks:
        print(f"person {person.track_id}: frames {person.first_frame} to {person.last_frame}")
    for note in report.notes:
        print(f"note: {note}")


if __name__ == "__main__":
    main(*sys.argv[1:])
