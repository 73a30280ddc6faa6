"""How well a face detector does on made-up scenes of held-out faces, by the faces' source.

The scenes are those of the detector's training (`vidrestore.training.detector_data`), whose labels
are exact, made from the faces of one source at a time: faces, decoys and the patches that are cut
from faces all come from it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vidrestore.metrics.detections import Agreement
from vidrestore.models.interfaces import FaceDetector
from vidrestore.training.detector_data import (
    SceneComposer,
    build_face_bank,
    find_sources,
    load_textures,
    texture_folder,
)
from vidrestore.training.detector_data.held_out import HELD_OUT_PX, detect_in_scene

__all__ = ["evaluate_on_scenes"]


def evaluate_on_scenes(
    detector: FaceDetector,
    faces: Path,
    *,
    split: str = "val",
    scenes: int = 300,
    seed: int = 0,
    min_score: float | None = None,
    progress: Callable[[str, int, int | None], None] | None = None,
) -> dict[str, Agreement]:
    """Compare a detector's answers with the labels of made-up scenes.

    Args:
        detector: the one under test.
        faces: folder with ``labels.csv`` (file, split, box, five landmarks, and perhaps source).
        split: which rows to take.
        scenes: number of scenes of each source.
        seed: of the scenes.
        min_score: least score of an answer; None for the detector's own threshold.
        progress: told what is done, how much of it, and of how much.

    Returns:
        The agreement by source, in the order of the rows; faces of no source are of "".

    Raises:
        DataError: there are no labels with boxes and landmarks, or no picture can be read.
        NotAvailableError: scikit-image, whose pictures are backgrounds, is not installed.
    """
    tell = progress or (lambda what, done, total: None)
    textures, found = load_textures(texture_folder()), dict[str, Agreement]()
    for source in find_sources(faces, split):

        def tell_faces(done: int, total: int, source: str = source) -> None:
            tell(f"faces {source}", done, total)

        bank = build_face_bank(faces, split, source=source, progress=tell_faces)
        composer = SceneComposer(bank, textures, size_px=HELD_OUT_PX)
        found[source] = Agreement()
        for index in range(scenes):
            found[source] += detect_in_scene(detector, composer, seed, index, min_score=min_score)[
                2
            ]
            tell(f"scenes {source}", index + 1, scenes)
    return found
